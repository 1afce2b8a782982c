// y[b, i, j, :] = max of x[b, 2i, 2j, :], x[b, 2i, 2j + 1, :], x[b, 2i + 1, 2j, :], x[b, 2i + 1, 2j + 1, :]
//
// x, y  any strides, adjacent channels; NaN wins, as in PyTorch
import { load_lanes, store_lanes } from "./lanes";

/** Tiles: rows (b, i) of y [B, H, W, C]. Strides are in bytes. */
export function maxpool_f32_2x2(
  y: usize, yB: usize, yH: usize, yW: usize, x: usize, xB: usize, xH: usize, xW: usize,
  H: i32, W: i32, C: i32, scratch: usize, from: i32, to: i32,
): void {
  for (let t = from; t < to; t++) {
    const b = <usize>(t / H), i = <usize>(t % H);
    let py = y + b * yB + i * yH, px = x + b * xB + 2 * i * xH;
    for (let j = 0; j < W; j++, py += yW, px += 2 * xW) cell(py, px, xH, xW, C);
  }
}

// @ts-ignore: decorator
@inline
function cell(y: usize, x: usize, xH: usize, xW: usize, C: i32): void {
  const x1 = x + xW, x2 = x + xH, x3 = x2 + xW;
  let c: usize = 0, left = C;
  for (; left >= 4; left -= 4, c += 16) {
    v128.store(y + c, max4(v128.load(x + c), v128.load(x1 + c), v128.load(x2 + c), v128.load(x3 + c)));
  }
  if (left > 0) {
    const m = max4(load_lanes(x + c, left), load_lanes(x1 + c, left), load_lanes(x2 + c, left), load_lanes(x3 + c, left));
    store_lanes(y + c, m, left);
  }
}

// @ts-ignore: decorator
@inline
function max4(a: v128, b: v128, c: v128, d: v128): v128 {
  return f32x4.max(f32x4.max(a, b), f32x4.max(c, d));
}
