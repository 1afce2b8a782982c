import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Checkpoint } from "../io/checkpoint.ts";
import { edgeTamConfig, VARIANT_NAMES, variantConfig } from "./config.ts";
import { checkpointConfig, expectTensors, likelyConfig } from "./load.ts";
import { nearestVariant } from "./lookalike.ts";
import { parameters } from "./parameters.ts";

const shapesOf = (...[name, version]: Parameters<typeof variantConfig>) =>
  new Map([...parameters(variantConfig(name, version))].map(([key, shape]) => [key, { shape }]));

/** A file of these tensors, of which nothing but names and shapes is read. */
function checkpoint(shapes: ReadonlyMap<string, { shape: readonly number[] }>): Checkpoint {
  const tensors = new Map(
    [...shapes].map(([key, { shape }]) => [key, { dtype: "F32", shape, read: () => {} } as const]),
  );
  const rest = { names: "meta", unwrapped: undefined, hyperparameters: {}, metadata: {}, format: "torch" } as const;
  return { name: "x.pt", tensors, ...rest, verify: () => {}, close: () => {} };
}
const of = (...names: string[]) => checkpoint(new Map(names.map((name) => [name, { shape: [1] }])));

const Lookalike = suite("lookalike");

for (const version of ["2.1", "2.0"] as const) {
  for (const name of VARIANT_NAMES) {
    Lookalike(`nothing is nearer to ${version} ${name} than itself, nor when a tenth of it has another shape`, () => {
      const shapes = shapesOf(name, version);
      assert.match(nearestVariant(shapes)!, `SAM ${version} ${name}, of which it has ${shapes.size} of ${shapes.size}`);
      for (const [i, key] of [...shapes.keys()].entries()) if (i % 10 === 0) shapes.set(key, { shape: [3] });
      assert.match(nearestVariant(shapes)!, `SAM ${version} ${name}, `);
    });
  }
}

for (const [what, name] of [
  ["the first Segment Anything", "image_encoder.blocks.0.attn.qkv.weight"],
  ["the first Segment Anything under transformers' names", "vision_encoder.layers.0.attn.qkv.weight"],
  ["MobileSAM", "image_encoder.layers.0.blocks.0.conv1.c.weight"],
  ["SAM 3", "detector.backbone.vision_backbone.trunk.pos_embed"],
  ["weights with LoRA adapters", "base_model.model.image_encoder.trunk.blocks.0.attn.qkv.lora_A.default.weight"],
  ["a mask decoder alone", "sam_mask_decoder.iou_token.weight"],
  ["an image encoder alone", "blocks.0.norm1.weight"],
]) {
  Lookalike(`a file of ${what} is told apart`, () => {
    assert.throws(
      () => likelyConfig(of(name)),
      (error: Error) => error.message.startsWith(`x.pt: expected the tensors of SAM 2, got what looks like ${what}; `),
    );
  });
}

Lookalike("EdgeTAM is told from SAM 2, and its counts of batches may be missing, as in PyTorch", () => {
  const shapes = new Map([...parameters(edgeTamConfig())].map(([key, shape]) => [key, { shape }]));
  assert.match(nearestVariant(shapes)!, /^EdgeTAM, of which it has 982 of 982 tensors$/);
  assert.throws(() => checkpointConfig(checkpoint(shapes), { config: "tiny" }), /config: expected edgetam, got "tiny"/);
  assert.throws(() => checkpointConfig(checkpoint(shapesOf("tiny", "2.1")), { config: "edgetam" }), /got "edgetam"/);
  const few = new Map([...shapes].filter(([key]) => !key.endsWith("num_batches_tracked")));
  assert.equal(checkpointConfig(checkpoint(few)), edgeTamConfig());
  few.delete("image_encoder.trunk.body.stem.conv1.bn.running_var");
  assert.throws(
    () => checkpointConfig(checkpoint(few)),
    /the tensors of EdgeTAM, got missing \S+conv1\.bn\.running_var/,
  );
});

Lookalike("what is published is of no other configuration than its own, at whatever size", () => {
  for (const [own, other] of [
    ["small", "tiny"],
    ["large", "base_plus"],
    ["tiny", "small_512"],
  ] as const) {
    const file = checkpoint(shapesOf(own, "2.1"));
    const message = new RegExp(`config: expected ${own}, whose shapes the file has, got "${other}"`);
    assert.throws(() => checkpointConfig(file, { config: other }), message);
    const { imageSize, name } = checkpointConfig(file, { config: `${own}_512` });
    assert.equal([imageSize, name], [512, own]);
  }
});

Lookalike("an image size that does not fit is refused with those that do", () => {
  const edge = new Map([...parameters(edgeTamConfig())].map(([key, shape]) => [key, { shape }]));
  for (const [shapes, imageSize, todo] of [
    [shapesOf("tiny", "2.1"), 500, /a multiple of 32, got 500; take 480 or 512$/],
    [shapesOf("tiny", "2.1"), 7, /a multiple of 32, got 7; take 32$/],
    [edge, 640, /a multiple of 256, got 640; take 512 or 768$/],
  ] as const) {
    assert.throws(() => checkpointConfig(checkpoint(shapes), { imageSize }), todo);
  }
});

Lookalike("a file of anything else is described by its first names", () => {
  assert.throws(() => likelyConfig(of("fc.weight", "fc.bias")), /got tensors such as fc\.weight, fc\.bias; check/);
  assert.throws(() => likelyConfig(of()), /got no tensor; check/);
});

Lookalike("other shapes are listed with the model that the file looks like, which nobody is told to load", () => {
  const shapes = shapesOf("tiny", "2.1");
  shapes.set("sam_mask_decoder.mask_tokens.weight", { shape: [8, 256] });
  assert.throws(
    () => checkpointConfig(checkpoint(shapes)),
    (error: Error) => {
      assert.match(
        error.message,
        /^x\.pt: expected the tensors of SAM 2\.1 tiny, got other shapes: \S+mask_tokens\.weight \[8, 256\], expected \[4, 256\]; it looks like SAM 2\.1 tiny, of which it has 470 of 471 tensors; see all names with sam2 info$/,
      );
      assert.not.match(error.message, /load a/);
      return true;
    },
  );
});

Lookalike("HQ-SAM 2 and adapters inside a whole model are told apart by what is unexpected", () => {
  for (const [name, message] of [
    ["sam_mask_decoder.hf_token.weight", /it looks like HQ-SAM 2, whose mask decoder has more parts$/],
    ["sam_mask_decoder.iou_head.lora_A.weight", /merge the LoRA adapters into the weights first$/],
  ] as const) {
    const shapes = shapesOf("large", "2.1").set(name, { shape: [1, 256] });
    assert.throws(() => checkpointConfig(checkpoint(shapes)), message);
  }
});

Lookalike("a file for images does for images; for video, what is missing is named", () => {
  const shapes = new Map([...shapesOf("tiny", "2.1")].filter(([key]) => !/^(mem|mask|obj_ptr_|no_obj_)/.test(key)));
  const images = checkpoint(shapes);
  const config = checkpointConfig(images);
  assert.throws(
    () => expectTensors(images, config, "video"),
    /got missing maskmem_tpos_enc, .* and \d+ more; it does for images; to track, load a file of the video model$/,
  );
});

Lookalike.run();
