// masks[i, m] = hyper[i, m] · upscaled image of prompt prompts[i]: the mask decoder's last layers, a row of places at a time
//
// x    [B, E·E, D]           image tokens
// x1   gelu(layernorm(dc1(x) + fine1))    [2E, 2E, C1]    two of its rows for each row of x
// x2   gelu(dc2(x1) + fine0)              [4E, 4E, C2]    two of its rows for each row of x1
// masks [n, M, 4E, 4E]       x2·hyperᵀ, M ≤ 8
//
// Of places that prompts share and have changed (see look.ts), x are their weights, dc1 is each prompt's own, and what dc1 makes of
// the places themselves, shared[p] [E·E, 2·C1] for the upper and for the lower row, is added by the factor of the prompt, scales [B, E·E].
//
// dc1 and dc2 are transposed convolutions: weights and bias for the upper and for the lower row of all 2 × 2 cells, (q, c)
// together, each packed. Every sum is that of `gemm_f32`, `layernorm_f32` and `gelu_f32`, to the bit: what is new is that x1
// and x2, 4 and 8 MB a prompt, never leave the second-level cache, and that all prompts meet a row of the fine features while
// it is there. The masks are products of six places with 8 columns, not 16, as four are wanted.
//
// Versions, ms a prompt for E = 64, D = 256, processor time on one thread of an AMD Zen 4, Node 26:
// 1. layer by layer, through memory  15.6
// 2. as described                    12.0
// Two threads of an Intel Xeon (Sapphire Rapids class), where nearly all prompts of a batch of 16 are painted:
// 2. 6.8
// 3. of a mixture, 128 weights instead of 256 channels, and 4 MB of each prompt's image less to read: 4.7
import { gelu_f32 } from "./elementwise";
import { FREE, LINE, MR, ROWS, block, gemm_f32_6x8, gemm_f32_4x8, listRows } from "./gemm";
import { layernorm_f32 } from "./norm";

// @ts-ignore: decorator
@inline
const COLUMNS: usize = 32; // bytes of a row of the product with `hyper`: 8 columns

/** Bytes of scratch: rows of x1 and x2, products, and addresses of the places of a row of x2. */
export function paint_f32_scratch(E: i32, C1: i32, C2: i32): usize {
  const width = <usize>(4 * E + MR);
  return FREE + (<usize>(4 * E * C1 + 4 * E * C2) << 2) + width * COLUMNS + (width << 2);
}

/** Tiles are rows of places, of all n prompts. */
export function paint_f32(
  masks: usize, x: usize, prompts: usize, hyper: usize, dc1: usize, lower1: usize, bias1: usize, weight: usize, bias: usize, eps: f32,
  dc2: usize, lower2: usize, bias2: usize, fine1: usize, fine0: usize, biasStride: usize, shared: usize, lowerShared: usize, scales: usize, n: i32, M: i32, E: i32, D: i32, C1: i32, C2: i32, wide: i32,
  scratch: usize, from: i32, to: i32,
): void {
  const cell1 = <usize>C1 << 3, cell2 = <usize>C2 << 3; // bytes of the two pixels of a row of a cell
  const row1 = cell1 * <usize>E, row2 = cell2 * <usize>E * 2; // of a row of x1, and of x2
  const x1 = scratch + FREE, x2 = x1 + 2 * row1, products = x2 + row2;
  const width = 4 * E;
  const places = products + <usize>(width + MR) * COLUMNS;
  const plane = <usize>(width * width) << 2, panel = <usize>C2 * LINE;
  const own1 = shared ? <usize>(2 * C1 * D) << 2 : 0; // bytes of a prompt's own half of dc1
  listRows(places, x2, <usize>C2 << 2, width);

  for (let i = from; i < to; i++) {
    for (let k = 0; k < n; k++) {
      const b = load<i32>(prompts + (<usize>k << 2));
      listRows(scratch + ROWS, x + (<usize>(b * E + i) * <usize>(E * D) << 2), <usize>D << 2, E);
      for (let p = 0; p < 2; p++) {
        const y = x1 + <usize>p * row1, weights = (p ? lower1 : dc1) + <usize>b * own1;
        let fine = fine1 + <usize>(2 * i + p) * row1;
        if (shared) {
          scaled(y, (p ? lowerShared : shared) + <usize>i * row1, fine, scales + (<usize>((b * E + i) * E) << 2), cell1, E);
          fine = y;
        }
        block(y, cell1, E, 0, 2 * C1, weights, bias1 + <usize>p * biasStride, 0, fine, cell1, 2 * C1, D, wide, scratch);
        layernorm_f32(y, <usize>C1 << 2, y, <usize>C1 << 2, weight, bias, 2 * E, C1, eps, 2 * E, scratch, 0, 1);
        gelu_f32(y, y, 2 * E * C1, 2 * E * C1, scratch, 0, 1);
      }
      for (let r = 0; r < 4; r++) {
        if (!(r & 1)) listRows(scratch + ROWS, x1 + <usize>(r >> 1) * row1, <usize>C1 << 2, 2 * E);
        const lower = r & 1;
        block(x2, cell2, 2 * E, 0, 2 * C2, lower ? lower2 : dc2, bias2, 0, fine0 + <usize>(4 * i + r) * row2, cell2, 2 * C2, C1, wide, scratch);
        gelu_f32(x2, x2, width * C2, width * C2, scratch, 0, 1);
        multiply(products, places, hyper + <usize>k * panel, width, C2, scratch);
        transpose(masks + <usize>(k * M) * plane + (<usize>((4 * i + r) * width) << 2), plane, products, width, M);
      }
    }
  }
}

/** y = fine + f·x, rows of `bytes` with a factor each */
function scaled(y: usize, x: usize, fine: usize, scales: usize, bytes: usize, count: i32): void {
  for (; count > 0; count--, scales += 4) {
    const f = v128.load32_splat(scales);
    for (const end = y + bytes; y < end; y += 32, x += 32, fine += 32) {
      const y0 = f32x4.add(v128.load(fine), f32x4.mul(f, v128.load(x))), y1 = f32x4.add(v128.load(fine, 16), f32x4.mul(f, v128.load(x, 16)));
      v128.store(y, y0);
      v128.store(y, y1, 16);
    }
  }
}

/** Eight columns of a product for each place. */
function multiply(y: usize, places: usize, b: usize, count: i32, K: i32, scratch: usize): void {
  const zeros = scratch;
  memory.fill(zeros, 0, COLUMNS);
  for (let j = 0; j < count; j += MR, y += <usize>MR * COLUMNS, places += 4 * <usize>MR) {
    if (count - j > 4) gemm_f32_6x8(y, COLUMNS, zeros, 0, places, b, LINE, K);
    else gemm_f32_4x8(y, COLUMNS, zeros, 0, places, b, LINE, K);
  }
}

/** Column m of the products as a row of mask m. */
function transpose(to: usize, plane: usize, products: usize, count: i32, M: i32): void {
  for (let m = 0; m < M; m += 4) {
    const rest = M - m;
    let p = products + (<usize>m << 2), y = to + <usize>m * plane;
    for (let j = 0; j < count; j += 4, p += 4 * COLUMNS, y += 16) {
      const a = v128.load(p), b = v128.load(p, COLUMNS), c = v128.load(p, 2 * COLUMNS), d = v128.load(p, 3 * COLUMNS);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      v128.store(y, v128.shuffle<f64>(ab, cd, 0, 2));
      if (rest > 1) v128.store(y + plane, v128.shuffle<f64>(ab, cd, 1, 3));
      const ef = v128.shuffle<f32>(a, b, 2, 6, 3, 7), gh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      if (rest > 2) v128.store(y + 2 * plane, v128.shuffle<f64>(ef, gh, 0, 2));
      if (rest > 3) v128.store(y + 3 * plane, v128.shuffle<f64>(ef, gh, 1, 3));
    }
  }
}
