// y[m, n, c] = e^(scale·x[m, n, c])/Σₙ e^(scale·x[m, n, c]): softmax over the middle axis of [M, N, C], which is short
//
// Channels are lanes, so nothing is summed across lanes: of 8 at a time the maximum over n, then the exponentials, in y, then
// their sum's share. C is a multiple of 8. y may be x.
import { exp2_f32x4, exponent, EXP2_TABLE, at } from "./math";

/** Tiles of `tile` rows m. `scale` makes exponents of 2. */
export function softmax_f32(y: usize, x: usize, M: i32, N: i32, C: i32, scale: f32, tile: i32, scratch: usize, from: i32, to: i32): void {
  const low = at(EXP2_TABLE, 0), round = at(EXP2_TABLE, 1), c6 = at(EXP2_TABLE, 2), c5 = at(EXP2_TABLE, 3), c4 = at(EXP2_TABLE, 4);
  const c3 = at(EXP2_TABLE, 5), c2 = at(EXP2_TABLE, 6), c1 = at(EXP2_TABLE, 7), one = at(EXP2_TABLE, 8);
  const factor = f32x4.splat(scale), line = <usize>C << 2, all = <usize>N * line;
  const start = <usize>(from * tile) * all, stop = <usize>min(to * tile, M) * all;
  for (let m = start; m < stop; m += all) {
    for (let c: usize = 0; c < line; c += 32) {
      const px = x + m + c, py = y + m + c;
      let m0 = v128.load(px), m1 = v128.load(px, 16);
      for (let n = line; n < all; n += line) {
        m0 = f32x4.pmax(m0, v128.load(px + n));
        m1 = f32x4.pmax(m1, v128.load(px + n, 16));
      }
      const o0 = f32x4.neg(f32x4.mul(m0, factor)), o1 = f32x4.neg(f32x4.mul(m1, factor));
      let s0 = f32x4.splat(0), s1 = s0;
      for (let n: usize = 0; n < all; n += line) {
        const e0 = exp2_f32x4(exponent(v128.load(px + n), m0, factor, o0), low, round, c6, c5, c4, c3, c2, c1, one);
        const e1 = exp2_f32x4(exponent(v128.load(px + n, 16), m1, factor, o1), low, round, c6, c5, c4, c3, c2, c1, one);
        s0 = f32x4.add(s0, e0);
        s1 = f32x4.add(s1, e1);
        v128.store(py + n, e0);
        v128.store(py + n, e1, 16);
      }
      s0 = f32x4.div(one, s0);
      s1 = f32x4.div(one, s1);
      for (let n: usize = 0; n < all; n += line) {
        const y0 = f32x4.mul(v128.load(py + n), s0), y1 = f32x4.mul(v128.load(py + n, 16), s1);
        v128.store(py + n, y0);
        v128.store(py + n, y1, 16);
      }
    }
  }
}
