/** The picture at an address. @throws Error in one sentence for a visitor */
export async function fetchPicture(address: string): Promise<File> {
  const href = /^\w+:/.test(address) ? address : `https://${address}`;
  if (!URL.canParse(href) || !/^https?:/.test(href)) throw new Error(`“${address}” is no address of the web.`);
  const { pathname, hostname } = new URL(href);
  const worker = new Worker(new URL("./address_worker.ts", import.meta.url), { type: "module", name: "address" });
  try {
    const { blob } = await new Promise<{ blob?: Blob }>((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      worker.addEventListener("error", () =>
        reject(new Error("The program that fetches addresses could not be loaded.")),
      );
      worker.postMessage(href);
    });
    if (blob) return new File([blob], pathname.split("/").at(-1) || hostname, { type: blob.type });
  } finally {
    worker.terminate();
  }
  throw new Error(`${hostname} does not give its picture to other pages. Save it there, then drop the file here.`);
}
