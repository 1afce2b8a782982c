import type { Tensor } from "../tensor/view.ts";

/** Address of a tensor's first element: what a kernel takes as a pointer. */
export function address(t: Tensor): number {
  return t.data.byteOffset + 4 * t.offset;
}

/** Address and the strides, in bytes, of the first three axes. */
export function walk(t: Tensor): number[] {
  return [address(t), 4 * t.stride[0], 4 * t.stride[1], 4 * t.stride[2]];
}
