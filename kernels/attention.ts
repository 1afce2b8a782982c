// o = softmax(scale·q·kᵀ)·v with a running maximum: the [N, S] scores never exist as a whole.
//
// q [B, h, N, d], k [B, h, S, d], v [B, h, S, dv], o [B, h, N, dv]: any strides, 0 included; channels adjacent
//
// A tile is up to nq queries of one head. Per block of KEYS keys:
//   scores   s = q·kᵀ                     the gemm tile on a packed panel of 16 keys; a chain over d from 0
//   maximum  m' = max(m, max s)           where it rises, sum and accumulators are multiplied by e^(scale·(m − m'))
//   weights  p = e^(scale·s − scale·m')   in place of s; sum += p
//   values   o += p·v                     the gemm tile on 16 packed columns of v; a chain over keys that goes on from o
// and at the end o is divided by the sum.
//
// Versions, GFLOP/s in Node 20 / Node 26 with 256-bit code, fma build, one thread of an AMD Zen 5 whose registers reach
// 62 / 126; 4096 queries and keys, d = dv = 96:
// 1. as above, maxima by f32x4.max, which is eight instructions in a chain                          46 / 87
// 2. f32x4.pmax                                                                                     50 / 97
// 3. sums and maxima as 8 lanes that are stored in pairs: no change, but no shuffles in the loop
// 4. scores of 24 queries at a time, so that they stay in the first-level cache; v packed: no change
// 5. constants of exp in local variables: up to 4 % where all is in the cache, else nothing; not worth eleven names
// On an Intel Xeon, Node 24, % of 128 with 256-bit code, on a machine busy with other work; windows of 8 / of 14 / global:
// 6. versions 1 to 3 with gemm's tile of four steps a round                                         37 / 50 / 50
// 7. v packed: rows of v 1536 bytes apart fall into 8 of the 64 sets of the first-level cache       37 / 50 / 54
// 8. 384 instead of 192 queries a tile, as k and v come from memory for each                        37 / 50 / 60 … 65
// 9. q, k and v of a block read ahead, a word a line                                                45 / 58 / 68
// 10. 128 instead of 256 keys a block: no change
// With q, k, v and o in the cache windows of 8 are 1.7 times as fast (of version 8): memory is what is left of them.
// On the AMD: weights cost 1.8 cycles a score of 16; the first touch of k and v in each tile 1.4, more in small
// windows, which reach 100 of 126 when their q, k and v are in the cache.
import { FREE, LINE, MR, ROWS, fillTile, pack_panel, tile_6x16, touch } from "./gemm";
import { exp_f32x4 } from "./math";
import { hmax, hsum, madd } from "./simd";

// @ts-ignore: decorator
@inline
const KEYS: i32 = 256;

/**
 * Tiles [from, to): nq queries of one head each, the tiles of a head adjacent. Strides are in bytes; nq is a multiple of 6
 * and at most 384.
 */
export function attention_f32(
  o: usize, oB: usize, oH: usize, oN: usize, q: usize, qB: usize, qH: usize, qN: usize,
  k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, N: i32, S: i32, d: i32, dv: i32, scale: f32, nq: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const keys = min(KEYS, S + 15 & ~15), columns = dv + 15 & ~15;
  const lds = <usize>keys << 2, ldo = <usize>columns << 2; // row strides of scores and accumulators
  const queries = scratch + ROWS; // addresses of q's rows
  const weights = queries + 4 * <usize>nq; // addresses of the rows of scores
  const zeros = scratch + FREE;
  const running = zeros + LINE; // of each query 8 lanes of sums and 8 of maxima
  const scores = running + LINE * <usize>nq;
  const panel = scores + lds * <usize>nq; // of 16 keys, or of 16 columns of v
  const out = panel + LINE * <usize>max(d, keys);
  memory.fill(zeros, 0, LINE);
  for (let n = 0; n < nq; n++) store<u32>(weights + (<usize>n << 2), scores + <usize>n * lds);

  const blocks = (N + nq - 1) / nq;
  for (let t = from; t < to; t++) {
    const head = t / blocks, n0 = t % blocks * nq, count = min(nq, N - n0);
    const at = <usize>(head / h), ah = <usize>(head % h);
    const qt = q + at * qB + ah * qH + <usize>n0 * qN;
    const kt = k + at * kB + ah * kH;
    const vt = v + at * vB + ah * vH;
    const ot = o + at * oB + ah * oH + <usize>n0 * oN;
    for (let n = 0; n < count; n++) {
      store<u32>(queries + (<usize>n << 2), qt + <usize>n * qN);
      start(running + <usize>n * LINE);
    }
    fillTile(queries + (<usize>count << 2), count);
    touch(qt, qN, count, d, scratch);

    for (let s0 = 0; s0 < S; s0 += keys) {
      const block = min(keys, S - s0);
      touch(kt + <usize>s0 * kS, kS, block, d, scratch);
      touch(vt + <usize>s0 * vS, vS, block, dv, scratch);
      for (let s = 0; s < block; s += 16) {
        pack_panel(panel, kt + <usize>(s0 + s) * kS, kS, min(16, block - s), d);
        for (let n = 0; n < count; n += MR) {
          tile_6x16(wide, scores + <usize>n * lds + (<usize>s << 2), lds, zeros, 0, queries + (<usize>n << 2), panel, LINE, d);
        }
      }
      softmax(scores, lds, count, block, running, scale, s0 ? out : 0, ldo);
      for (let c = 0; c < dv; c += 16) {
        copyColumns(panel, vt + <usize>s0 * vS + (<usize>c << 2), vS, block, min(16, dv - c));
        for (let n = 0; n < count; n += MR) {
          const to = out + <usize>n * ldo + (<usize>c << 2);
          tile_6x16(wide, to, ldo, s0 ? to : zeros, s0 ? ldo : 0, weights + (<usize>n << 2), panel, LINE, block);
        }
      }
    }
    for (let n = 0; n < count; n++) {
      const sums = running + <usize>n * LINE;
      scaleTo(ot + <usize>n * oN, out + <usize>n * ldo, 1 / hsum(f32x4.add(v128.load(sums), v128.load(sums, 16))), dv);
    }
  }
}

/** No sum and no maximum yet. */
// @ts-ignore: decorator
@inline
function start(running: usize): void {
  const zero = f32x4.splat(0), lowest = f32x4.splat(-Infinity);
  v128.store(running, zero); v128.store(running, zero, 16);
  v128.store(running, lowest, 32); v128.store(running, lowest, 48);
}

/**
 * Rows of scores become weights. `running` holds 8 lanes of each row's sum and 8 of its maximum so far, `out` its
 * accumulators, or is 0 in the first block. Lanes are loaded and stored in pairs, as that is what V8 joins.
 */
function softmax(row: usize, lds: usize, rows: i32, count: i32, running: usize, scale: f32, out: usize, ldo: usize): void {
  const factor = f32x4.splat(scale);
  const bytes = <usize>(count + 15 & ~15) << 2;

  for (; rows > 0; rows--, row += lds, running += LINE) {
    const end = row + bytes;
    for (let p = row + (<usize>count << 2); p < end; p += 4) store<f32>(p, -Infinity);

    let top0 = v128.load(running, 32), top1 = v128.load(running, 48);
    const before = f32x4.pmax(top0, top1);
    for (let p = row; p < end; p += 32) {
      const x0 = v128.load(p), x1 = v128.load(p, 16);
      top0 = f32x4.pmax(top0, x0);
      top1 = f32x4.pmax(top1, x1);
    }
    v128.store(running, top0, 32);
    v128.store(running, top1, 48);
    const maximum = scale * hmax(f32x4.pmax(top0, top1));

    if (out) {
      const change = scale * hmax(before) - maximum;
      if (change < 0) {
        const shrink = exp_f32x4(f32x4.splat(change));
        multiply(running, shrink, 32);
        multiply(out, shrink, ldo);
      }
      out += ldo;
    }
    const offset = f32x4.splat(-maximum);
    let sum0 = v128.load(running), sum1 = v128.load(running, 16);
    for (let p = row; p < end; p += 32) {
      const x0 = exp_f32x4(madd(v128.load(p), factor, offset));
      const x1 = exp_f32x4(madd(v128.load(p, 16), factor, offset));
      sum0 = f32x4.add(sum0, x0);
      sum1 = f32x4.add(sum1, x1);
      v128.store(p, x0);
      v128.store(p, x1, 16);
    }
    v128.store(running, sum0);
    v128.store(running, sum1, 16);
  }
}

/** x *= factor */
// @ts-ignore: decorator
@inline
function multiply(x: usize, factor: v128, bytes: usize): void {
  for (const end = x + bytes; x < end; x += 32) {
    const x0 = f32x4.mul(v128.load(x), factor), x1 = f32x4.mul(v128.load(x, 16), factor);
    v128.store(x, x0);
    v128.store(x, x1, 16);
  }
}

/** 16 columns of v as rows of a panel; where v has fewer, what follows them is not used. */
function copyColumns(to: usize, from: usize, stride: usize, count: i32, width: i32): void {
  for (; count > 0; count--, to += LINE, from += stride) {
    if (width == 16) {
      const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
      v128.store(to, x0); v128.store(to, x1, 16); v128.store(to, x2, 32); v128.store(to, x3, 48);
    } else {
      for (let at: usize = 0; at < <usize>width << 2; at += 4) store<f32>(to + at, load<f32>(from + at));
    }
  }
}

/** o = factor·x */
function scaleTo(o: usize, x: usize, factor: f32, count: i32): void {
  const f = f32x4.splat(factor);
  for (; count >= 8; count -= 8, o += 32, x += 32) {
    const x0 = f32x4.mul(v128.load(x), f), x1 = f32x4.mul(v128.load(x, 16), f);
    v128.store(o, x0); v128.store(o, x1, 16);
  }
  for (; count > 0; count--, o += 4, x += 4) store<f32>(o, load<f32>(x) * factor);
}
