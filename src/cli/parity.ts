import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Checkpoint } from "../io/checkpoint.ts";
import type { RgbImage } from "../io/image.ts";
import type { Sam2Config } from "../model/config.ts";
import type { LayerEvent } from "../nn/layer.ts";
import { numel, type Shape } from "../tensor/shape.ts";

/** How far a layer's output is from PyTorch's: max |Δ|, and the standard deviation of PyTorch's output. */
export interface Difference {
  maxAbs: number;
  sigma: number;
}

/** What PyTorch computed with a checkpoint's weights: for which picture and prompt, and a comparison layer by layer. */
export interface Parity {
  image: RgbImage;
  /** x, y of each point, in pixels of the resized image */
  coords: Float32Array;
  labels: number[];
  multimask: boolean;
  /** Compare a layer; undefined if the goldens do not have it. */
  compare(event: LayerEvent): Difference | undefined;
}

// The parts of golden/ that are used here. That folder is not in the package: it is looked for when the program runs.
interface GoldenCase {
  readonly entry: {
    model: Record<string, unknown>;
    run: string;
    image?: { seed: number; width: number; height: number };
    multimask?: boolean;
    prompt?: { multimask: boolean };
    inputs: string[];
  };
  input(name: string): { shape: Shape; data: Float32Array };
}
interface GoldenFolder {
  goldenCases(prefix: string): string[];
  Golden: new (name: string) => GoldenCase;
  comparer(golden: GoldenCase): { see(event: LayerEvent): void; results: { maxAbs: number; std: number }[] };
  goldenImage(seed: number, width: number, height: number): Uint8Array;
  hashTensor(key: string, shape: Shape, into: Float32Array): void;
}

const FOLDER = new URL("../../golden/", import.meta.url);

async function goldenFolder(): Promise<GoldenFolder | undefined> {
  if (!existsSync(fileURLToPath(FOLDER))) return undefined;
  const { tsImport } = await import("tsx/esm/api");
  const files = ["golden.ts", "manifest.ts", "hash_image.ts", "hash_weights.ts"];
  const modules = await Promise.all(files.map((file) => tsImport(new URL(file, FOLDER).href, import.meta.url)));
  return Object.assign({}, ...modules);
}

/** The goldens of a checkpoint: in a checkout of the project, if its weights are those of the goldens. */
export async function findParity(checkpoint: Checkpoint, config: Sam2Config): Promise<Parity | undefined> {
  const folder = await goldenFolder();
  if (!folder || !hasHashWeights(checkpoint, folder)) return undefined;
  const cases = folder
    .goldenCases(`${config.name}.`)
    .map((name) => new folder.Golden(name))
    .filter(({ entry: { model } }) => isOf(model, config));
  const encoder = cases.find(({ entry }) => entry.run === "image_encoder");
  const [heads] = cases.filter((golden) => isPrompt(golden, encoder)).sort((a, b) => points(a) - points(b));
  if (!encoder || !heads) return undefined;

  const { seed, width, height } = encoder.entry.image!;
  const comparers = [encoder, heads].map((golden) => folder.comparer(golden));
  return {
    image: { width, height, data: folder.goldenImage(seed, width, height) },
    coords: heads.input("point_coords").data,
    labels: [...heads.input("point_labels").data],
    multimask: (heads.entry.prompt ?? heads.entry).multimask!,
    compare(event) {
      const [worst] = comparers
        .flatMap(({ see, results }) => {
          see(event);
          return results.splice(0);
        })
        .sort((a, b) => b.maxAbs / b.std - a.maxAbs / a.std);
      return worst && { maxAbs: worst.maxAbs, sigma: worst.std };
    },
  };
}

/** A tensor of each part of the model equals the goldens' formula. */
function hasHashWeights({ tensors }: Checkpoint, { hashTensor }: GoldenFolder): boolean {
  return ["no_mem_embed", "image_encoder.neck.convs.0.conv.weight", "sam_mask_decoder.mask_tokens.weight"].every(
    (key) => {
      const stored = tensors.get(key);
      if (!stored) return false;
      const [got, want] = [new Float32Array(numel(stored.shape)), new Float32Array(numel(stored.shape))];
      stored.read(got);
      hashTensor(key, stored.shape, want);
      return got.every((value, i) => value === want[i]);
    },
  );
}

function isOf(model: Record<string, unknown>, config: Sam2Config): boolean {
  const fields: Record<string, unknown> = { ...config };
  return Object.entries(model).every(([field, value]) => JSON.stringify(value) === JSON.stringify(fields[field]));
}

/** One prompt, of points, that the whole decoder answers, on the image of `encoder`. */
function isPrompt(golden: GoldenCase, encoder: GoldenCase | undefined): boolean {
  const { run, inputs, image } = golden.entry;
  if (!["predictor", "sam_heads"].includes(run) || !inputs.includes("point_coords")) return false;
  return JSON.stringify(image) === JSON.stringify(encoder?.entry.image) && golden.input("point_labels").shape[0] === 1;
}

function points(golden: GoldenCase): number {
  return golden.input("point_labels").data.length;
}
