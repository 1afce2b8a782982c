import { bundledPlatform } from "./platform/bundled.ts";
import { startWorker } from "./platform/page.ts";
import { setPlatform } from "./platform/platform.ts";

setPlatform({ ...bundledPlatform, startWorker });

export * from "./index.ts";
