import { ImageError } from "../errors.ts";
import { type Notice, notify } from "../platform/notices.ts";
import { kindOf } from "./kind_of.ts";

/** 8-bit RGB, 3 bytes per pixel, row by row. */
export interface RgbImage {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** height · width · 3 bytes */
  data: Uint8Array;
}

/** 8-bit samples, interleaved: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. */
export interface Pixels {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** samples a pixel */
  channels: 1 | 2 | 3 | 4;
  /** height · width · channels bytes, row by row */
  data: Uint8Array | Uint8ClampedArray;
}

/** The samples that a file holds, interleaved: 1 grey or indices, 2 grey + alpha, 3 RGB, 4 RGBA. */
export interface Raster extends Omit<Pixels, "data"> {
  data: Uint8Array | Uint8ClampedArray | Uint16Array;
  /** full scale of a sample: 255, of 16 bits 65535, of fewer than 8 bits 1, 3 or 15 */
  maxval: number;
  /** 256 colours, RGB, where the samples are indices */
  palette?: Uint8Array;
}

/** @throws ImageError unless both are whole numbers from 0 on */
export function expectSize(width: unknown, height: unknown, where: string): void {
  for (const [name, size] of Object.entries({ width, height })) {
    if (Number.isSafeInteger(size) && (size as number) >= 0) continue;
    throw new ImageError(`${where} ${name}`, "a whole number of pixels", kindOf(size), "pass width and height");
  }
}

/** @throws ImageError unless there is a byte for each of its samples */
export function expectPixels(image: Pixels, where: string): void {
  const { width, height, channels, data } = image ?? {};
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new ImageError(where, "{ width, height, data } with bytes", kindOf(image), "pass what decodeImage returns");
  }
  expectSize(width, height, where);
  if (data.length === width * height * channels) return;
  const expected = `${width}×${height} pixels of ${channels} bytes`;
  throw new ImageError(where, expected, `${data.length} bytes`, "pass the pixels with their own width and height");
}

/** What a file says of its image before any pixel is decoded. */
export interface ImageHeader {
  width: number;
  height: number;
  exif?: Uint8Array;
}

const said = new Set<string>();

/** Once for each text. */
export const sayOnce: Notice = (text) => {
  if (said.has(text)) return;
  said.add(text);
  notify(text);
};
