import { ImageError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";
import { expectMask, type Mask, wordsOf } from "./masks.ts";
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
  let start = 0;
  for (const at of changesOf(mask, width, height)) {
    runs.push(at - start);
    start = at;
  }
  runs.push(width * height - start);
  return rleOfRuns(runs, width, height);
}

/** Pixels that differ from the one before them, counted down the columns. They are looked for as the mask lies in memory. */
function changesOf(mask: Mask, width: number, height: number): Uint32Array {
  const [columns, rows]: [number[], number[]] = [[], []];
  const differs = (x: number, y: number, before: number) => {
    if ((mask[y * width + x] !== 0) === (before !== 0)) return;
    columns.push(x);
    rows.push(y);
  };
  for (let x = 0; x < width; x++) differs(x, 0, x > 0 ? mask[(height - 1) * width + x - 1] : 0);
  const words = wordsOf(mask);
  const step = width % words.BYTES_PER_ELEMENT === 0 ? words.BYTES_PER_ELEMENT : 1;
  const cells = step === 1 ? mask : words;
  const perRow = width / step;
  for (let y = 1, i = perRow; y < height; y++) {
    for (let c = 0; c < perRow; c++, i++) {
      if (cells[i] === cells[i - perRow]) continue;
      for (let x = step * c; x < step * (c + 1); x++) differs(x, y, mask[(y - 1) * width + x]);
    }
  }

  const ends = new Uint32Array(width + 1); // first how many a column has, then where the next one goes
  for (const x of columns) ends[x + 1]++;
  for (let x = 0; x < width; x++) ends[x + 1] += ends[x];
  const sorted = new Uint32Array(columns.length);
  for (let i = 0; i < columns.length; i++) sorted[ends[columns[i]]++] = columns[i] * height + rows[i];
  return sorted;
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
  paintRuns(runs, width, height, mask, 1);
  return mask;
}

/** Give every pixel of the mask this value. @param pixels row by row, of the mask's size */
export function paintRle(rle: Rle, pixels: Uint16Array, value: number): void {
  const [height, width] = rle.size;
  paintRuns(rleRuns(rle), width, height, pixels, value);
}

function paintRuns(
  runs: readonly number[],
  width: number,
  height: number,
  pixels: Uint8Array | Uint16Array,
  value: number,
): void {
  forEachColumn(runs, height, (x, top, bottom) => {
    for (let y = top; y < bottom; y++) pixels[y * width + x] = value;
  });
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
