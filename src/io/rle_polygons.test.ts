import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { maskToPolygons } from "./polygons.ts";
import { decodeRle, encodeRle, measuredRle, rleArea, rleBbox } from "./rle.ts";

interface Case {
  name: string;
  width: number;
  height: number;
  pixels: string;
  counts: string;
  area: number;
  bbox: [number, number, number, number];
}
const cases: { masks: Case[] } = JSON.parse(readFileSync(new URL("../../golden/masks.json", import.meta.url), "utf8"));

/** Base64 of packed bits, high bit first, row by row. */
function unpack({ pixels, width, height }: Case): Uint8Array {
  const bits = Buffer.from(pixels, "base64");
  return Uint8Array.from({ length: width * height }, (_, i) => (bits[i >> 3] >> (7 - (i & 7))) & 1);
}

function randomMask(width: number, height: number, density: number, seed: number): Uint8Array {
  const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) | 0) >>> 8;
  return Uint8Array.from({ length: width * height }, () => (next() < density * 2 ** 24 ? 1 : 0));
}

const samePixels = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((value, i) => value === b[i]);

const CocoRle = suite("COCO RLE");
for (const mask of cases.masks) {
  CocoRle(`${mask.name}: counts, area and bbox are pycocotools', and decode to the mask`, () => {
    const pixels = unpack(mask);
    const rle = encodeRle(pixels, mask.width, mask.height);
    assert.equal(rle.size, [mask.height, mask.width]);
    assert.is(rle.counts, mask.counts);
    assert.is(rleArea(rle), mask.area);
    assert.equal(rleBbox(rle), mask.bbox);
    assert.ok(samePixels(decodeRle(rle), pixels));
    assert.equal(measuredRle(pixels, mask.width, mask.height), { rle, area: mask.area, bbox: mask.bbox });
  });
}

CocoRle("200 random masks come back from decodeRle", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const [width, height] = [1 + (seed % 17), 1 + (seed % 23)];
    const mask = randomMask(width, height, (seed % 9) / 8, seed);
    assert.ok(samePixels(decodeRle(encodeRle(mask, width, height)), mask), `seed ${seed}`);
  }
});

CocoRle("a mask that lies elsewhere in memory, of any bytes, has the same runs", () => {
  for (const [width, height] of [
    [40, 30],
    [41, 30],
  ]) {
    const mask = randomMask(width, height, 0.3, width);
    const shifted = new Uint8Array(mask.length + 1).subarray(1);
    shifted.set(mask.map((value, i) => value * (1 + (i % 255))));
    assert.equal(encodeRle(shifted, width, height), encodeRle(mask, width, height));
  }
});

CocoRle("any byte but 0 is set", () => {
  assert.equal(encodeRle(Uint8Array.of(0, 255, 3, 0), 2, 2), encodeRle(Uint8Array.of(0, 1, 1, 0), 2, 2));
});

CocoRle("sizes and strings that do not fit are refused", () => {
  assert.throws(() => encodeRle(new Uint8Array(5), 2, 3), /encodeRle: expected 2×3 = 6 bytes, got 5/);
  assert.throws(() => decodeRle({ size: [2, 3], counts: "5" }), /runs of 2·3 pixels in all, got 5/);
  assert.throws(() => decodeRle({ size: [2, 3], counts: "7" }), /got 7/);
  assert.throws(() => rleArea({ size: [2, 3], counts: "" }), /got 0/);
  assert.throws(() => decodeRle({ size: [2, 3], counts: "6P" }), /compressed counts, got "6P"/);
  assert.throws(() => decodeRle({ size: [2, 3], counts: "é" }), /compressed counts, got "é"/);
  assert.throws(() => decodeRle({ size: [2, 3], counts: "oooooooooo" }), /compressed counts/);
  assert.throws(() => rleBbox({ size: [2, 3], counts: "7O" }), /runs of at least 0 pixels, got -1/);
});
CocoRle.run();

/** Even-odd filling: a pixel is inside if an odd number of vertical edges lies to its left. */
function rasterize(rings: number[][], width: number, height: number): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      const [x, y0, x1, y1] = [...ring, ring[0], ring[1]].slice(i, i + 4);
      assert.ok((x === x1) !== (y0 === y1), "edges run along one axis and have a length");
      if (x !== x1) continue;
      for (let y = Math.min(y0, y1); y < Math.max(y0, y1); y++) {
        for (let column = x; column < width; column++) mask[y * width + column] ^= 1;
      }
    }
  }
  return mask;
}

/** Positive for a ring that runs clockwise on screen. */
function signedArea(ring: number[]): number {
  let sum = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const [x0, y0, x1, y1] = [...ring, ring[0], ring[1]].slice(i, i + 4);
    sum += x0 * y1 - x1 * y0;
  }
  return sum / 2;
}

const Polygons = suite("maskToPolygons");
for (const mask of cases.masks.filter(({ width, height }) => width * height < 5000)) {
  Polygons(`${mask.name}: even-odd filling gives the mask back, signed areas sum to its area`, () => {
    const rings = maskToPolygons(unpack(mask), mask.width, mask.height);
    assert.ok(samePixels(rasterize(rings, mask.width, mask.height), unpack(mask)));
    assert.is(
      rings.reduce((sum, ring) => sum + signedArea(ring), 0),
      mask.area,
    );
  });
}

Polygons("200 random masks are given back by even-odd filling", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const [width, height] = [1 + (seed % 13), 1 + (seed % 11)];
    const mask = randomMask(width, height, (seed % 9) / 8, seed);
    assert.ok(samePixels(rasterize(maskToPolygons(mask, width, height), width, height), mask), `seed ${seed}`);
  }
});

Polygons("a square with a hole is a clockwise and a counter-clockwise ring of four corners each", () => {
  const mask = Uint8Array.of(1, 1, 1, 1, 0, 1, 1, 1, 1);
  assert.equal(maskToPolygons(mask, 3, 3), [
    [0, 0, 3, 0, 3, 3, 0, 3],
    [1, 2, 2, 2, 2, 1, 1, 1],
  ]);
});

Polygons("pixels that touch at a corner are two rings", () => {
  assert.is(maskToPolygons(Uint8Array.of(1, 0, 0, 1), 2, 2).length, 2);
});

Polygons("a mask of another size is refused", () => {
  assert.throws(() => maskToPolygons(new Uint8Array(5), 2, 3), /maskToPolygons: expected 2×3 = 6 bytes, got 5/);
});
Polygons.run();
