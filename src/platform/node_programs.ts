/**
 * Programs that run beside this process. What they write is read by a thread of its own, so that it comes in even while
 * this one computes and hears of nothing: when the computing is done, it is there.
 */
import { startWorker } from "./node_workers.ts";
import type { Program, WorkerHandle } from "./types.ts";

export type ToPrograms =
  | { id: number; type: "start"; name: string; args: readonly string[]; env: NodeJS.ProcessEnv }
  | { id: number; type: "read"; length: number; room?: Uint8Array<ArrayBuffer> }
  | { id: number; type: "stop" };

export type FromPrograms =
  | { id: number; type: "started"; pid: number }
  | { id: number; type: "failed"; message: string; code?: string }
  | { id: number; type: "said"; text: string }
  | { id: number; type: "bytes"; bytes: Uint8Array }
  | { id: number; type: "ended"; how: string };

/** Those that run, and those that have ended but may be read. */
const programs = new Map<number, RunningProgram>();
let thread: WorkerHandle | undefined;
let ids = 0;

/** It ends with this process: when it next writes, for then nobody holds the other end of the pipe. */
export async function startProgram(
  name: string,
  args: readonly string[],
  onStderr: (text: string) => void,
): Promise<Program> {
  thread ??= startThread();
  const id = ids++;
  const program = new RunningProgram(id, thread, onStderr);
  programs.set(id, program);
  thread.post({ id, type: "start", name, args, env: { ...process.env } } satisfies ToPrograms);
  holdThread();
  await program.started;
  return program;
}

function startThread(): WorkerHandle {
  return startWorker("programs", {
    onMessage: (message) => programs.get((message as FromPrograms).id)?.receive(message as FromPrograms),
    onDeath(why) {
      thread = undefined;
      for (const program of programs.values()) program.abandon(`its reader ended: ${why}`);
    },
  });
}

/** This process goes on while a program runs, or is read. */
function holdThread(): void {
  thread?.hold([...programs.values()].some(({ isBusy }) => isBusy));
}

class RunningProgram implements Program {
  readonly started: Promise<void>;
  readonly ended: Promise<string>;
  readonly #id: number;
  readonly #thread: WorkerHandle;
  readonly #onStderr: (text: string) => void;
  readonly #reads: ((bytes: Uint8Array) => void)[] = [];
  #onStart!: (failure?: Error) => void;
  #onEnd!: (how: string) => void;
  #pid: number | undefined;
  #isStopped = false;
  #isAbandoned = false;
  #hasEnded = false;

  constructor(id: number, thread: WorkerHandle, onStderr: (text: string) => void) {
    this.#id = id;
    this.#thread = thread;
    this.#onStderr = onStderr;
    this.started = new Promise((resolve, reject) => {
      this.#onStart = (failure) => (failure ? reject(failure) : resolve());
    });
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
  }

  get isBusy(): boolean {
    return !this.#hasEnded || this.#reads.length > 0;
  }

  receive(message: FromPrograms): void {
    switch (message.type) {
      case "started":
        this.#pid = message.pid;
        this.#onStart();
        break;
      case "failed":
        this.#onStart(Object.assign(new Error(message.message), { code: message.code }));
        this.#forget();
        break;
      case "said":
        this.#onStderr(message.text);
        break;
      case "bytes":
        this.#reads.shift()?.(message.bytes);
        break;
      case "ended":
        this.#hasEnded = true;
        this.#onEnd(message.how);
        if (this.#isStopped) this.#forget();
    }
    holdThread();
  }

  /** The thread that read it has died, and what it wrote with it. */
  abandon(how: string): void {
    this.#isAbandoned = true;
    if (this.#pid !== undefined) kill(this.#pid);
    this.#onStart(new Error(how));
    for (const resolve of this.#reads.splice(0)) resolve(new Uint8Array());
    this.receive({ id: this.#id, type: "ended", how });
  }

  async read(length: number, room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    if (this.#isAbandoned) return new Uint8Array();
    return new Promise((resolve) => {
      this.#reads.push(resolve);
      const given = room ? [room.buffer] : [];
      this.#thread.post({ id: this.#id, type: "read", length, room } satisfies ToPrograms, given);
      holdThread();
    });
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#hasEnded) this.#forget();
    else kill(this.#pid!); // before its output is closed, or it may end by that
    this.#thread.post({ id: this.#id, type: "stop" } satisfies ToPrograms);
  }

  #forget(): void {
    for (const resolve of this.#reads) resolve(new Uint8Array());
    programs.delete(this.#id);
  }
}

/** Kill a process, and what it has started. */
function kill(pid: number): void {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch {
    // it has ended just now
  }
}
