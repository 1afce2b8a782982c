import type { Job as QueueJob } from "bullmq";
import { mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { isAccident } from "./accident.ts";
import { unpackVideo } from "./carried_video.ts";
import { withBytes } from "./node_source.ts";
import { Pool, type PoolOptions } from "./pool.ts";
import type { JobResult } from "./process.ts";
import { saysOnce } from "./queue.ts";
import { openRedis, type QueuedTask, queueName } from "./redis.ts";
import { forgetVideo, videoFolder } from "./saved_state.ts";
import { Stops } from "./stops.ts";
import type { ModelIdentity, Task } from "./task.ts";

export interface WorkerOptions extends PoolOptions {
  /** redis://HOST:PORT */
  queue: string;
  /** processes that compute, instead of new ones */
  pool?: Pool;
  /** a job whose worker has not been heard of for so long is given to another one; 10 s by default */
  lockMs?: number;
  /** told of settings with which jobs may get lost, of accidents, and of what was guessed */
  notice?: (text: string) => void;
  /** told of each job that ended here */
  onEnd?: (end: { id: string; state: "done" | "failed"; ms: number }) => void;
}

/** Takes jobs of one model from a queue. */
export interface QueueWorker {
  /** whose jobs it takes */
  readonly model: ModelIdentity;
  /** rejects if no process can load the model any more */
  readonly broken: Promise<never>;
  /** Take no more jobs; images under way end, videos are saved and given back. */
  close(): Promise<void>;
}

/**
 * Compute jobs that others submit.
 *
 * @throws Sam2Error if the model cannot be loaded, BullMQ is not installed, or no server answers within seconds
 */
export async function createWorker(options: WorkerOptions): Promise<QueueWorker> {
  const { queue, pool: given, lockMs = 10_000, notice = () => {}, onEnd, ...poolOptions } = options;
  const { bullmq, connection } = await openRedis(queue, notice);
  const scratch = poolOptions.scratch ?? (await scratchFolder());
  const pool = given ?? (await Pool.open({ ...poolOptions, scratch }));
  const stop = new AbortController();
  const stops = new Stops(stop.signal);
  const stopped = new Error("the worker ends");
  let breakDown!: (error: Error) => void;
  const broken = new Promise<never>((_, reject) => {
    breakDown = reject;
  });
  broken.catch(() => {}); // whoever asks is told

  const compute = async (job: QueueJob<QueuedTask>, signal: AbortSignal): Promise<JobResult> => {
    const task = await withBytes(await unpacked(job.data, scratch), signal);
    const progress = "video" in task.job ? latest((fraction) => job.updateProgress(fraction)) : undefined;
    const ending = await pool.run(task, {
      signal,
      retries: 0, // the queue has its own
      notice,
      progress: progress && (({ fraction }) => progress(fraction ?? 0)),
    });
    if ("result" in ending) return ending.result;
    throw ending.isAccident ? new Error(ending.error) : new bullmq.UnrecoverableError(ending.error);
  };

  const take = async (job: QueueJob<QueuedTask>, token?: string): Promise<{ result: JobResult }> => {
    const begun = performance.now();
    const end = (state: "done" | "failed") => {
      onEnd?.({ id: job.data.id, state, ms: Math.round((performance.now() - begun) * 10) / 10 });
    };
    try {
      const result = await stops.run(job.data.job, (signal) => compute(job, signal));
      await forgetVideo(scratch, job.data.key);
      end("done");
      return { result };
    } catch (error) {
      if (error === stopped || error === pool.broken) {
        if (pool.broken) breakDown(pool.broken);
        await job.moveToDelayed(Date.now(), token); // given back; it counts as no attempt
        throw new bullmq.DelayedError();
      }
      end("failed");
      const isFinal = error instanceof bullmq.UnrecoverableError || !isAccident(error);
      if (!isFinal) throw error;
      await forgetVideo(scratch, job.data.key);
      throw new bullmq.UnrecoverableError((error as Error).message);
    }
  };

  const worker = new bullmq.Worker(queueName(pool.model), take, {
    connection,
    concurrency: pool.capacity,
    lockDuration: lockMs, // renewed every half of it, while processes of their own compute
    stalledInterval: lockMs / 2,
    maxStalledCount: 1, // a job whose worker ended twice is given up
  });
  worker.on("error", saysOnce(notice));
  return {
    model: pool.model,
    broken,
    async close() {
      stop.abort(stopped);
      await worker.close();
      stops.end();
      if (!given) await pool.close();
    },
  };
}

/** A video that came along is laid out in `scratch`. */
async function unpacked({ files: [first, ...masks], ...task }: QueuedTask, scratch: string): Promise<Task> {
  const read = ({ bytes, ...file }: QueuedTask["files"][number]): Task["files"][number] => ({
    ...file,
    ...(bytes !== undefined && { bytes: new Uint8Array(Buffer.from(bytes, "base64")) }),
  });
  const { bytes, frames, ...file } = first;
  if (!("video" in task.job)) return { ...task, files: [first, ...masks].map(read) };
  const isCarried = bytes !== undefined || frames !== undefined;
  const folder = join(videoFolder(scratch, task.key), `carried-${process.pid}`);
  const path = isCarried ? await unpackVideo({ bytes, frames }, folder) : file.path;
  return { ...task, files: [{ ...file, path }, ...masks.map(read)] };
}

/** Where videos keep how far they are, for the next worker of this user on this machine. */
async function scratchFolder(): Promise<string> {
  const folder = join(tmpdir(), `sam2-jobs-${userInfo().username}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Tell the latest value, one at a time. */
function latest(tell: (value: number) => Promise<void>): (value: number) => void {
  let telling = false;
  let next: number | undefined;
  return async (value) => {
    next = value;
    if (telling) return;
    telling = true;
    while (next !== undefined) {
      const now: number = next;
      next = undefined;
      await tell(now).catch(() => {});
    }
    telling = false;
  };
}
