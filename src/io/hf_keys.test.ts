import { suite } from "uvu";
import * as assert from "uvu/assert";
import { numel, type Shape } from "../tensor/shape.ts";
import { metaNames } from "./hf_keys.ts";
import type { StoredTensor } from "./tensor_file.ts";

const filled = (shape: Shape, value: number): StoredTensor => ({
  dtype: "F32",
  shape,
  read: (into) => void into.subarray(0, numel(shape)).fill(value),
});

// As transformers 5.24 names the state_dict of EdgeTamVideoModel, one tensor for every rule.
const EDGETAM: [transformers: string, meta: string][] = [
  [
    "vision_encoder.backbone.timm_model.stem.conv1.bn.running_var",
    "image_encoder.trunk.body.stem.conv1.bn.running_var",
  ],
  [
    "vision_encoder.backbone.timm_model.stages_1.downsample.ffn.conv1.c.weight",
    "image_encoder.trunk.body.stages_1.downsample.ffn.conv1.c.weight",
  ],
  [
    "vision_encoder.backbone.timm_model.stages_2.blocks.4.se.fc1.bias",
    "image_encoder.trunk.body.stages_2.blocks.4.se.fc1.bias",
  ],
  ["vision_encoder.neck.convs.3.weight", "image_encoder.neck.convs.3.conv.weight"],
  ["memory_attention.layers.1.mlp.up_proj.weight", "memory_attention.layers.1.linear1.weight"],
  ["memory_attention.layers.0.mlp.down_proj.bias", "memory_attention.layers.0.linear2.bias"],
  [
    "memory_attention.layers.0.cross_attn_image.o_proj.bias",
    "memory_attention.layers.0.cross_attn_image.out_proj.bias",
  ],
  ["memory_attention.layers.0.self_attn.k_proj.weight", "memory_attention.layers.0.self_attn.k_proj.weight"],
  ["memory_attention.layer_norm.weight", "memory_attention.norm.weight"],
  ["spatial_perceiver.latents_1d", "spatial_perceiver.latents"],
  ["spatial_perceiver.latents_2d", "spatial_perceiver.latents_2d"],
  ["spatial_perceiver.layer_norm.bias", "spatial_perceiver.norm.bias"],
  ["spatial_perceiver.layers.0.layer_norm_input.bias", "spatial_perceiver.layers.0.attn.norm_x.bias"],
  ["spatial_perceiver.layers.0.layer_norm_latents.bias", "spatial_perceiver.layers.0.attn.norm_latents.bias"],
  ["spatial_perceiver.layers.1.layer_norm_self.weight", "spatial_perceiver.layers.1.self_attn.norm.weight"],
  ["spatial_perceiver.layers.1.cross_attention.q_proj.weight", "spatial_perceiver.layers.1.attn.to_q.weight"],
  ["spatial_perceiver.layers.1.self_attention.q_proj.weight", "spatial_perceiver.layers.1.self_attn.to_q.weight"],
  ["spatial_perceiver.layers.1.cross_attention.o_proj.weight", "spatial_perceiver.layers.1.attn.to_out.weight"],
  ["spatial_perceiver.layers.1.self_attention.o_proj.weight", "spatial_perceiver.layers.1.self_attn.to_out.weight"],
  ["spatial_perceiver.layers.0.mlp.layer_norm.weight", "spatial_perceiver.layers.0.ff.0.weight"],
  ["spatial_perceiver.layers.0.mlp.up_proj.weight", "spatial_perceiver.layers.0.ff.1.weight"],
  ["spatial_perceiver.layers.0.self_mlp.layer_norm.bias", "spatial_perceiver.layers.0.self_ff.0.bias"],
  ["spatial_perceiver.layers.0.self_mlp.down_proj.weight", "spatial_perceiver.layers.0.self_ff.3.weight"],
];

const HfKeys = suite("metaNames: EdgeTAM");

for (const [transformers, meta] of EDGETAM) {
  HfKeys(`${transformers} is ${meta}`, () => {
    assert.equal([...metaNames("x", new Map([[transformers, filled([3], 1)]]), true).keys()], [meta]);
  });
}

HfKeys("keys and values of the perceiver are one product, keys first", () => {
  for (const [transformers, meta] of [
    ["cross_attention", "attn"],
    ["self_attention", "self_attn"],
  ]) {
    const path = `spatial_perceiver.layers.0.${transformers}`;
    const tensors = new Map([
      [`${path}.k_proj.weight`, filled([2, 3], 1)],
      [`${path}.v_proj.weight`, filled([2, 3], 2)],
    ]);
    const renamed = metaNames("x", tensors, true);
    assert.equal([...renamed.keys()], [`spatial_perceiver.layers.0.${meta}.to_kv.weight`]);
    const [both] = renamed.values();
    const values = new Float32Array(12);
    both.read(values);
    assert.equal(
      [both.shape, [...values]],
      [
        [4, 3],
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2],
      ],
    );
  }
});

HfKeys("keys without values stay as they are, to be reported", () => {
  const tensors = new Map([["spatial_perceiver.layers.0.cross_attention.k_proj.weight", filled([2, 3], 1)]]);
  assert.equal([...metaNames("x", tensors, true).keys()], ["spatial_perceiver.layers.0.attn.k_proj.weight"]);
});

HfKeys.run();
