/**
 * The two-way transformer for prompts on one image: what its first block makes of the image is the same for all of
 * them, so it is computed once. The results have the bits of `twoWayTransformer`.
 *
 * B prompts in a batch · N prompt tokens · S image tokens · D embedding · h heads
 */
import { mergeHeads, sdpa, splitHeads } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat } from "../nn/layout.ts";
import type { Fused } from "../nn/linear.ts";
import { expand, type Tensor } from "../tensor/view.ts";
import { HEADS, type TwoWayTransformer } from "./two_way_transformer.ts";

/** The image's side of the first block. */
export interface SharedImage {
  keys: Tensor; // [1, S, D]
  /** keys and values of the attention of tokens to the image */
  k: Tensor; // [1, S, D/2]
  v: Tensor; // [1, S, D/2]
  /** queries of the attention of the image to tokens */
  q: Tensor; // [1, S, D/2]
}

/** The transformer in two parts: `share` for an image, `transform` for its prompts. */
export function sharedImageTransformer({ w, layers, finalAttnTokenToImage, normFinalAttn }: TwoWayTransformer) {
  const [first, ...others] = layers;

  /** @shape  imageEmbedding [1, S, D]; imagePe [S, D] → SharedImage */
  const share = (imageEmbedding: Tensor, imagePe: Tensor): SharedImage => {
    const placed = add(imageEmbedding, imagePe);
    return {
      keys: imageEmbedding,
      k: first.crossAttnTokenToImage.kProj(placed),
      v: first.crossAttnTokenToImage.vProj(imageEmbedding),
      q: first.crossAttnImageToToken.qProj(placed),
    };
  };

  /** One side of the image for each of B prompts. @shape [1, S, D/2] → [B, h, S, D/2/h], a view */
  const forAll = (t: Tensor, B: number) => expand(splitHeads(t, HEADS), 0, B);

  const tokenToImage = layer(
    first.crossAttnTokenToImage.w,
    "Attention",
    (q: Tensor, image: SharedImage, fused: Fused) => {
      const { qProj, outProj } = first.crossAttnTokenToImage;
      const Q = splitHeads(qProj(q), HEADS); // [B, h, N, D/2/h]
      const [K, V] = [image.k, image.v].map((t) => forAll(t, q.shape[0])); // [B, h, S, D/2/h]
      return outProj(mergeHeads(sdpa(Q, K, V)), fused); // [B, N, D]
    },
  );

  const imageToToken = layer(first.crossAttnImageToToken.w, "Attention", (image: SharedImage, k: Tensor, v: Tensor) => {
    const { kProj, vProj, outProj } = first.crossAttnImageToToken;
    const B = k.shape[0];
    const K = splitHeads(kProj(k), HEADS); // [B, h, N, D/2/h]
    const V = splitHeads(vProj(v), HEADS); // [B, h, N, D/2/h]
    const residual = concat(Array<Tensor>(B).fill(image.keys), 0); // [B, S, D]
    return outProj(mergeHeads(sdpa(forAll(image.q, B), K, V)), { residual }); // [B, S, D]
  });

  const firstBlock = layer(first.w, "TwoWayAttentionBlock", (image: SharedImage, queries: Tensor, queryPe: Tensor) => {
    const { attendToSelf, norm2, feedForward, norm3, norm4 } = first;
    queries = attendToSelf(queries, queryPe);
    queries = norm2(tokenToImage(add(queries, queryPe), image, { residual: queries }));
    queries = norm3(feedForward(queries, { residual: queries }));
    return [queries, norm4(imageToToken(image, add(queries, queryPe), queries))] as const;
  });

  /** @shape  imagePe [S, D]; pointEmbedding [B, N, D] → tokens [B, N, D], image [B, S, D] */
  const transform = layer(w, "TwoWayTransformer", (image: SharedImage, imagePe: Tensor, pointEmbedding: Tensor) => {
    let [queries, keys] = firstBlock(image, pointEmbedding, pointEmbedding);
    for (const { block } of others) [queries, keys] = block(queries, keys, pointEmbedding, imagePe);

    const q = add(queries, pointEmbedding);
    const k = add(keys, imagePe);
    queries = normFinalAttn(finalAttnTokenToImage.attend(q, k, keys, { residual: queries }));
    return [queries, keys] as const;
  });

  return { share, transform };
}
