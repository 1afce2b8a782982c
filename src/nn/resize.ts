import type { Taps } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
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

/** Where a mask, resized by "bilinear", exceeds a threshold: 1, else 0, as bytes off the heap. @shape [h, w] → [height, width] */
export function resizedAbove(mask: Tensor, height: number, width: number, threshold: number): Uint8Array {
  const { heap, kernels } = machine;
  const [h, w] = mask.shape;
  return heap.scope(() => {
    const bytes = heap.allocUint8(height * width);
    const [rows, columns] = [tapsOf("bilinear", h, height), tapsOf("bilinear", w, width)].map(onHeap);
    kernels.maskBytes(bytes, reshape(mask, [1, h, w]), rows, columns, threshold);
    return bytes.slice();
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

/** A table where kernels read it. */
export function onHeap({ starts, weights, T }: TapRows): Taps {
  const here = machine.heap.allocInt32(starts.length);
  here.set(starts);
  return { starts: here, weights: machine.heap.from(weights, [starts.length, T]) };
}
