import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "../errors.ts";
import { pcaColours, signedColours } from "./feature_colours.ts";

const pixel = (data: Uint8Array, i: number) => [...data.subarray(3 * i, 3 * i + 3)];

const Colours = suite("feature colours");

Colours("the direction in which tokens differ most is red, and what differs in nothing has one colour", () => {
  const [W, H, C] = [8, 4, 5];
  const features = Float32Array.from({ length: W * H * C }, (_, i) => {
    const [c, x] = [i % C, Math.floor(i / C) % W];
    return c === 2 ? 10 * x : 3; // all other channels are the same everywhere
  });
  const { width, height, data } = pcaColours(features, W, H);
  assert.equal([width, height, data.length], [W, H, W * H * 3]);
  const red = Array.from({ length: W }, (_, x) => data[3 * x]);
  assert.equal(
    red,
    red.toSorted((a, b) => a - b),
  );
  assert.equal([red[0], red[W - 1]], [30, 240]);
  assert.ok(data.every((value, i) => i % 3 === 0 || value === 30));
});

Colours("two kinds of token are told apart on a map too wide to count every token", () => {
  const [side, C] = [32, 800];
  const features = new Float32Array(side * side * C);
  for (let n = 0; n < side * side; n++) features.fill(n % side < side / 2 ? -1 : 1, n * C, n * C + 400);
  const { data } = pcaColours(features, side, side);
  assert.is(new Set(Array.from({ length: side * side }, (_, n) => `${pixel(data, n)}`)).size, 2);
  assert.not.equal(pixel(data, 0), pixel(data, side - 1));
});

Colours("values that are no map of whole channels are refused", () => {
  assert.throws(
    () => pcaColours(new Float32Array(7), 2, 2),
    (error: Error) => error instanceof ShapeError && /got 7 for 2×2/.test(error.message),
  );
});

Colours("signs are blue and red, zero is pale, and more than the most is as the most", () => {
  const { data } = signedColours([-9, -3, 0, 3, 9, Number.NaN], 6, 3);
  assert.equal(pixel(data, 0), pixel(data, 1));
  assert.equal(pixel(data, 3), pixel(data, 4));
  assert.ok(data[2] > data[0] && data[9] > data[11]);
  assert.equal(pixel(data, 2), [245, 243, 238]);
});

Colours.run();
