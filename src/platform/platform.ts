import { browserPlatform } from "./browser.ts";

/** What Node and a browser do differently. */
export interface Platform {
  readFile(path: string): Promise<Uint8Array>;
  /** A dependency's wasm file, compiled; undefined where the dependency's own loader finds it (bundlers, browsers). */
  dependencyWasm(specifier: string): Promise<WebAssembly.Module | undefined>;
}

/** The platform in use: the browser's, until an entry point for another one says otherwise. */
export let platform: Platform = browserPlatform;

export function setPlatform(chosen: Platform): void {
  platform = chosen;
}
