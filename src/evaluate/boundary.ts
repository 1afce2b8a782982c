import { expectMask, type Mask } from "../io/masks.ts";

/** How far two boundaries may lie apart and still match, as a share of the image's diagonal. */
const TOLERANCE = 0.008;

/**
 * F: harmonic mean of the share of the predicted boundary that lies near the true one (precision) and the share of the true
 * one that lies near the predicted one (recall). Near: within ⌈0.008 · diagonal⌉ pixels. 1 if neither has a boundary.
 *
 * @throws ImageError unless both have a byte for every pixel
 * @source sav_dataset/utils/sav_benchmark.py, Evaluator.feed_frame
 */
export function boundaryF(predicted: Mask, truth: Mask, width: number, height: number): number {
  for (const mask of [predicted, truth]) expectMask(mask, width, height, "boundaryF");
  const found = boundaryOf(predicted, width, height);
  const wanted = boundaryOf(truth, width, height);
  if (found.length === 0 && wanted.length === 0) return 1;
  if (found.length === 0 || wanted.length === 0) return 0;

  const radius = Math.ceil(TOLERANCE * Math.sqrt(height * height + width * width));
  const precision = shareNear(found, wanted, radius, width, height);
  const recall = shareNear(wanted, found, radius, width, height);
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

/**
 * Pixels that differ from their neighbour to the right, below, or right below. A mask ends with the image: its last pixel
 * has no boundary, the others of the last row and column have one neighbour.
 *
 * @source sav_dataset/utils/sav_benchmark.py, _seg2bmap
 */
function boundaryOf(mask: Mask, width: number, height: number): number[] {
  const boundary: number[] = [];
  for (let y = 0, i = 0; y < height; y++) {
    const below = y + 1 < height ? width : 0;
    for (let x = 0; x < width; x++, i++) {
      const right = x + 1 < width ? 1 : 0;
      const own = !mask[i];
      if (!mask[i + right] !== own || !mask[i + below] !== own || !mask[i + below + right] !== own) boundary.push(i);
    }
  }
  return boundary;
}

/** The share of `pixels` with one of `others` within `radius`. */
function shareNear(
  pixels: readonly number[],
  others: readonly number[],
  radius: number,
  width: number,
  height: number,
): number {
  const near = new Uint8Array(width * height);
  const half = Array.from({ length: radius + 1 }, (_, dy) => Math.floor(Math.sqrt(radius * radius - dy * dy)));
  for (const pixel of others) {
    const x = pixel % width;
    const y = (pixel - x) / width;
    const bottom = Math.min(y + radius, height - 1);
    for (let row = Math.max(y - radius, 0); row <= bottom; row++) {
      const reach = half[Math.abs(row - y)];
      near.fill(1, row * width + Math.max(x - reach, 0), row * width + Math.min(x + reach + 1, width));
    }
  }
  return pixels.reduce((count, pixel) => count + near[pixel], 0) / pixels.length;
}
