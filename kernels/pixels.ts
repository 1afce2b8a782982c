// Bytes of pictures: the resize of Pillow, one axis at a time, and what makes of bytes the encoder's input.
//
// y[p, i, q] = byte((½·2²² + Σ_t weights[i, t]·x[p, starts[i] + t, q])/2²²), t < counts[i]: x [P, nIn, Q], y [P, nOut, Q] of
// bytes, weights of 22 fraction bits. The sums are of integers, so neither their order nor their width shows.
//
// Rows of Q bytes are long in a vertical pass (width × 3): 16 sums stay in registers over all taps. In a horizontal pass Q
// is 3, and four rows share the weights.
// 1. A pixel as one vector, whose fourth lane is dropped, one row at a time: 1920×1080 → 1024 columns in 18 ms.
// 2. Two taps at a time by `dot_i16x8_s`, weights cut into 11 low bits and the rest, four rows at a time: 8 ms. Both on one
//    thread of Node 20.

// @ts-ignore: decorator
@inline
const PRECISION: i32 = 22; // fraction bits of a weight
// @ts-ignore: decorator
@inline
const HALF: i32 = 1 << (PRECISION - 1);
// @ts-ignore: decorator
@inline
const LOW: i32 = 11; // bits of a weight's lower part: both parts are words of 16 bits

/** Tiles of `tile` rows (p, i) of y. For rows of pixels, Q = 3, there is `resample_u8x3`. */
export function resample_u8(
  y: usize, x: usize, starts: usize, counts: usize, weights: usize, P: i32, nIn: i32, nOut: i32, Q: i32, T: i32,
  tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const line = <usize>Q, last = min(to * tile, P * nOut);
  let i = from * tile % nOut, px = x + <usize>(from * tile / nOut * nIn) * line;
  y += <usize>(from * tile) * line;
  for (let r = from * tile; r < last; r++, y += line) {
    const at = <usize>i << 2;
    const source = px + <usize>load<i32>(starts + at) * line;
    const w = weights + (<usize>(i * T) << 2), wEnd = w + (<usize>load<i32>(counts + at) << 2);
    row(y, source, w, wEnd, Q);
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

/** The same for Q = 3. Tiles of 4 rows p; fewer are left at the end, of which the last is then made several times. */
export function resample_u8x3(
  y: usize, x: usize, starts: usize, counts: usize, weights: usize, P: i32, nIn: i32, nOut: i32, T: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const line = <usize>nIn * 3, out = <usize>nOut * 3, end = x + <usize>P * line;
  for (let t = from; t < to; t++) {
    const p = t * 4, p1 = min(p + 1, P - 1), p2 = min(p + 2, P - 1), p3 = min(p + 3, P - 1);
    const x0 = x + <usize>p * line, x1 = x + <usize>p1 * line, x2 = x + <usize>p2 * line, x3 = x + <usize>p3 * line;
    const y0 = y + <usize>p * out, y1 = y + <usize>p1 * out, y2 = y + <usize>p2 * out, y3 = y + <usize>p3 * out;
    for (let i = 0, to: usize = 0; i < nOut; i++, to += 3) {
      const at = <usize>i << 2;
      const first = <usize>load<i32>(starts + at) * 3, count = load<i32>(counts + at);
      const w = weights + (<usize>(i * T) << 2), wEnd = w + (<usize>count << 2);
      if (x3 + first + <usize>(count + 1 >> 1) * 6 + 2 > end) {
        slow(y0 + to, x0 + first, w, wEnd);
        slow(y1 + to, x1 + first, w, wEnd);
        slow(y2 + to, x2 + first, w, wEnd);
        slow(y3 + to, x3 + first, w, wEnd);
      } else {
        fourPixels(y0 + to, y1 + to, y2 + to, y3 + to, x0 + first, x1 + first, x2 + first, x3 + first, w, wEnd);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function fourPixels(
  y0: usize, y1: usize, y2: usize, y3: usize, x0: usize, x1: usize, x2: usize, x3: usize, w: usize, wEnd: usize,
): void {
  let h0 = i32x4.splat(0), h1 = h0, h2 = h0, h3 = h0;
  let l0 = i32x4.splat(HALF), l1 = l0, l2 = l0, l3 = l0;
  for (; w < wEnd; w += 8, x0 += 6, x1 += 6, x2 += 6, x3 += 6) {
    const both = v128.load64_splat(w), upper = i32x4.shr_s(both, LOW), lower = v128.and(both, i32x4.splat((1 << LOW) - 1));
    const high = i16x8.narrow_i32x4_s(upper, upper), low = i16x8.narrow_i32x4_s(lower, lower);
    const a = pairs(x0), b = pairs(x1), c = pairs(x2), d = pairs(x3);
    h0 = i32x4.add(h0, i32x4.dot_i16x8_s(high, a));
    h1 = i32x4.add(h1, i32x4.dot_i16x8_s(high, b));
    h2 = i32x4.add(h2, i32x4.dot_i16x8_s(high, c));
    h3 = i32x4.add(h3, i32x4.dot_i16x8_s(high, d));
    l0 = i32x4.add(l0, i32x4.dot_i16x8_s(low, a));
    l1 = i32x4.add(l1, i32x4.dot_i16x8_s(low, b));
    l2 = i32x4.add(l2, i32x4.dot_i16x8_s(low, c));
    l3 = i32x4.add(l3, i32x4.dot_i16x8_s(low, d));
  }
  const bytes = bytesOf(joined(h0, l0), joined(h1, l1), joined(h2, l2), joined(h3, l3));
  v128.store16_lane(y0, bytes, 0);
  v128.store8_lane(y0, bytes, 2, 2);
  v128.store16_lane(y1, bytes, 2);
  v128.store8_lane(y1, bytes, 6, 2);
  v128.store16_lane(y2, bytes, 4);
  v128.store8_lane(y2, bytes, 10, 2);
  v128.store16_lane(y3, bytes, 6);
  v128.store8_lane(y3, bytes, 14, 2);
}

/** Two pixels as words: both reds, both greens, both blues, and two zeros. */
// @ts-ignore: decorator
@inline
function pairs(x: usize): v128 {
  return i8x16.swizzle(v128.load64_zero(x), i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
}

// @ts-ignore: decorator
@inline
function joined(high: v128, low: v128): v128 {
  return i32x4.add(i32x4.shl(high, LOW), low);
}

function slow(y: usize, x: usize, w: usize, wEnd: usize): void {
  for (let c: usize = 0; c < 3; c++) store<u8>(y + c, one(x + c, w, wEnd, 3));
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
