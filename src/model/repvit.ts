/**
 * EdgeTAM's image trunk: a convolutional network in four stages, built like a vision transformer. A block first mixes
 * neighbouring places, by a depth-wise convolution, and then the channels of each place, by an MLP.
 *
 * Wang et al., "RepViT: Revisiting Mobile CNN From ViT Perspective", 2023.
 *
 * NB a batch norm joins the convolution before it, and the branches of `RepVggDw` join each other, when weights load: see
 * nn/fold.ts.
 *
 * B batch (1) · R image size · F channels of the first stage · H W grid
 */
import type { Weights } from "../io/weights.ts";
import { conv1x1, conv2d, depthwiseConv2d } from "../nn/conv.ts";
import { mul, sigmoid } from "../nn/elementwise.ts";
import { foldConvNorm, foldRepVggDw } from "../nn/fold.ts";
import { inTurn, layer } from "../nn/layer.ts";
import { inOnePass } from "../nn/linear.ts";
import { globalMean } from "../nn/pool.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import type { EdgeTamConfig } from "./config.ts";
import { hasSqueezeExcite, REPVIT_MLP_RATIO, squeezedChannels } from "./parameters.ts";

/** The image is halved twice. @shape [B, H, W, 3] → [B, H/4, W/4, dim] @source timm/models/repvit.py, RepVitStem */
function repVitStem(w: Weights, dim: number) {
  const conv1 = conv2d(foldConvNorm(w.at("conv1"), [dim / 2, 3, 3, 3]), 3, dim / 2, 3, 2, 1, "gelu");
  const conv2 = conv2d(foldConvNorm(w.at("conv2"), [dim, dim / 2, 3, 3]), dim / 2, dim, 3, 2, 1);

  return layer(w, "RepVitStem", (image: Tensor) => conv2(conv1(image)));
}

/**
 * Each channel is scaled by a factor of 0…1 that is found from the means of all channels: relu, then sigmoid.
 *
 * @shape  [B, H, W, dim] → [B, H, W, dim], B = 1
 * @source timm/layers/squeeze_excite.py, SEModule
 */
function squeezeExcite(w: Weights, dim: number) {
  const hidden = squeezedChannels(dim);
  const fc1 = conv1x1(w.at("fc1"), dim, hidden, "relu");
  const fc2 = conv1x1(w.at("fc2"), hidden, dim);

  return layer(w, "SqueezeExcite", (x: Tensor) => {
    const gate = sigmoid(fc2(fc1(reshape(globalMean(x), [1, 1, 1, dim]))));
    return mul(x, reshape(gate, [dim]));
  });
}

/** conv2(gelu(conv1(x))) + residual @shape [B, H, W, dim] → [B, H, W, dim] @source timm/models/repvit.py, RepVitMlp */
function repVitMlp(w: Weights, dim: number) {
  const hidden = REPVIT_MLP_RATIO * dim;
  const conv1 = conv1x1(foldConvNorm(w.at("conv1"), [hidden, dim, 1, 1]), dim, hidden, "gelu");
  const conv2 = conv1x1(foldConvNorm(w.at("conv2"), [dim, hidden, 1, 1]), hidden, dim);

  return layer(w, "RepVitMlp", (x: Tensor, { residual }: { residual: Tensor }) => inOnePass(conv1, conv2, x, residual));
}

/**
 * x' = se(token_mixer(x)), then x' + channel_mixer(x').
 *
 * @shape  [B, H, W, dim] → [B, H, W, dim]
 * @source timm/models/repvit.py, RepViTBlock
 */
function repVitBlock(w: Weights, dim: number, squeezes: boolean) {
  const tokenMixer = depthwiseConv2d(foldRepVggDw(w.at("token_mixer"), dim), dim, 3, 1);
  const se = squeezes ? squeezeExcite(w.at("se"), dim) : undefined;
  const channelMixer = repVitMlp(w.at("channel_mixer"), dim);
  const mixers = se ? [tokenMixer, se] : [tokenMixer];

  return layer(w, "RepViTBlock", (x: Tensor) => {
    x = inTurn(x, mixers);
    return channelMixer(x, { residual: x });
  });
}

/**
 * A block, then half the grid and other channels, then an MLP.
 *
 * @shape  [B, H, W, dim] → [B, H/2, W/2, dimOut]
 * @source timm/models/repvit.py, RepVitDownsample
 */
function repVitDownsample(w: Weights, dim: number, dimOut: number) {
  const preBlock = repVitBlock(w.at("pre_block"), dim, false);
  const spatialDownsample = depthwiseConv2d(foldConvNorm(w.at("spatial_downsample"), [dim, 1, 3, 3]), dim, 3, 2);
  const channelDownsample = conv1x1(foldConvNorm(w.at("channel_downsample"), [dimOut, dim, 1, 1]), dim, dimOut);
  const ffn = repVitMlp(w.at("ffn"), dimOut);

  return layer(w, "RepVitDownsample", (x: Tensor) => {
    x = inTurn(x, [preBlock, spatialDownsample, channelDownsample]);
    return ffn(x, { residual: x });
  });
}

/**
 * The whole trunk: what each stage ends with, fine → coarse.
 *
 * NB channels need not double from stage to stage, though in the published model they do.
 *
 * @shape  [1, R, R, 3] → [1, R/4, R/4, F], [1, R/8, R/8, 2F], [1, R/16, R/16, 4F], [1, R/32, R/32, 8F]
 * @source sam2/modeling/backbones/timm.py, TimmBackbone; timm/models/repvit.py, RepVit
 */
export function repVit(w: Weights, { embedDims, depths }: EdgeTamConfig) {
  const body = w.at("body");
  const stem = repVitStem(body.at("stem"), embedDims[0]);
  const stages = embedDims.map((dim, i) => {
    const stage = body.at(`stages_${i}`);
    const downsample = i > 0 ? repVitDownsample(stage.at("downsample"), embedDims[i - 1], dim) : undefined;
    const blocks = Array.from({ length: depths[i] }, (_, k) =>
      repVitBlock(stage.at("blocks").at(k), dim, hasSqueezeExcite(k)),
    );
    const steps = downsample ? [downsample, ...blocks] : blocks;
    const isFirst = i === 0; // what the stem gives is no level
    return layer(stage, "RepVitStage", (x: Tensor) => inTurn(x, steps, isFirst));
  });

  return layer(w, "TimmBackbone", (image: Tensor) => {
    let x = stem(image);
    return stages.map((stage) => {
      x = stage(x);
      return x;
    });
  });
}
