import { parentPort } from "node:worker_threads";
import { help } from "./helper.ts";

parentPort!.once("message", help);
