/**
 * The two-way transformer for few tokens and many places. It differs from `twoWayTransformer` by rounding.
 *
 * A click has N = 8 tokens in h = 8 heads: N·h = 64 rows. The textbook projects every place x of the image to D/2 = 128
 * channels, for keys, for values and for queries, and back. Projections are linear, so they can be moved to the tokens, and
 * what is left for each place is a product with N·h columns instead of D/2. It pays while N·h < D/2.
 *
 * Tokens → image. With qₙᵢ the query of token n in head i, and Wᵢ the rows of a weight that belong to head i:
 *
 *     qₙᵢ·(Wᵏᵢ·x + bᵏᵢ) = (Wᵏᵢᵀ·qₙᵢ)·x + qₙᵢ·bᵏᵢ      the last term is the same at all places: no softmax sees it
 *     Σₓ pₙᵢ(x)·(Wᵛᵢ·x + bᵛᵢ) = Wᵛᵢ·Σₓ pₙᵢ(x)·x + bᵛᵢ   since Σₓ pₙᵢ(x) = 1
 *
 * Image → tokens, with keys kₙᵢ and values vₙᵢ of the tokens:
 *
 *     (Wᵠᵢ·x + bᵠᵢ)·kₙᵢ = (Wᵠᵢᵀ·kₙᵢ)·x + bᵠᵢ·kₙᵢ
 *     Wᵒ·[Σₙ p₁ₙ(x)·vₙ₁, Σₙ p₂ₙ(x)·vₙ₂, …] + bᵒ = Σₙᵢ pᵢₙ(x)·(Wᵒᵢ·vₙᵢ) + bᵒ   here with Wᵒᵢ the columns of head i
 *
 * `spreadHeads` writes the tokens as N·h rows with zeros in the channels of other heads, so that one product with a whole
 * weight does this for all heads.
 *
 * B prompts in a batch · N prompt tokens · S image tokens · D embedding · h heads
 */
import {
  attendToPlaces,
  gatherHeads,
  mergeHeads,
  mixPlaces,
  sdpa,
  softmax,
  spreadHeads,
  splitHeads,
  tellPlaces,
  type ToldTokens,
} from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { isWatched, layer } from "../nn/layer.ts";
import { concat, contiguous } from "../nn/layout.ts";
import { type Fused, multiply, packed } from "../nn/linear.ts";
import type { Mixture, Norm } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import type { SharedImage } from "./shared_image.ts";
import { type Attention, EPS, HEADS, type TwoWayTransformer } from "./two_way_transformer.ts";
import { narrow, permute, reshape, select, type Tensor } from "../tensor/view.ts";

/** The image as tokens see it: places [B, S, D] as values, with their positions [S, D] added as keys and queries. */
interface Places {
  plain: Tensor;
  pe: Tensor;
}

/** The image of one prompt, or what all prompts share of it. */
export type ImageSide = Places | SharedImage;

/** Attention of the tokens to the image. @shape q [B, N, D] → [B, N, D] */
export function tokenToImage({ w, qProj, vProj, outProj }: Attention, D: number) {
  const scale = 1 / Math.sqrt(D / 2 / HEADS);
  const keyWeight = machine.heap.scope(() => packed(permute(w.at("k_proj").get("weight", [D / 2, D]), [1, 0])));

  const folded = layer(w, "Attention", (q: Tensor, { plain, pe }: Places, fused: Fused) => {
    const { heap } = machine;
    const Q = spreadHeads(qProj(q), HEADS); // [B, N·h, D/2]
    const [B, rows] = Q.shape;
    const toPlaces = multiply(heap.alloc([B * rows, D]), reshape(Q, [B * rows, D / 2]), keyWeight);
    const seen = attendToPlaces(reshape(toPlaces, [B, rows, D]), plain, pe, scale); // [B, N·h, D]
    return outProj(gatherHeads(vProj(seen), HEADS), fused); // [B, N, D]
  });

  /** The same where the image is projected already. All prompts' tokens are queries to the same places. */
  const shared = layer(w, "Attention", (q: Tensor, image: SharedImage, fused: Fused) => {
    const [B, N] = q.shape;
    const Q = splitHeads(reshape(qProj(q), [1, B * N, D / 2]), HEADS); // [1, h, B·N, D/2/h]
    const seen = mergeHeads(sdpa(Q, splitHeads(image.k, HEADS), splitHeads(image.v, HEADS))); // [1, B·N, D/2]
    return outProj(reshape(seen, [B, N, D / 2]), fused); // [B, N, D]
  });

  return { folded, shared };
}

/**
 * Attention of the image to the tokens, added to the image: `inSteps` without the norm that follows, `atOnce` with it and in one
 * pass over the places, to the bit the same.
 *
 * @shape k, v [B, N, D] → [B, S, D]
 */
export function imageToToken({ w, kProj, vProj }: Attention, norm: Norm, D: number) {
  const scale = 1 / Math.sqrt(D / 2 / HEADS);
  const queryWeight = machine.heap.scope(() => {
    const [weight, bias] = [w.at("q_proj").get("weight", [D / 2, D]), w.at("q_proj").get("bias", [D / 2])];
    const both = concat([weight, reshape(bias, [D / 2, 1])], 1); // [D/2, D + 1]
    return packed(permute(both, [1, 0]));
  });
  const outWeight = w.at("out_proj").get("weight", [D, D / 2]);
  const bias = w.at("out_proj").get("bias", [D]);

  /** The tokens as keys that fit the places, and as values Wᵒᵢ·vₙᵢ that are added to them. */
  const told = (k: Tensor, v: Tensor, image: ImageSide): ToldTokens & { V: Tensor } => {
    const { heap } = machine;
    const [K, V] = [spreadHeads(kProj(k), HEADS), spreadHeads(vProj(v), HEADS)];
    const [B, rows] = K.shape;
    const values = heap.alloc([B, D, rows]);
    for (let b = 0; b < B; b++) {
      heap.scope(() => void multiply(select(values, 0, b), outWeight, packed(select(V, 0, b))));
    }
    if (isShared(image)) return { keys: K, values, bias, V }; // its queries are projected: keys stay as they are
    const toPlaces = multiply(heap.alloc([B * rows, D + 1]), reshape(K, [B * rows, D / 2]), queryWeight);
    const keys = reshape(contiguous(narrow(toPlaces, 1, 0, D)), [B, rows, D]);
    const offsets = reshape(contiguous(select(toPlaces, 1, D)), [B, rows]); // bᵠᵢ·kₙᵢ
    return { keys, offsets, values, bias, V };
  };

  const inSteps = layer(w, "Attention", (k: Tensor, v: Tensor, image: ImageSide) => {
    const { heap } = machine;
    const { keys, offsets, values } = told(k, v, image);
    const [B, rows] = keys.shape;
    const [, S] = placesOf(image).shape;
    const y = heap.alloc([B, S, D]);
    for (let b = 0; b < B; b++) {
      heap.scope(() => {
        const z = isShared(image) ? select(image.q, 0, 0) : add(select(image.plain, 0, b), image.pe);
        const scores = heap.alloc([S, rows]);
        multiply(scores, z, packed(select(keys, 0, b)), { bias: offsets && select(offsets, 0, b) });
        softmax(reshape(scores, [S, rows / HEADS, HEADS]), scale);
        const residual = select(placesOf(image), 0, isShared(image) ? 0 : b);
        multiply(select(y, 0, b), scores, packed(select(values, 0, b)), { bias, residual });
      });
    }
    return y;
  });

  const scoredOf = (image: ImageSide) => (isShared(image) ? { z: select(image.q, 0, 0) } : { pe: image.pe });

  const atOnce = layer(w, "Attention", (k: Tensor, v: Tensor, image: ImageSide) =>
    tellPlaces(placesOf(image), scoredOf(image), told(k, v, image), norm, HEADS, scale),
  );

  /** What the image is mixed of then, and the image itself, with the bits of `atOnce`, if it is wanted. */
  const asMixture = (k: Tensor, v: Tensor, image: ImageSide, before: Mixture | undefined, withPlaces: boolean) =>
    machine.heap.scope(() => {
      const tokens = told(k, v, image);
      const mixed = mixPlaces(placesOf(image), scoredOf(image), tokens, norm, HEADS, scale, before, withPlaces);
      return { ...mixed, V: tokens.V };
    });

  return { inSteps, atOnce, asMixture };
}

/** `transform` takes the image of a prompt as tokens [B, S, D], or as what all prompts share. */
export function fewTokensTransformer(transformer: TwoWayTransformer, D: number) {
  const { w, layers, finalAttnTokenToImage, normFinalAttn } = transformer;
  const finalAttn = tokenToImage(finalAttnTokenToImage, D);

  const blocks = layers.map((block) => {
    const { attendToSelf, norm2, feedForward, norm3, norm4 } = block;
    const see = tokenToImage(block.crossAttnTokenToImage, D);
    const tell = imageToToken(block.crossAttnImageToToken, normOf(block, D), D);

    return layer(block.w, "TwoWayAttentionBlock", (queries: Tensor, queryPe: Tensor, image: ImageSide) => {
      queries = attendToSelf(queries, queryPe);
      const q = add(queries, queryPe);
      const residual = queries;
      queries = norm2(isShared(image) ? see.shared(q, image, { residual }) : see.folded(q, image, { residual }));
      queries = norm3(feedForward(queries, { residual: queries }));
      const k = add(queries, queryPe);
      return [queries, isWatched() ? norm4(tell.inSteps(k, queries, image)) : tell.atOnce(k, queries, image)] as const;
    });
  });

  /** Is it less work for N tokens? */
  const pays = (N: number) => D % 16 === 0 && N * HEADS < D / 2;

  /** @shape  imagePe [S, D]; pointEmbedding [B, N, D] → tokens [B, N, D], image [B, S, D] */
  const transform = layer(
    w,
    "TwoWayTransformer",
    (image: Tensor | SharedImage, imagePe: Tensor, pointEmbedding: Tensor) => {
      const place = (plain: Tensor): Places => ({ plain, pe: imagePe });
      let queries = pointEmbedding;
      const [first, ...others] = blocks;
      const told = (block: typeof first, places: ImageSide): Places => {
        const [tokens, keys] = block(queries, pointEmbedding, places);
        queries = tokens;
        return place(keys);
      };
      let places = told(first, "keys" in image ? image : place(image));
      for (const block of others) places = told(block, places);
      const q = add(queries, pointEmbedding);
      queries = normFinalAttn(finalAttn.folded(q, places, { residual: queries }));
      return [queries, places.plain] as const;
    },
  );

  return { pays, transform };
}

/** The norm of the image after a block. */
export function normOf({ w }: TwoWayTransformer["layers"][number], D: number): Norm {
  const norm4 = w.at("norm4");
  return { weight: norm4.get("weight", [D]), bias: norm4.get("bias", [D]), eps: EPS };
}

/** Of each prompt, or shared. @shape → [B or 1, S, D] */
function placesOf(image: ImageSide): Tensor {
  return isShared(image) ? image.keys : image.plain;
}

function isShared(image: ImageSide): image is SharedImage {
  return "q" in image;
}
