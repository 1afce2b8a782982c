/** The picture or video at an address. */
import type { Fetched } from "./address_worker.ts";

/** @throws Error in one sentence for a visitor */
export async function fetchPicture(address: string): Promise<File> {
  const href = /^\w+:/.test(address) ? address : `https://${address}`;
  if (!URL.canParse(href) || !/^https?:/.test(href)) throw new Error(`“${address}” is no address of the web.`);
  const { pathname, hostname } = new URL(href);
  const worker = new Worker(new URL("./address_worker.ts", import.meta.url), { type: "module", name: "address" });
  try {
    const fetched = await new Promise<Fetched>((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      worker.addEventListener("error", () =>
        reject(new Error("The program that fetches addresses stopped; try again.")),
      );
      worker.postMessage(href);
    });
    return fileOf(fetched, pathname.split("/").at(-1) || hostname, hostname);
  } finally {
    worker.terminate();
  }
}

function fileOf(fetched: Fetched, name: string, host: string): File {
  const todo = "Save it there, then drop the file here.";
  if (fetched.status === undefined) {
    throw new Error(`${host} does not answer, or does not give its picture to other pages. ${todo}`);
  }
  const { status, blob } = fetched;
  if (status === 404 || status === 410) throw new Error(`${host} has nothing at this address (HTTP ${status}).`);
  if (!blob) throw new Error(`${host} refuses it (HTTP ${status}). ${todo}`);
  if (/html/.test(blob.type)) {
    throw new Error(`${host} has a web page at this address, not a picture: copy the address of the picture itself.`);
  }
  return new File([blob], name, { type: blob.type });
}
