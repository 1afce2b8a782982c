// exp, gelu, sigmoid, sin and cos of four floats at a time. Bounds are in units in the last place (ULP) of the exact
// result, measured by src/runtime/math.test.ts over all ranges in both builds.
//
// Versions of gelu, ns a value in Node 20 / Node 26 with 256-bit code (fma build, one thread, 3 GHz):
// 1. x/2·(1 + erf), erf as a rational function: 7 ULP, as numerator and denominator round at x² ≈ 14; not timed
// 2. max(x, 0) − |x|/2·erfc by exp of a polynomial: 1.7 ULP, no division                          1.20 / 0.83
// 3. even and odd powers as two chains, half as deep: the chain was not the limit                    – / 0.78
// 4. constants in memory: a load into all four lanes is one instruction, a constant in code four   1.00 / 0.57
// 5. powers 0 … 8 by halves: products with gelu and K = 96 are 3 % faster, but 1.8 instead of 1.7 ULP; not kept
// At two vector operations a cycle its 27 take about 1.1 / 0.55 at least. AMD Zen 4, 3.7 GHz:
// 4. 1.37 / 0.88
// 6. max(x, 0) − |x|·Φ(−|x|), Φ as the fourth power of a polynomial: 14 operations, no exp; within 2e-7·|x|  0.56 / 0.34
// 7. its constants in registers for a whole register tile: two operations a cycle (gelu_f32_6x16)            0.50 / 0.25
// 8. constants once for four vectors 0.51 / 0.29; even and odd powers apart, integer minimum: no change
// The same error needs degree 12 of Φ itself, 5 / 4 and a division as a rational function, degree 7 of the 8th root.
import { madd } from "./simd";

/** A constant in all four lanes. */
// @ts-ignore: decorator
@inline
export function at(table: usize, index: i32): v128 {
  return v128.load32_splat(table + (<usize>index << 2));
}

const EXP_TABLE = memory.data<f32>([
  -88,           // 0  lower end: 2⁻¹²⁷
  88.5,          // 1  upper end: 2¹²⁸
  12583039,      // 2  1.5·2²³ + 127: a sum of this size has no fraction, and ends in the bits of n + 127
  1.44269504,    // 3  1/ln 2
  -0.693359375,  // 4  −ln 2 in two parts: n times the first, 355/512, is exact
  2.12194440e-4, // 5
  0.0013814467,  // 6  eʳ = 1 + r + r²·(…), minimax: relative error below 2⁻²⁸
  0.0083687808,  // 7
  0.0416683927,  // 8
  0.1666651964,  // 9
  0.4999999404,  // 10
  1,             // 11
]);

/**
 * eˣ = 2ⁿ·eʳ with n = x/ln 2 rounded and |r| ≤ ln 2/2, to 1.2 ULP (1.0 with fused multiply-add). +∞ from 88.377 = 127.5·ln 2 on, 0 below −87.683; NaN stays NaN.
 */
// @ts-ignore: decorator
@inline
export function exp_f32x4(x: v128): v128 {
  x = f32x4.pmin(f32x4.pmax(x, at(EXP_TABLE, 0)), at(EXP_TABLE, 1)); // pmin and pmax let NaN through
  const t = madd(x, at(EXP_TABLE, 3), at(EXP_TABLE, 2));
  const n = f32x4.sub(t, at(EXP_TABLE, 2));
  let r = madd(n, at(EXP_TABLE, 4), x);
  r = madd(n, at(EXP_TABLE, 5), r);
  let p = madd(at(EXP_TABLE, 6), r, at(EXP_TABLE, 7));
  p = madd(p, r, at(EXP_TABLE, 8));
  p = madd(p, r, at(EXP_TABLE, 9));
  p = madd(p, r, at(EXP_TABLE, 10));
  p = madd(p, r, at(EXP_TABLE, 11));
  p = madd(p, r, at(EXP_TABLE, 11));
  return f32x4.mul(p, i32x4.shl(t, 23)); // 2ⁿ by its exponent bits: n = −127 gives 0, n = 128 gives ∞
}

export const EXP2_TABLE = memory.data<f32>([
  -64,           // 0  lower end
  12582912,      // 1  1.5·2²³: a sum of this size has no fraction, and ends in the bits of n
  0.00015326471, // 2  2ᶠ = 1 + f·(…), minimax: relative error below 3e-9
  0.0013390806,  // 3
  0.009618506,   // 4
  0.0555036,     // 5
  0.24022648,    // 6
  0.6931472,     // 7
  1,             // 8
]);

/**
 * 2ˣ for −64 ≤ x ≤ 127, to 1.2 ULP (1.0 with fused multiply-add); 2⁻⁶⁴ below, where a weight of softmax does not count and
 * its products would soon be denormal. NaN stays NaN. 2ˣ = 2ⁿ·2ᶠ with n = x rounded, and nothing is lost in f = x − n.
 *
 * The table comes as arguments, so that a loop holds it in registers.
 */
// @ts-ignore: decorator
@inline
export function exp2_f32x4(
  x: v128, low: v128, round: v128, c6: v128, c5: v128, c4: v128, c3: v128, c2: v128, c1: v128, one: v128,
): v128 {
  x = f32x4.pmax(x, low); // lets NaN through
  const t = f32x4.add(x, round);
  const f = f32x4.sub(x, f32x4.sub(t, round));
  let p = madd(c6, f, c5);
  p = madd(p, f, c4);
  p = madd(p, f, c3);
  p = madd(p, f, c2);
  p = madd(p, f, c1);
  p = madd(p, f, one);
  return i32x4.add(p, i32x4.shl(t, 23)); // n added to the exponent
}

/** 2ˣ outside of loops */
// @ts-ignore: decorator
@inline
export function exp2(x: v128): v128 {
  const low = at(EXP2_TABLE, 0), round = at(EXP2_TABLE, 1), c6 = at(EXP2_TABLE, 2), c5 = at(EXP2_TABLE, 3), c4 = at(EXP2_TABLE, 4);
  const c3 = at(EXP2_TABLE, 5), c2 = at(EXP2_TABLE, 6), c1 = at(EXP2_TABLE, 7), one = at(EXP2_TABLE, 8);
  return exp2_f32x4(x, low, round, c6, c5, c4, c3, c2, c1, one);
}

/** factor·(s − top), offset = −factor·top. Fused, one sum rounds; else factor·s would round too, so the difference comes first. */
// @ts-ignore: decorator
@inline
export function exponent(s: v128, top: v128, factor: v128, offset: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return madd(s, factor, offset);
  return f32x4.mul(f32x4.sub(s, top), factor);
}

export const GELU_TABLE = memory.data<f32>([
  -0.0,           // 0  the sign bit
  -5.59,          // 1  |x| beyond counts as this: p there is 0, or nearly
  -3.43686793e-6, // 2  p, minimax: |p⁴ − Φ(u)| ≤ 6e-8
  -5.88345647e-5, // 3
  -3.09322786e-4, // 4
  3.08753915e-5,  // 5
  3.79034551e-3,  // 6
  -4.65308875e-3, // 7
  -5.01987785e-2, // 8
  0.167733908,    // 9
  0.840896428,    // 10
]);

/**
 * x/2·(1 + erf(x/√2)) = max(x, 0) + u·Φ(u) with u = −|x|, within 2e-7·|x|; Φ is the normal distribution, and its fourth
 * root a polynomial. Below −5.59, where at most 6e-8 is left of it, −10⁻²⁰ or less.
 */
// @ts-ignore: decorator
@inline
export function gelu_f32x4(x: v128): v128 {
  return gelu_by(
    x, at(GELU_TABLE, 0), at(GELU_TABLE, 1), at(GELU_TABLE, 2), at(GELU_TABLE, 3), at(GELU_TABLE, 4), at(GELU_TABLE, 5), at(GELU_TABLE, 6), at(GELU_TABLE, 7),
    at(GELU_TABLE, 8), at(GELU_TABLE, 9), at(GELU_TABLE, 10),
  );
}

/** The same by the constants that a loop keeps in registers. */
// @ts-ignore: decorator
@inline
export function gelu_by(
  x: v128, sign: v128, low: v128, k8: v128, k7: v128, k6: v128, k5: v128, k4: v128, k3: v128, k2: v128, k1: v128, k0: v128,
): v128 {
  const u = f32x4.pmax(v128.or(x, sign), low);
  let p = madd(u, k8, k7);
  p = madd(p, u, k6);
  p = madd(p, u, k5);
  p = madd(p, u, k4);
  p = madd(p, u, k3);
  p = madd(p, u, k2);
  p = madd(p, u, k1);
  p = madd(p, u, k0);
  p = f32x4.mul(p, p);
  return madd(u, f32x4.mul(p, p), f32x4.pmax(x, f32x4.splat(0)));
}

/** 1/(1 + e⁻ˣ), to 2.5 ULP; 0 below −88.376. */
// @ts-ignore: decorator
@inline
export function sigmoid_f32x4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.neg(x))));
}

/** sin x, to 0.51 ULP for |x| ≤ 10⁴; NaN for ±∞. */
// @ts-ignore: decorator
@inline
export function sin_f32x4(x: v128): v128 {
  return wave_f32x4(x, 0);
}

/** cos x = sin(x + π/2), to 0.51 ULP for |x| ≤ 10⁴; NaN for ±∞. */
// @ts-ignore: decorator
@inline
export function cos_f32x4(x: v128): v128 {
  return wave_f32x4(x, 1);
}

// @ts-ignore: decorator
@inline
function wave_f32x4(x: v128, quarters: i32): v128 {
  const low = f32x4.demote_f64x2_zero(wave_f64x2(f64x2.promote_low_f32x4(x), quarters));
  const high = v128.shuffle<f32>(x, x, 2, 3, 2, 3);
  return v128.shuffle<f64>(low, f32x4.demote_f64x2_zero(wave_f64x2(f64x2.promote_low_f32x4(high), quarters)), 0, 2);
}

/**
 * sin(x + quarters·π/2) by x = n·π/2 + r with |r| ≤ π/4, all in f64, as a float near a zero of sin keeps no digit of r
 * otherwise. π/2 in two parts, the first of 33 bits: n times it is exact up to n = 2²⁰. Then Taylor series: the first
 * term left out is below 1.2e-10.
 */
function wave_f64x2(x: v128, quarters: i32): v128 {
  const n = f64x2.nearest(f64x2.mul(x, f64x2.splat(2 / Math.PI)));
  const r = f64x2.sub(
    f64x2.sub(x, f64x2.mul(n, f64x2.splat(1.57079632673412561417))),
    f64x2.mul(n, f64x2.splat(6.07710050650619224932e-11)),
  );
  const s = f64x2.mul(r, r);

  let sine = f64x2.splat(-1.0 / 39916800); // 1/11!
  sine = f64x2.add(f64x2.mul(sine, s), f64x2.splat(1.0 / 362880));
  sine = f64x2.add(f64x2.mul(sine, s), f64x2.splat(-1.0 / 5040));
  sine = f64x2.add(f64x2.mul(sine, s), f64x2.splat(1.0 / 120));
  sine = f64x2.add(f64x2.mul(sine, s), f64x2.splat(-1.0 / 6));
  sine = f64x2.add(f64x2.mul(f64x2.mul(sine, s), r), r);

  let cosine = f64x2.splat(-1.0 / 3628800); // 1/10!
  cosine = f64x2.add(f64x2.mul(cosine, s), f64x2.splat(1.0 / 40320));
  cosine = f64x2.add(f64x2.mul(cosine, s), f64x2.splat(-1.0 / 720));
  cosine = f64x2.add(f64x2.mul(cosine, s), f64x2.splat(1.0 / 24));
  cosine = f64x2.add(f64x2.mul(cosine, s), f64x2.splat(-0.5));
  cosine = f64x2.add(f64x2.mul(cosine, s), f64x2.splat(1));

  // quadrants 0 … 3: sine, cosine, −sine, −cosine
  const quadrant = i64x2.extend_low_i32x4_s(i32x4.add(i32x4.trunc_sat_f64x2_s_zero(n), i32x4.splat(quarters)));
  const odd = i64x2.neg(v128.and(quadrant, i64x2.splat(1)));
  const sign = i64x2.shl(v128.and(quadrant, i64x2.splat(2)), 62);
  return v128.xor(v128.bitselect(cosine, sine, odd), sign);
}
