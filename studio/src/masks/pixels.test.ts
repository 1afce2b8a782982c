import { decodeRle, encodeRle } from "sam2-ts";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { aboveZero, composed, resampled, stroked } from "./pixels.ts";

const size = { width: 20, height: 10 };
const rows = (mask: Uint8Array, width = size.width) =>
  Array.from({ length: mask.length / width }, (_, y) => mask.subarray(y * width, (y + 1) * width).join(""));
const stroke = (erases: boolean, points: [number, number][], radius = 1) => ({ points, radius, erases });

const Pixels = suite("studio's pixels");

Pixels("a stroke sets the pixels whose centres are within its radius of the line, and no others", () => {
  const { added, erased } = stroked({}, stroke(false, [[2, 5], [6, 5]]), size); // prettier-ignore
  assert.is(erased, undefined);
  assert.equal(rows(decodeRle(added!)).slice(3, 7), [
    "00000000000000000000",
    "01111110000000000000",
    "01111110000000000000",
    "00000000000000000000",
  ]);
});

Pixels("erasing takes back what was added there, and what the model found", () => {
  const base = encodeRle(new Uint8Array(200).fill(1), 20, 10);
  const first = stroked({}, stroke(false, [[2, 5]]), size);
  const second = stroked(first, stroke(true, [[2, 5]]), size);
  assert.is(second.added, undefined);
  const { mask } = composed({ base, ...second });
  assert.is(mask.reduce((sum, value) => sum + value, 0), 200 - 4); // prettier-ignore
});

Pixels("a stroke beyond the picture is cut at its border", () => {
  const { added } = stroked({}, stroke(false, [[-5, -5], [30, 20]], 3), size); // prettier-ignore
  assert.ok(decodeRle(added!).includes(1));
});

Pixels("logits are resized about the centres of pixels", () => {
  const logits = Float32Array.from([1, -1, 1, -1]); // left half inside
  assert.equal(rows(aboveZero(logits, 2, { width: 8, height: 2 }), 8), ["11110000", "11110000"]);
});

Pixels("a mask at half the size takes one pixel of two", () => {
  const mask = Uint8Array.from([0, 0, 1, 1, 0, 0, 1, 1]);
  assert.equal([...resampled(mask, { width: 4, height: 2 }, { width: 2, height: 1 })], [0, 1]);
});

Pixels.run();
