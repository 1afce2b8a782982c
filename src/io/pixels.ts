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

/** What a file says of its image before any pixel is decoded. */
export interface ImageHeader {
  width: number;
  height: number;
  exif?: Uint8Array;
}

/** Told what a reader guessed, in half a sentence without the file's name. */
export type Notice = (text: string) => void;

const said = new Set<string>();

/** The console's stderr, once for each text. */
export const sayOnce: Notice = (text) => {
  if (said.has(text)) return;
  said.add(text);
  console.warn(`sam2: ${text}`);
};
