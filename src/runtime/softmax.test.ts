import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { values } from "../tensor/view.ts";
import { reference } from "./reference.ts";

const Softmax = suite("softmax");

for (const { heap, kernels, bound } of eachTable(3e-7, 3e-7)) {
  Softmax(`${kernels.name} is within ${bound} of the oracle, in place too`, () => {
    for (const [M, N, C] of [
      [0, 8, 8],
      [1, 1, 8],
      [300, 8, 8],
      [41, 15, 8],
      [7, 3, 24],
    ]) {
      onHeap(heap, (fill) => {
        const [x, got, want] = [fill([M, N, C]), fill([M, N, C]), fill([M, N, C])];
        values(x).forEach((value, i, all) => (all[i] = 30 * value));
        kernels.softmax(got, x, 0.25);
        reference.softmax(want, x, 0.25);
        const worst = difference(got, want);
        assert.ok(worst <= bound, `[${M}, ${N}, ${C}]: |Δ| ${worst}`);
        kernels.softmax(x, x, 0.25);
        assert.is(difference(x, got), 0, "in place");
      });
    }
  });
}

Softmax.run();
