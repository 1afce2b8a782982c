/** Calls of which only the newest counts: while one runs, the next waits, and whoever waited before it is dropped. */
export class Latest<A> {
  readonly #run: (args: A) => Promise<void>;
  #waiting: { args: A } | undefined;
  #running = false;

  constructor(run: (args: A) => Promise<void>) {
    this.#run = run;
  }

  async ask(args: A): Promise<void> {
    this.#waiting = { args };
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#waiting) {
        const { args: next } = this.#waiting;
        this.#waiting = undefined;
        await this.#run(next);
      }
    } finally {
      this.#running = false;
    }
  }

  drop(): void {
    this.#waiting = undefined;
  }
}
