import { Problem } from "./problem.ts";

interface Waiting {
  rank: number;
  start(): void;
}

/** How a task is lined up. */
export interface Place {
  /** the lower goes first */
  rank: number;
  /** tasks of this rank that may wait */
  limit: number;
  signal: AbortSignal;
}

/** Tasks one after the other, few of which may wait. */
export class Lane {
  readonly #waiting: Waiting[] = [];
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
  async run<R>(task: () => Promise<R>, { rank, limit, signal }: Place): Promise<R> {
    signal.throwIfAborted();
    if (this.#busy) {
      if (this.#waiting.filter((other) => other.rank === rank).length >= limit) this.#refuse(limit);
      await this.#turn(rank, signal);
    }
    this.#busy = true;
    const begun = performance.now();
    try {
      return await task();
    } finally {
      this.#meanMs += (performance.now() - begun - this.#meanMs) / 8;
      this.#busy = false;
      this.#waiting.shift()?.start();
    }
  }

  #refuse(limit: number): never {
    const seconds = Math.max(1, Math.ceil((this.#meanMs * this.size) / 1000));
    const todo = `try again in ${seconds} s`;
    throw new Problem(503, ["server", `at most ${limit} requests of this kind that wait`, "one more", todo], {
      "retry-after": `${seconds}`,
    });
  }

  #turn(rank: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        rank,
        start: () => {
          signal.removeEventListener("abort", leave);
          this.#busy = true;
          resolve();
        },
      };
      const behind = this.#waiting.findIndex((other) => other.rank > rank);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiting);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
