/**
 * Prompt tokens and image tokens attend to each other, in both directions.
 *
 * B prompts in a batch · N prompt tokens · S image tokens · D embedding · h heads
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, sdpa, splitHeads } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { type Fused, linear } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import { layerNorm } from "../nn/norm.ts";
import type { Tensor } from "../tensor/view.ts";

const HEADS = 8;
const DEPTH = 2;
const EPS = 1e-5; // of every LayerNorm in the decoder

/** Operands of an attention that are projected already. */
interface Projected {
  q?: Tensor; // [B, N, inner]
  k?: Tensor; // [B, S, inner]
  v?: Tensor; // [B, S, inner]
}

/**
 * softmax(q·kᵀ/√d)·v over h heads, with q, k, v projected to `inner` channels.
 *
 * @shape  q [B, N, D]; k, v [B, S, D] → [B, N, D]
 * @source sam2/modeling/sam/transformer.py, Attention
 */
function attention(w: Weights, D: number, h: number, inner = D) {
  const qProj = linear(w.at("q_proj"), D, inner);
  const kProj = linear(w.at("k_proj"), D, inner);
  const vProj = linear(w.at("v_proj"), D, inner);
  const outProj = linear(w.at("out_proj"), inner, D);

  const attend = layer(w, "Attention", (q: Tensor, k: Tensor, v: Tensor, fused: Fused, ready: Projected = {}) => {
    const Q = splitHeads(ready.q ?? qProj(q), h); // [B, h, N, inner/h]
    const K = splitHeads(ready.k ?? kProj(k), h); // [B, h, S, inner/h]
    const V = splitHeads(ready.v ?? vProj(v), h); // [B, h, S, inner/h]
    return outProj(mergeHeads(sdpa(Q, K, V)), fused); // [B, N, D]
  });

  return { attend, qProj, kProj, vProj };
}

/** What the image tokens bring to a block, whatever the prompt. */
export interface ImageSide {
  keys: Tensor; // [B, S, D]
  /** keys with their positions */
  placed: Tensor; // [B, S, D]
  tokenToImage: Projected;
  imageToToken: Projected;
}

/**
 * Four steps: self-attention of the tokens, tokens attend to the image, an MLP on the tokens, the image attends to
 * the tokens. The positions are added again to queries and keys of every step, but never to values.
 *
 * NB the first block's image side is the same for all prompts on an image: `project` does its share once an image.
 *
 * @shape  queries, queryPe [B, N, D]; image side of keys [B, S, D] and keyPe [S, D] → queries, keys
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

  const imageSide = (keys: Tensor, keyPe: Tensor): ImageSide => {
    return { keys, placed: add(keys, keyPe), tokenToImage: {}, imageToToken: {} };
  };

  const project = ({ keys, placed }: ImageSide): ImageSide => ({
    keys,
    placed,
    tokenToImage: { k: crossAttnTokenToImage.kProj(placed), v: crossAttnTokenToImage.vProj(keys) },
    imageToToken: { q: crossAttnImageToToken.qProj(placed) },
  });

  const block = layer(w, "TwoWayAttentionBlock", (queries: Tensor, queryPe: Tensor, image: ImageSide) => {
    const { keys, placed, tokenToImage, imageToToken } = image;
    if (skipFirstLayerPe) {
      queries = selfAttn.attend(queries, queries, queries, {});
    } else {
      const q = add(queries, queryPe);
      queries = selfAttn.attend(q, q, queries, { residual: queries });
    }
    queries = norm1(queries);

    const q = add(queries, queryPe);
    queries = norm2(crossAttnTokenToImage.attend(q, placed, keys, { residual: queries }, tokenToImage));

    queries = norm3(feedForward(queries, { residual: queries }));

    const k = add(queries, queryPe);
    const attended = crossAttnImageToToken.attend(placed, k, queries, { residual: keys }, imageToToken);
    return [queries, norm4(attended)] as const;
  });

  return { block, imageSide, project };
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

  const transform = layer(w, "TwoWayTransformer", (first: ImageSide, imagePe: Tensor, pointEmbedding: Tensor) => {
    let queries = pointEmbedding;
    let { keys } = first;
    for (const [i, { block, imageSide }] of layers.entries()) {
      [queries, keys] = block(queries, pointEmbedding, i === 0 ? first : imageSide(keys, imagePe));
    }

    const q = add(queries, pointEmbedding);
    const k = add(keys, imagePe);
    queries = normFinalAttn(finalAttnTokenToImage.attend(q, k, keys, { residual: queries }));
    return [queries, keys] as const;
  });

  return { transform, imageSide: layers[0].imageSide, project: layers[0].project };
}
