import { ImageError } from "../errors.ts";
import { kindOf } from "../io/kind_of.ts";
import type { Mask } from "../io/masks.ts";

/**
 * J: the pixels that both masks have, by those that one of them has (intersection over union). 1 if both are empty.
 *
 * @throws ImageError unless they are masks of one size
 * @source sav_dataset/utils/sav_benchmark.py, get_iou
 */
export function jaccard(a: Mask, b: Mask): number {
  const isMask = (mask: unknown) => mask instanceof Uint8Array || mask instanceof Uint8ClampedArray;
  if (!isMask(a) || !isMask(b) || a.length !== b.length) {
    const got = isMask(a) && isMask(b) ? `${a.length} and ${b.length} bytes` : `${kindOf(a)} and ${kindOf(b)}`;
    throw new ImageError("jaccard", "two masks of one size", got, "pass a byte for each pixel");
  }
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] && b[i]) both++;
    if (a[i] || b[i]) either++;
  }
  return either === 0 ? 1 : both / either;
}
