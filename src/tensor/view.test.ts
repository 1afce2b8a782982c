import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "../errors.ts";
import { numel } from "./shape.ts";
import {
  at,
  expand,
  isContiguous,
  narrow,
  permute,
  reshape,
  select,
  type Tensor,
  tensor,
  unsqueeze,
  values,
  diagonal,
} from "./view.ts";

/** 0, 1, 2, … */
function count(...shape: number[]): Tensor {
  return tensor(
    Float32Array.from({ length: numel(shape) }, (_, i) => i),
    shape,
  );
}

/** All elements in row-major order of the view. */
function list(t: Tensor): number[] {
  const walk = (index: number[]): number[] =>
    index.length === t.shape.length
      ? [at(t, ...index)]
      : Array.from({ length: t.shape[index.length] }, (_, i) => i).flatMap((i) => walk([...index, i]));
  return walk([]);
}

function throwsShapeError(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error: Error) => error instanceof ShapeError && message.test(error.message));
}

const View = suite("view");

View("tensor wraps the values without a copy, and refuses too few", () => {
  const data = new Float32Array(6);
  const t = tensor(data, [2, 3]);
  data[5] = 7;
  assert.is(at(t, 1, 2), 7);
  throwsShapeError(() => tensor(data, [7]), /expected 7 values for \[7\], got 6/);
});

View("permute reorders axes without a copy", () => {
  const t = count(2, 3, 4);
  const p = permute(t, [2, 0, 1]);
  assert.equal(p.shape, [4, 2, 3]);
  assert.is(at(p, 3, 1, 2), at(t, 1, 2, 3));
  assert.is(p.data, t.data);
});

View("reshape keeps row-major order, finds one size, and works on a contiguous part", () => {
  const t = count(2, 3, 4);
  assert.equal(reshape(t, [6, -1]).shape, [6, 4]);
  assert.equal(list(reshape(t, [4, 6])), list(t));
  assert.equal(list(reshape(narrow(t, 0, 1, 1), [12])), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
  assert.equal(reshape(count(0, 3), [-1, 3]).shape, [0, 3]);
});

View("reshape refuses other sizes and views that are not contiguous", () => {
  throwsShapeError(() => reshape(count(2, 3), [4, 2]), /reshape: expected a contiguous tensor that fits \[4, 2\]/);
  throwsShapeError(() => reshape(count(2, 3), [4, -1]), /got \[2, 3\]/);
  throwsShapeError(() => reshape(permute(count(2, 3), [1, 0]), [6]), /strides \[1, 3\]/);
});

View("isContiguous ignores axes of size 1, whatever their stride", () => {
  assert.ok(isContiguous(count(2, 3)));
  assert.ok(isContiguous(permute(count(1, 3), [1, 0])));
  assert.ok(isContiguous(narrow(count(4, 3), 0, 1, 2)));
  assert.not(isContiguous(narrow(count(4, 3), 1, 0, 2)));
  assert.not(isContiguous(permute(count(2, 3), [1, 0])));
});

View("values is the part of the data that the tensor covers", () => {
  assert.equal([...values(narrow(count(4, 2), 0, 1, 2))], [2, 3, 4, 5]);
  throwsShapeError(() => values(permute(count(2, 3), [1, 0])), /values: expected a contiguous tensor/);
});

View("narrow and select look at a range or an index of any axis, also of views", () => {
  const t = permute(count(2, 3, 4), [1, 2, 0]); // [3, 4, 2]
  assert.equal(list(narrow(narrow(t, 1, 1, 3), 1, 1, 1)), [2, 14, 6, 18, 10, 22]);
  assert.equal(select(t, 0, 2).shape, [4, 2]);
  assert.equal(list(select(select(t, 2, 1), 0, 0)), [12, 13, 14, 15]);
  assert.equal(narrow(t, 0, 3, 0).shape, [0, 4, 2]);
});

View("narrow refuses a range that leaves the axis", () => {
  throwsShapeError(() => narrow(count(4), 0, 2, 3), /expected a range within axis 0 of \[4\], got 2 … 5/);
  throwsShapeError(() => narrow(count(4), 0, -1, 2), /got -1 … 1/);
  throwsShapeError(() => select(count(4), 0, 4), /got 4 … 5/);
});

View("diagonal joins two axes where their indices are equal", () => {
  const t = diagonal(count(2, 3, 3, 2), 1);
  assert.equal(t.shape, [2, 3, 2]);
  assert.equal(list(t), [0, 1, 8, 9, 16, 17, 18, 19, 26, 27, 34, 35]);
  throwsShapeError(() => diagonal(count(2, 3), 0), /diagonal: expected equal sizes at axes 0 and 1, got \[2, 3\]/);
});

View("unsqueeze and expand add an axis and repeat it without a copy", () => {
  const t = expand(unsqueeze(count(3), 0), 0, 2);
  assert.equal(t.shape, [2, 3]);
  assert.equal(list(t), [0, 1, 2, 0, 1, 2]);
  assert.is(t.data.length, 3);
  throwsShapeError(() => expand(count(3), 0, 6), /expand: expected size 1 at axis 0, got \[3\]/);
});

View.run();
