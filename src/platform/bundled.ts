import { browserPlatform } from "./browser.ts";
import { browserDownloads } from "./browser_cache.ts";
import type { Platform } from "./types.ts";

/** They lie in the bundle, so that it runs wherever its own file can be had; each is unpacked when it is first needed. */
const WASM: Record<string, () => Promise<{ default: Uint8Array<ArrayBuffer> }>> = {
  "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm": () => import("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"),
  "@jsquash/webp/codec/dec/webp_dec.wasm": () => import("@jsquash/webp/codec/dec/webp_dec.wasm"),
};

/** A browser's platform with the dependencies' wasm files that bundle.ts packed. */
export const bundledPlatform: Platform = {
  ...browserPlatform,
  ...browserDownloads,
  dependencyWasm: async (specifier) => WebAssembly.compile((await WASM[specifier]()).default),
};
