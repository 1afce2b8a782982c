// The convolutions of SAM 2 at 1024²: [H, W, C, N, k, stride, padding].
import type { Machine } from "../src/runtime/machine.ts";
import { reference } from "../src/runtime/reference.ts";
import { narrow } from "../src/tensor/view.ts";
import { random } from "../tests/random.ts";
import { type Case, expectClose, randomTensor } from "./bench.ts";

const SHAPES: readonly (readonly [name: string, H: number, C: number, N: number, k: number, s: number, p: number])[] = [
  ["patch embedding", 1024, 3, 96, 7, 4, 3],
  ["mask downsampler 1", 1024, 1, 4, 3, 2, 1],
  ["mask downsampler 2", 512, 4, 16, 3, 2, 1],
  ["mask downsampler 3", 256, 16, 64, 3, 2, 1],
  ["mask downsampler 4", 128, 64, 256, 3, 2, 1],
];

function prepare(machine: Machine, H: number, C: number, N: number, k: number, stride: number, padding: number) {
  const next = random(1);
  const { kernels } = machine;
  const K = k * k * C;
  const size = (n: number) => Math.floor((n + 2 * padding - k) / stride) + 1;
  const x = randomTensor(machine, [1, H, H, C], next);
  const y = machine.heap.alloc([1, size(H), size(H), N]);
  const plain = randomTensor(machine, [Math.ceil(N / 16) * 16, K], next);
  const packed = kernels.pack(machine.heap.from(plain.data, plain.shape), N);
  const bias = randomTensor(machine, [N], next);
  return {
    flop: 2 * size(H) * size(H) * N * K,
    run: () => kernels.conv2d(y, x, packed, k, stride, padding, { bias }),
    /** The first rows, which need the first rows of x only, against the oracle. */
    check: () => {
      const top = narrow(x, 1, 0, 2 * stride + k);
      const want = machine.heap.alloc([1, size(2 * stride + k), size(H), N]);
      reference.conv2d(want, top, reference.pack(plain, N), k, stride, padding, { bias });
      expectClose(narrow(y, 1, 0, 2), narrow(want, 1, 0, 2), 5e-6);
    },
  };
}

export const conv2dCases: Case[] = SHAPES.map(([name, ...shape]) => ({
  group: "conv",
  name,
  shape,
  prepare: (machine) => prepare(machine, ...shape),
}));
