import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eachTable, onHeap } from "../../tests/tables.ts";
import { bilinear, nearest, type TapRows } from "../nn/taps.ts";
import type { Heap } from "../tensor/heap.ts";
import { reshape, type Tensor, values } from "../tensor/view.ts";
import type { Kernels, Taps } from "./kernels.ts";
import { reference } from "./reference.ts";

const LIMITS = { threshold: 0.1, high: 0.4, low: -0.35 };

function onto(heap: Heap, { starts, weights, T }: TapRows): Taps {
  const here = heap.allocInt32(starts.length);
  here.set(starts);
  return { starts: here, weights: heap.from(weights, [starts.length, T]) };
}

/** Bits and counts of a mask [h, w] at H × W, with a guard of 16 words behind each. */
function maskBits(heap: Heap, table: Kernels, mask: Tensor, rows: Taps, columns: Taps): [Int32Array, Int32Array] {
  const [H, W] = [rows.starts.length, columns.starts.length];
  const size = H * Math.ceil(W / 32);
  const bits = heap.allocInt32(size + 16).fill(7);
  const counts = heap.allocInt32(2 * H + 16).fill(7);
  table.maskBits(bits.subarray(0, size), counts.subarray(0, 2 * H), mask, rows, columns, LIMITS);
  assert.ok([...bits.subarray(size), ...counts.subarray(2 * H)].every((word) => word === 7));
  return [bits.subarray(0, size), counts.subarray(0, 2 * H)];
}

const SIZES = [
  [8, 8, 37, 64],
  [8, 5, 1, 1],
  [1, 1, 5, 33],
  [16, 16, 3, 100],
  [64, 64, 150, 211],
  [64, 64, 30, 20],
];

const MaskBits = suite("maskBits");

for (const { heap, kernels, bound } of eachTable(0, 1)) {
  for (const method of [bilinear, nearest]) {
    MaskBits(`${kernels.name} has the bits and counts of ${method.name} resamples that are compared afterwards`, () => {
      for (const [h, w, H, W] of SIZES) {
        onHeap(heap, (fill) => {
          const mask = fill([h, w]);
          const [rows, columns] = [onto(heap, method(h, H)), onto(heap, method(w, W))];
          const [wide, logits] = [fill([h, W, 1]), fill([1, H, W])];
          kernels.resample(wide, reshape(mask, [h, w, 1]), columns);
          kernels.resample(logits, reshape(wide, [1, h, W]), rows);
          const [bits, counts] = maskBits(heap, kernels, mask, rows, columns);
          const words = Math.ceil(W / 32);
          const [threshold, high, low] = [LIMITS.threshold, LIMITS.high, LIMITS.low].map(Math.fround);
          for (let y = 0; y < H; y++) {
            const row = [...values(logits).subarray(y * W, (y + 1) * W)];
            const got = Array.from({ length: words * 32 }, (_, x) => (bits[y * words + (x >> 5)] >>> (x & 31)) & 1);
            const want = got.map((_, x) => (row[x] > threshold ? 1 : 0));
            assert.is(got.join(""), want.join(""), `row ${y} of ${h}×${w} → ${H}×${W}`);
            assert.is(counts[2 * y], row.filter((x) => x > high).length);
            assert.is(counts[2 * y + 1], row.filter((x) => x > low).length);
          }
        });
      }
    });
  }

  if (bound === 0) {
    MaskBits(`${kernels.name} equals the oracle to the bit`, () => {
      for (const [h, w, H, W] of SIZES) {
        onHeap(heap, (fill) => {
          const mask = fill([h, w]);
          const [rows, columns] = [onto(heap, bilinear(h, H)), onto(heap, bilinear(w, W))];
          const [bits, counts] = maskBits(heap, kernels, mask, rows, columns);
          const [wantBits, wantCounts] = maskBits(heap, reference, mask, rows, columns);
          assert.is(bits.join(), wantBits.join());
          assert.is(counts.join(), wantCounts.join());
        });
      }
    });
  }
}

MaskBits.run();
