// The platform of a worker that runs the graph's own modules in a page; Vite bundles the kernels and the helper with it.
import { browserPlatform, handleOf } from "../src/platform/browser.ts";
import { setPlatform } from "../src/platform/platform.ts";
import type { Platform } from "../src/platform/types.ts";

const KERNELS = {
  kernels: new URL("../build/kernels.wasm", import.meta.url),
  kernels_fma: new URL("../build/kernels_fma.wasm", import.meta.url),
};

const pagePlatform: Platform = {
  ...browserPlatform,
  kernels: async (build) => new Uint8Array(await (await fetch(KERNELS[build])).arrayBuffer()),
  startWorker: (_program, events) =>
    handleOf(new Worker(new URL("./page_helper.ts", import.meta.url), { type: "module" }), events),
};

export function usePagePlatform(): void {
  setPlatform(pagePlatform);
}
