// The first two versions of attention.ts, as its diary counts them, to be run beside the present one: `npm run bench -- --history`.
//
// 1. eˣ, and maxima by f32x4.max, which is eight instructions in a chain
// 2. maxima by f32x4.pmax
import { FREE, LINE, MR, ROWS, fillTile, pack_panel, tile_6x16 } from "../gemm";
import { exp_f32x4 } from "../math";
import { hmax, hsum, madd } from "../simd";

// @ts-ignore: decorator
@inline
const KEYS: i32 = 256;

/** Tiles [from, to): nq queries of one head each, the tiles of a head adjacent. Strides are in bytes. `version` is a literal. */
// @ts-ignore: decorator
@inline
function attention(
  version: i32,
  o: usize, oB: usize, oH: usize, oN: usize, q: usize, qB: usize, qH: usize, qN: usize,
  k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, N: i32, S: i32, d: i32, dv: i32, scale: f32, nq: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const keys = min(KEYS, (S + 15) & ~15);
  const columns = (dv + 15) & ~15;
  const lds = <usize>keys << 2, ldo = <usize>columns << 2; // row strides of scores and accumulators
  const padded = <usize>((nq + MR - 1) / MR * MR);
  const queries = scratch + ROWS; // addresses of q's rows
  const weights = queries + 4 * padded; // addresses of the rows of scores
  const zeros = scratch + FREE;
  const running = zeros + LINE; // maximum and sum of each query
  const scores = running + ((8 * padded + 63) & ~63);
  const panel = scores + padded * lds; // of 16 keys, or of the last columns of v
  const out = panel + max(<usize>d, <usize>keys) * LINE;
  memory.fill(zeros, 0, LINE);

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
      store<f32>(running + (<usize>n << 3), -Infinity);
      store<f32>(running + (<usize>n << 3), 0, 4);
    }
    fillTile(queries + (<usize>count << 2), count);
    for (let n: usize = 0; n < padded; n++) store<u32>(weights + (n << 2), scores + n * lds);

    for (let s0 = 0; s0 < S; s0 += keys) {
      const block = min(keys, S - s0);
      for (let s = 0; s < block; s += 16) {
        pack_panel(panel, kt + <usize>(s0 + s) * kS, kS, min(16, block - s), d);
        for (let n = 0; n < count; n += MR) {
          tile_6x16(wide, scores + <usize>n * lds + (<usize>s << 2), lds, zeros, 0, queries + (<usize>n << 2), panel, LINE, d);
        }
      }
      for (let n = 0; n < count; n++) {
        if (version == 1) softmax_1(scores + <usize>n * lds, block, running + (<usize>n << 3), scale, s0 ? out + <usize>n * ldo : 0, ldo);
        else softmax_2(scores + <usize>n * lds, block, running + (<usize>n << 3), scale, s0 ? out + <usize>n * ldo : 0, ldo);
      }
      for (let c = 0; c < dv; c += 16) {
        let b = vt + <usize>s0 * vS + (<usize>c << 2), ldb = vS;
        if (c + 16 > dv) {
          copyColumns(panel, b, vS, block, dv - c);
          b = panel;
          ldb = LINE;
        }
        for (let n = 0; n < count; n += MR) {
          const to = out + <usize>n * ldo + (<usize>c << 2);
          tile_6x16(wide, to, ldo, s0 ? to : zeros, s0 ? ldo : 0, weights + (<usize>n << 2), b, ldb, block);
        }
      }
    }
    for (let n = 0; n < count; n++) {
      scaleTo(ot + <usize>n * oN, out + <usize>n * ldo, 1 / load<f32>(running + (<usize>n << 3), 4), dv);
    }
  }
}

/** A row of scores becomes weights; `running` holds the row's maximum and sum so far, `out` its accumulators or 0. */
// @ts-ignore: decorator
@inline
function softmax(version: i32, row: usize, count: i32, running: usize, scale: f32, out: usize, bytes: usize): void {
  const end = row + ((<usize>count + 15 & ~15) << 2);
  for (let p = row + (<usize>count << 2); p < end; p += 4) store<f32>(p, -Infinity);

  let top0 = v128.load(row), top1 = v128.load(row, 16);
  for (let p = row + 32; p < end; p += 32) {
    top0 = higher(version, top0, v128.load(p));
    top1 = higher(version, top1, v128.load(p, 16));
  }
  const before = load<f32>(running);
  const maximum = max(before, hmax(higher(version, top0, top1)));
  let total: f32 = load<f32>(running, 4);
  if (out && maximum > before) {
    const factor = exp_f32x4(f32x4.splat(scale * before - scale * maximum));
    total *= f32x4.extract_lane(factor, 0);
    for (let p = out; p < out + bytes; p += 16) v128.store(p, f32x4.mul(v128.load(p), factor));
  }
  const factor = f32x4.splat(scale), offset = f32x4.splat(-scale * maximum);
  let sum0 = f32x4.splat(0), sum1 = sum0;
  for (let p = row; p < end; p += 32) {
    const x0 = exp_f32x4(madd(v128.load(p), factor, offset));
    const x1 = exp_f32x4(madd(v128.load(p, 16), factor, offset));
    sum0 = f32x4.add(sum0, x0);
    sum1 = f32x4.add(sum1, x1);
    v128.store(p, x0);
    v128.store(p, x1, 16);
  }
  store<f32>(running, maximum);
  store<f32>(running, total + hsum(f32x4.add(sum0, sum1)), 4);
}

// @ts-ignore: decorator
@inline
function higher(version: i32, a: v128, b: v128): v128 {
  return version == 1 ? f32x4.max(a, b) : f32x4.pmax(a, b);
}

function softmax_1(row: usize, count: i32, running: usize, scale: f32, out: usize, bytes: usize): void {
  softmax(1, row, count, running, scale, out, bytes);
}
function softmax_2(row: usize, count: i32, running: usize, scale: f32, out: usize, bytes: usize): void {
  softmax(2, row, count, running, scale, out, bytes);
}

/** The last `width` < 16 columns of v as rows of a panel; what follows them is not used. */
function copyColumns(to: usize, from: usize, stride: usize, count: i32, width: i32): void {
  for (; count > 0; count--, to += LINE, from += stride) {
    for (let at: usize = 0; at < <usize>width << 2; at += 4) store<f32>(to + at, load<f32>(from + at));
  }
}

/** o = factor·x */
function scaleTo(o: usize, x: usize, factor: f32, count: i32): void {
  const f = f32x4.splat(factor);
  for (; count >= 4; count -= 4, o += 16, x += 16) v128.store(o, f32x4.mul(v128.load(x), f));
  for (; count > 0; count--, o += 4, x += 4) store<f32>(o, load<f32>(x) * factor);
}

export function attention_f32_v1(
  o: usize, oB: usize, oH: usize, oN: usize, q: usize, qB: usize, qH: usize, qN: usize,
  k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, N: i32, S: i32, d: i32, dv: i32, scale: f32, nq: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  attention(1, o, oB, oH, oN, q, qB, qH, qN, k, kB, kH, kS, v, vB, vH, vS, h, N, S, d, dv, scale, nq, wide, scratch, from, to);
}

export function attention_f32_v2(
  o: usize, oB: usize, oH: usize, oN: usize, q: usize, qB: usize, qH: usize, qN: usize,
  k: usize, kB: usize, kH: usize, kS: usize, v: usize, vB: usize, vH: usize, vS: usize,
  h: i32, N: i32, S: i32, d: i32, dv: i32, scale: f32, nq: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  attention(2, o, oB, oH, oN, q, qB, qH, qN, k, kB, kH, kS, v, vB, vH, vS, h, N, S, d, dv, scale, nq, wide, scratch, from, to);
}
