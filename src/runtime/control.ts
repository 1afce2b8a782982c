/**
 * How threads share the tiles of one kernel call: a block of shared memory with the call and a counter of tiles.
 *
 * The calling thread writes the call and opens it. Whoever is free enters, takes tiles until none is left, and leaves; the
 * caller takes tiles too. Then it closes the call, so that nobody enters any more, and waits until all have left: every
 * tile was taken by someone who finished it, and only now may the next call be written. A helper that wakes too late
 * finds the call closed and sleeps on. Nobody needs to be waited for who does not work.
 */

/** What a helper needs to begin. */
export interface HelperStart {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  control: SharedArrayBuffer;
  /** address of its own scratch */
  scratch: number;
}

/** An exported kernel: the call's numbers, then scratch and a range of tiles. */
export type TileKernel = (...args: number[]) => void;

// Indices of 32-bit words. The busy ones lie on cache lines of their own.
const STATE = 0; // OPEN, or 0; plus the number of helpers at work
const NEXT = 16; // the first tile that nobody has taken
const CALL = 32; // counts calls; helpers sleep on it
const FAULTS = 33; // helpers that failed
const KERNEL = 34; // place in the module's list of exports
const TILES = 35;
const CHUNK = 36; // tiles that are taken at a time
const ARGS = 37; // how many numbers follow
const NUMBERS = 40;
const MOST_NUMBERS = 60;
const BYTES = 4 * NUMBERS + 8 * MOST_NUMBERS;

const OPEN = 1 << 16;

/** Looks before a thread goes to sleep; waking one takes 10 to 50 µs, as long as a small call. */
const SPINS = 8000;

export class Control {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.#words = new Int32Array(buffer, 0, NUMBERS);
    this.#numbers = new Float64Array(buffer, 4 * NUMBERS, MOST_NUMBERS);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  /** May this thread sleep? A page's main thread may not. */
  static get canWait(): boolean {
    if (typeof SharedArrayBuffer === "undefined") return false;
    try {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
      return true;
    } catch {
      return false;
    }
  }

  /** Let helpers enter a new call; those who sleep and may be of use are woken. */
  open(kernel: number, tiles: number, chunk: number, numbers: readonly number[]): void {
    const words = this.#words;
    words[KERNEL] = kernel;
    words[TILES] = tiles;
    words[CHUNK] = chunk;
    words[ARGS] = numbers.length;
    this.#numbers.set(numbers);
    Atomics.store(words, NEXT, 0);
    Atomics.store(words, STATE, OPEN);
    Atomics.add(words, CALL, 1);
    Atomics.notify(words, CALL, Math.ceil(tiles / chunk) - 1);
  }

  /** Take tiles of the call, a chunk at a time, the last ones in small chunks, until none is left. */
  work(run: TileKernel, scratch: number): void {
    const words = this.#words;
    const [tiles, most] = [words[TILES], words[CHUNK]];
    const numbers = [...this.#numbers.subarray(0, words[ARGS])];
    for (;;) {
      const left = tiles - Atomics.load(words, NEXT);
      const chunk = Math.max(1, Math.min(most, left >> 3));
      const from = Atomics.add(words, NEXT, chunk);
      if (from >= tiles) return;
      run(...numbers, scratch, from, Math.min(from + chunk, tiles));
    }
  }

  /**
   * Let nobody enter any more, and wait for those at work.
   *
   * @param patienceMs how long to wait without anybody leaving
   * @returns did all leave in time, and did none fail?
   */
  close(patienceMs: number): boolean {
    const words = this.#words;
    let atWork = Atomics.and(words, STATE, ~OPEN) & ~OPEN;
    for (let spin = 0; atWork > 0 && spin < SPINS; spin++) atWork = Atomics.load(words, STATE);
    // In slices, so that a computer that was asleep counts as one of them.
    const slice = 100;
    for (let waited = 0; atWork > 0; waited += slice) {
      if (waited >= patienceMs) return false;
      Atomics.wait(words, STATE, atWork, slice);
      const left = Atomics.load(words, STATE);
      if (left < atWork) waited = 0;
      atWork = left;
    }
    return Atomics.load(words, FAULTS) === 0;
  }

  /** A helper's life: sleep until there is a call, enter if it is still open, work, leave. */
  serve(kernels: readonly TileKernel[], scratch: number): never {
    const words = this.#words;
    for (let seen = 0; ;) {
      for (let spin = 0; spin < SPINS && Atomics.load(words, CALL) === seen; spin++);
      Atomics.wait(words, CALL, seen);
      seen = Atomics.load(words, CALL);
      if (!this.#enter()) continue;
      try {
        this.work(kernels[words[KERNEL]], scratch);
      } catch (error) {
        Atomics.add(words, FAULTS, 1);
        throw error;
      } finally {
        if (Atomics.sub(words, STATE, 1) === 1) Atomics.notify(words, STATE);
      }
    }
  }

  #enter(): boolean {
    for (;;) {
      const state = Atomics.load(this.#words, STATE);
      if ((state & OPEN) === 0) return false;
      if (Atomics.compareExchange(this.#words, STATE, state, state + 1) === state) return true;
    }
  }
}
