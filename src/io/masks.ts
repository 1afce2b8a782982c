import { ImageError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";
import { expectKind, whole } from "./options.ts";
import { expectPixels, expectSize, type RgbImage } from "./pixels.ts";
import { compressed, encodePng, type RawPng, rawPng } from "./png.ts";

/** One byte per pixel, row by row; anything but 0 is set. */
export type Mask = Uint8Array | Uint8ClampedArray;

/** @throws ImageError unless the mask has a byte for every pixel */
export function expectMask(mask: Mask, width: number, height: number, where: string): void {
  expectBytes(mask, where);
  expectSize(width, height, where);
  if (mask.length !== width * height) {
    const expected = `${width}×${height} = ${width * height} bytes`;
    throw new ImageError(where, expected, `${mask.length}`, "pass the mask with its own width and height");
  }
}

function expectBytes(mask: unknown, where: string): void {
  if (mask instanceof Uint8Array || mask instanceof Uint8ClampedArray) return;
  throw new ImageError(where, "a mask of bytes in a Uint8Array", kindOf(mask), "pass a byte a pixel, row by row");
}

/** The smallest box around what is set, right and bottom excluded; undefined for an empty mask. */
export function maskBounds(
  mask: Mask,
  width: number,
): [left: number, top: number, right: number, bottom: number] | undefined {
  expectBytes(mask, "maskBounds");
  expectKind(width, whole(1), "maskBounds width", "pass the width of the mask");
  expectSize(width, mask.length / width, "maskBounds");
  const words = wordsOf(mask);
  let first = 0;
  while (first < words.length && words[first] === 0) first++;
  if (first === words.length) return undefined;
  let last = words.length - 1;
  while (words[last] === 0) last--;
  const perWord = words.BYTES_PER_ELEMENT;
  [first, last] = [first * perWord, last * perWord + perWord - 1];
  while (mask[first] === 0) first++;
  while (mask[last] === 0) last--;
  const [top, bottom] = [Math.floor(first / width), Math.floor(last / width) + 1];
  let [left, right] = [width, 0];
  for (let y = top; y < bottom; y++) {
    const row = y * width;
    for (let x = 0; x < left; x++) if (mask[row + x]) left = x;
    for (let x = width - 1; x >= right; x--) if (mask[row + x]) right = x + 1;
  }
  return [left, top, right, bottom];
}

/** Four pixels at a time, where they lie so in memory. */
function wordsOf(mask: Mask): Mask | Uint32Array {
  const { buffer, byteOffset, length } = mask;
  return byteOffset % 4 === 0 && length % 4 === 0 ? new Uint32Array(buffer, byteOffset, length / 4) : mask;
}

/** PNG, 8-bit grey: 255 where the mask is set, else 0. */
export function encodeMaskPng(mask: Mask, width: number, height: number): Uint8Array {
  return compressed(rawMaskPng(mask, width, height));
}

export function rawMaskPng(mask: Mask, width: number, height: number): RawPng {
  expectMask(mask, width, height, "encodeMaskPng");
  const data = new Uint8Array(mask.length);
  const [left, top, right, bottom] = maskBounds(mask, width) ?? [0, 0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let i = y * width + left, end = y * width + right; i < end; i++) if (mask[i]) data[i] = 255;
  }
  return rawPng({ width, height, channels: 1, data });
}

/** PNG, RGBA of the image's size: the image where the mask is set, nothing (0, 0, 0, 0) elsewhere. */
export function encodeCutoutPng(image: RgbImage, mask: Mask): Uint8Array {
  expectPixels({ ...image, channels: 3 }, "encodeCutoutPng");
  const { width, height } = image;
  expectMask(mask, width, height, "encodeCutoutPng");
  const data = new Uint8Array(width * height * 4);
  for (let i = 0, from = 0, to = 0; i < mask.length; i++, from += 3, to += 4) {
    if (mask[i] === 0) continue;
    data[to] = image.data[from];
    data[to + 1] = image.data[from + 1];
    data[to + 2] = image.data[from + 2];
    data[to + 3] = 255;
  }
  return encodePng({ width, height, channels: 4, data });
}

/** PNG, 8-bit palette: `indices` are kept as they are (0 background, else an object's id) and shown in DAVIS colours. */
export function encodePalettePng(indices: Uint8Array, width: number, height: number): Uint8Array {
  return compressed(rawPalettePng(indices, width, height));
}

export function rawPalettePng(indices: Uint8Array, width: number, height: number): RawPng {
  expectMask(indices, width, height, "encodePalettePng");
  return rawPng({ width, height, channels: 1, data: indices }, DAVIS_PALETTE);
}

/**
 * 256 RGB colours. The bits of an index, from low to high, are dealt to R, G, B, R, G, B …, each filling its byte from
 * the top: neighbouring ids get colours far apart.
 */
export const DAVIS_PALETTE = Uint8Array.from({ length: 768 }, (_, i) => {
  const index = Math.floor(i / 3);
  const channel = i % 3;
  return (
    (((index >> channel) & 1) << 7) | (((index >> (channel + 3)) & 1) << 6) | (((index >> (channel + 6)) & 1) << 5)
  );
});
