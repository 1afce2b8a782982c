// A picture as masks of objects: by its alpha, its brightness, or as a map of ids.
import { PromptError } from "../errors.ts";
import { decodeRaster } from "./image.ts";
import { kindOf } from "./kind_of.ts";
import { type Raster, sayOnce } from "./pixels.ts";
import { rasterToRgb } from "./raster.ts";

/** What a picture of masks shows. */
export interface MaskFile {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** one mask, or a map of ids */
  kind: "mask" | "ids";
  /** ascending, at least one; of a mask: 1 */
  ids: number[];
  /** width · height ids, 0 where no object is */
  labels: Uint16Array;
  /** how it was read, unless it is plain black and white */
  note?: string;
}

/** In these, the value of a pixel is kept as it was. */
const LOSSLESS = ["PNG", "BMP", "GIF", "TIFF"];

/**
 * A picture of a mask: alpha ≥ half where any pixel is transparent, else brightness ≥ half of full scale. A palette
 * picture, or a grey one whose values all lie below half, is a map of ids instead, 0 being the background.
 *
 * NB A palette picture of black and white alone is plain black and white, whatever the order of its palette.
 * @param where what to call it in an error, e.g. its path
 * @throws ImageError if it cannot be read; PromptError if no object is in it
 */
export async function readMaskFile(bytes: Uint8Array, where: string): Promise<MaskFile> {
  const raster = await decodeRaster(bytes, { where });
  const { width, height } = raster;
  const { note, ...read } = readLabels(raster, where);
  return { width, height, ...read, note: note && `${where}: ${note}` };
}

/** The mask of one id: 1 inside, 0 outside. */
export function maskOfId(file: MaskFile, id: number): Uint8Array {
  const { labels } = file ?? {};
  if (!(labels instanceof Uint16Array)) {
    throw new PromptError(
      "maskOfId",
      "what readMaskFile returns",
      kindOf(file),
      "await readMaskFile(bytes, name) first",
    );
  }
  const mask = new Uint8Array(labels.length);
  for (let i = 0; i < labels.length; i++) mask[i] = labels[i] === id ? 1 : 0;
  return mask;
}

/** The mask of a picture of one object. @throws PromptError with the ids, if it is a map of several */
export function onlyMask(file: MaskFile, where: string): Uint8Array {
  const { ids } = file;
  if (ids.length === 1) return maskOfId(file, ids[0]);
  const todo = "save each as a mask of its own, or leave the object out where each id may become one";
  throw new PromptError(where, "one object", `a map of ids: ${listed(ids)}`, todo);
}

type Size = Pick<MaskFile, "width" | "height">;

/** @throws PromptError unless the mask has the shape of the image, at whatever resolution */
export function expectShapeOf(mask: Size, image: Size, where: string): void {
  const { width: W, height: H } = image;
  if (Math.abs(mask.width * H - mask.height * W) < Math.max(W, H)) return; // within a row or a column
  const got = `${mask.width}×${mask.height}`;
  throw new PromptError(where, `a mask of the shape of ${W}×${H}`, got, "draw it over the whole image");
}

type Read = Pick<MaskFile, "kind" | "ids" | "labels" | "note">;

function readLabels(raster: Raster & { format: string }, where: string): Read {
  const { palette, channels, maxval, data, format } = raster;
  if (palette) {
    const colours = rasterToRgb(raster, sayOnce);
    if (!colours.data.every((value) => value === 0 || value === 255)) return idsOf(data, where);
    return readLabels({ ...colours, channels: 3, maxval: 255, format }, where);
  }
  const half = (maxval + 1) / 2;
  if (channels % 2 === 0) {
    const alpha = data.filter((_, i) => i % channels === channels - 1);
    if (alpha.some((value) => value < maxval)) {
      return one(atLeast(alpha, half), where, "an opaque pixel", "read by its alpha: what is opaque is the object");
    }
  }
  const { grey, coloured } = brightness(raster);
  const largest = grey.reduce((max, value) => Math.max(max, value), 0);
  if (largest >= half) {
    const plain = grey.every((value) => value === 0 || value === maxval);
    const note = plain && !coloured ? undefined : "read by its brightness: half of white and above is the object";
    return one(atLeast(grey, half), where, "a bright pixel", note);
  }
  if (largest > 0 && (coloured || !LOSSLESS.includes(format))) {
    const got = `nothing brighter than ${largest} of ${maxval}`;
    const todo = "draw the object white on black, or save a map of ids as a grey or palette PNG";
    throw new PromptError(where, "a mask with pixels of half of white or above", got, todo);
  }
  return idsOf(grey, where);
}

function idsOf(values: ArrayLike<number>, where: string): Read {
  const labels = Uint16Array.from(values);
  const ids = [...new Set(labels)].filter((id) => id > 0).sort((a, b) => a - b);
  if (ids.length === 0) throw empty(where, "a pixel that is not black");
  return { kind: "ids", ids, labels, note: `read as a map of ids: ${listed(ids)}` };
}

function one(labels: Uint16Array, where: string, expected: string, note: string | undefined): Read {
  if (!labels.includes(1)) throw empty(where, expected);
  return { kind: "mask", ids: [1], labels, note };
}

function empty(where: string, expected: string): PromptError {
  return new PromptError(where, `a mask with ${expected}`, "none", "an object needs pixels: pass its mask");
}

function atLeast(values: Raster["data"], least: number): Uint16Array {
  const labels = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) labels[i] = values[i] >= least ? 1 : 0;
  return labels;
}

/** Pillow's mode L; `coloured` where red, green and blue differ. */
function brightness({ channels, data, width, height }: Raster): { grey: Uint16Array; coloured: boolean } {
  const grey = new Uint16Array(width * height);
  let coloured = false;
  for (let i = 0, from = 0; i < grey.length; i++, from += channels) {
    const red = data[from];
    if (channels < 3 || (data[from + 1] === red && data[from + 2] === red)) {
      grey[i] = red;
    } else {
      coloured = true;
      grey[i] = (red * 19595 + data[from + 1] * 38470 + data[from + 2] * 7471 + 0x8000) / 0x10000;
    }
  }
  return { grey, coloured };
}

/** 1, 2, 3, … of many ids the first ones */
function listed(ids: readonly number[]): string {
  return ids.length > 20 ? `${ids.slice(0, 20).join(", ")}, … (${ids.length})` : ids.join(", ");
}
