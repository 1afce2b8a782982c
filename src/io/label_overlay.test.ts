import { suite } from "uvu";
import * as assert from "uvu/assert";
import { labelMap } from "./label_map.ts";
import { drawLabels, neighbourColours } from "./label_overlay.ts";
import { encodeRle } from "./rle.ts";

const SIDE = 60;
const square = (x0: number, y0: number, side: number) =>
  encodeRle(
    Uint8Array.from({ length: SIDE * SIDE }, (_, i) => {
      const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
      return x >= x0 && x < x0 + side && y >= y0 && y < y0 + side ? 1 : 0;
    }),
    SIDE,
    SIDE,
  );

const Labels = suite("labels");

Labels("smaller masks lie over larger ones, of equal ones the later over the earlier, whatever their order", () => {
  const labels = labelMap([square(10, 10, 5), square(0, 0, 40), square(38, 0, 20), square(30, 0, 20)], SIDE, SIDE);
  const at = (x: number, y: number) => labels[y * SIDE + x];
  assert.equal([at(12, 12), at(5, 5), at(35, 5), at(45, 5), at(55, 5), at(5, 50)], [1, 2, 4, 4, 3, 0]);
});

Labels("masks that touch have different colours, though there are more masks than colours", () => {
  const side = 10; // a chessboard of 36
  const masks = Array.from({ length: 36 }, (_, i) => square((i % 6) * side, Math.floor(i / 6) * side, side));
  const labels = labelMap(masks, SIDE, SIDE);
  const colours = neighbourColours(labels, SIDE, SIDE);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const below = labels[i + SIDE] ?? labels[i];
    if (below !== labels[i]) assert.is.not(colours[below], colours[labels[i]]);
    if ((i + 1) % SIDE && labels[i + 1] !== labels[i]) assert.is.not(colours[labels[i + 1]], colours[labels[i]]);
  }
  assert.is(new Set(colours.slice(1)).size, 7, "and all colours are used");
});

Labels("masks are tinted and outlined; where none is, the picture stays", () => {
  const data = new Uint8Array(3 * SIDE * SIDE).fill(128);
  const canvas = { width: SIDE, height: SIDE, data: data.slice() };
  drawLabels(canvas, labelMap([square(10, 10, 30)], SIDE, SIDE));
  const at = (x: number, y: number) => [...canvas.data.subarray(3 * (y * SIDE + x), 3 * (y * SIDE + x) + 3)];
  assert.is.not(`${at(25, 25)}`, "128,128,128");
  assert.is.not(`${at(10, 25)}`, `${at(25, 25)}`, "outline");
  assert.is(`${at(50, 50)}`, "128,128,128");
});

Labels("more masks than 16 bits can tell apart are refused", () => {
  assert.throws(() => labelMap(Array(65536).fill(square(0, 0, 1)), SIDE, SIDE), /at most 65535 masks.*got 65536/);
});

Labels.run();
