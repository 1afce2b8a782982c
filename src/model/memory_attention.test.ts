import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { difference } from "../../tests/tables.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { mergeHeads, rotate, sdpa, splitHeads } from "../nn/attention.ts";
import { watch } from "../nn/layer.ts";
import { linear } from "../nn/linear.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { narrow, type Tensor } from "../tensor/view.ts";
import type { MemoryLayout } from "./config.ts";
import { memoryCrossAttention, placeByPlace, ropeAttention, ropeSelfAttention } from "./memory_attention.ts";
import { axialRotation } from "./position_encoding.ts";

const [E, D, M] = [8, 64, 16];

setPlatform(nodePlatform);

const SAM2 = { lone: 0, side: E };
const EDGETAM = { lone: 10, side: 4 };

/**
 * EdgeTAM's, as in a textbook: of each map's keys those on the grid are rotated, the others and pointers are not.
 *
 * @source sam2/modeling/sam/transformer.py, RoPEAttentionv2
 */
function ropeAttentionV2(w: Weights, { lone, side }: MemoryLayout) {
  const [qProj, kProj, vProj] = ["q_proj", "k_proj", "v_proj"].map((name, i) => linear(w.at(name), i === 0 ? D : M, D));
  const outProj = linear(w.at("out_proj"), D, D);
  const [queries, grid] = [axialRotation(E, E, D), axialRotation(side, side, D)];
  return (q: Tensor, keys: Tensor, values: Tensor, maps: number, residual: Tensor) => {
    const [Q, K, V] = [qProj(q), kProj(keys), vProj(values)].map((t) => splitHeads(t, 1));
    rotate(Q, queries.cos, queries.sin);
    for (let t = 0; t < maps; t++) {
      rotate(narrow(K, 2, t * (lone + side ** 2) + lone, side ** 2), grid.cos, grid.sin);
    }
    return outProj(mergeHeads(sdpa(Q, K, V)), { residual });
  };
}

type Fill = (values: Float32Array, scale: number) => void;

function filler(): Fill {
  const next = random(7);
  return (values, scale) => {
    for (let i = 0; i < values.length; i++) values[i] = scale * next();
  };
}

/** Four projections, those of keys and values from `inputs` channels. */
function projections(fill: Fill, inputs: number): ConstructorParameters<typeof Weights>[0] {
  const channels = { q_proj: D, k_proj: inputs, v_proj: inputs, out_proj: D };
  return new Map(
    Object.entries(channels).flatMap(([name, K]) =>
      [["weight", [D, K]] as const, ["bias", [D]] as const].map(([part, shape]) => {
        const values = new Float32Array(numel(shape));
        fill(values, part === "weight" ? 2 / Math.sqrt(K) : 0.5);
        return [`${name}.${part}`, { dtype: "F32" as const, shape, read: (into: Float32Array) => into.set(values) }];
      }),
    ),
  );
}

/** How far two savings are from the textbook form of attention to a memory, on the same weights and values. */
async function savings(
  kernels: KernelChoice,
  layout: MemoryLayout,
  maps: number,
  pointers: number,
): Promise<[number, number]> {
  const { lone, side } = layout;
  const S = maps * (lone + side ** 2) + pointers;
  const machine = await createMachine({ kernels, threads: 1 });
  const fill = filler();
  const tensors = projections(fill, M);
  return withMachine(machine, () => {
    const { heap } = machine;
    const tensor = (shape: number[]) => {
      const t = heap.alloc(shape);
      fill(t.data, 1);
      return t;
    };
    const places = { queries: axialRotation(E, E, D), keys: axialRotation(side, side, D) };
    const [q, residual] = [tensor([1, E * E, D]), tensor([1, E * E, D])];
    const [keys, values] = [tensor([1, S, M]), tensor([1, S, M])];
    const w = new Weights(tensors, heap);
    const textbook =
      layout === SAM2
        ? ropeAttention(w, D, M, places.queries)(q, keys, values, pointers, { residual })
        : ropeAttentionV2(w, layout)(q, keys, values, maps, residual);
    const attend = memoryCrossAttention(w, D, M, places, layout);
    const memory = { keys, values, pointerTokens: pointers };
    const placed = placeByPlace(keys, values, pointers, layout);
    const fused = { residual };
    return [
      difference(attend(q, memory, fused), textbook),
      difference(attend(q, { ...memory, placed }, fused), textbook),
    ];
  });
}

const Attention = suite("memoryCrossAttention");
for (const kernels of ["reference", "portable", "auto"] as const) {
  for (const [model, layout, maps, pointers] of [
    ["SAM 2", SAM2, 5, 24],
    ["SAM 2", SAM2, 1, 0],
    ["SAM 2", SAM2, 7, 3],
    ["SAM 2", SAM2, 20, 100],
    ["EdgeTAM", EDGETAM, 7, 24],
    ["EdgeTAM", EDGETAM, 1, 0],
    ["EdgeTAM", EDGETAM, 20, 3],
  ] as const) {
    const title = `${model}'s equals the textbook form within 2e-6: ${maps} maps, ${pointers} pointers (${kernels})`;
    Attention(title, async () => {
      const [valuesAfter, byPlace] = await savings(kernels, layout, maps, pointers);
      assert.ok(valuesAfter > 0 && valuesAfter < 2e-6, `values projected after the sum: relative |Δ| ${valuesAfter}`);
      assert.ok(byPlace > 0 && byPlace < 2e-6, `keys not projected: relative |Δ| ${byPlace}`);
    });
  }
}
Attention.run();

const SelfAttention = suite("ropeSelfAttention");
for (const kernels of ["reference", "portable", "auto"] as const) {
  SelfAttention(`without a product for values it equals the textbook form within 2e-6 (${kernels})`, async () => {
    const machine = await createMachine({ kernels, threads: 1 });
    const fill = filler();
    const tensors = projections(fill, D);
    const on = <R>(run: () => R) => withMachine(machine, run);
    const x = machine.heap.alloc([1, E * E, D]);
    fill(x.data, 1);
    const attend = on(() => ropeSelfAttention(new Weights(tensors, machine.heap), D, axialRotation(E, E, D)));
    const run = () => on(() => attend(x, { residual: x }));
    const paths: string[] = [];
    const textbook = await watch(({ path }) => paths.push(path), run);
    const delta = difference(run(), textbook);
    assert.ok(delta > 0 && delta < 2e-6, `relative |Δ| ${delta}`);
    assert.ok(paths.includes("v_proj"), "watched, it is as in a textbook");
  });
}
SelfAttention.run();
