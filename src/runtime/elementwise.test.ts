import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { reference } from "./reference.ts";

const Elementwise = suite("elementwise");
const LENGTHS = [0, 1, 3, 4, 7, 8, 15, 4095, 4096, 4097, 20_000];

for (const { heap, kernels, bound } of eachTable(0, 1e-7)) {
  for (const op of ["add", "mul"] as const) {
    Elementwise(`${kernels.name} ${op} equals the oracle to the bit, with b repeated along leading axes`, () => {
      for (const [a, b] of [
        [[0], [0]],
        [[1], [1]],
        [[4099], [4099]],
        [[700, 3], [3]],
        [
          [2, 5, 1700],
          [5, 1700],
        ],
        [[123, 256], [256]],
        [[9000], [1]],
      ]) {
        onHeap(heap, (fill) => {
          const [left, right] = [fill(a), fill(b)];
          const [got, want] = [fill(a), fill(a)];
          kernels[op](got, left, right);
          reference[op](want, left, right);
          assert.is(difference(got, want), 0, `[${a}] and [${b}]`);
          kernels[op](left, left, right);
          assert.is(difference(left, want), 0, "in place");
        });
      }
    });
  }

  Elementwise(`${kernels.name} relu equals the oracle to the bit, NaN and ±∞ included`, () => {
    for (const n of LENGTHS) {
      onHeap(heap, (fill) => {
        const [x, got, want] = [fill([n]), fill([n]), fill([n])];
        kernels.relu(got, x);
        reference.relu(want, x);
        assert.is(difference(got, want), 0, `${n} values`);
      });
    }
    heap.scope(() => {
      const x = heap.from(Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45, -1e-45, 3), [7]);
      kernels.relu(x, x);
      assert.ok(Number.isNaN(x.data[0]));
      assert.equal([...x.data.subarray(1)].map(Math.abs), [Infinity, 0, 0, Math.fround(1e-45), 0, 3]);
    });
  });

  Elementwise(
    `${kernels.name} affine is within ${bound} of the oracle and writes nothing behind the last value`,
    () => {
      for (const n of LENGTHS) {
        onHeap(heap, (fill) => {
          const [x, got, want] = [fill([n]), fill([n + 4]), fill([n])];
          const behind = got.data.slice(n);
          const inFront = { ...got, shape: [n] } as typeof got;
          kernels.affine(inFront, x, 20, -10);
          reference.affine(want, x, 20, -10);
          const worst = difference(heap.from(got.data.slice(0, n), [n]), want);
          assert.ok(worst <= bound, `${n} values: |Δ| ${worst}`);
          assert.equal(got.data.slice(n), behind);
        });
      }
    },
  );

  Elementwise(`${kernels.name} above is 1 exactly where x > limit, at odd sizes, and writes no further`, () => {
    for (const n of [0, 1, 15, 16, 4099]) {
      onHeap(heap, () => {
        const x = heap.from(
          Float32Array.from({ length: n }, (_, i) => [0.1, Math.fround(0.1), -5, 7, NaN, Infinity, 0.100001][i % 7]),
          [n],
        );
        const got = heap.allocUint8(n + 16).fill(9);
        const want = new Uint8Array(n + 16).fill(9);
        kernels.above(got.subarray(0, n), x, 0.1);
        reference.above(want.subarray(0, n), x, 0.1);
        assert.equal(got, want, `${n} values`);
      });
    }
  });

  Elementwise(`${kernels.name} fromPixels equals byte/255 to the bit, for all bytes and odd sizes`, () => {
    for (const [H, W] of [
      [0, 4],
      [1, 1],
      [1, 3],
      [37, 61],
    ]) {
      onHeap(heap, (fill) => {
        const pixels = heap.allocUint8(H * W * 3);
        for (let i = 0; i < pixels.length; i++) pixels[i] = i;
        const [got, want] = [fill([H, W, 3]), fill([H, W, 3])];
        kernels.fromPixels(got, pixels);
        reference.fromPixels(want, pixels);
        assert.is(difference(got, want), 0, `${H}×${W}`);
      });
    }
  });
}

Elementwise.run();
