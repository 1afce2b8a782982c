import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, type Fill, onHeap } from "../../tests/tables.ts";
import type { Heap } from "../tensor/heap.ts";
import { narrow, permute, reshape, select, type Tensor, values } from "../tensor/view.ts";
import type { Kernels, PackedCells } from "./kernels.ts";
import { reference } from "./reference.ts";

/** [B prompts, prompts that are painted, M masks, E, D]; D/4 and D/8 channels follow */
const SIZES: readonly (readonly [B: number, prompts: number[], M: number, E: number, D: number])[] = [
  [1, [0], 4, 1, 64],
  [3, [2, 0], 4, 7, 64],
  [2, [0, 1], 3, 5, 128],
  [2, [1], 6, 3, 256],
  [2, [], 4, 2, 64],
];

/** Everything that `paint` reads, by one table. */
function inputs(heap: Heap, fill: Fill, table: Kernels, [B, prompts, M, E, D]: (typeof SIZES)[number]) {
  const [C1, C2] = [D / 4, D / 8];
  const pack = (N: number, K: number) => table.pack(fill([Math.ceil(N / 16) * 16, K]), N);
  const cells = (N: number, K: number): PackedCells => ({ weights: [pack(N, K), pack(N, K)], bias: fill([N]) });
  const upscaling = {
    dc1: cells(2 * C1, D),
    norm: { weight: fill([C1]), bias: fill([C1]), eps: 1e-6 },
    dc2: cells(2 * C2, C1),
  };
  const which = heap.allocInt32(prompts.length);
  which.set(prompts);
  return {
    masks: fill([prompts.length, M, 4 * E, 4 * E]),
    x: fill([B, E * E, D]),
    upscaling,
    fine0: fill([4 * E, 4 * E, C2]),
    fine1: fill([2 * E, 2 * E, C1]),
    which,
    tokens: { ...table.pack(fill([16 * prompts.length, C2]), 16 * prompts.length), N: M },
  };
}

type Inputs = ReturnType<typeof inputs>;

function paint(table: Kernels, { masks, x, upscaling, fine0, fine1, which, tokens }: Inputs): Tensor {
  table.paint(masks, x, upscaling, fine0, fine1, which, tokens);
  return masks;
}

/** The masks layer by layer. */
function inSteps(table: Kernels, fill: Fill, { masks, x, upscaling, fine0, fine1, which, tokens }: Inputs): Tensor {
  const want = fill(masks.shape);
  const [, M, side] = masks.shape;
  const rows = (t: Tensor) => reshape(t, [-1, t.shape.at(-1)!]);
  const upscale = (image: Tensor, { weights, bias }: PackedCells, fine: Tensor) => {
    const W = fine.shape[0] / 2;
    const y = fill(fine.shape);
    const half = (t: Tensor, p: number) => select(reshape(t, [W, 2, W, weights[0].N]), 1, p);
    weights.forEach((weight, p) => table.gemm(half(y, p), image, weight, { bias, residual: half(fine, p) }));
    return y;
  };
  which.forEach((b, i) => {
    const { dc1, norm, dc2 } = upscaling;
    const x1 = upscale(select(x, 0, b), dc1, fine1);
    table.layerNorm(rows(x1), rows(x1), norm.weight, norm.bias, norm.eps);
    table.gelu(x1, x1);
    const x2 = upscale(rows(x1), dc2, fine0);
    table.gelu(x2, x2);
    const product = fill([side * side, M]);
    table.gemm(product, rows(x2), { ...tokens, data: narrow(tokens.data, 0, 16 * i, 16) }, {});
    table.copy(reshape(select(want, 0, i), [M, side * side]), permute(product, [1, 0]));
  });
  return want;
}

const Paint = suite("paint");

for (const { heap, kernels } of [...eachTable(0, 0), { heap: eachTable(0, 0)[0].heap, kernels: reference }]) {
  Paint(`${kernels.name} has the bits of its layers one by one`, () => {
    for (const size of SIZES) {
      onHeap(heap, (fill) => {
        const given = inputs(heap, fill, kernels, size);
        const want = inSteps(kernels, fill, given);
        assert.equal(values(paint(kernels, given)), values(want), JSON.stringify(size));
      });
    }
  });
}

for (const { heap, kernels, bound } of eachTable(1e-6, 1e-6)) {
  Paint(`${kernels.name} is within ${bound} of the oracle`, () => {
    for (const size of SIZES.filter(([, prompts]) => prompts.length > 0)) {
      let want = new Float32Array();
      onHeap(heap, (fill) => (want = values(paint(reference, inputs(heap, fill, reference, size))).slice()));
      onHeap(heap, (fill) => {
        const got = paint(kernels, inputs(heap, fill, kernels, size));
        const worst = difference(got, heap.from(want, got.shape));
        assert.ok(worst <= bound, `${JSON.stringify(size)}: |Δ| ${worst}`);
      });
    }
  });
}

Paint.run();
