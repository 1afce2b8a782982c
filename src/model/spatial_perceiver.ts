/**
 * What EdgeTAM remembers of a frame: its map of memories squeezed into a few learned tokens, "latents", which have looked at
 * the whole map (the first half) or at a window of it each (the second).
 *
 * Zhou et al., "EdgeTAM: On-Device Track Anything Model", 2025; Jaegle et al., "Perceiver: General Perception with Iterative
 * Attention", 2021.
 *
 * E side of the map · C its channels · N latents · S places that they see · U latents of the whole map · G windows along a side
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, sdpa } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat, contiguous } from "../nn/layout.ts";
import { type Fused, inOnePass, linearWithoutBias } from "../nn/linear.ts";
import { layerNorm } from "../nn/norm.ts";
import { narrow, permute, reshape, type Tensor, unsqueeze } from "../tensor/view.ts";
import { type EdgeTamConfig, memoryLayout } from "./config.ts";
import { PERCEIVER_MLP_RATIO } from "./parameters.ts";

const EPS = 1e-5; // of every LayerNorm here

/**
 * Latents attend to x. The places `pos` are added to keys and values after their projection.
 *
 * @shape  latents [B, N, C]; x [B, S, C]; pos [1, S, C] → [B, N, C]
 * @source sam2/modeling/perceiver.py, PerceiverAttention
 */
function perceiverAttention(w: Weights, C: number) {
  const normX = layerNorm(w.at("norm_x"), C, EPS);
  const normLatents = layerNorm(w.at("norm_latents"), C, EPS);
  const toQ = linearWithoutBias(w.at("to_q"), C, C);
  const toKv = linearWithoutBias(w.at("to_kv"), C, 2 * C);
  const toOut = linearWithoutBias(w.at("to_out"), C, C);

  return layer(w, "PerceiverAttention", (latents: Tensor, x: Tensor, pos: Tensor | undefined, fused: Fused) => {
    const q = toQ(normLatents(latents));
    const kv = toKv(normX(x));
    const [k, v] = pos ? halves(kv, C).map((t) => add(contiguous(t), reshape(pos, [x.shape[1], C]))) : halves(kv, C);
    return toOut(attend(q, k, v), fused);
  });
}

/**
 * Latents attend to each other.
 *
 * @shape  x [B, N, C] → [B, N, C]
 * @source sam2/modeling/perceiver.py, Attention
 */
function attention(w: Weights, C: number) {
  const norm = layerNorm(w.at("norm"), C, EPS);
  const toQ = linearWithoutBias(w.at("to_q"), C, C);
  const toKv = linearWithoutBias(w.at("to_kv"), C, 2 * C);
  const toOut = linearWithoutBias(w.at("to_out"), C, C);

  return layer(w, "Attention", (x: Tensor, fused: Fused) => {
    const normed = norm(x);
    const [k, v] = halves(toKv(normed), C);
    return toOut(attend(toQ(normed), k, v), fused);
  });
}

/** Keys and values, which one product makes. @shape kv [B, S, 2C] → k, v [B, S, C], views */
function halves(kv: Tensor, C: number): Tensor[] {
  return [narrow(kv, 2, 0, C), narrow(kv, 2, C, C)];
}

/** Attention with one head. @shape q [B, N, C]; k, v [B, S, C] → [B, N, C] */
function attend(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return mergeHeads(sdpa(unsqueeze(q, 1), unsqueeze(k, 1), unsqueeze(v, 1)));
}

/** @shape [B, N, C] → [B, N, C] @source sam2/modeling/perceiver.py, FeedForward */
function feedForward(w: Weights, C: number) {
  const norm = layerNorm(w.at(0), C, EPS);
  const expand = linearWithoutBias(w.at(1), C, PERCEIVER_MLP_RATIO * C, "gelu");
  const contract = linearWithoutBias(w.at(3), PERCEIVER_MLP_RATIO * C, C);

  return layer(w, "FeedForward", (x: Tensor, { residual }: Fused) => inOnePass(expand, contract, norm(x), residual));
}

/** @source sam2/modeling/perceiver.py, PerceiverEncoderLayer */
function perceiverEncoderLayer(w: Weights, C: number) {
  const attn = perceiverAttention(w.at("attn"), C);
  const ff = feedForward(w.at("ff"), C);
  const selfAttn = attention(w.at("self_attn"), C);
  const selfFf = feedForward(w.at("self_ff"), C);

  return layer(w, "PerceiverEncoderLayer", (latents: Tensor, x: Tensor, pos?: Tensor) => {
    latents = attn(latents, x, pos, { residual: latents });
    latents = ff(latents, { residual: latents });
    latents = selfAttn(latents, { residual: latents });
    return selfFf(latents, { residual: latents });
  });
}

/**
 * A map of memories as few tokens: latents that looked at all of it, then one latent for each window, row by row.
 *
 * @shape  x, pos [1, E, E, C] → [1, U + G², C]
 * @source sam2/modeling/perceiver.py, PerceiverResampler
 */
export function perceiverResampler(w: Weights, config: EdgeTamConfig) {
  const { memDim: C, perceiverDepth } = config;
  const { lone: U, side: G } = memoryLayout(config);
  const E = config.imageSize / 16;
  const side = E / G; // of a window
  const latents = reshape(w.get("latents", [U, C]), [1, U, C]);
  const latents2d = reshape(w.get("latents_2d", [G ** 2, C]), [G ** 2, 1, C]);
  const layers = Array.from({ length: perceiverDepth }, (_, i) => perceiverEncoderLayer(w.at("layers").at(i), C));
  const norm = layerNorm(w.at("norm"), C, EPS);

  /** @shape [1, E, E, C] → [G², side², C] */
  const windows = (x: Tensor) =>
    reshape(contiguous(permute(reshape(x, [G, side, G, side * C]), [0, 2, 1, 3])), [G ** 2, side ** 2, C]);

  return layer(w, "PerceiverResampler", (x: Tensor, pos: Tensor) => {
    const all = reshape(x, [1, E * E, C]);
    const ofAll = norm(layers.reduce((l, layer) => layer(l, all, reshape(pos, [1, E * E, C])), latents));
    const each = windows(x);
    const ofEach = norm(layers.reduce((l, layer) => layer(l, each), latents2d)); // [G², 1, C]
    return concat([ofAll, reshape(ofEach, [1, G ** 2, C])], 1);
  });
}
