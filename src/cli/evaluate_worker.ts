import { parentPort } from "node:worker_threads";
import type { Pair } from "../evaluate/evaluate_video.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { answerFor } from "./evaluate_pool.ts";

setPlatform(nodePlatform);
const port = parentPort!;
port.on("message", async (pair: Pair) => port.postMessage(await answerFor(pair)));
