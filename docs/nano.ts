/**
 * nano on a machine that can be tampered with: what the pages' figures, exercises and checks are made from.
 *
 * NB this runs the model in the calling thread, without the engine's worker, so that layers and kernels can be watched.
 */
import "../src/index.node.ts";
import { fileURLToPath } from "node:url";
import { describe, frame, type Frame, PART, still, type Target, targets } from "../models/nano/scenes.ts";
import { firstClick } from "../models/nano/scoring.ts";
import { UsageError } from "../src/errors.ts";
import { readCheckpoint } from "../src/io/checkpoint.ts";
import type { StoredTensor } from "../src/io/tensor_file.ts";
import { Weights } from "../src/io/weights.ts";
import { memoryTokens, type Sam2Config, variantConfig } from "../src/model/config.ts";
import { checkpointConfig } from "../src/model/load.ts";
import { MAX_OBJ_PTRS, type MemoryBank, type TrackedFrame } from "../src/model/memory_bank.ts";
import { parameters } from "../src/model/parameters.ts";
import { LABEL } from "../src/model/prompt_encoder.ts";
import { type LayerEvent, watch } from "../src/nn/layer.ts";
import { edits } from "../src/io/options.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { shapesOf } from "../src/predict/trace.ts";
import { createMachine } from "../src/runtime/create.ts";
import type { Kernels } from "../src/runtime/kernels.ts";
import { machine } from "../src/runtime/machine.ts";
import { reference } from "../src/runtime/reference.ts";
import { formatShape } from "../src/tensor/shape.ts";
import type { Tensor } from "../src/tensor/view.ts";

/** The picture of the tour, drawn at twice the size that nano works at, and the object that is clicked. */
export const SCENE = { seed: 13, size: 512, code: 4 };
/** The clip of the tour: its object 0 is followed. */
export const CLIP = { seed: 50018, size: 256, frames: 16 };

export interface Tampering {
  /** "portable" by default: the same bits on every CPU */
  kernels?: "auto" | "portable";
  /** a tensor of the checkpoint that is read as zeros */
  without?: string;
  /** maps that the memory bank shows, 1 … 7 */
  memories?: number;
  /** an entry of the table of kernels that runs as scalar loops */
  scalar?: keyof Kernels;
  /** called before every attention */
  onAttention?: (q: Tensor, k: Tensor, scale: number) => void;
}

/** nano, changed as wished. */
export async function loadNano(how: Tampering = {}): Promise<Sam2> {
  const checkpoint = await readCheckpoint(fileURLToPath(new URL("../models/nano/nano.safetensors", import.meta.url)));
  try {
    if (how.without && !checkpoint.tensors.has(how.without)) {
      const todo = `do you mean ${nearest(how.without, checkpoint.tensors.keys())}?`;
      throw new UsageError("--without", "a tensor of the checkpoint", how.without, todo);
    }
    const tensors = new Map(checkpoint.tensors);
    for (const [name, stored] of tensors) {
      if (name === how.without) tensors.set(name, { ...stored, read: (into) => void into.fill(0) });
      if (name === "maskmem_tpos_enc" && how.memories) tensors.set(name, latest(stored, how.memories));
    }
    const config = checkpointConfig({ ...checkpoint, tensors });
    const whole = await createMachine({ kernels: how.kernels ?? "portable" });
    const kernels = { ...whole.kernels, ...changes(whole.kernels, how) };
    return new Sam2({ ...whole, kernels }, new Weights(tensors, whole.heap), config);
  } finally {
    checkpoint.close();
  }
}

/** The places in time of n maps: of the n − 1 latest frames, then of the conditioning frame, which stands last. */
function latest(stored: StoredTensor, n: number): StoredTensor {
  const [all, , , M] = stored.shape;
  if (!(n >= 1 && n <= all)) throw new UsageError("--memories", `1 … ${all}`, `${n}`, "see --help");
  return {
    ...stored,
    shape: [n, 1, 1, M],
    read(into) {
      const rows = new Float32Array(all * M);
      stored.read(rows);
      into.set(rows.subarray(0, (n - 1) * M));
      into.set(rows.subarray((all - 1) * M), (n - 1) * M);
    },
  };
}

/** Only the table that packed a weight can read it, so the products change together. */
const PRODUCTS: readonly (keyof Kernels)[] = ["pack", "gemm", "conv2d"];

function changes(kernels: Kernels, { scalar, onAttention }: Tampering): Partial<Kernels> {
  if (scalar && !(scalar in reference)) {
    throw new UsageError("--scalar", `one of ${Object.keys(reference).slice(1).join(", ")}`, scalar, "see --help");
  }
  const names = scalar && PRODUCTS.includes(scalar) ? PRODUCTS : scalar ? [scalar] : [];
  const twins = Object.fromEntries(names.map((name) => [name, reference[name]])) as Partial<Kernels>;
  if (!onAttention) return twins;
  return {
    ...twins,
    attention(o, q, k, v, scale) {
      onAttention(q, k, scale);
      kernels.attention(o, q, k, v, scale);
    },
  };
}

/** The scene of the tour, a click in the clicked object, in pixels of the scene, and what should be found. */
export function clickedScene({ seed, size, code } = SCENE): {
  picture: Frame;
  target: Target;
  click: [number, number];
} {
  const picture = still(seed, size);
  const target = targets(picture).find((one) => one.code === code);
  if (!target) {
    const codes = targets(picture).map((one) => one.code);
    const todo = `take one of ${codes.join(", ")}, or see: npx tsx docs/play.ts scenes --scene ${seed}`;
    throw new UsageError(`scene ${seed}`, "an object that is large enough to be clicked", `${code}`, todo);
  }
  return { picture, target, click: firstClick(picture, target) };
}

/** The frames of the tour's clip, the mask of its hero on each, and a click on frame 0. */
export function clip({ seed, size, frames: count } = CLIP) {
  const scene = describe(seed);
  const frames = Array.from({ length: count }, (_, t) => frame(scene, t, size));
  const truth = frames.map(({ owner }) => owner.map((code) => Number((code & (PART - 1)) === 1)));
  return { frames, truth, click: firstClick(frames[0], { code: 1, mask: truth[0] }) };
}

/** What a layer was given and what it returned, over all its calls: shapes, printed. */
export interface Traced {
  class: string;
  parameters: number;
  macs: number;
  /** when it first started, among all layers */
  order: number;
  inputs: Set<string>;
  outputs: Set<string>;
  /** of the first call alone */
  returned: string[];
}

/**
 * Every layer of the graph by its path: one photo with one click, one with a mask, and one video frame that sees a full
 * memory bank.
 */
export async function traceGraph(sam2: Sam2): Promise<Map<string, Traced>> {
  const traced = new Map<string, Traced>();
  await watch(
    ({ path, class: name, order, args, output, parameters, macs }) => {
      const returned = shapesOf(output).map(formatShape);
      const [inputs, outputs] = [new Set<string>(), new Set<string>()];
      const one = traced.get(path) ?? { class: name, parameters, macs, order, inputs, outputs, returned };
      traced.set(path, one);
      for (const shape of shapesOf(args)) one.inputs.add(formatShape(shape));
      for (const shape of returned) one.outputs.add(shape);
    },
    () =>
      sam2.run(({ config, forwardImage, withoutMemory, predictMasks, tracker }) => {
        const { imageSize: S } = config;
        const features = forwardImage(machine.heap.alloc([1, S, S, 3]));
        const points = {
          coords: machine.heap.from(Float32Array.of(S / 2, S / 2), [1, 1, 2]),
          labels: [[LABEL.positive]],
        };
        predictMasks(withoutMemory(features), points, undefined, true);
        predictMasks(withoutMemory(features), points, machine.heap.alloc([1, S / 4, S / 4, 1]), false);

        const { bank, at } = fullBank(config);
        const found = tracker!.trackStep(features, {}, { bank, at, attended: tracker!.lookAround(features) });
        tracker!.encodeMemory(features, found, false);
      }),
  );
  return traced;
}

/** Every path at or above a layer of the graph. */
export async function paths(config: Sam2Config): Promise<Set<string>> {
  const layers = [...(await traceGraph(await dryModel(config))).keys()];
  return new Set(layers.flatMap((path) => path.split(".").map((_, i, parts) => parts.slice(0, i + 1).join("."))));
}

/** The name that is reached with the fewest letters put in, left out or changed. */
export function nearest(name: string, names: Iterable<string>): string {
  return [...names].reduce((a, b) => (edits(name, b) < edits(name, a) ? b : a));
}

/** A bank with all that a frame may see of one object, and the frame that sees it. */
function fullBank(config: Sam2Config): { bank: MemoryBank; at: TrackedFrame } {
  const remembered = () => ({
    maskmemFeatures: new Uint16Array(memoryTokens(config) * config.memDim),
    objPtr: new Float32Array(config.dModel),
  });
  const frames = Array.from({ length: MAX_OBJ_PTRS }, (_, t) => t);
  return {
    bank: { cond: new Map([[0, remembered()]]), nonCond: new Map(frames.slice(1).map((t) => [t, remembered()])) },
    at: { frame: MAX_OBJ_PTRS, numFrames: 2 * MAX_OBJ_PTRS, reverse: false },
  };
}

/** Multiply-adds of a tracked frame of one object. */
export interface Work {
  total: number;
  /** of a module, its children included */
  of(path: string): number;
  share(path: string): number;
}

/** What one video frame costs that sees a full memory bank. */
export async function frameWork(sam2: Sam2): Promise<Work> {
  const events: LayerEvent[] = [];
  await watch(
    (event) => void events.push(event),
    () =>
      sam2.run(({ config: { imageSize: S }, config, forwardImage, tracker }) => {
        const features = forwardImage(machine.heap.alloc([1, S, S, 3]));
        const { bank, at } = fullBank(config);
        const found = tracker!.trackStep(features, {}, { bank, at, attended: tracker!.lookAround(features) });
        tracker!.encodeMemory(features, found, false);
      }),
  );
  const all = sumOf(events);
  const of = (path: string) => sumOf(events.filter((event) => `${event.path}.`.startsWith(`${path}.`)));
  return { total: all, of, share: (path) => of(path) / all };
}

/** Multiply-adds of layers, those within others counted once. @param events as they finished */
function sumOf(events: readonly LayerEvent[]): number {
  let outermost: LayerEvent[] = [];
  for (const event of events) outermost = [...outermost.filter(({ order }) => order < event.order), event];
  return outermost.reduce((macs, event) => macs + event.macs, 0);
}

/** The shapes of a published model, by walking its graph with kernels that compute nothing and weights that are zero. */
export async function dryModel(config: Sam2Config = variantConfig("tiny", "2.1")): Promise<Sam2> {
  const whole = await createMachine({ kernels: "reference" });
  const idle = Object.fromEntries(Object.keys(reference).map((name) => [name, () => {}]));
  const kernels = { ...(idle as unknown as Kernels), name: "idle", pack: reference.pack };
  const stored = [...parameters(config)].map(([name, shape]): [string, StoredTensor] => [
    name,
    { dtype: "F32", shape, read: (into) => void into.fill(0) },
  ]);
  return new Sam2({ ...whole, kernels }, new Weights(new Map(stored), whole.heap), config);
}
