import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "../errors.ts";
import { expectShape, formatShape, numel } from "./shape.ts";

const ShapeTests = suite("shape");

ShapeTests("numel is the product of the sizes, 1 for a scalar, 0 if any size is", () => {
  assert.is(numel([2, 3, 4]), 24);
  assert.is(numel([]), 1);
  assert.is(numel([5, 0]), 0);
});

ShapeTests("expectShape takes the shape itself, and any size for −1", () => {
  expectShape("here", [1, 64, 256], [1, 64, 256]);
  expectShape("here", [7, 64, 256], [-1, 64, -1]);
  expectShape("here", [], []);
});

ShapeTests("expectShape names the place, both shapes and what to do", () => {
  const message = "neck: expected [any, 64, 256], got [1, 256, 64]; check the tensor that is passed in";
  assert.throws(
    () => expectShape("neck", [1, 256, 64], [-1, 64, 256]),
    (error: Error) => error instanceof ShapeError && error.message === message,
  );
  assert.throws(() => expectShape("neck", [64], [1, 64]), /got \[64\]/);
  assert.throws(() => expectShape("neck", [1, 64], [64]), /got \[1, 64\]/);
  assert.is(formatShape([]), "[]");
});

ShapeTests.run();
