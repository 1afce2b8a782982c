import type { RgbImage } from "./image.ts";
import { expectMask, type Mask } from "./masks.ts";

type Rgb = readonly [number, number, number];

/** What to draw of a prompt; coordinates in pixels of the image. */
export interface DrawnPrompt {
  points?: readonly (readonly number[])[];
  /** for each point: 1 positive, 0 negative; all 1 if left out */
  labels?: readonly number[];
  box?: Box;
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
  const canvas = { ...image, data: image.data.slice() };
  const line = Math.max(1.5, Math.sqrt(image.width * image.height) / 500);
  masks.forEach((mask, i) => {
    expectMask(mask, image.width, image.height, "overlay");
    drawMask(canvas, mask, MASK_COLOURS[i % MASK_COLOURS.length], line);
  });
  for (const { box } of prompts) if (box) drawBox(canvas, box, line);
  for (const { points = [], labels } of prompts) {
    points.forEach((point, i) => {
      drawPoint(canvas, point, labels?.[i] ?? 1, line);
    });
  }
  return canvas;
}

function drawMask(canvas: RgbImage, mask: Mask, colour: Rgb, line: number): void {
  const { width, height } = canvas;
  for (let i = 0; i < mask.length; i++) if (mask[i]) blend(canvas, i, colour, TINT);

  const light = colour.map((value) => value + (255 - value) * 0.7) as unknown as Rgb;
  const reach = Math.ceil(line + 1);
  const cover = new Float32Array(width * height);
  const differs = (i: number, j: number) => (mask[i] === 0) !== (mask[j] === 0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width && differs(i, i + 1)) stamp(x + 1, y + 0.5);
      if (y + 1 < height && differs(i, i + width)) stamp(x + 0.5, y + 1);
    }
  }
  for (let i = 0; i < mask.length; i++) {
    if (cover[i] > 0) blend(canvas, i, mask[i] ? light : BLACK, mask[i] ? cover[i] : cover[i] * 0.7);
  }

  /** Covers the pixels within `line` of a point on the outline. */
  function stamp(cx: number, cy: number): void {
    for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(height, cy + reach); y++) {
      for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(width, cx + reach); x++) {
        const distance = Math.hypot(x + 0.5 - cx, y + 0.5 - cy);
        const i = y * width + x;
        cover[i] = Math.max(cover[i], Math.min(1, line + 0.5 - distance));
      }
    }
  }
}

function drawBox(canvas: RgbImage, [x0, y0, x1, y1]: Box, line: number): void {
  const [cx, cy, rx, ry] = [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2];
  const outline = (x: number, y: number) => {
    const [dx, dy] = [Math.abs(x - cx) - rx, Math.abs(y - cy) - ry];
    return Math.abs(dx > 0 && dy > 0 ? Math.hypot(dx, dy) : Math.max(dx, dy));
  };
  const bounds: Box = [x0 - 3 * line, y0 - 3 * line, x1 + 3 * line, y1 + 3 * line];
  fill(canvas, bounds, BLACK, 0.6, (x, y) => outline(x, y) - 2 * line);
  fill(canvas, bounds, POSITIVE, 1, (x, y) => outline(x, y) - line);
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

/** Fills the shape whose signed distance to its border, negative inside, is `distance`; edges are smoothed over a pixel. */
function fill(
  canvas: RgbImage,
  [x0, y0, x1, y1]: Box,
  colour: Rgb,
  opacity: number,
  distance: (x: number, y: number) => number,
): void {
  const { width, height } = canvas;
  for (let y = Math.max(0, Math.floor(y0)); y < Math.min(height, y1); y++) {
    for (let x = Math.max(0, Math.floor(x0)); x < Math.min(width, x1); x++) {
      const cover = Math.min(1, 0.5 - distance(x + 0.5, y + 0.5));
      if (cover > 0) blend(canvas, y * width + x, colour, cover * opacity);
    }
  }
}

function blend({ data }: RgbImage, pixel: number, colour: Rgb, opacity: number): void {
  for (let c = 0, at = 3 * pixel; c < 3; c++, at++) data[at] = Math.round(data[at] + (colour[c] - data[at]) * opacity);
}
