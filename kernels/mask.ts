// bits[y] = which logits of row y of a resized mask exceed a threshold; counts[y] = how many exceed two others
//
// logit[y, x] = Σ_t wy[y, t]·(Σ_u wx[x, u]·mask[sy[y] + t, sx[x] + u]), the sums of two calls of `resample_f32`: columns
// first, T and U ascending from 0. mask [B, h, w]; bits [B, H, ⌈W/32⌉] words, column x in bit x & 31 of word x >> 5;
// counts [B, H, 2].
//
// A mask of 256² becomes one of 1800 × 1200 pixels without its logits, which are 8.6 MB, ever being stored. Rows of the mask
// are widened when a row of the tile first needs them, and kept: T in a ring. `mask_bytes` writes a byte, 0 or 1, for each pixel.
//
// Versions, ms for one such mask on one thread of an AMD Zen 4, Node 26, processor time:
// 1. one column at a time, and of eight columns a division for each row of the ring                2.15
// 2. two taps, as all enlargements have, as a case of their own: four columns at a time, and both rows' addresses kept  0.98
import { madd } from "./simd";

// @ts-ignore: decorator
@inline
const WORD: i32 = 32; // columns of a word of bits

/**
 * Tiles of `tile` rows of the result, those of a mask adjacent. The rings of T widened rows lie in `scratch`, each filled up
 * to whole words of columns.
 */
export function mask_bits(
  bits: usize, counts: usize, mask: usize, h: i32, w: i32, rowStarts: usize, rowWeights: usize, T: i32, columnStarts: usize,
  columnWeights: usize, U: i32, H: i32, W: i32, threshold: f32, high: f32, low: f32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const words = (W + WORD - 1) / WORD, bands = (H + tile - 1) / tile;
  const line = <usize>words * WORD << 2; // bytes of a widened row
  for (let t = from; t < to; t++) {
    const b = t / bands, first = t % bands * tile, last = min(first + tile, H);
    const source = mask + (<usize>(b * h * w) << 2);
    let widened = -1; // the last row of the mask that is in the ring
    for (let y = first; y < last; y++) {
      const start = load<i32>(rowStarts + (<usize>y << 2));
      widened = fill(scratch, line, source, w, start, T, widened, columnStarts, columnWeights, U, W, words * WORD);
      const at = <usize>(b * H + y), weights = rowWeights + (<usize>(y * T) << 2);
      rowOf(bits + at * (<usize>words << 2), counts + (at << 3), scratch, line, start, weights, T, words, threshold, high, low);
    }
  }
}

/** The same tiles, of W columns of bytes [B, H, stride]. */
export function mask_bytes(
  bytes: usize, mask: usize, h: i32, w: i32, rowStarts: usize, rowWeights: usize, T: i32, columnStarts: usize, columnWeights: usize, U: i32,
  H: i32, W: i32, stride: i32, threshold: f32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const bands = (H + tile - 1) / tile, whole = (W + WORD - 1) / WORD * WORD;
  const line = <usize>whole << 2;
  for (let t = from; t < to; t++) {
    const b = t / bands, first = t % bands * tile, last = min(first + tile, H);
    const source = mask + (<usize>(b * h * w) << 2);
    let widened = -1;
    for (let y = first; y < last; y++) {
      const start = load<i32>(rowStarts + (<usize>y << 2));
      widened = fill(scratch, line, source, w, start, T, widened, columnStarts, columnWeights, U, W, whole);
      bytesOf(bytes + <usize>(b * H + y) * <usize>stride, scratch, line, start, rowWeights + (<usize>(y * T) << 2), T, W, threshold);
    }
  }
}

/** Widen the rows from `start` on that are not in the ring yet. Returns the last that is. */
function fill(
  ring: usize, line: usize, source: usize, w: i32, start: i32, T: i32, widened: i32, columnStarts: usize, columnWeights: usize, U: i32,
  W: i32, end: i32,
): i32 {
  for (let row = max(start, widened + 1); row < start + T; row++) {
    const to = ring + <usize>(row % T) * line, values = source + (<usize>(row * w) << 2);
    if (U == 2) widenByTwo(to, values, columnStarts, columnWeights, W, end);
    else widen(to, values, columnStarts, columnWeights, U, W, end);
  }
  return start + T - 1;
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

/** The same for U = 2, four columns at a time. */
function widenByTwo(to: usize, row: usize, starts: usize, weights: usize, W: i32, end: i32): void {
  const whole = W & ~3;
  for (let x = 0; x < whole; x += 4, to += 16, starts += 16, weights += 32) {
    const s0 = <usize>load<i32>(starts), s1 = <usize>load<i32>(starts, 4), s2 = <usize>load<i32>(starts, 8), s3 = <usize>load<i32>(starts, 12);
    const x01 = v128.load64_lane(row + (s1 << 2), v128.load64_zero(row + (s0 << 2)), 1);
    const x23 = v128.load64_lane(row + (s3 << 2), v128.load64_zero(row + (s2 << 2)), 1);
    const w01 = v128.load(weights), w23 = v128.load(weights, 16);
    const first = madd(v128.shuffle<f32>(w01, w23, 0, 2, 4, 6), v128.shuffle<f32>(x01, x23, 0, 2, 4, 6), f32x4.splat(0));
    v128.store(to, madd(v128.shuffle<f32>(w01, w23, 1, 3, 5, 7), v128.shuffle<f32>(x01, x23, 1, 3, 5, 7), first));
  }
  widen(to, row, starts, weights, 2, W - whole, end - whole);
}

function rowOf(
  bits: usize, counts: usize, ring: usize, line: usize, start: i32, weights: usize, T: i32, words: i32, threshold: f32, high: f32, low: f32,
): void {
  const middle = f32x4.splat(threshold), upper = f32x4.splat(high), lower = f32x4.splat(low);
  const row0 = ring + <usize>(start % T) * line, row1 = ring + <usize>((start + 1) % T) * line;
  const w0 = v128.load32_splat(weights), w1 = T > 1 ? v128.load32_splat(weights, 4) : f32x4.splat(0);
  let above = i32x4.splat(0), below = i32x4.splat(0);
  for (let word = 0, at: usize = 0; word < words; word++, bits += 4) {
    let set: u32 = 0;
    for (let shift = 0; shift < WORD; shift += 8, at += 32) {
      const x0 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at), x1 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at + 16);
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

function bytesOf(bytes: usize, ring: usize, line: usize, start: i32, weights: usize, T: i32, W: i32, threshold: f32): void {
  const limit = f32x4.splat(threshold), one = i8x16.splat(1);
  const row0 = ring + <usize>(start % T) * line, row1 = ring + <usize>((start + 1) % T) * line;
  const w0 = v128.load32_splat(weights), w1 = T > 1 ? v128.load32_splat(weights, 4) : f32x4.splat(0);
  for (let x = 0, at: usize = 0; x < W; x += 16, at += 64) {
    const x0 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at), x1 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at + 16);
    const x2 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at + 32), x3 = logits(row0, row1, w0, w1, ring, line, start, weights, T, at + 48);
    const low = i16x8.narrow_i32x4_s(f32x4.gt(x0, limit), f32x4.gt(x1, limit)), high = i16x8.narrow_i32x4_s(f32x4.gt(x2, limit), f32x4.gt(x3, limit));
    const set = v128.and(i8x16.narrow_i16x8_s(low, high), one);
    const to = bytes + <usize>x;
    if (x + 16 <= W) v128.store(to, set);
    else {
      const rest = ring + <usize>T * line;
      v128.store(rest, set);
      memory.copy(to, rest, W - x);
    }
  }
}

/** Four logits of a row. */
// @ts-ignore: decorator
@inline
function logits(
  row0: usize, row1: usize, w0: v128, w1: v128, ring: usize, line: usize, start: i32, weights: usize, T: i32, at: usize,
): v128 {
  let x = f32x4.mul(w0, v128.load(row0 + at));
  if (T > 1) x = madd(w1, v128.load(row1 + at), x);
  for (let t = 2; t < T; t++) {
    const row = ring + <usize>((start + t) % T) * line + at;
    x = madd(v128.load32_splat(weights + (<usize>t << 2)), v128.load(row), x);
  }
  return x;
}

// @ts-ignore: decorator
@inline
function lanes(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3);
}
