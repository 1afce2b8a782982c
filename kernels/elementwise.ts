// y = f(x) and y = a ∘ b over contiguous floats, in tiles of `tile` elements.
import { load_lanes, store_lanes } from "./lanes";
import { cos_f32x4, exp2, exp_f32x4, gelu_f32x4, sigmoid_f32x4, sin_f32x4 } from "./math";
import { madd } from "./simd";

// @ts-ignore: decorator
@inline
const AFFINE = 0, GELU = 1, RELU = 2, SIGMOID = 3, SIN = 4, COS = 5, EXP = 6, EXP2 = 7;

// `op` is a literal in every caller, so that one branch is left
// @ts-ignore: decorator
@inline
function apply(op: i32, x: v128, scale: v128, offset: v128): v128 {
  if (op == AFFINE) return madd(x, scale, offset);
  if (op == GELU) return gelu_f32x4(x);
  if (op == RELU) return f32x4.pmax(x, f32x4.splat(0)); // lets NaN through
  if (op == SIGMOID) return sigmoid_f32x4(x);
  if (op == SIN) return sin_f32x4(x);
  if (op == COS) return cos_f32x4(x);
  if (op == EXP) return exp_f32x4(x);
  return exp2(x);
}

// @ts-ignore: decorator
@inline
function unary(op: i32, y: usize, x: usize, scale: f32, offset: f32, n: i32, tile: i32, from: i32, to: i32): void {
  const a = f32x4.splat(scale), b = f32x4.splat(offset);
  const start = from * tile;
  let left = min(to * tile, n) - start;
  y += <usize>start << 2;
  x += <usize>start << 2;
  for (; left >= 8; left -= 8, y += 32, x += 32) {
    const y0 = apply(op, v128.load(x), a, b), y1 = apply(op, v128.load(x, 16), a, b);
    v128.store(y, y0);
    v128.store(y, y1, 16);
  }
  for (; left >= 4; left -= 4, y += 16, x += 16) v128.store(y, apply(op, v128.load(x), a, b));
  if (left > 0) store_lanes(y, apply(op, load_lanes(x, left), a, b), left);
}

/** y = scale·x + offset */
export function affine_f32(y: usize, x: usize, scale: f32, offset: f32, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void {
  unary(AFFINE, y, x, scale, offset, n, tile, from, to);
}
export function gelu_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(GELU, y, x, 0, 0, n, tile, from, to); }
export function relu_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(RELU, y, x, 0, 0, n, tile, from, to); }
export function sigmoid_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(SIGMOID, y, x, 0, 0, n, tile, from, to); }
export function sin_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(SIN, y, x, 0, 0, n, tile, from, to); }
export function cos_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(COS, y, x, 0, 0, n, tile, from, to); }
/** For tests only: sigmoid has exp inside, attention exp2. */
export function exp_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(EXP, y, x, 0, 0, n, tile, from, to); }
export function exp2_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void { unary(EXP2, y, x, 0, 0, n, tile, from, to); }

// @ts-ignore: decorator
@inline
function combine(product: bool, a: v128, b: v128): v128 {
  return product ? f32x4.mul(a, b) : f32x4.add(a, b);
}

// @ts-ignore: decorator
@inline
const RUN: i32 = 256;

// b has `nb` elements and repeats: runs end where b does. A short b, e.g. one value for each of R, G, B, is repeated in
// `scratch` first, up to RUN elements
// @ts-ignore: decorator
@inline
function binary(
  product: bool, y: usize, a: usize, b: usize, n: i32, nb: i32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  if (nb <= RUN / 2) {
    const whole = RUN / nb * nb;
    for (let i = 0; i < whole; i++) store<f32>(scratch + (<usize>i << 2), load<f32>(i < nb ? b + (<usize>i << 2) : scratch + (<usize>(i - nb) << 2)));
    b = scratch;
    nb = whole;
  }
  const end = min(to * tile, n);
  let at = from * tile;
  y += <usize>at << 2;
  a += <usize>at << 2;
  for (let first = at % nb; at < end; first = 0) {
    let left = min(nb - first, end - at), p = b + (<usize>first << 2);
    at += left;
    for (; left >= 8; left -= 8, y += 32, a += 32, p += 32) {
      const y0 = combine(product, v128.load(a), v128.load(p)), y1 = combine(product, v128.load(a, 16), v128.load(p, 16));
      v128.store(y, y0);
      v128.store(y, y1, 16);
    }
    for (; left > 0; left--, y += 4, a += 4, p += 4) {
      store<f32>(y, product ? load<f32>(a) * load<f32>(p) : load<f32>(a) + load<f32>(p));
    }
  }
}

/** y = a + b */
export function add_f32(y: usize, a: usize, b: usize, n: i32, nb: i32, tile: i32, scratch: usize, from: i32, to: i32): void { binary(false, y, a, b, n, nb, tile, scratch, from, to); }
/** y = a ⊙ b */
export function mul_f32(y: usize, a: usize, b: usize, n: i32, nb: i32, tile: i32, scratch: usize, from: i32, to: i32): void { binary(true, y, a, b, n, nb, tile, scratch, from, to); }

/** y = 1 where x > limit, else 0, for bytes y: 16 comparisons, all ones where true, are narrowed to bytes. */
export function above_u8(y: usize, x: usize, limit: f32, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void {
  const most = f32x4.splat(limit);
  const start = from * tile;
  let left = min(to * tile, n) - start;
  y += <usize>start;
  x += <usize>start << 2;
  for (; left >= 16; left -= 16, y += 16, x += 64) {
    const x0 = f32x4.gt(v128.load(x), most), x1 = f32x4.gt(v128.load(x, 16), most);
    const x2 = f32x4.gt(v128.load(x, 32), most), x3 = f32x4.gt(v128.load(x, 48), most);
    const words = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(x0, x1), i16x8.narrow_i32x4_s(x2, x3));
    v128.store(y, v128.and(words, i8x16.splat(1)));
  }
  for (; left > 0; left--, y++, x += 4) store<u8>(y, load<f32>(x) > limit ? 1 : 0);
}

/** y = x/255 for bytes x */
export function pixels_f32(y: usize, x: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32): void {
  const white = f32x4.splat(255);
  const start = from * tile;
  let left = min(to * tile, n) - start;
  y += <usize>start << 2;
  x += <usize>start;
  for (; left >= 8; left -= 8, y += 32, x += 8) {
    const words = v128.load_ext<u8>(x);
    v128.store(y, f32x4.div(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(words)), white));
    v128.store(y, f32x4.div(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(words)), white), 16);
  }
  for (; left > 0; left--, y += 4, x++) store<f32>(y, <f32>load<u8>(x) / 255);
}
