import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../bench/bench.ts";
import { difference } from "../../golden/tables.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine, type KernelChoice } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel } from "../tensor/shape.ts";
import { ropeAttention } from "./memory_attention.ts";
import { axialRotation } from "./position_encoding.ts";

const [E, D, M, MAPS, POINTERS] = [8, 64, 16, 5, 24];
const S = MAPS * E * E + POINTERS;

setPlatform(nodePlatform);

/** Both forms of attention to a memory, on the same weights and values. */
async function bothForms(kernels: KernelChoice): Promise<number> {
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
    const [q, k, v, residual] = [tensor([1, E * E, D]), tensor([1, S, M]), tensor([1, S, M]), tensor([1, E * E, D])];
    const [after, first] = [false, true].map((projectValuesFirst) =>
      ropeAttention(new Weights(tensors, heap), D, M, rotation, projectValuesFirst)(q, k, v, POINTERS, { residual }),
    );
    return difference(after, first);
  });
}

const Attention = suite("ropeAttention");
for (const kernels of ["reference", "portable", "auto"] as const) {
  Attention(`values projected after the sum equal the textbook form within 2e-6 (${kernels})`, async () => {
    const delta = await bothForms(kernels);
    assert.ok(delta > 0 && delta < 2e-6, `relative |Δ| ${delta}`);
  });
}
Attention.run();
