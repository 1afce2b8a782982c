// y[b, i, j, c] = bias[c] + Σ_{p, q} weight[p, q, c]·x[b, i·s + p − r, j·s + q − r, c], r = (k − 1)/2, k odd, stride s, zeros outside
//
// x [B, H, W, C], y [B, ⌈H/s⌉, ⌈W/s⌉, C] contiguous; weight [k, k, C]
//
// Eight channels of four neighbouring pixels are summed at once: a weight is loaded once for four pixels. Pixels at the
// left and right border, where taps fall outside, go one by one. Rows outside are skipped: they add nothing.
// 64×64×256, k = 7: 5.4 ms in Node 20 (19 GFLOP/s), 3.6 in Node 26; a third of it goes into the border of 6 of 64 columns.
//
// k = 3 is bound by loads: 9 taps of 4 pixels are 9 weights and 36 values, though rows of 6 pixels (stride 1) or 9 (stride 2)
// are all there is. So a row of taps is unrolled, and each pixel is loaded once for the two or three sums that it is in.
// On an Intel Xeon, ms in Node 20 / Node 26 with 256-bit code, beside a copy of as much (0.94 / 0.89 for 256×256×48):
// 256×256×48 2.6 / 1.2, 128×128×96 1.2 / 0.63, 64×64×192 0.66 / 0.35; with stride 2 1.0 / 0.58, 0.47 / 0.30 for the first two.
import { load_lanes, store_lanes } from "./lanes";
import { madd } from "./simd";

/** Tiles: rows (b, i) of y. */
export function dwconv_f32(
  y: usize, x: usize, weight: usize, bias: usize, H: i32, W: i32, C: i32, outH: i32, outW: i32, k: i32, stride: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const r = k >> 1, pixel = <usize>C << 2, line = <usize>W * pixel, image = <usize>H * line;
  for (let t = from; t < to; t++) {
    const top = t % outH * stride - r;
    const p0 = max(0, -top), p1 = min(k, H - top); // rows of taps inside
    const row = x + <usize>(t / outH) * image + <usize>(top + p0) * line;
    const w = weight + <usize>(p0 * k) * pixel;
    let py = y + <usize>(t * outW) * pixel, j = 0;
    while (j < outW) {
      const left = j * stride - r;
      const q0 = max(0, -left), q1 = min(k, W - left); // columns of taps inside
      const px = row + <usize>(left + q0) * pixel, pw = w + <usize>q0 * pixel;
      if (left >= 0 && j + 3 < outW && left + 3 * stride + k <= W) {
        if (k != 3) pixels(4, py, px, pw, bias, p1 - p0, k, k, stride, pixel, line, C);
        else if (stride == 1) pixels3(1, py, px, pw, bias, p1 - p0, pixel, line, C);
        else if (stride == 2) pixels3(2, py, px, pw, bias, p1 - p0, pixel, line, C);
        else pixels(4, py, px, pw, bias, p1 - p0, k, k, stride, pixel, line, C);
        j += 4;
        py += 4 * pixel;
      } else {
        pixels(1, py, px, pw, bias, p1 - p0, q1 - q0, k, stride, pixel, line, C);
        j++;
        py += pixel;
      }
    }
  }
}

// `count` = 1 or 4 pixels, a literal in all callers, all of whose rows × columns taps lie inside
// @ts-ignore: decorator
@inline
function pixels(
  count: i32, y: usize, x: usize, w: usize, bias: usize, rows: i32, columns: i32, k: i32, stride: i32, pixel: usize, line: usize, C: i32,
): void {
  const wLine = <usize>k * pixel, step = <usize>stride * pixel;
  let left = C;
  for (; left >= 8; left -= 8, y += 32, x += 32, w += 32, bias += 32) {
    let a0 = v128.load(bias), a1 = v128.load(bias, 16), b0 = a0, b1 = a1, c0 = a0, c1 = a1, d0 = a0, d1 = a1;
    let pxRow = x, pwRow = w;
    for (let p = 0; p < rows; p++, pxRow += line, pwRow += wLine) {
      let px = pxRow, pw = pwRow;
      for (let q = 0; q < columns; q++, px += pixel, pw += pixel) {
        const w0 = v128.load(pw), w1 = v128.load(pw, 16);
        a0 = madd(w0, v128.load(px), a0); a1 = madd(w1, v128.load(px, 16), a1);
        if (count > 1) {
          const x1 = px + step, x2 = x1 + step, x3 = x2 + step;
          b0 = madd(w0, v128.load(x1), b0); b1 = madd(w1, v128.load(x1, 16), b1);
          c0 = madd(w0, v128.load(x2), c0); c1 = madd(w1, v128.load(x2, 16), c1);
          d0 = madd(w0, v128.load(x3), d0); d1 = madd(w1, v128.load(x3, 16), d1);
        }
      }
    }
    v128.store(y, a0); v128.store(y, a1, 16);
    if (count > 1) {
      const y1 = y + pixel, y2 = y1 + pixel, y3 = y2 + pixel;
      v128.store(y1, b0); v128.store(y1, b1, 16);
      v128.store(y2, c0); v128.store(y2, c1, 16);
      v128.store(y3, d0); v128.store(y3, d1, 16);
    }
  }
  for (let n = 0; n < count && left > 0; n++, y += pixel, x += step) rest(y, x, w, bias, rows, columns, pixel, wLine, line, left);
}

// The same for four pixels and k = 3; `stride` = 1 or 2, a literal in both callers. Pixel n of a row is tap n − stride·m of sum m.
// @ts-ignore: decorator
@inline
function pixels3(stride: i32, y: usize, x: usize, w: usize, bias: usize, rows: i32, pixel: usize, line: usize, C: i32): void {
  const y1 = pixel, y2 = y1 + pixel, y3 = y2 + pixel, wLine = y3;
  let left = C;
  for (; left >= 8; left -= 8, y += 32, x += 32, w += 32, bias += 32) {
    let a0 = v128.load(bias), a1 = v128.load(bias, 16), b0 = a0, b1 = a1, c0 = a0, c1 = a1, d0 = a0, d1 = a1;
    let px = x, pw = w;
    for (let p = 0; p < rows; p++, px += line, pw += wLine) {
      const u0 = v128.load(pw), u1 = v128.load(pw, 16);
      const v0 = v128.load(pw + y1), v1 = v128.load(pw + y1, 16), w0 = v128.load(pw + y2), w1 = v128.load(pw + y2, 16);
      let at = px, x0 = v128.load(at), x1 = v128.load(at, 16);
      a0 = madd(u0, x0, a0); a1 = madd(u1, x1, a1);
      at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
      a0 = madd(v0, x0, a0); a1 = madd(v1, x1, a1);
      if (stride == 1) { b0 = madd(u0, x0, b0); b1 = madd(u1, x1, b1); }
      at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
      a0 = madd(w0, x0, a0); a1 = madd(w1, x1, a1);
      if (stride == 1) {
        b0 = madd(v0, x0, b0); b1 = madd(v1, x1, b1); c0 = madd(u0, x0, c0); c1 = madd(u1, x1, c1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        b0 = madd(w0, x0, b0); b1 = madd(w1, x1, b1); c0 = madd(v0, x0, c0); c1 = madd(v1, x1, c1);
        d0 = madd(u0, x0, d0); d1 = madd(u1, x1, d1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        c0 = madd(w0, x0, c0); c1 = madd(w1, x1, c1); d0 = madd(v0, x0, d0); d1 = madd(v1, x1, d1);
      } else {
        b0 = madd(u0, x0, b0); b1 = madd(u1, x1, b1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        b0 = madd(v0, x0, b0); b1 = madd(v1, x1, b1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        b0 = madd(w0, x0, b0); b1 = madd(w1, x1, b1); c0 = madd(u0, x0, c0); c1 = madd(u1, x1, c1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        c0 = madd(v0, x0, c0); c1 = madd(v1, x1, c1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        c0 = madd(w0, x0, c0); c1 = madd(w1, x1, c1); d0 = madd(u0, x0, d0); d1 = madd(u1, x1, d1);
        at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
        d0 = madd(v0, x0, d0); d1 = madd(v1, x1, d1);
      }
      at += pixel; x0 = v128.load(at); x1 = v128.load(at, 16);
      d0 = madd(w0, x0, d0); d1 = madd(w1, x1, d1);
    }
    v128.store(y, a0); v128.store(y, a1, 16);
    v128.store(y + y1, b0); v128.store(y + y1, b1, 16);
    v128.store(y + y2, c0); v128.store(y + y2, c1, 16);
    v128.store(y + y3, d0); v128.store(y + y3, d1, 16);
  }
  const step = <usize>stride * pixel;
  for (let n = 0; n < 4 && left > 0; n++, y += pixel, x += step) rest(y, x, w, bias, rows, 3, pixel, wLine, line, left);
}

// the last one to seven channels of one pixel
function rest(
  y: usize, x: usize, w: usize, bias: usize, rows: i32, columns: i32, pixel: usize, wLine: usize, line: usize, left: i32,
): void {
  for (; left > 0; left -= 4, y += 16, x += 16, w += 16, bias += 16) {
    const lanes = left;
    let sum = some(bias, lanes);
    for (let p = 0; p < rows; p++) {
      let px = x + <usize>p * line, pw = w + <usize>p * wLine;
      for (let q = 0; q < columns; q++, px += pixel, pw += pixel) sum = madd(some(pw, lanes), some(px, lanes), sum);
    }
    if (lanes >= 4) v128.store(y, sum);
    else store_lanes(y, sum, lanes);
  }
}

// @ts-ignore: decorator
@inline
function some(p: usize, lanes: i32): v128 {
  return lanes >= 4 ? v128.load(p) : load_lanes(p, lanes);
}
