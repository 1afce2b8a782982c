/** Every object of an image without a prompt: points on a grid, and what is left of their masks. */
import { UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import { decodeRle, type Rle, rleOfRuns, rleRuns, type UncompressedRle } from "../io/rle.ts";
import { type DecodedTokens, type ImageFeatures, stableMask } from "../model/mask_decoder.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import type { Sam2Graph } from "../model/sam2.ts";
import { maskBits } from "../nn/resize.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, reshape, select, type Tensor, values } from "../tensor/view.ts";
import {
  type AutomaticMaskGeneratorOptions,
  checkOptions,
  given,
  gridsOf,
  type MaskThresholds,
  withDefaults,
} from "./automatic_mask_options.ts";
import { type Crop, type CropBox, cropBoxes, isAtCropEdge } from "./crops.ts";
import { clamped } from "./image_predictor.ts";
import { runReader } from "./mask_runs.ts";
import { nms } from "./nms.ts";
import { cleanMask } from "./postprocess.ts";
import { preprocess } from "./preprocess.ts";
import { pointsInModel } from "./prompt.ts";
import type { Followed } from "./progress.ts";
import type { Sam2 } from "./sam2.ts";
import { removeSmallRegions } from "./small_regions.ts";

/** One mask of an image. */
export interface MaskRecord {
  /** the mask, by `outputMode`: a byte a pixel, 1 inside; COCO's compressed runs; or the runs down the columns as numbers */
  segmentation: Uint8Array | Rle | UncompressedRle;
  /** pixels */
  area: number;
  /** left, top, width and height, where the width is that of the last column less the first: 0 for a mask of one pixel */
  bbox: [x: number, y: number, w: number, h: number];
  /** what the model expects the mask's IoU with an object to be, 0…1 */
  predictedIou: number;
  /** the point it was made of, in pixels of the image */
  pointCoords: [x: number, y: number][];
  /** IoU of the masks with the threshold raised and lowered by `stabilityScoreOffset`, 0…1 */
  stabilityScore: number;
  /** the crop in which it was found: left, top, width, height */
  cropBox: [x: number, y: number, w: number, h: number];
}

/** A mask that may become a record; boxes and points in pixels of the image. */
interface Candidate {
  rle: Rle;
  area: number;
  box: CropBox;
  predictedIou: number;
  point: [x: number, y: number];
  stabilityScore: number;
  crop: CropBox;
}

/** What a candidate must exceed to be kept at all. */
type Floors = Pick<MaskThresholds, "predIouThresh" | "stabilityScoreThresh">;

/** Prompts that are decoded together: their tokens fill the products, and their image tokens, 4 MiB each, fit in memory. */
const TOGETHER = 16;

const { fround } = Math;

/**
 * Masks of everything in an image.
 *
 * A grid of points is laid over the image, and over crops of it; each point gives up to three masks. Of these stay those
 * that the model expects to be good, that do not depend on the threshold, that do not touch the border of a crop, and that
 * are not mostly the same as a better one.
 *
 * @example
 * const generator = new AutomaticMaskGenerator(await Sam2.fromPretrained("sam2.1_hiera_tiny.pt"));
 * for (const { segmentation, area } of await generator.generate("truck.jpg")) …
 *
 * @source sam2/automatic_mask_generator.py, SAM2AutomaticMaskGenerator
 */
export class AutomaticMaskGenerator {
  readonly #sam2: Sam2;
  readonly #options: Required<AutomaticMaskGeneratorOptions>;
  readonly #grids: readonly (readonly (readonly [x: number, y: number])[])[];
  #prepared?: Candidate[][];

  /** @throws UsageError if an option is out of its range */
  constructor(sam2: Sam2, options: AutomaticMaskGeneratorOptions = {}) {
    checkOptions(options);
    this.#sam2 = sam2;
    this.#options = withDefaults(options);
    this.#grids = gridsOf(options);
  }

  /**
   * The masks of an image; none is an empty list.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async generate(image: ImageInput, options: Followed = {}): Promise<MaskRecord[]> {
    return records(await this.#collect(image, this.#options, options), this.#options);
  }

  /**
   * Run the model on an image and keep whatever `select` may ask for, whatever its scores: run lengths, a few kB a mask.
   *
   * @throws ImageError if it is no usable image; the signal's reason if aborted
   */
  async prepare(image: ImageInput, options: Followed = {}): Promise<void> {
    this.#prepared = undefined;
    this.#prepared = await this.#collect(image, { predIouThresh: 0, stabilityScoreThresh: 0 }, options);
  }

  /**
   * The records that `generate` would give for the image of `prepare` with these thresholds, the generator's where they are
   * left out.
   *
   * @throws UsageError if no image was prepared
   */
  select(thresholds: Partial<MaskThresholds> = {}): MaskRecord[] {
    if (!this.#prepared) throw new UsageError("select", "an image", "none", "call prepare first");
    return records(this.#prepared, { ...this.#options, ...given(thresholds) });
  }

  /** The candidates of each crop. */
  async #collect(input: ImageInput, floors: Floors, { signal, onProgress }: Followed): Promise<Candidate[][]> {
    const { cropNLayers, cropOverlapRatio, pointsPerBatch } = this.#options;
    const image = await readImage(input, signal);
    const { width, height } = image;
    const crops = cropBoxes(width, height, cropNLayers, cropOverlapRatio);
    const together = Math.min(TOGETHER, pointsPerBatch);
    const total = crops.reduce((points, { layer }) => points + this.#grids[layer].length, 0);
    let done = 0;
    const found: Candidate[][] = [];
    for (const crop of crops) {
      const features = this.#encode(image, crop.box, { signal, onProgress });
      try {
        const finder = this.#finder(crop, image, features, floors);
        const points = this.#grids[crop.layer];
        for (let from = 0; from < points.length; from += together) {
          await nextTurn(); // for an abort that comes as a message
          const batch = points.slice(from, from + together);
          this.#sam2.run((graph) => finder.find(graph, batch), signal);
          done += batch.length;
          onProgress?.({ stage: "decode", fraction: done / total });
        }
        found.push(finder.candidates);
      } finally {
        this.#sam2.machine.heap.free(features);
      }
    }
    return found;
  }

  #encode(image: RgbImage, box: CropBox, { signal, onProgress }: Followed): ImageFeatures {
    const { machine, macsOfImage } = this.#sam2;
    const before = machine.macs;
    const fraction = () => (machine.macs - before) / macsOfImage;
    machine.onLayer = onProgress && (() => onProgress({ stage: "encode", fraction: fraction() }));
    try {
      return this.#sam2.run(
        ({ config, forwardImage, withoutMemory, prepare }) =>
          prepare(withoutMemory(forwardImage(preprocess(cropped(image, box), config.imageSize)))),
        signal,
      );
    } finally {
      machine.onLayer = undefined;
    }
  }

  #finder(crop: Crop, image: RgbImage, features: ImageFeatures, floors: Floors): CropFinder {
    return new CropFinder(this.#options, floors, this.#sam2.config.imageSize, crop.box, image, features);
  }
}

/** Finds candidates in one crop, some points at a time. */
class CropFinder {
  readonly candidates: Candidate[] = [];
  readonly #options: Required<AutomaticMaskGeneratorOptions>;
  readonly #floors: Floors;
  readonly #imageSize: number;
  readonly #box: CropBox;
  readonly #image: { width: number; height: number };
  readonly #features: ImageFeatures;
  readonly #toBits: ReturnType<typeof maskBits>;
  readonly #toRuns: ReturnType<typeof runReader>;

  constructor(
    options: Required<AutomaticMaskGeneratorOptions>,
    floors: Floors,
    imageSize: number,
    box: CropBox,
    { width, height }: RgbImage,
    features: ImageFeatures,
  ) {
    this.#options = options;
    this.#floors = floors;
    this.#imageSize = imageSize;
    this.#box = box;
    this.#image = { width, height };
    this.#features = features;
    const [x0, y0, x1, y1] = box;
    this.#toBits = maskBits(imageSize / 4, imageSize / 4, y1 - y0, x1 - x0);
    this.#toRuns = runReader(box, width, height);
  }

  /** @units 0…1 of the crop */
  find(graph: Sam2Graph, grid: readonly (readonly [x: number, y: number])[]): void {
    const [x0, y0, x1, y1] = this.#box;
    const points = grid.map(([x, y]): [number, number] => [fround(x * (x1 - x0)), fround(y * (y1 - y0))]);
    if (this.#options.useM2m) this.#findRefined(graph, points);
    else this.#findOnce(graph, points);
  }

  #findOnce(graph: Sam2Graph, points: readonly [number, number][]): void {
    const decoded = graph.decodeTokens(this.#features, this.#clicks(points), undefined);
    for (const [b, point] of points.entries()) {
      for (const { mask, iou } of this.#masks(graph, onePrompt(decoded, b))) this.#add(mask, iou, point);
    }
  }

  /** Every mask is given back to the model, with its point, for one better mask. */
  #findRefined(graph: Sam2Graph, points: readonly [number, number][]): void {
    const { heap } = machine;
    const side = this.#imageSize / 4;
    const decoded = graph.decodeTokens(this.#features, this.#clicks(points), undefined);
    for (const [b, point] of points.entries()) {
      heap.scope(() => {
        const drafts = this.#masks(graph, onePrompt(decoded, b), true);
        const masks = heap.alloc([drafts.length, side, side, 1]);
        drafts.forEach(({ mask }, i) => masks.data.set(clamped(values(mask)), i * side * side));
        const same = this.#clicks(drafts.map(() => point));
        const refined = graph.decodeTokens(this.#features, same, masks);
        for (let i = 0; i < drafts.length; i++) {
          for (const { mask, iou } of this.#single(graph, onePrompt(refined, i))) this.#add(mask, iou, point);
        }
      });
    }
  }

  /** The masks of a prompt whose predicted IoU passes, or all of them. The others are not painted. */
  #masks(graph: Sam2Graph, decoded: DecodedTokens, all = false): { mask: Tensor; iou: number }[] {
    if (!this.#options.multimaskOutput) return this.#single(graph, decoded, all);
    const ious = values(decoded.ious);
    const passing = [1, 2, 3].filter((m) => all || this.#passes(ious[m]));
    if (passing.length === 0) return [];
    const masks = select(graph.paint(this.#features, decoded), 0, 0); // [4, 4E, 4E]
    return passing.map((m) => ({ mask: select(masks, 0, m), iou: ious[m] }));
  }

  /** The same for a prompt that is to give one mask. Which of the four is known when they are painted. */
  #single(graph: Sam2Graph, decoded: DecodedTokens, all = false): { mask: Tensor; iou: number }[] {
    const ious = values(decoded.ious);
    if (!all && !ious.some((iou) => this.#passes(iou))) return [];
    const masks = select(graph.paint(this.#features, decoded), 0, 0); // [4, 4E, 4E]
    const m = stableMask(masks, reshape(decoded.ious, [4]));
    return all || this.#passes(ious[m]) ? [{ mask: select(masks, 0, m), iou: ious[m] }] : [];
  }

  #passes(iou: number): boolean {
    return isAbove(iou, this.#floors.predIouThresh);
  }

  /** Low-resolution logits become a candidate, unless they are unstable or at the border of the crop. */
  #add(mask: Tensor, iou: number, [x, y]: [number, number]): void {
    machine.signal?.throwIfAborted();
    const { maskThreshold: threshold, stabilityScoreOffset: offset, minMaskRegionArea: area } = this.#options;
    const { width, height } = this.#image;
    const cleaned = area > 0 ? this.#cleaned(mask, area) : mask;
    const limits = { threshold, high: threshold + offset, low: threshold - offset };
    const { bits, high, low } = machine.heap.scope(() => this.#toBits(cleaned, limits));
    const stabilityScore = fround(fround(high) / fround(low));
    if (!isStable(stabilityScore, this.#floors.stabilityScoreThresh)) return;
    const { runs, area: pixels, box } = this.#toRuns(bits);
    if (isAtCropEdge(box, this.#box, width, height)) return;
    const [x0, y0] = this.#box;
    this.candidates.push({
      rle: rleOfRuns(runs, width, height),
      area: pixels,
      box,
      predictedIou: iou,
      point: [fround(x + x0), fround(y + y0)],
      stabilityScore,
      crop: this.#box,
    });
  }

  #cleaned(mask: Tensor, area: number): Tensor {
    const [h, w] = mask.shape;
    const { maskThreshold } = this.#options;
    const options = { maskThreshold, maxHoleArea: area, maxSprinkleArea: area };
    return machine.heap.from(cleanMask(values(mask), w, h, options), [h, w]);
  }

  /** A prompt of one click for each point. @units pixels of the crop */
  #clicks(points: readonly [number, number][]): Points {
    const [x0, y0, x1, y1] = this.#box;
    const frame = { width: x1 - x0, height: y1 - y0, imageSize: this.#imageSize };
    return {
      coords: machine.heap.from(pointsInModel(points, frame), [points.length, 1, 2]),
      labels: points.map(() => [LABEL.positive]),
    };
  }
}

/** A filter whose threshold is not positive lets everything pass, NaN too. */
function isAbove(iou: number, threshold: number): boolean {
  return threshold <= 0 || iou > fround(threshold);
}

function isStable(score: number, threshold: number): boolean {
  return threshold <= 0 || score >= fround(threshold);
}

/** The candidates of each crop: filter, suppress, and write down. */
function records(crops: Candidate[][], thresholds: MaskThresholds): MaskRecord[] {
  const { predIouThresh, stabilityScoreThresh, maxArea, boxNmsThresh, cropNmsThresh } = thresholds;
  const passes = ({ predictedIou, stabilityScore, area }: Candidate) =>
    isAbove(predictedIou, predIouThresh) && isStable(stabilityScore, stabilityScoreThresh) && area <= maxArea;
  const ofCrop = (found: Candidate[]) =>
    suppress(found.filter(passes), ({ predictedIou }) => predictedIou, boxNmsThresh);
  let kept = crops.flatMap(ofCrop);
  if (crops.length > 1)
    kept = suppress(kept, ({ crop }) => 1 / ((crop[2] - crop[0]) * (crop[3] - crop[1])), cropNmsThresh);
  if (thresholds.minMaskRegionAreaFull > 0) kept = withoutSmallRegions(kept, thresholds);

  return kept.map(({ rle, area, box, predictedIou, point, stabilityScore, crop }) => ({
    segmentation: segmentation(rle, thresholds.outputMode),
    area,
    bbox: xywh(box),
    predictedIou,
    pointCoords: [point],
    stabilityScore,
    cropBox: xywh(crop),
  }));
}

function suppress(found: Candidate[], score: (candidate: Candidate) => number, threshold: number): Candidate[] {
  const boxes = Float32Array.from(found.flatMap(({ box }) => box));
  return nms(boxes, Float32Array.from(found, score), threshold).map((i) => found[i]);
}

/**
 * SAM 1's clean-up at the size of the image, and a second suppression, in which masks that did not need it are preferred.
 *
 * @source sam2/automatic_mask_generator.py, postprocess_small_regions
 */
function withoutSmallRegions(found: Candidate[], thresholds: MaskThresholds): Candidate[] {
  const { minMaskRegionAreaFull, boxNmsThresh, cropNmsThresh } = thresholds;
  const unchanged = new Set(found);
  const cleaned = found.map((candidate) => {
    const [height, width] = candidate.rle.size;
    const mask = decodeRle(candidate.rle);
    const better = removeSmallRegions(mask, width, height, minMaskRegionAreaFull);
    return better === mask ? candidate : { ...candidate, ...measured(better, width, height) };
  });
  const score = (candidate: Candidate) => (unchanged.has(candidate) ? 1 : 0);
  return suppress(cleaned, score, Math.max(boxNmsThresh, cropNmsThresh));
}

/** Runs, area and box of a mask of bytes. */
function measured(mask: Uint8Array, width: number, height: number): Pick<Candidate, "rle" | "area" | "box"> {
  const words = Math.ceil(width / 32);
  const bits = new Int32Array(height * words);
  mask.forEach((pixel, i) => {
    const x = i % width;
    if (pixel) bits[Math.floor(i / width) * words + (x >> 5)] |= 1 << (x & 31);
  });
  const { runs, area, box } = runReader([0, 0, width, height], width, height)(bits);
  return { rle: rleOfRuns(runs, width, height), area, box };
}

function segmentation(rle: Rle, mode: MaskThresholds["outputMode"]): MaskRecord["segmentation"] {
  if (mode === "coco_rle") return rle;
  return mode === "binary_mask" ? decodeRle(rle) : { size: rle.size, counts: rleRuns(rle) };
}

function xywh([x0, y0, x1, y1]: CropBox): [number, number, number, number] {
  return [x0, y0, x1 - x0, y1 - y0];
}

function onePrompt({ ious, objectScoreLogits, maskTokens, imageTokens }: DecodedTokens, b: number): DecodedTokens {
  const of = (t: Tensor) => narrow(t, 0, b, 1);
  return {
    ious: of(ious),
    objectScoreLogits: of(objectScoreLogits),
    maskTokens: of(maskTokens),
    imageTokens: of(imageTokens),
  };
}

function cropped({ width, height, data }: RgbImage, [x0, y0, x1, y1]: CropBox): RgbImage {
  if (x1 - x0 === width && y1 - y0 === height) return { width, height, data };
  const part = new Uint8Array((x1 - x0) * (y1 - y0) * 3);
  for (let y = y0; y < y1; y++) {
    part.set(data.subarray((y * width + x0) * 3, (y * width + x1) * 3), (y - y0) * (x1 - x0) * 3);
  }
  return { width: x1 - x0, height: y1 - y0, data: part };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
