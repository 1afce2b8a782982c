import { ImageError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";
import { expectMask, type Mask } from "./masks.ts";
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
  return rleOfRuns(measuredRuns(mask, width, height).runs, width, height);
}

/** `encodeRle`, `rleArea` and `rleBbox` of a mask in one. */
export function measuredRle(mask: Mask, width: number, height: number) {
  expectMask(mask, width, height, "measuredRle");
  const { runs, area, bbox } = measuredRuns(mask, width, height);
  return { rle: rleOfRuns(runs, width, height), area, bbox };
}

/**
 * Runs down the columns, the first of them unset. The mask is looked at row by row, as it lies in memory: where a pixel
 * differs from the one above, a run begins or ends; these places are sorted into their columns.
 */
function measuredRuns(mask: Mask, width: number, height: number) {
  const { xs, ys, count } = changesOf(mask, width, height);
  const ends = new Int32Array(width + 1); // of each column's changes, once they are sorted
  for (let i = 0; i < count; i++) ends[xs[i] + 1]++;
  for (let x = 0; x < width; x++) ends[x + 1] += ends[x];
  const rows = new Int32Array(count);
  for (let i = 0; i < count; i++) rows[ends[xs[i]]++] = ys[i];
  const runs: number[] = [];
  let [area, end] = [0, 0]; // of the set runs so far
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let x = 0, from = 0; x < width; from = ends[x++]) {
    if (from === ends[x]) continue;
    x0 = Math.min(x0, x);
    x1 = x + 1;
    for (let k = from; k < ends[x]; k += 2) {
      const [top, bottom] = [rows[k], k + 1 < ends[x] ? rows[k + 1] : height];
      y0 = Math.min(y0, top);
      y1 = Math.max(y1, bottom);
      area += bottom - top;
      if (x * height + top === end && runs.length > 0) runs[runs.length - 1] += bottom - top;
      else runs.push(x * height + top - end, bottom - top);
      end = x * height + bottom;
    }
  }
  if (end < width * height || runs.length === 0) runs.push(width * height - end);
  return { runs, area, bbox: boxOf(x0, y0, x1, y1) };
}

/** Pixels that differ from the one above, row by row; above the first row nothing is set. Most words of four are passed over whole. */
function changesOf(mask: Mask, width: number, height: number) {
  const pixels = inWords(mask, width, height);
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  const stride = words.length / height;
  let [xs, ys] = [new Int32Array(4096), new Int32Array(4096)];
  let count = 0;
  for (let y = 0, word = 0; y < height; y++) {
    for (let x = 0; x < width; x += 4, word++) {
      if (words[word] === (y > 0 ? words[word - stride] : 0)) continue;
      if (count + 4 > xs.length) [xs, ys] = [twiceAsLong(xs), twiceAsLong(ys)];
      for (let c = 0, i = 4 * word; c < 4; c++, i++) {
        xs[count] = x + c;
        ys[count] = y;
        if ((pixels[i] !== 0) !== (y > 0 && pixels[i - 4 * stride] !== 0)) count++;
      }
    }
  }
  return { xs, ys, count };
}

/** The mask itself if its rows are whole words, else a copy of which they are. */
function inWords(mask: Mask, width: number, height: number): Mask {
  if (width % 4 === 0 && mask.byteOffset % 4 === 0) return mask;
  const stride = Math.ceil(width / 4) * 4;
  const copy = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) copy.set(mask.subarray(y * width, (y + 1) * width), y * stride);
  return copy;
}

function twiceAsLong(some: Int32Array<ArrayBuffer>): typeof some {
  const more = new Int32Array(2 * some.length);
  more.set(some);
  return more;
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
  return boxOf(x0, y0, x1, y1);
}

function boxOf(x0: number, y0: number, x1: number, y1: number): [x: number, y: number, w: number, h: number] {
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
  let pixels = 0;
  for (const run of runs) pixels += run;
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

/** Of a run: 32 bits in groups of five. */
const MOST_CODES = 7;

/**
 * Each run, from the fourth on less the run two before, as little-endian groups of 5 bits with sign: bit 5 says that more
 * follow, and 48 is added to give a printable character.
 */
function compress(runs: readonly number[]): string {
  const codes = new Uint8Array(MOST_CODES * runs.length);
  let length = 0;
  for (let i = 0; i < runs.length; i++) {
    let rest = i > 2 ? runs[i] - runs[i - 2] : runs[i];
    for (let more = true; more;) {
      const group = rest & 0x1f;
      rest >>= 5;
      more = group & 0x10 ? rest !== -1 : rest !== 0;
      codes[length++] = 48 + (more ? group | 0x20 : group);
    }
  }
  return new TextDecoder().decode(codes.subarray(0, length));
}

function decompress(counts: string): number[] {
  const runs: number[] = [];
  let [before, last] = [0, 0]; // the runs two and one before
  for (let at = 0; at < counts.length;) {
    let value = 0;
    let shift = 0;
    let group: number;
    do {
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
      shift += 5;
    } while (group & 0x20);
    if (group & 0x10 && shift < 32) value |= -1 << shift; // negative
    const run = runs.length > 2 ? value + before : value;
    if (run < 0) throw new ImageError("RLE", "runs of at least 0 pixels", `${run}`, "check the string");
    before = last;
    last = run;
    runs.push(run);
  }
  return runs;
}
