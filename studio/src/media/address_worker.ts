/** Fetches a picture whose address a visitor has typed. It alone may: the page's policy forbids it to the page. */
const worker = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;

worker.addEventListener("message", async ({ data: href }: MessageEvent<string>) => {
  try {
    const response = await fetch(href, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    worker.postMessage({ blob: await response.blob() });
  } catch (error) {
    worker.postMessage({ error: (error as Error).message });
  }
});
