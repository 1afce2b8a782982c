import type { Command } from "commander";
import { createWorker } from "../jobs/queue_worker.ts";
import { notify } from "../platform/notices.ts";
import { type Io, Status } from "./io.ts";
import { chosenModel } from "./models.ts";
import { addModelOptions, count, type ModelOptions } from "./options.ts";

interface WorkerOptions extends ModelOptions {
  model?: string;
  queue: string;
  workers?: number;
}

const EXAMPLES = `
Examples:
  redis-server --appendonly yes --maxmemory-policy noeviction           on one machine
  sam2 worker --queue redis://10.0.0.5:6379 --model tiny                on as many as there are
  sam2 batch jobs.jsonl --queue redis://10.0.0.5:6379 --model tiny --out results

A worker takes the jobs of its own model and options alone: the same --model, --config, --image-size and --kernels as batch
has. Images are read by path or address, or come along with --carry; results go back through the queue. Needs the packages
bullmq and ioredis: npm install bullmq ioredis. Ctrl-C and SIGTERM let images under way end and give videos back.
`;

/** sam2 worker --queue URL */
export function addWorker(program: Command, io: Io): void {
  const command = program
    .command("worker")
    .summary("compute jobs that sam2 batch --queue submits")
    .description("One machine of a fleet: it takes jobs from a queue until it is ended.")
    .requiredOption("--queue <url>", "redis://HOST:PORT of Redis or Valkey")
    .option("--workers <n>", "processes, each with the model (default: as cores and memory allow)", count("--workers"));
  addModelOptions(command, "threads of each process (default: 1)");
  command.addHelpText("after", EXAMPLES).action((options: WorkerOptions) => work(options, io));
}

async function work(options: WorkerOptions, io: Io): Promise<void> {
  const { queue, workers, config, imageSize, kernels, threads, quiet, json } = options;
  const { signal } = io;
  const status = new Status(io, quiet);
  const model = await chosenModel(options, io);
  status.show(`loading ${model} …`);
  const counts = { done: 0, failed: 0 };
  const show = () => status.show(`${counts.done} done · ${counts.failed} failed · waiting for jobs …`);
  const worker = await createWorker({
    ...{ queue, model, workers, config, imageSize, kernels, threads, signal },
    notice: (text) => {
      status.clear();
      notify(text);
    },
    onEnd: (end) => {
      counts[end.state]++;
      if (json) io.stdout.write(`${JSON.stringify(end)}\n`);
      show();
    },
  });
  try {
    show();
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    });
    await Promise.race([worker.broken, stopped]);
  } finally {
    status.clear();
    await worker.close();
  }
}
