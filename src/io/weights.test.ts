import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../errors.ts";
import { Heap } from "../tensor/heap.ts";
import type { Shape } from "../tensor/shape.ts";
import type { StoredTensor } from "./tensor_file.ts";
import { Weights } from "./weights.ts";

function stored(shape: Shape, ...values: number[]): StoredTensor {
  return { dtype: "F32", shape, read: (into) => into.set(values) };
}
function open() {
  const heap = new Heap(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), 0, 65536);
  const tensors = new Map([
    ["top", stored([1], 9)],
    ["a.layers.0.weight", stored([2, 2], 1, 2, 3, 4)],
    ["a.layers.0.bias", stored([2], 5, 6)],
    ["ab.weight", stored([], 7)],
  ]);
  return { heap, w: new Weights(tensors, heap) };
}

const Tests = suite("Weights");
Tests("at walks down by names and numbers, and prefix is the path", () => {
  const { w } = open();
  assert.is(w.prefix, "");
  assert.is(w.at("a").at("layers").at(0).prefix, "a.layers.0");
  assert.is(w.at("a.layers").at(0).prefix, "a.layers.0");
});
Tests("get returns a tensor on the heap", () => {
  const { heap, w } = open();
  const t = w.at("a").at("layers").at(0).get("weight", [2, 2]);
  assert.equal([...t.data], [1, 2, 3, 4]);
  assert.equal(t.shape, [2, 2]);
  assert.is(t.data.buffer, heap.memory.buffer);
  assert.equal([...w.get("ab.weight", []).data], [7]);
});
Tests("read fills the front of a longer array and leaves its padding", () => {
  const into = new Float32Array(4).fill(-1);
  open().w.read("a.layers.0.bias", [2], into);
  assert.equal([...into], [5, 6, -1, -1]);
});
Tests("a missing tensor is named in full", () => {
  const { w } = open();
  const wanted = (error: unknown) =>
    error instanceof CheckpointError &&
    /^a\.layers\.1\.weight: expected a tensor \[2, 2\], got none/.test(error.message);
  assert.throws(() => w.at("a").at("layers").at(1).get("weight", [2, 2]), wanted);
});
Tests("another shape is refused with both shapes, also one of equal size", () => {
  const { w } = open();
  assert.throws(
    () => w.at("a.layers.0").get("weight", [4]),
    /a\.layers\.0\.weight: expected a tensor \[4\], got \[2, 2\]/,
  );
  assert.throws(
    () => w.at("a.layers.0").read("bias", [2, 1], new Float32Array(2)),
    /expected a tensor \[2, 1\], got \[2\]/,
  );
});
Tests("has looks below the prefix", () => {
  const { w } = open();
  assert.equal([w.has("top"), w.at("a").has("top"), w.at("a.layers").has("0.bias")], [true, false, true]);
});
Tests("parameterCount sums what lies below the prefix, and no neighbour of a similar name", () => {
  const { w } = open();
  assert.equal([w.parameterCount(), w.at("a").parameterCount(), w.at("ab").parameterCount()], [8, 6, 1]);
});
Tests("unused lists full names until they are read through any cursor", () => {
  const { w } = open();
  w.at("a.layers.0").get("bias", [2]);
  assert.equal(w.unused(), ["top", "a.layers.0.weight", "ab.weight"]);
  assert.equal(w.at("a").unused(), ["a.layers.0.weight"]);
  w.read("a.layers.0.weight", [2, 2], new Float32Array(4));
  assert.equal(w.at("a").unused(), []);
});
Tests.run();
