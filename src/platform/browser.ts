import { UsageError } from "../errors.ts";
import type { Platform } from "./platform.ts";

export const browserPlatform: Platform = {
  async readFile(path) {
    throw new UsageError("readFile", "a platform with files", `"${path}" in a browser`, "pass bytes or a URL");
  },
  async dependencyWasm() {
    return undefined;
  },
};
