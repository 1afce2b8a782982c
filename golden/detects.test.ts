// Proof that the goldens can fail: one value of one weight, changed by 1 %, is caught, and first inside of its layer. And that
// no ceiling waits for a case that nothing compares.
import { readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Golden } from "./golden.ts";
import { goldenCases } from "./manifest.ts";
import { hashModel, runCase } from "./run_case.ts";
import { ceilings } from "./suite.ts";

const CHANGES: [name: string, weight: string, inside: string][] = [
  ["small_a.image_encoder", "image_encoder.trunk.patch_embed.proj.weight", "image_encoder.trunk.patch_embed.proj"],
  ["small_a.image_encoder", "image_encoder.trunk.blocks.3.attn.qkv.weight", "image_encoder.trunk.blocks.3.attn."],
  ["small_a.image_encoder", "image_encoder.neck.convs.1.conv.weight", "image_encoder.neck.convs.1.conv"],
  [
    "small_a.sam_heads.click",
    "sam_mask_decoder.transformer.layers.0.self_attn.q_proj.weight",
    "sam_mask_decoder.transformer.layers.0.self_attn.q_proj",
  ],
  ["small_a.sam_heads.click", "sam_mask_decoder.output_upscaling.0.weight", "sam_mask_decoder.output_upscaling.0"],
];

const Detects = suite("goldens detect");

for (const [name, weight, inside] of CHANGES) {
  Detects(`a change of 1 % of one value of ${weight} in ${inside}`, async () => {
    const golden = new Golden(name);
    const model = await hashModel(golden.entry.model, "portable", (key, values) => {
      if (key !== weight) return;
      const largest = values.reduce((best, v, i) => (Math.abs(v) > Math.abs(values[best]) ? i : best), 0);
      values[largest] *= 1.01;
    });
    const allowed = ceilings[name];
    const beyond = (await runCase(golden, model)).filter(({ path, maxAbs }) => maxAbs > allowed[path][0]);
    assert.ok(beyond[0]?.path.startsWith(inside), `first caught at ${beyond[0]?.path}`);
  });
}

Detects("every case of the manifest has ceilings and a test that reads them, and there are no others", () => {
  const folder = new URL(".", import.meta.url);
  const tests = readdirSync(folder).filter((file) => file.endsWith(".test.ts"));
  const compared = tests.flatMap((file) =>
    [...readFileSync(new URL(file, folder), "utf8").matchAll(/goldenSuites\(goldenCases\("(\w+\.?)"\)/g)].flatMap(
      ([, prefix]) => goldenCases(prefix),
    ),
  );
  assert.equal(compared.sort(), goldenCases().sort());
  assert.equal(Object.keys(ceilings).sort(), goldenCases().sort());
});

Detects.run();
