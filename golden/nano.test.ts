// nano, the model in the package: scenes as scenes.py draws them, masks as PyTorch makes them, and masks that are right.
import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mean, scoreStills } from "../models/nano/evaluate.ts";
import { describe, frame, still } from "../models/nano/scenes.ts";
import { iou } from "../models/nano/scoring.ts";
import { ImagePredictor, Sam2 } from "../src/index.node.ts";
import nano from "./nano.json" with { type: "json" };
import measured from "./nano_scores.json" with { type: "json" };
import { TABLES } from "./suite.ts";

/** Of the 200 held-out stills, which `npx tsx models/nano/evaluate.ts` scores in whole. */
const STILLS = 40;
/** How far a mean IoU may fall below what was measured. */
const MARGIN = 0.002;

const WEIGHTS = new URL("../models/nano/nano.safetensors", import.meta.url);

const Nano = suite("nano");

Nano("scenes have the bytes and owners that scenes.py draws", () => {
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  for (const { seed, frame: t, size, image, owner } of nano.frames) {
    const drawn = frame(describe(seed), t, size);
    assert.is(sha256(drawn.data), image, `seed ${seed}, frame ${t} at ${size} pixels`);
    assert.is(sha256(drawn.owner), owner, `owners of seed ${seed}, frame ${t} at ${size} pixels`);
  }
});

for (const kernels of TABLES) {
  Nano(
    `masks of ${nano.stills.length} held-out stills equal PyTorch's: IoU ≥ 0.9999, scores within 1e-4 (${kernels})`,
    async () => {
      const predictor = new ImagePredictor(await Sam2.fromPretrained(WEIGHTS, { kernels }));
      for (const { seed, size, answers } of nano.stills as unknown as Still[]) {
        await predictor.setImage(still(seed, size));
        let logits: Float32Array | undefined;
        for (const { points, labels, box, multimask, ious, masks } of answers) {
          const maskInput = points?.[1] && logits; // a correction goes on from the mask before
          const ours = await predictor.predict({ points, labels, box, maskInput }, { multimaskOutput: multimask });
          for (const [k, mask] of masks.entries()) {
            const where = `seed ${seed}, ${box ? "box" : `${points!.length} clicks`}, mask ${k}`;
            const same = iou(ours.masks[k], unpacked(mask, size * size));
            assert.ok(same >= 0.9999, `${where}: IoU with PyTorch's ${same}`);
            const delta = Math.abs(ours.iouPredictions[k] - ious[k]);
            assert.ok(delta <= 1e-4, `${where}: score ${ours.iouPredictions[k]} for ${ious[k]}`);
          }
          logits = ours.lowResMasks[ious.indexOf(Math.max(...ious))];
        }
      }
    },
  );
}

const scores = await scoreStills(await Sam2.fromPretrained(WEIGHTS), STILLS);
for (const [kind, what] of [
  ["click", "one click"],
  ["box", "a box"],
  ["corrected", "a click and two corrections"],
] as const) {
  const floor = mean(measured[kind].slice(0, STILLS)) - MARGIN;
  Nano(`${what} finds the target of ${STILLS} held-out stills with a mean IoU of at least ${floor.toFixed(3)}`, () => {
    const got = mean(scores[kind]);
    assert.ok(got >= floor, `mean IoU ${got}`);
  });
}

Nano("a flood fill from the click finds less than one click does", () => {
  assert.ok(mean(scores.flood) < mean(scores.click), `mean IoU ${mean(scores.flood)}`);
});

Nano.run();

/** A still of nano.json, its answers in the order in which they were asked for. */
interface Still {
  seed: number;
  size: number;
  answers: {
    points?: [x: number, y: number][];
    labels?: (0 | 1)[];
    box?: [number, number, number, number];
    multimask: boolean;
    ious: number[];
    /** deflated bits, row by row, in base64 */
    masks: string[];
  }[];
}

function unpacked(text: string, pixels: number): Uint8Array {
  const bits = inflateSync(Buffer.from(text, "base64"));
  return Uint8Array.from({ length: pixels }, (_, i) => (bits[i >> 3] >> (7 - (i & 7))) & 1);
}
