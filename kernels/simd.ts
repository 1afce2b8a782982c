// What all kernels are written in: fused or separate multiply-add, and sums over the four lanes of a vector.

/**
 * a·b + c. The portable build rounds after the product and after the sum, like Math.fround twice: the same bits on
 * every CPU. The fma build (asc --enable relaxed-simd) lets the CPU round once.
 */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** (x₀ + x₂) + (x₁ + x₃) */
// @ts-ignore: decorator
@inline
export function hsum(x: v128): f32 {
  x = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1);
}

/** max(x₀, x₁, x₂, x₃) */
// @ts-ignore: decorator
@inline
export function hmax(x: v128): f32 {
  x = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(x, v128.shuffle<f32>(x, x, 1, 0, 3, 2)), 0);
}
