import { ImageError } from "../errors.ts";
import { encodePng } from "./png.ts";

/** One byte per pixel, row by row; anything but 0 is set. */
export type Mask = Uint8Array | Uint8ClampedArray;

/** @throws ImageError unless the mask has a byte for every pixel */
export function expectMask(mask: Mask, width: number, height: number, where: string): void {
  if (mask.length !== width * height) {
    const expected = `${width}×${height} = ${width * height} bytes`;
    throw new ImageError(where, expected, `${mask.length}`, "pass the mask with its own width and height");
  }
}

/** PNG, 8-bit grey: 255 where the mask is set, else 0. */
export function encodeMaskPng(mask: Mask, width: number, height: number): Uint8Array {
  expectMask(mask, width, height, "encodeMaskPng");
  return encodePng({ width, height, channels: 1, data: mask.map((value) => (value ? 255 : 0)) });
}

/** PNG, 8-bit palette: `indices` are kept as they are (0 background, else an object's id) and shown in DAVIS colours. */
export function encodePalettePng(indices: Uint8Array, width: number, height: number): Uint8Array {
  expectMask(indices, width, height, "encodePalettePng");
  return encodePng({ width, height, channels: 1, data: indices }, DAVIS_PALETTE);
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
