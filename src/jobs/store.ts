import { createReadStream } from "node:fs";
import { appendFile, mkdir, open, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Sam2Error } from "../errors.ts";
import { systemReason, writeWhole } from "../platform/node_files.ts";
import type { Job } from "./job.ts";
import { type JobResult, textOf } from "./process.ts";
import type { Outcome } from "./run_jobs.ts";
import { forgetVideo } from "./saved_state.ts";
import type { ModelIdentity } from "./task.ts";

/** What batch.json says: the same after one run as after several that were interrupted. */
export interface BatchSummary {
  /** whose results they are */
  model: ModelIdentity;
  /** all, of which some are done, some failed, and some equal earlier ones */
  jobs: number;
  /** with a result, of this run or an earlier one */
  done: number;
  /** without one */
  failed: number;
  /** to a job before */
  equal: number;
  /** keys of jobs that have a name of their own: whether a result is that of the job as it is now */
  named: Record<string, string>;
}

const FAILED = "failed.jsonl";
const SUMMARY = "batch.json";
/** In HELPERS: keys of named jobs, as they are done. */
const NAMED = "named.jsonl";
const LOCK = "lock.json";

/**
 * The folder of a batch's results. A file is written in `.running`, synced and moved to its place, so that it is whole or
 * not there, whatever dies.
 */
export class Store {
  /** of results */
  readonly folder: string;
  /** of files that are not results, gone in the end: there videos keep how far they are */
  readonly scratch: string;
  readonly #named: Map<string, string>;
  readonly #failures: OrderedLines;
  readonly #counts = { jobs: 0, done: 0, failed: 0, equal: 0 };

  private constructor(folder: string, scratch: string, named: Map<string, string>) {
    this.folder = folder;
    this.scratch = scratch;
    this.#named = named;
    this.#failures = new OrderedLines(join(scratch, FAILED));
  }

  /** @throws Sam2Error if it cannot be written, or another batch is writing there */
  static async open(folder: string): Promise<Store> {
    const scratch = join(folder, ".running");
    try {
      await mkdir(scratch, { recursive: true });
      await lock(scratch, folder);
      await rm(join(scratch, FAILED), { force: true });
    } catch (cause) {
      throw writeError(folder, cause);
    }
    return new Store(folder, scratch, await readNamed(folder, scratch));
  }

  /** Is there a result of this job, as it is now? */
  async has({ id, key, job }: { id: string; key: string; job: Job }): Promise<boolean> {
    const there = await exists(this.#path(id, job));
    return there && (this.#named.get(id) ?? key) === key;
  }

  /** Keep what came of a job. Every job of the batch is told once, in whatever order. */
  async settle(outcome: Outcome): Promise<void> {
    const { index, id, key, state } = outcome;
    this.#counts.jobs++;
    if (state === "failed") this.#counts.failed++;
    else if (state === "skipped" && outcome.equal) this.#counts.equal++;
    else this.#counts.done++;
    try {
      if (state === "done") await this.#write(id, key, outcome.job, outcome.result);
      if (state === "failed" && outcome.job?.id !== undefined) await this.#forget(id);
      const line = state === "failed" ? { id, error: outcome.error, attempts: outcome.attempts } : undefined;
      await this.#failures.settle(index, line && `${JSON.stringify(line)}\n`);
    } catch (cause) {
      throw writeError(this.folder, cause);
    }
  }

  /** Write failed.jsonl and batch.json; only results are left beside them. */
  async finish(model: ModelIdentity): Promise<BatchSummary> {
    const summary = { model, ...this.#counts, named: Object.fromEntries([...this.#named].sort()) };
    try {
      await this.#failures.close();
      await rename(join(this.scratch, FAILED), join(this.folder, FAILED));
      await writeWhole(join(this.folder, SUMMARY), `${JSON.stringify(summary)}\n`, join(this.scratch, SUMMARY));
      await rm(this.scratch, { recursive: true, force: true });
      await sync(this.folder);
    } catch (cause) {
      throw writeError(this.folder, cause);
    }
    return summary;
  }

  /** Stop before all is done: what can be gone on with stays. */
  async leave(): Promise<void> {
    await rm(join(this.scratch, LOCK), { force: true });
    for (const folder of [this.scratch, this.folder]) await rmdir(folder).catch(() => {}); // if nothing is in it
  }

  async #write(id: string, key: string, job: Job, result: JobResult): Promise<void> {
    const place = this.#path(id, job);
    if (job.id !== undefined) {
      await this.#forget(id);
      await appendFile(join(this.scratch, NAMED), `${JSON.stringify([id, key])}\n`);
      this.#named.set(id, key);
    }
    await writeWhole(place, textOf(result), join(this.scratch, `${id}.tmp`));
    if ("video" in job) await forgetVideo(this.scratch, key);
  }

  /** What a job that had this name before has left: it must not pass for the result of this one. */
  async #forget(id: string): Promise<void> {
    if (!this.#named.delete(id)) return;
    for (const ending of ["json", "jsonl"]) await rm(join(this.folder, `${id}.${ending}`), { force: true });
  }

  #path(id: string, job: Job): string {
    return join(this.folder, `${id}.${"video" in job ? "jsonl" : "json"}`);
  }
}

/** Lines of a file in the order of their numbers, whenever they come. */
class OrderedLines {
  readonly #path: string;
  readonly #early = new Map<number, string | undefined>();
  #next = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** @param line none, if there is nothing to say of this number */
  async settle(index: number, line: string | undefined): Promise<void> {
    this.#early.set(index, line);
    let text = "";
    for (; this.#early.has(this.#next); this.#next++) {
      text += this.#early.get(this.#next) ?? "";
      this.#early.delete(this.#next);
    }
    if (text !== "") this.#writing = this.#writing.then(() => appendFile(this.#path, text));
    await this.#writing;
  }

  async close(): Promise<void> {
    await appendFile(this.#path, "");
    await sync(this.#path);
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync().catch(() => {}); // not every system can sync a folder
  } finally {
    await file.close();
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** @throws Sam2Error if another process of this machine has it */
async function lock(scratch: string, folder: string): Promise<void> {
  const path = join(scratch, LOCK);
  const mine = { pid: process.pid, host: hostname() };
  const text = await readFile(path, "utf8").catch(() => undefined);
  const other = text === undefined ? undefined : parsed<Partial<typeof mine>>(text);
  if (other?.pid !== undefined && other.pid !== mine.pid && other.host === mine.host && isAlive(other.pid)) {
    const todo = `wait for it, choose another --out, or remove ${path} if that process is none of ours`;
    throw new Sam2Error(folder, "a folder that no other batch writes to", `process ${other.pid}`, todo);
  }
  await writeWhole(path, JSON.stringify(mine));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Of the last run that ended, and of one that did not. */
async function readNamed(folder: string, scratch: string): Promise<Map<string, string>> {
  const text = await readFile(join(folder, SUMMARY), "utf8").catch(() => "{}");
  const named = new Map(Object.entries(parsed<Partial<BatchSummary>>(text)?.named ?? {}));
  const path = join(scratch, NAMED);
  if (!(await exists(path))) return named;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const pair = parsed<[string, string]>(line); // the last one may be cut off
    if (pair) named.set(...pair);
  }
  return named;
}

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

function writeError(folder: string, cause: unknown): Sam2Error {
  if (cause instanceof Sam2Error) return cause;
  const todo = "free some space, or choose another --out; the same command goes on where this one stopped";
  return new Sam2Error(folder, "a folder that can be written", systemReason(cause), todo, { cause });
}
