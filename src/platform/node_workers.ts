import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { UsageError } from "../errors.ts";
import type { WorkerEvents, WorkerHandle } from "./types.ts";

const PROGRAMS = {
  engine: "../engine/worker.node",
  helper: "../runtime/helper.node",
  programs: "./programs.node",
};

/** Without the flags of this process, which may load what a worker has no use for. From source, it learns TypeScript first. */
export function openWorker(built: URL): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(built, { execArgv: [] });
  const source = built.href.replace(/js$/, "ts"); // not by `new URL`, which bundlers would want to find
  const tsx = import.meta.resolve("tsx/esm/api");
  const learn = `import("${tsx}").then((tsx) => (tsx.register(), import("${source}")))`;
  return new Worker(learn, { eval: true, execArgv: [] });
}

/**
 * Not by `new URL`, of which bundlers make another file.
 *
 * @throws UsageError where a bundler has taken this file away from the others
 */
function programOf(program: keyof typeof PROGRAMS): URL {
  const here = import.meta.url as string | undefined; // CommonJS has none
  const folder = here?.startsWith("file:") ? dirname(fileURLToPath(here)) : "";
  const [source, built] = ["ts", "js"].map((ending) => join(folder, `${PROGRAMS[program]}.${ending}`));
  if (folder !== "" && (existsSync(built) || existsSync(source))) return pathToFileURL(built);
  const todo =
    'leave sam2-ts out of the bundle: serverExternalPackages: ["sam2-ts"] in next.config, external: ["sam2-ts"] elsewhere';
  throw new UsageError("sam2-ts", "its files side by side, as they are installed", "a bundle", todo);
}

/** @throws UsageError where a bundler has taken this file away from the others */
export function startWorker(program: keyof typeof PROGRAMS, { onMessage, onDeath }: WorkerEvents): WorkerHandle {
  const worker = openWorker(programOf(program));
  let stopped = false;
  worker.on("error", (error: Error) => onDeath(error.message));
  worker.on("exit", (code) => {
    if (!stopped) onDeath(`exit code ${code}`);
  });
  if (onMessage) worker.on("message", onMessage);
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: (on) => (on || stopped ? worker.ref() : worker.unref()),
    async stop() {
      stopped = true;
      worker.ref(); // else the process might end while this is awaited
      await worker.terminate();
    },
  };
}
