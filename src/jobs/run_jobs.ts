import { PromptError, Sam2Error } from "../errors.ts";
import { pause } from "../platform/transfer.ts";
import type { Progress } from "../predict/progress.ts";
import { isAccident, pauseAfter } from "./accident.ts";
import { mapAhead, mapUnordered } from "./flow.ts";
import { type Job, parseJob } from "./job.ts";
import type { JobResult } from "./process.ts";
import type { Runner } from "./runner.ts";
import { Stops } from "./stops.ts";
import { nonsenseKey, prepare, type Source, type Task, unreadableKey } from "./task.ts";

/** A job as it comes. */
export interface GivenJob {
  /** JSON, which is checked here; or why it is none */
  value: unknown;
  /** what to call it in an error, e.g. `jobs.jsonl:3` */
  where: string;
  /** where its files are; `RunJobsOptions.source` by default */
  source?: Source;
}

/** How a job ended. */
export type Outcome = {
  /** of the job among all, from 0 */
  index: number;
  /** what to call it, as it was given */
  where: string;
  /** names its result: the job's own, or else its key */
  id: string;
  /** of inputs, request and model */
  key: string;
  /** since it was read */
  ms: number;
} & (
  | {
      /** now */
      state: "done";
      /** as it was checked */
      job: Job;
      /** what its file holds */
      result: JobResult;
      /** 1 if it succeeded at once */
      attempts: number;
    }
  | {
      /** there is a result */
      state: "skipped";
      /** as another job of this run; else it was done before */
      equal: boolean;
    }
  | {
      /** there is none */
      state: "failed";
      /** as it was checked; none if it is no job, or has the id of another */
      job?: Job;
      /** why, in one line */
      error: string;
      /** 1 if another would be of no use */
      attempts: number;
    }
);

/** Who computes, from where, and who is told. */
export interface RunJobsOptions {
  /** a `Pool`, or a `QueueRunner` */
  runner: Runner;
  /** where files are that jobs name */
  source: Source;
  /** how often a job is tried again that failed by accident. 2 by default */
  retries?: number;
  /** Is there a result already? Then the job is skipped. */
  isDone?: (task: Pick<Task, "id" | "key" | "job">) => Promise<boolean>;
  /**
   * Aborted, it takes no more jobs, gives images under way some seconds to end, lets videos save how far they are, and then
   * throws the signal's reason.
   */
  signal?: AbortSignal;
  /** told how far a video is, by the job's `where` */
  progress?: (where: string, progress: Progress) => void;
  /** told what was guessed, and of accidents */
  notice?: (text: string) => void;
}

/** Files that are read before they are needed, at most. */
const MOST_AHEAD = 8;

type Prepared = { index: number; where: string; id: string; key: string; begun: number } & (
  { task: Task } | { job?: Job; error: string; attempts: number }
);

/**
 * Do all jobs, each once: of equal ones the first. Their outcomes come in the order in which they end, one for each job.
 *
 * @example
 * const runner = await Pool.open({ model: "tiny" });
 * for await (const { id, state } of runJobs(jobs, { runner, source: nodeSource(".") })) …
 *
 * @throws the signal's reason if aborted; Sam2Error if nothing can be computed at all
 */
export async function* runJobs(
  jobs: AsyncIterable<GivenJob> | Iterable<GivenJob>,
  options: RunJobsOptions,
): AsyncGenerator<Outcome> {
  const { runner, signal } = options;
  const once = new Once();
  const prepared = mapAhead(untilAborted(jobs, signal), Math.min(MOST_AHEAD, runner.capacity), (given, index) =>
    prepareGiven(given, index, options),
  );
  const stops = new Stops(signal);
  try {
    yield* mapUnordered(prepared, runner.capacity, (one) => settle(one, once, stops, options));
  } finally {
    stops.end();
  }
  signal?.throwIfAborted();
}

async function* untilAborted<T>(items: AsyncIterable<T> | Iterable<T>, signal?: AbortSignal): AsyncGenerator<T> {
  for await (const item of items) {
    if (signal?.aborted) return;
    yield item;
  }
}

/** Check a job, read its files, and give it its id. What was read by accident wrongly is read again. */
async function prepareGiven(
  { value, where, source }: GivenJob,
  index: number,
  options: RunJobsOptions,
): Promise<Prepared> {
  const { runner, retries = 2, signal } = options;
  const files = source ?? options.source;
  const base = { index, where, begun: performance.now() };
  let job: Job;
  try {
    if (value instanceof Sam2Error) throw value;
    job = parseJob(value, where);
  } catch (error) {
    const key = await nonsenseKey(value instanceof Sam2Error ? value.message : value);
    return { ...base, id: key, key, error: expectOurs(error).message, attempts: 1 };
  }
  for (let attempts = 1; ; attempts++) {
    try {
      const task = await prepare(job, where, runner.model, files);
      if (!runner.wantsBytes) for (const file of task.files) delete file.bytes;
      return { ...base, id: task.id, key: task.key, task };
    } catch (error) {
      signal?.throwIfAborted();
      if (isAccident(error) && attempts <= retries) {
        await pause(pauseAfter(attempts), signal);
        continue;
      }
      const key = await unreadableKey(job, runner.model, files);
      return { ...base, id: job.id ?? key, key, job, error: expectOurs(error).message, attempts };
    }
  }
}

async function settle(one: Prepared, once: Once, stops: Stops, options: RunJobsOptions): Promise<Outcome> {
  const { begun, ...head } = one;
  const { index, where, id, key } = one;
  const base = { index, where, id, key };
  const ms = () => Math.round((performance.now() - begun) * 10) / 10;
  const earlier = once.add(id, key);
  if (earlier === "equal") return { ...base, state: "skipped", equal: true, ms: ms() };
  if (earlier === "other") {
    const error = new PromptError(
      `${where}.id`,
      "an id of its own",
      `"${id}", as an earlier job`,
      "rename one of them",
    );
    return { ...base, state: "failed", error: error.message, attempts: 1, ms: ms() };
  }
  if ("error" in head) {
    return { ...base, state: "failed", job: head.job, error: head.error, attempts: head.attempts, ms: ms() };
  }
  const { task } = head;
  const { job } = task;
  const { runner, retries = 2, isDone, progress, notice } = options;
  if (await isDone?.({ id, key, job })) return { ...base, state: "skipped", equal: false, ms: ms() };
  const told = { retries, notice, progress: progress && ((reached: Progress) => progress(where, reached)) };
  const ending = await stops.run(job, (signal) => runner.run(task, { ...told, signal }));
  const { attempts } = ending;
  if ("error" in ending) return { ...base, state: "failed", job, error: ending.error, attempts, ms: ms() };
  return { ...base, state: "done", job, result: calledAs(ending.result, job), attempts, ms: ms() };
}

/** Somebody else may have submitted the same image by another name. */
function calledAs(result: JobResult, job: Job): JobResult {
  if (typeof result === "string" || "video" in job) return result;
  return { ...result, image: { ...result.image, path: job.image } };
}

/** Of equal jobs the first is done. Some 100 bytes a job are kept. */
class Once {
  readonly #keys = new Map<string, string>();

  /** Was there one of this id, with this content or another? */
  add(id: string, key: string): "equal" | "other" | undefined {
    const earlier = this.#keys.get(id);
    if (earlier !== undefined) return earlier === key ? "equal" : "other";
    this.#keys.set(id, key);
    return undefined;
  }
}

/** Errors that nobody meant are told whole, and fail the job alone. */
function expectOurs(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
