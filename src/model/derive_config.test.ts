import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../errors.ts";
import { edgeTamConfig, type HieraConfig, type Sam2Config, VARIANT_NAMES, variantConfig } from "./config.ts";
import { checkTensors, deriveConfig, isMemoryTensor } from "./derive_config.ts";
import { parameters } from "./parameters.ts";

function shapesOf(config: Sam2Config): Map<string, { shape: readonly number[] }> {
  return new Map([...parameters(config)].map(([name, shape]) => [name, { shape }]));
}
const SMALL: HieraConfig = {
  ...variantConfig("tiny", "2.0"),
  name: "mine",
  imageSize: 256,
  embedDim: 24,
  numHeads: 2,
  stages: [1, 2, 3, 1],
  windowSpec: [4, 4, 16, 8],
  globalAttBlocks: [0, 5],
  windowPosEmbedBkgSpatialSize: [14, 12],
  dModel: 64,
  decoderMlpDim: 96,
  maskInChans: 8,
  memDim: 16,
  numMaskmem: 5,
  memoryAttentionLayers: 3,
  dimFeedforward: 128,
  fuserLayers: 1,
};
const { name, imageSize, numHeads, windowSpec, globalAttBlocks } = SMALL;
const STATED = { name, imageSize, numHeads, windowSpec, globalAttBlocks };

const Derive = suite("deriveConfig");
for (const version of ["2.1", "2.0"] as const) {
  for (const variant of VARIANT_NAMES) {
    Derive(`${version} ${variant} is recognised by its shapes alone`, () => {
      const config = variantConfig(variant, version);
      assert.equal(deriveConfig(shapesOf(config)), config);
    });
  }
}
Derive("EdgeTAM is recognised by its shapes alone", () => {
  assert.equal(deriveConfig(shapesOf(edgeTamConfig())), edgeTamConfig());
});
const EDGE: Sam2Config = {
  ...edgeTamConfig(),
  name: "mine",
  imageSize: 192,
  embedDims: [16, 24, 40, 48],
  depths: [1, 3, 2, 1],
  memDim: 16,
  dModel: 64,
  perceiverDepth: 3,
  numLatents: 7,
  numLatents2d: 9,
};
Derive("a smaller EdgeTAM is derived from its shapes and its image size", () => {
  assert.equal(deriveConfig(shapesOf(EDGE), { name: "mine", imageSize: 192 }), EDGE);
  assert.equal(deriveConfig(shapesOf(EDGE), { imageSize: 192 }), { ...EDGE, name: "custom" });
});
Derive("of EdgeTAM for images alone, the memory is the published one", () => {
  const shapes = new Map([...shapesOf(edgeTamConfig())].filter(([name]) => !isMemoryTensor(name)));
  assert.equal(deriveConfig(shapes), edgeTamConfig());
});
Derive("EdgeTAM's image size must be whole windows of its perceiver, and known", () => {
  const shapes = shapesOf(edgeTamConfig());
  assert.equal(deriveConfig(shapes, { imageSize: 512 }), { ...edgeTamConfig(), imageSize: 512 });
  for (const imageSize of [500, 1000, 0, "512"]) {
    assert.throws(() => deriveConfig(shapes, { imageSize }), /imageSize: expected a multiple of 256, got/);
  }
  assert.throws(() => deriveConfig(shapesOf(EDGE)), /imageSize: expected a multiple of 48, got none; .*--image-size/);
  assert.throws(() => deriveConfig(shapesOf({ ...EDGE, numLatents2d: 10 })), /latents_2d: expected a square number/);
});
Derive("a smaller model is derived from its shapes and what is stated", () => {
  assert.equal(deriveConfig(shapesOf(SMALL), STATED), SMALL);
});
Derive("a smaller model without a name is custom", () => {
  const unnamed = { imageSize, numHeads, windowSpec, globalAttBlocks };
  assert.equal(deriveConfig(shapesOf(SMALL), unnamed), { ...SMALL, name: "custom" });
});
Derive("what is left open is listed, with what to do", () => {
  const message =
    /configuration: expected imageSize, globalAttBlocks, got stages \[1, 2, 3, 1\] of 24 channels.*--config/;
  assert.throws(() => deriveConfig(shapesOf(SMALL), { numHeads: 2, windowSpec: [4, 4, 16, 8] }), message);
});
Derive("stated values count more than the variant's", () => {
  const stated = { imageSize: 512, windowSpec: [8, 4, 16, 8] };
  const config = deriveConfig(shapesOf(variantConfig("tiny", "2.1")), stated) as HieraConfig;
  assert.equal([config.imageSize, config.windowSpec, config.numHeads], [512, [8, 4, 16, 8], 1]);
});
Derive("fields that are none are ignored", () => {
  const config = deriveConfig(shapesOf(SMALL), { ...STATED, dModel: 3, version: "9" });
  assert.equal(config, SMALL);
});
for (const [field, value, expected] of [
  ["name", 5, "a name"],
  ["imageSize", 1000, "a multiple of 32"],
  ["imageSize", "1024", "a multiple of 32"],
  ["imageSize", Number.NaN, "a multiple of 32"],
  ["numHeads", 5, "a divisor of 24 channels"],
  ["numHeads", 0, "a divisor of 24 channels"],
  ["windowSpec", [8, 4, 16, 8], "four window sizes, the first one 4"],
  ["windowSpec", [4, 4, 16], "four window sizes, the first one 4"],
  ["windowSpec", { length: 4 }, "four window sizes, the first one 4"],
  ["globalAttBlocks", [7], "block numbers below 7"],
  ["globalAttBlocks", [-1], "block numbers below 7"],
  ["globalAttBlocks", "0", "block numbers below 7"],
] as const) {
  Derive(`${field} ${JSON.stringify(value)} is refused by name`, () => {
    assert.throws(
      () => deriveConfig(shapesOf(SMALL), { ...STATED, [field]: value }),
      (error: unknown) =>
        error instanceof CheckpointError &&
        error.message.startsWith(`configuration: ${field}: expected ${expected}, got `),
    );
  });
}
Derive("a tensor that is missing is named, and so is one without an axis", () => {
  const shapes = shapesOf(SMALL);
  shapes.set("image_encoder.trunk.pos_embed", { shape: [1] });
  assert.throws(() => deriveConfig(shapes), /trunk\.pos_embed: expected a size of axis 2, got \[1\]/);
  shapes.delete("image_encoder.trunk.patch_embed.proj.weight");
  assert.throws(() => deriveConfig(shapes), /patch_embed\.proj\.weight: expected this tensor of SAM 2, got none/);
});
Derive("values of another variant are refused with the variant that the shapes are of", () => {
  const { globalAttBlocks, windowSpec } = variantConfig("large", "2.1");
  assert.throws(
    () => deriveConfig(shapesOf(variantConfig("small", "2.0")), { globalAttBlocks, windowSpec }),
    /^configuration: windowSpec|globalAttBlocks: .*; it looks like SAM 2\.0 small, of which it has 516 of 516 tensors$/,
  );
});
Derive("three stages are refused", () => {
  const shapes = shapesOf(SMALL);
  shapes.delete("image_encoder.trunk.blocks.6.proj.weight");
  assert.throws(() => deriveConfig(shapes, STATED), /trunk\.blocks: expected the four stages of Hiera, got 3/);
});
Derive("an image-only file is derived with the published sizes of the memory", () => {
  const config = variantConfig("large", "2.1");
  const shapes = new Map([...shapesOf(config)].filter(([key]) => !isMemoryTensor(key)));
  assert.equal(deriveConfig(shapes), config);
});
Derive.run();

const Check = suite("checkTensors");
const TINY = variantConfig("tiny", "2.1");
Check("a complete checkpoint has no differences", () => {
  assert.equal(checkTensors(TINY, shapesOf(TINY)), { missing: [], unexpected: [], wrongShape: [] });
});
Check("missing, unexpected and wrong-shaped tensors are listed by full name", () => {
  const shapes = shapesOf(TINY);
  shapes.delete("no_obj_ptr");
  shapes.set("extra.weight", { shape: [1] });
  shapes.set("no_mem_embed", { shape: [256] });
  assert.equal(checkTensors(TINY, shapes), {
    missing: ["no_obj_ptr"],
    unexpected: ["extra.weight"],
    wrongShape: ["no_mem_embed [256], expected [1, 1, 256]"],
  });
});
Check("2.1 has three tensors more than 2.0", () => {
  const { missing } = checkTensors(TINY, shapesOf(variantConfig("tiny", "2.0")));
  assert.equal(missing, ["no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"]);
});
Check.run();
