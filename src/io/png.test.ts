import { suite } from "uvu";
import * as assert from "uvu/assert";
import { browserPlatform } from "../platform/browser.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { deflate, inflate } from "../platform/zlib.ts";
import { crc32 } from "./crc32.ts";
import { DAVIS_PALETTE, encodeMaskPng, encodePalettePng } from "./masks.ts";
import { decodePng, encodePng } from "./png.ts";

/** Bytes that differ from call to call, the same in every run. */
function noise(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, () => (seed = (Math.imul(seed, 1664525) + 1013904223) | 0) >>> 24);
}

const sameBytes = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  a.length === b.length && Array.prototype.every.call(a, (value, i) => value === b[i]);

const PLATFORMS = { Node: nodePlatform, "a browser": browserPlatform };

const Png = suite("PNG");
Png.after(() => setPlatform(browserPlatform));

for (const [width, height] of [
  [1, 1],
  [1, 9],
  [9, 1],
  [37, 23],
]) {
  Png(`grey and RGB of ${width}×${height} come back from decodePng bit for bit`, () => {
    for (const channels of [1, 3] as const) {
      const data = noise(width * height * channels, 5);
      const decoded = decodePng(encodePng({ width, height, channels, data }), "test");
      assert.equal([decoded.width, decoded.height, decoded.channels], [width, height, channels]);
      assert.ok(sameBytes(decoded.data, data));
    }
  });
}

for (const [reader, platform] of Object.entries(PLATFORMS)) {
  const image = { width: 64, height: 48, channels: 3 as const, data: noise(64 * 48 * 3, 7) };

  Png(`${reader} reads what each platform has written`, () => {
    for (const writer of Object.values(PLATFORMS)) {
      setPlatform(writer);
      const png = encodePng(image);
      setPlatform(platform);
      assert.ok(sameBytes(decodePng(png, "test").data, image.data));
    }
  });

  Png(`${reader} refuses rows that are missing, and passes over rows too many`, () => {
    setPlatform(platform);
    const ofHeight = (height: number) => {
      const png = encodePng(image);
      new DataView(png.buffer).setUint32(20, height);
      new DataView(png.buffer).setUint32(29, crc32(png.subarray(12, 29)));
      return png;
    };
    assert.throws(() => decodePng(ofHeight(49), "test"), /test: expected a PNG file with .* rows, got /);
    assert.ok(sameBytes(decodePng(ofHeight(47), "test").data, image.data.subarray(0, 64 * 47 * 3)));
  });

  Png(`${reader} refuses a stream that is cut off`, () => {
    setPlatform(platform);
    const stream = deflate(noise(5000, 3));
    assert.throws(() => inflate(stream.subarray(0, 3000), 5000), /unexpected/i);
    assert.throws(() => inflate(stream, 4999));
  });
}

Png("a smooth RGB ramp shrinks to under 5 % of its pixels", () => {
  const data = Uint8Array.from({ length: 100 * 100 * 3 }, (_, i) => Math.floor(i / 300) + (Math.floor(i / 3) % 100));
  assert.ok(encodePng({ width: 100, height: 100, channels: 3, data }).length < data.length * 0.05);
});

Png("a mask is 8-bit grey of 0 and 255, whatever stands for set", () => {
  const png = encodeMaskPng(Uint8Array.of(0, 1, 7, 255, 0, 1), 3, 2);
  const { channels, data } = decodePng(png, "test");
  assert.is(channels, 1);
  assert.equal([...data], [0, 255, 255, 255, 0, 255]);
});

Png("a palette image keeps its indices, with the DAVIS palette", () => {
  const indices = Uint8Array.from({ length: 256 }, (_, i) => i);
  const png = encodePalettePng(indices, 16, 16);
  assert.is(png[25], 3, "colour type");
  const { data, palette } = decodePng(png, "test");
  assert.ok(sameBytes(data, indices));
  assert.ok(sameBytes(palette!, DAVIS_PALETTE));
});

Png("the DAVIS palette begins black, dark red, dark green, olive, dark blue and ends near white", () => {
  assert.equal([...DAVIS_PALETTE.subarray(0, 15)], [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]);
  assert.equal([...DAVIS_PALETTE.subarray(765)], [224, 224, 192]);
});

Png("a mask of another size is refused with both numbers", () => {
  assert.throws(() => encodeMaskPng(new Uint8Array(5), 2, 3), /encodeMaskPng: expected 2×3 = 6 bytes, got 5/);
  assert.throws(() => encodePalettePng(new Uint8Array(7), 2, 3), /encodePalettePng: expected 2×3 = 6 bytes, got 7/);
});

Png.run();
