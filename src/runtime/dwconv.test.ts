import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { reference } from "./reference.ts";

const DepthwiseConv = suite("depthwiseConv2d");

for (const { heap, kernels, bound } of eachTable(0, 3e-7)) {
  DepthwiseConv(
    `${kernels.name} is within ${bound} of the oracle for k 1 … 7, images smaller than k and odd channels`,
    () => {
      for (const [B, H, W, C, k] of [
        [1, 1, 1, 1, 7],
        [0, 4, 4, 8, 3],
        [2, 3, 2, 5, 7],
        [1, 9, 17, 8, 7],
        [2, 6, 11, 23, 3],
        [1, 12, 7, 12, 5],
        [1, 4, 9, 3, 1],
        [1, 16, 16, 64, 7],
      ]) {
        onHeap(heap, (fill) => {
          const [x, weight, bias] = [fill([B, H, W, C]), fill([k, k, C]), fill([C])];
          const [got, want] = [fill([B, H, W, C]), fill([B, H, W, C])];
          kernels.depthwiseConv2d(got, x, weight, bias, k);
          reference.depthwiseConv2d(want, x, weight, bias, k);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `[${B}, ${H}, ${W}, ${C}] k ${k}: |Δ| ${worst}`);
        });
      }
    },
  );
}

DepthwiseConv.run();
