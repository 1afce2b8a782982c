import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Platform } from "./platform.ts";

const require = createRequire(import.meta.url);

export const nodePlatform: Platform = {
  readFile,
  async dependencyWasm(specifier) {
    return WebAssembly.compile(new Uint8Array(await readFile(require.resolve(specifier))));
  },
};
