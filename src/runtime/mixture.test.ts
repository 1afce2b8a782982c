// Places that prompts share, as mixtures: written by `tellPlaces`, seen by `attendToMixture`, painted by `paint`.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { difference, eachTable, type Fill, onHeap } from "../../tests/tables.ts";
import { narrow, reshape, select, tensor, values } from "../tensor/view.ts";
import type { Kernels } from "./kernels.ts";
import { reference } from "./reference.ts";

const [BOUND, HEADS] = [3e-6, 8];
const Told = suite("tellPlaces as a mixture");

/** [B prompts, S places, D, K, tokens, weights before] */
const TELLING = [
  [1, 1, 16, 16, 1, 0],
  [2, 97, 64, 24, 7, 0],
  [3, 100, 32, 24, 8, 64],
];

for (const { heap, kernels } of eachTable(0, 0)) {
  Told(
    `${kernels.name} writes down weights and factors within ${BOUND} of the oracle, and leaves the places as they are`,
    () => {
      for (const [B, S, D, K, tokens, J] of TELLING) {
        const R = HEADS * tokens;
        const whole = Math.ceil(R / 16) * 16;
        const run = (table: Kernels, fill: Fill, withPlaces: boolean) => {
          const told = {
            keys: table.pack(fill([B * whole, K]), B * whole),
            values: table.pack(fill([B * D, R]), B * D),
            bias: fill([D]),
          };
          const [x, z, norm] = [fill([1, S, D]), fill([S, K]), { weight: fill([D]), bias: fill([D]), eps: 1e-5 }];
          const before = J > 0 ? { weights: fill([B, S, J]), scales: fill([B, S]) } : undefined;
          const now = { weights: fill([B, S, J + R]), scales: fill([B, S]) };
          const y = fill([B, S, D]);
          table.tellPlaces(withPlaces ? y : undefined, x, { z }, told, norm, HEADS, 0.3, { now, before });
          const plain = fill([B, S, D]);
          table.tellPlaces(plain, x, { z }, told, norm, HEADS, 0.3);
          if (withPlaces) assert.equal(values(y), values(plain));
          return [now.weights, now.scales].map((t) => values(t).slice());
        };
        let [want, got, alone]: Float32Array[][] = [[], [], []];
        onHeap(heap, (fill) => (want = run(reference, fill, true)));
        onHeap(heap, (fill) => (got = run(kernels, fill, true)));
        onHeap(heap, (fill) => (alone = run(kernels, fill, false)));
        assert.equal(alone, got);
        for (const [i, what] of ["weights", "scales"].entries()) {
          const worst = difference(tensor(got[i], [got[i].length]), tensor(want[i], [want[i].length]));
          assert.ok(worst <= BOUND, `${what} of [${B}, ${S}, ${D}]: |Δ| ${worst}`);
        }
      }
    },
  );
}

Told.run();

const Seen = suite("attendToMixture");

/** [B prompts, S places, h heads, d channels of a head, J weights, P parts] */
const SEEING = [
  [1, 1, 2, 16, 16, 1],
  [2, 97, 4, 16, 32, 1],
  [2, 700, 8, 16, 128, 2],
  [1, 130, 2, 32, 64, 1],
];

function operands(table: Kernels, fill: Fill, [B, S, h, d, J, P]: number[]) {
  const R = 8 * h;
  const q = fill([B * R, 2 * d]);
  for (let r = 0; r < B * R; r++) {
    const others = values(narrow(select(q, 0, r), 0, Math.floor(r / 8) % 2 ? 0 : d, d));
    others.fill(0);
  }
  return {
    o: fill([B, R, d + J]),
    q: table.pack(q, B * R),
    mixed: table.pack(fill([B * R, J]), B * R),
    places: { k: fill([S, h * d]), pe: fill([S, h * d]), v: fill([S, h * d]) },
    mixture: { weights: fill([B, S, J]), scales: fill([B, S]) },
    room: { sums: fill([B, P, R, d + J]), state: fill([B, P, 2, R]) },
  };
}

for (const { heap, kernels } of eachTable(0, 0)) {
  Seen(`${kernels.name} is within ${BOUND} of the oracle, small scores and large ones`, () => {
    for (const size of SEEING) {
      for (const scale of [0.1, 5]) {
        let want = new Float32Array();
        const run = (table: Kernels, fill: Fill) => {
          const { o, q, mixed, places, mixture, room } = operands(table, fill, size);
          table.attendToMixture(o, q, mixed, places, mixture, scale, room);
          return values(o).slice();
        };
        onHeap(heap, (fill) => (want = run(reference, fill)));
        onHeap(heap, (fill) => {
          const got = run(kernels, fill);
          const worst = difference(tensor(got, [got.length]), tensor(want, [want.length]));
          const most = BOUND * Math.max(1, scale * Math.sqrt(size[4])); // of large scores fewer digits are left
          assert.ok(worst <= most, `[${size}] ×${scale}: |Δ| ${worst}`);
        });
      }
    }
  });
}

Seen.run();

const Painted = suite("paint of a mixture");

for (const { heap, kernels } of eachTable(0, 0)) {
  Painted(`${kernels.name} is within ${BOUND} of the oracle`, () => {
    const [B, prompts, M, E, D, J] = [3, [2, 0], 4, 5, 64, 32];
    const [C1, C2] = [D / 4, D / 8];
    const run = (table: Kernels, fill: Fill) => {
      const own = () => ({ ...table.pack(fill([B * 2 * C1, J]), B * 2 * C1), N: 2 * C1 });
      const cells = (N: number, K: number) => table.pack(fill([Math.ceil(N / 16) * 16, K]), N);
      const upscaling = {
        dc1: { weights: [own(), own()] as const, bias: fill([2, 2 * C1]) },
        norm: { weight: fill([C1]), bias: fill([C1]), eps: 1e-6 },
        dc2: { weights: [cells(2 * C2, C1), cells(2 * C2, C1)] as const, bias: fill([2 * C2]) },
      };
      const which = heap.allocInt32(prompts.length);
      which.set(prompts);
      const masks = fill([prompts.length, M, 4 * E, 4 * E]);
      const tokens = { ...table.pack(fill([16 * prompts.length, C2]), 16 * prompts.length), N: M };
      const [fine0, fine1] = [fill([4 * E, 4 * E, C2]), fill([2 * E, 2 * E, C1])];
      const shared = { cells: [fill([E * E, 2 * C1]), fill([E * E, 2 * C1])] as const, scales: fill([B, E * E]) };
      table.paint(masks, fill([B, E * E, J]), upscaling, fine0, fine1, which, tokens, shared);
      return values(reshape(masks, [-1])).slice();
    };
    let want = new Float32Array();
    onHeap(heap, (fill) => (want = run(reference, fill)));
    onHeap(heap, (fill) => {
      const got = run(kernels, fill);
      const worst = difference(tensor(got, [got.length]), tensor(want, [want.length]));
      assert.ok(worst <= BOUND, `|Δ| ${worst}`);
    });
  });
}

Painted.run();
