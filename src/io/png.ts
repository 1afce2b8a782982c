// By hand, since the cost of a frame is mostly here: the platform's own zlib inflates about ten times as fast as those that
// libraries bring along (fast-png: fflate), and plain rows of 8 bits are copied whole. All colour types and depths give
// Pillow's pixels to the bit, and what no decoder should guess (a wrong CRC, rows that are missing) is refused.
import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { deflate, inflate } from "../platform/zlib.ts";
import { concat } from "./concat.ts";
import { crc32 } from "./crc32.ts";
import { kindOf } from "./kind_of.ts";
import { expectPixels, type ImageHeader, type Pixels, type Raster } from "./pixels.ts";

const GREY = 0;
const RGB = 2;
const PALETTE = 3;
const GREY_ALPHA = 4;
const RGBA = 6;

/** Samples per pixel and allowed bit depths of each colour type. */
const COLOUR_TYPES: Record<number, { samples: 1 | 2 | 3 | 4; depths: number[] }> = {
  [GREY]: { samples: 1, depths: [1, 2, 4, 8, 16] },
  [RGB]: { samples: 3, depths: [8, 16] },
  [PALETTE]: { samples: 1, depths: [1, 2, 4, 8] },
  [GREY_ALPHA]: { samples: 2, depths: [8, 16] },
  [RGBA]: { samples: 4, depths: [8, 16] },
};

/** Where a pass starts and how far apart its pixels lie: x, y, step in x, step in y. */
const WHOLE = [[0, 0, 1, 1]];
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

interface Chunk {
  type: string;
  data: Uint8Array;
  /** The type and the data: what the CRC covers. */
  covered: Uint8Array;
  crc: number;
}

/** Ends after IEND or with the file. */
function* chunks(bytes: Uint8Array, where: string): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; at < bytes.length;) {
    const end = at + 12 <= bytes.length ? at + 12 + view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw damaged(where, "a whole chunk", "the end of the file");
    const covered = bytes.subarray(at + 4, end - 4);
    const type = String.fromCharCode(...covered.subarray(0, 4));
    yield { type, data: covered.subarray(4), covered, crc: view.getUint32(end - 4) };
    if (type === "IEND") return;
    at = end;
  }
}

interface Ihdr {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  passes: number[][];
}

function readIhdr({ type, data }: Chunk, where: string): Ihdr {
  if (type !== "IHDR" || data.length < 13) throw damaged(where, "IHDR first", JSON.stringify(type));
  const view = new DataView(data.buffer, data.byteOffset);
  const [depth, colourType, compression, filter, interlace] = data.subarray(8, 13);
  if (!COLOUR_TYPES[colourType]?.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(where, "a format of the PNG specification", `IHDR ${data.subarray(8, 13).join(" ")}`);
  }
  const passes = interlace ? ADAM7 : WHOLE;
  return { width: view.getUint32(0), height: view.getUint32(4), depth, colourType, passes };
}

export function pngHeader(bytes: Uint8Array, where: string): ImageHeader {
  let ihdr: Ihdr | undefined;
  let exif: Uint8Array | undefined;
  for (const chunk of chunks(bytes, where)) {
    ihdr ??= readIhdr(chunk, where);
    if (chunk.type === "eXIf") exif = chunk.data;
  }
  if (!ihdr) throw damaged(where, "IHDR", "no chunk");
  return { width: ihdr.width, height: ihdr.height, exif };
}

/**
 * PNG → its samples, and its palette.
 *
 * @throws ImageError also for a wrong CRC
 * @source PNG specification (W3C), 5 chunks, 8 interlacing, 9 filtering
 */
export function decodePng(bytes: Uint8Array, where: string): Raster {
  let ihdr: Ihdr | undefined;
  let palette: Uint8Array | undefined;
  const compressed: Uint8Array[] = [];
  for (const chunk of chunks(bytes, where)) {
    if (crc32(chunk.covered) !== chunk.crc) {
      throw damaged(where, "chunks that fit their CRC", `${JSON.stringify(chunk.type)} that does not`);
    }
    ihdr ??= readIhdr(chunk, where);
    if (chunk.type === "PLTE") palette = chunk.data;
    if (chunk.type === "IDAT") compressed.push(chunk.data);
  }
  const { width, height, depth, colourType, passes } = ihdr!;
  const { samples } = COLOUR_TYPES[colourType];

  const layout = passes.map(([x, y, dx, dy]) => {
    const columns = Math.ceil((width - x) / dx);
    const rows = columns > 0 ? Math.max(0, Math.ceil((height - y) / dy)) : 0;
    return { x, y, dx, dy, columns, rows, rowBytes: Math.ceil((columns * samples * depth) / 8) };
  });
  const rawBytes = layout.reduce((sum, pass) => sum + pass.rows * (1 + pass.rowBytes), 0);
  const raw = inflated(compressed, rawBytes, where);

  const pixelBytes = Math.max(1, (samples * depth) / 8);
  const data = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * samples);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows, rowBytes } of layout) {
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let r = 0; r < rows; r++, at += 1 + rowBytes) {
      const row = raw.subarray(at + 1, at + 1 + rowBytes);
      unfilter(raw[at], row, above, pixelBytes, where);
      above = row;
      let to = ((y + r * dy) * width + x) * samples;
      if (depth === 8 && dx === 1) {
        data.set(row, to);
        continue;
      }
      for (let i = 0; i < columns * samples;) {
        for (let s = 0; s < samples; s++, i++) data[to + s] = sampleAt(row, i, depth);
        to += dx * samples;
      }
    }
  }
  const raster = { width, height, channels: samples, data, maxval: 2 ** depth - 1 };
  return colourType === PALETTE ? { ...raster, palette: wholePalette(palette, where) } : raster;
}

/** Bytes after the last row that are passed over, as by libpng. */
const SPARE_BYTES = 4096;

/** Inflates no more than the size that IHDR implies, so that no stream can claim more memory or time. */
function inflated(compressed: Uint8Array[], rawBytes: number, where: string): Uint8Array {
  const stream = concat(compressed);
  if (stream.length > 2 * rawBytes + 1024) {
    throw damaged(where, `compressed data for ${rawBytes} bytes`, `${stream.length} bytes of it`);
  }
  let raw: Uint8Array;
  try {
    raw = inflate(stream, rawBytes + SPARE_BYTES);
  } catch (cause) {
    throw damaged(where, "intact compressed data", `"${(cause as Error).message}"`, cause);
  }
  if (raw.length < rawBytes) throw damaged(where, `${rawBytes} bytes of rows`, `${raw.length}`);
  return raw;
}

/** Undoes a row's filter in place; `bpp` bytes make a pixel. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, bpp: number, where: string): void {
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = bpp; i < row.length; i++) row[i] += row[i - bpp];
      return;
    case 2:
      for (let i = 0; i < row.length; i++) row[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < bpp; i++) row[i] += above[i] >> 1;
      for (let i = bpp; i < row.length; i++) row[i] += (row[i - bpp] + above[i]) >> 1;
      return;
    case 4:
      for (let i = 0; i < bpp; i++) row[i] += above[i];
      for (let i = bpp; i < row.length; i++) row[i] += paeth(row[i - bpp], above[i], above[i - bpp]);
      return;
    default:
      throw damaged(where, "a filter from 0 to 4", `${filter}`);
  }
}

/** Whichever of left, above and upper left is nearest to left + above − upper left. */
function paeth(left: number, above: number, upperLeft: number): number {
  const toLeft = Math.abs(above - upperLeft);
  const toAbove = Math.abs(left - upperLeft);
  const toUpperLeft = Math.abs(left + above - 2 * upperLeft);
  if (toLeft <= toAbove && toLeft <= toUpperLeft) return left;
  return toAbove <= toUpperLeft ? above : upperLeft;
}

function sampleAt(row: Uint8Array, i: number, depth: number): number {
  if (depth === 8) return row[i];
  if (depth === 16) return (row[2 * i] << 8) | row[2 * i + 1];
  const bit = i * depth;
  return (row[bit >> 3] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

/** Indices beyond the palette are black, as for PIL. */
function wholePalette(palette: Uint8Array | undefined, where: string): Uint8Array {
  if (!palette) throw damaged(where, "a palette", "none");
  const colours = new Uint8Array(768);
  colours.set(palette.subarray(0, 768));
  return colours;
}

function damaged(where: string, expected: string, got: string, cause?: unknown): ImageError {
  return new ImageError(where, `a PNG file with ${expected}`, got, "the file is truncated or damaged", { cause });
}

/** A PNG file that is not compressed yet. */
export interface RawPng {
  head: Uint8Array;
  palette?: Uint8Array;
  /** filtered rows, each after the number of its filter */
  rows: Uint8Array;
  /** do most bytes repeat, as those of masks do? */
  repeats: boolean;
}

/**
 * 8-bit grey (1 channel), palette (1 channel and 768 bytes of palette), RGB (3 channels) or RGBA (4) → PNG.
 * Rows of colours are filtered by Paeth; masks compress better as they are.
 */
export function encodePng(image: Pixels & { channels: 1 | 3 | 4 }, palette?: Uint8Array): Uint8Array {
  return compressed(rawPng(image, palette));
}

export function rawPng(image: Pixels & { channels: 1 | 3 | 4 }, palette?: Uint8Array): RawPng {
  expectPixels(image, "encodePng");
  const { width, height, channels, data } = image;
  if (palette && !(palette instanceof Uint8Array)) {
    throw new ImageError("encodePng palette", "768 bytes", kindOf(palette), "pass DAVIS_PALETTE, or leave it out");
  }
  const rowBytes = width * channels;
  const rows = new Uint8Array(height * (1 + rowBytes));
  let above: Pixels["data"] = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * rowBytes, (y + 1) * rowBytes);
    const to = rows.subarray(y * (1 + rowBytes), (y + 1) * (1 + rowBytes));
    if (channels === 1) {
      to.set(row, 1);
    } else {
      to[0] = 4;
      for (let i = 0; i < channels; i++) to[1 + i] = row[i] - above[i];
      for (let i = channels; i < rowBytes; i++) {
        to[1 + i] = row[i] - paeth(row[i - channels], above[i], above[i - channels]);
      }
    }
    above = row;
  }
  const colourType = palette ? PALETTE : { 1: GREY, 3: RGB, 4: RGBA }[channels];
  return { head: headOf(width, height, 8, colourType), palette, rows, repeats: channels === 1 };
}

/** 16-bit grey → PNG. */
export function encodeGrey16Png(data: Uint16Array, width: number, height: number): Uint8Array {
  return compressed(rawGrey16Png(data, width, height));
}

export function rawGrey16Png(data: Uint16Array, width: number, height: number): RawPng {
  const rows = new Uint8Array(height * (1 + 2 * width));
  const view = new DataView(rows.buffer);
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++) view.setUint16(y * (1 + 2 * width) + 1 + 2 * x, data[from++]);
  }
  return { head: headOf(width, height, 16, GREY), rows, repeats: false };
}

function headOf(width: number, height: number, depth: number, colourType: number): Uint8Array {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head[8] = depth;
  head[9] = colourType;
  return head;
}

export function compressed(raw: RawPng): Uint8Array {
  return fileOf(raw, deflate(raw.rows, raw.repeats));
}

/** `compressed`, by another thread where the platform has one for that. */
export async function compressedAside(raw: RawPng): Promise<Uint8Array> {
  return fileOf(raw, await (platform.deflateAside ?? deflate)(raw.rows, raw.repeats));
}

function fileOf({ head, palette }: RawPng, stream: Uint8Array): Uint8Array {
  const parts = [SIGNATURE, chunk("IHDR", head)];
  if (palette) parts.push(chunk("PLTE", palette));
  return concat([...parts, chunk("IDAT", stream), chunk("IEND", new Uint8Array())]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
