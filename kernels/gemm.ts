// C[M,N] = residual + activation(bias[N] + A[M,K]·B[N,K]ᵀ); every sum is one chain over k ascending that starts at bias.
//
// A  [M, K] row-major, any row stride, or any rows by a table of row numbers; never copied
// B  [⌈N/16⌉, K, 16]: panels of 16 output channels, packed once when weights load
// C  [M, N] row-major, any row stride
//
// Tiles 1, 2 and 4 can be run in turns: npm run bench -- --history.
// Versions, GFLOP/s in Node 20 / Node 26 with 256-bit code, fma build, one thread of an AMD Zen 5 whose registers reach
// 62 / 126. The tile alone, its operands in the first-level cache:
// 1. A packed by 6 rows: 6×8 tile 61 / 91, 6×16 tile                                                 47 / 120
// 2. A read in place by six row pointers, so that nothing is packed: 6×8 59 / 81, 6×16               45 / 120
// 3. two or four steps of k a round: asc -O3 nests their sums, so all loads come first and V8 spills      50 / 84
// 4. the same with a way out of the loop after each step, which keeps them apart; 6×16 only, as Node 20 falls to 10
// Whole products:
// 5. blocks of 96 rows × all columns, a panel of B in the first-level cache, A in the second: K = 384 58 / 116
// 6. K in blocks of 256 or 384, sums kept in C meanwhile: no faster for any K up to 3072, so one block
// 7. the loop over k ends by an address instead of a counter, one instruction less: K = 96           58 / 120 → 124
// 8. f32x4.pmax for relu: f32x4.max is eight instructions
// 9. gelu of both halves before both stores, or V8 does not join them: K = 96                        41 / 68 → 81
// 10. activation and residual on a strip of 96 rows at once instead of a tile: K = 96, relu           53 → 48 / 109 → 94,
//    as nothing is left to do while C's lines come from memory
// 11. the residual's rows asked for before the tile: slower (93 → 68); copied before the tile: no gain
// Intel Xeon (Sapphire Rapids class: vector and integer operations share ports), Node 24, of 131 with 256-bit code, data in the
// first- and second-level cache, K = 96 / 384 / 1536:
// 2. 106 / 112 / 102: ten integer operations a step compete with twelve multiply-adds for ports
// 4. 112 / 117 / 113; two steps a round 110 / 113 / 108, eight 112 / 117 / 111
// Whole products there, weighted over bench/gemm.ts, on a machine busy with other work:
// 12. version 4: 61 → 65 % of the peak; columns of a block 384 → 768 where K < 1024, else rows 96 → 192: 69 → 70
// 13. the rows of A and of the residual read ahead, a word a line, when a block begins: 65.6 → 67.3; K = 384 with residual 58 → 67
// With A and C in the cache the first qkv of stage 2 is 20 % faster: what is left there is memory, 12 GB/s.
// AMD Zen 4 (32 KB, 1 MB a core), % of 118 in Node 26 with 256-bit code / of 59 in Node 20, best of many runs:
// 14. gelu of 14 operations, constants in registers, from scratch straight to C: K = 96 43 → 79 / 66 → 81, 384 76 → 88 / 84 → 90
// 15. 96 instead of 192 rows for K ≥ 1024, as those leave the second-level cache, and not read ahead: K = 1536 89 → 93
// 16. a tile that adds the residual before it stores: at most 1 more in whole products, but 88 → 42 in Node 20; not kept
// 17. the next block's rows read during this one's tiles, a few lines at a time: K = 384 with residual 81 → 72, others −1 … −5:
//    multiply-adds wait behind the reads. Nothing read ahead: K = 96 92 → 89, K = 384 with residual 81 → 74
// 18. the tile of 4 rows for what is left of a block, and products of up to 96 rows in tiles of 2¹⁸ multiply-adds, so that a
//    second thread gains: 8×256×2048 with one / two threads 230 / 215 → 217 / 124 µs, most of it weights on their way from memory
// 19. rows of C in groups: the decoder's transposed convolutions write their cells and add the fine features at once, where a
//    copy and a sum followed: 9.7 → 9.7 ms with one thread, 5.5 → 5.0 with two, as less goes through memory, which both share
// 20. blocks of 48 or 24 rows where 96 make few tiles, fewer tiles at a time: with two threads the same or 2 % slower
// 21. blocks of 48 rows for the 6×8 tile, whose rows of A then stay in the first-level cache: Node 20, K = 96 without gelu 90 → 94,
//    192 92 → 94, 768 and more 1 … 2 more, the rest unchanged; 6×16 no change for K ≤ 192, deeper ones with residual −1
// 22. the 6×8 loop two or four steps a round, with a way out after each: Node 20 spills, 90 → 65 / 52
// 23. mlp.0 and mlp.1 for some 192 rows at a time, so that what is between them stays in the second-level cache: stage 1 of the
//    encoder in Node 26 104 → 99 ms, stage 2 94 → 92, stage 3 90 → 95 (its weights no longer stay); Node 20 193 → 190, 180 → 179,
//    177 → 182. 0.4 % of the encoder at best, not kept
// Intel Xeon (Emerald Rapids class, 2 MB a core), two threads, Node 26, EdgeTAM:
// 24. rows in even shares, a multiple of four of them, instead of blocks of 96 with a rest, and the last tiles one by one: 1024 rows
//    10 % more, 256 rows 25 %, 4096 and more no change
// 25. both products of an MLP for up to 96 rows at a time, as 23: trunk 296 → 277 ms, at 512 81 → 72; the MLP of memory attention
//    116 → 111
// In the cache K = 96 / 384 / 1536 reach 94 / 96 / 98 here, K = 96 with gelu 82. Reading A from memory costs 2, and 15 where
// N is only 96; writing C 1 … 3. (A store that V8 joins comes with one of its first half: what a trap must leave behind.)
import { GELU_TABLE, at, gelu_by } from "./math";
import { madd } from "./simd";

// @ts-ignore: decorator
@inline
export const MR: i32 = 6; // rows of a register tile
// @ts-ignore: decorator
@inline
export const LINE: usize = 64; // bytes of a row of a panel: 16 columns

// Scratch of a thread: a panel's bias, a tile whose sums are not in C yet, addresses of rows of A, and what is free.
// @ts-ignore: decorator
@inline
const BIAS: usize = 0;
// @ts-ignore: decorator
@inline
const SUM: usize = 64;
// @ts-ignore: decorator
@inline
export const ROWS: usize = 448;
// @ts-ignore: decorator
@inline
export const FREE: usize = 4096;

// @ts-ignore: decorator
@inline
const RELU: i32 = 1;
// @ts-ignore: decorator
@inline
const GELU: i32 = 2;

/**
 * R = 4 or 6 rows × 8 or 16 columns: c = s + Σ_k a[row, k]·b[k, :], the accumulators kept in registers. `rows` points at the
 * row addresses of A. `s` is the bias (lds = 0) or C itself. K ≥ 1.
 *
 * NB the last two rows begin by `R > 4 ? … : …`. Begun as copies and replaced in an `if`, which asc drops as well, they made
 * the product of K = 96 12 % slower in Node 26.
 */
// @ts-ignore: decorator
@inline
function tile(wide: bool, R: i32, c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  let a0: usize = load<u32>(rows), a1: usize = load<u32>(rows, 4), a2: usize = load<u32>(rows, 8);
  let a3: usize = load<u32>(rows, 12);
  let a4 = R > 4 ? <usize>load<u32>(rows, 16) : a3, a5 = R > 4 ? <usize>load<u32>(rows, 20) : a3;
  let c00 = v128.load(s), c01 = v128.load(s, 16), c02 = c00, c03 = c00;
  if (wide) { c02 = v128.load(s, 32); c03 = v128.load(s, 48); }
  s += lds;
  let c10 = v128.load(s), c11 = v128.load(s, 16), c12 = c10, c13 = c10;
  if (wide) { c12 = v128.load(s, 32); c13 = v128.load(s, 48); }
  s += lds;
  let c20 = v128.load(s), c21 = v128.load(s, 16), c22 = c20, c23 = c20;
  if (wide) { c22 = v128.load(s, 32); c23 = v128.load(s, 48); }
  s += lds;
  let c30 = v128.load(s), c31 = v128.load(s, 16), c32 = c30, c33 = c30;
  if (wide) { c32 = v128.load(s, 32); c33 = v128.load(s, 48); }
  s += lds;
  let c40 = R > 4 ? v128.load(s) : c30, c41 = R > 4 ? v128.load(s, 16) : c30, c42 = c40, c43 = c40;
  if (wide && R > 4) { c42 = v128.load(s, 32); c43 = v128.load(s, 48); }
  s += lds;
  let c50 = R > 4 ? v128.load(s) : c30, c51 = R > 4 ? v128.load(s, 16) : c30, c52 = c50, c53 = c50;
  if (wide && R > 4) { c52 = v128.load(s, 32); c53 = v128.load(s, 48); }
  const end = a0 + (<usize>K << 2);
  if (wide) {
    // Four steps a round. Without a branch between them asc -O3 would gather the loads of all four, and V8 spill sums.
    const end1 = end - 4, end2 = end - 8, end3 = end - 12;
    let b0: v128, b1: v128, b2: v128, b3: v128, x: v128;
    for (;;) {
      b0 = v128.load(b); b1 = v128.load(b, 16); b2 = v128.load(b, 32); b3 = v128.load(b, 48);
      b += ldb;
      x = v128.load32_splat(a0); c00 = madd(x, b0, c00); c01 = madd(x, b1, c01); c02 = madd(x, b2, c02); c03 = madd(x, b3, c03);
      x = v128.load32_splat(a1); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); c12 = madd(x, b2, c12); c13 = madd(x, b3, c13);
      x = v128.load32_splat(a2); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); c22 = madd(x, b2, c22); c23 = madd(x, b3, c23);
      x = v128.load32_splat(a3); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); c32 = madd(x, b2, c32); c33 = madd(x, b3, c33);
      if (R > 4) {
        x = v128.load32_splat(a4); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41); c42 = madd(x, b2, c42); c43 = madd(x, b3, c43);
        x = v128.load32_splat(a5); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51); c52 = madd(x, b2, c52); c53 = madd(x, b3, c53);
      }
      if (a0 == end1) break;
      b0 = v128.load(b); b1 = v128.load(b, 16); b2 = v128.load(b, 32); b3 = v128.load(b, 48);
      b += ldb;
      x = v128.load32_splat(a0, 4); c00 = madd(x, b0, c00); c01 = madd(x, b1, c01); c02 = madd(x, b2, c02); c03 = madd(x, b3, c03);
      x = v128.load32_splat(a1, 4); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); c12 = madd(x, b2, c12); c13 = madd(x, b3, c13);
      x = v128.load32_splat(a2, 4); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); c22 = madd(x, b2, c22); c23 = madd(x, b3, c23);
      x = v128.load32_splat(a3, 4); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); c32 = madd(x, b2, c32); c33 = madd(x, b3, c33);
      if (R > 4) {
        x = v128.load32_splat(a4, 4); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41); c42 = madd(x, b2, c42); c43 = madd(x, b3, c43);
        x = v128.load32_splat(a5, 4); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51); c52 = madd(x, b2, c52); c53 = madd(x, b3, c53);
      }
      if (a0 == end2) break;
      b0 = v128.load(b); b1 = v128.load(b, 16); b2 = v128.load(b, 32); b3 = v128.load(b, 48);
      b += ldb;
      x = v128.load32_splat(a0, 8); c00 = madd(x, b0, c00); c01 = madd(x, b1, c01); c02 = madd(x, b2, c02); c03 = madd(x, b3, c03);
      x = v128.load32_splat(a1, 8); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); c12 = madd(x, b2, c12); c13 = madd(x, b3, c13);
      x = v128.load32_splat(a2, 8); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); c22 = madd(x, b2, c22); c23 = madd(x, b3, c23);
      x = v128.load32_splat(a3, 8); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); c32 = madd(x, b2, c32); c33 = madd(x, b3, c33);
      if (R > 4) {
        x = v128.load32_splat(a4, 8); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41); c42 = madd(x, b2, c42); c43 = madd(x, b3, c43);
        x = v128.load32_splat(a5, 8); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51); c52 = madd(x, b2, c52); c53 = madd(x, b3, c53);
      }
      if (a0 == end3) break;
      b0 = v128.load(b); b1 = v128.load(b, 16); b2 = v128.load(b, 32); b3 = v128.load(b, 48);
      b += ldb;
      x = v128.load32_splat(a0, 12); c00 = madd(x, b0, c00); c01 = madd(x, b1, c01); c02 = madd(x, b2, c02); c03 = madd(x, b3, c03);
      x = v128.load32_splat(a1, 12); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); c12 = madd(x, b2, c12); c13 = madd(x, b3, c13);
      x = v128.load32_splat(a2, 12); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); c22 = madd(x, b2, c22); c23 = madd(x, b3, c23);
      x = v128.load32_splat(a3, 12); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); c32 = madd(x, b2, c32); c33 = madd(x, b3, c33);
      if (R > 4) {
        x = v128.load32_splat(a4, 12); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41); c42 = madd(x, b2, c42); c43 = madd(x, b3, c43);
        x = v128.load32_splat(a5, 12); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51); c52 = madd(x, b2, c52); c53 = madd(x, b3, c53);
      }
      a0 += 16; a1 += 16; a2 += 16; a3 += 16;
      if (R > 4) { a4 += 16; a5 += 16; }
      if (a0 == end) break;
    }
  } else {
    for (; a0 < end; b += ldb) {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let x = v128.load32_splat(a0); c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
      x = v128.load32_splat(a1);     c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
      x = v128.load32_splat(a2);     c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
      x = v128.load32_splat(a3);     c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
      if (R > 4) {
        x = v128.load32_splat(a4);     c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
        x = v128.load32_splat(a5);     c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
      }
      a0 += 4; a1 += 4; a2 += 4; a3 += 4;
      if (R > 4) { a4 += 4; a5 += 4; }
    }
  }
  v128.store(c, c00); v128.store(c, c01, 16);
  if (wide) { v128.store(c, c02, 32); v128.store(c, c03, 48); }
  c += ldc;
  v128.store(c, c10); v128.store(c, c11, 16);
  if (wide) { v128.store(c, c12, 32); v128.store(c, c13, 48); }
  c += ldc;
  v128.store(c, c20); v128.store(c, c21, 16);
  if (wide) { v128.store(c, c22, 32); v128.store(c, c23, 48); }
  c += ldc;
  v128.store(c, c30); v128.store(c, c31, 16);
  if (wide) { v128.store(c, c32, 32); v128.store(c, c33, 48); }
  if (R > 4) {
    c += ldc;
    v128.store(c, c40); v128.store(c, c41, 16);
    if (wide) { v128.store(c, c42, 32); v128.store(c, c43, 48); }
    c += ldc;
    v128.store(c, c50); v128.store(c, c51, 16);
    if (wide) { v128.store(c, c52, 32); v128.store(c, c53, 48); }
  }
}

// `wide` and R are literals here, so asc removes the other columns and rows. Exported, because a function with one caller would be
// inlined there, and V8 of Node 20 then spills the accumulators (60 → 40 GFLOP/s).
export function gemm_f32_6x8(c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  tile(false, 6, c, ldc, s, lds, rows, b, ldb, K);
}
export function gemm_f32_6x16(c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  tile(true, 6, c, ldc, s, lds, rows, b, ldb, K);
}

export function gemm_f32_4x8(c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  tile(false, 4, c, ldc, s, lds, rows, b, ldb, K);
}
export function gemm_f32_4x16(c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  tile(true, 4, c, ldc, s, lds, rows, b, ldb, K);
}

/** 6 rows × 16 columns by the tile in use. */
// @ts-ignore: decorator
@inline
export function tile_6x16(wide: i32, c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  if (wide) gemm_f32_6x16(c, ldc, s, lds, rows, b, ldb, K);
  else {
    gemm_f32_6x8(c, ldc, s, lds, rows, b, ldb, K);
    gemm_f32_6x8(c + 32, ldc, s + 32, lds, rows, b + 32, ldb, K);
  }
}

/** The same for 4 rows. */
// @ts-ignore: decorator
@inline
export function tile_4x16(wide: i32, c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  if (wide) gemm_f32_4x16(c, ldc, s, lds, rows, b, ldb, K);
  else {
    gemm_f32_4x8(c, ldc, s, lds, rows, b, ldb, K);
    gemm_f32_4x8(c + 32, ldc, s + 32, lds, rows, b + 32, ldb, K);
  }
}

/** Where share i of n things begins, as all are cut into `shares` as even as multiples of `unit` can be. */
// @ts-ignore: decorator
@inline
export function evenShare(n: i32, unit: i32, shares: i32, i: i32): i32 {
  return <i32>(<i64>((n + unit - 1) / unit) * i / shares) * unit;
}

/**
 * Tiles [from, to) of C in blocks of a share of a group's rows × nc columns, the rows of a column block one after the other.
 *
 * The rows of C are G groups of L, `cG` and `ldc` bytes apart, those of the residual likewise. `rows` is 0, or G·L row
 * numbers, −1 for zeros; `bias` and `r` may be 0; `wide` chooses the register tile.
 */
export function gemm_f32(
  c: usize, cG: usize, ldc: usize, a: usize, lda: usize, rows: usize, b: usize, bias: usize, activation: i32, r: usize, rG: usize,
  ldr: usize, G: i32, L: i32, N: i32, K: i32, shares: i32, nc: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const zeros = scratch + FREE;
  memory.fill(zeros, 0, <usize>K << 2);
  const blocks = G * shares;
  for (let t = from; t < to; t++) {
    const g = t % blocks / shares, share = t % shares;
    const l0 = evenShare(L, MR, shares, share), count = min(L, evenShare(L, MR, shares, share + 1)) - l0;
    const n0 = t / blocks * nc, n1 = min(N, n0 + nc);
    const ct = c + <usize>g * cG + <usize>l0 * ldc, rt = r ? r + <usize>g * rG + <usize>l0 * ldr : 0;
    let at = scratch + ROWS;
    for (let m = g * L + l0, end = m + count; m < end; m++, at += 4) {
      const row = rows ? load<i32>(rows + (<usize>m << 2)) : m;
      const address = row < 0 ? zeros : a + <usize>row * lda;
      store<u32>(at, address);
      if (K < DEEP) touch(address, lda, 1, K, scratch);
    }
    if (r) touch(rt + (<usize>n0 << 2), ldr, count, n1 - n0, scratch);
    fillTile(at, count);
    block(ct, ldc, count, n0, n1, b, bias, activation, rt, ldr, N, K, wide, scratch);
  }
}

/** Bytes of scratch that an MLP of H hidden channels takes for `rows` rows. */
export function mlp_f32_scratch(H: i32, rows: i32): usize {
  return FREE + (<usize>H * rows << 2);
}

/**
 * Tiles [from, to) of C = R + W₂·act(W₁·A + b₁) + b₂: shares of the M rows, whose H hidden channels stay in the second-level cache.
 *
 * What `gemm_f32` gives in turn, to the bit. `r` and the biases may be 0.
 */
export function mlp_f32(
  c: usize, ldc: usize, a: usize, lda: usize, w1: usize, bias1: usize, activation: i32, w2: usize, bias2: usize, r: usize, ldr: usize,
  M: i32, K: i32, H: i32, N: i32, shares: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const hidden = scratch + FREE, ldh = <usize>H << 2;
  for (let t = from; t < to; t++) {
    const m = evenShare(M, MR, shares, t), count = min(M, evenShare(M, MR, shares, t + 1)) - m;
    const ct = c + <usize>m * ldc, rt = r ? r + <usize>m * ldr : 0;
    listRows(scratch + ROWS, a + <usize>m * lda, lda, count);
    if (K < DEEP) touch(a + <usize>m * lda, lda, count, K, scratch);
    block(hidden, ldh, count, 0, H, w1, bias1, activation, 0, 0, H, K, wide, scratch);
    listRows(scratch + ROWS, hidden, ldh, count);
    if (r) touch(rt, ldr, count, N, scratch);
    block(ct, ldc, count, 0, N, w2, bias2, 0, rt, ldr, N, H, wide, scratch);
  }
}

/** The addresses of rows that are `stride` bytes apart, for register tiles; `block` looks for them at scratch + ROWS. */
export function listRows(at: usize, row: usize, stride: usize, count: i32): void {
  for (let m = 0; m < count; m++, at += 4, row += stride) store<u32>(at, row);
  fillTile(at, count);
}

// @ts-ignore: decorator
@inline
const DEEP: i32 = 1024; // from this many channels on rows are long enough for the CPU to read ahead by itself

/** Read `count` rows, so that they are on their way to the cache at once. */
// @ts-ignore: decorator
@inline
function touch(row: usize, stride: usize, count: i32, channels: i32, scratch: usize): void {
  let sum = 0;
  for (; count > 0; count--, row += stride) sum += read(row, <usize>channels << 2);
  store<i32>(scratch, sum); // or the reads would be removed
}

/** A word of each line of a row; the sum must be stored, or the reads would be removed. */
// @ts-ignore: decorator
@inline
export function read(row: usize, bytes: usize): i32 {
  let sum = 0;
  for (const end = row + bytes; row < end; row += LINE) sum += load<i32>(row);
  return sum;
}

/** Up to 6 rows × 16 columns by the tiles in use. */
// @ts-ignore: decorator
@inline
export function tileOf(wide: i32, height: i32, c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  if (height > 4) tile_6x16(wide, c, ldc, s, lds, rows, b, ldb, K);
  else tile_4x16(wide, c, ldc, s, lds, rows, b, ldb, K);
}

/** Rows that only fill the last register tile: the first one again. */
// @ts-ignore: decorator
@inline
export function fillTile(at: usize, count: i32): void {
  for (let m = count; m % MR; m++, at += 4) store<u32>(at, load<u32>(at - (<usize>m << 2)));
}

/** Columns [n0, n1) of the rows whose addresses stand in `scratch`; c and r point at the first of these rows. */
export function block(
  c: usize, ldc: usize, count: i32, n0: i32, n1: i32, b: usize, bias: usize, activation: i32, r: usize, ldr: usize,
  N: i32, K: i32, wide: i32, scratch: usize,
): void {
  const first = scratch + BIAS, sum = scratch + SUM;
  for (let n = n0; n < n1; n += 16) {
    const width = min(16, N - n);
    const panel = b + <usize>n * K * 4;
    const at = <usize>n << 2;
    memory.fill(first, 0, LINE);
    if (bias) for (let j: usize = 0; j < <usize>width << 2; j += 4) store<f32>(first + j, load<f32>(bias + at + j));
    for (let m = 0; m < count; m += MR) {
      const rows = scratch + ROWS + (<usize>m << 2);
      const to = c + <usize>m * ldc + at;
      const height = min(MR, count - m);
      const direct = width == 16 && height == MR && !r;
      if (direct && !activation) {
        tile_6x16(wide, to, ldc, first, 0, rows, panel, LINE, K);
        continue;
      }
      tileOf(wide, height, sum, LINE, first, 0, rows, panel, LINE, K);
      if (direct && activation == GELU) {
        gelu_f32_6x16(to, ldc, sum);
        continue;
      }
      if (activation == GELU) gelu_f32_6x16(sum, LINE, sum);
      finish(to, ldc, sum, activation == RELU ? 0 : -Infinity, r ? r + <usize>m * ldr + at : 0, ldr, height, width);
    }
  }
}

/** c = x/2·(1 + erf(x/√2)) of a tile. Exported: see above. */
export function gelu_f32_6x16(c: usize, ldc: usize, tile: usize): void {
  const sign = at(GELU_TABLE, 0), low = at(GELU_TABLE, 1), k8 = at(GELU_TABLE, 2), k7 = at(GELU_TABLE, 3), k6 = at(GELU_TABLE, 4), k5 = at(GELU_TABLE, 5);
  const k4 = at(GELU_TABLE, 6), k3 = at(GELU_TABLE, 7), k2 = at(GELU_TABLE, 8), k1 = at(GELU_TABLE, 9), k0 = at(GELU_TABLE, 10);
  for (const end = tile + 6 * LINE; tile < end; c += ldc) {
    for (let to = c; to < c + LINE; to += 32, tile += 32) {
      const y0 = gelu_by(v128.load(tile), sign, low, k8, k7, k6, k5, k4, k3, k2, k1, k0);
      const y1 = gelu_by(v128.load(tile, 16), sign, low, k8, k7, k6, k5, k4, k3, k2, k1, k0);
      v128.store(to, y0);
      v128.store(to, y1, 16);
    }
  }
}

/** c = r + max(tile, low), without r where that is 0 */
function finish(c: usize, ldc: usize, tile: usize, low: f32, r: usize, ldr: usize, height: i32, width: i32): void {
  const least = f32x4.splat(low);
  for (; height > 0; height--, c += ldc, r += ldr, tile += LINE) {
    if (width < 16) {
      let at: usize = 0;
      for (const whole = <usize>(width & ~3) << 2; at < whole; at += 16) {
        const x = f32x4.pmax(v128.load(tile + at), least);
        v128.store(c + at, r ? f32x4.add(v128.load(r + at), x) : x);
      }
      for (const end = <usize>width << 2; at < end; at += 4) {
        const x = load<f32>(tile + at), y = x < low ? low : x;
        store<f32>(c + at, r ? load<f32>(r + at) + y : y);
      }
    } else {
      let x0 = f32x4.pmax(v128.load(tile), least), x1 = f32x4.pmax(v128.load(tile, 16), least);
      let x2 = f32x4.pmax(v128.load(tile, 32), least), x3 = f32x4.pmax(v128.load(tile, 48), least);
      if (r) {
        x0 = f32x4.add(v128.load(r), x0); x1 = f32x4.add(v128.load(r, 16), x1);
        x2 = f32x4.add(v128.load(r, 32), x2); x3 = f32x4.add(v128.load(r, 48), x3);
      }
      v128.store(c, x0); v128.store(c, x1, 16); v128.store(c, x2, 32); v128.store(c, x3, 48);
    }
  }
}

/** 16 rows of K values at `from`, `stride` bytes apart, as one panel [K, 16]; from row `count` on, the last row again. */
export function pack_panel(to: usize, from: usize, stride: usize, count: i32, K: i32): void {
  for (let j = 0; j < 16; j += 4, to += 16) {
    let r0 = from + <usize>min(j, count - 1) * stride, r1 = from + <usize>min(j + 1, count - 1) * stride;
    let r2 = from + <usize>min(j + 2, count - 1) * stride, r3 = from + <usize>min(j + 3, count - 1) * stride;
    let p = to, k = K;
    for (; k >= 4; k -= 4, r0 += 16, r1 += 16, r2 += 16, r3 += 16, p += 4 * LINE) {
      const x0 = v128.load(r0), x1 = v128.load(r1), x2 = v128.load(r2), x3 = v128.load(r3);
      const x01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5), x23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const y01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7), y23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      v128.store(p, v128.shuffle<f64>(x01, x23, 0, 2));
      v128.store(p, v128.shuffle<f64>(x01, x23, 1, 3), LINE);
      v128.store(p, v128.shuffle<f64>(y01, y23, 0, 2), 2 * LINE);
      v128.store(p, v128.shuffle<f64>(y01, y23, 1, 3), 3 * LINE);
    }
    for (; k > 0; k--, r0 += 4, r1 += 4, r2 += 4, r3 += 4, p += LINE) {
      store<f32>(p, load<f32>(r0)); store<f32>(p, load<f32>(r1), 4);
      store<f32>(p, load<f32>(r2), 8); store<f32>(p, load<f32>(r3), 12);
    }
  }
}

/** Bytes of scratch that packing rows of K values takes; `gemm_f32` takes less. */
export function gemm_f32_pack_scratch(K: i32): usize {
  return <usize>K * LINE;
}

/** Panels [from, to) of a weight [N, K], whose rows are adjacent, in place. */
export function gemm_f32_pack(weight: usize, K: i32, scratch: usize, from: i32, to: i32): void {
  const bytes = <usize>K * LINE;
  for (let t = from; t < to; t++) {
    const panel = weight + <usize>t * bytes;
    memory.copy(scratch, panel, bytes);
    pack_panel(panel, scratch, <usize>K << 2, 16, K);
  }
}
