import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { reference } from "./reference.ts";

const DepthwiseConv = suite("depthwiseConv2d");

for (const { heap, kernels, bound } of eachTable(0, 3e-7)) {
  DepthwiseConv(
    `${kernels.name} is within ${bound} of the oracle for k 1 … 7, strides 1 … 3, images smaller than k and odd channels`,
    () => {
      for (const [B, H, W, C, k, stride] of [
        [1, 1, 1, 1, 7, 1],
        [0, 4, 4, 8, 3, 1],
        [2, 3, 2, 5, 7, 1],
        [1, 9, 17, 8, 7, 1],
        [2, 6, 11, 23, 3, 1],
        [1, 12, 7, 12, 5, 1],
        [1, 4, 9, 3, 1, 1],
        [1, 16, 16, 64, 7, 1],
        [1, 1, 1, 8, 3, 2],
        [2, 8, 16, 48, 3, 2],
        [2, 7, 15, 23, 3, 2],
        [1, 2, 13, 9, 3, 2],
        [1, 11, 14, 16, 7, 2],
        [1, 10, 19, 8, 3, 3],
        [1, 5, 8, 4, 1, 2],
      ]) {
        onHeap(heap, (fill) => {
          const [x, weight, bias] = [fill([B, H, W, C]), fill([k, k, C]), fill([C])];
          const shape = [B, Math.ceil(H / stride), Math.ceil(W / stride), C];
          const [got, want] = [fill(shape), fill(shape)];
          kernels.depthwiseConv2d(got, x, weight, bias, k, stride);
          reference.depthwiseConv2d(want, x, weight, bias, k, stride);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `[${B}, ${H}, ${W}, ${C}] k ${k}, stride ${stride}: |Δ| ${worst}`);
        });
      }
    },
  );
}

DepthwiseConv.run();
