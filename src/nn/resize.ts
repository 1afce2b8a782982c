import { machine } from "../runtime/machine.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import { antialias, bicubic, bilinear, nearest } from "./taps.ts";

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
    const rows = METHODS[method](n, size);
    const y = heap.alloc([P, size, Q]);
    const starts = heap.allocInt32(size);
    starts.set(rows.starts);
    kernels.resample(y, x, { starts, weights: heap.from(rows.weights, [size, rows.T]) });
    return y;
  });
}
