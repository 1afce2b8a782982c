import { Problem } from "./problem.ts";

/** Where a task stands in a lane. */
export interface Place {
  /** tasks that may wait */
  limit: number;
  signal: AbortSignal;
}

/** Tasks one after the other, few of which may wait. */
export class Lane {
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #meanMs = 0;

  /** Tasks that wait or run. */
  get size(): number {
    return this.#waiting.length + (this.#busy ? 1 : 0);
  }

  /**
   * Run a task when those before it are done.
   *
   * @throws Problem 503 if too many wait; the signal's reason as soon as it is aborted
   */
  async run<R>(task: () => Promise<R>, { limit, signal }: Place): Promise<R> {
    signal.throwIfAborted();
    if (this.#busy) {
      if (this.#waiting.length >= limit) this.#refuse(limit);
      await this.#turn(signal);
    }
    this.#busy = true;
    const begun = performance.now();
    try {
      return await task();
    } finally {
      this.#meanMs += (performance.now() - begun - this.#meanMs) / 8;
      this.#busy = false;
      this.#waiting.shift()?.();
    }
  }

  #refuse(limit: number): never {
    const seconds = Math.max(1, Math.ceil((this.#meanMs * this.size) / 1000));
    const todo = `try again in ${seconds} s`;
    throw new Problem(503, ["server", `at most ${limit} requests of this kind that wait`, "one more", todo], {
      "retry-after": `${seconds}`,
    });
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        reject(signal.reason);
      };
      const start = () => {
        signal.removeEventListener("abort", leave);
        this.#busy = true;
        resolve();
      };
      this.#waiting.push(start);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
