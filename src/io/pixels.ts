/** 8-bit samples, interleaved: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. */
export interface Pixels {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
  data: Uint8Array | Uint8ClampedArray;
}

/** What a file says of its image before any pixel is decoded. */
export interface ImageHeader {
  width: number;
  height: number;
  exif?: Uint8Array;
}
