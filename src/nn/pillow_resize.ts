import type { ByteTaps } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";

const PRECISION = 22; // fraction bits of a coefficient: sums of bytes times coefficients fit into 32 bits

/** RGB bytes of a picture, on the heap. */
interface Bytes {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Bicubic resize in 8-bit fixed point, each pass rounded to bytes: what Pillow's `Image.resize` gives, bit for bit. By hand,
 * since it decides the pixels that a video frame feeds to the model: no library in JavaScript has these bits.
 *
 * NB Pillow 13 resizes the height first where it shrinks by over twice as many pixels as the width; earlier versions
 * always began with the width, which moves a few pixels by one level.
 *
 * @returns height·width·3 bytes on the heap
 * @source Pillow, src/libImaging/Resample.c
 */
export function pillowResize(image: Bytes, width: number, height: number): Uint8Array {
  const onHeap = machine.heap.allocUint8(image.data.length);
  onHeap.set(image.data);
  const source = { ...image, data: onHeap };
  const heightFirst = image.height > height && image.height - height > 2 * (image.width - width);
  if (heightFirst) return resizeWidth(resizeHeight(source, height), width).data;
  return resizeHeight(resizeWidth(source, width), height).data;
}

function resizeWidth({ width: W, height, data }: Bytes, width: number): Bytes {
  if (W === width) return { width, height, data };
  const out = machine.heap.allocUint8(width * height * 3);
  machine.kernels.resampleBytes(out, data, W, 3, bicubicTaps(W, width));
  return { width, height, data: out };
}

function resizeHeight({ width, height: H, data }: Bytes, height: number): Bytes {
  if (H === height) return { width, height, data };
  const out = machine.heap.allocUint8(width * height * 3);
  machine.kernels.resampleBytes(out, data, H, width * 3, bicubicTaps(H, height));
  return { width, height, data: out };
}

/** The cubic kernel, widened by the reduction, around each output's centre; weights sum to 1. */
function bicubicTaps(nIn: number, nOut: number): ByteTaps {
  const { heap } = machine;
  const scale = nIn / nOut;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const T = Math.ceil(support) * 2 + 2; // one more than there are: it is even
  const [starts, counts, weights] = [nOut, nOut, nOut * T].map((length) => heap.allocInt32(length));
  weights.fill(0);
  const row = new Float64Array(T);
  for (let i = 0; i < nOut; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(nIn, Math.trunc(centre + support + 0.5)) - start;
    let total = 0;
    for (let t = 0; t < count; t++) {
      row[t] = cubic((t + start - centre + 0.5) * (1 / stretch));
      total += row[t];
    }
    starts[i] = start;
    counts[i] = count;
    for (let t = 0; t < count; t++) {
      const scaled = (row[t] / total) * 2 ** PRECISION;
      weights[i * T + t] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
  }
  return { starts, counts, weights };
}

/** Cubic convolution with a = −0.5. */
function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}
