import { ShapeError } from "../errors.ts";
import type { Mixture, Norm, Packed, PlacedMemory, Scored, SharedPlaces } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { contiguous, full } from "./layout.ts";
import { diagonal, narrow, permute, reshape, type Tensor } from "../tensor/view.ts";

/** Channels as h heads. @shape [B, N, h·d] → [B, h, N, d], a view */
export function splitHeads(x: Tensor, h: number): Tensor {
  const [B, N, D] = x.shape;
  return permute(reshape(x, [B, N, h, D / h]), [0, 2, 1, 3]);
}

/** Heads joined again. @shape [B, h, N, d] as `sdpa` returns it → [B, N, h·d], a view */
export function mergeHeads(x: Tensor): Tensor {
  const [B, h, N, d] = x.shape;
  return reshape(permute(x, [0, 2, 1, 3]), [B, N, h * d]);
}

/** Each token as h rows, one a head: its channels of this head, and zeros. @shape [B, N, h·d] → [B, N·h, h·d] */
export function spreadHeads(x: Tensor, h: number): Tensor {
  const [B, N, D] = x.shape;
  const y = full([B, N * h, D], 0);
  machine.kernels.copy(headsOfRows(y, h), reshape(x, [B, N, h, D / h]));
  return y;
}

/** Of h rows a token, one a head, the channels of this head. @shape [B, N·h, h·d] → [B, N, h·d] */
export function gatherHeads(x: Tensor, h: number): Tensor {
  const [B, rows, D] = x.shape;
  return reshape(contiguous(headsOfRows(x, h)), [B, rows / h, D]);
}

/** @shape [B, N·h, h·d] → [B, N, h, d], a view */
function headsOfRows(x: Tensor, h: number): Tensor {
  const [B, rows, D] = x.shape;
  return diagonal(reshape(x, [B, rows / h, h, h, D / h]), 2);
}

/**
 * Rotate pairs of channels by the angles of their place, overwriting x. @shape x [B, h, N, d]; cos, sin [n, d/2],
 * repeated along N
 */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor): void {
  const [, , N, d] = x.shape;
  const [n] = cos.shape;
  if (N % n !== 0) throw new ShapeError("rotate", `a multiple of ${n} tokens`, `${N}`, "check the memory's size");
  expectShape("rotate angles", cos.shape, [n, d / 2]);
  machine.kernels.rope(x, x, cos, sin);
}

/**
 * Scaled dot-product attention: softmax(scale·q·kᵀ)·v, with 1/√d as scale unless another is given.
 *
 * @shape q [B, h, N, d]; k [B, h, S, d]; v [B, h, S, dv], any views with adjacent channels → [B, h, N, dv], a view of
 *        [B, N, h, dv]
 */
export function sdpa(q: Tensor, k: Tensor, v: Tensor, scale = 1 / Math.sqrt(q.shape[3])): Tensor {
  const [B, h, N, d] = q.shape;
  const [S, dv] = v.shape.slice(2);
  expectShape("sdpa keys", k.shape, [B, h, S, d]);
  expectShape("sdpa values", v.shape, [B, h, S, dv]);
  const { heap, kernels } = machine;
  const o = permute(heap.alloc([B, N, h, dv]), [0, 2, 1, 3]);
  machine.macs += B * h * N * S * (d + dv);
  const whole = (n: number) => Math.ceil(n / 16) * 16;
  heap.scope(() => {
    const room = Math.min(N, S) >= MANY ? heap.alloc([B, h, whole(S), d + whole(dv)]) : undefined;
    kernels.attention(o, q, k, v, scale, room);
  });
  return o;
}

const MANY = 1024; // queries and keys for which it pays to pack the keys beforehand

const PART = 512; // places that one thread sums up: a picture has eight parts, whatever the machine

/**
 * R queries of each prompt attend to all places, whose values are x and whose keys are x + pe: `sdpa` of one head for few
 * queries.
 *
 * @shape q [B, R, D]; x [B, S, D]; pe [S, D] → [B, R, D]
 */
export function attendToPlaces(q: Tensor, x: Tensor, pe: Tensor, scale: number): Tensor {
  const { heap, kernels } = machine;
  const [B, R, D] = q.shape;
  const [, S] = x.shape;
  expectShape("attendToPlaces places", x.shape, [B, S, D]);
  expectShape("attendToPlaces positions", pe.shape, [S, D]);
  machine.macs += 2 * B * R * S * D;
  return heap.scope(() => {
    const packed = inPanels(q);
    const whole = packed.N / B;
    const parts = Math.ceil(S / PART);
    const room = { sums: heap.alloc([B, parts, whole, D]), state: heap.alloc([B, parts, 2, whole]) };
    const o = heap.alloc([B, whole, D]);
    kernels.attendToPlaces(o, packed, x, pe, scale, room);
    return contiguous(narrow(o, 1, 0, R));
  });
}

/**
 * Tokens of B prompts, 8 in each of h heads, attend to places that the prompts share, as each has changed them.
 *
 * @shape q [B, 8·h, 2·d], head by head, of each row the channels of the two heads that share its 16 rows; mixed [B, 8·h, J]
 *        → [B, 8·h, d + J]: sums of the head's values, and of the mixture's weights
 */
export function attendToMixture(
  q: Tensor,
  mixed: Tensor,
  places: SharedPlaces,
  mixture: Mixture,
  scale: number,
): Tensor {
  const { heap, kernels } = machine;
  const [B, R, pair] = q.shape;
  const [, S, J] = mixture.weights.shape;
  const columns = pair / 2 + J;
  expectShape("attendToMixture", mixed.shape, [B, R, J]);
  expectShape("attendToMixture places", places.k.shape, [S, (R * pair) / 16]);
  machine.macs += B * S * R * (pair + J + columns);
  return heap.scope(() => {
    const parts = Math.ceil(S / PART);
    const room = { sums: heap.alloc([B, parts, R, columns]), state: heap.alloc([B, parts, 2, R]) };
    const o = heap.alloc([B, R, columns]);
    kernels.attendToMixture(o, inPanels(q), inPanels(mixed), places, mixture, scale, room);
    return o;
  });
}

/** What places are told by B prompts of R = tokens·heads rows. */
export interface ToldTokens {
  keys: Tensor; // [B, R, K]
  offsets?: Tensor; // [B, R], added to the scores
  values: Tensor; // [B, D, R]
  bias: Tensor; // [D]
}

/**
 * Places attend to few tokens, with what comes before and after: norm(x + bias + values · softmax(scale·(keys·z + offsets))), the
 * softmax over the tokens of each head. z are x with positions, or given.
 *
 * @shape x [B or 1, S, D]; z [S, K] or pe [S, D] → [B, S, D]
 */
export function tellPlaces(
  x: Tensor,
  scored: Scored,
  told: ToldTokens,
  norm: Norm,
  heads: number,
  scale: number,
): Tensor {
  const [B] = told.keys.shape;
  const [, S, D] = x.shape;
  const y = machine.heap.alloc([B, S, D]);
  tell(y, x, scored, told, norm, heads, scale);
  return y;
}

/**
 * The same as a mixture: what weights and factor each place has got of the tokens, after those that it had before.
 *
 * @returns the places themselves if `withPlaces`, as who is to tell them more needs them
 */
export function mixPlaces(
  x: Tensor,
  scored: Scored,
  told: ToldTokens,
  norm: Norm,
  heads: number,
  scale: number,
  before: Mixture | undefined,
  withPlaces: boolean,
): { mixture: Mixture; places?: Tensor } {
  const { heap } = machine;
  const [B, R] = told.keys.shape;
  const [, S, D] = x.shape;
  const J = (before ? before.weights.shape[2] : 0) + R;
  const mixture = { weights: heap.alloc([B, S, J]), scales: heap.alloc([B, S]) };
  const places = withPlaces ? heap.alloc([B, S, D]) : undefined;
  tell(places, x, scored, told, norm, heads, scale, { now: mixture, before });
  return { mixture, places };
}

function tell(
  y: Tensor | undefined,
  x: Tensor,
  scored: Scored,
  { keys, offsets, values, bias }: ToldTokens,
  norm: Norm,
  heads: number,
  scale: number,
  mixture?: { now: Mixture; before?: Mixture },
): void {
  const { heap, kernels } = machine;
  const [B, R, K] = keys.shape;
  const [, S, D] = x.shape;
  if ("z" in scored) expectShape("tellPlaces", scored.z.shape, [S, K]);
  else expectShape("tellPlaces", scored.pe.shape, [S, D]);
  expectShape("tellPlaces values", values.shape, [B, D, R]);
  machine.macs += B * S * R * (K + D);
  heap.scope(() => {
    const ofValues = heap.alloc([B * D, R]);
    kernels.copy(ofValues, reshape(values, [B * D, R]));
    const told = { keys: inPanels(keys), offsets, values: kernels.pack(ofValues, B * D), bias };
    kernels.tellPlaces(y, x, scored, told, norm, heads, scale, mixture);
  });
}

/** Rows of each prompt, filled up to whole panels and packed. @shape [B, R, K] → [B·⌈R/16⌉·16, K] */
function inPanels(rows: Tensor): Packed {
  const [B, R, K] = rows.shape;
  const whole = Math.ceil(R / 16) * 16;
  const room = full([B, whole, K], 0);
  machine.kernels.copy(narrow(room, 1, 0, R), rows);
  return machine.kernels.pack(reshape(room, [B * whole, K]), B * whole);
}

/** softmax(scale·x) over the middle axis, overwriting x. @shape [M, N, C] */
export function softmax(x: Tensor, scale: number): void {
  machine.kernels.softmax(x, x, scale);
}

/**
 * The same attention to memories whose keys, rotated by their place, are a projection of fewer channels: softmax(q·Kᵀ/√d)·v.
 *
 * @param projection the keys' weight [d, C] and, as one more column, their bias
 * @shape q [1, 1, N, d]; cos, sin [P, d/2] → [1, N, C]
 */
export function axialSdpa(q: Tensor, memory: PlacedMemory, projection: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const [, , N, d] = q.shape;
  const [P, C, T] = memory.keys.shape;
  const L = memory.loneKeys.shape[1];
  expectShape("axialSdpa projection", projection.shape, [d, C + 1]);
  expectShape("axialSdpa angles", cos.shape, [P, d / 2]);
  const o = machine.heap.alloc([1, N, C]);
  machine.macs += N * axialMacs(memory.W, P / memory.W, d, C, P * T + L);
  machine.kernels.axialAttention(
    reshape(o, [N, C]),
    reshape(q, [N, d]),
    memory,
    projection,
    cos,
    sin,
    1 / Math.sqrt(d),
  );
  return o;
}

/** Multiply-adds of a query that comes to S memories of C channels on a grid of W × H. */
export function axialMacs(W: number, H: number, d: number, C: number, S: number): number {
  const distances = Math.floor(W / 2) + Math.floor(H / 2) + 2;
  return (distances * (d / 2) + 3 * d) * (C + 1) + 2 * S * C;
}
