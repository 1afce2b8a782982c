import { ShapeError } from "../errors.ts";
import { formatShape, numel, type Shape } from "./shape.ts";

/** ndarray's four fields, without its methods: those are made from strings, which careful pages forbid. */
export interface Tensor {
  /** starts at the tensor's heap block, so views share it */
  readonly data: Float32Array;
  readonly shape: number[];
  /** elements from one index of an axis to the next */
  readonly stride: number[];
  /** of the first element in `data` */
  readonly offset: number;
}

/** Wrap values that lie in row-major order. */
export function tensor(data: Float32Array, shape: Shape): Tensor {
  if (data.length < numel(shape)) {
    throw new ShapeError(
      "tensor",
      `${numel(shape)} values for ${formatShape(shape)}`,
      `${data.length}`,
      "check the shape",
    );
  }
  return rowMajor(data, [...shape], 0);
}

function rowMajor(data: Float32Array, shape: number[], offset: number): Tensor {
  const stride = new Array<number>(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; step *= shape[axis--]) stride[axis] = step;
  return { data, shape, stride, offset };
}

/** The element at an index of every axis. */
export function at({ data, stride, offset }: Tensor, ...index: readonly number[]): number {
  return data[index.reduce((place, i, axis) => place + i * stride[axis], offset)];
}

/** Are the elements adjacent and in row-major order? */
export function isContiguous(t: Tensor): boolean {
  let step = 1;
  for (let axis = t.shape.length - 1; axis >= 0; axis--) {
    if (t.shape[axis] !== 1 && t.stride[axis] !== step) return false;
    step *= t.shape[axis];
  }
  return true;
}

/** The elements of a contiguous tensor as one typed array; no copy. */
export function values(t: Tensor): Float32Array {
  if (!isContiguous(t)) {
    throw new ShapeError(
      "values",
      "a contiguous tensor",
      `strides ${formatShape(t.stride)}`,
      "call contiguous() first",
    );
  }
  return t.data.subarray(t.offset, t.offset + numel(t.shape));
}

/**
 * The same elements under another shape; one size may be −1. No copy, so the tensor must be contiguous.
 *
 * E.g. [B, H·W, C] → [B, H, W, C].
 */
export function reshape(t: Tensor, shape: Shape): Tensor {
  const elements = numel(t.shape);
  const open = shape.indexOf(-1);
  const sizes = open < 0 ? [...shape] : shape.with(open, -elements / numel(shape));
  const fits = numel(sizes) === elements && sizes.every((size) => Number.isInteger(size) && size >= 0);
  if (!fits || !isContiguous(t)) {
    const got = `${formatShape(t.shape)} with strides ${formatShape(t.stride)}`;
    throw new ShapeError("reshape", `a contiguous tensor that fits ${formatShape(shape)}`, got, "check the sizes");
  }
  return rowMajor(t.data, sizes, t.offset);
}

/** Axes in another order, as a view. E.g. permute([N, h, d], [1, 0, 2]) → [h, N, d]. */
export function permute(t: Tensor, axes: readonly number[]): Tensor {
  return { ...t, shape: axes.map((axis) => t.shape[axis]), stride: axes.map((axis) => t.stride[axis]) };
}

/** `length` indices of one axis from `start`, as a view. */
export function narrow(t: Tensor, axis: number, start: number, length: number): Tensor {
  if (start < 0 || length < 0 || start + length > t.shape[axis]) {
    const wanted = `a range within axis ${axis} of ${formatShape(t.shape)}`;
    throw new ShapeError("narrow", wanted, `${start} … ${start + length}`, "check start and length");
  }
  return { ...t, shape: t.shape.with(axis, length), offset: t.offset + start * t.stride[axis] };
}

/** One index of an axis, which disappears. */
export function select(t: Tensor, axis: number, index: number): Tensor {
  const { data, shape, stride, offset } = narrow(t, axis, index, 1);
  return { data, shape: shape.toSpliced(axis, 1), stride: stride.toSpliced(axis, 1), offset };
}

/** Where this axis and the next, of equal size, have the same index. E.g. [B, h, h, d] → [B, h, d] at axis 1, as a view. */
export function diagonal(t: Tensor, axis: number): Tensor {
  const { data, shape, stride, offset } = t;
  if (shape[axis] !== shape[axis + 1]) {
    throw new ShapeError(
      "diagonal",
      `equal sizes at axes ${axis} and ${axis + 1}`,
      formatShape(shape),
      "check the axis",
    );
  }
  const both = stride[axis] + stride[axis + 1];
  return { data, shape: shape.toSpliced(axis, 1), stride: stride.toSpliced(axis, 2, both), offset };
}

/** A new axis of size 1. */
export function unsqueeze(t: Tensor, axis: number): Tensor {
  return { ...t, shape: t.shape.toSpliced(axis, 0, 1), stride: t.stride.toSpliced(axis, 0, 0) };
}

/** Repeat an axis of size 1 `size` times, as a view with stride 0. */
export function expand(t: Tensor, axis: number, size: number): Tensor {
  if (t.shape[axis] !== 1) {
    throw new ShapeError("expand", `size 1 at axis ${axis}`, formatShape(t.shape), "check the axis");
  }
  return { ...t, shape: t.shape.with(axis, size), stride: t.stride.with(axis, 0) };
}
