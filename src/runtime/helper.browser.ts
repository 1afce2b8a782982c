import type { HelperStart } from "./control.ts";
import { help } from "./helper.ts";

/** TypeScript's types are those of a page. */
const port = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;
const begin = ({ data }: MessageEvent<HelperStart>) => help(data, (message) => port.postMessage(message));
port.addEventListener("message", begin, { once: true });
