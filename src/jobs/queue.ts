import type { Job as QueueJob, Queue, QueueEvents } from "bullmq";
import { pause } from "../platform/transfer.ts";
import { FIRST_PAUSE_MS, isAccident } from "./accident.ts";
import { packVideo } from "./carried_video.ts";
import type { JobResult } from "./process.ts";
import { openRedis, type QueuedTask, queueName, type Redis } from "./redis.ts";
import { type Ending, givenUp, MOST_DEATHS, type RunContext, type Runner } from "./runner.ts";
import type { ModelIdentity, Task } from "./task.ts";

/** Where to submit. */
export interface QueueOptions {
  /** redis://HOST:PORT */
  queue: string;
  /** whose results are asked for: a worker of another model does not take these jobs */
  model: ModelIdentity;
  /** send the bytes of files along, for workers that cannot read them */
  carry?: boolean;
  /** told of settings with which jobs may get lost, and of a server that is away */
  notice?: (text: string) => void;
}

/** Jobs that wait in the server: enough for many workers, and with their bytes for some. */
const MOST_WAITING = { plain: 128, carried: 16 };
/** What is asked for again, should a message have been lost with a server that was started anew. */
const CHECK_MS = 3000;
/** Results are kept for others who submit the same job. */
const KEPT = { age: 3600, count: 5000 };
/** What BullMQ says of a job whose workers ended twice. */
const STALLED = /stalled more than allowable limit/;

/** Workers behind a queue, as one that submits to it sees them. */
export class QueueRunner implements Runner {
  /** whose results are asked for */
  readonly model: ModelIdentity;
  readonly capacity: number;
  readonly wantsBytes: boolean;
  readonly #queue: Queue<QueuedTask, { result: JobResult }>;
  readonly #events: QueueEvents;
  readonly #bells = new Map<string, Bell>();
  readonly #began = Date.now();
  readonly #timer: NodeJS.Timeout;

  private constructor({ bullmq, connection }: Redis, { model, carry = false, notice = () => {} }: QueueOptions) {
    this.model = model;
    this.wantsBytes = carry;
    this.capacity = carry ? MOST_WAITING.carried : MOST_WAITING.plain;
    const name = queueName(model);
    this.#queue = new bullmq.Queue(name, { connection });
    this.#events = new bullmq.QueueEvents(name, { connection });
    const ring = ({ jobId }: { jobId: string }) => this.#bells.get(jobId)?.ring();
    this.#events.on("completed", ring).on("failed", ring);
    const away = saysOnce(notice);
    this.#queue.on("error", away);
    this.#events.on("error", away);
    this.#timer = setInterval(() => {
      for (const bell of this.#bells.values()) bell.ring();
    }, CHECK_MS);
  }

  /** @throws Sam2Error if BullMQ is not installed, or no server answers within seconds */
  static async open(options: QueueOptions): Promise<QueueRunner> {
    return new QueueRunner(await openRedis(options.queue, options.notice ?? (() => {})), options);
  }

  /** How many workers of this model there are, of all submitters. */
  countWorkers(): Promise<number> {
    return this.#queue.getWorkersCount();
  }

  async run(task: Task, { signal, retries }: RunContext): Promise<Ending> {
    const { key } = task;
    await this.#forgetFailure(key);
    const bell = new Bell();
    this.#bells.set(key, bell);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const state = await this.#queue.getJobState(key);
        const job = ["completed", "failed"].includes(state) ? await this.#queue.getJob(key) : undefined;
        if (job?.finishedOn !== undefined) return endingOf(job, task.where);
        if (state === "unknown") {
          const data = await this.#queued(task).catch((error: Error) => error);
          if (data instanceof Error) return { error: data.message, isAccident: isAccident(data), attempts: 1 };
          await this.#add(data, retries);
        }
        await bell.next(signal);
      }
    } finally {
      this.#bells.delete(key);
    }
  }

  /** Submit nothing more; what was submitted stays in the queue. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closing = [this.#events, this.#queue].map((part) => part.close());
    await Promise.race([Promise.allSettled(closing), pause(CHECK_MS)]); // a server that is away does not say goodbye
    for (const part of [this.#events, this.#queue]) await part.disconnect().catch(() => {});
  }

  /** @throws Sam2Error if it cannot be carried */
  async #queued({ id, key, where, job, files }: Task): Promise<QueuedTask> {
    const sent: QueuedTask["files"] = files.map(({ bytes, ...file }) => ({
      ...file,
      ...(bytes && this.wantsBytes && { bytes: Buffer.from(bytes).toString("base64") }),
    }));
    if (this.wantsBytes && "video" in job) Object.assign(sent[0], await packVideo(files[0].path, files[0].name));
    return { id, key, where, job, files: sent };
  }

  /** Equal jobs of several submitters are one: the server knows them by their key. */
  async #add(data: QueuedTask, retries: number): Promise<void> {
    await this.#queue.add("job", data, {
      jobId: data.key,
      attempts: retries + 1,
      backoff: { type: "exponential", delay: FIRST_PAUSE_MS },
      removeOnComplete: KEPT,
      removeOnFail: KEPT,
    });
  }

  /** What failed in an earlier run is tried again. */
  async #forgetFailure(key: string): Promise<void> {
    const job = await this.#queue.getJob(key);
    const isOld = job?.failedReason && job.finishedOn !== undefined && job.finishedOn < this.#began;
    if (isOld) await job.remove().catch(() => {}); // another submitter has done so
  }
}

/** Somebody waits for it; what rings meanwhile is not missed. */
class Bell {
  #rung = false;
  #wake = () => {};

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  /** @throws the signal's reason if aborted */
  async next(signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const stop = () => reject(signal!.reason);
      this.#wake = () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      signal?.addEventListener("abort", stop, { once: true });
      if (this.#rung) this.#wake();
    });
    this.#rung = false;
  }
}

function endingOf(job: QueueJob<QueuedTask, { result: JobResult }>, where: string): Ending {
  const { failedReason, attemptsMade, returnvalue } = job;
  if (!failedReason) return { attempts: attemptsMade, result: returnvalue.result };
  const error = STALLED.test(failedReason) ? givenUp(where) : failedReason;
  return { error, isAccident: false, attempts: error === givenUp(where) ? MOST_DEATHS : attemptsMade };
}

/** Errors of a connection come again and again while a server is away. */
export function saysOnce(notice: (text: string) => void): (error: Error) => void {
  let last = "";
  return ({ message }) => {
    if (message === last) return;
    last = message;
    notice(`queue: ${message}; waiting for the server`);
  };
}
