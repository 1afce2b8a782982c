import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CleaningOptions, cleanMask, connectedComponents, fillHoles } from "./postprocess.ts";

interface Cases {
  masks: { name: string; width: number; height: number; pixels: string; components: number[] }[];
  logits: { options: CleaningOptions; width: number; height: number; logits: string; cleaned: string }[];
}
const cases: Cases = JSON.parse(readFileSync(new URL("../../golden/masks.json", import.meta.url), "utf8"));
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const floatsOf = (base64: string) => new Float32Array(bytesOf(base64).buffer);

/** Text art → mask: "#" is set. */
const art = (...rows: string[]) => Uint8Array.from(rows.join(""), (character) => (character === "#" ? 1 : 0));

/** Text art → logits: "#" 2, "." −2. */
const logitArt = (...rows: string[]) => Float32Array.from(art(...rows), (set) => (set ? 2 : -2));

const Components = suite("connectedComponents");
for (const { name, width, height, pixels, components } of cases.masks) {
  Components(`${name}: the areas that scipy.ndimage.label finds with a 3×3 neighbourhood`, () => {
    const bits = bytesOf(pixels);
    const mask = Uint8Array.from({ length: width * height }, (_, i) => (bits[i >> 3] >> (7 - (i & 7))) & 1);
    const { labels, areas } = connectedComponents(mask, width, height);
    assert.equal([...areas.subarray(1)].sort(), components.sort());
    assert.is(areas[0], 0);

    const counted = new Int32Array(areas.length);
    for (const label of labels) if (label > 0) counted[label]++;
    assert.equal([...counted], [...areas], "labels and areas agree");
    assert.ok(labels.every((label, i) => label > 0 === mask[i] > 0));
  });
}

Components("numbers from 1 in the order of first pixels, and joins what meets late", () => {
  const mask = art(
    "#.#.#", //
    "#.#..",
    "###.#",
  );
  const { labels, areas } = connectedComponents(mask, 5, 3);
  assert.equal([...labels], [1, 0, 1, 0, 2, 1, 0, 1, 0, 0, 1, 1, 1, 0, 3]);
  assert.equal([...areas], [0, 7, 1, 1]);
});

Components("an empty image has no components", () => {
  assert.equal([...connectedComponents(new Uint8Array(), 0, 0).areas], [0]);
});
Components.run();

const Clean = suite("cleanMask");
for (const { options, width, height, logits, cleaned } of cases.logits) {
  const { maskThreshold, maxHoleArea, maxSprinkleArea } = options;
  Clean(
    `threshold ${maskThreshold}, holes ≤ ${maxHoleArea}, islands ≤ ${maxSprinkleArea}: |Δ| = 0 to upstream's steps`,
    () => {
      const got = cleanMask(floatsOf(logits), width, height, options);
      const want = floatsOf(cleaned);
      assert.is(got.length, want.length);
      assert.is(
        got.findIndex((value, i) => value !== want[i]),
        -1,
      );
    },
  );
}

Clean("an island that goes leaves its filled hole behind, as upstream", () => {
  const logits = logitArt(
    ".....", //
    ".###.",
    ".#.#.",
    ".###.",
    ".....",
  );
  const cleaned = cleanMask(logits, 5, 5, { maskThreshold: 0, maxHoleArea: 1, maxSprinkleArea: 8 });
  assert.is(cleaned[12], 10);
  assert.is(cleaned[6], -10);
  assert.is(cleaned[0], -2);
});

Clean("the logits given are left alone", () => {
  const logits = logitArt("#.", "..");
  const cleaned = cleanMask(logits, 2, 2, { maskThreshold: 0, maxHoleArea: 9, maxSprinkleArea: 9 });
  assert.equal([...logits], [2, -2, -2, -2]);
  assert.equal([...cleaned], [-10, 10, 10, 10]);
});
Clean.run();

const Holes = suite("fillHoles");
Holes("holes of up to maxArea pixels become 0.1, larger ones and islands stay", () => {
  const logits = logitArt(
    "#######", //
    "#.#...#",
    "#######",
    ".......",
    "..#....",
  );
  const filled = fillHoles(logits, 7, 5, 1);
  assert.equal(
    [8, 10, 30, 21].map((i) => filled[i]),
    [Math.fround(0.1), -2, 2, -2],
  );
  assert.is(fillHoles(logits, 7, 5, 3)[10], Math.fround(0.1));
});
Holes.run();
