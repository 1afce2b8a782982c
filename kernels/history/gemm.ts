// Versions 1 and 2 of gemm.ts's register tile, as its diary counts them, to be run beside version 4, which is in use:
// `npm run bench -- --history`. c = s + Σ_k a[row, k]·b[k, :] for 6 rows × 8 or 16 columns.
import { madd } from "../simd";

/** 1. A packed by six rows, [K, 6] at `a`. */
// @ts-ignore: decorator
@inline
function tile_1(wide: bool, c: usize, ldc: usize, s: usize, lds: usize, a: usize, b: usize, ldb: usize, K: i32): void {
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
  let c40 = v128.load(s), c41 = v128.load(s, 16), c42 = c40, c43 = c40;
  if (wide) { c42 = v128.load(s, 32); c43 = v128.load(s, 48); }
  s += lds;
  let c50 = v128.load(s), c51 = v128.load(s, 16), c52 = c50, c53 = c50;
  if (wide) { c52 = v128.load(s, 32); c53 = v128.load(s, 48); }
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let b2 = b0, b3 = b0;
    if (wide) { b2 = v128.load(b, 32); b3 = v128.load(b, 48); }
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    if (wide) { c02 = madd(x, b2, c02); c03 = madd(x, b3, c03); }
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    if (wide) { c12 = madd(x, b2, c12); c13 = madd(x, b3, c13); }
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    if (wide) { c22 = madd(x, b2, c22); c23 = madd(x, b3, c23); }
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    if (wide) { c32 = madd(x, b2, c32); c33 = madd(x, b3, c33); }
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
    if (wide) { c42 = madd(x, b2, c42); c43 = madd(x, b3, c43); }
    x = v128.load32_splat(a, 20);
    c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
    if (wide) { c52 = madd(x, b2, c52); c53 = madd(x, b3, c53); }
    a += 24;
    b += ldb;
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
  c += ldc;
  v128.store(c, c40); v128.store(c, c41, 16);
  if (wide) { v128.store(c, c42, 32); v128.store(c, c43, 48); }
  c += ldc;
  v128.store(c, c50); v128.store(c, c51, 16);
  if (wide) { v128.store(c, c52, 32); v128.store(c, c53, 48); }
}

/** 2. A read in place, by six row addresses at `rows`. */
// @ts-ignore: decorator
@inline
function tile_2(wide: bool, c: usize, ldc: usize, s: usize, lds: usize, rows: usize, b: usize, ldb: usize, K: i32): void {
  let a0: usize = load<u32>(rows), a1: usize = load<u32>(rows, 4), a2: usize = load<u32>(rows, 8);
  let a3: usize = load<u32>(rows, 12), a4: usize = load<u32>(rows, 16), a5: usize = load<u32>(rows, 20);
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
  let c40 = v128.load(s), c41 = v128.load(s, 16), c42 = c40, c43 = c40;
  if (wide) { c42 = v128.load(s, 32); c43 = v128.load(s, 48); }
  s += lds;
  let c50 = v128.load(s), c51 = v128.load(s, 16), c52 = c50, c53 = c50;
  if (wide) { c52 = v128.load(s, 32); c53 = v128.load(s, 48); }
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let b2 = b0, b3 = b0;
    if (wide) { b2 = v128.load(b, 32); b3 = v128.load(b, 48); }
    let x = v128.load32_splat(a0);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    if (wide) { c02 = madd(x, b2, c02); c03 = madd(x, b3, c03); }
    x = v128.load32_splat(a1);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    if (wide) { c12 = madd(x, b2, c12); c13 = madd(x, b3, c13); }
    x = v128.load32_splat(a2);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    if (wide) { c22 = madd(x, b2, c22); c23 = madd(x, b3, c23); }
    x = v128.load32_splat(a3);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    if (wide) { c32 = madd(x, b2, c32); c33 = madd(x, b3, c33); }
    x = v128.load32_splat(a4);
    c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
    if (wide) { c42 = madd(x, b2, c42); c43 = madd(x, b3, c43); }
    x = v128.load32_splat(a5);
    c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
    if (wide) { c52 = madd(x, b2, c52); c53 = madd(x, b3, c53); }
    a0 += 4; a1 += 4; a2 += 4; a3 += 4; a4 += 4; a5 += 4;
    b += ldb;
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
  c += ldc;
  v128.store(c, c40); v128.store(c, c41, 16);
  if (wide) { v128.store(c, c42, 32); v128.store(c, c43, 48); }
  c += ldc;
  v128.store(c, c50); v128.store(c, c51, 16);
  if (wide) { v128.store(c, c52, 32); v128.store(c, c53, 48); }
}
export function gemm_f32_6x8_v1(c: usize, ldc: usize, s: usize, lds: usize, a: usize, b: usize, ldb: usize, K: i32): void {
  tile_1(false, c, ldc, s, lds, a, b, ldb, K);
}
export function gemm_f32_6x16_v1(c: usize, ldc: usize, s: usize, lds: usize, a: usize, b: usize, ldb: usize, K: i32): void {
  tile_1(true, c, ldc, s, lds, a, b, ldb, K);
}
export function gemm_f32_6x8_v2(c: usize, ldc: usize, s: usize, lds: usize, a: usize, b: usize, ldb: usize, K: i32): void {
  tile_2(false, c, ldc, s, lds, a, b, ldb, K);
}
export function gemm_f32_6x16_v2(c: usize, ldc: usize, s: usize, lds: usize, a: usize, b: usize, ldb: usize, K: i32): void {
  tile_2(true, c, ldc, s, lds, a, b, ldb, K);
}
