import "../src/index.node.ts";
import { Weights } from "../src/io/weights.ts";
import { memoryTokens, type Sam2Config } from "../src/model/config.ts";
import type { ImageFeatures } from "../src/model/mask_decoder.ts";
import type { FrameMemory } from "../src/model/memory_bank.ts";
import { parameters } from "../src/model/parameters.ts";
import type { Points } from "../src/model/prompt_encoder.ts";
import { samHeads } from "../src/model/sam_heads.ts";
import type { BackboneFeatures } from "../src/model/sam2.ts";
import { tracker } from "../src/model/tracker.ts";
import { watch } from "../src/nn/layer.ts";
import { full } from "../src/nn/layout.ts";
import { resize } from "../src/nn/resize.ts";
import { ImagePredictor } from "../src/predict/image_predictor.ts";
import { preprocess } from "../src/predict/preprocess.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { createMachine, type KernelChoice } from "../src/runtime/create.ts";
import { toBfloat16 } from "../src/tensor/bfloat16.ts";
import { numel } from "../src/tensor/shape.ts";
import { reshape, type Tensor, tensor } from "../src/tensor/view.ts";
import { type Comparison, comparer, Golden } from "./golden.ts";
import { goldenImage } from "./hash_image.ts";
import { hashWeights, hashWord } from "./hash_weights.ts";

/** A model with the goldens' weights. `change` may alter a weight, to prove that the check can fail. */
export async function hashModel(
  config: Sam2Config,
  kernels: KernelChoice,
  change?: (key: string, values: Float32Array) => void,
): Promise<Sam2> {
  const machine = await createMachine({ kernels });
  const tensors = hashWeights(parameters(config));
  if (change) {
    for (const [key, stored] of tensors) {
      const read = (into: Float32Array) => {
        stored.read(into);
        change(key, into);
      };
      tensors.set(key, { ...stored, read });
    }
  }
  return new Sam2(machine, new Weights(tensors, machine.heap), config);
}

function hashWeightsOf({ config, machine }: Sam2): Weights {
  return new Weights(hashWeights(parameters(config)), machine.heap);
}

/** Run cases on one table of kernels; cases of one model share its weights. */
export async function* runCases(names: readonly string[], kernels: KernelChoice) {
  const models = new Map<string, Sam2>();
  for (const name of names) {
    const golden = new Golden(name);
    const key = golden.entry.model.name;
    const model = models.get(key) ?? (await hashModel(golden.entry.model, kernels));
    models.set(key, model);
    yield { golden, results: await runCase(golden, model) };
  }
}

/** Run a golden's case on our graph: every layer that both have, compared in the order in which layers finish. */
export async function runCase(golden: Golden, model: Sam2): Promise<Comparison[]> {
  switch (golden.entry.run) {
    case "image_encoder":
      return imageEncoder(golden, model);
    case "preprocess":
      return preprocessing(golden, model);
    case "sam_heads":
      return forwardHeads(golden, model);
    case "decoder":
      return decoder(golden, model);
    case "predictor":
      return predictor(golden, model);
    case "memory_encoder":
      return encodeMemory(golden, model);
    case "memory_attention":
      return attendToMemory(golden, model);
    default:
      throw new Error(`${golden.name}: nothing runs "${golden.entry.run}"`);
  }
}

function photo({ seed, width, height }: { seed: number; width: number; height: number }) {
  return { width, height, data: goldenImage(seed, width, height) };
}

/** The predictor that holds a model's golden image, so that the image is encoded once. */
const predictors = new WeakMap<Sam2, ImagePredictor>();

async function encoded(golden: Golden, model: Sam2): Promise<ImagePredictor> {
  const predictor = predictors.get(model) ?? new ImagePredictor(model);
  if (!predictors.has(model)) await predictor.setImage(photo(golden.entry.image!));
  predictors.set(model, predictor);
  return predictor;
}

async function imageEncoder(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  model.run(({ config }) => {
    results.push(golden.compareTensor("pixels", preprocess(photo(golden.entry.image!), config.imageSize)));
  });
  const predictor = await watch(see, () => encoded(golden, model));
  const { data } = predictor.getImageEmbedding();
  results.push(golden.compare("output.image_embed", data.length, (i) => data[i]));
  return results;
}

async function predictor(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  const { imageSize } = model.config;
  const { point_coords: points, point_labels: labels, box, mask, multimask } = golden.entry.prompt!;
  const maskInput = mask === undefined ? undefined : maskPrompt(mask, imageSize / 4);
  const predictor = await encoded(golden, model);
  const prediction = await watch(see, () =>
    predictor.predict({ points, labels, box, maskInput }, { multimaskOutput: multimask, returnLogits: true }),
  );
  const { logits, lowResMasks, iouPredictions } = prediction;
  for (const [path, planes] of [
    ["output.masks", logits!],
    ["output.low_res_masks", lowResMasks],
    ["output.iou_predictions", [iouPredictions]],
  ] as const) {
    const size = planes[0].length;
    results.push(golden.compare(path, size * planes.length, (i) => planes[Math.floor(i / size)][i % size]));
  }
  results.push(bitsOf(golden, "output.low_res_masks", lowResMasks, imageSize / 4));
  if (golden.entry.best !== undefined) {
    const best = golden.entry.best;
    results.push(bitsOf(golden, "output.masks.best", [logits![best]], prediction.width));
  }
  if (golden.has("output.obj_ptr")) results.push(...pointer(golden, model, predictor));
  return results;
}

/** Object pointer and score of the case's prompt. They do not depend on the fine features, which are left at 0. */
function pointer(golden: Golden, model: Sam2, predictor: ImagePredictor): Comparison[] {
  const { shape, data } = predictor.getImageEmbedding();
  const [, E, , D] = shape;
  const results: Comparison[] = [];
  model.run((graph) => {
    const { heap } = model.machine;
    const image: ImageFeatures = {
      imageEmbed: heap.from(data, shape),
      highResFeats: [full([1, 4 * E, 4 * E, D / 8], 0), full([1, 2 * E, 2 * E, D / 4], 0)],
    };
    const coords = golden.input("point_coords");
    const points = pointsOf(golden, heap.from(coords.data, coords.shape));
    const heads = samHeads(hashWeightsOf(model), graph)(image, points, undefined, golden.entry.prompt!.multimask);
    results.push(golden.compareTensor("output.obj_ptr", heads.objPtr));
    results.push(golden.compareTensor("output.object_score_logits", heads.objectScoreLogits));
  });
  return results;
}

/** 1 − IoU of our masks (logits > 0) with the reference's. */
function bitsOf(golden: Golden, path: string, planes: readonly Float32Array[], width: number): Comparison {
  const bits = golden.bits(path);
  const stride = Math.ceil(width / 8) * 8; // rows are padded to whole bytes
  let intersection = 0;
  let union = 0;
  for (const [m, plane] of planes.entries()) {
    const height = plane.length / width;
    for (let i = 0; i < plane.length; i++) {
      const want = bits[(m * height + Math.floor(i / width)) * stride + (i % width)] === 1;
      const got = plane[i] > 0;
      if (want && got) intersection++;
      if (want || got) union++;
    }
  }
  const maxAbs = union === 0 ? 0 : 1 - intersection / union;
  return {
    path: `${path}.bits`,
    maxAbs,
    std: 1,
    text: `IoU ${1 - maxAbs}: ${union - intersection} of ${union} pixels differ`,
  };
}

/**
 * A mask prompt: logits of a golden image's brightness, (r + g + b − 384)/32.
 *
 * The same bits as mask_prompt of export_golden.py.
 */
function maskPrompt(seed: number, size: number): Float32Array {
  const rgb = goldenImage(seed, size, size);
  return Float32Array.from(
    { length: size * size },
    (_, i) => (rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2] - 384) / 32,
  );
}

function preprocessing(golden: Golden, model: Sam2): Comparison[] {
  return golden.entry.images!.map((image) => {
    let result: Comparison | undefined;
    model.run(({ config }) => {
      const path = `pixels.${image.width}x${image.height}`;
      result = golden.compareTensor(path, preprocess(photo(image), config.imageSize));
    });
    return result!;
  });
}

const HEAD_OUTPUTS = {
  lowResMultimasks: "low_res_multimasks",
  ious: "ious",
  lowResMasks: "low_res_masks",
  highResMasks: "high_res_masks",
  objPtr: "obj_ptr",
  objectScoreLogits: "object_score_logits",
};

async function forwardHeads(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  await watch(see, () => {
    model.run((graph) => {
      const { image, points, mask } = headInputs(golden, model);
      const forwardSamHeads = samHeads(hashWeightsOf(model), graph);
      const heads = forwardSamHeads(image, points, mask, golden.entry.multimask!);
      for (const [name, path] of Object.entries(HEAD_OUTPUTS)) {
        results.push(golden.compareTensor(`output.${path}`, heads[name as keyof typeof heads]));
      }
      const [B, M, h, w] = heads.lowResMultimasks.shape;
      const planes = reshape(heads.lowResMultimasks, [B * M, h, w, 1]);
      const highRes = resize(planes, 4 * h, 4 * w, "bilinear");
      results.push(golden.compareTensor("output.high_res_multimasks", highRes));
    });
  });
  return results;
}

async function decoder(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  await watch(see, () => {
    model.run(({ predictMasks }) => {
      const { image, points, mask } = headInputs(golden, model);
      const { masks, ious } = predictMasks(image, points, mask, golden.entry.multimask!);
      const [, M, h, w] = masks.shape;
      const [, , height, width] = golden.layer("output.masks").shape;
      const atImageSize = resize(reshape(masks, [M, h, w, 1]), height, width, "bilinear");
      results.push(golden.compareTensor("output.masks", atImageSize));
      results.push(golden.compareTensor("output.iou_predictions", ious));
    });
  });
  return results;
}

async function encodeMemory(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  const { imageSize: S } = model.config;
  const { mask, binarize, score } = golden.entry;
  await watch(see, () => {
    model.run((graph) => {
      const { heap } = model.machine;
      const found = {
        highResMasks: heap.from(maskPrompt(mask!, S), [1, 1, S, S]),
        objectScoreLogits: heap.from(Float32Array.of(score!), [1, 1]),
      };
      const memory = tracker(hashWeightsOf(model), graph).encodeMemory(stride16(golden, model), found, binarize!);
      results.push(golden.compareTensor("output.maskmem_features", memory));
    });
  });
  return results;
}

async function attendToMemory(golden: Golden, model: Sam2): Promise<Comparison[]> {
  const { see, results } = comparer(golden);
  const { frame, numFrames, reverse, cond, nonCond } = golden.entry.bank!;
  const { dModel: D, memDim } = model.config;
  const mapSize = memoryTokens(model.config) * memDim;
  const memories = [...cond, ...nonCond].map((t, i): [number, FrameMemory] => [
    t,
    { maskmemFeatures: toBfloat16(uniform(21, i * mapSize, mapSize)), objPtr: uniform(22, i * D, D) },
  ]);
  const bank = { cond: new Map(memories.slice(0, cond.length)), nonCond: new Map(memories.slice(cond.length)) };
  await watch(see, () => {
    model.run((graph) => {
      const { lookAround, withMemory } = tracker(hashWeightsOf(model), graph);
      const features = stride16(golden, model);
      const past = { bank, at: { frame, numFrames, reverse }, attended: lookAround(features) };
      results.push(golden.compareTensor("output.pix_feat", withMemory(features, past).imageEmbed));
    });
  });
  return results;
}

/** Values in −2…2 from the hash formula: the same bits as `uniform` of export_video.py. */
function uniform(seed: number, start: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (hashWord(seed, start + i) >>> 8) * 2 ** -22 - 2);
}

/** The features that the memory path reads, on the heap. */
function stride16(golden: Golden, { config, machine: { heap } }: Sam2): BackboneFeatures {
  const { features } = golden.entry;
  const E = config.imageSize / 16;
  const shape = [1, E, E, config.dModel];
  const data = features === undefined ? golden.input("vision_features").data : uniform(features, 0, numel(shape));
  const visionFeatures = heap.from(data, shape);
  return { visionFeatures, highResFeats: [visionFeatures, visionFeatures] };
}

/** What the reference gave to its decoder, on the heap. */
function headInputs(golden: Golden, { machine: { heap } }: Sam2) {
  const given = (name: string): Tensor | undefined => {
    if (!golden.entry.inputs.includes(name)) return undefined;
    const { data, shape } = golden.input(name);
    return heap.from(data, shape);
  };
  const image: ImageFeatures = {
    imageEmbed: given("image_embed")!,
    highResFeats: [given("high_res_0")!, given("high_res_1")!],
  };
  const mask = given("mask");
  return { image, points: pointsOf(golden, given("point_coords")), mask: mask && channelLast(mask) };
}

function pointsOf(golden: Golden, coords: Tensor | undefined): Points | undefined {
  if (!coords) return undefined;
  const { data, shape } = golden.input("point_labels");
  const [B, P] = shape;
  return { coords, labels: Array.from({ length: B }, (_, b) => [...data.subarray(b * P, (b + 1) * P)]) };
}

/** [B, 1, H, W] → [B, H, W, 1] */
function channelLast(mask: Tensor): Tensor {
  const [B, , H, W] = mask.shape;
  return tensor(mask.data, [B, H, W, 1]);
}
