import type { WorkerName } from "../workers.ts";

/** A worker that is what its name says. */
export function startWorker(name: WorkerName): Worker {
  return new Worker(new URL("../workers.ts", import.meta.url), { type: "module", name });
}
