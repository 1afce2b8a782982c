// (y[2i], y[2i + 1]) = (x[2i]·cos − x[2i + 1]·sin, x[2i]·sin + x[2i + 1]·cos)
//
// x, y      [B, h, N, d], any strides, adjacent channels
// cos, sin  [n, d/2]: token t uses row t mod n
import { madd } from "./simd";

/** Tiles of `tile` rows (b, head, token). Strides are in bytes. */
export function rope_f32(
  y: usize, yB: usize, yH: usize, yN: usize, x: usize, xB: usize, xH: usize, xN: usize, cos: usize, sin: usize,
  B: i32, h: i32, N: i32, d: i32, n: i32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const last = min(to * tile, B * h * N);
  for (let r = from * tile; r < last; r++) {
    const token = r % N, head = <usize>(r / N % h), b = <usize>(r / N / h);
    const table = <usize>(token % n * (d >> 1)) << 2;
    rotate(y + b * yB + head * yH + <usize>token * yN, x + b * xB + head * xH + <usize>token * xN, cos + table, sin + table, d);
  }
}

// @ts-ignore: decorator
@inline
function rotate(y: usize, x: usize, cos: usize, sin: usize, d: i32): void {
  for (; d >= 4; d -= 4, y += 16, x += 16, cos += 8, sin += 8) {
    v128.store(y, rotated(v128.load(x), v128.load64_zero(cos), v128.load64_zero(sin)));
  }
  if (d > 0) v128.store64_lane(y, rotated(v128.load64_zero(x), v128.load32_zero(cos), v128.load32_zero(sin)), 0);
}

// two pairs of channels and their two angles
// @ts-ignore: decorator
@inline
function rotated(x: v128, cos: v128, sin: v128): v128 {
  const c = v128.shuffle<f32>(cos, cos, 0, 0, 1, 1), s = v128.shuffle<f32>(sin, f32x4.neg(sin), 4, 0, 5, 1);
  const swapped = v128.shuffle<f32>(x, x, 1, 0, 3, 2);
  return madd(swapped, s, f32x4.mul(x, c));
}
