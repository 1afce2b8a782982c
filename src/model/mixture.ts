/**
 * The two-way transformer for clicks on an image that they share. It differs from `twoWayTransformer` by rounding.
 *
 * What a click tells a place x of the image is a mix of its tokens by N·h = 64 weights p, so of what follows hardly anything
 * has to be computed for D channels, nor for each click anew. With C = 1 − 𝟏𝟏ᵀ/D, which takes the mean off, wₖ and cₖ the
 * weight and bias of the norm after block k, bₖ the bias of its out_proj, and Vₖ the tokens' values Wᵒᵢ·vₙᵢ, a column each:
 *
 *     y₀ = w₀ ⊙ C·(x + V₀·p₀ + b₀)/σ₀ + c₀
 *     y₁ = w₁ ⊙ C·(y₀ + V₁·p₁ + b₁)/σ₁ + c₁
 *
 * and any projection of a place, keys, values or the upscaling's, is
 *
 *     L·y₀ = (1/σ₀)·L₀·x + L₀·V₀·(p₀/σ₀) + L·c₀                                  with L₀ = L·diag(w₀)·C
 *     L·y₁ = (1/σ₀σ₁)·L₁₀·x + L₁₀·V₀·(p₀/σ₀σ₁) + L₁·V₁·(p₁/σ₁) + L·c₁             with L₁ = L·diag(w₁)·C, L₁₀ = L₁·diag(w₀)·C
 *
 * L₁₀·x is computed once an image, L₁₀·V₀ for tokens only. A place then takes N·h or 2·N·h multiply-adds a channel of L instead
 * of D, and the heads of tokens that see the image need only their own channels of L·x. b₀, and b₁ + c₀, are shared out
 * among the columns of V: the p of the tokens of a head sum to 1, those of all to h.
 *
 * B prompts in a batch · N = 8 prompt tokens · S image tokens · D embedding · h heads · M channels of L
 */
import { attendToMixture, spreadHeads } from "../nn/attention.ts";
import { add, affine, mul } from "../nn/elementwise.ts";
import { isWatched, layer } from "../nn/layer.ts";
import { concat, contiguous, full, stack } from "../nn/layout.ts";
import { type Fused, matmul, multiply, packed } from "../nn/linear.ts";
import type { Mixture, Packed, SharedPlaces } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { diagonal, narrow, permute, reshape, select, type Tensor, values } from "../tensor/view.ts";
import { type ImageSide, imageToToken, normOf, tokenToImage } from "./few_tokens.ts";
import type { SharedImage } from "./shared_image.ts";
import { type Attention, HEADS, type TwoWayTransformer } from "./two_way_transformer.ts";

/** Tokens of a click: object, IoU, four masks, the point, padding. */
const TOKENS = 8;

/** A projection L of the image as clicks have changed it. */
interface Reading {
  /** of x: L₀ or L₁₀ [M, D] */
  ofImage: Packed;
  /** of the values of each block's tokens: L₁₀·Wᵒ and L₁·Wᵒ, and of the constants that go with them [M, D/2 + 1] */
  ofTokens: Packed[];
  /** L·c [M] */
  constant: Tensor;
}

/** The image of B prompts: how each place is mixed, and of what. */
export interface MixedImage {
  mixture: Mixture;
  /** of each block the values of the tokens, a row for each token in each head, and 1 [B, N·h, D/2 + 1] */
  told: Tensor[];
}

/** What the image of many clicks is projected to once. */
export interface SharedReadings {
  /** for the tokens of the second block, and for the last attention */
  seen: SharedPlaces[];
  /** for the upper and for the lower row of the upscaling's cells [S, D/2] */
  cells: [Tensor, Tensor];
}

/** Has each head of the cross-attentions whole panels of 16 channels? */
export function isWide(D: number): boolean {
  return (D / 2 / HEADS) % 16 === 0;
}

/** @param cells the upscaling's first projection, of the upper and of the lower row of all cells [2, D/2, D], and its bias [D/2] */
export function mixtureTransformer(transformer: TwoWayTransformer, cells: () => Tensor, cellBias: Tensor, D: number) {
  const { w, layers, finalAttnTokenToImage, normFinalAttn } = transformer;
  const { heap, kernels } = machine;
  const norms = layers.map((block) => normOf(block, D));

  /** What V of a block is made of, D values each: the columns of out_proj, and a head's share of the constants. */
  const columns = layers.map(({ crossAttnImageToToken }, k) =>
    heap.scope(() => {
      const outProj = crossAttnImageToToken.w.at("out_proj");
      const bias = outProj.get("bias", [D]);
      const constants = k > 0 ? add(bias, norms[k - 1].bias) : bias;
      return concat(
        [permute(outProj.get("weight", [D, D / 2]), [1, 0]), affine(reshape(constants, [1, D]), 1 / HEADS, 0)],
        0,
      );
    }),
  );

  /** L after as many blocks. @shape L [M, D] */
  const reading = (L: Tensor, blocks: number): Reading =>
    heap.scope(() => {
      const [M] = L.shape;
      const constant = reshape(matmul(L, reshape(norms[blocks - 1].bias, [1, D])), [M]);
      const ofTokens: Packed[] = [];
      let rows = L;
      for (let k = blocks - 1; k >= 0; k--) {
        rows = centred(mul(rows, norms[k].weight));
        ofTokens.unshift(packed(matmul(rows, columns[k])));
      }
      return { ofImage: packed(rows), ofTokens, constant };
    });

  /** Attention of the tokens to the image after as many blocks. */
  const tokenToMixture = ({ w, qProj, outProj }: Attention, blocks: number) => {
    const C = D / 2;
    const d = C / HEADS;
    const { k, v, positions, bias } = heap.scope(() => {
      const [keys, held] = ["k_proj", "v_proj"].map((name) => w.at(name).get("weight", [C, D]));
      const v = reading(held, blocks);
      const bias = add(v.constant, w.at("v_proj").get("bias", [C]));
      return { k: reading(keys, blocks), v, positions: packed(keys), bias };
    });

    /** @shape x, pe [S, D] → SharedPlaces */
    const share = (x: Tensor, pe: Tensor): SharedPlaces => ({
      k: projected(x, k.ofImage),
      pe: projected(pe, positions),
      v: projected(x, v.ofImage),
    });

    /** @shape q [B, N, D] → [B, N, D] */
    const attend = layer(w, "Attention", (q: Tensor, places: SharedPlaces, image: MixedImage, fused: Fused) => {
      const { mixture, told } = image;
      const [B, N] = q.shape;
      const [R, J, pairs] = [N * HEADS, mixture.weights.shape[2], HEADS / 2];
      const spread = reshape(spreadHeads(qProj(q), HEADS), [B, N, HEADS, C]);
      const byHead = contiguous(permute(spread, [0, 2, 1, 3])); // [B, h, N, D/2]
      const byPair = permute(reshape(byHead, [B, pairs, 2 * N, pairs, 2 * d]), [0, 1, 3, 2, 4]);
      const Q = reshape(contiguous(diagonal(byPair, 1)), [B, R, 2 * d]);

      const keys = readTokens(k, told); // [B, J, D/2]
      const mixed = heap.alloc([B, R, J]);
      const values = readTokens(v, told); // [B, J, D/2]
      const sums = heap.alloc([B, R, C]);
      for (let b = 0; b < B; b++) {
        const rows = reshape(select(byHead, 0, b), [R, C]);
        heap.scope(() => void multiply(select(mixed, 0, b), rows, packed(select(keys, 0, b))));
      }
      const seen = attendToMixture(Q, mixed, places, mixture, 1 / Math.sqrt(d)); // [B, h·N, d + J]
      for (let b = 0; b < B; b++) {
        const weights = narrow(select(seen, 0, b), 1, d, J);
        const ofValues = permute(select(values, 0, b), [1, 0]);
        heap.scope(() => void multiply(select(sums, 0, b), weights, packed(ofValues), { bias }));
      }
      const own = permute(reshape(sums, [B, HEADS, N, HEADS, d]), [0, 1, 3, 2, 4]);
      const direct = reshape(contiguous(narrow(seen, 2, 0, d)), [B, HEADS, N, d]);
      const both = add(contiguous(diagonal(own, 1)), direct); // [B, h, N, d]
      return outProj(reshape(contiguous(permute(both, [0, 2, 1, 3])), [B, N, C]), fused);
    });

    return { share, attend };
  };

  const see = [tokenToMixture(layers[1].crossAttnTokenToImage, 1), tokenToMixture(finalAttnTokenToImage, 2)];
  const ofCells = heap.scope(() => {
    const rows = cells();
    return [0, 1].map((p) => reading(select(rows, 0, p), 2));
  });
  const biases = stack(
    ofCells.map(({ constant }) => add(constant, cellBias)),
    0,
  ); // [2, D/2]

  /** @shape x, imagePe [S, D] */
  const share = (x: Tensor, imagePe: Tensor): SharedReadings => ({
    seen: see.map((attention) => attention.share(x, imagePe)),
    cells: [projected(x, ofCells[0].ofImage), projected(x, ofCells[1].ofImage)],
  });

  const blocks = layers.map((block, k) => {
    const { attendToSelf, norm2, feedForward, norm3, norm4 } = block;
    const first = tokenToImage(block.crossAttnTokenToImage, D).shared;
    const tell = imageToToken(block.crossAttnImageToToken, norms[k], D);
    const isLast = k === layers.length - 1;

    return layer(
      block.w,
      "TwoWayAttentionBlock",
      (queries: Tensor, queryPe: Tensor, image: ImageSide, seen: SharedReadings["seen"], before?: MixedImage) => {
        queries = attendToSelf(queries, queryPe);
        const q = add(queries, queryPe);
        const residual = queries;
        const attended = before
          ? see[k - 1].attend(q, seen[k - 1], before, { residual })
          : first(q, image as SharedImage, { residual });
        queries = norm2(attended);
        queries = norm3(feedForward(queries, { residual: queries }));
        const key = add(queries, queryPe);
        const shown = isWatched() ? norm4(tell.inSteps(key, queries, image)) : undefined;
        const { mixture, places, V } = tell.asMixture(key, queries, image, before?.mixture, !isLast);
        const [B, R] = V.shape;
        const told = [...(before?.told ?? []), concat([V, full([B, R, 1], 1)], 2)];
        return [queries, shown ?? places, { mixture, told } as MixedImage] as const;
      },
    );
  });

  const pays = (N: number) => N === TOKENS;

  /** The tokens, the image itself if layers are watched, and the image as a mixture. @shape imagePe [S, D] */
  const transform = layer(
    w,
    "TwoWayTransformer",
    (image: SharedImage, { seen }: SharedReadings, imagePe: Tensor, pointEmbedding: Tensor) => {
      let queries = pointEmbedding;
      let [side, plain, mixed]: [ImageSide, Tensor?, MixedImage?] = [image];
      for (const block of blocks) {
        [queries, plain, mixed] = block(queries, pointEmbedding, side, seen, mixed);
        if (plain) side = { plain, pe: imagePe };
      }
      const q = add(queries, pointEmbedding);
      queries = normFinalAttn(see[1].attend(q, seen[1], mixed!, { residual: queries }));
      return [queries, isWatched() ? plain : undefined, mixed!] as const;
    },
  );

  /** The upscaling's first projection for each prompt's mixture, and what all share of it. */
  const cellsOf = ({ mixture, told }: MixedImage, { cells }: SharedReadings) => {
    const [B, , J] = mixture.weights.shape;
    const weights = ofCells.map((of) => {
      const byChannel = contiguous(permute(readTokens(of, told), [0, 2, 1])); // [B, D/2, J]
      const N = D / 2;
      return { ...kernels.pack(reshape(byChannel, [B * N, J]), B * N), N };
    });
    const dc1 = { weights: [weights[0], weights[1]], bias: biases } as const;
    return { dc1, shared: { cells, scales: mixture.scales } };
  };

  return { pays, share, transform, cellsOf };
}

/** What a reading is of the tokens' values, of the first block and of the next one after another. */
function readTokens({ ofTokens }: Reading, told: readonly Tensor[]): Tensor {
  const { heap } = machine;
  const read = told.map((values, k) => {
    const [B, R, K] = values.shape;
    const { N } = ofTokens[k];
    return reshape(multiply(heap.alloc([B * R, N]), reshape(values, [B * R, K]), ofTokens[k]), [B, R, N]);
  });
  return concat(read, 1);
}

/** L·x of all places, L packed. */
function projected(x: Tensor, weight: Packed): Tensor {
  return multiply(machine.heap.alloc([x.shape[0], weight.N]), x, weight);
}

/** Rows less their means, in place. */
function centred(rows: Tensor): Tensor {
  const [M] = rows.shape;
  for (let m = 0; m < M; m++) {
    const row = values(select(rows, 0, m));
    const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
    row.forEach((x, c) => (row[c] = x - mean));
  }
  return rows;
}
