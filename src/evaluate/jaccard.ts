import type { Mask } from "../io/masks.ts";

/**
 * J: the pixels that both masks have, by those that one of them has (intersection over union). 1 if both are empty.
 *
 * @source sav_dataset/utils/sav_benchmark.py, get_iou
 */
export function jaccard(a: Mask, b: Mask): number {
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] && b[i]) both++;
    if (a[i] || b[i]) either++;
  }
  return either === 0 ? 1 : both / either;
}
