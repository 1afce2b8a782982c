import type { RgbImage } from "./image.ts";

const PRECISION = 22; // fraction bits of a coefficient: sums of bytes times coefficients fit into 32 bits
const HALF = 1 << (PRECISION - 1);

/** One axis in fixed point: out[i] = Σ_t coefficients[i·T + t] · in[starts[i] + t], t < counts[i]. */
interface Axis {
  starts: Int32Array;
  counts: Int32Array;
  coefficients: Int32Array;
  T: number;
}

/**
 * Bicubic resize in 8-bit fixed point, each pass rounded to bytes: what Pillow's `Image.resize` gives, bit for bit. By hand,
 * since it decides the pixels that a video frame feeds to the model: no library in JavaScript has these bits.
 *
 * NB Pillow 13 resizes the height first where it shrinks by over twice as many pixels as the width; earlier versions
 * always began with the width, which moves a few pixels by one level.
 * @source Pillow, src/libImaging/Resample.c
 */
export function pillowResize(image: RgbImage, width: number, height: number): RgbImage {
  const heightFirst = image.height > height && image.height - height > 2 * (image.width - width);
  if (heightFirst) return resizeWidth(resizeHeight(image, height), width);
  return resizeHeight(resizeWidth(image, width), height);
}

function resizeWidth(image: RgbImage, width: number): RgbImage {
  const { width: W, height, data } = image;
  if (W === width) return image;
  const { starts, counts, coefficients, T } = bicubicAxis(W, width);
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      let [red, green, blue] = [HALF, HALF, HALF];
      let from = (y * W + starts[x]) * 3;
      for (let k = x * T, end = k + counts[x]; k < end; k++, from += 3) {
        const coefficient = coefficients[k];
        red += Math.imul(coefficient, data[from]);
        green += Math.imul(coefficient, data[from + 1]);
        blue += Math.imul(coefficient, data[from + 2]);
      }
      out[to] = toByte(red);
      out[to + 1] = toByte(green);
      out[to + 2] = toByte(blue);
    }
  }
  return { width, height, data: out };
}

function resizeHeight(image: RgbImage, height: number): RgbImage {
  const { width, height: H, data } = image;
  if (H === height) return image;
  const { starts, counts, coefficients, T } = bicubicAxis(H, height);
  const row = width * 3;
  const out = new Uint8Array(row * height);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let t = 0; t < counts[y]; t++) {
      const coefficient = coefficients[y * T + t];
      const from = (starts[y] + t) * row;
      for (let x = 0; x < row; x++) sums[x] += Math.imul(coefficient, data[from + x]);
    }
    for (let x = 0; x < row; x++) out[y * row + x] = toByte(sums[x]);
  }
  return { width, height, data: out };
}

/** The cubic kernel, widened by the reduction, around each output's centre; weights sum to 1. */
function bicubicAxis(nIn: number, nOut: number): Axis {
  const scale = nIn / nOut;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const T = Math.ceil(support) * 2 + 1;
  const axis = {
    starts: new Int32Array(nOut),
    counts: new Int32Array(nOut),
    coefficients: new Int32Array(nOut * T),
    T,
  };
  for (let i = 0; i < nOut; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(nIn, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: end - start }, (_, t) => cubic((t + start - centre + 0.5) * (1 / stretch)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    axis.starts[i] = start;
    axis.counts[i] = weights.length;
    weights.forEach((weight, t) => {
      const scaled = (weight / total) * 2 ** PRECISION;
      axis.coefficients[i * T + t] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
  }
  return axis;
}

/** Cubic convolution with a = −0.5. */
function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function toByte(sum: number): number {
  return Math.min(Math.max(sum >> PRECISION, 0), 255);
}
