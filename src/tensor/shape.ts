import { ShapeError } from "../errors.ts";

/** Sizes of the axes, slowest first. */
export type Shape = readonly number[];

/** Number of elements: the product of the sizes; 1 for a scalar. */
export function numel(shape: Shape): number {
  let n = 1;
  for (const size of shape) n *= size;
  return n;
}

/** How a shape is printed everywhere: `[1, 64, 64, 256]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** @throws ShapeError unless `got` has the expected sizes; −1 stands for any size. */
export function expectShape(where: string, got: Shape, expected: Shape): void {
  if (got.length === expected.length && got.every((size, i) => expected[i] === -1 || expected[i] === size)) return;
  const wanted = formatShape(expected).replaceAll("-1", "any");
  throw new ShapeError(where, wanted, formatShape(got), "check the tensor that is passed in");
}
