// The attentions of SAM 2 tiny at 1024²: [B·windows, heads, queries, keys, head size, value size]; of attention by place: [grid,
// channels, channels of a memory, maps, pointers]. Only the work of q·kᵀ and p·v is counted. "Pooled": the first block of a
// stage, whose queries are the maxima of 2×2 cells.
import { axialRotation } from "../src/model/position_encoding.ts";
import { axialMacs } from "../src/nn/attention.ts";
import { type Machine, withMachine } from "../src/runtime/machine.ts";
import { reference } from "../src/runtime/reference.ts";
import { narrow, permute, type Tensor } from "../src/tensor/view.ts";
import { random } from "../tests/random.ts";
import { type Case, expectClose, randomTensor } from "./bench.ts";

const SHAPES: readonly (readonly [name: string, B: number, h: number, N: number, S: number, d: number, dv: number])[] =
  [
    ["stage 1 windows 8", 1024, 1, 64, 64, 96, 96],
    ["stage 2 windows 8 pooled", 1024, 2, 16, 64, 96, 96],
    ["stage 2 windows 4", 1024, 2, 16, 16, 96, 96],
    ["stage 3 windows 4 pooled", 1024, 4, 4, 16, 96, 96],
    ["stage 3 windows 14", 25, 4, 196, 196, 96, 96],
    ["stage 3 global", 1, 4, 4096, 4096, 96, 96],
    ["stage 4 windows 14 pooled", 25, 8, 49, 196, 96, 96],
    ["stage 4 windows 7", 25, 8, 49, 49, 96, 96],
    ["decoder token to image", 1, 8, 8, 4096, 16, 16],
    ["decoder image to token", 1, 8, 4096, 8, 16, 16],
    ["memory self", 1, 1, 4096, 4096, 256, 256],
    ["memory cross, full bank", 1, 1, 4096, 28736, 256, 64],
  ];

function prepare(machine: Machine, B: number, h: number, N: number, S: number, d: number, dv: number) {
  const next = random(1);
  const heads = (length: number, size: number) =>
    permute(randomTensor(machine, [B, length, h, size], next), [0, 2, 1, 3]);
  const [q, k, v, o] = [heads(N, d), heads(S, d), heads(S, dv), heads(N, dv)];
  const scale = 1 / Math.sqrt(d);
  return {
    flop: 2 * B * h * N * S * (d + dv),
    run: () => machine.kernels.attention(o, q, k, v, scale),
    /** A few queries of the last window and head, against the oracle. */
    check: () => {
      const count = Math.min(N, 5);
      const one = (t: Tensor) => narrow(narrow(t, 0, B - 1, 1), 1, h - 1, 1);
      const last = (t: Tensor) => narrow(one(t), 2, N - count, count);
      const [got, want] = [machine.heap.alloc([1, 1, count, dv]), machine.heap.alloc([1, 1, count, dv])];
      reference.attention(want, last(q), one(k), one(v), scale);
      reference.copy(got, last(o));
      expectClose(got, want, 5e-6);
    },
  };
}

/** W² queries come to T maps of W² places and L memories without a place. */
function preparePlaced(machine: Machine, W: number, d: number, C: number, T: number, L: number) {
  const next = random(1);
  const tensor = (...shape: number[]) => randomTensor(machine, shape, next);
  const [N, count] = [W * W, 5];
  const [o, q, projection] = [tensor(N, C), tensor(N, d), tensor(d, C + 1)];
  const memory = {
    W,
    keys: tensor(N, C, T),
    values: tensor(N, T, C),
    loneKeys: tensor(C, L),
    loneValues: tensor(L, C),
  };
  const { cos, sin } = withMachine(machine, () => axialRotation(W, W, d));
  const scale = 1 / d;
  return {
    flop: 2 * N * axialMacs(W, W, d, C, N * T + L),
    run: () => machine.kernels.axialAttention(o, q, memory, projection, cos, sin, scale),
    /** The last queries, against the oracle. */
    check: () => {
      const last = (t: Tensor) => narrow(t, 0, N - count, count);
      const want = machine.heap.alloc([count, C]);
      reference.axialAttention(want, last(q), memory, projection, cos, sin, scale);
      expectClose(last(o), want, 2e-5);
    },
  };
}

export const attentionCases: Case[] = [
  ...SHAPES.map(([name, ...shape]) => ({
    group: "attention" as const,
    name,
    shape,
    prepare: (machine: Machine) => prepare(machine, ...shape),
  })),
  {
    group: "attention",
    name: "memory cross, by place",
    shape: [64, 256, 64, 7, 64],
    prepare: (machine) => preparePlaced(machine, 64, 256, 64, 7, 64),
  },
];
