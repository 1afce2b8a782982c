// nano, the model in the package: scenes as scenes.py draws them, masks as PyTorch makes them, and masks that are right.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mean, scoreStills } from "./evaluate.ts";
import { describe, frame, still } from "./scenes.ts";
import { iou, scoreClip } from "./scoring.ts";
import { ImagePredictor, Sam2, VideoPredictor } from "../../src/index.node.ts";
import { enterFolder, sam2, writePhoto } from "../../tests/cli_fixture.ts";
import nano from "../../golden/nano.json" with { type: "json" };
import figures from "../../golden/nano_figures.json" with { type: "json" };
import { TABLES } from "../../golden/suite.ts";

/** Of the 200 held-out stills, all of which `npx tsx models/nano/evaluate.ts` scores. */
const STILLS = 30;
/** How far a mean IoU may be from that of PyTorch, which nano_figures.json holds. */
const MARGIN = 0.001;

const WEIGHTS = new URL("./nano.safetensors", import.meta.url);
const DEMO = fileURLToPath(new URL("./demo.ts", import.meta.url));

const { folder, leave } = enterFolder();
const Nano = suite("nano");
Nano.after(leave);

Nano("goldens and scores are of the weights that are here", () => {
  const sha256 = createHash("sha256").update(readFileSync(WEIGHTS)).digest("hex");
  assert.is(nano.weights, sha256, "run: python golden/reference/export_nano.py");
  assert.is(figures.weights, sha256, "run: python models/nano/evaluate.py --json golden/nano_figures.json");
});

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
      await using model = await Sam2.fromPretrained(WEIGHTS, { kernels, threads: 1 });
      const predictor = new ImagePredictor(model);
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

await using scored = await Sam2.fromPretrained(WEIGHTS, { threads: 1 });
const scores = await scoreStills(scored, STILLS);
for (const [kind, what] of [
  ["click", "one click"],
  ["box", "a box"],
  ["corrected", "a click and two corrections"],
] as const) {
  const floor = mean(figures.stills[kind].slice(0, STILLS)) - MARGIN;
  Nano(`${what} finds the target of ${STILLS} held-out stills with a mean IoU of at least ${floor.toFixed(3)}`, () => {
    const got = mean(scores[kind]);
    assert.ok(got >= floor, `mean IoU ${got}`);
  });
}

Nano("a flood fill from the click finds less than one click does", () => {
  assert.ok(mean(scores.flood) < mean(scores.click), `mean IoU ${mean(scores.flood)}`);
});

// What nano finds is what it looks for next, so where it is in doubt a rounding error grows: on clip 50001, where it finds
// half of its hero, PyTorch with one thread and with two differ by 0.007 in J and 0.009 in the score (we from PyTorch, with
// portable kernels, by 0.007 and 0.010); on the other clip by 1e-4.
for (const { seed, ceiling } of [
  { seed: 50_001, ceiling: 2e-2 },
  { seed: 50_003, ceiling: 1e-3 },
]) {
  Nano(
    `clip ${seed}, whose hero is gone for a while, is tracked as by PyTorch: J and scores within ${ceiling}`,
    async () => {
      await using model = await Sam2.fromPretrained(WEIGHTS, { threads: 1 });
      const clip = figures.clips.find((clip) => clip.seed === seed)!;
      const ours = await scoreClip(new VideoPredictor(model), seed, model.config.imageSize);
      assert.ok(clip.present.includes(false));
      assert.equal(ours.present, clip.present);
      for (const kind of ["j", "score"] as const) {
        const worst = Math.max(...ours[kind].map((value, t) => Math.abs(value - clip[kind][t])));
        assert.ok(worst <= ceiling, `${kind} of seed ${seed} differs by ${worst}`);
      }
    },
  );
}

Nano(
  "fromPretrained without a name is nano, and the console says so once, with the line that gets an official model",
  async () => {
    const said: string[] = [];
    const { warn } = console;
    console.warn = (line) => said.push(line);
    try {
      for (let n = 0; n < 2; n++) {
        const { config } = await Sam2.fromPretrained(undefined, { threads: 1 });
        assert.is(config.name, "nano");
      }
    } finally {
      console.warn = warn;
    }
    assert.is(said.length, 1);
    assert.match(said[0], /nano.*sam2 download tiny/);
  },
);

Nano(
  "sam2 segment without --model is nano; stderr says so in one line, but not if it is named, or with --quiet",
  async () => {
    writePhoto("photo.png", 96, 64);
    const segment = ["segment", "photo.png", "--point", "40,30", "--json", "--threads", "1"];
    const unnamed = await sam2(segment);
    assert.is(JSON.parse(unnamed.stdout).model.name, "nano");
    assert.match(unnamed.stderr, /^sam2: .*nano.*sam2 download tiny\n$/);
    for (const option of [["--model", "nano"], ["--quiet"]]) {
      const { stdout, stderr } = await sam2([...segment, ...option]);
      assert.is(JSON.parse(stdout).model.name, "nano");
      assert.is(stderr, "");
    }
  },
);

Nano(
  "npm run demo prints an IoU of at least 0.8 by click, by box and after corrections, and where the pictures are",
  () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...process.execArgv, DEMO], { cwd: folder });
    assert.is(status, 0, `${stderr}`);
    for (const name of ["click", "box", "correction 2"]) {
      const [, iou] = new RegExp(`^ +${name} +([\\d.]+) `, "m").exec(`${stdout}`)!;
      assert.ok(Number(iou) >= 0.8, `${name}: ${iou}`);
    }
    for (const file of ["scene.png", "click.png", "click_mask.png", "box.png", "correction_2.png"]) {
      assert.ok(existsSync(join(folder, "demo-output", file)), file);
    }
  },
);

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
