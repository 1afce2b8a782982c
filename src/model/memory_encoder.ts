/**
 * A frame and its mask → the memory that later frames attend to.
 *
 * B objects · R image size · E side of the image embedding (R/16) · D channels of the model · C channels of a memory map
 */
import type { Weights } from "../io/weights.ts";
import { conv1x1, conv2d, depthwiseConv2d } from "../nn/conv.ts";
import { add, gelu, mul } from "../nn/elementwise.ts";
import { inTurn, layer } from "../nn/layer.ts";
import { inOnePass, linear } from "../nn/linear.ts";
import { layerNorm } from "../nn/norm.ts";
import { select, type Tensor } from "../tensor/view.ts";
import type { Sam2Config } from "./config.ts";

const EPS = 1e-6; // of every LayerNorm here
const STEPS = 4; // halvings from the image to the image embedding

/**
 * Four convolutions of stride 2, each with four times the channels, then a projection.
 *
 * @shape  [B, R, R, 1] → [B, E, E, D]
 * @source sam2/modeling/memory_encoder.py, MaskDownSampler
 */
function maskDownSampler(w: Weights, D: number) {
  const steps = Array.from({ length: STEPS }, (_, i) => [
    conv2d(w.at("encoder").at(3 * i), 4 ** i, 4 ** (i + 1), 3, 2, 1),
    layerNorm(w.at("encoder").at(3 * i + 1), 4 ** (i + 1), EPS, "LayerNorm2d"),
    gelu,
  ]);
  const project = conv1x1(w.at("encoder").at(3 * STEPS), 4 ** STEPS, D);

  return layer(w, "MaskDownSampler", (x: Tensor) => inTurn(x, [...steps.flat(), project]));
}

/**
 * ConvNeXt block: x + γ ⊙ pwconv2(gelu(pwconv1(norm(dwconv(x))))).
 *
 * @shape  [B, E, E, D] → [B, E, E, D]
 * @source sam2/modeling/memory_encoder.py, CXBlock
 */
function cxBlock(w: Weights, D: number) {
  const dwconv = depthwiseConv2d(w.at("dwconv"), D, 7, 1);
  const norm = layerNorm(w.at("norm"), D, EPS, "LayerNorm2d");
  const pwconv1 = linear(w.at("pwconv1"), D, 4 * D, "gelu");
  const pwconv2 = linear(w.at("pwconv2"), 4 * D, D);
  const gamma = w.get("gamma", [D]);
  const mix = [dwconv, norm, (x: Tensor) => inOnePass(pwconv1, pwconv2, x)];

  return layer(w, "CXBlock", (x: Tensor) => add(x, mul(inTurn(x, mix), gamma)));
}

/** @source sam2/modeling/memory_encoder.py, Fuser */
function fuser(w: Weights, D: number, layers: number) {
  const blocks = Array.from({ length: layers }, (_, i) => cxBlock(w.at("layers").at(i), D));

  return layer(w, "Fuser", (x: Tensor) => inTurn(x, blocks));
}

/**
 * The mask is brought to the grid of the features and added to them; two ConvNeXt blocks mix; few channels remain.
 *
 * NB the caller has applied sigmoid, scale and bias to the mask (upstream's `skip_mask_sigmoid`), and `pixFeatProj`, which
 * upstream does in here, to the features. Upstream also returns the map's position encoding; `memoryBank` makes it.
 *
 * @shape  projected [1, E, E, D], `pixFeatProj` of the frame, once for all its objects; masks [B, R, R, 1] → [B, E, E, C]
 * @source sam2/modeling/memory_encoder.py, MemoryEncoder
 */
export function memoryEncoder(w: Weights, config: Sam2Config) {
  const { dModel: D, memDim: C, fuserLayers } = config;
  const downsample = maskDownSampler(w.at("mask_downsampler"), D);
  const pixFeatProj = conv1x1(w.at("pix_feat_proj"), D, D);
  const fuse = fuser(w.at("fuser"), D, fuserLayers);
  const outProj = conv1x1(w.at("out_proj"), D, C);

  const encode = layer(w, "MemoryEncoder", (projected: Tensor, masks: Tensor) =>
    inTurn(masks, [downsample, (x) => add(x, select(projected, 0, 0)), fuse, outProj]),
  );

  return { pixFeatProj, encode };
}
