// Proof that the goldens can fail: one value of one weight, changed by 1 %, is caught, and first inside of its layer.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import ceilings from "./ceilings.json" with { type: "json" };
import { Golden } from "./golden.ts";
import { hashModel, runCase } from "./run_case.ts";

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
    const allowed = (ceilings as unknown as Record<string, Record<string, [number, number]>>)[name];
    const beyond = (await runCase(golden, model)).filter(({ path, maxAbs }) => maxAbs > allowed[path][0]);
    assert.ok(beyond[0]?.path.startsWith(inside), `first caught at ${beyond[0]?.path}`);
  });
}

Detects.run();
