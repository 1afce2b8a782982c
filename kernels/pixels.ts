// Bytes of pictures: the resize of Pillow, one axis at a time, and what makes of bytes the encoder's input.
//
// y[p, i, q] = byte((½·2²² + Σ_t weights[i, t]·x[p, starts[i] + t, q])/2²²), t < counts[i]: x [P, nIn, Q], y [P, nOut, Q] of
// bytes, weights of 22 fraction bits. The sums are of integers, so neither their order nor their width shows.
//
// Rows of Q bytes are long in a vertical pass (width × 3): 16 sums stay in registers over all taps. In a horizontal pass Q
// is 3: a pixel is one vector, whose fourth lane, a byte of its neighbour, is dropped.

// @ts-ignore: decorator
@inline
const PRECISION: i32 = 22; // fraction bits of a weight
// @ts-ignore: decorator
@inline
const HALF: i32 = 1 << (PRECISION - 1);

/** Tiles of `tile` rows (p, i) of y. */
export function resample_u8(
  y: usize, x: usize, starts: usize, counts: usize, weights: usize, P: i32, nIn: i32, nOut: i32, Q: i32, T: i32,
  tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const line = <usize>Q, last = min(to * tile, P * nOut);
  const end = x + <usize>(P * nIn) * line;
  let i = from * tile % nOut, px = x + <usize>(from * tile / nOut * nIn) * line;
  y += <usize>(from * tile) * line;
  for (let r = from * tile; r < last; r++, y += line) {
    const at = <usize>i << 2;
    const source = px + <usize>load<i32>(starts + at) * line;
    const w = weights + (<usize>(i * T) << 2), wEnd = w + (<usize>load<i32>(counts + at) << 2);
    if (Q == 3) pixel(y, source, w, wEnd, end);
    else row(y, source, w, wEnd, Q);
    if (++i == nOut) {
      i = 0;
      px += <usize>nIn * line;
    }
  }
}

function row(y: usize, x: usize, w: usize, wEnd: usize, Q: i32): void {
  const line = <usize>Q;
  let left = Q;
  for (; left >= 16; left -= 16, y += 16, x += 16) {
    let s0 = i32x4.splat(HALF), s1 = s0, s2 = s0, s3 = s0;
    for (let pw = w, px = x; pw < wEnd; pw += 4, px += line) {
      const weight = v128.load32_splat(pw), bytes = v128.load(px);
      const low = i16x8.extend_low_i8x16_u(bytes), high = i16x8.extend_high_i8x16_u(bytes);
      s0 = i32x4.add(s0, i32x4.mul(weight, i32x4.extend_low_i16x8_u(low)));
      s1 = i32x4.add(s1, i32x4.mul(weight, i32x4.extend_high_i16x8_u(low)));
      s2 = i32x4.add(s2, i32x4.mul(weight, i32x4.extend_low_i16x8_u(high)));
      s3 = i32x4.add(s3, i32x4.mul(weight, i32x4.extend_high_i16x8_u(high)));
    }
    v128.store(y, bytesOf(s0, s1, s2, s3));
  }
  for (; left > 0; left--, y++, x++) store<u8>(y, one(x, w, wEnd, line));
}

// `end` is that of x: of its last pixel no fourth byte may be read
// @ts-ignore: decorator
@inline
function pixel(y: usize, x: usize, w: usize, wEnd: usize, end: usize): void {
  if (x + (wEnd - w >> 2) * 3 + 1 > end) {
    for (let c: usize = 0; c < 3; c++) store<u8>(y + c, one(x + c, w, wEnd, 3));
    return;
  }
  let s = i32x4.splat(HALF);
  for (; w < wEnd; w += 4, x += 3) {
    const values = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(x)));
    s = i32x4.add(s, i32x4.mul(v128.load32_splat(w), values));
  }
  const bytes = bytesOf(s, s, s, s);
  v128.store16_lane(y, bytes, 0);
  v128.store8_lane(y, bytes, 2, 2);
}

// @ts-ignore: decorator
@inline
function bytesOf(s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  const low = i16x8.narrow_i32x4_s(i32x4.shr_s(s0, PRECISION), i32x4.shr_s(s1, PRECISION));
  const high = i16x8.narrow_i32x4_s(i32x4.shr_s(s2, PRECISION), i32x4.shr_s(s3, PRECISION));
  return i8x16.narrow_i16x8_u(low, high);
}

function one(x: usize, w: usize, wEnd: usize, line: usize): u8 {
  let s = HALF;
  for (; w < wEnd; w += 4, x += line) s += load<i32>(w) * <i32>load<u8>(x);
  return <u8>min(max(s >> PRECISION, 0), 255);
}

/** y = (x/255 − mean)/std for RGB bytes x, n pixels; mean, std [3]. Tiles of `tile` pixels. */
export function normalize_u8(
  y: usize, x: usize, mean: usize, std: usize, n: i32, tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const white = f32x4.splat(255);
  const m0 = rgbr(mean), m1 = v128.shuffle<f32>(m0, m0, 1, 2, 0, 1), m2 = v128.shuffle<f32>(m0, m0, 2, 0, 1, 2);
  const s0 = rgbr(std), s1 = v128.shuffle<f32>(s0, s0, 1, 2, 0, 1), s2 = v128.shuffle<f32>(s0, s0, 2, 0, 1, 2);
  const start = <usize>(from * tile) * 3;
  let left = min(to * tile, n) - from * tile;
  y += start << 2;
  x += start;
  for (; left >= 4; left -= 4, y += 48, x += 12) {
    const words = v128.load_ext<u8>(x), rest = i16x8.extend_low_i8x16_u(v128.load32_zero(x, 8));
    const x0 = f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(words));
    const x1 = f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(words));
    const x2 = f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(rest));
    v128.store(y, f32x4.div(f32x4.sub(f32x4.div(x0, white), m0), s0));
    v128.store(y, f32x4.div(f32x4.sub(f32x4.div(x1, white), m1), s1), 16);
    v128.store(y, f32x4.div(f32x4.sub(f32x4.div(x2, white), m2), s2), 32);
  }
  for (; left > 0; left--, y += 12, x += 3) {
    for (let c: usize = 0; c < 3; c++) {
      store<f32>(y + (c << 2), (<f32>load<u8>(x + c) / 255 - load<f32>(mean + (c << 2))) / load<f32>(std + (c << 2)));
    }
  }
}

// @ts-ignore: decorator
@inline
function rgbr(rgb: usize): v128 {
  return f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(v128.load32_splat(rgb), 1, load<f32>(rgb, 4)), 2, load<f32>(rgb, 8)), 3, load<f32>(rgb));
}
