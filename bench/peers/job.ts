// What every peer does: one stage in a process of its own. Its inputs are made by formula, so that pytorch.py has the same.
import { goldenImage } from "../../golden/hash_image.ts";
import { fnv1a, hashWord, sampleIndices } from "../../golden/hash_weights.ts";

/** The first four unless `--only` names others. */
export const STAGES = [
  "encoder.tiny",
  "decoder.point",
  "memory_attention.full",
  "frame.full",
  "encoder.small",
  "encoder.base_plus",
  "encoder.large",
  "everything.tiny",
  "everything.full",
  "encoder.edgetam",
  "memory_attention.edgetam",
  "frame.edgetam",
] as const;
export type StageName = (typeof STAGES)[number];

export interface Job {
  peer: string;
  stage: StageName;
  threads: number;
  /** timed runs, more of those that are short, fewer of those that are long */
  repeat: number;
  /** where the ONNX files are */
  models: string;
}

/** EdgeTAM's reference is another Python package of the name `sam2`. */
export const isOfEdgeTam = (stage: StageName) => stage.endsWith(".edgetam");

/** Channels first, as in PyTorch. */
export type Outputs = Record<string, Float32Array>;

/** One stage, ready to run. */
export interface Stage {
  version: string;
  run(): unknown;
  outputs(): Outputs | Promise<Outputs>;
}

export interface Result {
  version: string;
  /** sampled values of each output */
  outputs: Record<string, number[]>;
  /** milliseconds */
  times: number[];
  peakBytes?: number;
}

export const SIZE = 1024;
export const GRID = SIZE / 16;
export const MEM_DIM = 64;
export const D_MODEL = 256;
export const MAPS = 7;
export const POINTERS = 16;
export const CLICK = [500, 375] as const;

/** A photo's size, and of each stage the points on a side and a predicted IoU, in a gap, that half of the masks exceed. */
export const EVERYTHING = {
  width: 1800,
  height: 1200,
  "everything.tiny": { pointsPerSide: 8, predIouThresh: 0.4915 },
  "everything.full": { pointsPerSide: 32, predIouThresh: 0.50668 },
} as const;

export const photo = () => ({ width: SIZE, height: SIZE, data: goldenImage(11, SIZE, SIZE) });

/** Multiples of 1/64 in −2…2, which bfloat16 holds exactly, from the hash formula. */
export function values(name: string, length: number): Float32Array {
  const seed = fnv1a(name);
  return Float32Array.from({ length }, (_, i) => ((hashWord(seed, i) >>> 24) - 128) / 64);
}

/** What a frame with a full memory bank sees: features [256, 64, 64], maps [7, 64, 64, 64], EdgeTAM's [7, 512, 64], pointers [16, 256]. */
export const bankInputs = (tokens: number = GRID * GRID) => ({
  features: values("features", D_MODEL * GRID * GRID),
  maps: values("maps", MAPS * MEM_DIM * tokens),
  pointers: values("pointers", POINTERS * D_MODEL),
});

/** @shape [rows, columns] → [columns, rows]: between channels first and channels last */
export function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = data[r * columns + c];
  return turned;
}

const SAMPLES = 4096;
const WARM_UP_MS = 500;
const FEWEST_MS = 1000;
const MOST_MS = 20_000;
const FEWEST_RUNS = 3;

/** Run once and keep samples of what comes out, warm up, time. */
export async function carryOut(stage: Stage, { repeat }: Job): Promise<Result> {
  const warm = performance.now();
  const outputs = Object.entries(await stage.outputs()).map(([name, data]): [string, number[]] => {
    const all = data.length <= SAMPLES;
    return [name, all ? [...data] : sampleIndices(name, data.length, SAMPLES).map((i) => data[i])];
  });
  while (performance.now() - warm < WARM_UP_MS) await stage.run();
  const times: number[] = [];
  const begin = performance.now();
  for (let end = begin; ;) {
    const start = performance.now();
    await stage.run();
    end = performance.now();
    times.push(end - start);
    const enough = end - begin > (times.length >= repeat ? FEWEST_MS : MOST_MS);
    if (enough && times.length >= Math.min(FEWEST_RUNS, repeat)) break;
  }
  return { version: stage.version, outputs: Object.fromEntries(outputs), times };
}
