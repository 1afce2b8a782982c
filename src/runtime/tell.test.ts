import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { tensor, values } from "../tensor/view.ts";
import type { Kernels } from "./kernels.ts";
import { reference } from "./reference.ts";

const HEADS = 8;
/** [B prompts, S places, D, K, tokens, have the places positions?]: else all prompts share them */
const SIZES: readonly (readonly [B: number, S: number, D: number, K: number, tokens: number, placed: boolean])[] = [
  [1, 1, 16, 16, 1, true],
  [2, 97, 64, 64, 7, true],
  [3, 200, 32, 24, 8, false],
  [1, 130, 256, 128, 8, false],
];

const Tell = suite("tellPlaces");

for (const { heap, kernels, bound } of eachTable(2e-6, 2e-6)) {
  Tell(`${kernels.name} is within ${bound} of the oracle`, () => {
    for (const [B, S, D, K, tokens, placed] of SIZES) {
      const R = HEADS * tokens;
      const whole = Math.ceil(R / 16) * 16;
      let want = new Float32Array();
      for (const table of [reference, kernels]) {
        onHeap(heap, (fill) => {
          const told = (table: Kernels) => ({
            keys: table.pack(fill([B * whole, K]), B * whole),
            offsets: placed ? fill([B, R]) : undefined,
            values: table.pack(fill([B * D, R]), B * D),
            bias: fill([D]),
          });
          const [y, x] = [fill([B, S, D]), fill([placed ? B : 1, S, D])];
          const scored = placed ? { pe: fill([S, D]) } : { z: fill([S, K]) };
          table.tellPlaces(y, x, scored, told(table), { weight: fill([D]), bias: fill([D]), eps: 1e-5 }, HEADS, 0.3);
          if (table === reference) want = values(y).slice();
          else {
            const worst = difference(y, tensor(want, y.shape));
            assert.ok(worst <= bound, `[${B}, ${S}, ${D}] of ${tokens} tokens: |Δ| ${worst}`);
          }
        });
      }
    }
  });
}

Tell.run();
