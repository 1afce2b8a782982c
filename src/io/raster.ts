// What becomes of a file's samples: turned upright, then 8-bit RGB.
import type { Notice } from "../platform/notices.ts";
import type { Orientation } from "./exif.ts";
import type { Pixels, Raster, RgbImage } from "./pixels.ts";

/** What sensors measure with; their samples are stored as 16 bits. */
const SENSOR_BITS = [8, 10, 12, 14];

/** Turns the pixels as EXIF's orientation says. */
export function upright(raster: Raster, orientation: Orientation): Raster {
  if (orientation === 1) return raster;
  const { width: W, height: H, channels, data } = raster;
  const turned = orientation >= 5; // rows become columns
  const mirrorX = [2, 3, 7, 8].includes(orientation);
  const mirrorY = [3, 4, 6, 7].includes(orientation);
  const width = turned ? H : W;
  const out = data.slice();
  const stepX = channels * (turned ? width : 1) * (mirrorX ? -1 : 1);
  for (let y = 0, from = 0; y < H; y++) {
    const u = mirrorX ? W - 1 : 0;
    const v = mirrorY ? H - 1 - y : y;
    let to = channels * (turned ? u * width + v : v * width + u);
    for (let x = 0; x < W; x++, to += stepX) for (let c = 0; c < channels; c++) out[to + c] = data[from++];
  }
  return { ...raster, width, height: turned ? W : H, data: out };
}

/** What the 16-bit samples of all frames of a video are taken for: were it decided frame by frame, the film would flicker. */
export interface SampleBits {
  /** undefined until a frame that is not black was seen */
  bits?: number;
  /** Are there samples of 16 bits at all? */
  isDeep?: boolean;
  /** nothing is said yet */
  isTrial?: boolean;
}

/** Colours are looked up, samples become 8 bits, grey is repeated, and alpha is dropped. */
export function rasterToRgb(raster: Raster, notice: Notice, common: SampleBits = {}): RgbImage {
  if (raster.palette) return coloured(raster, raster.palette);
  return packRgb({ ...raster, data: eightBits(raster, notice, common) });
}

/** Drops alpha and repeats grey; RGB is not copied. */
export function packRgb({ width, height, channels, data }: Pixels): RgbImage {
  if (channels === 3) return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  const rgb = new Uint8Array(width * height * 3);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + green];
    rgb[to + 2] = data[from + blue];
  }
  return { width, height, data: rgb };
}

function coloured({ width, height, data }: Raster, palette: Uint8Array): RgbImage {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, to = 0; i < data.length; i++) {
    for (let from = 3 * data[i]; to < 3 * i + 3; from++, to++) rgb[to] = palette[from];
  }
  return { width, height, data: rgb };
}

/**
 * Fewer bits are stretched to 0…255; of 16 bits the high byte is taken, unless all colours of the image fit 14, 12, 10 or
 * 8 bits, as those of microscopes and depth cameras do: then the high byte of as many bits. What exceeds the bits of the
 * frames before is white.
 */
function eightBits(raster: Raster, notice: Notice, common: SampleBits): Uint8Array | Uint8ClampedArray {
  const { data, maxval } = raster;
  if (maxval === 255) return data as Uint8Array;
  const out = new Uint8Array(data.length);
  if (maxval < 255) {
    for (let i = 0; i < data.length; i++) out[i] = (data[i] * 255) / maxval;
    return out;
  }
  const largest = largestColour(raster);
  common.isDeep = true;
  if (largest > 0) common.bits ??= SENSOR_BITS.find((bits) => largest < 2 ** bits) ?? 16;
  const { bits = 16 } = common;
  if (bits < 16) notice(`16-bit samples that fit ${bits} bits are taken for ${bits}-bit ones`);
  if (largest >= 2 ** bits) notice(`16-bit samples of a later frame exceed ${bits} bits, and are taken for white`);
  const [shift, most] = [bits - 8, 2 ** bits - 1];
  for (let i = 0; i < data.length; i++) out[i] = (data[i] > most ? most : data[i]) >> shift;
  return out;
}

function largestColour({ data, channels }: Raster): number {
  const hasAlpha = channels % 2 === 0;
  let largest = 0;
  for (let i = 0; i < data.length; i++) {
    if (data[i] > largest && !(hasAlpha && i % channels === channels - 1)) largest = data[i];
  }
  return largest;
}

/** A palette of greys in their order says nothing: the indices are grey. */
export function withoutGreyPalette(raster: Raster): Raster {
  if (!raster.palette?.every((value, i) => value === Math.floor(i / 3))) return raster;
  return { ...raster, palette: undefined };
}
