import { suite } from "uvu";
import * as assert from "uvu/assert";
import { builds, difference, type Fill, onHeap } from "../../tests/tables.ts";
import { reference } from "./reference.ts";

const Axial = suite("axialAttention");

const SHAPES = [
  // N, d, C, W, H, T, L
  [1, 4, 4, 1, 1, 1, 0],
  [40, 16, 5, 3, 2, 7, 4],
  [17, 32, 16, 5, 4, 3, 130],
  [33, 64, 6, 4, 9, 20, 1],
  [97, 256, 64, 8, 8, 7, 64],
  [16, 8, 3, 2, 2, 150, 0],
  [0, 8, 3, 2, 2, 1, 1],
] as const;

/** Everything but the result and the scale, the queries, keys and angles of some size. */
function operands(fill: Fill, [N, d, C, W, H, T, L]: readonly number[]) {
  const memory = {
    W,
    keys: fill([W * H, C, T]),
    values: fill([W * H, T, C]),
    loneKeys: fill([C, L]),
    loneValues: fill([L, C]),
  };
  const [cos, sin, speed] = [fill([W * H, d / 2]), fill([W * H, d / 2]), fill([d / 2])];
  for (let p = 0; p < W * H; p++) {
    for (let i = 0; i < d / 2; i++) {
      const angle = (i < d / 4 ? p % W : Math.floor(p / W)) * speed.data[i];
      cos.data[(p * d) / 2 + i] = Math.cos(angle);
      sin.data[(p * d) / 2 + i] = Math.sin(angle);
    }
  }
  return [fill([N, d]), memory, fill([d, C + 1]), cos, sin] as const;
}

for (const { tables, heap } of builds) {
  for (const kernels of tables) {
    Axial(
      `${kernels.name} is within 4e-6 of the oracle, at odd sizes and with or without memories that have no place`,
      () => {
        for (const shape of SHAPES) {
          onHeap(heap, (fill) => {
            const all = operands(fill, shape);
            const [N, d, C] = shape;
            const [got, want] = [fill([N, C]), fill([N, C])];
            kernels.axialAttention(got, ...all, 2 / Math.sqrt(d));
            reference.axialAttention(want, ...all, 2 / Math.sqrt(d));
            const worst = difference(got, want);
            assert.ok(worst <= 4e-6, `${shape}: |Δ| ${worst}`);
          });
        }
      },
    );
  }

  const [one, other] = tables;
  Axial(`${one.name} and ${other.name} give the same bits, in one piece and in pieces`, () => {
    onHeap(heap, (fill) => {
      const all = operands(fill, [500, 64, 24, 7, 5, 7, 20]);
      const [got, want] = [fill([500, 24]), fill([500, 24])];
      one.axialAttention(want, ...all, 0.2);
      other.axialAttention(got, ...all, 0.2);
      assert.is(difference(got, want), 0);
    });
  });

  Axial(`${one.name} asks for a smaller grid where the tables of one panel exceed the scratch`, () => {
    onHeap(heap, (fill) => {
      const all = operands(fill, [1, 4, 64, 1200, 1, 1, 0]);
      assert.throws(() => one.axialAttention(fill([1, 64]), ...all, 1), /1200 columns/);
    });
  });
}

Axial.run();
