import type { CropBox } from "./crops.ts";

/** A mask as lengths of runs down the columns of the image, alternately unset and set, and what they say of it. */
export interface MaskRuns {
  runs: number[];
  /** pixels that are set */
  area: number;
  /** first and last column and row that are set, both included; all 0 for an empty mask */
  box: CropBox;
}

const WORD = 32; // columns of a word of bits

/**
 * Reads masks of a crop, [y1 − y0, ⌈(x1 − x0)/32⌉] words of bits as `maskBits` makes them, as masks of the image.
 *
 * Only where a bit differs from the one above it does a run begin or end, so each word is compared with the one above, and
 * the few differences of a column of words are sorted.
 */
export function runReader([x0, y0, x1, y1]: CropBox, imageWidth: number, imageHeight: number) {
  const [width, height] = [x1 - x0, y1 - y0];
  const words = Math.ceil(width / WORD);
  const flips = new Int32Array(WORD * (height + 1)); // bit·(height + 1) + y: there a run begins, or has ended

  return (bits: Int32Array): MaskRuns => {
    const runs: number[] = [];
    let [area, end] = [0, 0]; // of the last run
    let [left, top, right, bottom] = [imageWidth, imageHeight, -1, -1];
    for (let word = 0; word < words; word++) {
      let count = 0;
      let above = 0;
      for (let y = 0; y <= height; y++) {
        const row = y < height ? bits[y * words + word] : 0;
        for (let rest = row ^ above; rest !== 0; rest &= rest - 1) {
          flips[count++] = (31 - Math.clz32(rest & -rest)) * (height + 1) + y;
        }
        above = row;
      }
      const sorted = flips.subarray(0, count).sort();
      for (let i = 0; i < count; i += 2) {
        const column = Math.floor(sorted[i] / (height + 1));
        const [from, to] = [sorted[i] - column * (height + 1), sorted[i + 1] - column * (height + 1)];
        const x = x0 + word * WORD + column;
        const start = x * imageHeight + y0 + from;
        if (start === end && runs.length > 0) runs[runs.length - 1] += to - from;
        else runs.push(start - end, to - from);
        end = start + to - from;
        area += to - from;
        if (x < left) left = x;
        right = x;
        if (y0 + from < top) top = y0 + from;
        if (y0 + to - 1 > bottom) bottom = y0 + to - 1;
      }
    }
    if (end < imageWidth * imageHeight) runs.push(imageWidth * imageHeight - end);
    return { runs, area, box: area > 0 ? [left, top, right, bottom] : [0, 0, 0, 0] };
  };
}
