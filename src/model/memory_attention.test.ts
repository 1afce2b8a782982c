import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { difference } from "../../tests/tables.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { memoryCrossAttention, placeByPlace, ropeAttention } from "./memory_attention.ts";
import { axialRotation } from "./position_encoding.ts";

const [E, D, M] = [8, 64, 16];

setPlatform(nodePlatform);

/** How far two savings are from the textbook form of attention to a memory, on the same weights and values. */
async function savings(kernels: KernelChoice, maps: number, pointers: number): Promise<[number, number]> {
  const S = maps * E * E + pointers;
  const machine = await createMachine({ kernels, threads: 1 });
  const next = random(7);
  const fill = (values: Float32Array, scale: number) => {
    for (let i = 0; i < values.length; i++) values[i] = scale * next();
  };
  const tensors = new Map(
    [
      ["q_proj", D],
      ["k_proj", M],
      ["v_proj", M],
      ["out_proj", D],
    ].flatMap(([name, inputs]) =>
      [["weight", [D, inputs as number]] as const, ["bias", [D]] as const].map(([part, shape]) => {
        const values = new Float32Array(numel(shape));
        fill(values, part === "weight" ? 2 / Math.sqrt(shape[1]!) : 0.5);
        return [`${name}.${part}`, { dtype: "F32" as const, shape, read: (into: Float32Array) => into.set(values) }];
      }),
    ),
  );
  return withMachine(machine, () => {
    const { heap } = machine;
    const tensor = (shape: number[]) => {
      const t = heap.alloc(shape);
      fill(t.data, 1);
      return t;
    };
    const rotation = axialRotation(E, E, D);
    const [q, residual] = [tensor([1, E * E, D]), tensor([1, E * E, D])];
    const [keys, values] = [tensor([1, S, M]), tensor([1, S, M])];
    const w = new Weights(tensors, heap);
    const textbook = ropeAttention(w, D, M, rotation)(q, keys, values, pointers, { residual });
    const layout = { lone: 0, side: E };
    const attend = memoryCrossAttention(w, D, M, { queries: rotation, keys: rotation }, layout);
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
  for (const [maps, pointers] of [
    [5, 24],
    [1, 0],
    [7, 3],
    [20, 100],
  ]) {
    Attention(`equals the textbook form within 2e-6: ${maps} maps, ${pointers} pointers (${kernels})`, async () => {
      const [valuesAfter, byPlace] = await savings(kernels, maps, pointers);
      assert.ok(valuesAfter > 0 && valuesAfter < 2e-6, `values projected after the sum: relative |Δ| ${valuesAfter}`);
      assert.ok(byPlace > 0 && byPlace < 2e-6, `keys not projected: relative |Δ| ${byPlace}`);
    });
  }
}
Attention.run();
