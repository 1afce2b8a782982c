// y = norm(x + Σ_r p_r·values[r] + bias) with p = softmax of scale·(keys[r]·z + offset[r]) over the tokens of each head, for each
// place x: the places are told of the tokens, a block of them at a time
//
// x, y [S, D]; z, what is scored [S, K], is x + pe [S, D] where pe is given; keys [R, K], offsets [R] and values, packed, as a
// weight [D, R]; R = tokens·heads, heads a multiple of 8 and the last axis.
//
// Scores, softmax, the sum and the norm are `gemm_f32`, `softmax_f32` and `layernorm_f32` on 96 places in the second-level cache,
// to the bit; one by one they read and wrote 24 MB a prompt, here 8.
//
// What is left of the places is also written down as what they were mixed of, for who projects them (see look.ts): with
// f = 1/√(variance + eps), scales[s] = f·(scales before, or 1) and weights[s] = f·[weights before, p]. Then y may be left out.
//
// Versions, ms of a prompt's tokens in a batch of 16, all that comes before painting, tiny at 1024², processor time with one thread /
// with two of an AMD Zen 4 that others kept busy, Node 26:
// 1. kernel by kernel   19.9 / 21.4
// 2. as described       18.1 / 18.7
import { place } from "./places";
import { FREE, ROWS, block, listRows } from "./gemm";
import { normalize } from "./norm";
import { softmax_f32 } from "./softmax";

// @ts-ignore: decorator
@inline
const PLACES: i32 = 96; // of a block

/** Bytes of scratch: places with their positions, results that are not kept, and scores. */
export function tell_f32_scratch(D: i32, R: i32): usize {
  return FREE + (<usize>(PLACES * (D + D + R)) << 2);
}

/** Tiles are blocks of 96 places of one prompt; those of a prompt are adjacent, and so are its tensors. */
export function tell_f32(
  y: usize, x: usize, xB: usize, z: usize, pe: usize, keys: usize, offsets: usize, values: usize, bias: usize, weight: usize, shift: usize,
  weights: usize, scales: usize, weightsBefore: usize, scalesBefore: usize, before: i32,
  eps: f32, S: i32, D: i32, K: i32, R: i32, heads: i32, scale: f32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const blocks = (S + PLACES - 1) / PLACES;
  const line = <usize>D << 2, row = <usize>K << 2, columns = <usize>R << 2;
  const placed = scratch + FREE, passing = placed + <usize>PLACES * line, scores = passing + <usize>PLACES * line;
  const older = <usize>before << 2, mixed = older + columns; // bytes of a place's weights, before and now
  const room = <usize>(R + 15 & ~15) * row; // of a prompt's keys
  for (let t = from; t < to; t++) {
    const b = <usize>(t / blocks), s = t % blocks * PLACES, count = min(PLACES, S - s);
    const at = b * <usize>S + s; // the first place of all prompts'
    const xs = x + b * xB + <usize>s * line, ys = y ? y + at * line : passing;
    let zs = z + <usize>s * row;
    if (pe) {
      zs = placed;
      place(placed, xs, pe + <usize>s * line, <usize>count * line);
    }
    listRows(scratch + ROWS, zs, row, count);
    block(scores, columns, count, 0, R, keys + b * room, offsets ? offsets + b * columns : 0, 0, 0, 0, R, K, wide, scratch);
    softmax_f32(scores, scores, count, R / heads, heads, scale, count, scratch, 0, 1);
    listRows(scratch + ROWS, scores, columns, count);
    block(ys, line, count, 0, D, values + b * <usize>R * line, bias, 0, xs, line, D, R, wide, scratch);
    for (let j: usize = 0; j < <usize>count; j++) {
      const row = ys + j * line, factor = normalize(row, row, weight, shift, D, eps);
      if (!weights) continue;
      const to = weights + (at + j) * mixed, place = (at + j) << 2;
      store<f32>(scales + place, before ? load<f32>(scalesBefore + place) * factor : factor);
      multiply(to, weightsBefore + (at + j) * older, older, factor);
      multiply(to + older, scores + j * columns, columns, factor);
    }
  }
}

/** y = factor·x, whole groups of eight */
function multiply(y: usize, x: usize, bytes: usize, factor: f32): void {
  const by = f32x4.splat(factor);
  for (const end = y + bytes; y < end; y += 32, x += 32) {
    const y0 = f32x4.mul(v128.load(x), by), y1 = f32x4.mul(v128.load(x, 16), by);
    v128.store(y, y0);
    v128.store(y, y1, 16);
  }
}
