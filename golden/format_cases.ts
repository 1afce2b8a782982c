/**
 * What the tests of formats and of `sam2 evaluate` draw, and what export_formats.py gives to the tools:
 *
 *     npx tsx golden/format_cases.ts FOLDER     writes pictures, annotations of all formats, and masks of videos
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "../src/index.node.ts";
import type { AnnotatedImage } from "../src/io/formats/annotations.ts";
import { ANNOTATION_FORMATS, writeAnnotations } from "../src/io/formats/write.ts";
import { encodeMaskPng, encodePalettePng } from "../src/io/masks.ts";
import { encodeRle } from "../src/io/rle.ts";

const WIDTH = 61;
const HEIGHT = 47;

/** Whole numbers below `end`, the same on every machine. */
function wholeNumbers(seed: number) {
  let state = seed;
  return (end: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

function draw(isSet: (x: number, y: number) => boolean, width = WIDTH, height = HEIGHT): Uint8Array {
  return Uint8Array.from({ length: width * height }, (_, i) => Number(isSet(i % width, Math.floor(i / width))));
}

const disc = (cx: number, cy: number, r: number) => (x: number, y: number) => (x - cx) ** 2 + (y - cy) ** 2 < r * r;

/** Masks that formats may stumble over, by name. */
export function formatMasks(): Map<string, Uint8Array> {
  const noise = wholeNumbers(1);
  const blobs = Array.from({ length: 9 }, () => disc(noise(WIDTH), noise(HEIGHT), 2 + noise(11)));
  const [outer, hole, island] = [disc(30, 23, 20), disc(27, 24, 11), disc(26, 22, 4)];
  return new Map([
    ["disc", draw(disc(20, 20, 12.5))],
    ["cut off by the border", draw(disc(60, 0, 21))],
    ["everything", draw(() => true)],
    ["one pixel", draw((x, y) => x === 13 && y === 7)],
    ["a line", draw((x, y) => y === 40 && x > 4 && x < 31)],
    ["ring", draw((x, y) => outer(x, y) && !hole(x, y))],
    ["island in a ring", draw((x, y) => outer(x, y) && (!hole(x, y) || island(x, y)))],
    ["three holes", draw((x, y) => outer(x, y) && ![20, 30, 40].some((cx) => disc(cx, 23, 4)(x, y)))],
    ["touching at a corner", draw((x, y) => (x < 9 && y < 9) || (x >= 9 && x < 15 && y >= 9 && y < 20))],
    ["two parts", draw((x, y) => disc(12, 12, 9)(x, y) || disc(45, 33, 8)(x, y))],
    ["blobs", draw((x, y) => blobs.filter((blob) => blob(x, y)).length % 2 === 1)],
    ["noise", draw((x, y) => x < 24 && y > 30 && noise(2) === 1)],
    ["nothing", draw(() => false)],
  ]);
}

/** A picture of all masks, and one of a few. */
export function formatImages(): AnnotatedImage[] {
  const objects = [...formatMasks().values()].map((mask, i) => {
    const rle = encodeRle(mask, WIDTH, HEIGHT);
    return { id: i + 1, label: i % 2 ? "thing" : "odd name", rle, score: (i + 1) / 16 };
  });
  const size = { width: WIDTH, height: HEIGHT };
  const all = { file: "all of them.png", ...size, objects };
  return [all, { file: "few.png", ...size, objects: objects.slice(5, 7) }, { file: "none.png", ...size, objects: [] }];
}

const VIDEOS: [name: string, width: number, height: number, frames: number][] = [
  ["small", 31, 17, 5],
  ["tall", 80, 120, 6],
  ["wide", 300, 200, 7],
];

/**
 * Maps of ids, the truth's and the predicted ones, frame by frame: object 2 goes and comes, object 3 comes later, object 4
 * is predicted alone.
 */
export function videoCases() {
  return VIDEOS.map(([name, width, height, frames], seed) => {
    const draw = wholeNumbers(seed + 5);
    const pairs = Array.from({ length: frames }, (_, t) => {
      const truth = new Uint8Array(width * height);
      const predicted = new Uint8Array(width * height);
      for (let id = 1; id <= 4; id++) {
        const [cx, cy, r] = [draw(width), draw(height), 2 + draw(height / 3)];
        const inTruth = disc(cx, cy, r);
        const inPredicted = disc(cx + draw(3) - 1, cy + draw(5) - 2, r + draw(3) - 1);
        const isThere = { truth: id < 3 || (id === 3 && t > 2), predicted: id !== 2 || t !== 3 };
        for (let i = 0; i < truth.length; i++) {
          const [x, y] = [i % width, Math.floor(i / width)];
          if (isThere.truth && inTruth(x, y)) truth[i] = id;
          if (isThere.predicted && inPredicted(x, y)) predicted[i] = id;
        }
      }
      return { truth, predicted };
    });
    return { name, width, height, pairs };
  });
}

/** `palette/` and `objects/`, in each `truth/` and `predicted/` with a folder for each video. */
export function writeVideos(folder: string): void {
  for (const { name, width, height, pairs } of videoCases()) {
    for (const [t, pair] of pairs.entries()) {
      for (const side of ["truth", "predicted"] as const) {
        const frame = `${String(t).padStart(5, "0")}.png`;
        write(join(folder, "palette", side, name, frame), encodePalettePng(pair[side], width, height));
        for (const id of [1, 2, 3]) {
          const mask = pair[side].map((value) => Number(value === id));
          write(join(folder, "objects", side, name, `00${id}`, frame), encodeMaskPng(mask, width, height));
        }
      }
    }
  }
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2];
  const images = formatImages();
  for (const { file, width, height } of images) {
    write(join(folder, file), encodeMaskPng(new Uint8Array(width * height), width, height));
  }
  for (const format of ANNOTATION_FORMATS) {
    for (const [name, text] of writeAnnotations(format, images)) write(join(folder, name), text);
  }
  for (const [name, text] of writeAnnotations("coco", images, { segmentation: "rle" })) {
    write(join(folder, "rle", name), text);
  }
  writeVideos(folder);
}
