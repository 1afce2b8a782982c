// o = softmax(scale·s)·v over places that hold T memories each, whose keys are neither projected nor rotated: the query
// comes to them instead.
//
//   s[n, (p, t)] = qₙ·R_p(W·k_pt + b) = (Wᵀ·R_pᵀ·qₙ)·k_pt + b·R_pᵀ·qₙ
//
// The first half of the channels that R turns is turned by x, the second by y, so the bracket is u[n, p] = X[n, x] + Y[n, y]:
// a query is projected for each column and each row of the grid, not for each place, and a score is a sum over C channels
// instead of d. Memories without a place have R = 1.
//
// q [N, d], o [N, C]; projection [d, C + 1]: W and, as the last channel, b; cos, sin [W·H, d/2]
// keys [W·H, C, T], values [W·H, T, C]; of memories without a place: keys [C, L], values [L, C]
//
// A panel is a matrix of 16 columns, one for each of 16 queries. All products are c[rows, 16] = s + a[K, rows]ᵀ·b[K, 16], a
// memory or the weights on the left, so maxima and sums of the softmax run down the columns without a shuffle.
//
// Versions, one thread of an AMD Zen 4 (118 GFLOP/s with 256-bit code, 59 without), Node 26; one layer of tiny with 7 maps: 4096
// queries, 28,736 keys, d = 256, C = 64. kernels/attention.ts with projected, rotated keys takes 770 ms (98 GFLOP/s). What is
// left of it by
// 1. 16 queries a tile: memories come from the third-level cache for each                               1.0
// 2. 48 queries                                                                                         0.83
// 3. a word of each line of a block read ahead                                                          0.79
// 4. 96 queries, though their X does not fit in the second-level cache: it is read in order             0.76
// 5. blocks of 256 instead of 64 keys                                                                   0.73
// 6. without 3, which 4 makes useless                                                                   0.73
// Node 24 0.76, Node 20 (128-bit code) 0.70, portable on Node 20 0.46.
// The register tile alone, cycles a step of k; 6×16 is bound by its multiply-adds, the others by instructions, five a cycle:
// 7. 6×16 6.5, 5×16 5.7, 4×16 4.8, 3×16 4.3; 7 maps are 4 + 3 rows
// 8. 4×24 and 3×24: 24 queries need one register more than there are, 16 and 5.6
// 9. X + Y added in the tile instead of beforehand: 4×16 6.9, 3×16 6.1; as slow as `add`, which V8 stores twice
// 10. 3×16 as two chains over even and odd k: 1 % of the whole
// 11. four steps a round: no change
// Shares: scores 31 %, values 23, X + Y 15, X and Y 14, softmax 8, memories from the third-level cache 4.
// A tracked frame of tiny with a full bank, both forms on a busy machine: an object takes 0.8 of the time, four objects 2.43
// instead of 2.61 times that of one.
// Not tried: X[x₀ ± δ] as the sum and the difference of two products, which would halve X and Y.
import { LINE } from "./gemm";
import { exp_f32x4 } from "./math";
import { madd } from "./simd";

/**
 * R rows × 8 or 16 columns: c[r] = s[r] + Σ_k a[k, r]·b[k], accumulators in registers. a's rows are lda bytes apart, those
 * of b, c and, where lds is not 0, s a line.
 */
// @ts-ignore: decorator
@inline
function tile(wide: bool, R: i32, c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  let c00 = v128.load(s), c01 = v128.load(s, 16), c02 = c00, c03 = c00;
  if (wide) { c02 = v128.load(s, 32); c03 = v128.load(s, 48); }
  s += lds;
  let c10 = c00, c11 = c00, c12 = c00, c13 = c00, c20 = c00, c21 = c00, c22 = c00, c23 = c00, c30 = c00, c31 = c00;
  let c32 = c00, c33 = c00, c40 = c00, c41 = c00, c42 = c00, c43 = c00, c50 = c00, c51 = c00, c52 = c00, c53 = c00;
  if (R > 1) {
    c10 = v128.load(s); c11 = v128.load(s, 16);
    if (wide) { c12 = v128.load(s, 32); c13 = v128.load(s, 48); }
    s += lds;
  }
  if (R > 2) {
    c20 = v128.load(s); c21 = v128.load(s, 16);
    if (wide) { c22 = v128.load(s, 32); c23 = v128.load(s, 48); }
    s += lds;
  }
  if (R > 3) {
    c30 = v128.load(s); c31 = v128.load(s, 16);
    if (wide) { c32 = v128.load(s, 32); c33 = v128.load(s, 48); }
    s += lds;
  }
  if (R > 4) {
    c40 = v128.load(s); c41 = v128.load(s, 16);
    if (wide) { c42 = v128.load(s, 32); c43 = v128.load(s, 48); }
    s += lds;
  }
  if (R > 5) {
    c50 = v128.load(s); c51 = v128.load(s, 16);
    if (wide) { c52 = v128.load(s, 32); c53 = v128.load(s, 48); }
  }
  for (const end = b + <usize>K * LINE; b < end; b += LINE) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let b2 = b0, b3 = b0;
    if (wide) { b2 = v128.load(b, 32); b3 = v128.load(b, 48); }
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    if (wide) { c02 = madd(x, b2, c02); c03 = madd(x, b3, c03); }
    if (R > 1) {
      x = v128.load32_splat(a, 4);
      c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
      if (wide) { c12 = madd(x, b2, c12); c13 = madd(x, b3, c13); }
    }
    if (R > 2) {
      x = v128.load32_splat(a, 8);
      c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
      if (wide) { c22 = madd(x, b2, c22); c23 = madd(x, b3, c23); }
    }
    if (R > 3) {
      x = v128.load32_splat(a, 12);
      c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
      if (wide) { c32 = madd(x, b2, c32); c33 = madd(x, b3, c33); }
    }
    if (R > 4) {
      x = v128.load32_splat(a, 16);
      c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
      if (wide) { c42 = madd(x, b2, c42); c43 = madd(x, b3, c43); }
    }
    if (R > 5) {
      x = v128.load32_splat(a, 20);
      c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
      if (wide) { c52 = madd(x, b2, c52); c53 = madd(x, b3, c53); }
    }
    a += lda;
  }
  v128.store(c, c00); v128.store(c, c01, 16);
  if (wide) { v128.store(c, c02, 32); v128.store(c, c03, 48); }
  if (R > 1) {
    v128.store(c, c10, 64); v128.store(c, c11, 80);
    if (wide) { v128.store(c, c12, 96); v128.store(c, c13, 112); }
  }
  if (R > 2) {
    v128.store(c, c20, 128); v128.store(c, c21, 144);
    if (wide) { v128.store(c, c22, 160); v128.store(c, c23, 176); }
  }
  if (R > 3) {
    v128.store(c, c30, 192); v128.store(c, c31, 208);
    if (wide) { v128.store(c, c32, 224); v128.store(c, c33, 240); }
  }
  if (R > 4) {
    v128.store(c, c40, 256); v128.store(c, c41, 272);
    if (wide) { v128.store(c, c42, 288); v128.store(c, c43, 304); }
  }
  if (R > 5) {
    v128.store(c, c50, 320); v128.store(c, c51, 336);
    if (wide) { v128.store(c, c52, 352); v128.store(c, c53, 368); }
  }
}

// Exported, or asc would inline them: see gemm.ts.
export function axial_f32_1x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 1, c, s, lds, a, lda, b, K);
}
export function axial_f32_2x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 2, c, s, lds, a, lda, b, K);
}
export function axial_f32_3x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 3, c, s, lds, a, lda, b, K);
}
export function axial_f32_4x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 4, c, s, lds, a, lda, b, K);
}
export function axial_f32_5x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 5, c, s, lds, a, lda, b, K);
}
export function axial_f32_6x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 6, c, s, lds, a, lda, b, K);
}
export function axial_f32_1x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 1, c, s, lds, a, lda, b, K);
}
export function axial_f32_2x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 2, c, s, lds, a, lda, b, K);
}
export function axial_f32_3x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 3, c, s, lds, a, lda, b, K);
}
export function axial_f32_4x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 4, c, s, lds, a, lda, b, K);
}
export function axial_f32_5x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 5, c, s, lds, a, lda, b, K);
}
export function axial_f32_6x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 6, c, s, lds, a, lda, b, K);
}

/** `rows` rows × 16 columns, in even tiles of at most 6 rows. */
function product(wide: i32, rows: i32, c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  const tiles = (rows + 5) / 6, even = (rows + tiles - 1) / tiles;
  for (let row = 0; row < rows; row += even, c += <usize>even * LINE, s += <usize>even * lds, a += <usize>even << 2) {
    const height = min(even, rows - row);
    if (wide) {
      if (height == 6) axial_f32_6x16(c, s, lds, a, lda, b, K);
      else if (height == 5) axial_f32_5x16(c, s, lds, a, lda, b, K);
      else if (height == 4) axial_f32_4x16(c, s, lds, a, lda, b, K);
      else if (height == 3) axial_f32_3x16(c, s, lds, a, lda, b, K);
      else if (height == 2) axial_f32_2x16(c, s, lds, a, lda, b, K);
      else axial_f32_1x16(c, s, lds, a, lda, b, K);
    } else {
      for (let at: usize = 0; at < LINE; at += 32) {
        if (height == 6) axial_f32_6x8(c + at, s + at, lds, a, lda, b + at, K);
        else if (height == 5) axial_f32_5x8(c + at, s + at, lds, a, lda, b + at, K);
        else if (height == 4) axial_f32_4x8(c + at, s + at, lds, a, lda, b + at, K);
        else if (height == 3) axial_f32_3x8(c + at, s + at, lds, a, lda, b + at, K);
        else if (height == 2) axial_f32_2x8(c + at, s + at, lds, a, lda, b + at, K);
        else axial_f32_1x8(c + at, s + at, lds, a, lda, b + at, K);
      }
    }
  }
}

/** Tiles [from, to) of `most` panels of queries, which see `block` places at a time. */
export function axial_attention_f32(
  o: usize, q: usize, keys: usize, values: usize, loneKeys: usize, loneValues: usize, projection: usize, cos: usize, sin: usize,
  N: i32, d: i32, C: i32, W: i32, H: i32, T: i32, L: i32, scale: f32, block: i32, most: i32, wide: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const ldc = <usize>C << 2, lda = <usize>d << 1; // bytes of a row of values, and of a place's angles
  const ldp = <usize>(C + 1) << 2, lower = projection + ldp * <usize>(d >> 1); // the part of the projection that turns with y
  const one = LINE * <usize>(C + 1); // bytes of X or Y at one place: C channels and what a score starts from
  const zeros = scratch, u = zeros + LINE, bias = u + LINE * <usize>C, turned = u + one;
  const scores = turned + LINE * <usize>(d >> 1);
  const first = scores + LINE * <usize>(block * T);
  // a panel of queries, then their running sums and maxima, accumulators, Y, and X of all columns
  const run = LINE * <usize>d, out = run + 2 * LINE, atY = out + LINE * <usize>C, atX = atY + one, size = atX + one * <usize>W;
  memory.fill(zeros, 0, LINE);

  for (let t = from; t < to; t++) {
    const n0 = t * 16 * most, end = first + size * <usize>min(most, (N - n0 + 15) / 16);
    for (let panel = first, n = n0; panel < end; panel += size, n += 16) {
      columns(panel, q + <usize>n * (<usize>d << 2), d, min(16, N - n));
      start(panel + run, LINE * <usize>(C + 2));
      for (let x = 0; x < W; x++) {
        turn(turned, panel, cos + <usize>x * lda, sin + <usize>x * lda, d >> 2);
        product(wide, C + 1, panel + atX + <usize>x * one, zeros, 0, projection, ldp, turned, d >> 1);
      }
      if (L) product(wide, C + 1, u, zeros, 0, projection, ldp, panel, d);
      for (let l = 0; l < L; l += block * T) {
        const count = min(block * T, L - l), at = <usize>l << 2;
        product(wide, count, scores, bias, 0, loneKeys + at, <usize>L << 2, u, C);
        softmax(scores, count, panel + run, scale, C);
        product(wide, C, panel + out, panel + out, LINE, loneValues + at * C, ldc, scores, count);
      }
    }
    for (let y = 0; y < H; y++) {
      const angles = <usize>(y * W) * lda + <usize>d; // those that depend on y come second
      for (let panel = first; panel < end; panel += size) {
        turn(turned, panel + LINE * <usize>(d >> 1), cos + angles, sin + angles, d >> 2);
        product(wide, C + 1, panel + atY, zeros, 0, lower, ldp, turned, d >> 1);
      }
      for (let x = 0; x < W; x += block) {
        const places = min(block, W - x), at = <usize>((y * W + x) * T) * ldc;
        for (let panel = first; panel < end; panel += size) {
          for (let p = 0; p < places; p++) {
            add(u, panel + atX + <usize>(x + p) * one, panel + atY, one);
            const key = keys + at + <usize>(p * T) * ldc;
            product(wide, T, scores + LINE * <usize>(p * T), bias, 0, key, <usize>T << 2, u, C);
          }
          softmax(scores, places * T, panel + run, scale, C);
          product(wide, C, panel + out, panel + out, LINE, values + at, ldc, scores, places * T);
        }
      }
    }
    for (let panel = first, n = n0; panel < end; panel += size, n += 16) {
      divide(panel + out, panel + run, C);
      rows(o + <usize>n * ldc, panel + out, C, min(16, N - n));
    }
  }
}

/** Up to 16 rows of K values, adjacent, as columns of a panel; the other columns are 0. */
function columns(to: usize, from: usize, K: i32, count: i32): void {
  memory.fill(to, 0, LINE * <usize>K);
  for (let j = 0; j < count; j++) {
    const end = to + LINE * <usize>K;
    for (let p = to + (<usize>j << 2); p < end; p += LINE, from += 4) store<f32>(p, load<f32>(from));
  }
}

/** The first columns of a panel as rows of K values. */
function rows(to: usize, from: usize, K: i32, count: i32): void {
  for (let j = 0; j < count; j++) {
    const end = from + LINE * <usize>K;
    for (let p = from + (<usize>j << 2); p < end; p += LINE, to += 4) store<f32>(to, load<f32>(p));
  }
}

/** No sum, no maximum, nothing accumulated. */
function start(running: usize, bytes: usize): void {
  memory.fill(running, 0, bytes);
  for (let at: usize = LINE; at < 2 * LINE; at += 4) store<f32>(running + at, -Infinity);
}

/** Rᵀ·x: pairs of rows turned back. */
function turn(to: usize, x: usize, cos: usize, sin: usize, pairs: i32): void {
  for (; pairs > 0; pairs--, cos += 4, sin += 4, x += 2 * LINE, to += 2 * LINE) {
    const c = v128.load32_splat(cos), s = v128.load32_splat(sin);
    const m = f32x4.neg(s);
    for (let at: usize = 0; at < LINE; at += 32) {
      const a0 = v128.load(x + at), a1 = v128.load(x + at, 16), b0 = v128.load(x + at, 64), b1 = v128.load(x + at, 80);
      v128.store(to + at, madd(b0, s, f32x4.mul(a0, c))); v128.store(to + at, madd(b1, s, f32x4.mul(a1, c)), 16);
      v128.store(to + at, madd(a0, m, f32x4.mul(b0, c)), 64); v128.store(to + at, madd(a1, m, f32x4.mul(b1, c)), 80);
    }
  }
}

/** c = a + b, X + Y at one place */
function add(c: usize, a: usize, b: usize, bytes: usize): void {
  for (const end = c + bytes; c < end; c += LINE, a += LINE, b += LINE) {
    const x0 = f32x4.add(v128.load(a), v128.load(b)), x1 = f32x4.add(v128.load(a, 16), v128.load(b, 16));
    const x2 = f32x4.add(v128.load(a, 32), v128.load(b, 32)), x3 = f32x4.add(v128.load(a, 48), v128.load(b, 48));
    v128.store(c, x0); v128.store(c, x1, 16); v128.store(c, x2, 32); v128.store(c, x3, 48);
  }
}

/** Rows of scores become weights; sums, maxima and accumulators, which follow `running`, are kept up. */
function softmax(scores: usize, count: i32, running: usize, scale: f32, C: i32): void {
  const factor = f32x4.splat(scale), out = running + 2 * LINE;
  const end = scores + LINE * <usize>count;
  for (let at: usize = 0; at < LINE; at += 32) {
    const sums = running + at;
    const before0 = v128.load(sums, LINE), before1 = v128.load(sums, LINE + 16);
    let top0 = before0, top1 = before1;
    for (let p = scores + at; p < end; p += LINE) {
      top0 = f32x4.pmax(top0, v128.load(p));
      top1 = f32x4.pmax(top1, v128.load(p, 16));
    }
    v128.store(sums, top0, LINE); v128.store(sums, top1, LINE + 16);
    const risen0 = f32x4.sub(before0, top0), risen1 = f32x4.sub(before1, top1);
    const offset0 = f32x4.neg(f32x4.mul(top0, factor)), offset1 = f32x4.neg(f32x4.mul(top1, factor));
    let sum0 = v128.load(sums), sum1 = v128.load(sums, 16);
    if (v128.any_true(f32x4.lt(f32x4.pmin(risen0, risen1), f32x4.splat(0)))) {
      const shrink0 = exp_f32x4(f32x4.mul(risen0, factor)), shrink1 = exp_f32x4(f32x4.mul(risen1, factor));
      sum0 = f32x4.mul(sum0, shrink0);
      sum1 = f32x4.mul(sum1, shrink1);
      for (let p = out + at, last = p + LINE * <usize>C; p < last; p += LINE) {
        const x0 = f32x4.mul(v128.load(p), shrink0), x1 = f32x4.mul(v128.load(p, 16), shrink1);
        v128.store(p, x0); v128.store(p, x1, 16);
      }
    }
    for (let p = scores + at; p < end; p += LINE) {
      const x0 = exp_f32x4(madd(v128.load(p), factor, offset0)), x1 = exp_f32x4(madd(v128.load(p, 16), factor, offset1));
      sum0 = f32x4.add(sum0, x0);
      sum1 = f32x4.add(sum1, x1);
      v128.store(p, x0); v128.store(p, x1, 16);
    }
    v128.store(sums, sum0); v128.store(sums, sum1, 16);
  }
}

/** out /= sum */
function divide(out: usize, running: usize, C: i32): void {
  for (let at: usize = 0; at < LINE; at += 16) {
    const factor = f32x4.div(f32x4.splat(1), v128.load(running + at));
    for (let p = out + at, last = p + LINE * <usize>C; p < last; p += LINE) v128.store(p, f32x4.mul(v128.load(p), factor));
  }
}
