// A helper thread of page_platform.ts.
import { help } from "../src/runtime/helper.ts";

addEventListener("message", ({ data }) => help(data, (message) => postMessage(message)), { once: true });
