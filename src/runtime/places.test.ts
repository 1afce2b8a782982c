import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, onHeap } from "../../tests/tables.ts";
import { tensor, values } from "../tensor/view.ts";
import { reference } from "./reference.ts";

/** [B prompts, R queries, S places, D, P parts] */
const SIZES = [
  [1, 16, 1, 16, 1],
  [2, 64, 97, 64, 1],
  [3, 48, 700, 32, 2],
  [1, 64, 1030, 256, 3],
  [2, 80, 1030, 64, 3],
  [1, 32, 97, 16, 1],
];

const Places = suite("attendToPlaces");

for (const { heap, kernels, bound } of eachTable(2e-6, 2e-6)) {
  Places(`${kernels.name} is within ${bound} of the oracle, small scores and large ones`, () => {
    for (const [B, R, S, D, P] of SIZES) {
      for (const scale of [0.1, 20]) {
        onHeap(heap, (fill) => {
          const [q, x, pe, got] = [fill([B * R, D]), fill([B, S, D]), fill([S, D]), fill([B, R, D])];
          const room = { sums: fill([B, P, R, D]), state: fill([B, P, 2, R]) };
          const want = tensor(new Float32Array(B * R * D), [B, R, D]);
          reference.attendToPlaces(want, reference.pack(q, B * R), x, pe, scale, room);
          kernels.attendToPlaces(got, kernels.pack(q, B * R), x, pe, scale, room);
          const worst = difference(got, want);
          // a score of 20·√D has so many digits less after the point
          assert.ok(
            worst <= bound * Math.max(1, scale * Math.sqrt(D)),
            `[${B}, ${R}, ${S}, ${D}] ×${scale}: |Δ| ${worst}`,
          );
        });
      }
    }
  });

  Places(`${kernels.name} gives a prompt in a batch the bits that it has alone`, () => {
    const [B, R, S, D, P] = [3, 16, 300, 32, 2];
    onHeap(heap, (fill) => {
      const [q, x, pe, all, one] = [fill([B * R, D]), fill([B, S, D]), fill([S, D]), fill([B, R, D]), fill([1, R, D])];
      const packed = kernels.pack(q, B * R);
      const room = { sums: fill([B, P, R, D]), state: fill([B, P, 2, R]) };
      kernels.attendToPlaces(all, packed, x, pe, 0.3, room);
      for (let b = 0; b < B; b++) {
        const own = { data: fill([R, D]), N: R, K: D };
        values(own.data).set(values(packed.data).subarray(b * R * D, (b + 1) * R * D));
        const places = fill([1, S, D]);
        values(places).set(values(x).subarray(b * S * D, (b + 1) * S * D));
        kernels.attendToPlaces(one, own, places, pe, 0.3, { sums: fill([1, P, R, D]), state: fill([1, P, 2, R]) });
        assert.equal(values(one), values(all).slice(b * R * D, (b + 1) * R * D));
      }
    });
  });
}

Places.run();
