// o = softmax(scale·q·kᵀ)·v with a running maximum: the [N, S] scores never exist as a whole.
//
// q [B, h, N, d], k [B, h, S, d], v [B, h, S, dv], o [B, h, N, dv]: any strides, 0 included; channels adjacent
//
// A tile is up to nq queries of one head. Per block of keys, k is packed as panels of 16 keys and v as panels of 16 columns
// (v of a window is read in place); then, 24 queries after another, with scale in units of 1/ln 2:
//   scores   s = q·kᵀ                     the gemm tile; a chain over d from 0
//   maximum  m' = max(m, max s)           where it rises, sum and accumulators are multiplied by 2^(scale·m − scale·m')
//   weights  p = 2^(scale·s − scale·m')   in place of s; sum += p
//   values   o += p·v                     the gemm tile; a chain over keys that goes on from o
// and after the last block o is divided by the sum.
//
// Versions, GFLOP/s in Node 20 / Node 26 with 256-bit code, fma build, one thread of an AMD Zen 5 whose registers reach
// 62 / 126; 4096 queries and keys, d = dv = 96:
// 1. as above, but eˣ, and maxima by f32x4.max, which is eight instructions in a chain               46 / 87
// 2. f32x4.pmax                                                                                     50 / 97
// 3. sums and maxima as 8 lanes that are stored in pairs: no change, but no shuffles in the loop
// 4. scores of 24 queries at a time, so that they stay in the first-level cache; v packed: no change
// 5. constants of exp in local variables: up to 4 % where all is in the cache, else nothing
// On an Intel Xeon, Node 24, % of 128 with 256-bit code, on a machine busy with other work; windows of 8 / of 14 / global:
// 6. versions 1 to 3 with gemm's tile of four steps a round                                         37 / 50 / 50
// 7. v packed: rows of v 1536 bytes apart fall into 8 of the 64 sets of the first-level cache       37 / 50 / 54
// 8. 384 instead of 192 queries a tile, as k and v come from memory for each                        37 / 50 / 60 … 65
// 9. q, k and v of a block read ahead, a word a line                                                45 / 58 / 68
// 10. 128 instead of 256 keys a block: no change
// On an AMD Zen 4 of two cores, second-level cache of 1 MB, Node 26, % of 118 with 256-bit code, best of many; windows of 8 /
// of 4, two heads / of 14 / global. Windows in the order of the qkv product; the cost of 16 scores, in cycles, at the end:
// 11. version 9                                                                                     49 / 22 / 66 / 74; 28
// 12. 2ˣ: no second part of ln 2, no upper clamp                                                    –  / –  / –  / –;  17
// 13. maxima of 24 rows before their weights, so that no row waits; n added to the exponent of 2ᶠ   –  / –  / –  / –;  15
// 14. these 24 rows of scores are still in the first-level cache (see 4; 12, 36, 66 rows: the same) 51 / 22 / 70 / 78
// 15. the rows of q, k and v read together, not one array after the other: pages in turn            57 / 21 / 68 / 78
// 16. and, at the first head of a window, those of all heads                                        57 / 27 / 70 / 78
// 17. and those of o, before they are written                                                       61 / 30 / 73 / 78
// 18. a tile of 4 rows for what is left of a group; v of a window in place                          65 / 34 / 74 / 79
// 19. constants of 2ˣ in local variables after all, as now memory waits for less                    66 / 34 / 75 / 79; 13
// 20. 512 queries a tile                                                                            66 / 34 / 75 / 81
// 21. o divided 24 rows at a time, where 20 divided tile by tile; a window's sums in the same place again and again: windows of
//    8 / of 4 from 63.5 / 31.5 to 64 / 33, in the cache 69.5 → 70.5; Node 20 72.5 / 45 → 72.8 / 47, in the cache 77.8 → 78.2
// With windows of 8 in the cache 76: a seventh of their time is memory, 33 GB/s. A single global tile reaches 86; the rest is
// rows of k and v that lie apart, a page or more each. Node 20, 11 → 20, % of 59: 67 → 75 / 34 → 48 / 74 → 79 / 83 → 87 (one tile).
// No gain on the AMD: reading the next window's rows between tiles (a load that misses holds up all that follows), a word of
// each of its pages first (slower), two halves of a window at once, two lines a step, o stored tile by tile without 17, a
// padded row of scores, 128 keys a block (2 % slower), maxima and weights as functions of their own. 2ᶠ of degree 5 is 1 %
// faster and 2.1 ULP. Where the time of windows of 8 goes in Node 20, in points of the peak that leaving it out gains: weights 5,
// maxima 0.7, the division 1.3, packing k 1.4, and without reading ahead 15 are lost; tiles of K = 96 / 64 reach 90 / 86. Tried
// there for no gain: weights divided by the sum instead of o, which then is written by the tiles; k packed while its rows are
// read; both halves of a 6×8 tile by one call; 12, 18, 36, 66 queries at a time. Two vectors of weights a step are 0.8 points
// more (fewer spills), but add sums in another order, less exactly: ceilings of the goldens were exceeded.
import { FREE, LINE, MR, ROWS, fillTile, pack_panel, read, tileOf } from "./gemm";
import { EXP2_TABLE, at, exp2, exp2_f32x4, exponent } from "./math";
import { hmax, hsum, madd } from "./simd";

// @ts-ignore: decorator
@inline
const GROUP: i32 = 24; // queries whose scores stay in the first-level cache

/** Bytes of scratch that tiles of nq queries and blocks of `keys` keys take. */
export function attention_f32_scratch(d: i32, dv: i32, nq: i32, keys: i32): usize {
  const columns = dv + 15 & ~15;
  return FREE + LINE + LINE * <usize>nq + (<usize>(keys * (GROUP + d + columns) + nq * columns) << 2);
}

/**
 * Tiles [from, to): nq queries of one head each, the tiles of a head adjacent. Strides are in bytes; nq is a multiple of 6
 * and at most 516; `keys`, the length of a block, is a multiple of 16; `scale` makes exponents of 2 of scores.
 */
export function attention_f32(
  o: usize, oB: usize, oH: usize, oN: usize, q: usize, qB: usize, qH: usize, qN: usize,
  k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, N: i32, S: i32, d: i32, dv: i32, scale: f32, nq: i32, keys: i32, packed: usize, wide: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const columns = dv + 15 & ~15;
  const lds = <usize>keys << 2, ldo = <usize>columns << 2; // row strides of scores and accumulators
  const queries = scratch + ROWS; // addresses of q's rows
  const weights = queries + 4 * <usize>nq; // addresses of the rows of scores
  const zeros = scratch + FREE;
  const running = zeros + LINE; // of each query 8 lanes of sums and the maximum
  const scores = running + LINE * <usize>nq;
  const room = scores + lds * GROUP; // panels of a block
  const out = room + lds * (d + columns); // accumulators of all queries, where there are several blocks of keys
  memory.fill(zeros, 0, LINE);
  for (let n = 0; n < GROUP; n++) store<u32>(weights + (<usize>n << 2), scores + <usize>n * lds);

  const blocks = (N + nq - 1) / nq;
  const channels = <usize>d << 2, values = <usize>dv << 2;
  const window = S <= keys && blocks == 1; // all of a head in one tile
  const adjacent = window && qH == channels && kH == channels && vH == values && oH == values; // heads of a row
  const inPlace = window && dv % 16 == 0; // v, which else is copied
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

    for (let s0 = 0; s0 < S; s0 += keys) {
      const block = min(keys, S - s0), last = s0 + block == S;
      const kb = kt + <usize>s0 * kS, vb = vt + <usize>s0 * vS;
      const kp = packed ? packed + panelBytes(S, d + columns) * head + panelBytes(s0, d + columns) : room; // panels of 16 keys
      const vp = kp + panelBytes(block, d); // panels of 16 columns of v
      if (!packed && (!adjacent || ah == 0 || t == from)) {
        const heads = adjacent ? <usize>min(h - <i32>ah, to - t) : 1;
        let sum = 0;
        for (let i: usize = 0; i < <usize>max(count, block); i++) {
          if (s0 == 0 && i < <usize>count) sum += read(qt + i * qN, heads * channels) + read(ot + i * oN, heads * values);
          if (i < <usize>block) sum += read(kb + i * kS, heads * channels) + read(vb + i * vS, heads * values);
        }
        store<i32>(scratch, sum); // or the reads would be removed
      }
      if (!packed) packBlock(kp, kb, kS, d, vp, vb, vS, inPlace ? 0 : dv, block);

      for (let n = 0; n < count; n += GROUP) {
        const rows = min(GROUP, count - n);
        const state = running + <usize>n * LINE;
        const sums = window ? out : out + <usize>n * ldo;
        for (let s = 0; s < block; s += 16) {
          for (let m = 0; m < rows; m += MR) {
            const a = queries + (<usize>(n + m) << 2), c = scores + <usize>m * lds + (<usize>s << 2);
            tileOf(wide, rows - m, c, lds, zeros, 0, a, kp + <usize>s * channels, LINE, d);
          }
        }
        maxima(scores, lds, rows, block, state, scale, s0 ? sums : 0, ldo);
        weigh(scores, lds, rows, block, state, scale);
        if (last) invert(state, rows);
        for (let c = 0; c < dv; c += 16) {
          const b = inPlace ? vb + (<usize>c << 2) : vp + (<usize>(c * block) << 2), ldb = inPlace ? vS : LINE;
          for (let m = 0; m < rows; m += MR) {
            const a = weights + (<usize>m << 2), sum = sums + <usize>m * ldo + (<usize>c << 2);
            tileOf(wide, rows - m, sum, ldo, s0 ? sum : zeros, s0 ? ldo : 0, a, b, ldb, block);
          }
        }
        if (last) finish(ot + <usize>n * oN, oN, sums, ldo, state, rows, dv);
      }
    }
  }
}

/** Bytes of `channels` channels of so many keys, as whole panels. */
// @ts-ignore: decorator
@inline
function panelBytes(keys: i32, channels: i32): usize {
  return <usize>(keys + 15 & ~15) * channels << 2;
}

/** Keys of a block as panels of 16 keys, values as panels of 16 columns. */
function packBlock(kp: usize, k: usize, kS: usize, d: i32, vp: usize, v: usize, vS: usize, dv: i32, block: i32): void {
  for (let s = 0; s < block; s += 16) {
    pack_panel(kp + (<usize>(s * d) << 2), k + <usize>s * kS, kS, min(16, block - s), d);
  }
  for (let c = 0; c < dv; c += 16) {
    copyColumns(vp + (<usize>(c * block) << 2), v + (<usize>c << 2), vS, block, min(16, dv - c));
  }
}

/** Blocks [from, to) of all heads, packed for `attention_f32`. */
export function attention_f32_pack(
  packed: usize, k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, S: i32, d: i32, dv: i32, keys: i32, scratch: usize, from: i32, to: i32,
): void {
  const channels = d + (dv + 15 & ~15), blocks = (S + keys - 1) / keys;
  for (let t = from; t < to; t++) {
    const head = t / blocks, s0 = t % blocks * keys, block = min(keys, S - s0);
    const at = <usize>(head / h), ah = <usize>(head % h);
    const kp = packed + panelBytes(S, channels) * head + panelBytes(s0, channels);
    const kb = k + at * kB + ah * kH + <usize>s0 * kS, vb = v + at * vB + ah * vH + <usize>s0 * vS;
    packBlock(kp, kb, kS, d, kp + panelBytes(block, d), vb, vS, dv, block);
  }
}

/** No sum and no maximum yet. */
// @ts-ignore: decorator
@inline
function start(state: usize): void {
  v128.store(state, f32x4.splat(0));
  v128.store(state, f32x4.splat(0), 16);
  store<f32>(state, -Infinity, 32);
}

/**
 * The maximum of each row of `count` scores and of those before it. Where it rises, the row's sum and accumulators shrink;
 * `out` is 0 in the first block. The scores up to the next multiple of 16 become −∞. Two chains of lanes in pairs, which is
 * what V8 joins.
 */
function maxima(row: usize, lds: usize, rows: i32, count: i32, state: usize, scale: f32, out: usize, ldo: usize): void {
  const bytes = <usize>(count + 15 & ~15) << 2;
  for (; rows > 0; rows--, row += lds, state += LINE) {
    const end = row + bytes;
    for (let p = row + (<usize>count << 2); p < end; p += 4) store<f32>(p, -Infinity);

    const before = load<f32>(state, 32);
    let m0 = f32x4.splat(before), m1 = m0, m2 = m0, m3 = m0;
    for (let p = row; p < end; p += 64) {
      m0 = f32x4.pmax(m0, v128.load(p));
      m1 = f32x4.pmax(m1, v128.load(p, 16));
      m2 = f32x4.pmax(m2, v128.load(p, 32));
      m3 = f32x4.pmax(m3, v128.load(p, 48));
    }
    v128.store(state, f32x4.pmax(m0, m2), 32);
    v128.store(state, f32x4.pmax(m1, m3), 48);
    const maximum = hmax(f32x4.pmax(v128.load(state, 32), v128.load(state, 48)));
    store<f32>(state, maximum, 32);
    if (out) {
      if (maximum > before) {
        const shrink = exp2(f32x4.splat(scale * before - scale * maximum));
        multiply(state, shrink, 32);
        multiply(out, shrink, ldo);
      }
      out += ldo;
    }
  }
}

/** Rows of scores become weights; `state` holds each row's maximum and 8 lanes of its sum so far. */
function weigh(row: usize, lds: usize, rows: i32, count: i32, state: usize, scale: f32): void {
  const low = at(EXP2_TABLE, 0), round = at(EXP2_TABLE, 1), c6 = at(EXP2_TABLE, 2), c5 = at(EXP2_TABLE, 3), c4 = at(EXP2_TABLE, 4);
  const c3 = at(EXP2_TABLE, 5), c2 = at(EXP2_TABLE, 6), c1 = at(EXP2_TABLE, 7), one = at(EXP2_TABLE, 8);
  const factor = f32x4.splat(scale);
  const bytes = <usize>(count + 15 & ~15) << 2;
  for (; rows > 0; rows--, row += lds, state += LINE) {
    const top = v128.load32_splat(state, 32), offset = f32x4.neg(f32x4.mul(top, factor));
    let sum0 = v128.load(state), sum1 = v128.load(state, 16);
    for (let p = row, end = row + bytes; p < end; p += 64) {
      const x0 = exp2_f32x4(exponent(v128.load(p), top, factor, offset), low, round, c6, c5, c4, c3, c2, c1, one);
      const x1 = exp2_f32x4(exponent(v128.load(p, 16), top, factor, offset), low, round, c6, c5, c4, c3, c2, c1, one);
      const x2 = exp2_f32x4(exponent(v128.load(p, 32), top, factor, offset), low, round, c6, c5, c4, c3, c2, c1, one);
      const x3 = exp2_f32x4(exponent(v128.load(p, 48), top, factor, offset), low, round, c6, c5, c4, c3, c2, c1, one);
      sum0 = f32x4.add(sum0, f32x4.add(x0, x2));
      sum1 = f32x4.add(sum1, f32x4.add(x1, x3));
      v128.store(p, x0);
      v128.store(p, x1, 16);
      v128.store(p, x2, 32);
      v128.store(p, x3, 48);
    }
    v128.store(state, sum0);
    v128.store(state, sum1, 16);
  }
}

/** Of each row 1/sum instead of the lanes. */
// @ts-ignore: decorator
@inline
function invert(state: usize, rows: i32): void {
  for (; rows > 0; rows--, state += LINE) store<f32>(state, 1 / hsum(f32x4.add(v128.load(state), v128.load(state, 16))));
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
export function copyColumns(to: usize, from: usize, stride: usize, count: i32, width: i32): void {
  if (width == 16) {
    for (; count > 0; count--, to += LINE, from += stride) {
      const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
      v128.store(to, x0); v128.store(to, x1, 16); v128.store(to, x2, 32); v128.store(to, x3, 48);
    }
  } else {
    for (; count > 0; count--, to += LINE, from += stride) {
      for (let at: usize = 0; at < <usize>width << 2; at += 4) store<f32>(to + at, load<f32>(from + at));
    }
  }
}

/** o = sums · 1/sum */
function finish(o: usize, oN: usize, sums: usize, ldo: usize, state: usize, rows: i32, dv: i32): void {
  const whole = <usize>(dv & ~7) << 2, all = <usize>dv << 2;
  for (; rows > 0; rows--, o += oN, sums += ldo, state += LINE) {
    const f = v128.load32_splat(state);
    let at: usize = 0;
    for (; at < whole; at += 32) {
      const x0 = f32x4.mul(v128.load(sums + at), f), x1 = f32x4.mul(v128.load(sums + at, 16), f);
      v128.store(o + at, x0);
      v128.store(o + at, x1, 16);
    }
    for (; at < all; at += 4) store<f32>(o + at, load<f32>(sums + at) * load<f32>(state));
  }
}
