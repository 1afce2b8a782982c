import { UsageError } from "../errors.ts";
import type { OpenFile, Platform, WorkerEvents, WorkerHandle } from "./types.ts";

// Workers alone have it, and TypeScript's types for a page do not.
declare const FileReaderSync: (new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer }) | undefined;

export async function openBlob(blob: Blob, name: string): Promise<OpenFile> {
  const { size } = blob;
  const close = () => {};
  if (typeof FileReaderSync === "undefined") {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return { name, size, read: (offset, length) => bytes.subarray(offset, offset + length), close };
  }
  const reader = new FileReaderSync();
  const read = (offset: number, length: number) =>
    new Uint8Array(reader.readAsArrayBuffer(blob.slice(offset, offset + length)));
  return { name, size, read, close };
}

function noFiles(path: string): never {
  throw new UsageError(
    path,
    "a platform with files",
    "a browser",
    "pass bytes, a Blob or a URL; of a video its frames, e.g. VideoFrames",
  );
}

/** The entries have them, browser_cache.ts and bundled.ts. */
function notBundled(): never {
  throw new UsageError("sam2-ts", "an entry of the package", "one of its parts alone", 'import from "sam2-ts"');
}

/** A browser's worker as its maker sees it. */
export function handleOf(worker: Worker, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  worker.addEventListener("error", ({ message }) => onDeath(message ?? "its program could not be loaded"));
  if (onMessage) worker.addEventListener("message", ({ data }) => onMessage(data));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    hold: () => {},
    stop: async () => worker.terminate(),
  };
}

export const browserPlatform: Platform = {
  locate(address) {
    const base = globalThis.document?.baseURI ?? location.href;
    return URL.canParse(address, base) ? new URL(address, base).href : address;
  },
  readFile: async (path) => noFiles(path),
  writeFile: async (path) => noFiles(path),
  openFile: async (path) => noFiles(path),
  exists: async () => false,
  openBlob,
  openCached: notBundled,
  cachedBytes: notBundled,
  removeCached: notBundled,
  download: notBundled,
  listFolder: async (path) => noFiles(path),
  dependencyWasm: async () => notBundled(),
  optional: async () => undefined,
  kernels: async () => notBundled(),
  prepareWasm: () => [],
  cores: () => navigator.hardwareConcurrency,
  noThreads: () =>
    globalThis.crossOriginIsolated
      ? "a page's main thread may not wait for others"
      : "the page is not isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
  startWorker: notBundled,
  startProgram: async (name) => {
    throw new UsageError(name, "a platform with programs", "a browser", "pass the frames of the video one by one");
  },
};
