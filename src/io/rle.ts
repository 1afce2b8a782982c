import { ImageError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";
import { expectMask, type Mask, maskBounds } from "./masks.ts";
import { expectSize } from "./pixels.ts";

/** COCO's run-length encoding, as pycocotools writes and reads it. */
export interface Rle {
  /** pixels of the image */
  size: [height: number, width: number];
  /** Lengths of runs down the columns, alternately unset and set, in COCO's compressed form. */
  counts: string;
}

/** Lengths of runs down the columns, alternately unset and set. */
export interface UncompressedRle {
  /** pixels of the image */
  size: [height: number, width: number];
  /** pixels; the first run is unset, and 0 if the first pixel is set */
  counts: number[];
}

/** @throws ImageError unless the mask has a byte for every pixel */
export function encodeRle(mask: Mask, width: number, height: number): Rle {
  expectMask(mask, width, height, "encodeRle");
  const runs: number[] = [];
  const [left, top, right, bottom] = maskBounds(mask, width) ?? [0, 0, 0, 0];
  // one row and column further, where a run ends; from the top, where a run may go on in the next column
  const [firstRow, endRow] = [bottom === height ? 0 : top, Math.min(bottom + 1, height)];
  let value = false;
  let start = 0;
  for (let x = left; x < Math.min(right + 1, width); x++) {
    for (let y = firstRow, i = firstRow * width + x; y < endRow; y++, i += width) {
      if ((mask[i] !== 0) === value) continue;
      runs.push(x * height + y - start);
      start = x * height + y;
      value = !value;
    }
  }
  runs.push(width * height - start);
  return rleOfRuns(runs, width, height);
}

/** Runs down the columns, the first of them unset, in COCO's form. */
export function rleOfRuns(runs: readonly number[], width: number, height: number): Rle {
  return { size: [height, width], counts: compress(runs) };
}

/** @throws ImageError, as the other readers here, if the runs do not fill the size exactly */
export function decodeRle(rle: Rle | UncompressedRle): Uint8Array {
  const runs = rleRuns(rle);
  const [height, width] = rle.size;
  const mask = new Uint8Array(width * height);
  forEachColumn(runs, height, (x, top, bottom) => {
    for (let y = top; y < bottom; y++) mask[y * width + x] = 1;
  });
  return mask;
}

/** @units pixels */
export function rleArea(rle: Rle): number {
  return rleRuns(rle).reduce((area, run, i) => (i % 2 ? area + run : area), 0);
}

/** @units pixels: [left, top, width, height]; all 0 for an empty mask */
export function rleBbox(rle: Rle): [x: number, y: number, w: number, h: number] {
  const runs = rleRuns(rle);
  const [height, width] = rle.size;
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  forEachColumn(runs, height, (x, top, bottom) => {
    x0 = Math.min(x0, x);
    x1 = x + 1;
    y0 = Math.min(y0, top);
    y1 = Math.max(y1, bottom);
  });
  return x1 > x0 ? [x0, y0, x1 - x0, y1 - y0] : [0, 0, 0, 0];
}

/** The runs down the columns, the first of them unset. @throws ImageError if they do not fill the size exactly */
export function rleRuns(rle: Rle | UncompressedRle): number[] {
  const { size, counts } = rle ?? {};
  if (!Array.isArray(size) || !(typeof counts === "string" || Array.isArray(counts))) {
    throw new ImageError("RLE", '{ size: [height, width], counts: "…" }', kindOf(rle), "pass what encodeRle returns");
  }
  expectSize(size[1], size[0], "RLE");
  const runs = typeof counts === "string" ? decompress(counts) : counts;
  const pixels = runs.reduce((sum, run) => sum + run, 0);
  if (pixels !== size[0] * size[1]) {
    throw new ImageError("RLE", `runs of ${size.join("·")} pixels in all`, `${pixels}`, "check size and counts");
  }
  return runs;
}

/** Calls `visit` for every stretch of set pixels within one column, `bottom` excluded. */
function forEachColumn(
  runs: readonly number[],
  height: number,
  visit: (x: number, top: number, bottom: number) => void,
): void {
  let at = 0;
  runs.forEach((run, i) => {
    const end = at + run;
    while (i % 2 && at < end) {
      const x = Math.floor(at / height);
      const bottom = Math.min(end - x * height, height);
      visit(x, at - x * height, bottom);
      at = x * height + bottom;
    }
    at = end;
  });
}

/**
 * Each run, from the fourth on less the run two before, as little-endian groups of 5 bits with sign: bit 5 says that more
 * follow, and 48 is added to give a printable character.
 */
function compress(runs: readonly number[]): string {
  const codes: number[] = [];
  runs.forEach((run, i) => {
    let rest = i > 2 ? run - runs[i - 2] : run;
    for (let more = true; more;) {
      const group = rest & 0x1f;
      rest >>= 5;
      more = group & 0x10 ? rest !== -1 : rest !== 0;
      codes.push(48 + (more ? group | 0x20 : group));
    }
  });
  return new TextDecoder().decode(Uint8Array.from(codes));
}

function decompress(counts: string): number[] {
  const runs: number[] = [];
  for (let at = 0; at < counts.length;) {
    let value = 0;
    let group = 0x20;
    for (let shift = 0; group & 0x20; shift += 5) {
      group = counts.charCodeAt(at++) - 48;
      if (!(group >= 0 && group < 64 && shift < 32)) {
        throw new ImageError(
          "RLE",
          "COCO's compressed counts",
          JSON.stringify(counts.slice(0, 40)),
          "check the string",
        );
      }
      value |= (group & 0x1f) << shift;
      if (!(group & 0x20) && group & 0x10 && shift + 5 < 32) value |= -1 << (shift + 5); // negative
    }
    const run = runs.length > 2 ? value + runs[runs.length - 2] : value;
    if (run < 0) throw new ImageError("RLE", "runs of at least 0 pixels", `${run}`, "check the string");
    runs.push(run);
  }
  return runs;
}
