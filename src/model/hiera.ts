/**
 * The image trunk: a hierarchical vision transformer in four stages. Each stage halves the grid and doubles the
 * channels; most blocks attend within windows, a few to the whole image.
 *
 * Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles", 2023, and Bolya et al.,
 * "Window Attention is Bugged: How not to Interpolate Position Embeddings", 2023.
 *
 * B batch (1) · R image size · F channels of the first stage · H W token grid · h heads of d channels · nW windows of S tokens, N of them ask
 */
import type { Weights } from "../io/weights.ts";
import { mergeHeads, sdpa } from "../nn/attention.ts";
import { conv2d } from "../nn/conv.ts";
import { add } from "../nn/elementwise.ts";
import { inTurn, layer } from "../nn/layer.ts";
import { contiguous } from "../nn/layout.ts";
import { type Fused, linear } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import { layerNorm } from "../nn/norm.ts";
import { maxPool2x2 } from "../nn/pool.ts";
import { resize } from "../nn/resize.ts";
import { narrow, permute, reshape, select, type Tensor } from "../tensor/view.ts";
import type { HieraConfig } from "./config.ts";
import { type Windows, windowPartition, windowUnpartition } from "./windows.ts";

const MLP_RATIO = 4;
const EPS = 1e-6; // of every LayerNorm in the trunk

/**
 * Attention of the tokens of each window, or of the whole grid, with optional max pooling of the queries, which
 * halves the grid.
 *
 * NB `windows` and `unpartition` are row tables: padded tokens are zeros *before* qkv, so they are attended to with
 * k = v = bias, as in PyTorch. The residual joins in `proj`.
 *
 * @shape  x [B, H, W, dim] → [B, H', W', dimOut], H' = H, or H/2 with pooling
 * @source sam2/modeling/backbones/hieradet.py, MultiScaleAttention
 */
function multiScaleAttention(w: Weights, dim: number, dimOut: number, h: number, pool: boolean) {
  const qkv = linear(w.at("qkv"), dim, dimOut * 3);
  const proj = linear(w.at("proj"), dimOut, dimOut);

  return layer(w, "MultiScaleAttention", (x: Tensor, { windows, unpartition, residual }: AttentionPlan) => {
    const [nW, H, W] = windows ? [windows.count, windows.size, windows.size] : x.shape;
    const y = reshape(qkv(x, { rows: windows?.partition }), [nW, H * W, 3, h, dimOut / h]); // [nW, S, 3, h, d]
    const [q, k, v] = [0, 1, 2].map((i) => permute(select(y, 2, i), [0, 2, 1, 3])); // [nW, h, S, d]
    const pooled = pool ? poolQueries(y, H, W) : q; // [nW, h, N, d], N = S/4 with pooling, else S
    const o = mergeHeads(sdpa(pooled, k, v)); // [nW, N, dimOut]
    return reshape(proj(o, { residual, rows: unpartition }), residual.shape);
  });
}

/** What one block's attention runs on. */
interface AttentionPlan {
  windows?: Windows;
  unpartition?: Int32Array;
  /** [B, H', W', dimOut] */
  residual: Tensor;
}

/** Max pooling of the queries inside of qkv. @shape qkv [nW, H·W, 3, h, d] → [nW, h, H/2·W/2, d] */
function poolQueries(qkv: Tensor, H: number, W: number): Tensor {
  const [nW, S, , h, d] = qkv.shape;
  const grid = reshape(qkv, [nW, H, W, 3 * h * d]);
  const q = maxPool2x2(narrow(grid, 3, 0, h * d)); // [nW, H/2, W/2, h·d]
  return permute(reshape(q, [nW, S / 4, h, d]), [0, 2, 1, 3]);
}

/** Where a block stands: fixed when the graph is built. */
interface BlockPlan {
  dim: number;
  dimOut: number;
  heads: number;
  /** side of its windows; 0 attends to the whole grid */
  window: number;
  /** does it halve the grid? */
  pool: boolean;
  /** grid that it receives */
  H: number;
  W: number;
}

/**
 * x' = shortcut + attn(norm1(x)), then x' + mlp(norm2(x')). The first block of a stage projects the shortcut to the
 * new channels and pools it.
 *
 * @shape  [B, H, W, dim] → [B, H', W', dimOut]
 * @source sam2/modeling/backbones/hieradet.py, MultiScaleBlock
 */
function multiScaleBlock(w: Weights, { dim, dimOut, heads, window, pool, H, W }: BlockPlan) {
  const norm1 = layerNorm(w.at("norm1"), dim, EPS);
  const attn = multiScaleAttention(w.at("attn"), dim, dimOut, heads, pool);
  const norm2 = layerNorm(w.at("norm2"), dimOut, EPS);
  const feedForward = mlp(w.at("mlp"), dimOut, dimOut * MLP_RATIO, dimOut, 2, "gelu");
  const proj = dim === dimOut ? undefined : linear(w.at("proj"), dim, dimOut);

  const half = pool ? 2 : 1;
  const windows = window > 0 ? windowPartition(H, W, window) : undefined;
  const unpartition = window > 0 ? windowUnpartition(H / half, W / half, window / half) : undefined;

  return layer(w, "MultiScaleBlock", (x: Tensor) => {
    const normed = norm1(x);
    const projected = proj ? proj(normed) : x;
    const residual = pool ? maxPool2x2(projected) : projected; // [B, H', W', dimOut]
    const y = attn(normed, { windows, unpartition, residual });
    return feedForward(norm2(y), { residual: y });
  });
}

/**
 * Image → tokens: a 7×7 convolution with stride 4.
 *
 * @shape  [B, H, W, 3] → [B, H/4, W/4, dim]
 * @source sam2/modeling/backbones/utils.py, PatchEmbed
 */
function patchEmbed(w: Weights, dim: number) {
  const proj = conv2d(w.at("proj"), 3, dim, 7, 4, 3);

  return layer(w, "PatchEmbed", (x: Tensor, fused: Fused) => proj(x, fused));
}

/**
 * Position embedding of the token grid: a background, stretched bicubically over the image, plus one embedding of
 * the first stage's window, repeated.
 *
 * @shape  → [1, H, W, dim]
 * @source sam2/modeling/backbones/hieradet.py, Hiera._get_pos_embed
 */
function posEmbed(w: Weights, config: HieraConfig, H: number, W: number): Tensor {
  const dim = config.embedDim;
  const [bkgH, bkgW] = config.windowPosEmbedBkgSpatialSize;
  const window = config.windowSpec[0];
  const embed = layer(w.at("pos_embed"), "Hiera._get_pos_embed", () => {
    const background = permute(w.get("pos_embed", [1, dim, bkgH, bkgW]), [0, 2, 3, 1]);
    const tile = contiguous(permute(w.get("pos_embed_window", [1, dim, window, window]), [0, 2, 3, 1]));
    const stretched = resize(contiguous(background), H, W, "bicubic"); // [1, H, W, dim]
    const columns = permute(reshape(stretched, [H / window, window, W / window, window * dim]), [0, 2, 1, 3]);
    const tiled = add(contiguous(columns), reshape(tile, [window, window * dim])); // one window after another
    return reshape(contiguous(permute(tiled, [0, 2, 1, 3])), [1, H, W, dim]);
  });
  return embed();
}

/**
 * The whole trunk: the last tokens of each stage, fine → coarse.
 *
 * NB the position embedding is a constant of the image size; it is added by the patch embedding's convolution.
 *
 * @shape  [1, R, R, 3] → [1, R/4, R/4, F], [1, R/8, R/8, 2F], [1, R/16, R/16, 4F], [1, R/32, R/32, 8F]
 * @source sam2/modeling/backbones/hieradet.py, Hiera
 */
export function hiera(w: Weights, config: HieraConfig) {
  const { stages, windowSpec, globalAttBlocks, imageSize } = config;
  let grid = imageSize / 4;
  const embed = patchEmbed(w.at("patch_embed"), config.embedDim);
  const position = posEmbed(w, config, grid, grid);

  const blocks: ReturnType<typeof multiScaleBlock>[] = [];
  let dim = config.embedDim;
  let heads = config.numHeads;
  for (const [stage, count] of stages.entries()) {
    for (let i = 0; i < count; i++) {
      const first = stage > 0 && i === 0;
      const dimOut = first ? dim * 2 : dim;
      if (first) heads *= 2;
      // The first block of a stage still uses the windows of the stage before.
      const window = globalAttBlocks.includes(blocks.length) ? 0 : windowSpec[first ? stage - 1 : stage];
      const plan = { dim, dimOut, heads, window, pool: first, H: grid, W: grid };
      blocks.push(multiScaleBlock(w.at("blocks").at(blocks.length), plan));
      dim = dimOut;
      if (first) grid /= 2;
    }
  }
  let before = 0;
  const ofStages = stages.map((count) => blocks.slice(before, (before += count)));

  return layer(w, "Hiera", (image: Tensor) => {
    let x = embed(image, { residual: position });
    return ofStages.map((blocks) => {
      x = inTurn(x, blocks);
      return x;
    });
  });
}
