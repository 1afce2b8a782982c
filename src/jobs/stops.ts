import type { Job } from "./job.ts";
import { GRACE_MS } from "./runner.ts";

/**
 * Ends tasks when `signal` is aborted: videos at once, for they are saved, images after a grace. Each has a signal of its own,
 * so that `signal` is listened to once, however many there are.
 */
export class Stops {
  readonly #signal: AbortSignal | undefined;
  readonly #videos = new Set<AbortController>();
  readonly #images = new Set<AbortController>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLate = false;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
    if (signal?.aborted) this.#stop();
    else signal?.addEventListener("abort", this.#stop, { once: true });
  }

  /** @throws as the task does, which is given the signal's reason */
  async run<R>(job: Job, task: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const kind = "video" in job ? this.#videos : this.#images;
    const own = new AbortController();
    kind.add(own);
    if (this.#signal?.aborted && (kind === this.#videos || this.#isLate)) own.abort(this.#signal.reason);
    try {
      return await task(own.signal);
    } finally {
      kind.delete(own);
    }
  }

  /** No task is left. */
  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#stop);
  }

  readonly #stop = () => {
    this.#abort(this.#videos);
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#abort(this.#images);
    }, GRACE_MS);
  };

  #abort(tasks: Set<AbortController>): void {
    for (const task of tasks) task.abort(this.#signal!.reason);
  }
}
