/**
 * The features of a frame attend to themselves and to the memory of earlier frames.
 *
 * B objects · N image tokens (E²) · S memory tokens · P pointer tokens, the last of the S · D channels · M memDim
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, rotate, sdpa, splitHeads } from "../nn/attention.ts";
import { add, affine } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { type Fused, linear } from "../nn/linear.ts";
import { layerNorm } from "../nn/norm.ts";
import { narrow, type Tensor } from "../tensor/view.ts";
import type { Sam2Config } from "./config.ts";
import { axialRotation, type Rotation } from "./position_encoding.ts";

const HEADS = 1;
const EPS = 1e-5; // of every LayerNorm here

/** What a frame may remember of one object. */
export interface Memory {
  /** maps of E² tokens each, then P pointer tokens [1, S, M] */
  tokens: Tensor;
  /** their places in space and time [1, S, M] */
  positions: Tensor;
  /** P, the tokens at the end that have no place in space */
  pointerTokens: number;
}

/**
 * Attention with rotary positions. The keys repeat the grid's rotation once for each memory map; pointers are not
 * rotated.
 *
 * The values are a linear map of few channels and are not rotated, so they are projected after the sum, not before:
 *
 *     softmax(Q·Kᵀ)·(V·Wᵥᵀ + bᵥ) = (softmax(Q·Kᵀ)·V)·Wᵥᵀ + bᵥ, since each row of the softmax sums to 1
 *
 * With S = 28,736 and 64 instead of 256 channels, this is 2/5 of the work. `projectValuesFirst` is the textbook form.
 *
 * @shape  q [1, N, D]; k, v [1, S, kvDim] → [1, N, D]
 * @source sam2/modeling/sam/transformer.py, RoPEAttention
 */
export function ropeAttention(
  w: Weights,
  D: number,
  kvDim: number,
  { cos, sin }: Rotation,
  projectValuesFirst: boolean,
) {
  const qProj = linear(w.at("q_proj"), D, D);
  const kProj = linear(w.at("k_proj"), kvDim, D);
  const vProj = linear(w.at("v_proj"), kvDim, D);
  const outProj = linear(w.at("out_proj"), D, D);

  return layer(w, "RoPEAttention", (q: Tensor, k: Tensor, v: Tensor, unrotated: number, fused: Fused) => {
    const Q = splitHeads(qProj(q), HEADS); // [1, 1, N, D]
    const K = splitHeads(kProj(k), HEADS); // [1, 1, S, D]
    rotate(Q, cos, sin);
    rotate(narrow(K, 2, 0, K.shape[2] - unrotated), cos, sin);
    if (projectValuesFirst) return outProj(mergeHeads(sdpa(Q, K, splitHeads(vProj(v), HEADS))), fused);
    return outProj(vProj(mergeHeads(sdpa(Q, K, splitHeads(v, HEADS)))), fused);
  });
}

/**
 * Self-attention, attention to the memory, and an MLP; each after a LayerNorm and added to its input.
 *
 * @shape  x [1, N, D] → [1, N, D]
 * @source sam2/modeling/memory_attention.py, MemoryAttentionLayer
 */
function memoryAttentionLayer(w: Weights, config: Sam2Config, rotation: Rotation) {
  const { dModel: D, memDim: M, dimFeedforward } = config;
  const selfAttn = ropeAttention(w.at("self_attn"), D, D, rotation, true);
  const crossAttnImage = ropeAttention(w.at("cross_attn_image"), D, M, rotation, false);
  const linear1 = linear(w.at("linear1"), D, dimFeedforward, "relu");
  const linear2 = linear(w.at("linear2"), dimFeedforward, D);
  const [norm1, norm2, norm3] = ["norm1", "norm2", "norm3"].map((name) => layerNorm(w.at(name), D, EPS));

  const lookAround = (x: Tensor) => {
    const normed = norm1(x);
    return selfAttn(normed, normed, normed, 0, { residual: x });
  };
  const lookBack = layer(w, "MemoryAttentionLayer", (x: Tensor, keys: Tensor, memory: Memory) => {
    x = crossAttnImage(norm2(x), keys, memory.tokens, memory.pointerTokens, { residual: x });
    return linear2(linear1(norm3(x)), { residual: x });
  });
  return { lookAround, lookBack };
}

/**
 * The features of a frame, conditioned on what is remembered of one object.
 *
 * The first layer attends to the frame itself before it sees any memory. `lookAround` is this step, the same for all
 * objects of the frame.
 *
 * @source sam2/modeling/memory_attention.py, MemoryAttention
 */
export function memoryAttention(w: Weights, config: Sam2Config) {
  const E = config.imageSize / 16;
  const rotation = axialRotation(E, E, config.dModel / HEADS);
  const layers = Array.from({ length: config.memoryAttentionLayers }, (_, i) =>
    memoryAttentionLayer(w.at("layers").at(i), config, rotation),
  );
  const norm = layerNorm(w.at("norm"), config.dModel, EPS);

  /** @shape curr, currPos [1, N, D] → [1, N, D] */
  const lookAround = (curr: Tensor, currPos: Tensor) => layers[0].lookAround(add(curr, affine(currPos, 0.1, 0)));

  /** @shape attended [1, N, D], what `lookAround` returned → [1, N, D] */
  const lookBack = layer(w, "MemoryAttention", (attended: Tensor, memory: Memory) => {
    const keys = add(memory.tokens, memory.positions);
    let x = layers[0].lookBack(attended, keys, memory);
    for (const { lookAround, lookBack } of layers.slice(1)) x = lookBack(lookAround(x), keys, memory);
    return norm(x);
  });

  return { lookAround, lookBack };
}
