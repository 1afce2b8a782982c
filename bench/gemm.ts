// The twelve most expensive linear layers of SAM 2 tiny at 1024², as the graph calls them, then those of memory attention:
// [M, N, K].
import type { Epilogue } from "../src/runtime/kernels.ts";
import type { Machine } from "../src/runtime/machine.ts";
import { reference } from "../src/runtime/reference.ts";
import { narrow } from "../src/tensor/view.ts";
import { random } from "../tests/random.ts";
import { type Case, expectClose, randomTensor } from "./bench.ts";

type With = "" | "gelu" | "relu" | "residual";

const SHAPES: readonly (readonly [name: string, M: number, N: number, K: number, also: With])[] = [
  ["stage 1 mlp.0", 65536, 384, 96, "gelu"],
  ["stage 1 mlp.1", 65536, 96, 384, "residual"],
  ["stage 2 first qkv", 65536, 576, 96, ""],
  ["stage 2 mlp.0", 16384, 768, 192, "gelu"],
  ["stage 2 mlp.1", 16384, 192, 768, "residual"],
  ["stage 3 first qkv", 16384, 1152, 192, ""],
  ["stage 3 window qkv", 4900, 1152, 384, ""],
  ["stage 3 mlp.0", 4096, 1536, 384, "gelu"],
  ["stage 3 mlp.1", 4096, 384, 1536, "residual"],
  ["stage 4 first qkv", 4900, 2304, 384, ""],
  ["stage 4 mlp.0", 1024, 3072, 768, "gelu"],
  ["stage 4 mlp.1", 1024, 768, 3072, "residual"],
  ["memory linear1", 4096, 2048, 256, "relu"],
  ["memory linear2", 4096, 256, 2048, "residual"],
];

function prepare(machine: Machine, M: number, N: number, K: number, also: With) {
  const next = random(1);
  const { kernels } = machine;
  const plain = randomTensor(machine, [N, K], next);
  const packed = kernels.pack(machine.heap.from(plain.data, [N, K]), N);
  const a = randomTensor(machine, [M, K], next);
  const c = machine.heap.alloc([M, N]);
  const epilogue: Epilogue = { bias: randomTensor(machine, [N], next) };
  if (also === "residual") epilogue.residual = randomTensor(machine, [M, N], next);
  else if (also) epilogue.activation = also;

  return {
    flop: 2 * M * N * K,
    run: () => kernels.gemm(c, a, packed, epilogue),
    /** The last rows, against the oracle. */
    check: () => {
      const count = 7;
      const last = (t: typeof c) => narrow(t, 0, M - count, count);
      const want = machine.heap.alloc([count, N]);
      const residual = epilogue.residual && last(epilogue.residual);
      reference.gemm(want, last(a), reference.pack(plain, N), { ...epilogue, residual });
      expectClose(last(c), want, 5e-6);
    },
  };
}

export const gemmCases: Case[] = SHAPES.map(([name, M, N, K, also]) => ({
  group: "gemm",
  name: also ? `${name} +${also}` : name,
  shape: [M, N, K],
  prepare: (machine) => prepare(machine, M, N, K, also),
}));
