import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { antialias, bicubic, bilinear, nearest } from "../nn/taps.ts";
import { reference } from "./reference.ts";

const Resample = suite("resample");

for (const { heap, kernels, bound } of eachTable(0, 3e-7)) {
  Resample(`${kernels.name} is within ${bound} of the oracle for rows of 1 … 97 values, up and down`, () => {
    for (const [P, nIn, nOut, Q] of [
      [1, 1, 1, 1],
      [0, 3, 5, 4],
      [5, 7, 13, 1],
      [3, 40, 9, 2],
      [50, 33, 100, 3],
      [7, 100, 11, 3],
      [2, 9, 20, 4],
      [3, 30, 7, 97],
      [1, 6, 6, 31],
    ]) {
      for (const method of [antialias, bicubic, bilinear, nearest]) {
        onHeap(heap, (fill) => {
          const rows = method(nIn, nOut);
          const starts = heap.allocInt32(nOut);
          starts.set(rows.starts);
          const taps = { starts, weights: heap.from(rows.weights, [nOut, rows.T]) };
          const x = fill([P, nIn, Q]);
          const [got, want] = [fill([P, nOut, Q]), fill([P, nOut, Q])];
          kernels.resample(got, x, taps);
          reference.resample(want, x, taps);
          const worst = difference(got, want);
          assert.ok(worst <= bound, `${method.name} [${P}, ${nIn} → ${nOut}, ${Q}]: |Δ| ${worst}`);
        });
      }
    }
  });

  Resample(`${kernels.name} reads no value behind the last: NaN there does no harm, nor does the end of memory`, () => {
    onHeap(heap, (fill) => {
      const room = heap.alloc([64]);
      room.data.fill(Number.NaN);
      const { starts, weights, T } = bilinear(5, 9);
      const onHeapStarts = heap.allocInt32(9);
      onHeapStarts.set(starts);
      const x = heap.from(fill([15]).data, [1, 5, 3]);
      const end = heap.memory.buffer.byteLength;
      const last = { ...x, data: new Float32Array(heap.memory.buffer, end - 60, 15), shape: [1, 5, 3], offset: 0 };
      last.data.set(x.data);
      const y = fill([1, 9, 3]);
      kernels.resample(y, last as unknown as typeof x, { starts: onHeapStarts, weights: heap.from(weights, [9, T]) });
      assert.not(y.data.some(Number.isNaN));
    });
  });
}

Resample.run();
