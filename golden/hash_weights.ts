import type { StoredTensor } from "../src/io/tensor_file.ts";
import { numel, type Shape } from "../src/tensor/shape.ts";
import rules from "./hash_rules.json" with { type: "json" };

/** One line of hash_rules.json: the first whose `key` (a pattern) and `rank` fit a tensor decides its values. */
interface Rule {
  key: string;
  rank?: number;
  scale: number;
  offset?: number;
  /** divide the scale by √(inputs of one output): the sizes after the first, or the first alone */
  fanIn?: "rest" | "first";
}

const patterns = (rules as Rule[]).map((rule) => ({ rule, pattern: new RegExp(rule.key) }));

/** 32-bit FNV-1a of the UTF-8 bytes. */
export function fnv1a(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

/** A bijection of 32-bit integers in which every input bit moves about half of the output bits (lowbias32). */
function mix32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

/** Word i of the sequence `seed`: an integer in 0 … 2³² − 1. */
export function hashWord(seed: number, i: number): number {
  return mix32(mix32(i) ^ seed) >>> 0;
}

function scaleAndOffset(key: string, shape: Shape): [number, number] {
  const fits = ({ rule, pattern }: (typeof patterns)[number]) =>
    pattern.test(key) && (rule.rank ?? shape.length) === shape.length;
  const { rule } = patterns.find(fits)!; // the last rule fits every key
  const fanIn = rule.fanIn === undefined ? 1 : numel(rule.fanIn === "first" ? shape.slice(0, 1) : shape.slice(1));
  return [Math.fround(rule.scale / Math.sqrt(fanIn)), Math.fround(rule.offset ?? 0)];
}

/**
 * value_i = v·scale + offset in f32, v uniform in [−1, 1) from the upper 24 bits of the hash of (key, i).
 *
 * The same bits as hash_tensor of hash_weights.py.
 */
export function hashTensor(key: string, shape: Shape, into: Float32Array): void {
  const seed = fnv1a(key);
  const [scale, offset] = scaleAndOffset(key, shape);
  for (let i = 0, n = numel(shape); i < n; i++) {
    const v = (mix32(mix32(i) ^ seed) >>> 8) * 2 ** -23 - 1;
    into[i] = Math.fround(v * scale) + offset;
  }
}

/** Hash weights for every key of a checkpoint, made when they are read. */
export function hashWeights(shapes: ReadonlyMap<string, Shape>): Map<string, StoredTensor> {
  const stored = ([key, shape]: [string, Shape]): [string, StoredTensor] => [
    key,
    { dtype: "F32", shape, read: (into) => hashTensor(key, shape, into) },
  ];
  return new Map([...shapes].map(stored));
}

/** Which values of a large tensor are stored in a golden: hash(path, j) mod size for j = 0 … count − 1. */
export function sampleIndices(path: string, size: number, count: number): number[] {
  const seed = fnv1a(path);
  return Array.from({ length: count }, (_, j) => hashWord(seed, j) % size);
}
