import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import type { Heap } from "../tensor/heap.ts";
import type { ByteTaps } from "./kernels.ts";
import { reference } from "./reference.ts";

const next = random(5);
const integers = (n: number, least: number, most: number) =>
  Int32Array.from({ length: n }, () => Math.round(least + ((next() + 1) / 2) * (most - least)));

/** Up to T taps anywhere on the axis, so large that some sums lie below 0 and some above 255. */
function taps(heap: Heap, nIn: number, nOut: number, T: number): ByteTaps {
  const onto = (values: Int32Array) => {
    const here = heap.allocInt32(values.length);
    here.set(values);
    return here;
  };
  const counts = integers(nOut, 1, Math.min(T, nIn));
  const starts = counts.map((count) => integers(1, 0, nIn - count)[0]);
  const weights = integers(nOut * T, -(2 ** 20), 2 ** 21).map((w, i) => (i % T < counts[Math.floor(i / T)] ? w : 0));
  return { starts: onto(starts), counts: onto(counts), weights: onto(weights) };
}

const Pixels = suite("pixels");

for (const { heap, kernels } of eachTable(0, 0)) {
  Pixels(`${kernels.name} resizes bytes as the oracle, in rows of 1 … 97, up and down, from 0 to 255`, () => {
    const seen = new Set<number>();
    for (const [P, nIn, nOut, Q] of [
      [1, 1, 1, 1],
      [0, 3, 5, 3],
      [5, 7, 13, 3],
      [50, 33, 100, 3],
      [700, 9, 4, 3],
      [1, 40, 9, 2],
      [2, 9, 20, 16],
      [3, 30, 7, 97],
      [1, 6, 6, 51],
    ]) {
      heap.scope(() => {
        const x = heap.allocUint8(P * nIn * Q);
        x.set(integers(x.length, 0, 255));
        const along = taps(heap, nIn, nOut, 6);
        const [got, want] = [0, 1].map(() => heap.allocUint8(P * nOut * Q + 16).fill(9));
        kernels.resampleBytes(got.subarray(0, -16), x, nIn, Q, along);
        reference.resampleBytes(want.subarray(0, -16), x, nIn, Q, along);
        assert.is(got.join(), want.join(), `[${P}, ${nIn} → ${nOut}, ${Q}]`);
        for (const byte of got) seen.add(byte);
      });
    }
    assert.ok(seen.has(0) && seen.has(255) && seen.size > 200);
  });

  Pixels(`${kernels.name} resizes bytes that end where memory ends`, () => {
    heap.scope(() => {
      const x = new Uint8Array(heap.memory.buffer, heap.memory.buffer.byteLength - 15, 15);
      x.set(integers(15, 0, 255));
      const along = taps(heap, 5, 40, 6);
      const [got, want] = [heap.allocUint8(120), heap.allocUint8(120)];
      kernels.resampleBytes(got, x, 5, 3, along);
      reference.resampleBytes(want, x, 5, 3, along);
      assert.is(got.join(), want.join());
    });
  });

  Pixels(`${kernels.name} normalises 1 … 6000 pixels as the oracle, to the bit`, () => {
    for (const n of [1, 3, 4, 5, 257, 6000]) {
      onHeap(heap, (fill) => {
        const pixels = heap.allocUint8(3 * n);
        pixels.set(integers(3 * n, 0, 255));
        const [mean, std] = [fill([3]), fill([3])];
        const [got, want] = [fill([1, n, 3]), fill([1, n, 3])];
        kernels.normalizePixels(got, pixels, mean, std);
        reference.normalizePixels(want, pixels, mean, std);
        assert.is(difference(got, want), 0, `${n} pixels`);
      });
    }
  });
}

Pixels.run();
