import { ImageError } from "../errors.ts";
import type { ImageHeader, Raster } from "./pixels.ts";
import { withoutGreyPalette } from "./raster.ts";

interface Bmp extends ImageHeader {
  bits: number;
  compression: number;
  topDown: boolean;
  /** RGB of each index */
  palette: Uint8Array;
  /** bits of a pixel that are red, green, blue and alpha */
  masks: [number, number, number, number];
  /** where the pixels begin */
  data: number;
}

const [PLAIN, RLE8, RLE4, BIT_FIELDS, ALPHA_FIELDS] = [0, 1, 2, 3, 6];

/** @source Windows' BITMAPFILEHEADER, BITMAPCOREHEADER, BITMAPINFOHEADER and BITMAPV5HEADER */
export function bmpHeader(bytes: Uint8Array, where: string): Bmp {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.byteLength >= 30 ? view.getUint32(14, true) : 0;
  const isCore = size === 12;
  if (!(isCore || size >= 40) || view.byteLength < 14 + size) throw damaged(where, "a whole header", `${size} bytes`);

  const [width, signed] = isCore
    ? [view.getUint16(18, true), view.getUint16(20, true)]
    : [view.getInt32(18, true), view.getInt32(22, true)];
  const bits = view.getUint16(isCore ? 24 : 28, true);
  const compression = isCore ? PLAIN : view.getUint32(30, true);
  const fits = {
    [PLAIN]: [1, 4, 8, 16, 24, 32],
    [RLE8]: [8],
    [RLE4]: [4],
    [BIT_FIELDS]: [16, 32],
    [ALPHA_FIELDS]: [16, 32],
  };
  if (!fits[compression]?.includes(bits) || width < 0) {
    const got = `${bits} bits, compression ${compression}`;
    throw new ImageError(where, "a BMP file of 1, 4, 8, 16, 24 or 32 bits", got, "convert it to PNG");
  }

  const hasMasks = compression === BIT_FIELDS || compression === ALPHA_FIELDS;
  const behind = size === 40 && hasMasks ? (compression === BIT_FIELDS ? 12 : 16) : 0;
  const maskAt = (i: number) => (14 + size + behind >= 58 + 4 * i ? view.getUint32(54 + 4 * i, true) : 0);
  const masks: Bmp["masks"] = hasMasks
    ? [maskAt(0), maskAt(1), maskAt(2), maskAt(3)]
    : bits === 16
      ? [0x7c00, 0x3e0, 0x1f, 0]
      : [0xff0000, 0xff00, 0xff, 0];
  const palette = new Uint8Array(768);
  const entry = isCore ? 3 : 4;
  const colours = bits > 8 ? 0 : isCore ? 2 ** bits : Math.min(256, view.getUint32(46, true) || 2 ** bits);
  for (let i = 0, at = 14 + size + behind; i < colours && at + 3 <= bytes.length; i++, at += entry) {
    palette.set([bytes[at + 2], bytes[at + 1], bytes[at]], 3 * i);
  }
  const height = Math.abs(signed);
  return { width, height, bits, compression, topDown: signed < 0, palette, masks, data: view.getUint32(10, true) };
}

/** BMP → indices with their palette, grey, RGB or RGBA, as Pillow reads it. */
export function decodeBmp(bytes: Uint8Array, where: string): Raster {
  const bmp = bmpHeader(bytes, where);
  const { width, height, bits, compression } = bmp;
  const source = bytes.subarray(bmp.data);
  if (bits > 8) return ofColours(bmp, source, where);
  const isRuns = compression === RLE8 || compression === RLE4;
  const data = isRuns ? unrun(bmp, source) : indices(bmp, source, where);
  return withoutGreyPalette({ width, height, channels: 1, data, maxval: 255, palette: bmp.palette });
}

function rowBytes({ width, bits, height }: Bmp, source: Uint8Array, where: string): number {
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (source.length < stride * height) throw damaged(where, `${stride * height} bytes of rows`, `${source.length}`);
  return stride;
}

function indices(bmp: Bmp, source: Uint8Array, where: string): Uint8Array {
  const { width, height, bits, topDown } = bmp;
  const stride = rowBytes(bmp, source, where);
  const out = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = (topDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, to++) {
      const bit = x * bits;
      out[to] = (source[row + (bit >> 3)] >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
    }
  }
  return out;
}

function ofColours(bmp: Bmp, source: Uint8Array, where: string): Raster {
  const { width, height, bits, masks, topDown } = bmp;
  const stride = rowBytes(bmp, source, where);
  const channels = masks[3] ? 4 : 3;
  const out = new Uint8Array(width * height * channels);
  const fields = masks.slice(0, channels).map((mask) => {
    const shift = mask ? 31 - Math.clz32(mask & -mask) : 0;
    return { mask, shift, full: mask >>> shift };
  });
  const step = bits / 8;
  for (let y = 0, to = 0; y < height; y++) {
    let at = (topDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, at += step) {
      let pixel = 0;
      for (let b = step - 1; b >= 0; b--) pixel = (pixel << 8) | source[at + b];
      for (const { mask, shift, full } of fields) out[to++] = full ? (((pixel & mask) >>> shift) * 255) / full : 0;
    }
  }
  return { width, height, channels, data: out, maxval: 255 };
}

/** Runs of indices, and escapes: the end of a line, of the image, a jump, or indices as they are. */
function unrun({ width, height, bits, topDown }: Bmp, source: Uint8Array): Uint8Array {
  const out = new Uint8Array(width * height);
  let [x, y] = [0, 0];
  const put = (index: number) => {
    if (x < width && y < height) out[(topDown ? y : height - 1 - y) * width + x] = index;
    x++;
  };
  const half = (byte: number, i: number) => (bits === 8 ? byte : i % 2 ? byte & 15 : byte >> 4);
  for (let at = 0; at + 1 < source.length && y < height;) {
    const [count, value] = [source[at], source[at + 1]];
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i++) put(half(value, i));
    } else if (value === 0) {
      [x, y] = [0, y + 1];
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      x += source[at];
      y += source[at + 1];
      at += 2;
    } else {
      for (let i = 0; i < value; i++) put(half(source[at + (bits === 8 ? i : i >> 1)], i));
      at += 2 * Math.ceil((value * bits) / 16);
    }
  }
  return out;
}

function damaged(where: string, expected: string, got: string): ImageError {
  return new ImageError(where, `a BMP file with ${expected}`, got, "the file is truncated or damaged");
}
