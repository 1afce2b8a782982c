import { unzlibSync, zlibSync } from "fflate";
import { UsageError } from "../errors.ts";
import { downloadBlob, openKept } from "./browser_cache.ts";
import type { KernelBuild, OpenFile, Platform, WorkerEvents, WorkerHandle, WorkerProgram } from "./types.ts";

// Workers alone have it, and TypeScript's types for a page do not.
declare const FileReaderSync: (new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer }) | undefined;

async function openBlob(blob: Blob, name: string): Promise<OpenFile> {
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
  throw new UsageError(path, "a platform with files", "a browser", "pass bytes, a Blob or a URL");
}

// Written out, so that bundlers see them.
const KERNELS: Record<KernelBuild, URL> = {
  kernels: new URL("../../build/kernels.wasm", import.meta.url),
  kernels_fma: new URL("../../build/kernels_fma.wasm", import.meta.url),
};

const PROGRAMS: Record<WorkerProgram, () => Worker> = {
  engine: () => new Worker(new URL("../engine/worker.browser.js", import.meta.url), { type: "module" }),
  helper: () => new Worker(new URL("../runtime/helper.browser.js", import.meta.url), { type: "module" }),
};

function startWorker(program: WorkerProgram, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  const worker = PROGRAMS[program]();
  worker.addEventListener("error", (event) => onDeath(event.message ?? "its program could not be loaded"));
  worker.addEventListener("messageerror", () => onDeath("a message that cannot be read"));
  if (onMessage) worker.addEventListener("message", ({ data }) => onMessage(data));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    hold: () => {},
    stop: async () => worker.terminate(),
  };
}

export const browserPlatform: Platform = {
  readFile: async (path) => noFiles(path),
  writeFile: async (path) => noFiles(path),
  openFile: async (path) => noFiles(path),
  exists: async () => false,
  openBlob,
  openCached: (remote, options) => openKept(remote, options, openBlob),
  download: async (url, options) => openBlob(await downloadBlob(url, options), url),
  listFolder: async (path) => noFiles(path),
  async dependencyWasm() {
    return undefined;
  },
  inflate: (stream, limit) => unzlibSync(stream, { out: new Uint8Array(limit) }),
  deflate: (bytes) => zlibSync(bytes),
  kernels: async (build) => new Uint8Array(await (await fetch(KERNELS[build])).arrayBuffer()),
  prepareWasm: () => [],
  cores: () => navigator.hardwareConcurrency,
  noThreads: () =>
    globalThis.crossOriginIsolated
      ? "a page's main thread may not wait for others"
      : "the page is not isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
  startWorker,
};
