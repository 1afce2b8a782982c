import { ShapeError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/view.ts";
import { address, walk } from "./address.ts";
import type { Kernels, Taps } from "./kernels.ts";
import { type ParallelFor, SCRATCH_BYTES } from "./threads.ts";

const TILE = 4096; // values of a tile, about: 16 KiB, half of a first-level cache
const BANDS = 16; // of a mask's rows: each begins with rows that the one before has widened too
const STRIP = 1 << 16; // columns of a mask that are widened at a time

/** The part of the table on kernels.wasm that is no product of matrices: memory bandwidth decides its speed. */
export function elementwiseKernels(
  parallelFor: ParallelFor,
): Omit<
  Kernels,
  | "name"
  | "pack"
  | "gemm"
  | "mlp"
  | "conv2d"
  | "attention"
  | "axialAttention"
  | "attendToPlaces"
  | "attendToMixture"
  | "paint"
  | "tellPlaces"
> {
  /** Rows of about `values` values each, several to a tile. */
  const overRows = (kernel: string, rows: number, values: number, args: readonly number[]) => {
    const tile = Math.ceil(TILE / Math.max(1, values));
    parallelFor(kernel, Math.ceil(rows / tile), [...args, tile]);
  };
  const overValues = (kernel: string, y: Tensor, args: readonly number[]) => {
    const n = numel(y.shape);
    parallelFor(kernel, Math.ceil(n / TILE), [address(y), ...args, TILE]);
  };
  const unary = (kernel: string) => (y: Tensor, x: Tensor) => overValues(kernel, y, [address(x), numel(y.shape)]);
  const binary = (kernel: string) => (y: Tensor, a: Tensor, b: Tensor) =>
    overValues(kernel, y, [address(a), address(b), numel(y.shape), numel(b.shape)]);

  return {
    depthwiseConv2d(y, x, weight, bias, k, stride) {
      const [B, H, W, C] = x.shape;
      const [, outH, outW] = y.shape;
      const tensors = [y, x, weight, bias].map(address);
      parallelFor("dwconv_f32", B * outH, [...tensors, H, W, C, outH, outW, k, stride]);
    },

    layerNorm(y, x, weight, bias, eps) {
      const [M, C] = x.shape;
      const rows = [address(y), 4 * y.stride[0], address(x), 4 * x.stride[0]];
      overRows("layernorm_f32", M, C, [...rows, address(weight), address(bias), M, C, eps]);
    },

    softmax(y, x, scale) {
      const [M, N, C] = x.shape;
      overRows("softmax_f32", M, N * C, [address(y), address(x), M, N, C, scale * Math.LOG2E]);
    },

    maxPool2x2(y, x) {
      const [B, H, W, C] = y.shape;
      parallelFor("maxpool_f32_2x2", B * H, [...walk(y), ...walk(x), H, W, C]);
    },

    resample(y, x, { starts, weights }) {
      const [P, nIn, Q] = x.shape;
      const [nOut, T] = weights.shape;
      const tables = [starts.byteOffset, address(weights)];
      overRows("resample_f32", P * nOut, Q * T, [address(y), address(x), ...tables, P, nIn, nOut, Q, T]);
    },

    resampleBytes(y, x, nIn, Q, { starts, counts, weights }) {
      const nOut = starts.length;
      const [P, T] = [x.length / (nIn * Q), weights.length / nOut];
      const tables = [starts.byteOffset, counts.byteOffset, weights.byteOffset];
      const args = [y.byteOffset, x.byteOffset, ...tables, P, nIn, nOut];
      if (Q === 3) parallelFor("resample_u8x3", Math.ceil(P / 4), [...args, T]);
      else overRows("resample_u8", P * nOut, Q * T, [...args, Q, T]);
    },

    maskBits(bits, counts, masks, rows, columns, { threshold, high, low }) {
      const [B, h, w] = masks.shape;
      const [H, T] = rows.weights.shape;
      const [W, U] = columns.weights.shape;
      if (4 * T * (W + 31) > SCRATCH_BYTES) throw tooLong("maskBits", `${W} columns`);
      const tables = [...tapsOf(rows, 0), T, ...tapsOf(columns, 0), U];
      const args = [bits.byteOffset, counts.byteOffset, address(masks), h, w, ...tables];
      const tile = Math.ceil(H / BANDS);
      parallelFor("mask_bits", B * Math.ceil(H / tile), [...args, H, W, threshold, high, low, tile]);
    },

    maskBytes(bytes, masks, rows, columns, threshold) {
      const [B, h, w] = masks.shape;
      const [H, T] = rows.weights.shape;
      const [W, U] = columns.weights.shape;
      const tile = Math.ceil(H / BANDS);
      for (let x = 0; x < W; x += STRIP) {
        const tables = [...tapsOf(rows, 0), T, ...tapsOf(columns, x), U];
        const args = [
          bytes.byteOffset + x,
          address(masks),
          h,
          w,
          ...tables,
          H,
          Math.min(STRIP, W - x),
          W,
          threshold,
          tile,
        ];
        parallelFor("mask_bytes", B * Math.ceil(H / tile), args);
      }
    },

    maskExtents(extents, bits, H, W) {
      parallelFor("mask_extents", extents.length / 6, [extents.byteOffset, bits.byteOffset, H, W]);
    },

    maskCodes(codes, { starts, lengths, masks }, bits, { H, W, x0, y0, imageH, imageW }) {
      if (4 * (H + 31) > SCRATCH_BYTES) throw tooLong("maskCodes", `${H} rows`);
      const places = [codes, starts, lengths, masks, bits].map(({ byteOffset }) => byteOffset);
      parallelFor("mask_codes", masks.length, [...places, H, W, x0, y0, imageH, imageW]);
    },

    rope(y, x, cos, sin) {
      const [B, h, N, d] = x.shape;
      const args = [...walk(y), ...walk(x), address(cos), address(sin), B, h, N, d, cos.shape[0]];
      overRows("rope_f32", B * h * N, d, args);
    },

    add: binary("add_f32"),
    mul: binary("mul_f32"),
    affine: (y, x, scale, offset) => overValues("affine_f32", y, [address(x), scale, offset, numel(y.shape)]),
    gelu: unary("gelu_f32"),
    relu: unary("relu_f32"),
    sigmoid: unary("sigmoid_f32"),
    sin: unary("sin_f32"),
    cos: unary("cos_f32"),

    copy(y, x) {
      if (numel(y.shape) === 0) return;
      const outer = joinedAxes(y, x);
      const inner = outer.pop() ?? { n: 1, y: 1, x: 1 };
      const across = inner.y === 1 && inner.x !== 1 ? outer.findIndex((axis) => axis.x === 1) : -1;
      if (across >= 0) {
        const [middle] = outer.splice(across, 1);
        const axes = [...filled(outer, 4), middle, inner];
        const matrices = outer.reduce((count, axis) => count * axis.n, 1);
        const y0 = [address(y), ...axes.slice(0, 5).map((axis) => 4 * axis.y)];
        const x0 = [address(x), ...axes.filter((axis) => axis !== middle).map((axis) => 4 * axis.x)];
        parallelFor("transpose_f32", matrices * Math.ceil(middle.n / 16), [...y0, ...x0, ...axes.map(({ n }) => n)]);
      } else {
        const axes = [...filled(outer, 5), inner];
        const rows = outer.reduce((count, axis) => count * axis.n, 1);
        const strides = [address(y), ...axes.map((axis) => 4 * axis.y), address(x), ...axes.map((axis) => 4 * axis.x)];
        overRows("copy_f32", rows, inner.n, [...strides, ...axes.map(({ n }) => n)]);
      }
    },

    above(y, x, limit) {
      parallelFor("above_u8", Math.ceil(y.length / TILE), [y.byteOffset, address(x), limit, y.length, TILE]);
    },

    fromPixels(y, pixels) {
      overValues("pixels_f32", y, [pixels.byteOffset, numel(y.shape)]);
    },

    normalizePixels(y, pixels, mean, std) {
      const n = pixels.length / 3;
      overRows("normalize_u8", n, 3, [address(y), pixels.byteOffset, address(mean), address(std), n]);
    },
  };
}

/** One axis of a copy: its size, and its strides in floats. */
interface Axis {
  n: number;
  y: number;
  x: number;
}

/** The axes of a copy without those of size 1; neighbours that lie as one in both tensors are one. */
function joinedAxes(y: Tensor, x: Tensor): Axis[] {
  const axes: Axis[] = [];
  x.shape.forEach((n, i) => {
    const axis = { n, y: y.stride[i], x: x.stride[i] };
    const last = axes.at(-1);
    if (last && last.y === n * axis.y && last.x === n * axis.x) axes.splice(-1, 1, { ...axis, n: last.n * n });
    else if (n !== 1) axes.push(axis);
  });
  return axes;
}

/** Axes of size 1 in front, up to `count` in all. */
function filled(axes: readonly Axis[], count: number): Axis[] {
  return [...new Array<Axis>(count - axes.length).fill({ n: 1, y: 0, x: 0 }), ...axes];
}

/** Where the tables of a resize lie, from entry `from` on. */
function tapsOf({ starts, weights }: Taps, from: number): [starts: number, weights: number] {
  return [starts.byteOffset + 4 * from, address(weights) + 4 * from * weights.stride[0]];
}

function tooLong(where: string, got: string): ShapeError {
  return new ShapeError(where, "masks whose sides fit in the scratch", got, "use a smaller image");
}
