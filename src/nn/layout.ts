import { machine } from "../runtime/machine.ts";
import type { Shape } from "../tensor/shape.ts";
import { expectShape, numel } from "../tensor/shape.ts";
import { isContiguous, narrow, type Tensor, unsqueeze, values } from "../tensor/view.ts";

/** The tensor itself if its elements are adjacent, else a copy in row-major order. */
export function contiguous(t: Tensor): Tensor {
  if (isContiguous(t)) return t;
  const y = machine.heap.alloc(t.shape);
  machine.kernels.copy(y, t);
  return y;
}

/** Tensors one after another along an axis; the other axes agree. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const size = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  const y = machine.heap.alloc(parts[0].shape.with(axis, size));
  let start = 0;
  for (const part of parts) {
    expectShape("concat", part.shape, parts[0].shape.with(axis, part.shape[axis]));
    machine.kernels.copy(narrow(y, axis, start, part.shape[axis]), part);
    start += part.shape[axis];
  }
  return y;
}

/** Tensors of one shape along a new axis. */
export function stack(parts: readonly Tensor[], axis: number): Tensor {
  return concat(
    parts.map((part) => unsqueeze(part, axis)),
    axis,
  );
}

/** All elements the same. */
export function full(shape: Shape, value: number): Tensor {
  const y = machine.heap.alloc(shape);
  y.data.fill(value);
  return y;
}

/** A tensor by its formula, f32 in row-major order: for constants of the graph. */
export function table(shape: Shape, formula: (...index: number[]) => number): Tensor {
  const y = machine.heap.alloc(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < y.data.length; i++) {
    y.data[i] = formula(...index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return y;
}

/** 1 where x > 0, else 0. */
export function step(x: Tensor): Tensor {
  const y = machine.heap.alloc(x.shape);
  const v = values(x);
  for (let i = 0; i < v.length; i++) y.data[i] = v[i] > 0 ? 1 : 0;
  return y;
}

/** 1 where x > limit, else 0, as bytes off the heap. */
export function above(x: Tensor, limit: number): Uint8Array {
  const { heap, kernels } = machine;
  return heap.scope(() => {
    const mask = heap.allocUint8(numel(x.shape));
    kernels.above(mask, contiguous(x), limit);
    return mask.slice();
  });
}

/** Index of the largest element; the first of equals, as torch.argmax on a CPU. */
export function argmax(t: Tensor): number {
  const v = values(t);
  let best = 0;
  for (let i = 1; i < v.length; i++) if (v[i] > v[best]) best = i;
  return best;
}

/** How many elements exceed the threshold. */
export function countAbove(t: Tensor, threshold: number): number {
  const limit = Math.fround(threshold);
  let count = 0;
  for (const v of values(t)) if (v > limit) count++;
  return count;
}
