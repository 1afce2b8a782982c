import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeBrushRle, encodeBrushRle } from "./brush_rle.ts";

interface Case {
  name: string;
  width: number;
  height: number;
  /** along the rows, the first unset */
  runs: number[];
  rle: string;
}

const golden = (name: string) => {
  return JSON.parse(readFileSync(new URL(`../../../golden/label_studio/${name}`, import.meta.url), "utf8"));
};
const bytesOf = (base64: string) => [...Buffer.from(base64, "base64")];

const Brush = suite("brush run lengths");

for (const { name, width, height, runs, rle } of golden("brush.json") as Case[]) {
  Brush(`${name}: the bytes that Label Studio's SDK writes, and back`, () => {
    const mask = Uint8Array.from(runs.flatMap((run, i) => Array<number>(run).fill(i % 2)));
    assert.ok(Buffer.from(encodeBrushRle(mask, width, height)).equals(Buffer.from(bytesOf(rle))));
    assert.ok(Buffer.from(decodeBrushRle(bytesOf(rle), width, height)).equals(Buffer.from(mask)));
  });
}

Brush("a soft brush of its front end is set where the SDK reads an alpha of at least half", () => {
  const { width, height, rle, alpha } = golden("soft.json");
  const want = Uint8Array.from(bytesOf(alpha), (value) => (value >= 128 ? 1 : 0));
  assert.ok(want.includes(1) && want.includes(0));
  assert.ok(Buffer.from(decodeBrushRle(bytesOf(rle), width, height)).equals(Buffer.from(want)));
});

Brush("damaged run lengths are refused, each with what is wrong", () => {
  const rle = encodeBrushRle(
    Uint8Array.from({ length: 35 }, (_, i) => i % 2),
    7,
    5,
  );
  for (const [bytes, width, message] of [
    [rle, 8, /8×5 pixels of 4 bytes, got 140/],
    [rle.slice(0, 30), 7, /got the end/],
    [[], 7, /got the end/],
    [rle.with(9, 256), 7, /bytes, 0…255, got 256/],
    [rle.with(9, 0.5), 7, /got 0.5/],
    [[...rle.slice(0, 7), 255, 255, 255, 255, 255], 7, /expected 140 bytes in all/],
  ] as const) {
    assert.throws(() => decodeBrushRle(bytes as number[], width, 5, "region"), message);
  }
});

Brush.run();
