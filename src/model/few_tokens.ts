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
 * B prompts in a batch · N prompt tokens · R rows, N·h · S image tokens · D embedding · h heads
 */
import { gatherHeads, mergeHeads, sdpa, softmax, spreadHeads, splitHeads } from "../nn/attention.ts";
import { add } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat } from "../nn/layout.ts";
import { type Fused, multiply, packed } from "../nn/linear.ts";
import { machine } from "../runtime/machine.ts";
import type { SharedImage } from "./shared_image.ts";
import { type Attention, HEADS, type TwoWayTransformer } from "./two_way_transformer.ts";
import { narrow, permute, reshape, select, type Tensor, unsqueeze } from "../tensor/view.ts";

/** The image as tokens see it: without positions as values, with them as keys and queries. Both [B, S, D]. */
interface Places {
  keys: Tensor;
  placed: Tensor;
}

/** Attention of the tokens to the image. @shape q [B, N, D] → [B, N, D] */
function tokenToImage({ w, qProj, vProj, outProj }: Attention, D: number) {
  const scale = 1 / Math.sqrt(D / 2 / HEADS);
  const keyWeight = machine.heap.scope(() => packed(permute(w.at("k_proj").get("weight", [D / 2, D]), [1, 0])));

  const folded = layer(w, "Attention", (q: Tensor, { keys, placed }: Places, fused: Fused) => {
    const { heap } = machine;
    const Q = spreadHeads(qProj(q), HEADS); // [B, R, D/2]
    const [B, R] = Q.shape;
    const toPlaces = multiply(heap.alloc([B * R, D]), reshape(Q, [B * R, D / 2]), keyWeight);
    const seen = sdpa(reshape(toPlaces, [B, 1, R, D]), unsqueeze(placed, 1), unsqueeze(keys, 1), scale); // [B, 1, R, D]
    return outProj(gatherHeads(vProj(mergeHeads(seen)), HEADS), fused); // [B, N, D]
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

/** Attention of the image to the tokens, added to the image. @shape k, v [B, N, D] → [B, S, D] */
function imageToToken({ w, kProj, vProj }: Attention, D: number) {
  const scale = 1 / Math.sqrt(D / 2 / HEADS);
  const queryWeight = machine.heap.scope(() => {
    const [weight, bias] = [w.at("q_proj").get("weight", [D / 2, D]), w.at("q_proj").get("bias", [D / 2])];
    return packed(permute(concat([weight, reshape(bias, [D / 2, 1])], 1), [1, 0])); // [D + 1, D/2]
  });
  const outWeight = w.at("out_proj").get("weight", [D, D / 2]);
  const outBias = w.at("out_proj").get("bias", [D]);

  /** Places of one prompt, as scores [S, R], → image [S, D], written to `y`. */
  const told = (y: Tensor, scores: Tensor, values: Tensor, residual: Tensor) => {
    const [S, R] = scores.shape;
    softmax(reshape(scores, [S, R / HEADS, HEADS]), scale);
    const { heap } = machine;
    const fromTokens = multiply(heap.alloc([D, R]), outWeight, packed(values)); // Wᵒᵢ·vₙᵢ
    multiply(y, scores, packed(fromTokens), { bias: outBias, residual });
  };

  const folded = layer(w, "Attention", (k: Tensor, v: Tensor, { keys, placed }: Places) => {
    const { heap } = machine;
    const [K, V] = [spreadHeads(kProj(k), HEADS), spreadHeads(vProj(v), HEADS)]; // [B, R, D/2]
    const [B, R] = K.shape;
    const S = keys.shape[1];
    const y = heap.alloc([B, S, D]);
    for (let b = 0; b < B; b++) {
      heap.scope(() => {
        const toPlaces = multiply(heap.alloc([R, D + 1]), select(K, 0, b), queryWeight); // and, as its last column, the bias
        const bias = concat([select(toPlaces, 1, D)], 0); // [R]
        const weight = packed(narrow(toPlaces, 1, 0, D));
        const scores = multiply(heap.alloc([S, R]), select(placed, 0, b), weight, { bias });
        told(select(y, 0, b), scores, select(V, 0, b), select(keys, 0, b));
      });
    }
    return y;
  });

  /** The same where the image is projected already: keys are not brought to the places' channels. */
  const shared = layer(w, "Attention", (k: Tensor, v: Tensor, image: SharedImage) => {
    const { heap } = machine;
    const [K, V] = [spreadHeads(kProj(k), HEADS), spreadHeads(vProj(v), HEADS)]; // [B, R, D/2]
    const [B, R] = K.shape;
    const S = image.keys.shape[1];
    const y = heap.alloc([B, S, D]);
    for (let b = 0; b < B; b++) {
      heap.scope(() => {
        const scores = multiply(heap.alloc([S, R]), select(image.q, 0, 0), packed(select(K, 0, b)));
        told(select(y, 0, b), scores, select(V, 0, b), select(image.keys, 0, 0));
      });
    }
    return y;
  });

  return { folded, shared };
}

/** `transform` takes the image of a prompt as tokens [B, S, D], or as what all prompts share. */
export function fewTokensTransformer(transformer: TwoWayTransformer, D: number) {
  const { w, layers, finalAttnTokenToImage, normFinalAttn } = transformer;
  const finalAttn = tokenToImage(finalAttnTokenToImage, D);

  const blocks = layers.map((block) => {
    const { attendToSelf, norm2, feedForward, norm3, norm4 } = block;
    const see = tokenToImage(block.crossAttnTokenToImage, D);
    const tell = imageToToken(block.crossAttnImageToToken, D);

    return layer(block.w, "TwoWayAttentionBlock", (queries: Tensor, queryPe: Tensor, image: Places | SharedImage) => {
      queries = attendToSelf(queries, queryPe);
      const q = add(queries, queryPe);
      const residual = queries;
      queries = norm2(isShared(image) ? see.shared(q, image, { residual }) : see.folded(q, image, { residual }));
      queries = norm3(feedForward(queries, { residual: queries }));
      const k = add(queries, queryPe);
      return [
        queries,
        norm4(isShared(image) ? tell.shared(k, queries, image) : tell.folded(k, queries, image)),
      ] as const;
    });
  });

  /** Is it less work for N tokens? */
  const pays = (N: number) => N * HEADS < D / 2;

  /** @shape  imagePe [S, D]; pointEmbedding [B, N, D] → tokens [B, N, D], image [B, S, D] */
  const transform = layer(
    w,
    "TwoWayTransformer",
    (image: Tensor | SharedImage, imagePe: Tensor, pointEmbedding: Tensor) => {
      const place = (keys: Tensor): Places => ({ keys, placed: add(keys, imagePe) });
      let queries = pointEmbedding;
      let places: Places | SharedImage = "keys" in image ? image : place(image);
      for (const block of blocks) {
        const [tokens, keys] = block(queries, pointEmbedding, places);
        [queries, places] = [tokens, place(keys)];
      }
      const q = add(queries, pointEmbedding);
      queries = normFinalAttn(finalAttn.folded(q, places as Places, { residual: queries }));
      return [queries, places.keys] as const;
    },
  );

  return { pays, transform };
}

function isShared(image: Places | SharedImage): image is SharedImage {
  return "q" in image;
}
