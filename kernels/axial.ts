// o = softmax(scale·s)·v over places that hold T memories each, whose keys are neither projected nor rotated: the query
// comes to them instead.
//
//   s[n, (p, t)] = qₙ·R_p(W·k_pt + b) = (Wᵀ·R_pᵀ·qₙ)·k_pt + b·R_pᵀ·qₙ
//
// The first half of the channels that R turns is turned by x, the second by y, so the bracket is u[n, p] = X[n, x] + Y[n, y]:
// a query is projected for each column and each row of the grid, not for each place, and a score is a sum over C channels
// instead of d. Memories without a place have R = 1.
//
// Around the middle m of an axis R turns as far to one side as to the other: with q turned back to m once, and one channel of
// the projection, W[2i], W[2i + 1],
//
//   X[m ± δ] = Σ_i cos(δθ_i)·(q_2i·W_2i + q_2i+1·W_2i+1) ± Σ_i sin(δθ_i)·(q_2i+1·W_2i − q_2i·W_2i+1)
//
// two products with the first rows of the table of angles, which are in proportion to the place: half the multiply-adds.
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
// The register tile alone, cycles a step of k; 6×16 is bound by its multiply-adds, the others by instructions, five a cycle:
// 7. 6×16 6.5, 5×16 5.7, 4×16 4.8, 3×16 4.3 (six chains, a multiply-add takes four); 7 maps are 4 + 3 rows
// 8. 4×24 and 3×24: 24 queries need one register more than there are, 16 and 5.6
// 9. 3×16 as two chains over even and odd k: 1 % of the whole
// 10. four steps a round: no change
// Shares then: scores 31 %, values 23, X + Y 15, X and Y 14, softmax 8, memories from the third-level cache 4. What is left by
// 11. the upper half of 256 bits stored before the lower: else V8 stores the lower half twice, as 128 bits and in the 256. It is
//    what made X + Y dear, 4.5 cycles a line; in gemm.ts and attention.ts it gains nothing                  0.70
// 12. X + Y in the tile instead of beforehand, 7×8                                                          0.66
// 13. X + Y in tiles of 4×16 and 3×16, which go through all places of a block; two steps a round            0.64
// 14. X and Y by halves; room for all of Y, 4 MB                                                            0.62
// 15. 2ˣ with its constants in registers; a score takes 1.1 cycles instead of 1.9                           0.56
// Node 24 0.56; without 256-bit code, as in browsers, 1.26 → 1.06, on Node 20 1.32 → 1.22; portable 1.90 → 1.54, on Node 20 1.99 → 1.71.
// Tiles that add X + Y, cycles a step of k for 16 columns:
// 16. 7×8 10.7: V8 computes an address for each load into all lanes that has an offset, 34 instructions a step. Four steps a round
//    by hand leave 21, and 9.9. 6×8 8.8, 4×8 7.9: no more than 4×16
// 17. 4×16 5.5, as a loop over places 5.4, and two steps a round 4.9, four 4.7; 3×16 4.8, 4.3, 4.3, 4.3; 5×16 6.5, 6.1, 5.6
// 18. 6×16 spills, 14; so does 3×16 at two places at once, twelve chains, 7.0 a place
// 19. four memories by one v128.load and a shuffle for each: V8 makes loads into all lanes of it again
// 20. on Node 20 4×8 spills one register in the loop over places, 16 instead of 12; a call a place there is 5 % faster, not kept
// 21. one source for the tile below and gemm.ts's, by a flag that asc drops: in Node 26 5 … 11 % slower on 256 places in the cache,
//    gemm.ts's 0 … 3 % slower; in Node 20 no change, both within 3 %. Not kept
// X read from the third-level cache costs nothing: always the same X is as slow. Blocks of 64, 126, 252, 448 memories: 0.60, 0.58,
// 0.56, 0.56; 48, 64, 96 queries: 0.60, 0.58, 0.56. Rows of values a line apart from another, so that they fall into all sets of
// the first-level cache: 0.58.
// Shares now: scores 44 %, values 36, X and Y 11, softmax 9. The multiply-adds alone would take 0.39.
// Memory attention of tiny with a full bank, one thread: 3360 → 2910 ms; a frame with four objects 2.43 times one with one object.
// Objects share X and Y of the first layer, 7 % of what one costs there: 1 % of a frame with four, not done.
import { LINE, evenShare } from "./gemm";
import { EXP2_TABLE, at, exp2, exp2_f32x4, exponent } from "./math";
import { madd } from "./simd";

/**
 * R = 1, 4 or 6 rows × 8 or 16 columns: c[r] = s[r] + Σ_k a[k, r]·b[k], accumulators in registers. a's rows are lda bytes apart,
 * those of b, c and, where lds is not 0, s a line.
 *
 * NB not gemm.ts's tile: there each row of a has an address of its own, since rows lie anywhere; here one address serves all. One
 * source for both is version 21; what six addresses cost is the difference of versions 1 and 2 in gemm.ts's diary.
 */
// @ts-ignore: decorator
@inline
function tile(wide: bool, R: i32, c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  let c00 = v128.load(s), c01 = v128.load(s, 16), c02 = c00, c03 = c00;
  if (wide) { c02 = v128.load(s, 32); c03 = v128.load(s, 48); }
  let c10 = c00, c11 = c00, c12 = c00, c13 = c00, c20 = c00, c21 = c00, c22 = c00, c23 = c00, c30 = c00, c31 = c00;
  let c32 = c00, c33 = c00, c40 = c00, c41 = c00, c42 = c00, c43 = c00, c50 = c00, c51 = c00, c52 = c00, c53 = c00;
  if (R > 1) {
    s += lds; c10 = v128.load(s); c11 = v128.load(s, 16);
    if (wide) { c12 = v128.load(s, 32); c13 = v128.load(s, 48); }
    s += lds; c20 = v128.load(s); c21 = v128.load(s, 16);
    if (wide) { c22 = v128.load(s, 32); c23 = v128.load(s, 48); }
    s += lds; c30 = v128.load(s); c31 = v128.load(s, 16);
    if (wide) { c32 = v128.load(s, 32); c33 = v128.load(s, 48); }
  }
  if (R > 4) {
    s += lds; c40 = v128.load(s); c41 = v128.load(s, 16);
    if (wide) { c42 = v128.load(s, 32); c43 = v128.load(s, 48); }
    s += lds; c50 = v128.load(s); c51 = v128.load(s, 16);
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
      x = v128.load32_splat(a, 4); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
      if (wide) { c12 = madd(x, b2, c12); c13 = madd(x, b3, c13); }
      x = v128.load32_splat(a, 8); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
      if (wide) { c22 = madd(x, b2, c22); c23 = madd(x, b3, c23); }
      x = v128.load32_splat(a, 12); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
      if (wide) { c32 = madd(x, b2, c32); c33 = madd(x, b3, c33); }
    }
    if (R > 4) {
      x = v128.load32_splat(a, 16); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
      if (wide) { c42 = madd(x, b2, c42); c43 = madd(x, b3, c43); }
      x = v128.load32_splat(a, 20); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
      if (wide) { c52 = madd(x, b2, c52); c53 = madd(x, b3, c53); }
    }
    a += lda;
  }
  v128.store(c, c01, 16); v128.store(c, c00);
  if (wide) { v128.store(c, c03, 48); v128.store(c, c02, 32); }
  if (R > 1) {
    v128.store(c, c11, 80); v128.store(c, c10, 64);
    if (wide) { v128.store(c, c13, 112); v128.store(c, c12, 96); }
    v128.store(c, c21, 144); v128.store(c, c20, 128);
    if (wide) { v128.store(c, c23, 176); v128.store(c, c22, 160); }
    v128.store(c, c31, 208); v128.store(c, c30, 192);
    if (wide) { v128.store(c, c33, 240); v128.store(c, c32, 224); }
  }
  if (R > 4) {
    v128.store(c, c41, 272); v128.store(c, c40, 256);
    if (wide) { v128.store(c, c43, 304); v128.store(c, c42, 288); }
    v128.store(c, c51, 336); v128.store(c, c50, 320);
    if (wide) { v128.store(c, c53, 368); v128.store(c, c52, 352); }
  }
}

/**
 * R = 1 … 4 rows × 8 or 16 columns of scores, at one place after another: s[r] = u[C] + Σ_c keys[c, r]·u[c] with u = x + y,
 * a line a channel. Rows of keys are ldk bytes apart; places follow each other in keys and x, and are lds apart in s.
 *
 * NB two steps a round for 256-bit code only, where the fourth row costs a tenth less; Node 20 spills.
 */
// @ts-ignore: decorator
@inline
function score(
  wide: bool, R: i32, s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  const last = y + <usize>C * LINE;
  for (; places > 0; places--, s += lds, x += LINE) {
    const end = x + <usize>C * LINE;
    let c00 = f32x4.add(v128.load(end), v128.load(last)), c01 = f32x4.add(v128.load(end, 16), v128.load(last, 16));
    let c02 = c00, c03 = c00;
    if (wide) { c02 = f32x4.add(v128.load(end, 32), v128.load(last, 32)); c03 = f32x4.add(v128.load(end, 48), v128.load(last, 48)); }
    let c10 = c00, c11 = c01, c12 = c02, c13 = c03, c20 = c00, c21 = c01, c22 = c02, c23 = c03;
    let c30 = c00, c31 = c01, c32 = c02, c33 = c03;
    let u0: v128, u1: v128, u2: v128, u3: v128, k: v128;
    for (let at = y; ;) {
      u0 = f32x4.add(v128.load(x), v128.load(at)); u1 = f32x4.add(v128.load(x, 16), v128.load(at, 16));
      u2 = wide ? f32x4.add(v128.load(x, 32), v128.load(at, 32)) : u0;
      u3 = wide ? f32x4.add(v128.load(x, 48), v128.load(at, 48)) : u1;
      k = v128.load32_splat(keys); c00 = madd(k, u0, c00); c01 = madd(k, u1, c01);
      if (wide) { c02 = madd(k, u2, c02); c03 = madd(k, u3, c03); }
      if (R > 1) {
        k = v128.load32_splat(keys, 4); c10 = madd(k, u0, c10); c11 = madd(k, u1, c11);
        if (wide) { c12 = madd(k, u2, c12); c13 = madd(k, u3, c13); }
      }
      if (R > 2) {
        k = v128.load32_splat(keys, 8); c20 = madd(k, u0, c20); c21 = madd(k, u1, c21);
        if (wide) { c22 = madd(k, u2, c22); c23 = madd(k, u3, c23); }
      }
      if (R > 3) {
        k = v128.load32_splat(keys, 12); c30 = madd(k, u0, c30); c31 = madd(k, u1, c31);
        if (wide) { c32 = madd(k, u2, c32); c33 = madd(k, u3, c33); }
      }
      x += LINE; at += LINE; keys += ldk;
      if (x == end) break;
      if (!wide) continue;
      u0 = f32x4.add(v128.load(x), v128.load(at)); u1 = f32x4.add(v128.load(x, 16), v128.load(at, 16));
      u2 = wide ? f32x4.add(v128.load(x, 32), v128.load(at, 32)) : u0;
      u3 = wide ? f32x4.add(v128.load(x, 48), v128.load(at, 48)) : u1;
      k = v128.load32_splat(keys); c00 = madd(k, u0, c00); c01 = madd(k, u1, c01);
      if (wide) { c02 = madd(k, u2, c02); c03 = madd(k, u3, c03); }
      if (R > 1) {
        k = v128.load32_splat(keys, 4); c10 = madd(k, u0, c10); c11 = madd(k, u1, c11);
        if (wide) { c12 = madd(k, u2, c12); c13 = madd(k, u3, c13); }
      }
      if (R > 2) {
        k = v128.load32_splat(keys, 8); c20 = madd(k, u0, c20); c21 = madd(k, u1, c21);
        if (wide) { c22 = madd(k, u2, c22); c23 = madd(k, u3, c23); }
      }
      if (R > 3) {
        k = v128.load32_splat(keys, 12); c30 = madd(k, u0, c30); c31 = madd(k, u1, c31);
        if (wide) { c32 = madd(k, u2, c32); c33 = madd(k, u3, c33); }
      }
      x += LINE; at += LINE; keys += ldk;
      if (x == end) break;
    }
    v128.store(s, c01, 16); v128.store(s, c00);
    if (wide) { v128.store(s, c03, 48); v128.store(s, c02, 32); }
    if (R > 1) {
      v128.store(s, c11, 80); v128.store(s, c10, 64);
      if (wide) { v128.store(s, c13, 112); v128.store(s, c12, 96); }
    }
    if (R > 2) {
      v128.store(s, c21, 144); v128.store(s, c20, 128);
      if (wide) { v128.store(s, c23, 176); v128.store(s, c22, 160); }
    }
    if (R > 3) {
      v128.store(s, c31, 208); v128.store(s, c30, 192);
      if (wide) { v128.store(s, c33, 240); v128.store(s, c32, 224); }
    }
  }
}

// Exported, or asc would inline them: see gemm.ts.
export function axial_f32_1x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 1, c, s, lds, a, lda, b, K);
}
export function axial_f32_4x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 4, c, s, lds, a, lda, b, K);
}
export function axial_f32_6x8(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(false, 6, c, s, lds, a, lda, b, K);
}
export function axial_f32_1x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 1, c, s, lds, a, lda, b, K);
}
export function axial_f32_4x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 4, c, s, lds, a, lda, b, K);
}
export function axial_f32_6x16(c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  tile(true, 6, c, s, lds, a, lda, b, K);
}
export function axial_scores_f32_1x8(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(false, 1, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_2x8(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(false, 2, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_3x8(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(false, 3, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_4x8(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(false, 4, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_1x16(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(true, 1, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_2x16(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(true, 2, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_3x16(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(true, 3, s, lds, keys, ldk, x, y, C, places);
}
export function axial_scores_f32_4x16(
  s: usize, lds: usize, keys: usize, ldk: usize, x: usize, y: usize, C: i32, places: i32,
): void {
  score(true, 4, s, lds, keys, ldk, x, y, C, places);
}

/** `rows` rows × 16 columns: sixes and fours, and ones where they are odd. */
function product(wide: i32, rows: i32, c: usize, s: usize, lds: usize, a: usize, lda: usize, b: usize, K: i32): void {
  for (let height = 0; rows > 0; rows -= height, c += <usize>height * LINE, s += <usize>height * lds, a += <usize>height << 2) {
    height = rows == 6 || rows > 9 ? 6 : rows > 3 ? 4 : 1;
    if (wide) {
      if (height == 6) axial_f32_6x16(c, s, lds, a, lda, b, K);
      else if (height == 4) axial_f32_4x16(c, s, lds, a, lda, b, K);
      else axial_f32_1x16(c, s, lds, a, lda, b, K);
    } else {
      for (let at: usize = 0; at < LINE; at += 32) {
        if (height == 6) axial_f32_6x8(c + at, s + at, lds, a, lda, b + at, K);
        else if (height == 4) axial_f32_4x8(c + at, s + at, lds, a, lda, b + at, K);
        else axial_f32_1x8(c + at, s + at, lds, a, lda, b + at, K);
      }
    }
  }
}

/** Scores of T memories at each of `places`: fours and threes if there are more than four. */
function scores(wide: i32, T: i32, s: usize, keys: usize, x: usize, y: usize, C: i32, places: i32): void {
  const lds = LINE * <usize>T, ldk = <usize>T << 2;
  for (let height = 0; T > 0; T -= height, s += <usize>height * LINE, keys += <usize>height << 2) {
    height = T < 5 ? T : T == 5 || T == 6 || T == 9 ? 3 : 4;
    if (wide) {
      if (height == 4) axial_scores_f32_4x16(s, lds, keys, ldk, x, y, C, places);
      else if (height == 3) axial_scores_f32_3x16(s, lds, keys, ldk, x, y, C, places);
      else if (height == 2) axial_scores_f32_2x16(s, lds, keys, ldk, x, y, C, places);
      else axial_scores_f32_1x16(s, lds, keys, ldk, x, y, C, places);
    } else {
      for (let at: usize = 0; at < LINE; at += 32) {
        if (height == 4) axial_scores_f32_4x8(s + at, lds, keys, ldk, x + at, y + at, C, places);
        else if (height == 3) axial_scores_f32_3x8(s + at, lds, keys, ldk, x + at, y + at, C, places);
        else if (height == 2) axial_scores_f32_2x8(s + at, lds, keys, ldk, x + at, y + at, C, places);
        else axial_scores_f32_1x8(s + at, lds, keys, ldk, x + at, y + at, C, places);
      }
    }
  }
}

/** Bytes of scratch that `panels` panels of queries and blocks of `block` places take. */
export function axial_attention_f32_scratch(d: i32, C: i32, W: i32, H: i32, T: i32, block: i32, panels: i32): usize {
  const shared = LINE * <usize>(1 + d + d + 2 * distances(max(W, H)) + block * T) + waveBytes(W, d) + waveBytes(H, d);
  return shared + LINE * <usize>(2 + C + (W + H + 1) * (C + 1)) * <usize>panels;
}

/** Tiles [from, to) of even shares of the panels of queries, which see `block` places at a time. */
export function axial_attention_f32(
  o: usize, q: usize, keys: usize, values: usize, loneKeys: usize, loneValues: usize, projection: usize, cos: usize, sin: usize,
  N: i32, d: i32, C: i32, W: i32, H: i32, T: i32, L: i32, scale: f32, block: i32, shares: i32, wide: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const ldc = <usize>C << 2, lda = <usize>d << 1; // bytes of a row of values, and of a place's angles
  const ldp = <usize>(C + 1) << 2, half = <usize>(d >> 1); // what turns with x; the rest turns with y
  const one = LINE * <usize>(C + 1); // bytes of X or Y at one place: C channels and what a score starts from
  const zeros = scratch, queries = zeros + LINE;
  const waves = queries + LINE * <usize>d, wavesY = waves + waveBytes(W, d), room = wavesY + waveBytes(H, d);
  const weights = room + LINE * <usize>(d + 2 * distances(max(W, H)));
  const first = weights + LINE * <usize>(block * T);
  // of 16 queries: running sums and maxima, accumulators, X of all columns, Y of all rows, Wᵀ·q for memories without a place
  const out: usize = 2 * LINE, atX = out + LINE * <usize>C, atY = atX + one * <usize>W, atU = atY + one * <usize>H;
  const size = atU + one;
  memory.fill(zeros, 0, LINE);
  tabulate(waves, cos, sin, lda, W, d);
  tabulate(wavesY, cos + <usize>d, sin + <usize>d, lda * <usize>W, H, d); // angles of y come second

  for (let t = from; t < to; t++) {
    const n0 = evenShare(N, 16, shares, t), end = first + size * <usize>((evenShare(N, 16, shares, t + 1) - n0) / 16);
    for (let panel = first, n = n0; panel < end; panel += size, n += 16) {
      columns(queries, q + <usize>n * (<usize>d << 2), d, min(16, N - n));
      start(panel, LINE * <usize>(C + 2));
      axis(wide, panel + atX, queries, projection, waves, W, d, C, zeros, room);
      axis(wide, panel + atY, queries + LINE * half, projection + ldp * half, wavesY, H, d, C, zeros, room);
      if (L) product(wide, C + 1, panel + atU, zeros, 0, projection, ldp, queries, d);
    }
    for (let l = 0; l < L; l += block * T) {
      const count = min(block * T, L - l), at = <usize>l << 2;
      for (let panel = first; panel < end; panel += size) {
        const u = panel + atU;
        product(wide, count, weights, u + LINE * <usize>C, 0, loneKeys + at, <usize>L << 2, u, C);
        softmax(weights, count, panel, scale, C);
        product(wide, C, panel + out, panel + out, LINE, loneValues + at * C, ldc, weights, count);
      }
    }
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x += block) {
        const places = min(block, W - x), at = <usize>((y * W + x) * T) * ldc;
        for (let panel = first; panel < end; panel += size) {
          const X = panel + atX + <usize>x * one, Y = panel + atY + <usize>y * one;
          scores(wide, T, weights, keys + at, X, Y, C, places);
          softmax(weights, places * T, panel, scale, C);
          product(wide, C, panel + out, panel + out, LINE, values + at, ldc, weights, places * T);
        }
      }
    }
    for (let panel = first, n = n0; panel < end; panel += size, n += 16) {
      divide(panel + out, panel, C);
      rows(o + <usize>n * ldc, panel + out, C, min(16, N - n));
    }
  }
}

/** How far positions of an axis may be from its middle, 0 included; one more where that is an odd number. */
function distances(n: i32): i32 {
  return n / 2 + 2 & ~1;
}

/** Bytes of the cosines and sines of an axis. */
function waveBytes(n: i32, d: i32): usize {
  return <usize>(distances(n) * (d >> 2)) << 3;
}

/** Cosines, then sines [d/4, distances] of the first positions of an axis, from rows that are ld bytes apart. */
function tabulate(to: usize, cos: usize, sin: usize, ld: usize, n: i32, d: i32): void {
  const bytes = waveBytes(n, d), row = <usize>distances(n) << 2;
  memory.fill(to, 0, bytes);
  for (const end = to + (<usize>(n / 2 + 1) << 2); to < end; to += 4, cos += ld, sin += ld) {
    for (let i: usize = 0; i < <usize>(d >> 2); i++) {
      store<f32>(to + i * row, load<f32>(cos + 4 * i));
      store<f32>(to + i * row + bytes / 2, load<f32>(sin + 4 * i));
    }
  }
}

/** X or Y of a panel: Wᵀ·Rᵀ·q at the n positions of an axis, half of R, of q and of W, as even and odd part around the middle. */
function axis(
  wide: i32, to: usize, q: usize, projection: usize, waves: usize, n: i32, d: i32, C: i32, zeros: usize, room: usize,
): void {
  const pairs = d >> 2, sines = waves + waveBytes(n, d) / 2, row = <usize>distances(n) << 2, ldp = <usize>(C + 1) << 2;
  const turned = room, a = turned + LINE * <usize>(2 * pairs), b = a + LINE * <usize>pairs;
  const even = b + LINE * <usize>pairs, odd = even + LINE * <usize>distances(n);
  const middle = <usize>(n / 2) << 2;
  turn(turned, turned + LINE, 2 * LINE, q, waves + middle, sines + middle, row, pairs);
  for (let c = 0; c <= C; c++, projection += 4, to += LINE) {
    turn(a, b, LINE, turned, projection, projection + ldp, 2 * ldp, pairs);
    product(wide, distances(n), even, zeros, 0, waves, row, a, pairs);
    product(wide, distances(n), odd, zeros, 0, sines, row, b, pairs);
    mirror(to, LINE * <usize>(C + 1), even, odd, n);
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

/** a = c·x₀ + s·x₁ and b = c·x₁ − s·x₀ of pairs of rows of x; results are lda bytes apart, factors `step`. */
function turn(a: usize, b: usize, lda: usize, x: usize, c: usize, s: usize, step: usize, pairs: i32): void {
  for (; pairs > 0; pairs--, a += lda, b += lda, x += 2 * LINE, c += step, s += step) {
    const p = v128.load32_splat(c), q = v128.load32_splat(s);
    const m = f32x4.neg(q);
    for (let at: usize = 0; at < LINE; at += 32) {
      const x0 = v128.load(x + at), x1 = v128.load(x + at, 16), y0 = v128.load(x + at, 64), y1 = v128.load(x + at, 80);
      v128.store(a + at, madd(y1, q, f32x4.mul(x1, p)), 16); v128.store(a + at, madd(y0, q, f32x4.mul(x0, p)));
      v128.store(b + at, madd(x1, m, f32x4.mul(y1, p)), 16); v128.store(b + at, madd(x0, m, f32x4.mul(y0, p)));
    }
  }
}

/** even + odd at the positions beyond the middle of an axis, even − odd at those before it. */
function mirror(to: usize, ld: usize, even: usize, odd: usize, n: i32): void {
  let after = to + ld * <usize>(n / 2), before = after;
  const end = to + ld * <usize>n;
  for (; before >= to; before -= ld, after += ld, even += LINE, odd += LINE) {
    for (let at: usize = 0; at < LINE; at += 32) {
      const e0 = v128.load(even + at), e1 = v128.load(even + at, 16), o0 = v128.load(odd + at), o1 = v128.load(odd + at, 16);
      v128.store(before + at, f32x4.sub(e1, o1), 16); v128.store(before + at, f32x4.sub(e0, o0));
      if (after < end) { v128.store(after + at, f32x4.add(e1, o1), 16); v128.store(after + at, f32x4.add(e0, o0)); }
    }
  }
}

/** Rows of scores become weights; sums, maxima and accumulators, which follow `running`, are kept up. */
function softmax(scores: usize, count: i32, running: usize, scale: f32, C: i32): void {
  const low = at(EXP2_TABLE, 0), round = at(EXP2_TABLE, 1), c6 = at(EXP2_TABLE, 2), c5 = at(EXP2_TABLE, 3), c4 = at(EXP2_TABLE, 4);
  const c3 = at(EXP2_TABLE, 5), c2 = at(EXP2_TABLE, 6), c1 = at(EXP2_TABLE, 7), one = at(EXP2_TABLE, 8);
  const factor = f32x4.splat(scale);
  const end = scores + LINE * <usize>count, last = running + LINE * <usize>(C + 2);
  for (const half = scores + 32; scores <= half; scores += 32, running += 32) {
    const before0 = v128.load(running, LINE), before1 = v128.load(running, LINE + 16);
    let top0 = before0, top1 = before1;
    for (let p = scores; p < end; p += LINE) {
      top0 = f32x4.pmax(top0, v128.load(p));
      top1 = f32x4.pmax(top1, v128.load(p, 16));
    }
    v128.store(running, top1, LINE + 16); v128.store(running, top0, LINE);
    const offset0 = f32x4.neg(f32x4.mul(top0, factor)), offset1 = f32x4.neg(f32x4.mul(top1, factor));
    let sum0 = v128.load(running), sum1 = v128.load(running, 16);
    if (v128.any_true(v128.or(f32x4.lt(before0, top0), f32x4.lt(before1, top1)))) {
      const shrink0 = exp2(exponent(before0, top0, factor, offset0)), shrink1 = exp2(exponent(before1, top1, factor, offset1));
      sum0 = f32x4.mul(sum0, shrink0);
      sum1 = f32x4.mul(sum1, shrink1);
      for (let p = running + 2 * LINE; p < last; p += LINE) {
        const x0 = f32x4.mul(v128.load(p), shrink0), x1 = f32x4.mul(v128.load(p, 16), shrink1);
        v128.store(p, x1, 16); v128.store(p, x0);
      }
    }
    for (let p = scores; p < end; p += LINE) {
      const x0 = exp2_f32x4(exponent(v128.load(p), top0, factor, offset0), low, round, c6, c5, c4, c3, c2, c1, one);
      const x1 = exp2_f32x4(exponent(v128.load(p, 16), top1, factor, offset1), low, round, c6, c5, c4, c3, c2, c1, one);
      sum0 = f32x4.add(sum0, x0);
      sum1 = f32x4.add(sum1, x1);
      v128.store(p, x1, 16); v128.store(p, x0);
    }
    v128.store(running, sum1, 16); v128.store(running, sum0);
  }
}

/** out /= sum */
function divide(out: usize, running: usize, C: i32): void {
  for (let at: usize = 0; at < LINE; at += 16) {
    const factor = f32x4.div(f32x4.splat(1), v128.load(running + at));
    for (let p = out + at, last = p + LINE * <usize>C; p < last; p += LINE) v128.store(p, f32x4.mul(v128.load(p), factor));
  }
}
