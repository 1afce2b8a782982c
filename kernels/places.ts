// o[b, r] = Σ_s p_s·x[b, s] with p = softmax over s of scale·q[b, r]·(x[b, s] + pe[s]): few queries, many places
//
// x [B, S, D] are values, and with their positions keys; pe [S, D]; q [B, R, D], packed for each b as a weight of R rows,
// R a multiple of 16; o [B, R, D]
//
// `attention_f32` packs a head's keys and values once for all its queries. Here are 64 queries, so packing took as long as a
// third of the products. So places are the rows: a block of them, read in place, is multiplied with the packed queries, and
// maxima and sums of softmax run down the columns. Positions are added on the way, so that keys are never stored. Weights are
// turned over then, as values are summed by rows of weights and panels of 16 columns of x.
//
// The places of a prompt are shared out in parts, so that several threads gain from a single click; `places_merge_f32` puts
// the parts' sums together. How many there are depends on S alone, and so do the bits.
//
// Versions, GFLOP/s for 64 queries, S = 4096, D = 256 in Node 26, processor time on one thread of an AMD Zen 4 that others kept
// busy: products alone, in the cache, reached 75:
// 1. a sum of x and pe, and `attention_f32`  51
// 2. as described                            67
import { copyColumns } from "./attention";
import { FREE, LINE, MR, ROWS, block, listRows, tileOf } from "./gemm";
import { EXP2_TABLE, at, exp2, exp2_f32x4, exponent } from "./math";

// @ts-ignore: decorator
@inline
const PLACES: i32 = 96; // of a block: with their positions, weights and panel they stay in the second-level cache

/** Bytes of scratch that R queries of D channels take. */
export function places_f32_scratch(D: i32, R: i32): usize {
  return FREE + (<usize>(PLACES * (D + 2 * R + 16) + 3 * R) << 2);
}

/**
 * Tiles are parts of `part` places of one prompt: sums of weighted places to sums [B, parts, R, D], maxima and sums of weights
 * to state [B, parts, 2, R]. `scale` makes exponents of 2.
 */
export function places_f32(
  sums: usize, state: usize, q: usize, x: usize, pe: usize, S: i32, D: i32, R: i32, scale: f32, part: i32, wide: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const parts = (S + part - 1) / part;
  const line = <usize>D << 2, columns = <usize>R << 2, turned = <usize>PLACES << 2;
  const placed = scratch + FREE;
  const scores = placed + <usize>PLACES * line;
  const weights = scores + <usize>PLACES * columns; // turned over: a row for each query
  const panel = weights + <usize>PLACES * columns;
  const shrink = panel + <usize>PLACES * LINE;
  const queries = shrink + columns; // addresses of rows of weights
  for (let r = 0; r < R; r++) store<u32>(queries + (<usize>r << 2), weights + <usize>r * turned);

  for (let t = from; t < to; t++) {
    const b = t / parts, first = t % parts * part, end = min(first + part, S);
    const sum = sums + <usize>(t * R) * line, maximum = state + <usize>t * 2 * columns, total = maximum + columns;
    memory.fill(sum, 0, <usize>R * line);
    memory.fill(total, 0, columns);
    for (let r: usize = 0; r < columns; r += 4) store<f32>(maximum + r, -Infinity);
    for (let s = first; s < end; s += PLACES) {
      const count = min(PLACES, end - s);
      const xs = x + <usize>(b * S + s) * line;
      place(placed, xs, pe + <usize>s * line, <usize>count * line);
      listRows(scratch + ROWS, placed, line, count);
      block(scores, columns, count, 0, R, q + <usize>(b * R) * line, 0, 0, 0, 0, R, D, wide, scratch);
      maxima(scores, columns, count, maximum, shrink, total, scale);
      if (s > first) shrinkRows(sum, line, shrink, R);
      weigh(scores, columns, count, maximum, total, scale);
      turn(weights, turned, scores, columns, count);
      for (let c: usize = 0; c < line; c += LINE) {
        copyColumns(panel, xs + c, line, count, 16);
        accumulate(sum + c, line, queries, panel, R, count, wide);
      }
    }
  }
}

/** Weights times a panel of 16 columns, added to the sums. R, a multiple of 4 from 16 on, is tiles of 6 and at most two of 4. */
export function accumulate(sum: usize, line: usize, queries: usize, panel: usize, R: i32, count: i32, wide: i32): void {
  for (let r = 0, height = MR; r < R; r += height) {
    height = R - r == 4 || R - r == 8 ? 4 : MR;
    const to = sum + <usize>r * line;
    tileOf(wide, height, to, line, to, line, queries + (<usize>r << 2), panel, LINE, count);
  }
}

/** y = x + pe */
export function place(y: usize, x: usize, pe: usize, bytes: usize): void {
  for (const end = y + bytes; y < end; y += 32, x += 32, pe += 32) {
    const y0 = f32x4.add(v128.load(x), v128.load(pe)), y1 = f32x4.add(v128.load(x, 16), v128.load(pe, 16));
    v128.store(y, y0);
    v128.store(y, y1, 16);
  }
}

/** The maxima of columns of scores and of those before, and by how much older sums shrink, of which `total` is one. */
export function maxima(scores: usize, columns: usize, count: i32, maximum: usize, shrink: usize, total: usize, scale: f32): void {
  const factor = f32x4.splat(scale);
  for (let r: usize = 0; r < columns; r += 32) {
    const b0 = v128.load(maximum + r), b1 = v128.load(maximum + r, 16);
    let m0 = b0, m1 = b1;
    for (let p = scores + r, end = p + <usize>count * columns; p < end; p += columns) {
      m0 = f32x4.pmax(m0, v128.load(p));
      m1 = f32x4.pmax(m1, v128.load(p, 16));
    }
    v128.store(maximum + r, m0);
    v128.store(maximum + r, m1, 16);
    const s0 = exp2(f32x4.mul(f32x4.sub(b0, m0), factor)), s1 = exp2(f32x4.mul(f32x4.sub(b1, m1), factor));
    v128.store(shrink + r, s0);
    v128.store(shrink + r, s1, 16);
    v128.store(total + r, f32x4.mul(v128.load(total + r), s0));
    v128.store(total + r, f32x4.mul(v128.load(total + r, 16), s1), 16);
  }
}

/** Each row of sums times its factor; most are 1 after the first blocks. */
export function shrinkRows(sum: usize, line: usize, shrink: usize, R: i32): void {
  for (let r = 0; r < R; r++, shrink += 4) {
    const end = sum + line;
    if (load<f32>(shrink) == 1) {
      sum = end;
      continue;
    }
    for (const factor = v128.load32_splat(shrink); sum < end; sum += 32) {
      const y0 = f32x4.mul(v128.load(sum), factor), y1 = f32x4.mul(v128.load(sum, 16), factor);
      v128.store(sum, y0);
      v128.store(sum, y1, 16);
    }
  }
}

/** Scores become weights, in place, which are added to the totals of their columns. */
export function weigh(scores: usize, columns: usize, count: i32, maximum: usize, total: usize, scale: f32): void {
  const low = at(EXP2_TABLE, 0), round = at(EXP2_TABLE, 1), c6 = at(EXP2_TABLE, 2), c5 = at(EXP2_TABLE, 3), c4 = at(EXP2_TABLE, 4);
  const c3 = at(EXP2_TABLE, 5), c2 = at(EXP2_TABLE, 6), c1 = at(EXP2_TABLE, 7), one = at(EXP2_TABLE, 8);
  const factor = f32x4.splat(scale);
  for (let r: usize = 0; r < columns; r += 32) {
    const m0 = v128.load(maximum + r), m1 = v128.load(maximum + r, 16);
    const o0 = f32x4.neg(f32x4.mul(m0, factor)), o1 = f32x4.neg(f32x4.mul(m1, factor));
    let t0 = v128.load(total + r), t1 = v128.load(total + r, 16);
    for (let p = scores + r, end = p + <usize>count * columns; p < end; p += columns) {
      const e0 = exp2_f32x4(exponent(v128.load(p), m0, factor, o0), low, round, c6, c5, c4, c3, c2, c1, one);
      const e1 = exp2_f32x4(exponent(v128.load(p, 16), m1, factor, o1), low, round, c6, c5, c4, c3, c2, c1, one);
      t0 = f32x4.add(t0, e0);
      t1 = f32x4.add(t1, e1);
      v128.store(p, e0);
      v128.store(p, e1, 16);
    }
    v128.store(total + r, t0);
    v128.store(total + r, t1, 16);
  }
}

/** Columns become rows; up to three values more than `count` are written. */
export function turn(to: usize, ldt: usize, from: usize, columns: usize, count: i32): void {
  for (let r: usize = 0; r < columns; r += 16, to += 4 * ldt) {
    let p = from + r, y = to;
    for (let j = 0; j < count; j += 4, p += 4 * columns, y += 16) {
      const a = v128.load(p), b = v128.load(p + columns), c = v128.load(p + 2 * columns), d = v128.load(p + 3 * columns);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const ef = v128.shuffle<f32>(a, b, 2, 6, 3, 7), gh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(y, v128.shuffle<f64>(ab, cd, 0, 2));
      v128.store(y + ldt, v128.shuffle<f64>(ab, cd, 1, 3));
      v128.store(y + 2 * ldt, v128.shuffle<f64>(ef, gh, 0, 2));
      v128.store(y + 3 * ldt, v128.shuffle<f64>(ef, gh, 1, 3));
    }
  }
}

/** Tiles are prompts: o[b, r] = Σ_p f_p·sums[b, p, r]/Σ_p f_p·total_p with f_p = 2^(scale·(m_p − max m)). */
export function places_merge_f32(
  o: usize, sums: usize, state: usize, parts: i32, R: i32, D: i32, scale: f32, scratch: usize, from: i32, to: i32,
): void {
  const line = <usize>D << 2, columns = <usize>R << 2, all = <usize>R * line;
  for (let b = from; b < to; b++) {
    const own = state + <usize>(b * parts) * 2 * columns;
    for (let r = 0; r < R; r++) {
      const at = own + (<usize>r << 2);
      let most: f32 = -Infinity, total: f32 = 0;
      for (let p = 0; p < parts; p++) most = max(most, load<f32>(at + <usize>p * 2 * columns));
      for (let p = 0; p < parts; p++) {
        const one = at + <usize>p * 2 * columns;
        const f = f32x4.extract_lane(exp2(f32x4.splat(scale * (load<f32>(one) - most))), 0);
        store<f32>(scratch + (<usize>p << 2), f);
        total += f * load<f32>(one + columns);
      }
      const share = f32x4.div(f32x4.splat(1), f32x4.splat(total));
      const sum = sums + <usize>(b * parts) * all + <usize>r * line, y = o + <usize>(b * R + r) * line;
      for (let c: usize = 0; c < line; c += 32) {
        let y0 = f32x4.splat(0), y1 = y0;
        for (let p = 0; p < parts; p++) {
          const f = v128.load32_splat(scratch + (<usize>p << 2)), part = sum + <usize>p * all + c;
          y0 = f32x4.add(y0, f32x4.mul(f, v128.load(part)));
          y1 = f32x4.add(y1, f32x4.mul(f, v128.load(part, 16)));
        }
        y0 = f32x4.mul(y0, share);
        y1 = f32x4.mul(y1, share);
        v128.store(y + c, y0);
        v128.store(y + c, y1, 16);
      }
    }
  }
}
