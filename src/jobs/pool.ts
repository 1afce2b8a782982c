import { type ChildProcess, fork } from "node:child_process";
import { freemem } from "node:os";
import { unpackError } from "../engine/packed_error.ts";
import { EngineError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { pause } from "../platform/transfer.ts";
import { pauseAfter } from "./accident.ts";
import type { JobContext } from "./image_job.ts";
import type { FromProcess, ProcessOptions, ToProcess } from "./pool_messages.ts";
import type { JobResult } from "./process.ts";
import { type Ending, givenUp, MOST_DEATHS, type RunContext, type Runner } from "./runner.ts";
import type { ModelIdentity, Task } from "./task.ts";

export interface PoolOptions extends ProcessOptions {
  /** processes; by default as many as there are cores for their threads and memory for their models */
  workers?: number;
  /** aborts opening */
  signal?: AbortSignal;
}

/** What a task met in a process. */
type Answer =
  | { result: JobResult }
  | { error: Error; isAccident: boolean }
  | { died: string; /** had it begun? */ wasReady: boolean };

interface Waiting {
  task: Task;
  /** it was there when a process ended: no other shall be there if that happens again */
  alone: boolean;
  context: JobContext;
  settle: (answer: Answer) => void;
  fail: (error: unknown) => void;
}

/** A task that is computed, and one whose image is decoded meanwhile. */
const TOGETHER = 2;
/** A process that cannot even load the model will not do so later. */
const MOST_FALSE_STARTS = 2;
/** What a process needs with a large model. */
const BYTES_OF_PROCESS = 1.5e9;

const PROGRAM = import.meta.url.replace(/pool(\.[jt]s)$/, "pool_process$1");

/** Processes of this machine that have loaded a model. One that ends is replaced, and its tasks are tried again. */
export class Pool implements Runner {
  /** what its processes have loaded */
  readonly model: ModelIdentity;
  readonly capacity: number;
  readonly wantsBytes = true;
  readonly #options: PoolOptions;
  readonly #size: number;
  readonly #waiting: Waiting[] = [];
  #members: Member[];
  #falseStarts = 0;
  #broken: Error | undefined;

  private constructor(first: Member, model: ModelIdentity, options: PoolOptions) {
    this.model = model;
    this.#options = options;
    this.#size = options.workers ?? defaultWorkers(options.threads ?? 1);
    this.capacity = TOGETHER * this.#size;
    this.#members = [first];
    this.#watch(first);
  }

  /** Start the first process; the others start when they are needed. @throws Sam2Error if it cannot load the model */
  static async open(options: PoolOptions): Promise<Pool> {
    const { signal } = options;
    for (let starts = 1; ; starts++) {
      signal?.throwIfAborted();
      const first = new Member(options);
      const stop = () => first.stop();
      signal?.addEventListener("abort", stop, { once: true });
      try {
        return new Pool(first, await first.ready, options);
      } catch (error) {
        await first.stop();
        signal?.throwIfAborted();
        if (!(error instanceof EngineError) || starts === MOST_FALSE_STARTS) throw error;
      } finally {
        signal?.removeEventListener("abort", stop);
      }
    }
  }

  /** Why nothing can be computed any more. */
  get broken(): Error | undefined {
    return this.#broken;
  }

  async run(task: Task, context: RunContext): Promise<Ending> {
    const { signal, retries } = context;
    let deaths = 0;
    for (let attempts = 1; ; attempts++) {
      const answer = await this.#once(task, deaths > 0, context);
      if ("result" in answer) return { attempts, result: answer.result };
      signal?.throwIfAborted();
      if ("died" in answer) {
        if (!answer.wasReady) {
          attempts--;
          continue;
        }
        context.notice?.(`${task.where}: a worker process ended (${answer.died}); it is replaced`);
        if (++deaths === MOST_DEATHS) return { attempts: MOST_DEATHS, error: givenUp(task.where), isAccident: false };
      } else if (!answer.isAccident || attempts > retries) {
        return { attempts, error: answer.error.message, isAccident: answer.isAccident };
      }
      await pause(pauseAfter(attempts), signal);
    }
  }

  /** End the processes; tasks that wait are rejected. */
  async close(): Promise<void> {
    const members = this.#members;
    this.#members = [];
    this.#broken ??= new EngineError("pool", "a pool that is open", "one that was closed", "open another one");
    for (const { fail } of this.#waiting.splice(0)) fail(this.#broken);
    await Promise.all(members.map((member) => member.stop()));
  }

  #once(task: Task, alone: boolean, context: JobContext): Promise<Answer> {
    return new Promise((settle, fail) => {
      this.#waiting.push({ task, alone, context, settle, fail });
      this.#dispatch();
    });
  }

  /** In order: a task that must be alone lets those behind it wait until a process is free. */
  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const [{ task, alone, context, settle, fail }] = this.#waiting;
      if (this.#broken) {
        this.#waiting.shift();
        fail(this.#broken);
        continue;
      }
      const member = this.#memberFor(alone);
      if (!member) return;
      this.#waiting.shift();
      void member.run(task, alone, context).then((answer) => {
        settle(answer);
        this.#dispatch();
      });
    }
  }

  #memberFor(alone: boolean): Member | undefined {
    const free = this.#members.filter((member) => !member.isReserved && member.load < (alone ? 1 : TOGETHER));
    const [least] = free.sort((a, b) => a.load - b.load);
    if (least && (least.load === 0 || this.#members.length === this.#size)) return least;
    if (this.#members.length === this.#size) return undefined;
    const member = new Member(this.#options);
    this.#members.push(member);
    this.#watch(member);
    return member;
  }

  #watch(member: Member): void {
    member.ready.then(
      () => {
        this.#falseStarts = 0;
      },
      (error) => {
        this.#falseStarts++;
        if (this.#falseStarts === MOST_FALSE_STARTS) this.#broken ??= error;
      },
    );
    void member.ended.then(() => {
      this.#members = this.#members.filter((other) => other !== member);
      this.#dispatch();
    });
  }
}

interface Running {
  settle: (answer: Answer) => void;
  context: JobContext;
}

/** One process. */
class Member {
  readonly ready: Promise<ModelIdentity>;
  readonly ended: Promise<void>;
  /** has it a task that must be alone? */
  isReserved = false;
  readonly #child: ChildProcess;
  readonly #running = new Map<number, Running>();
  #next = 0;
  #wasReady = false;
  #death: string | undefined;

  constructor({ signal: _, workers: __, ...options }: PoolOptions) {
    this.#child = fork(new URL(PROGRAM), { serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"] });
    let resolve!: (model: ModelIdentity) => void;
    let reject!: (error: Error) => void;
    this.ready = new Promise((...both) => {
      [resolve, reject] = both;
    });
    this.ready.then(
      () => {
        this.#wasReady = true;
      },
      () => {}, // whoever waits for it is told
    );
    this.ended = new Promise((done) => {
      const end = (how: string) => {
        if (this.#death !== undefined) return;
        this.#death = how;
        reject(
          new EngineError("worker process", "a model that is loaded", how, "take a smaller model, or fewer workers"),
        );
        for (const { settle } of this.#running.values()) settle({ died: how, wasReady: this.#wasReady });
        this.#running.clear();
        done();
      };
      this.#child.on("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      this.#child.on("error", (error) => end(error.message));
    });
    this.#child.on("message", (message: FromProcess) => {
      if ("ready" in message) resolve(message.ready);
      else if ("broken" in message) {
        reject(unpackError(message.broken));
        this.#child.kill("SIGKILL");
      } else this.#hear(message);
    });
    this.#send({ load: options });
  }

  get load(): number {
    return this.#running.size;
  }

  run(task: Task, alone: boolean, context: JobContext): Promise<Answer> {
    const n = this.#next++;
    this.isReserved = alone;
    const { signal } = context;
    const abort = () => this.#send({ abort: n });
    return new Promise<Answer>((settle) => {
      if (this.#death !== undefined) return settle({ died: this.#death, wasReady: false });
      this.#running.set(n, { settle, context });
      this.#send({ run: n, task });
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    }).finally(() => {
      signal?.removeEventListener("abort", abort);
      if (alone) this.isReserved = false;
    });
  }

  /** It has nothing to lose: states are saved, results are told. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  #hear(message: Exclude<FromProcess, { ready: unknown } | { broken: unknown }>): void {
    if ("notice" in message) {
      const [first] = this.#running.values();
      first?.context.notice?.(message.notice);
      return;
    }
    const running = this.#running.get(message.of);
    if (!running) return;
    if ("progress" in message) return running.context.progress?.(message.progress);
    this.#running.delete(message.of);
    if ("result" in message) running.settle({ result: message.result });
    else running.settle({ error: unpackError(message.error), isAccident: message.isAccident });
  }

  #send(message: ToProcess): void {
    if (this.#child.connected) this.#child.send(message, () => {}); // who ends meanwhile says so by its exit
  }
}

function defaultWorkers(threads: number): number {
  const cores = Math.floor(platform.cores() / threads);
  return Math.max(1, Math.min(cores, Math.floor(freemem() / BYTES_OF_PROCESS)));
}
