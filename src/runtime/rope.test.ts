import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { narrow, permute } from "../tensor/view.ts";
import { reference } from "./reference.ts";

const Rope = suite("rope");

for (const { heap, kernels, bound } of eachTable(0, 2e-7)) {
  Rope(
    `${kernels.name} is within ${bound} of the oracle: 2 … 256 channels, heads of a projection, table repeated`,
    () => {
      for (const [B, h, N, n, d] of [
        [1, 1, 1, 1, 2],
        [2, 3, 12, 4, 6],
        [0, 1, 4, 4, 8],
        [1, 2, 150, 50, 32],
        [1, 1, 33, 11, 256],
      ]) {
        onHeap(heap, (fill) => {
          const x = permute(fill([B, N, h, d]), [0, 2, 1, 3]);
          const [cos, sin] = [fill([n, d / 2]), fill([n, d / 2])];
          const [got, want] = [fill([B, h, N, d]), fill([B, h, N, d])];
          kernels.rope(got, x, cos, sin);
          reference.rope(want, x, cos, sin);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `[${B}, ${h}, ${N}, ${d}]: |Δ| ${worst}`);
        });
      }
    },
  );

  Rope(`${kernels.name} rotates part of the tokens in place and leaves the others, within ${bound}`, () => {
    onHeap(heap, (fill) => {
      const [got, cos, sin] = [fill([2, 1, 10, 8]), fill([3, 4]), fill([3, 4])];
      const want = heap.from(got.data, got.shape);
      const rotated = (t: typeof got) => narrow(t, 2, 0, 6);
      kernels.rope(rotated(got), rotated(got), cos, sin);
      reference.rope(rotated(want), rotated(want), cos, sin);
      assert.ok(difference(got, want) <= bound);
    });
  });
}

Rope.run();
