#!/usr/bin/env node
import { writeSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { EXIT_CODES, Interruption, type Output } from "./io.ts";

// The model computes without pause, and a thread that computes does not hear Ctrl-C. So the command runs in a worker, and
// this thread listens and loads nothing else. From source, where a worker would first have to learn TypeScript, one thread
// does both.

/** What a worker cannot find out about the terminal. */
type Terminal = Pick<Output, "isTTY" | "columns">;
type Terminals = Record<"stdout" | "stderr", Terminal>;

/** Time for temporary files to be removed. */
const GRACE_MS = 300;
/** Time for a frame or an image to be finished and saved, before whoever ends the process loses patience. */
const FRAME_MS = 8000;
/** A quarter of V8's default: frames and masks that nobody holds any more are given back sooner, a tenth of the memory in all. */
const YOUNG_MB = 12;

type Signal = keyof typeof EXIT_CODES;

if (isMainThread && import.meta.url.endsWith(".js")) listen();
else process.exitCode = await run((workerData as Terminals | null) ?? terminals());

function listen(): void {
  const worker = new Worker(new URL(import.meta.url), {
    argv: process.argv.slice(2),
    workerData: terminals(),
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  worker.on("exit", (code) => {
    process.exitCode ??= code;
  });
  worker.on("error", (error) => {
    process.stderr.write(
      `sam2: internal: expected to go on, got ${error.message}; take a smaller image size or model\n`,
    );
    process.exitCode = 1;
  });
  const interrupt = (signal: Signal, stopAfter: number | undefined) => {
    process.exitCode = EXIT_CODES[signal];
    worker.postMessage(signal);
    const stop = () => {
      process.stderr.write(`sam2: ${new Interruption(signal).message}\n`);
      worker.terminate();
    };
    if (stopAfter === undefined) process.once(signal, stop);
    else setTimeout(stop, stopAfter).unref();
  };
  const saves = ["track", "batch", "worker"].includes(process.argv[2]); // unless Ctrl-C comes twice
  const serves = process.argv[2] === "serve"; // it answers what is under way, and looks at the clock itself
  process.once("SIGINT", () => interrupt("SIGINT", saves || serves ? undefined : GRACE_MS));
  process.once("SIGTERM", () => interrupt("SIGTERM", serves ? undefined : saves ? FRAME_MS : GRACE_MS));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(); // the reader has seen enough, as in `sam2 … | head`
  });
}

async function run({ stdout, stderr }: Terminals): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = (signal: Signal) => interrupt.abort(new Interruption(signal));
  parentPort?.once("message", onSignal).unref();
  if (isMainThread) process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const { main } = await import("./cli.ts");
  return main(process.argv.slice(2), {
    stdout: { ...stdout, write: (text) => process.stdout.write(text) },
    stderr: { ...stderr, write: (text) => writeSync(2, text) }, // at once: a worker's stdout and stderr have no order
    env: process.env,
    signal: interrupt.signal,
  });
}

function terminals(): Terminals {
  const about = ({ isTTY, columns }: NodeJS.WriteStream): Terminal => ({ isTTY, columns });
  return { stdout: about(process.stdout), stderr: about(process.stderr) };
}
