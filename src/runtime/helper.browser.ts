import type { HelperStart } from "./control.ts";
import { help } from "./helper.ts";

addEventListener("message", ({ data }: MessageEvent<HelperStart>) => help(data), { once: true });
