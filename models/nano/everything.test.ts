// Everything in drawn scenes without a prompt: the masks that PyTorch finds, and how good they are.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { amgCases, differences } from "../../golden/amg.ts";
import amg from "../../golden/amg.json" with { type: "json" };
import { TABLES } from "../../golden/suite.ts";
import "../../src/index.node.ts";
import { AutomaticMaskGenerator } from "../../src/predict/automatic_masks.ts";
import { Sam2 } from "../../src/predict/sam2.ts";
import { still, targets } from "./scenes.ts";
import { iou } from "./scoring.ts";

const WEIGHTS = new URL("./nano.safetensors", import.meta.url);
const Everything = suite("everything");

Everything("goldens are of the weights that are here", () => {
  const sha256 = createHash("sha256").update(readFileSync(WEIGHTS)).digest("hex");
  assert.is(amg.weights, sha256, "run: python golden/reference/export_amg.py");
});

for (const kernels of TABLES) {
  const model = Sam2.fromPretrained(WEIGHTS, { kernels, threads: 1 });
  for (const wanted of amgCases) {
    const { name, image, records } = wanted;
    if (!("scene" in image)) continue;
    Everything(`${name}: ${records.length} masks as the reference finds them (${kernels})`, async () => {
      assert.is((await differences(wanted, await model, still(image.scene, image.size))).join("\n"), "");
    });
  }
}

Everything("the best masks of drawn objects are as good as the reference's, within 0.001", async () => {
  const { scenes, options, best } = amg.quality;
  const sam2 = await Sam2.fromPretrained(WEIGHTS, { threads: 1 });
  const generator = new AutomaticMaskGenerator(sam2, options);
  const ours: number[] = [];
  for (const seed of scenes) {
    const scene = still(seed, sam2.config.imageSize);
    const masks = (await generator.generate(scene)).map(({ segmentation }) => segmentation as Uint8Array);
    for (const { mask } of targets(scene)) ours.push(Math.max(0, ...masks.map((found) => iou(found, mask))));
  }
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const found = (values: readonly number[]) => values.filter((value) => value >= 0.5).length;
  assert.is(ours.length, best.length);
  assert.ok(Math.abs(mean(ours) - mean(best)) <= 0.001, `mean IoU ${mean(best)}, got ${mean(ours)}`);
  assert.is(found(ours), found(best), "objects with a mask of IoU 0.5");
});

Everything.run();
