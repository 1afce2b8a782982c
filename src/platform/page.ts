/**
 * How a page starts the engine. The program is worker.js, the file beside this one. Where a page cannot have it (another
 * origin's, a page from a file, a bundler that left it behind), the copy that lies in the bundle as text starts instead.
 */
import { platform } from "./platform.ts";
import type { WorkerEvents, WorkerHandle, WorkerProgram } from "./types.ts";

/** The answer to a worker that asks for a dependency's wasm. */
export type SentWasm = { specifier: string } & (
  { module: WebAssembly.Module; error?: undefined } | { module?: undefined; error: string }
);

/** What is sent before the program is there waits in the channel. */
export function startWorker(_program: WorkerProgram, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  const { port1: port, port2: far } = new MessageChannel();
  if (onMessage) port.addEventListener("message", ({ data }) => onMessage(data));
  port.addEventListener("messageerror", () => onDeath("a message that cannot be read"));
  port.start();
  let worker: Worker | undefined;
  let stopped = false;
  openWorker().then(
    (opened) => {
      if (stopped) return opened.terminate();
      worker = opened;
      worker.addEventListener("error", ({ message }) => onDeath(message));
      worker.postMessage(far, [far]);
      worker.addEventListener("message", ({ data }: MessageEvent<{ specifier: string }>) =>
        sendWasm(opened, data.specifier),
      );
    },
    (error: Error) => onDeath(error.message),
  );
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer),
    hold: () => {},
    async stop() {
      stopped = true;
      port.close();
      worker?.terminate();
    },
  };
}

async function sendWasm(worker: Worker, specifier: string): Promise<void> {
  const sent = await platform.dependencyWasm(specifier).then(
    (module): SentWasm => ({ specifier, module }),
    (error: Error): SentWasm => ({ specifier, error: error.message }),
  );
  worker.postMessage(sent);
}

async function openWorker(): Promise<Worker> {
  try {
    return await ready(new Worker(new URL("./worker.js", import.meta.url)));
  } catch {
    return ready(new Worker(URL.createObjectURL(await packedProgram())));
  }
}

/** The program says that it is there. */
function ready(worker: Worker): Promise<Worker> {
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", () => resolve(worker), { once: true });
    const todo = "a Content-Security-Policy must allow worker-src 'self' or blob:";
    worker.addEventListener("error", () => reject(new Error(`its program could not be loaded; ${todo}`)), {
      once: true,
    });
  });
}

async function packedProgram(): Promise<Blob> {
  const { default: packed } = await import("worker-source");
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Blob([await new Response(text).arrayBuffer()], { type: "text/javascript" });
}
