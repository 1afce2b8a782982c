// y[b, i, j, :] = residual + activation(bias + Σ_{p, q, c} weight[:, p, q, c]·x[b, i·stride + p − padding, j·stride + q − padding, c])
//
// x  [B, H, W, C]          channels last: the k pixels of one kernel row are adjacent
// weight [⌈N/16⌉, K, 16]   K = k·k·C in the order (p, q, c), packed as for gemm
// y  [B·H'·W', N]          rows of a gemm whose A is gathered block by block, at most mc rows at a time
//
// Versions, GFLOP/s of the patch embedding in Node 26 with 256-bit code (peak 126):
// 1. blocks of 96 rows gathered into scratch, runs of k·C values by vectors                          98
// Where C and N are tiny (the first mask downsampler: 1 and 4) gathering is all the work: 3.
import { FREE, ROWS, block, fillTile } from "./gemm";

/** Bytes of scratch that blocks of mc output pixels take, each gathered from K values. */
export function conv2d_f32_scratch(K: i32, mc: i32): usize {
  return FREE + (<usize>(mc * K) << 2);
}

/** Blocks [from, to) of mc output pixels. `r` may be 0, else it lies like y. */
export function conv2d_f32(
  y: usize, x: usize, b: usize, bias: usize, activation: i32, r: usize, ldr: usize, B: i32, H: i32, W: i32, C: i32,
  outH: i32, outW: i32, N: i32, k: i32, stride: i32, padding: i32, mc: i32, wide: i32, scratch: usize, from: i32, to: i32,
): void {
  const K = k * k * C, M = B * outH * outW;
  const ldc = <usize>N << 2, lda = <usize>K << 2;
  for (let t = from; t < to; t++) {
    const m0 = t * mc, m1 = min(M, m0 + mc);
    let at = scratch + ROWS, row = scratch + FREE;
    for (let m = m0; m < m1; m++, at += 4, row += lda) {
      const i = m / outW % outH, j = m % outW;
      const image = x + (<usize>(m / (outH * outW) * H * W * C) << 2);
      gather(row, image, H, W, C, k, i * stride - padding, j * stride - padding);
      store<u32>(at, row);
    }
    fillTile(at, m1 - m0);
    block(y + <usize>m0 * ldc, ldc, m1 - m0, 0, N, b, bias, activation, r ? r + <usize>m0 * ldr : 0, ldr, N, K, wide, scratch);
  }
}

/** The k×k pixels whose first is (i, j), zeros outside of the image. */
// @ts-ignore: decorator
@inline
function gather(to: usize, image: usize, H: i32, W: i32, C: i32, k: i32, i: i32, j: i32): void {
  const left = min(k, max(0, -j)), right = max(left, min(k, W - j)); // the taps [left, right) lie inside
  for (let p = 0; p < k; p++) {
    const inside = i + p >= 0 && i + p < H;
    const q0 = inside ? left : k, q1 = inside ? right : k;
    to = zero(to, q0 * C);
    to = copy(to, image + (<usize>(((i + p) * W + j + q0) * C) << 2), (q1 - q0) * C);
    to = zero(to, (k - q1) * C);
  }
}

// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, count: i32): usize {
  for (; count >= 4; count -= 4, to += 16, from += 16) v128.store(to, v128.load(from));
  for (; count > 0; count--, to += 4, from += 4) store<f32>(to, load<f32>(from));
  return to;
}

// @ts-ignore: decorator
@inline
function zero(to: usize, count: i32): usize {
  for (; count > 0; count--, to += 4) store<f32>(to, 0);
  return to;
}
