/** What a layer returned, as a picture: the colours of the tour's figures. */
import { ShapeError } from "../errors.ts";
import { atLeast, expectKind, type Kind, whole } from "./options.ts";
import type { RgbImage } from "./pixels.ts";

const NUMBERS: Kind = [
  "numbers in a Float32Array",
  (value) => value instanceof Float32Array || value instanceof Float64Array || Array.isArray(value),
];
const SIDE = whole(1);
const PASS = "pass what a trace returned, with its shape";

/** Tokens · channels² that are summed up to find the axes; of a larger map every n-th token counts. */
const MOST_PRODUCTS = 2e8;
/** Of the power iteration: rounds, and rounds · channels² of wide maps. */
const [ROUNDS, MOST_STEPS] = [300, 1e8];

// N tokens · C channels
/**
 * Channels as colours: the three directions in which the tokens of a feature map differ most, as red, green and blue.
 *
 * @shape  [height, width, C] → height·width pixels
 * @throws UsageError, ShapeError unless it is a map of that size
 */
export function pcaColours(features: Float32Array, width: number, height: number): RgbImage {
  expectKind(features, NUMBERS, "pcaColours.features", PASS);
  expectKind(width, SIDE, "pcaColours.width", PASS);
  expectKind(height, SIDE, "pcaColours.height", PASS);
  const N = width * height;
  const C = features.length / N;
  if (!Number.isInteger(C) || C < 1) {
    const got = `${features.length} for ${width}×${height} tokens`;
    throw new ShapeError("pcaColours", "a whole number of channels", got, "check width and height");
  }
  const means = Array.from({ length: C }, (_, c) => {
    let sum = 0;
    for (let n = 0; n < N; n++) sum += features[n * C + c];
    return sum / N;
  });
  const covariance = new Float64Array(C * C);
  const centred = new Float64Array(C);
  const step = Math.ceil((N * C * C) / MOST_PRODUCTS);
  for (let n = 0; n < N; n += step) {
    for (let c = 0; c < C; c++) centred[c] = features[n * C + c] - means[c];
    for (let a = 0; a < C; a++) {
      const x = centred[a];
      for (let b = 0; b <= a; b++) covariance[a * C + b] += x * centred[b];
    }
  }
  for (let a = 0; a < C; a++) for (let b = a + 1; b < C; b++) covariance[a * C + b] = covariance[b * C + a];
  const data = new Uint8Array(N * 3);
  for (const [channel, axis] of principalAxes(covariance, C, 3).entries()) {
    const places = Array.from({ length: N }, (_, n) => {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += (features[n * C + c] - means[c]) * axis[c];
      return sum;
    });
    const sorted = places.toSorted((a, b) => a - b);
    const [low, high] = [sorted[Math.floor(N * 0.02)], sorted[Math.ceil(N * 0.98) - 1]];
    for (const [n, place] of places.entries()) {
      data[3 * n + channel] = 30 + 210 * Math.min(1, Math.max(0, (place - low) / (high - low || 1)));
    }
  }
  return { width, height, data };
}

/** The directions of largest variance, by power iteration; the largest entry of each is positive. */
function principalAxes(covariance: Float64Array, C: number, count: number): Float64Array[] {
  const axes: Float64Array[] = [];
  const rounds = Math.min(ROUNDS, Math.ceil(MOST_STEPS / C ** 2));
  for (let k = 0; k < count; k++) {
    let axis = Float64Array.from({ length: C }, (_, c) => 1 + ((c * 37 + k * 11) % 17));
    for (let round = 0; round < rounds; round++) {
      const next = new Float64Array(C);
      for (let a = 0; a < C; a++) for (let b = 0; b < C; b++) next[a] += covariance[a * C + b] * axis[b];
      for (const found of axes) {
        const along = next.reduce((sum, value, c) => sum + value * found[c], 0);
        for (let c = 0; c < C; c++) next[c] -= along * found[c];
      }
      const length = Math.hypot(...next) || 1;
      axis = next.map((value) => value / length);
    }
    const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    axes.push(axis.map((value) => (largest < 0 ? -value : value)));
  }
  return axes;
}

type Rgb = readonly [number, number, number];
const HEAT: readonly Rgb[] = [
  [17, 13, 40],
  [87, 16, 110],
  [188, 55, 84],
  [249, 142, 9],
  [252, 255, 164],
];
const SIGNED: readonly Rgb[] = [
  [36, 76, 146],
  [150, 187, 222],
  [245, 243, 238],
  [240, 165, 120],
  [166, 46, 24],
];

/** 0 … `most` as heat. */
export function heatColours(values: ArrayLike<number>, width: number, most: number): RgbImage {
  return mapped(values, width, (value) => between(HEAT, value / most));
}

/**
 * −`most` … `most` from blue by white to red: logits, or any tensor as it is.
 *
 * @shape  [height, width] → height·width pixels
 * @throws UsageError, ShapeError unless it is rows of that width
 */
export function signedColours(values: ArrayLike<number>, width: number, most: number): RgbImage {
  expectKind(values, NUMBERS, "signedColours.values", PASS);
  expectKind(width, SIDE, "signedColours.width", PASS);
  expectKind(most, atLeast(0), "signedColours.most", "pass the value that is as red as can be");
  if (values.length % width !== 0) {
    throw new ShapeError("signedColours", `rows of ${width} values`, `${values.length} values`, "check the width");
  }
  return mapped(values, width, (value) => between(SIGNED, (value / most + 1) / 2));
}

function mapped(values: ArrayLike<number>, width: number, colour: (value: number) => Rgb): RgbImage {
  const data = new Uint8Array(values.length * 3);
  for (let i = 0; i < values.length; i++) data.set(colour(values[i]), 3 * i);
  return { width, height: values.length / width, data };
}

function between(ramp: readonly Rgb[], place: number): Rgb {
  const at = (place > 0 ? Math.min(1, place) : 0) * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at));
  const mix = (c: 0 | 1 | 2) => Math.round(ramp[i][c] + (at - i) * (ramp[i + 1][c] - ramp[i][c]));
  return [mix(0), mix(1), mix(2)];
}
