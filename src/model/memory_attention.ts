/**
 * The features of a frame attend to themselves and to the memory of earlier frames.
 *
 * E side of the image embedding · N image tokens (E²) · S memory tokens, the last L of them pointers, the others T maps of
 * E², or EdgeTAM's of U tokens without a place and G² on a grid · D channels of the model · C channels of a memory map
 */
import type { Weights } from "../io/weights.ts";
import { axialMacs, axialSdpa, mergeHeads, rotate, sdpa, splitHeads } from "../nn/attention.ts";
import { add, affine } from "../nn/elementwise.ts";
import { isWatched, layer } from "../nn/layer.ts";
import { foldLinears } from "../nn/fold.ts";
import { concat, contiguous } from "../nn/layout.ts";
import { type Fused, inOnePass, linear } from "../nn/linear.ts";
import { layerNorm } from "../nn/norm.ts";
import type { PlacedMemory } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, permute, reshape, type Tensor, unsqueeze } from "../tensor/view.ts";
import { type MemoryLayout, memoryLayout, type Sam2Config } from "./config.ts";
import { axialRotation, type Rotation, sinePositionEncoding } from "./position_encoding.ts";

const HEADS = 1;
const EPS = 1e-5; // of every LayerNorm here

/** What a frame may remember of one object. */
export interface Memory {
  /** T maps, then L pointer tokens [1, S, C] */
  tokens: Tensor;
  /** their places in space and time [1, S, C] */
  positions: Tensor;
  /** L, the tokens at the end that have no place in space */
  pointerTokens: number;
}

/**
 * Attention with rotary positions, as in a textbook. The keys repeat the grid's rotation once for each memory map;
 * pointers are not rotated.
 *
 * @shape  q [1, N, D]; k, v [1, S, kvDim] → [1, N, D]
 * @source sam2/modeling/sam/transformer.py, RoPEAttention
 */
export function ropeAttention(
  w: Weights,
  D: number,
  kvDim: number,
  { cos, sin }: Rotation,
  qProj = linear(w.at("q_proj"), D, D),
  kProj = linear(w.at("k_proj"), kvDim, D),
) {
  const vProj = linear(w.at("v_proj"), kvDim, D);
  const outProj = linear(w.at("out_proj"), D, D);

  return layer(w, "RoPEAttention", (q: Tensor, k: Tensor, v: Tensor, unrotated: number, fused: Fused) => {
    const Q = splitHeads(qProj(q), HEADS); // [1, 1, N, D]
    const K = splitHeads(kProj(k), HEADS); // [1, 1, S, D]
    const V = splitHeads(vProj(v), HEADS); // [1, 1, S, D]
    rotate(Q, cos, sin);
    rotate(narrow(K, 2, 0, K.shape[2] - unrotated), cos, sin);
    return outProj(mergeHeads(sdpa(Q, K, V)), fused);
  });
}

/**
 * Tokens attend to each other: `ropeAttention`, or, while no layer is watched, the same function with a product less, which
 * differs by rounding. As values are not rotated, a row of the softmax sums to 1 and there is one head,
 *
 *     (softmax(Q·Kᵀ)·(X·Wᵥᵀ + bᵥ))·Wₒᵀ + bₒ = (softmax(Q·Kᵀ)·X)·(Wₒ·Wᵥ)ᵀ + (Wₒ·bᵥ + bₒ)
 *
 * @shape  x [1, N, D] → [1, N, D]
 */
export function ropeSelfAttention(w: Weights, D: number, places: Rotation) {
  const qProj = linear(w.at("q_proj"), D, D);
  const kProj = linear(w.at("k_proj"), D, D);
  const textbook = ropeAttention(w, D, D, places, qProj, kProj);
  const outProj = linear(foldLinears(w.at("v_proj"), w.at("out_proj"), [D, D, D]), D, D);

  const folded = layer(w, "RoPEAttention", (x: Tensor, fused: Fused) => {
    const [Q, K] = [splitHeads(qProj(x), HEADS), splitHeads(kProj(x), HEADS)];
    rotate(Q, places.cos, places.sin);
    rotate(K, places.cos, places.sin);
    return outProj(mergeHeads(sdpa(Q, K, splitHeads(x, HEADS))), fused);
  });
  return (x: Tensor, fused: Fused) => (isWatched() ? textbook(x, x, x, 0, fused) : folded(x, fused));
}

/**
 * The same function for keys and values of few channels, with less work.
 *
 * NB PyTorch runs RoPEAttention here; this is another algorithm for the same function, which differs by rounding. The test
 * beside this file compares the two.
 *
 * Values are a linear map of C = 64 channels and are not rotated, so they are projected after the sum, not before:
 *
 *     softmax(Q·Kᵀ)·(V·Wᵥᵀ + bᵥ) = (softmax(Q·Kᵀ)·V)·Wᵥᵀ + bᵥ, since each row of the softmax sums to 1
 *
 * With one head nothing but this projection stands before `out_proj`, so the two are one linear layer.
 *
 * Keys are not projected either: the transposed projection and rotation of the place p go to the query,
 *
 *     Qₙ·R_p(Wₖ·k + bₖ) = (Wₖᵀ·R_pᵀ·Qₙ)·k + bₖ·R_pᵀ·Qₙ
 *
 * and a score is a sum over C channels instead of D. Half of the rotation depends on x, half on y, so the bracket is a sum
 * of a vector for x and one for y: E + E products a query instead of E², and by symmetry half of that. All maps share it, so
 * it pays where there are several: `placed` is undefined elsewhere.
 *
 * EdgeTAM's places are those of a coarser grid, not scaled to the queries'; its tokens without a place are not rotated, so the
 * bracket is the same for all of them.
 *
 * @param places of the queries, and of the tokens of a map that lie on a grid
 * @shape  q [1, N, D] → [1, N, D]
 * @source sam2/modeling/sam/transformer.py, RoPEAttention
 */
export function memoryCrossAttention(
  w: Weights,
  D: number,
  C: number,
  places: { queries: Rotation; keys: Rotation },
  { lone: U, side: G }: MemoryLayout,
) {
  const qProj = linear(w.at("q_proj"), D, D);
  const kProj = linear(w.at("k_proj"), C, D);
  const outProj = linear(foldLinears(w.at("v_proj"), w.at("out_proj"), [C, D, D]), C, D);
  const { queries, keys: grid } = places;
  const keyProjection = machine.heap.scope(() => {
    const [weight, bias] = [w.at("k_proj").get("weight", [D, C]), w.at("k_proj").get("bias", [D])];
    return concat([weight, reshape(bias, [D, 1])], 1); // [D, C + 1]
  });

  return layer(w, "RoPEAttention", (q: Tensor, { keys, values, pointerTokens, placed }: Attended, fused: Fused) => {
    const Q = splitHeads(qProj(q), HEADS); // [1, 1, N, D]
    rotate(Q, queries.cos, queries.sin);
    if (placed) return outProj(axialSdpa(Q, placed, keyProjection, grid.cos, grid.sin), fused);
    const K = kProj(keys); // [1, S, D]
    const maps = reshape(narrow(K, 1, 0, K.shape[1] - pointerTokens), [-1, U + G ** 2, D]);
    rotate(unsqueeze(narrow(maps, 1, U, G ** 2), 1), grid.cos, grid.sin);
    return outProj(mergeHeads(sdpa(Q, splitHeads(K, HEADS), splitHeads(values, HEADS))), fused);
  });
}

/** A memory as keys and values, and, where that is less work, sorted by place. */
export interface Attended {
  keys: Tensor; // [1, S, C]
  values: Tensor; // [1, S, C]
  pointerTokens: number;
  placed?: PlacedMemory;
}

/** Tokens sorted by place: G² places of one token from each map; pointers and the maps' other tokens have no place. */
export function placeByPlace(
  keys: Tensor,
  values: Tensor,
  pointerTokens: number,
  { lone: U, side: G }: MemoryLayout,
): PlacedMemory {
  const [, S, C] = keys.shape;
  const L = pointerTokens;
  const T = (S - L) / (U + G ** 2);
  const maps = (t: Tensor) => reshape(narrow(t, 1, 0, S - L), [T, U + G ** 2, C]); // [T, U + G², C]
  const placed = (t: Tensor) => narrow(maps(t), 1, U, G ** 2); // [T, G², C]
  const withoutPlace = (t: Tensor) => {
    const pointers = reshape(narrow(t, 1, S - L, L), [L, C]);
    if (U === 0) return pointers;
    return concat([reshape(contiguous(narrow(maps(t), 1, 0, U)), [T * U, C]), pointers], 0); // [T·U + L, C]
  };
  return {
    W: G,
    keys: contiguous(permute(placed(keys), [1, 2, 0])), // [G², C, T]
    values: contiguous(permute(placed(values), [1, 0, 2])), // [G², T, C]
    loneKeys: contiguous(permute(withoutPlace(keys), [1, 0])), // [C, T·U + L]
    loneValues: contiguous(withoutPlace(values)), // [T·U + L, C]
  };
}

/**
 * Self-attention, attention to the memory, and an MLP; each after a LayerNorm and added to its input.
 *
 * @shape  x [1, N, D] → [1, N, D]
 * @source sam2/modeling/memory_attention.py, MemoryAttentionLayer
 */
function memoryAttentionLayer(w: Weights, config: Sam2Config, places: { queries: Rotation; keys: Rotation }) {
  const { dModel: D, memDim: C, dimFeedforward } = config;
  const selfAttn = ropeSelfAttention(w.at("self_attn"), D, places.queries);
  const crossAttnImage = memoryCrossAttention(w.at("cross_attn_image"), D, C, places, memoryLayout(config));
  const linear1 = linear(w.at("linear1"), D, dimFeedforward, "relu");
  const linear2 = linear(w.at("linear2"), dimFeedforward, D);
  const [norm1, norm2, norm3] = ["norm1", "norm2", "norm3"].map((name) => layerNorm(w.at(name), D, EPS));

  const lookAround = (x: Tensor) => selfAttn(norm1(x), { residual: x });
  const lookBack = layer(w, "MemoryAttentionLayer", (x: Tensor, memory: Attended) => {
    x = crossAttnImage(norm2(x), memory, { residual: x });
    return inOnePass(linear1, linear2, norm3(x), x);
  });
  return { lookAround, lookBack };
}

/**
 * The features of a frame, conditioned on what is remembered of one object.
 *
 * The first layer attends to the frame itself before it sees any memory. `lookAround` is this step, the same for all
 * objects of the frame.
 *
 * NB PyTorch does this step in layer 0 for every object. Here it runs before: what is watched of `memory_attention` and of
 * `layers.0` is without it.
 *
 * @source sam2/modeling/memory_attention.py, MemoryAttention
 */
export function memoryAttention(w: Weights, config: Sam2Config) {
  const { dModel: D, memDim: C } = config;
  const E = config.imageSize / 16;
  const layout = memoryLayout(config);
  const { side } = layout;
  const queries = axialRotation(E, E, D / HEADS);
  const places = { queries, keys: side === E ? queries : axialRotation(side, side, D / HEADS) };
  const layers = Array.from({ length: config.memoryAttentionLayers }, (_, i) =>
    memoryAttentionLayer(w.at("layers").at(i), config, places),
  );
  const norm = layerNorm(w.at("norm"), D, EPS);

  const tenthOfPlaces = machine.heap.scope(() => reshape(affine(sinePositionEncoding(E, E, D), 0.1, 0), [1, E * E, D]));

  /** @shape curr [1, N, D] → [1, N, D] */
  const lookAround = (curr: Tensor) => layers[0].lookAround(add(curr, tenthOfPlaces));

  /** @shape attended [1, N, D], what `lookAround` returned → [1, N, D] */
  const lookBack = layer(w, "MemoryAttention", (attended: Tensor, { tokens, positions, pointerTokens }: Memory) => {
    const memory: Attended = { keys: add(tokens, positions), values: tokens, pointerTokens };
    if (paysByPlace(tokens.shape[1])) memory.placed = placeByPlace(memory.keys, tokens, pointerTokens, layout);
    let x = layers[0].lookBack(attended, memory);
    for (const { lookAround, lookBack } of layers.slice(1)) x = lookBack(lookAround(x), memory);
    return norm(x);
  });

  /** Does it pay to sort S tokens by place? With few maps a multiply-add costs 1.5 times as much there. */
  const paysByPlace = (S: number) => 1.5 * axialMacs(side, side, D, C, S) < S * (D + C);

  return { lookAround, lookBack };
}
