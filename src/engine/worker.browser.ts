/**
 * The program of every worker in a browser, the engine's and the helper threads'. It is bundled into one file without
 * imports and names no file, so that it runs from any address, and no bundler finds a worker that refers to itself. The
 * codecs' wasm lies in the page's bundle, and the page is asked for it when it is first needed.
 */
import { browserPlatform, handleOf } from "../platform/browser.ts";
import { browserDownloads } from "../platform/browser_cache.ts";
import type { SentWasm } from "../platform/page.ts";
import { EngineError } from "../errors.ts";
import { setPlatform } from "../platform/platform.ts";
import type { KernelBuild, WorkerEvents, WorkerHandle, WorkerProgram } from "../platform/types.ts";
import { help } from "../runtime/helper.ts";
import { serve } from "./rpc_service.ts";
import { engineService } from "./service.ts";

/** TypeScript's types are those of a page. */
const self = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener" | "removeEventListener"> & {
  name: string;
};
const HELPER = "sam2 helper";

const KERNELS: Record<KernelBuild, () => Promise<{ default: Uint8Array<ArrayBuffer> }>> = {
  kernels: () => import("../../build/kernels.wasm"),
  kernels_fma: () => import("../../build/kernels_fma.wasm"),
};

/** This program once more. */
function startHelper(_program: WorkerProgram, events: WorkerEvents): WorkerHandle {
  return handleOf(new Worker(location.href, { name: HELPER }), events);
}

/** A dependency's wasm, from the page. */
function askForWasm(specifier: string): Promise<WebAssembly.Module> {
  return new Promise((resolve, reject) => {
    const listen = ({ data }: MessageEvent<SentWasm>) => {
      if (data.specifier !== specifier) return;
      self.removeEventListener("message", listen);
      if (data.module) resolve(data.module);
      else reject(new EngineError(specifier, "a codec that can be loaded", data.error, "check the page's files"));
    };
    self.addEventListener("message", listen);
    self.postMessage({ specifier });
  });
}

function beEngine(port: MessagePort): void {
  setPlatform({
    ...browserPlatform,
    ...browserDownloads,
    dependencyWasm: askForWasm,
    kernels: async (build) => (await KERNELS[build]()).default,
    startWorker: startHelper,
  });
  const receive = serve(engineService(), { post: (message, transfer = []) => port.postMessage(message, transfer) });
  port.addEventListener("message", ({ data }) => receive(data));
  port.start();
}

const isHelper = self.name === HELPER;
const begin = ({ data }: MessageEvent) =>
  isHelper ? help(data, (message) => self.postMessage(message)) : beEngine(data);
self.addEventListener("message", begin, { once: true });
if (!isHelper) self.postMessage("ready");
