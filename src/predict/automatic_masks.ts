/** Every object of an image without a prompt: points on a grid, and what is left of their masks. */
import { UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import { decodeRle, measuredRle, type Rle, rleRuns, type UncompressedRle } from "../io/rle.ts";
import { type DecodedTokens, type ImageFeatures, stableMask } from "../model/mask_decoder.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import type { Sam2Graph } from "../model/sam2.ts";
import { type MaskExtent, maskCodes } from "../nn/mask_codes.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, select, type Tensor, values } from "../tensor/view.ts";
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

/** Masks that were painted, and what the model says of them. */
interface Painted {
  masks: Tensor; // [n, 4E, 4E] logits
  /** of each mask: the predicted IoU, and of which prompt it is */
  ious: number[];
  prompts: number[];
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
  readonly #toCodes: ReturnType<typeof maskCodes>;

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
    const crop = { H: y1 - y0, W: x1 - x0, x0, y0, imageH: height, imageW: width };
    this.#toCodes = maskCodes(imageSize / 4, imageSize / 4, crop);
  }

  /** @units 0…1 of the crop */
  find(graph: Sam2Graph, grid: readonly (readonly [x: number, y: number])[]): void {
    const [x0, y0, x1, y1] = this.#box;
    const points = grid.map(([x, y]): [number, number] => [fround(x * (x1 - x0)), fround(y * (y1 - y0))]);
    const { useM2m, multimaskOutput } = this.#options;
    const decoded = graph.decodeTokens(this.#features, this.#clicks(points), undefined);
    const painted = multimaskOutput ? this.#three(graph, decoded, useM2m) : this.#single(graph, decoded, useM2m);
    const pointsOf = painted.prompts.map((b) => points[b]);
    if (useM2m) this.#refine(graph, painted.masks, pointsOf);
    else this.#add(painted, pointsOf);
  }

  /** Every mask is given back to the model, with its point, for one better mask. */
  #refine(graph: Sam2Graph, masks: Tensor, points: readonly [number, number][]): void {
    const { heap } = machine;
    const side = this.#imageSize / 4;
    for (let from = 0; from < points.length; from += TOGETHER) {
      heap.scope(() => {
        const some = points.slice(from, from + TOGETHER);
        const drafts = values(narrow(masks, 0, from, some.length));
        const given = heap.from(clamped(drafts), [some.length, side, side, 1]);
        const refined = this.#single(graph, graph.decodeTokens(this.#features, this.#clicks(some), given), false);
        this.#add(
          refined,
          refined.prompts.map((i) => some[i]),
        );
      });
    }
  }

  /** The masks whose predicted IoU passes, or all of them. Prompts without one are not painted. */
  #three(graph: Sam2Graph, decoded: DecodedTokens, all: boolean): Painted {
    const wanted = (iou: number, m: number) => m > 0 && (all || this.#passes(iou));
    const { painted, prompts } = this.#paint(graph, decoded, wanted);
    const chosen = prompts.flatMap((b, i) => {
      const ious = [...values(select(decoded.ious, 0, b))];
      return ious.flatMap((iou, m) => (wanted(iou, m) ? [{ mask: select(select(painted, 0, i), 0, m), iou, b }] : []));
    });
    return gathered(chosen, this.#imageSize / 4);
  }

  /** The same for prompts that are to give one mask. Which of the four is known when they are painted. */
  #single(graph: Sam2Graph, decoded: DecodedTokens, all: boolean): Painted {
    const passes = (iou: number) => all || this.#passes(iou);
    const { painted, prompts } = this.#paint(graph, decoded, passes);
    const chosen = prompts.flatMap((b, i) => {
      const [masks, ious] = [select(painted, 0, i), select(decoded.ious, 0, b)];
      const m = stableMask(masks, ious);
      const iou = values(ious)[m];
      return passes(iou) ? [{ mask: select(masks, 0, m), iou, b }] : [];
    });
    return gathered(chosen, this.#imageSize / 4);
  }

  /** All four masks of the prompts of which one is wanted. @shape → [n, 4, 4E, 4E] */
  #paint(graph: Sam2Graph, decoded: DecodedTokens, wanted: (iou: number, m: number) => boolean) {
    const [B] = decoded.ious.shape;
    const prompts = [...Array(B).keys()].filter((b) => values(select(decoded.ious, 0, b)).some(wanted));
    return { painted: graph.paint(this.#features, decoded, prompts), prompts };
  }

  #passes(iou: number): boolean {
    return isAbove(iou, this.#floors.predIouThresh);
  }

  /** Low-resolution logits become candidates, unless they are unstable or at the border of the crop. */
  #add({ masks, ious }: Painted, points: readonly (readonly [number, number])[]): void {
    const { maskThreshold: threshold, stabilityScoreOffset: offset, minMaskRegionArea: area } = this.#options;
    const { width, height } = this.#image;
    const [x0, y0] = this.#box;
    if (area > 0) this.#clean(masks, area);
    const inImage = ([left, top, right, bottom]: CropBox, area: number): CropBox =>
      area > 0 ? [left + x0, top + y0, right + x0, bottom + y0] : [0, 0, 0, 0];
    const stability = ({ high, low }: MaskExtent) => fround(fround(high) / fround(low));
    const isWanted = (extent: MaskExtent) =>
      isStable(stability(extent), this.#floors.stabilityScoreThresh) &&
      !isAtCropEdge(inImage(extent.box, extent.area), this.#box, width, height);
    const limits = { threshold, high: threshold + offset, low: threshold - offset };
    const coded = this.#toCodes(masks, limits, isWanted);
    for (const [i, mask] of coded.entries()) {
      if (!mask) continue;
      const [x, y] = points[i];
      this.candidates.push({
        rle: { size: [height, width], counts: mask.counts },
        area: mask.area,
        box: inImage(mask.box, mask.area),
        predictedIou: ious[i],
        point: [fround(x + x0), fround(y + y0)],
        stabilityScore: stability(mask),
        crop: this.#box,
      });
    }
  }

  /** In place. */
  #clean(masks: Tensor, area: number): void {
    const [n, h, w] = masks.shape;
    const { maskThreshold } = this.#options;
    const options = { maskThreshold, maxHoleArea: area, maxSprinkleArea: area };
    for (let i = 0; i < n; i++) {
      const mask = values(select(masks, 0, i));
      mask.set(cleanMask(mask, w, h, options));
    }
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

/** Masks [side, side] that were chosen, one after another. */
function gathered(chosen: readonly { mask: Tensor; iou: number; b: number }[], side: number): Painted {
  const masks = machine.heap.alloc([chosen.length, side, side]);
  chosen.forEach(({ mask }, i) => machine.kernels.copy(select(masks, 0, i), mask));
  return { masks, ious: chosen.map(({ iou }) => iou), prompts: chosen.map(({ b }) => b) };
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
  const { rle, area, bbox } = measuredRle(mask, width, height);
  const [x, y, w, h] = bbox;
  return { rle, area, box: w > 0 ? [x, y, x + w - 1, y + h - 1] : [0, 0, 0, 0] };
}

function segmentation(rle: Rle, mode: MaskThresholds["outputMode"]): MaskRecord["segmentation"] {
  if (mode === "coco_rle") return rle;
  return mode === "binary_mask" ? decodeRle(rle) : { size: rle.size, counts: rleRuns(rle) };
}

function xywh([x0, y0, x1, y1]: CropBox): [number, number, number, number] {
  return [x0, y0, x1 - x0, y1 - y0];
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
