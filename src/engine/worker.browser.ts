import { serve } from "./rpc_service.ts";
import { engineService } from "./service.ts";

/** TypeScript's types are those of a page. */
const port = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;
const receive = serve(engineService(), { post: (message, transfer = []) => port.postMessage(message, transfer) });
port.addEventListener("message", ({ data }) => receive(data));
