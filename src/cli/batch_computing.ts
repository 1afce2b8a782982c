import { Pool } from "../jobs/pool.ts";
import { createWorker } from "../jobs/queue_worker.ts";
import { QueueRunner } from "../jobs/queue.ts";
import { openRedis } from "../jobs/redis.ts";
import type { Runner } from "../jobs/runner.ts";
import type { ModelOptions } from "./options.ts";

/** Who computes a batch, until it is closed. */
export interface Computing {
  runner: Runner;
  close(): Promise<void>;
}

interface Options extends ModelOptions {
  workers?: number;
  queue?: string;
  carry?: boolean;
}

/** How long nobody may answer before it is said. */
const LONELY_MS = 3000;

/** Processes of this machine; with --queue workers anywhere, and these too if they were asked for. */
export async function openComputing(
  model: string,
  scratch: string,
  { config, imageSize, kernels, threads, workers, queue, carry }: Options,
  notice: (text: string) => void,
  signal: AbortSignal,
): Promise<Computing> {
  const poolOptions = { model, config, imageSize, kernels, threads, scratch, signal };
  if (queue === undefined) {
    const pool = await Pool.open({ ...poolOptions, workers });
    return { runner: pool, close: () => pool.close() };
  }
  await openRedis(queue, () => {}); // says at once if nobody is there
  const pool = await Pool.open({ ...poolOptions, workers: Math.max(1, workers ?? 0) });
  const ends = [() => pool.close()];
  const close = async () => {
    for (const end of ends.toReversed()) await end();
  };
  try {
    const runner = await QueueRunner.open({ queue, model: pool.model, carry, notice });
    ends.push(() => runner.close());
    if (workers) {
      const worker = await createWorker({ queue, pool, scratch, notice });
      ends.push(() => worker.close());
    } else {
      await pool.close(); // it has told which model it is
      const timer = setTimeout(async () => {
        if ((await runner.countWorkers().catch(() => 1)) > 0) return;
        notice(`no worker with ${model} listens yet: sam2 worker --queue ${queue} --model ${model}`);
      }, LONELY_MS);
      ends.push(async () => clearTimeout(timer));
    }
    return { runner, close };
  } catch (error) {
    await close();
    throw error;
  }
}
