// The convolutions of SAM 2 and EdgeTAM at 1024²: [H, C, N, k, stride, padding].
import { globalMean } from "../src/nn/pool.ts";
import { type Machine, withMachine } from "../src/runtime/machine.ts";
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
  ["stem 1 of RepViT", 1024, 3, 24, 3, 2, 1],
  ["stem 2 of RepViT", 512, 24, 48, 3, 2, 1],
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

/** Depth-wise 3×3 of RepViT's stages: [H, C, stride]. They and the rows after them are bound by memory, as the copy is. */
const DEPTHWISE: readonly (readonly [name: string, H: number, C: number, stride: number])[] = [
  ["depth-wise of stage 0", 256, 48, 1],
  ["depth-wise of stage 1", 128, 96, 1],
  ["depth-wise of stage 2", 64, 192, 1],
  ["depth-wise to stage 1", 256, 48, 2],
  ["depth-wise to stage 2", 128, 96, 2],
];

function prepareDepthwise(machine: Machine, H: number, C: number, stride: number) {
  const next = random(1);
  const [x, weight, bias] = [[1, H, H, C], [3, 3, C], [C]].map((shape) => randomTensor(machine, shape, next));
  const y = machine.heap.alloc([1, H / stride, H / stride, C]);
  const top = 2 * stride + 1;
  return {
    flop: (2 * 9 * H * H * C) / stride ** 2,
    run: () => machine.kernels.depthwiseConv2d(y, x, weight, bias, 3, stride),
    /** The first two rows, against the oracle. */
    check: () => {
      const want = machine.heap.alloc([1, Math.ceil(top / stride), H / stride, C]);
      reference.depthwiseConv2d(want, narrow(x, 1, 0, top), weight, bias, 3, stride);
      expectClose(narrow(y, 1, 0, 2), narrow(want, 1, 0, 2), 5e-6);
    },
  };
}

/** The two passes over a map that a squeeze-and-excite makes, and one that moves as much as the second. */
const PASSES = ["squeeze", "excite", "copy"] as const;

function preparePass(machine: Machine, pass: (typeof PASSES)[number], H: number, C: number) {
  const next = random(1);
  const [x, gate] = [[1, H, H, C], [C]].map((shape) => randomTensor(machine, shape, next));
  const y = machine.heap.alloc(pass === "squeeze" ? [1, C] : x.shape);
  const runs = {
    squeeze: () => withMachine(machine, () => machine.heap.scope(() => void machine.kernels.copy(y, globalMean(x)))),
    excite: () => machine.kernels.mul(y, x, gate),
    copy: () => machine.kernels.copy(y, x),
  };
  return {
    flop: pass === "copy" ? 0 : H * H * C,
    run: runs[pass],
    check: () => {
      const want = machine.heap.alloc(y.shape);
      if (pass === "squeeze") {
        for (let c = 0; c < C; c++) {
          let sum = 0;
          for (let p = 0; p < H * H; p++) sum += x.data[p * C + c];
          want.data[c] = sum / H ** 2;
        }
      } else {
        want.data.set(x.data.map((value, i) => (pass === "copy" ? value : value * gate.data[i % C])));
      }
      expectClose(y, want, 5e-6);
    },
  };
}

export const conv2dCases: Case[] = [
  ...SHAPES.map(([name, ...shape]) => convolution(name, shape, (machine) => prepare(machine, ...shape))),
  ...DEPTHWISE.map(([name, ...shape]) => convolution(name, shape, (machine) => prepareDepthwise(machine, ...shape))),
  ...PASSES.map((pass) => convolution(pass, [256, 48], (machine) => preparePass(machine, pass, 256, 48))),
];

function convolution(name: string, shape: readonly number[], prepare: Case["prepare"]): Case {
  return { group: "conv", name, shape, prepare };
}
