// y[p, i, q] = Σ_t weights[i, t]·x[p, starts[i] + t, q]: x [P, nIn, Q], y [P, nOut, Q], t ascending from a sum of 0
//
// Rows of Q values are long in a vertical pass (width × channels): 16 sums at a time stay in registers over all taps.
// In a horizontal pass Q is the number of channels: up to 3 of them share one vector, whose spare lanes are dropped.
// A photo of 4000×3000 → 1024², antialiased: 15 ms + 4 ms in Node 20.
import { load_lanes, store_lanes } from "./lanes";
import { madd } from "./simd";

/** Tiles of `tile` rows (p, i) of y. */
export function resample_f32(
  y: usize, x: usize, starts: usize, weights: usize, P: i32, nIn: i32, nOut: i32, Q: i32, T: i32,
  tile: i32, scratch: usize, from: i32, to: i32,
): void {
  const line = <usize>Q << 2, last = min(to * tile, P * nOut);
  const end = x + <usize>(P * nIn) * line;
  let i = from * tile % nOut, px = x + <usize>(from * tile / nOut * nIn) * line;
  y += <usize>(from * tile) * line;
  for (let r = from * tile; r < last; r++, y += line) {
    const source = px + <usize>load<i32>(starts + (<usize>i << 2)) * line;
    const w = weights + (<usize>(i * T) << 2);
    if (Q >= 4) row(y, source, w, Q, T, line);
    else pixel(y, source, w, Q, T, line, end);
    if (++i == nOut) {
      i = 0;
      px += <usize>nIn * line;
    }
  }
}

function row(y: usize, x: usize, w: usize, Q: i32, T: i32, line: usize): void {
  let left = Q;
  const wEnd = w + (<usize>T << 2);
  for (; left >= 16; left -= 16, y += 64, x += 64) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (let pw = w, px = x; pw < wEnd; pw += 4, px += line) {
      const weight = v128.load32_splat(pw);
      s0 = madd(weight, v128.load(px), s0);
      s1 = madd(weight, v128.load(px, 16), s1);
      s2 = madd(weight, v128.load(px, 32), s2);
      s3 = madd(weight, v128.load(px, 48), s3);
    }
    v128.store(y, s0);
    v128.store(y, s1, 16);
    v128.store(y, s2, 32);
    v128.store(y, s3, 48);
  }
  for (; left >= 4; left -= 4, y += 16, x += 16) {
    let s = f32x4.splat(0);
    for (let pw = w, px = x; pw < wEnd; pw += 4, px += line) s = madd(v128.load32_splat(pw), v128.load(px), s);
    v128.store(y, s);
  }
  if (left > 0) {
    let s = f32x4.splat(0);
    for (let pw = w, px = x; pw < wEnd; pw += 4, px += line) s = madd(v128.load32_splat(pw), load_lanes(px, left), s);
    store_lanes(y, s, left);
  }
}

// `end` is that of x: the last pixels of all must not be read as whole vectors
// @ts-ignore: decorator
@inline
function pixel(y: usize, x: usize, w: usize, Q: i32, T: i32, line: usize, end: usize): void {
  const wEnd = w + (<usize>T << 2);
  let s = f32x4.splat(0);
  if (x + <usize>(T - 1) * line + 16 <= end) {
    for (; w < wEnd; w += 4, x += line) s = madd(v128.load32_splat(w), v128.load(x), s);
  } else {
    for (; w < wEnd; w += 4, x += line) s = madd(v128.load32_splat(w), load_lanes(x, Q), s);
  }
  store_lanes(y, s, Q);
}
