import { parentPort, receiveMessageOnPort } from "node:worker_threads";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { serve } from "./rpc_service.ts";
import { engineService } from "./service.ts";

setPlatform(nodePlatform);
const port = parentPort!;
const receive = serve(engineService(), {
  post: (message, transfer) => port.postMessage(message, transfer),
  take: () => receiveMessageOnPort(port)?.message,
});
port.on("message", receive);
