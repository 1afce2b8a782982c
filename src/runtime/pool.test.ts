import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { narrow, permute } from "../tensor/view.ts";
import { reference } from "./reference.ts";

const MaxPool = suite("maxPool2x2");

for (const { heap, kernels } of eachTable(0, 0)) {
  MaxPool(
    `${kernels.name} equals the oracle to the bit: odd channels, empty batches, views, odd rows left over`,
    () => {
      for (const [B, H, W, C] of [
        [1, 2, 2, 1],
        [0, 4, 4, 8],
        [2, 6, 10, 3],
        [1, 5, 7, 4],
        [3, 8, 2, 97],
      ]) {
        onHeap(heap, (fill) => {
          const x = narrow(permute(fill([H, B, W, C + 5]), [1, 0, 2, 3]), 3, 2, C);
          const shape = [B, H >> 1, W >> 1, C];
          const [got, want] = [fill(shape), fill(shape)];
          kernels.maxPool2x2(got, x);
          reference.maxPool2x2(want, x);
          assert.is(difference(got, want), 0, `[${B}, ${H}, ${W}, ${C}]`);
        });
      }
    },
  );

  MaxPool(`${kernels.name} lets NaN win wherever it stands`, () => {
    onHeap(heap, (fill) => {
      const y = fill([1, 1, 1, 5]);
      for (let at = 0; at < 4; at++) {
        const x = fill([1, 2, 2, 5]);
        for (let c = 0; c < 5; c++) x.data[at * 5 + c] = Number.NaN;
        kernels.maxPool2x2(y, x);
        assert.ok(y.data.every(Number.isNaN), `at ${at}`);
      }
    });
  });
}

MaxPool.run();
