import { Problem } from "./problem.ts";

interface Waiting {
  rank: number;
  start(): void;
}

/** Where a task stands in a lane. */
export interface Place {
  /** the lower goes first */
  rank: number;
  /** tasks of this rank that may wait */
  limit: number;
  signal: AbortSignal;
}

/** So many tasks of lower rank may overtake one that waits. */
const PATIENCE = 64;

/** Tasks one after the other, few of which may wait. */
export class Lane {
  readonly #waiting: Waiting[] = [];
  #overtaken = 0;
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
      this.#next()?.start();
    }
  }

  /** The first in line, or the last one if it was overtaken too often. */
  #next(): Waiting | undefined {
    if (this.#waiting.length === 0) return undefined;
    const last = this.#waiting.findIndex(({ rank }) => rank === this.#waiting.at(-1)!.rank);
    const at = this.#overtaken >= PATIENCE ? last : 0;
    this.#overtaken = at === last ? 0 : this.#overtaken + 1;
    return this.#waiting.splice(at, 1)[0];
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
