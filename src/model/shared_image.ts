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

  const firstBlock = layer(first.w, "TwoWayAttentionBlock", (image: SharedImage, queries: Tensor, queryPe: Tensor) => {
    const { crossAttnTokenToImage, norm2, feedForward, norm3, crossAttnImageToToken, norm4 } = first;
    const B = queries.shape[0];
    const forAll = (t: Tensor) => expand(splitHeads(t, HEADS), 0, B); // [B, h, S, D/2/h]
    queries = first.attendToSelf(queries, queryPe);

    const Q = splitHeads(crossAttnTokenToImage.qProj(add(queries, queryPe)), HEADS); // [B, h, N, D/2/h]
    const seen = mergeHeads(sdpa(Q, forAll(image.k), forAll(image.v))); // [B, N, D/2]
    queries = norm2(crossAttnTokenToImage.outProj(seen, { residual: queries }));

    queries = norm3(feedForward(queries, { residual: queries }));

    const K = splitHeads(crossAttnImageToToken.kProj(add(queries, queryPe)), HEADS); // [B, h, N, D/2/h]
    const V = splitHeads(crossAttnImageToToken.vProj(queries), HEADS); // [B, h, N, D/2/h]
    const told = mergeHeads(sdpa(forAll(image.q), K, V)); // [B, S, D/2]
    const residual = concat(Array<Tensor>(B).fill(image.keys), 0); // [B, S, D]
    return [queries, norm4(crossAttnImageToToken.outProj(told, { residual }))] as const;
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
