import { parentPort } from "node:worker_threads";
import type { HelperStart } from "./control.ts";
import { help } from "./helper.ts";

const port = parentPort!;
port.once("message", (start: HelperStart) => help(start, (message) => port.postMessage(message)));
