import { CheckpointError } from "../errors.ts";
import type { Heap } from "../tensor/heap.ts";
import { formatShape, numel, type Shape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/view.ts";
import type { StoredTensor } from "./tensor_file.ts";

/**
 * A cursor into a checkpoint: `w.at("layers").at(0)` is "cd into a directory", and `get` demands the shape, so a wrong
 * weight fails when the graph is built, by its full name.
 */
export class Weights {
  /** Path of this directory, e.g. `sam_mask_decoder.transformer.layers.0`; empty at the root. */
  readonly prefix: string;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #heap: Heap;
  /** full name → hash of the values that were read */
  readonly #used: Map<string, number>;

  /** The root of `tensors`; `get` reads onto `heap`. `at` passes the other two. */
  constructor(tensors: ReadonlyMap<string, StoredTensor>, heap: Heap, prefix = "", used = new Map<string, number>()) {
    this.prefix = prefix;
    this.#tensors = tensors;
    this.#heap = heap;
    this.#used = used;
  }

  /** The directory `name` below this one. */
  at(name: string | number): Weights {
    return new Weights(this.#tensors, this.#heap, this.#path(`${name}`), this.#used);
  }

  has(name: string): boolean {
    return this.#tensors.has(this.#path(name));
  }

  /**
   * A new tensor on the heap with the values of `name`.
   *
   * @throws CheckpointError if there is none of this shape
   */
  get(name: string, shape: Shape): Tensor {
    const t = this.#heap.alloc(shape);
    this.read(name, shape, t.data);
    return t;
  }

  /**
   * Write the values of `name`, row-major, to the front of `into`: for weights that are packed instead of kept as they are.
   *
   * @throws CheckpointError if there is none of this shape
   */
  read(name: string, shape: Shape, into: Float32Array): void {
    const values = into.subarray(0, numel(shape));
    this.#find(name, shape).read(values);
    this.#used.set(this.#path(name), hash(new Int32Array(values.buffer, values.byteOffset, values.length)));
  }

  /** A digest of the names and values read so far: which checkpoint this is. Not proof against intent. */
  digest(): string {
    const text = [...this.#used].map(([name, words]) => `${name} ${words}`).sort();
    const names = new TextEncoder().encode(text.join("\n"));
    const sums = [0, 1].map((seed) => hash(Int32Array.from(names), seed));
    return sums.map((sum) => (sum >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** Number of values in all tensors below this directory. */
  parameterCount(): number {
    let count = 0;
    for (const [name, { shape }] of this.#tensors) if (this.#holds(name)) count += numel(shape);
    return count;
  }

  /** Full names of the tensors below this directory that were never read. */
  unused(): string[] {
    return [...this.#tensors.keys()].filter((name) => this.#holds(name) && !this.#used.has(name));
  }

  #path(name: string): string {
    return this.prefix === "" ? name : `${this.prefix}.${name}`;
  }

  #holds(name: string): boolean {
    return this.prefix === "" || name.startsWith(`${this.prefix}.`);
  }

  #find(name: string, shape: Shape): StoredTensor {
    const path = this.#path(name);
    const stored = this.#tensors.get(path);
    const wanted = `a tensor ${formatShape(shape)}`;
    if (!stored) throw new CheckpointError(path, wanted, "none of that name", "see all names with sam2 info");
    if (formatShape(stored.shape) !== formatShape(shape)) {
      throw new CheckpointError(path, wanted, formatShape(stored.shape), "see all shapes with sam2 info");
    }
    return stored;
  }
}

/**
 * FNV-1a over words instead of bytes, its upper bits folded back so that they count. Four words at a time, each with a sum
 * of its own, since every step waits for the one before.
 */
function hash(words: Int32Array, seed = 0): number {
  let [a, b, c, d] = [0, 1, 2, 3].map((lane) => 0x811c9dc5 ^ (seed + 16 * lane));
  const whole = words.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    a = fold(a, words[i]);
    b = fold(b, words[i + 1]);
    c = fold(c, words[i + 2]);
    d = fold(d, words[i + 3]);
  }
  for (let i = whole; i < words.length; i++) a = fold(a, words[i]);
  return fold(fold(fold(a, b), c), d);
}

function fold(h: number, word: number): number {
  const product = Math.imul(h ^ word, 0x01000193);
  return product ^ (product >>> 15);
}
