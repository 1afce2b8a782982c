/**
 * Prompt tokens and image tokens attend to each other, in both directions.
 *
 * B prompts in a batch · N prompt tokens · S image tokens · D embedding · h heads · Q K tokens of q, and
 * of k and v, of an attention
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, sdpa, splitHeads } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { type Fused, linear } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import { layerNorm } from "../nn/norm.ts";
import type { Tensor } from "../tensor/view.ts";

export const HEADS = 8;
const DEPTH = 2;
export const EPS = 1e-5; // of every LayerNorm in the transformer

/**
 * softmax(q·kᵀ/√d)·v over h heads, with q, k, v projected to `inner` channels.
 *
 * @shape  q [B, Q, D]; k, v [B, K, D] → [B, Q, D]
 * @source sam2/modeling/sam/transformer.py, Attention
 */
export function attention(w: Weights, D: number, h: number, inner = D) {
  const qProj = linear(w.at("q_proj"), D, inner);
  const kProj = linear(w.at("k_proj"), D, inner);
  const vProj = linear(w.at("v_proj"), D, inner);
  const outProj = linear(w.at("out_proj"), inner, D);

  const attend = layer(w, "Attention", (q: Tensor, k: Tensor, v: Tensor, fused: Fused = {}) => {
    const Q = splitHeads(qProj(q), h); // [B, h, Q, inner/h]
    const K = splitHeads(kProj(k), h); // [B, h, K, inner/h]
    const V = splitHeads(vProj(v), h); // [B, h, K, inner/h]
    return outProj(mergeHeads(sdpa(Q, K, V)), fused); // [B, Q, D]
  });

  return { w, attend, qProj, kProj, vProj, outProj };
}

/** The built attention and its projections. */
export type Attention = ReturnType<typeof attention>;

/**
 * Four steps: self-attention of the tokens, tokens attend to the image, an MLP on the tokens, the image attends to
 * the tokens. Positions are added again to the queries and keys of every step but the first block's self-attention,
 * and never to values.
 *
 * @shape  queries, queryPe [B, N, D]; keys [B, S, D]; keyPe [S, D] → queries, keys
 * @source sam2/modeling/sam/transformer.py, TwoWayAttentionBlock
 */
function twoWayAttentionBlock(w: Weights, D: number, mlpDim: number, skipFirstLayerPe: boolean) {
  const selfAttn = attention(w.at("self_attn"), D, HEADS);
  const norm1 = layerNorm(w.at("norm1"), D, EPS);
  const crossAttnTokenToImage = attention(w.at("cross_attn_token_to_image"), D, HEADS, D / 2);
  const norm2 = layerNorm(w.at("norm2"), D, EPS);
  const feedForward = mlp(w.at("mlp"), D, mlpDim, D, 2, "relu");
  const norm3 = layerNorm(w.at("norm3"), D, EPS);
  const norm4 = layerNorm(w.at("norm4"), D, EPS);
  const crossAttnImageToToken = attention(w.at("cross_attn_image_to_token"), D, HEADS, D / 2);

  /** Step 1, which the image has no part in. */
  const attendToSelf = (queries: Tensor, queryPe: Tensor) => {
    if (skipFirstLayerPe) return norm1(selfAttn.attend(queries, queries, queries));
    const q = add(queries, queryPe);
    return norm1(selfAttn.attend(q, q, queries, { residual: queries }));
  };

  const block = layer(w, "TwoWayAttentionBlock", (queries: Tensor, keys: Tensor, queryPe: Tensor, keyPe: Tensor) => {
    queries = attendToSelf(queries, queryPe);

    let q = add(queries, queryPe);
    const k = add(keys, keyPe);
    queries = norm2(crossAttnTokenToImage.attend(q, k, keys, { residual: queries }));

    queries = norm3(feedForward(queries, { residual: queries }));

    q = add(queries, queryPe);
    keys = norm4(crossAttnImageToToken.attend(k, q, queries, { residual: keys }));
    return [queries, keys] as const;
  });

  return { w, block, attendToSelf, crossAttnTokenToImage, norm2, feedForward, norm3, crossAttnImageToToken, norm4 };
}

/**
 * @shape  imageEmbedding [B, S, D]; imagePe [S, D]; pointEmbedding [B, N, D] → tokens [B, N, D], image [B, S, D]
 * @source sam2/modeling/sam/transformer.py, TwoWayTransformer
 */
export function twoWayTransformer(w: Weights, D: number, mlpDim: number) {
  const layers = Array.from({ length: DEPTH }, (_, i) =>
    twoWayAttentionBlock(w.at("layers").at(i), D, mlpDim, i === 0),
  );
  const finalAttnTokenToImage = attention(w.at("final_attn_token_to_image"), D, HEADS, D / 2);
  const normFinalAttn = layerNorm(w.at("norm_final_attn"), D, EPS);

  const transform = layer(w, "TwoWayTransformer", (imageEmbedding: Tensor, imagePe: Tensor, pointEmbedding: Tensor) => {
    let queries = pointEmbedding;
    let keys = imageEmbedding;
    for (const { block } of layers) [queries, keys] = block(queries, keys, pointEmbedding, imagePe);

    const q = add(queries, pointEmbedding);
    const k = add(keys, imagePe);
    queries = normFinalAttn(finalAttnTokenToImage.attend(q, k, keys, { residual: queries }));
    return [queries, keys] as const;
  });

  return { w, transform, layers, finalAttnTokenToImage, normFinalAttn };
}

/** The built transformer and its parts. */
export type TwoWayTransformer = ReturnType<typeof twoWayTransformer>;
