// bits[y] = which logits of row y of a resized mask exceed a threshold; counts[y] = how many exceed two others
//
// logit[y, x] = Σ_t wy[y, t]·(Σ_u wx[x, u]·mask[sy[y] + t, sx[x] + u]), the sums of two calls of `resample_f32`: columns
// first, T and U ascending from 0. mask [h, w]; bits [H, ⌈W/32⌉] words, column x in bit x & 31 of word x >> 5; counts [H, 2].
//
// A mask of 256² becomes one of 1800 × 1200 pixels without its logits, which are 8.6 MB, ever being stored. Rows of the mask
// are widened when a row of the tile first needs them, and kept: T in a ring.
import { madd } from "./simd";

// @ts-ignore: decorator
@inline
const WORD: i32 = 32; // columns of a word of bits

/** Tiles of `tile` rows of the result. The rings of T widened rows lie in `scratch`, each filled up to whole words of columns. */
export function mask_bits(
  bits: usize, counts: usize, mask: usize, w: i32, rowStarts: usize, rowWeights: usize, T: i32, columnStarts: usize, columnWeights: usize,
  U: i32, H: i32, W: i32, threshold: f32, high: f32, low: f32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const words = (W + WORD - 1) / WORD;
  const line = <usize>words * WORD << 2; // bytes of a widened row
  const first = from * tile, last = min(to * tile, H);
  let widened = -1; // the last row of the mask that is in the ring
  for (let y = first; y < last; y++) {
    const start = load<i32>(rowStarts + (<usize>y << 2));
    for (let row = max(start, widened + 1); row < start + T; row++) {
      widen(scratch + <usize>(row % T) * line, mask + (<usize>(row * w) << 2), columnStarts, columnWeights, U, W, words * WORD);
    }
    widened = start + T - 1;
    rowOf(
      bits + (<usize>(y * words) << 2), counts + (<usize>y << 3), scratch, line, start, rowWeights + (<usize>(y * T) << 2), T, words,
      threshold, high, low,
    );
  }
}

/** A row of the mask with W columns, then −∞ up to `end`. */
function widen(to: usize, row: usize, starts: usize, weights: usize, U: i32, W: i32, end: i32): void {
  let x = 0;
  for (; x < W; x++, to += 4, starts += 4) {
    const source = row + (<usize>load<i32>(starts) << 2);
    let s = f32x4.splat(0);
    for (let u: usize = 0; u < <usize>U << 2; u += 4, weights += 4) s = madd(v128.load32_splat(weights), v128.load32_splat(source + u), s);
    store<f32>(to, f32x4.extract_lane(s, 0));
  }
  for (; x < end; x++, to += 4) store<f32>(to, -Infinity);
}

function rowOf(
  bits: usize, counts: usize, ring: usize, line: usize, start: i32, weights: usize, T: i32, words: i32, threshold: f32, high: f32, low: f32,
): void {
  const middle = f32x4.splat(threshold), upper = f32x4.splat(high), lower = f32x4.splat(low);
  const row0 = ring + <usize>(start % T) * line;
  let above = i32x4.splat(0), below = i32x4.splat(0);
  for (let word = 0, at: usize = 0; word < words; word++, bits += 4) {
    let set: u32 = 0;
    for (let shift = 0; shift < WORD; shift += 8, at += 32) {
      const w0 = v128.load32_splat(weights);
      let x0 = f32x4.mul(w0, v128.load(row0 + at)), x1 = f32x4.mul(w0, v128.load(row0 + at, 16));
      for (let t = 1; t < T; t++) {
        const row = ring + <usize>((start + t) % T) * line + at, wt = v128.load32_splat(weights + (<usize>t << 2));
        x0 = madd(wt, v128.load(row), x0);
        x1 = madd(wt, v128.load(row, 16), x1);
      }
      const both = i16x8.narrow_i32x4_s(f32x4.gt(x0, middle), f32x4.gt(x1, middle));
      set |= <u32>i16x8.bitmask(both) << shift;
      above = i32x4.sub(above, i32x4.add(f32x4.gt(x0, upper), f32x4.gt(x1, upper)));
      below = i32x4.sub(below, i32x4.add(f32x4.gt(x0, lower), f32x4.gt(x1, lower)));
    }
    store<u32>(bits, set);
  }
  store<i32>(counts, lanes(above));
  store<i32>(counts, lanes(below), 4);
}

// @ts-ignore: decorator
@inline
function lanes(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3);
}
