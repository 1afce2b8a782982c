/** Tensors as pictures, in the colours of the tour: a map by its channels, numbers by their sign. */
import { pcaColours, type RgbImage, signedColours } from "sam2-ts";

export interface LayerPicture {
  /** "colours": the three directions in which the tokens differ most; "signs": blue below zero, red above */
  by: "colours" | "signs";
  width: number;
  height: number;
  /** RGBA */
  data: Uint8ClampedArray<ArrayBuffer>;
  /** the value that has the fullest red; its negative the fullest blue */
  most?: number;
  /** the numbers themselves, if they are few */
  numbers?: readonly number[];
}

/** Rows of a matrix that are shown; of more every n-th is. */
const MOST_ROWS = 256;
/** Numbers that are shown as such. */
const FEW = 16;
/** Fewer tokens than these are no map. */
const LEAST_MAP = 64;

/** What a tensor is drawn as: a map [side, side, C], masks [M, side, side], or rows of channels. */
export function picturesOf(values: Float32Array, [batch, ...shape]: readonly number[]): LayerPicture[] {
  const C = shape.at(-1) ?? 1;
  if (batch === 1 && shape.length === 3) {
    const [a, b] = shape;
    if (a === b) return C < 3 ? masksOf(planes(values, C), a) : [coloured(pcaColours(values, a, a))];
    if (b === C)
      return masksOf(
        Array.from({ length: a }, (_, m) => values.subarray(m * b * b, (m + 1) * b * b)),
        b,
      );
  }
  const side = Math.sqrt(shape[0]);
  if (batch === 1 && shape.length === 2 && shape[0] >= LEAST_MAP && Number.isInteger(side) && C >= 3) {
    return [coloured(pcaColours(values, side, side))];
  }
  return [rowsOf(values, C)];
}

/** Channels that lie side by side, each for itself. */
function planes(values: Float32Array, C: number): Float32Array[] {
  return Array.from({ length: C }, (_, c) => values.filter((_, i) => i % C === c));
}

function masksOf(masks: readonly Float32Array[], side: number): LayerPicture[] {
  const most = usual(masks.flatMap((mask) => [...mask]));
  return masks.map((mask) => ({ ...coloured(signedColours(mask, side, most)), by: "signs", most }));
}

function rowsOf(values: Float32Array, C: number): LayerPicture {
  const rows = values.length / C;
  const step = Math.ceil(rows / MOST_ROWS);
  const shown = new Float32Array(Math.ceil(rows / step) * C);
  for (let row = 0; row < rows; row += step) shown.set(values.subarray(row * C, (row + 1) * C), (row / step) * C);
  const most = usual([...shown]);
  const numbers = values.length <= FEW ? { numbers: [...values] } : {};
  return { ...coloured(signedColours(shown, C, most)), by: "signs", most, ...numbers };
}

/** What few values exceed. */
function usual(values: number[]): number {
  const sizes = Float32Array.from(values, Math.abs).sort();
  return sizes[Math.floor(0.98 * (sizes.length - 1))] || 1;
}

function coloured({ width, height, data }: RgbImage): LayerPicture {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    rgba[4 * i] = data[3 * i];
    rgba[4 * i + 1] = data[3 * i + 1];
    rgba[4 * i + 2] = data[3 * i + 2];
  }
  return { by: "colours", width, height, data: rgba };
}
