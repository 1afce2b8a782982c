import { ImageError } from "../errors.ts";
import { paintRle, type Rle, rleArea } from "./rle.ts";

const MOST = 2 ** 16 - 1;

/**
 * Which mask is seen at every pixel: 0 none, k the mask of index k − 1. Smaller masks lie over larger ones, of equal ones
 * the later over the earlier.
 *
 * @throws ImageError if there are more masks than 16 bits can tell apart
 */
export function labelMap(masks: readonly Rle[], width: number, height: number): Uint16Array {
  if (masks.length > MOST) {
    const todo = "raise the thresholds, or take fewer points";
    throw new ImageError("labelMap", `at most ${MOST} masks, which 16 bits can tell apart`, `${masks.length}`, todo);
  }
  const labels = new Uint16Array(width * height);
  const bySize = masks.map((mask, k) => ({ mask, k, area: rleArea(mask) })).sort((a, b) => b.area - a.area);
  for (const { mask, k } of bySize) paintRle(mask, labels, k + 1);
  return labels;
}
