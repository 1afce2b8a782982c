// y = norm(x + Σ_r p_r·values[r] + bias) with p = softmax of scale·(keys[r]·z + offset[r]) over the tokens of each head, for each
// place x: the places are told of the tokens, a block of them at a time
//
// x, y [S, D]; z, what is scored [S, K], is x + pe [S, D] where pe is given; keys [R, K], offsets [R] and values, packed, as a
// weight [D, R]; R = tokens·heads, heads a multiple of 8 and the last axis.
//
// Scores, softmax, the sum and the norm are `gemm_f32`, `softmax_f32` and `layernorm_f32` on 96 places in the second-level cache,
// to the bit; one by one they read and wrote 24 MB a prompt, here 8.
//
// Versions, ms of a prompt's tokens in a batch of 16, all that comes before painting, tiny at 1024², processor time with one thread /
// with two of an AMD Zen 4 that others kept busy, Node 26:
// 1. kernel by kernel   19.9 / 21.4
// 2. as described       18.1 / 18.7
import { place } from "./places";
import { FREE, ROWS, block, fillTile } from "./gemm";
import { layernorm_f32 } from "./norm";
import { softmax_f32 } from "./softmax";

// @ts-ignore: decorator
@inline
const PLACES: i32 = 96; // of a block

/** Bytes of scratch: places with their positions, and scores. */
export function tell_f32_scratch(D: i32, R: i32): usize {
  return FREE + (<usize>(PLACES * (D + R)) << 2);
}

/** Tiles are blocks of 96 places of one prompt; those of a prompt are adjacent, and so are its tensors. */
export function tell_f32(
  y: usize, x: usize, xB: usize, z: usize, pe: usize, keys: usize, offsets: usize, values: usize, bias: usize, weight: usize, shift: usize,
  eps: f32, S: i32, D: i32, K: i32, R: i32, heads: i32, scale: f32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const blocks = (S + PLACES - 1) / PLACES;
  const line = <usize>D << 2, row = <usize>K << 2, columns = <usize>R << 2;
  const placed = scratch + FREE, scores = placed + <usize>PLACES * line;
  const room = <usize>(R + 15 & ~15) * row; // of a prompt's keys
  for (let t = from; t < to; t++) {
    const b = <usize>(t / blocks), s = t % blocks * PLACES, count = min(PLACES, S - s);
    const xs = x + b * xB + <usize>s * line, ys = y + (b * <usize>S + s) * line;
    let zs = z + <usize>s * row;
    if (pe) {
      zs = placed;
      place(placed, xs, pe + <usize>s * line, <usize>count * line);
    }
    addresses(scratch, zs, row, count);
    block(scores, columns, count, 0, R, keys + b * room, offsets ? offsets + b * columns : 0, 0, 0, 0, R, K, wide, scratch);
    softmax_f32(scores, scores, count, R / heads, heads, scale, count, scratch, 0, 1);
    addresses(scratch, scores, columns, count);
    block(ys, line, count, 0, D, values + b * <usize>R * line, bias, 0, xs, line, D, R, wide, scratch);
    layernorm_f32(ys, line, ys, line, weight, shift, count, D, eps, count, scratch, 0, 1);
  }
}

/** Addresses of adjacent rows, where `block` looks for them. */
function addresses(scratch: usize, row: usize, stride: usize, count: i32): void {
  let at = scratch + ROWS;
  for (let j = 0; j < count; j++, at += 4, row += stride) store<u32>(at, row);
  fillTile(at, count);
}
