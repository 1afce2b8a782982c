/** From candidates of a picture's crops to the records of those that are kept. */
import { decodeRle, measuredRle, type Rle, rleRuns, type UncompressedRle } from "../io/rle.ts";
import type { MaskThresholds } from "./automatic_mask_options.ts";
import type { CropBox } from "./crops.ts";
import { nms } from "./nms.ts";
import { removeSmallRegions } from "./small_regions.ts";

const { fround } = Math;

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
export interface Candidate {
  /** of the crop: four times the number of its point, and which of the point's four masks it is */
  id: number;
  rle: Rle;
  area: number;
  box: CropBox;
  predictedIou: number;
  point: [x: number, y: number];
  stabilityScore: number;
  crop: CropBox;
}

/** A filter whose threshold is not positive lets everything pass, NaN too. */
export function isAbove(iou: number, threshold: number): boolean {
  return threshold <= 0 || iou > fround(threshold);
}

export function isStable(score: number, threshold: number): boolean {
  return threshold <= 0 || score >= fround(threshold);
}

/** What is known of a candidate whose mask is not held. */
export type Outline = Omit<Candidate, "rle">;

/** Those of one crop that pass, and that no better one suppresses; best first, of equals in the order given. */
export function best<Some extends Outline>(found: readonly Some[], thresholds: MaskThresholds): Some[] {
  const { predIouThresh, stabilityScoreThresh, maxArea, boxNmsThresh } = thresholds;
  const passing = found.filter(
    ({ predictedIou, stabilityScore, area }) =>
      isAbove(predictedIou, predIouThresh) && isStable(stabilityScore, stabilityScoreThresh) && area <= maxArea,
  );
  return suppress(passing, ({ predictedIou }) => predictedIou, boxNmsThresh);
}

/** The candidates of each crop: filter, suppress, and write down. */
export function records(crops: readonly Candidate[][], thresholds: MaskThresholds): MaskRecord[] {
  const { cropNmsThresh } = thresholds;
  let kept = crops.flatMap((found) => best(found, thresholds));
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

function suppress<Some extends Outline>(
  found: readonly Some[],
  score: (one: Some) => number,
  threshold: number,
): Some[] {
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
