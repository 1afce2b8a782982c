// Everything in pictures by formula, against the reference's generator. Those of nano are in models/nano/everything.test.ts.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Sam2 } from "../src/predict/sam2.ts";
import { amgCases, amgConfigs, differences } from "./amg.ts";
import { goldenImage } from "./hash_image.ts";
import { hashModel } from "./run_case.ts";
import { TABLES } from "./suite.ts";

const models = new Map<string, Promise<Sam2>>();
const Amg = suite("automatic masks");
for (const wanted of amgCases) {
  const { name, model, image, records } = wanted;
  if (!("seed" in image)) continue;
  const { seed, width, height } = image;
  for (const kernels of TABLES) {
    Amg(`${name}: ${records.length} masks as the reference finds them (${model}, ${kernels})`, async () => {
      const key = `${model} ${kernels}`;
      models.set(key, models.get(key) ?? hashModel(amgConfigs[model], kernels));
      const sam2 = await models.get(key)!;
      const wrong = await differences(wanted, sam2, { width, height, data: goldenImage(seed, width, height) });
      assert.is(wrong.join("\n"), "");
    });
  }
}
Amg.run();
