import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RgbImage } from "./image.ts";
import { overlay } from "./overlay.ts";

const WIDTH = 120;
const HEIGHT = 90;
const grey: RgbImage = { width: WIDTH, height: HEIGHT, data: new Uint8Array(WIDTH * HEIGHT * 3).fill(128) };
const square = (x0: number, y0: number, x1: number, y1: number) =>
  Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => {
    const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
    return x >= x0 && x < x1 && y >= y0 && y < y1 ? 1 : 0;
  });
const at = ({ data }: RgbImage, x: number, y: number) => [
  ...data.subarray(3 * (y * WIDTH + x), 3 * (y * WIDTH + x) + 3),
];
const brightness = (rgb: number[]) => rgb.reduce((sum, value) => sum + value);

const Overlay = suite("overlay");

Overlay("masks are tinted in two colours, outlined light inside and dark outside; the rest keeps its pixels", () => {
  const drawn = overlay(grey, [square(20, 20, 50, 50), square(70, 20, 100, 50)]);
  assert.not.equal(at(drawn, 35, 35), at(grey, 35, 35));
  assert.not.equal(at(drawn, 35, 35), at(drawn, 85, 35));
  assert.ok(brightness(at(drawn, 20, 35)) > brightness(at(drawn, 35, 35)) + 60);
  assert.ok(brightness(at(drawn, 19, 35)) < brightness(at(grey, 19, 35)) - 60);
  assert.equal(at(drawn, 10, 35), at(grey, 10, 35));
  assert.equal(at(drawn, 60, 80), at(grey, 60, 80));
});

Overlay("the border of the image is no outline", () => {
  const drawn = overlay(grey, [square(0, 0, WIDTH, HEIGHT)]);
  assert.equal(at(drawn, 0, 0), at(drawn, 60, 45));
});

Overlay("positive clicks are green, negative red, both with a white sign and rim; boxes are outlined", () => {
  const points = [
    [30.5, 30.5],
    [80.5, 30.5],
  ] as const;
  const drawn = overlay(grey, [], [{ points, labels: [1, 0] }, { box: [10, 60, 110, 80] }]);
  const [, green] = at(drawn, 35, 35);
  const [red] = at(drawn, 85, 35);
  assert.ok(green > at(drawn, 35, 35)[0] + 60 && red > at(drawn, 85, 35)[1] + 60);
  assert.equal(at(drawn, 30, 26), [255, 255, 255], "the plus goes up");
  assert.is.not(at(drawn, 80, 26)[1], 255, "the minus does not");
  assert.not.equal(at(drawn, 60, 60), at(grey, 60, 60));
  assert.equal(at(drawn, 60, 70), at(grey, 60, 70), "a box is not filled");
});

Overlay("prompts may lie across and beyond the border", () => {
  overlay(grey, [], [{ points: [[-3, HEIGHT + 5]], box: [-10, -10, WIDTH + 10, 5] }]);
});

Overlay("the image given is left alone", () => {
  overlay(grey, [square(0, 0, 50, 50)], [{ points: [[5, 5]] }]);
  assert.ok(grey.data.every((value) => value === 128));
});

Overlay("a mask of another size is refused", () => {
  assert.throws(() => overlay(grey, [new Uint8Array(7)]), /overlay: expected 120×90 = 10800 bytes, got 7/);
});

Overlay.run();
