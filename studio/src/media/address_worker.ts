/** Fetches a picture whose address a visitor has typed. It alone may: the page's policy forbids it to the page. */
const worker = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;

/** What came of it: nothing at all, if the server does not let other pages read it or does not answer. */
export type Fetched = { status: number; blob?: Blob } | { status?: undefined };

/** Until the server begins to answer. */
const PATIENCE_MS = 30_000;

worker.addEventListener("message", async ({ data: href }: MessageEvent<string>) => {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PATIENCE_MS);
  try {
    const { signal } = controller;
    const response = await fetch(href, { credentials: "omit", referrerPolicy: "no-referrer", signal });
    clearTimeout(timer);
    const { ok, status } = response;
    worker.postMessage((ok ? { status, blob: await response.blob() } : { status }) satisfies Fetched);
  } catch {
    worker.postMessage({} satisfies Fetched);
  }
});
