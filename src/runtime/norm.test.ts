import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { at, narrow } from "../tensor/view.ts";
import { reference } from "./reference.ts";

const LayerNorm = suite("layerNorm");

for (const { heap, kernels, bound } of eachTable(0, 3e-7)) {
  LayerNorm(`${kernels.name} is within ${bound} of the oracle for 0 … 70 rows of 1 … 1152 channels`, () => {
    for (const C of [1, 2, 3, 4, 7, 8, 9, 16, 31, 96, 112, 144, 257, 1152]) {
      for (const M of [0, 1, 70]) {
        onHeap(heap, (fill) => {
          const [x, weight, bias] = [fill([M, C]), fill([C]), fill([C])];
          const [got, want] = [fill([M, C]), fill([M, C])];
          kernels.layerNorm(got, x, weight, bias, 1e-6);
          reference.layerNorm(want, x, weight, bias, 1e-6);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `[${M}, ${C}]: |Δ| ${worst}`);
        });
      }
    }
  });

  LayerNorm(`${kernels.name} works in place, and on rows of any stride, within ${bound}`, () => {
    onHeap(heap, (fill) => {
      const wide = fill([9, 50]);
      const x = narrow(wide, 1, 11, 21);
      const [weight, bias, want] = [fill([21]), fill([21]), fill([9, 21])];
      reference.layerNorm(want, x, weight, bias, 1e-5);
      const beside = at(wide, 4, 10) + at(wide, 4, 32);
      kernels.layerNorm(x, x, weight, bias, 1e-5);
      const got = heap.alloc([9, 21]);
      reference.copy(got, x);
      assert.ok(difference(got, want) <= bound);
      assert.is(at(wide, 4, 10) + at(wide, 4, 32), beside);
    });
  });

  LayerNorm(`${kernels.name} keeps the digits of x = 1000 ± 1, where one pass over x² would lose them`, () => {
    onHeap(heap, (fill) => {
      const [x, got] = [fill([1, 256]), fill([1, 256])];
      for (let c = 0; c < 256; c++) x.data[c] = c % 2 ? 1001 : 999;
      const [weight, bias] = [fill([256]), fill([256])];
      weight.data.fill(1);
      bias.data.fill(0);
      kernels.layerNorm(got, x, weight, bias, 1e-6);
      for (let c = 0; c < 256; c++) assert.ok(Math.abs(Math.abs(got.data[c]) - 1) < 1e-6);
    });
  });
}

LayerNorm.run();
