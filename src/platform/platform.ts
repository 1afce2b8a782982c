import { browserPlatform } from "./browser.ts";
import type { Platform } from "./types.ts";

/** The platform in use: the browser's, until an entry point for another one says otherwise. */
export let platform: Platform = browserPlatform;

export function setPlatform(chosen: Platform): void {
  platform = chosen;
}
