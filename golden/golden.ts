import { readFileSync } from "node:fs";
import { readSafetensors } from "../src/io/safetensors.ts";
import { bytesSource, type StoredTensor } from "../src/io/tensor_file.ts";
import type { LayerEvent } from "../src/nn/layer.ts";
import type { Fused } from "../src/nn/linear.ts";
import { numel, type Shape } from "../src/tensor/shape.ts";
import { isContiguous, type Tensor, values } from "../src/tensor/view.ts";
import { sampleIndices } from "./hash_weights.ts";
import { entries, type GoldenEntry, type GoldenLayer } from "./manifest.ts";

/** How far one tensor is from PyTorch's. */
export interface Comparison {
  path: string;
  /** max |Δ| over the stored values */
  maxAbs: number;
  /** PyTorch's standard deviation of the whole tensor, or the size of a single value */
  std: number;
  /** one line for people */
  text: string;
}

export class Golden {
  readonly name: string;
  readonly entry: GoldenEntry;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #layers: Map<string, GoldenLayer>;

  constructor(name: string, entry = entries[name]) {
    this.name = name;
    this.entry = entry;
    const file = new URL(`./cases/${name}.safetensors`, import.meta.url);
    this.#tensors = readSafetensors(bytesSource(new Uint8Array(readFileSync(file)), name)).tensors;
    this.#layers = new Map(this.entry.layers.map((layer) => [layer.path, layer]));
  }

  has(path: string): boolean {
    return this.#layers.has(path);
  }

  layer(path: string): GoldenLayer {
    return this.#layers.get(path)!;
  }

  input(name: string): { shape: Shape; data: Float32Array } {
    return this.tensor(`input.${name}`);
  }

  /** Packed bits of `path`, row by row, as 0 and 1. */
  bits(path: string): Uint8Array {
    const { data } = this.tensor(`${path}.bits`);
    return Uint8Array.from({ length: data.length * 8 }, (_, i) => (data[i >> 3] >> (7 - (i & 7))) & 1);
  }

  /** Compare the stored values of `path`; `value(i)` is ours at index i of the row-major tensor, undefined if we have none. */
  compare(path: string, size: number, value: (i: number) => number | undefined): Comparison {
    const { shape, std: deviation, mean } = this.layer(path);
    const std = deviation || Math.abs(mean);
    if (size !== numel(shape)) {
      return { path, maxAbs: Number.POSITIVE_INFINITY, std, text: `${path}: ${size} values for ${shape.join("×")}` };
    }
    const want = this.tensor(path).data;
    const indices = want.length === size ? undefined : sampleIndices(path, size, want.length);
    let worst = { delta: 0, i: 0, want: want[0], got: want[0] };
    for (let j = 0; j < want.length; j++) {
      const i = indices ? indices[j] : j;
      const got = value(i);
      if (got === undefined) continue;
      const delta = Math.abs(got - want[j]);
      if (!(delta <= worst.delta)) worst = { delta, i, want: want[j], got };
    }
    const text = `|Δ| ${worst.delta.toExponential(1)} at ${worst.i}: expected ${worst.want}, got ${worst.got}`;
    return { path, maxAbs: worst.delta, std, text };
  }

  /** Compare a whole tensor. */
  compareTensor(path: string, t: Tensor): Comparison {
    if (!isContiguous(t)) throw new Error(`${path}: a layer returned a tensor that is not contiguous`);
    return this.compare(path, numel(t.shape), (i) => t.data[t.offset + i]);
  }

  tensor(name: string): { shape: Shape; data: Float32Array } {
    const stored = this.#tensors.get(name);
    if (!stored) throw new Error(`${this.name}: the golden has no tensor ${name}`);
    const data = new Float32Array(numel(stored.shape));
    stored.read(data);
    return { shape: stored.shape, data };
  }
}

/**
 * A watcher that compares every layer that the golden has, in the order in which layers finish.
 *
 * What our graph fuses is undone here: a residual is subtracted, rows that were moved from windows to the image are
 * looked up where PyTorch has them, and a linear layer with an activation is compared with PyTorch's activation.
 */
export function comparer(golden: Golden): { see: (event: LayerEvent) => void; results: Comparison[] } {
  const results: Comparison[] = [];
  const calls = new Map<string, number>();

  const see = (event: LayerEvent) => {
    const path = goldenPath(event);
    const call = calls.get(path) ?? 0;
    calls.set(path, call + 1);
    const suffix = call > 0 ? `@${call}` : "";
    const fused = event.args.find(isFused);
    if (event.class === "PositionEmbeddingRandom") return; // upstream's module hook sees the dense grid, ours the points
    for (const [k, t] of tensorsOf(event.output).entries()) {
      const key = [path + suffix, `${path}#${k}${suffix}`].find((name) => golden.has(name));
      if (key) results.push(compareFused(golden, key, t, fused, event));
    }
    if (event.class === "PatchEmbed" && golden.has("image_encoder.trunk.pos_added")) {
      results.push(golden.compareTensor("image_encoder.trunk.pos_added", event.output as Tensor));
    }
  };
  return { see, results };
}

function goldenPath({ path, class: name }: LayerEvent): string {
  const activated = /^(.*)\.layers\.(\d+)$/.exec(path);
  if (name.startsWith("Linear+") && activated)
    return `${activated[1]}.act${activated[2] === "0" ? "" : `@${activated[2]}`}`;
  if (name === "Linear+gelu") return path.replace(/pwconv1$/, "act").replace(/ff\.1$/, "ff.2"); // of a CXBlock, a perceiver
  if (name.startsWith("Conv2d+")) return path.replace(/stem\.conv1$/, "stem.act1").replace(/conv1$|fc1$/, "act"); // of RepViT
  if (name === "Linear+relu") return `${path}+relu`; // a function in upstream's MemoryAttentionLayer, so not recorded
  return path.endsWith("output_upscaling") ? `${path}.4` : path; // upstream runs its parts one by one
}

function compareFused(
  golden: Golden,
  key: string,
  t: Tensor,
  fused: FusedArgs | undefined,
  event: LayerEvent,
): Comparison {
  const { residual, unpartition } = fused ?? {};
  const rows = unpartition ?? (event.path.endsWith(".attn.proj") ? fused?.rows : undefined);
  if (event.class === "PromptEncoder" && t.shape.length === 1) {
    const size = numel(golden.layer(key).shape); // `no_mask_embed`, which upstream repeats at every place
    return golden.compare(key, size, (i) => t.data[t.offset + (i % t.shape[0])]);
  }
  if (!residual && !rows && isContiguous(t)) return golden.compareTensor(key, t);
  const added = residual ? values(residual) : [0]; // may repeat for each prompt of a batch
  const value = (i: number) => t.data[t.offset + i] - added[i % added.length];
  if (!rows) return golden.compare(key, numel(t.shape), value);

  const C = t.shape.at(-1)!;
  const { shape } = golden.layer(key);
  const ours = new Int32Array(numel(shape) / C).fill(-1);
  for (let m = 0; m < rows.length; m++) ours[rows[m]] = m;
  return golden.compare(key, numel(shape), (i) => {
    const m = ours[Math.floor(i / C)];
    return m < 0 ? undefined : value(m * C + (i % C)); // padding of a window has no place in the image
  });
}

type FusedArgs = Fused & { unpartition?: Int32Array };

function isFused(arg: unknown): arg is FusedArgs {
  return typeof arg === "object" && arg !== null && ["residual", "rows", "unpartition"].some((name) => name in arg);
}

/** The tensors of a layer's result, in PyTorch's order. */
function tensorsOf(output: unknown): Tensor[] {
  if (typeof output !== "object" || output === null) return [];
  if ("stride" in output) return [output as Tensor];
  return Object.values(output).flatMap(tensorsOf);
}
