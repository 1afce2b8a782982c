import "../index.node.ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createMachine } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { windowPartition, windowUnpartition } from "./windows.ts";

const machine = await createMachine({ kernels: "reference" });
const Windows = suite("windows");

Windows("a 3×3 grid in windows of 2 is padded with −1, as the doc comment shows", () => {
  const { count, partition } = withMachine(machine, () => windowPartition(3, 3, 2));
  assert.is(count, 4);
  assert.equal([...partition], [0, 1, 3, 4, 2, -1, 5, -1, 6, 7, -1, -1, 8, -1, -1, -1]);
});

for (const [H, W, size] of [
  [64, 64, 14],
  [32, 32, 7],
  [16, 16, 8],
  [5, 9, 4],
  [1, 1, 3],
]) {
  Windows(`unpartition undoes partition of ${H}×${W} in windows of ${size}`, () => {
    withMachine(machine, () => {
      const { partition } = windowPartition(H, W, size);
      const back = [...windowUnpartition(H, W, size)];
      assert.ok(back.every((row, token) => partition[row] === token));
      assert.is(partition.filter((token) => token >= 0).length, H * W);
    });
  });
}

Windows.run();
