/**
 * What EdgeTAM remembers of a frame: its map of memories squeezed into a few learned tokens, "latents", which have looked at
 * the whole map (the first half) or at a window of it each (the second).
 *
 * Zhou et al., "EdgeTAM: On-Device Track Anything Model", 2025; Jaegle et al., "Perceiver: General Perception with Iterative
 * Attention", 2021.
 *
 * E side of the map · M its channels · L latents · n windows along a side (√L of the second half) · S places that a latent sees
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, sdpa } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat, contiguous } from "../nn/layout.ts";
import { type Fused, linearWithoutBias } from "../nn/linear.ts";
import { layerNorm } from "../nn/norm.ts";
import { narrow, permute, reshape, type Tensor, unsqueeze } from "../tensor/view.ts";
import { type EdgeTamConfig, memoryTokens } from "./config.ts";
import { PERCEIVER_MLP_RATIO } from "./parameters.ts";

const EPS = 1e-5; // of every LayerNorm here

/**
 * Latents attend to x. The places `pos` are added to keys and values after their projection.
 *
 * @shape  latents [B, L, M]; x [B, S, M]; pos [1, S, M] → [B, L, M]
 * @source sam2/modeling/perceiver.py, PerceiverAttention
 */
function perceiverAttention(w: Weights, M: number) {
  const normX = layerNorm(w.at("norm_x"), M, EPS);
  const normLatents = layerNorm(w.at("norm_latents"), M, EPS);
  const toQ = linearWithoutBias(w.at("to_q"), M, M);
  const toKv = linearWithoutBias(w.at("to_kv"), M, 2 * M);
  const toOut = linearWithoutBias(w.at("to_out"), M, M);

  return layer(w, "PerceiverAttention", (latents: Tensor, x: Tensor, pos: Tensor | undefined, fused: Fused) => {
    const q = toQ(normLatents(latents));
    const kv = toKv(normX(x));
    const [k, v] = pos ? halves(kv, M).map((t) => add(contiguous(t), reshape(pos, [x.shape[1], M]))) : halves(kv, M);
    return toOut(attend(q, k, v), fused);
  });
}

/**
 * Latents attend to each other.
 *
 * @shape  x [B, L, M] → [B, L, M]
 * @source sam2/modeling/perceiver.py, Attention
 */
function attention(w: Weights, M: number) {
  const norm = layerNorm(w.at("norm"), M, EPS);
  const toQ = linearWithoutBias(w.at("to_q"), M, M);
  const toKv = linearWithoutBias(w.at("to_kv"), M, 2 * M);
  const toOut = linearWithoutBias(w.at("to_out"), M, M);

  return layer(w, "Attention", (x: Tensor, fused: Fused) => {
    const normed = norm(x);
    const [k, v] = halves(toKv(normed), M);
    return toOut(attend(toQ(normed), k, v), fused);
  });
}

/** Keys and values, which one product makes. @shape [B, S, 2·M] → two views [B, S, M] */
function halves(kv: Tensor, M: number): Tensor[] {
  return [narrow(kv, 2, 0, M), narrow(kv, 2, M, M)];
}

/** Attention with one head. @shape q [B, L, M]; k, v [B, S, M] → [B, L, M] */
function attend(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return mergeHeads(sdpa(unsqueeze(q, 1), unsqueeze(k, 1), unsqueeze(v, 1)));
}

/** @shape [B, L, M] → [B, L, M] @source sam2/modeling/perceiver.py, FeedForward */
function feedForward(w: Weights, M: number) {
  const norm = layerNorm(w.at(0), M, EPS);
  const expand = linearWithoutBias(w.at(1), M, PERCEIVER_MLP_RATIO * M, "gelu");
  const contract = linearWithoutBias(w.at(3), PERCEIVER_MLP_RATIO * M, M);

  return layer(w, "FeedForward", (x: Tensor, fused: Fused) => contract(expand(norm(x)), fused));
}

/** @source sam2/modeling/perceiver.py, PerceiverEncoderLayer */
function perceiverEncoderLayer(w: Weights, M: number) {
  const attn = perceiverAttention(w.at("attn"), M);
  const ff = feedForward(w.at("ff"), M);
  const selfAttn = attention(w.at("self_attn"), M);
  const selfFf = feedForward(w.at("self_ff"), M);

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
 * @shape  x, pos [1, E, E, M] → [1, memoryTokens, M]
 * @source sam2/modeling/perceiver.py, PerceiverResampler
 */
export function perceiverResampler(w: Weights, config: EdgeTamConfig) {
  const { memDim: M, perceiverDepth, numLatents, numLatents2d } = config;
  const E = config.imageSize / 16;
  const n = Math.sqrt(numLatents2d);
  const side = E / n; // of a window
  const latents = reshape(w.get("latents", [numLatents, M]), [1, numLatents, M]);
  const latents2d = reshape(w.get("latents_2d", [numLatents2d, M]), [numLatents2d, 1, M]);
  const layers = Array.from({ length: perceiverDepth }, (_, i) => perceiverEncoderLayer(w.at("layers").at(i), M));
  const norm = layerNorm(w.at("norm"), M, EPS);

  /** @shape [1, E, E, M] → [n², side², M] */
  const windows = (x: Tensor) =>
    reshape(contiguous(permute(reshape(x, [n, side, n, side * M]), [0, 2, 1, 3])), [numLatents2d, side ** 2, M]);

  return layer(w, "PerceiverResampler", (x: Tensor, pos: Tensor) => {
    const all = reshape(x, [1, E * E, M]);
    const ofAll = norm(layers.reduce((l, layer) => layer(l, all, reshape(pos, [1, E * E, M])), latents));
    const each = windows(x);
    const ofEach = norm(layers.reduce((l, layer) => layer(l, each), latents2d)); // [n², 1, M]
    return reshape(concat([ofAll, reshape(ofEach, [1, numLatents2d, M])], 1), [1, memoryTokens(config), M]);
  });
}
