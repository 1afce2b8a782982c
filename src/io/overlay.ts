import { ImageError, PromptError } from "../errors.ts";
import { kindOf } from "./kind_of.ts";
import { expectNames } from "./options.ts";
import { expectMask, type Mask, maskBounds } from "./masks.ts";
import { expectPixels, type RgbImage } from "./pixels.ts";

export type Rgb = readonly [number, number, number];

/** What to draw of a prompt; coordinates in pixels of the image. */
export interface DrawnPrompt {
  /** clicks */
  points?: readonly (readonly number[])[];
  /** for each point: 1 positive, 0 negative; all 1 if left out */
  labels?: readonly number[];
  /** corners of a box, x0, y0, x1, y1 */
  box?: readonly number[];
}

/** x0, y0, x1, y1 */
type Box = readonly number[];

/** One colour per mask, in turn; neighbours in the list are far apart. */
const MASK_COLOURS: Rgb[] = [
  [30, 144, 255],
  [255, 160, 0],
  [190, 80, 255],
  [0, 200, 130],
  [255, 90, 120],
  [240, 225, 50],
  [0, 205, 230],
  [160, 110, 60],
];
const POSITIVE: Rgb = [40, 180, 70];
const NEGATIVE: Rgb = [225, 45, 45];
const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
const TINT = 0.45;

/**
 * The image with each mask tinted in a colour of its own and outlined (light inside, dark outside, so that the line shows
 * on any ground), and the prompts on top: green discs with a plus, red discs with a minus, boxes. Line widths follow the
 * image's size.
 */
export function overlay(image: RgbImage, masks: Mask[], prompts: DrawnPrompt[] = []): RgbImage {
  expectPixels({ ...image, channels: 3 }, "overlay");
  for (const [name, list] of Object.entries({ masks, prompts })) {
    if (!Array.isArray(list)) throw new ImageError(`overlay ${name}`, "an array", kindOf(list), "wrap it: [ … ]");
  }
  for (const prompt of prompts) expectDrawn(prompt);
  const canvas = { ...image, data: image.data.slice() };
  masks.forEach((mask, i) => drawMask(canvas, mask, i));
  drawPrompts(canvas, prompts);
  return canvas;
}

/** A prompt of the predictor may hold more than is drawn. */
const DRAWN = ["points", "labels", "box", "maskInput", "name"];

function expectDrawn(prompt: DrawnPrompt): void {
  const isNumbers = (list: unknown) => Array.isArray(list) && Array.from(list).every(Number.isFinite);
  expectNames(Object.keys(prompt ?? {}), DRAWN, `fields named ${DRAWN.join(", ")}`, "overlay prompts", PromptError);
  const { points = [], labels = [], box } = prompt ?? {};
  const isBox = box === undefined || (isNumbers(box) && box.length === 4);
  if (prompt && isBox && Array.isArray(points) && [...points, labels].every(isNumbers)) return;
  const expected = "{ points: [[x, y], …], labels, box: [x0, y0, x1, y1] }";
  throw new ImageError("overlay prompts", expected, kindOf(prompt), "pass the prompt of the mask");
}

/** The line width that suits an image. */
function lineOf({ width, height }: RgbImage): number {
  return Math.max(1.5, Math.sqrt(width * height) / 500);
}

/** Draws the mask of that index into the image, as `overlay` does. */
export function drawMask(canvas: RgbImage, mask: Mask, index: number): void {
  const { width, height } = canvas;
  expectMask(mask, width, height, "overlay");
  const bounds = maskBounds(mask, width);
  const colour = MASK_COLOURS[index % MASK_COLOURS.length];
  if (bounds) drawRegions(canvas, (pixel) => (mask[pixel] ? 1 : 0), [BLACK, colour], bounds);
}

/**
 * Tints and outlines regions. A pixel of region 0 is in none.
 *
 * @param regionOf a pixel, by its number
 * @param colours by region
 * @param bounds where regions are: left, top, right, bottom
 * @param tint how much of the colour a pixel gets, 0…1
 */
export function drawRegions(
  canvas: RgbImage,
  regionOf: (pixel: number) => number,
  colours: readonly Rgb[],
  bounds: Box,
  tint = TINT,
): void {
  const { width, height } = canvas;
  const line = lineOf(canvas);
  const lights = colours.map((colour) => colour.map((value) => value + (255 - value) * 0.7) as unknown as Rgb);
  const reach = Math.ceil(line + 1);
  const [left, top] = [Math.max(0, bounds[0] - reach), Math.max(0, bounds[1] - reach)];
  const [right, bottom] = [Math.min(width, bounds[2] + reach), Math.min(height, bounds[3] + reach)];
  const cover = new Float32Array((right - left) * (bottom - top)); // of the part that is drawn on
  const across = penOf(line, 0, 0.5);
  const down = penOf(line, 0.5, 0);
  const { data } = canvas;

  for (let y = top; y < bottom; y++) {
    for (let x = left, i = y * width + left; x < right; x++, i++) {
      const region = regionOf(i);
      const colour = colours[region];
      if (region)
        for (let c = 0, at = 3 * i; c < 3; c++, at++) data[at] = data[at] + (colour[c] - data[at]) * tint + 0.5;
      if (x + 1 < width && regionOf(i + 1) !== region) stamp(across, x + 1, y);
      if (y + 1 < height && regionOf(i + width) !== region) stamp(down, x, y + 1);
    }
  }
  for (let y = top, at = 0; y < bottom; y++) {
    for (let x = left, i = y * width + left; x < right; x++, i++, at++) {
      if (cover[at] === 0) continue;
      const region = regionOf(i);
      blend(canvas, i, region ? lights[region] : BLACK, region ? cover[at] : cover[at] * 0.7);
    }
  }

  /** Covers what a pen at a point of the outline covers. */
  function stamp(pen: Float32Array, cx: number, cy: number): void {
    const side = 2 * reach + 1;
    for (let y = Math.max(top, cy - reach); y < Math.min(bottom, cy + reach + 1); y++) {
      const row = (y - cy + reach) * side + reach - cx;
      for (let x = Math.max(left, cx - reach); x < Math.min(right, cx + reach + 1); x++) {
        const at = (y - top) * (right - left) + x - left;
        if (pen[row + x] > cover[at]) cover[at] = pen[row + x];
      }
    }
  }
}

/** How much a round pen at (x, y) of a pixel covers of each pixel around it. */
function penOf(line: number, x: number, y: number): Float32Array {
  const reach = Math.ceil(line + 1);
  const side = 2 * reach + 1;
  return Float32Array.from({ length: side * side }, (_, i) => {
    const [dx, dy] = [(i % side) - reach + 0.5 - x, Math.floor(i / side) - reach + 0.5 - y];
    return Math.max(0, Math.min(1, line + 0.5 - Math.hypot(dx, dy)));
  });
}

/** Draws boxes, then points, into the image, as `overlay` does. */
export function drawPrompts(canvas: RgbImage, prompts: readonly DrawnPrompt[]): void {
  const line = lineOf(canvas);
  for (const { box } of prompts) if (box) drawBox(canvas, box, line);
  for (const { points = [], labels } of prompts) {
    points.forEach((point, i) => {
      drawPoint(canvas, point, labels?.[i] ?? 1, line);
    });
  }
}

function drawBox(canvas: RgbImage, [x0, y0, x1, y1]: Box, line: number): void {
  const [cx, cy, rx, ry] = [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2];
  const outline = (x: number, y: number) => {
    const [dx, dy] = [Math.abs(x - cx) - rx, Math.abs(y - cy) - ry];
    return Math.abs(dx > 0 && dy > 0 ? Math.hypot(dx, dy) : Math.max(dx, dy));
  };
  const bounds: Box = [x0 - 3 * line, y0 - 3 * line, x1 + 3 * line, y1 + 3 * line];
  const hole: Box = [x0 + 3 * line, y0 + 3 * line, x1 - 3 * line, y1 - 3 * line];
  fill(canvas, bounds, BLACK, 0.6, (x, y) => outline(x, y) - 2 * line, hole);
  fill(canvas, bounds, POSITIVE, 1, (x, y) => outline(x, y) - line, hole);
}

function drawPoint(canvas: RgbImage, [x, y]: readonly number[], label: number, line: number): void {
  const radius = 7 * line;
  const bounds: Box = [x - 2 * radius, y - 2 * radius, x + 2 * radius, y + 2 * radius];
  const disc = (r: number) => (px: number, py: number) => Math.hypot(px - x, py - y) - r;
  fill(canvas, bounds, BLACK, 0.35, disc(radius + 2.5 * line));
  fill(canvas, bounds, WHITE, 1, disc(radius + 1.5 * line));
  fill(canvas, bounds, label ? POSITIVE : NEGATIVE, 1, disc(radius));
  fill(canvas, bounds, WHITE, 1, (px, py) => {
    const [dx, dy] = [Math.abs(px - x), Math.abs(py - y)];
    const minus = Math.max(dx - 4 * line, dy - line);
    const plus = Math.max(dx - line, dy - 4 * line);
    return label ? Math.min(minus, plus) : minus;
  });
}

/**
 * Fills the shape whose signed distance to its border, negative inside, is `distance`; edges are smoothed over a pixel.
 * Nothing of it lies in the hole.
 */
function fill(
  canvas: RgbImage,
  [x0, y0, x1, y1]: Box,
  colour: Rgb,
  opacity: number,
  distance: (x: number, y: number) => number,
  hole: Box = [0, 0, 0, 0],
): void {
  const { width, height } = canvas;
  for (let y = Math.max(0, Math.floor(y0)); y < Math.min(height, y1); y++) {
    const inHole = y >= hole[1] && y + 1 <= hole[3];
    for (let x = Math.max(0, Math.floor(x0)); x < Math.min(width, x1); x++) {
      if (inHole && x >= hole[0] && x + 1 <= hole[2]) {
        x = Math.floor(hole[2]) - 1; // on with what is beyond
        continue;
      }
      const cover = Math.min(1, 0.5 - distance(x + 0.5, y + 0.5));
      if (cover > 0) blend(canvas, y * width + x, colour, cover * opacity);
    }
  }
}

function blend({ data }: RgbImage, pixel: number, colour: Rgb, opacity: number): void {
  for (let c = 0, at = 3 * pixel; c < 3; c++, at++) data[at] = Math.round(data[at] + (colour[c] - data[at]) * opacity);
}
