import type { MaskLimits, Taps } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import { antialias, bicubic, bilinear, nearest, type TapRows } from "./taps.ts";

const METHODS = { antialias, bicubic, bilinear, nearest };

/** PyTorch's `F.interpolate` modes with `align_corners=False`; "antialias" is bilinear with `antialias=True`. */
export type ResizeMethod = keyof typeof METHODS;

/**
 * Resize the two middle axes, one after the other.
 *
 * @shape [B, H, W, C] → [B, height, width, C]
 */
export function resize(x: Tensor, height: number, width: number, method: ResizeMethod): Tensor {
  const [B, H, W, C] = x.shape;
  return machine.heap.scope(() => {
    const wide = resizeAxis(reshape(x, [B * H, W, C]), width, method); // [B·H, width, C]
    const y = resizeAxis(reshape(wide, [B, H, width * C]), height, method); // [B, height, width·C]
    return reshape(y, [B, height, width, C]);
  });
}

/**
 * Resize the middle axis: every output is a sum of a few neighbouring inputs.
 *
 * @shape [P, n, Q] → [P, size, Q]
 */
export function resizeAxis(x: Tensor, size: number, method: ResizeMethod): Tensor {
  const { heap, kernels } = machine;
  const [P, n, Q] = x.shape;
  return heap.scope(() => {
    const y = heap.alloc([P, size, Q]);
    kernels.resample(y, x, onHeap(tapsOf(method, n, size)));
    return y;
  });
}

/** Tables of late: the frames of a video ask for the same ones. */
const tables = new Map<string, TapRows>();
const MOST_TABLES = 32;

function tapsOf(method: ResizeMethod, n: number, size: number): TapRows {
  const key = `${method} ${n} ${size}`;
  const found = tables.get(key) ?? METHODS[method](n, size);
  if (tables.size === MOST_TABLES) tables.clear();
  tables.set(key, found);
  return found;
}

function onHeap({ starts, weights, T }: TapRows): Taps {
  const here = machine.heap.allocInt32(starts.length);
  here.set(starts);
  return { starts: here, weights: machine.heap.from(weights, [starts.length, T]) };
}

/** Where a resized mask exceeds a threshold, and how many of its pixels exceed two others; off the heap. */
export interface MaskBits {
  /** [height, ⌈width/32⌉]: column x in bit x mod 32 of word ⌊x/32⌋ */
  bits: Int32Array;
  high: number;
  low: number;
}

/**
 * Compare masks at another size with thresholds: what `resize` by "bilinear" would give is not stored.
 *
 * @shape mask [h, w] → bits of [height, width]
 */
export function maskBits(h: number, w: number, height: number, width: number) {
  const [rows, columns] = [bilinear(h, height), bilinear(w, width)];

  return (mask: Tensor, limits: MaskLimits): MaskBits => {
    const { heap, kernels } = machine;
    expectShape("maskBits", mask.shape, [h, w]);
    return heap.scope(() => {
      const bits = heap.allocInt32(height * Math.ceil(width / 32));
      const counts = heap.allocInt32(2 * height);
      kernels.maskBits(bits, counts, mask, onHeap(rows), onHeap(columns), limits);
      let [high, low] = [0, 0];
      for (let y = 0; y < height; y++) {
        high += counts[2 * y];
        low += counts[2 * y + 1];
      }
      return { bits: bits.slice(), high, low };
    });
  };
}
