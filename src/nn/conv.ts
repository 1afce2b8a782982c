import type { Weights } from "../io/weights.ts";
import type { Epilogue, PackedCells } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape, numel } from "../tensor/shape.ts";
import { narrow, permute, reshape, select, type Tensor, tensor } from "../tensor/view.ts";
import { layer } from "./layer.ts";
import { concat } from "./layout.ts";
import { activated, type Fused, packable, packedWeight, productLayer } from "./linear.ts";

/**
 * Convolution with kernel k×k.
 *
 * @shape  [B, H, W, Cin] → [B, H', W', Cout], H' = ⌊(H + 2·padding − k)/stride⌋ + 1
 * @source torch.nn.Conv2d
 */
export function conv2d(
  w: Weights,
  Cin: number,
  Cout: number,
  k: number,
  stride: number,
  padding: number,
  activation?: Epilogue["activation"],
) {
  const K = k * k * Cin;
  const room = packable(Cout, K);
  readPermuted(w, [Cout, Cin, k, k], [0, 2, 3, 1], room);
  const weight = machine.kernels.pack(room, Cout);
  const bias = w.get("bias", [Cout]);
  const size = (n: number) => Math.floor((n + 2 * padding - k) / stride) + 1;

  return layer(w, activated("Conv2d", activation), (x: Tensor, { residual }: Fused = {}) => {
    const [B, H, W] = x.shape;
    expectShape(w.prefix, x.shape, [-1, -1, -1, Cin]);
    const y = machine.heap.alloc([B, size(H), size(W), Cout]);
    machine.macs += numel(y.shape) * K;
    const added = residual && reshape(residual, [-1, Cout]);
    machine.kernels.conv2d(y, x, weight, k, stride, padding, { bias, activation, residual: added });
    return y;
  });
}

/**
 * Convolution with kernel 1×1, which is a linear layer over the channels.
 *
 * @shape  [B, H, W, Cin] → [B, H, W, Cout]
 * @source torch.nn.Conv2d
 */
export function conv1x1(w: Weights, Cin: number, Cout: number, activation?: Epilogue["activation"]) {
  const weight = packedWeight(w, [Cout, Cin, 1, 1], Cout, Cin);
  const bias = w.get("bias", [Cout]);

  return productLayer(w, activated("Conv2d", activation), { weight, epilogue: { bias, activation } });
}

/**
 * The weights of a transposed convolution with kernel 2×2 and stride 2: every pixel becomes a 2×2 cell, and no cells
 * overlap, so it is two linear layers to 2·Cout channels, (q, c), one for the upper row of all cells and one for the lower.
 */
export function packedCells(w: Weights, Cin: number, Cout: number): PackedCells {
  const weights = [0, 1].map(() => packable(2 * Cout, Cin));
  machine.heap.scope(() => {
    const all = machine.heap.alloc([2, 2 * Cout, Cin]); // (p, q, c)
    readPermuted(w, [Cin, Cout, 2, 2], [2, 3, 1, 0], all);
    weights.forEach((room, p) => machine.kernels.copy(narrow(room, 0, 0, 2 * Cout), select(all, 0, p)));
  });
  const [upper, lower] = weights.map((room) => machine.kernels.pack(room, 2 * Cout));
  const perChannel = w.get("bias", [Cout]);
  return { weights: [upper, lower], bias: concat([perChannel, perChannel], 0) };
}

/**
 * Transposed convolution with kernel 2×2 and stride 2.
 *
 * @shape  [B, H, W, Cin] → [B, 2H, 2W, Cout]; residual [1 or B, 2H, 2W, Cout]
 * @source torch.nn.ConvTranspose2d
 */
export function convTranspose2x2(w: Weights, { weights, bias }: PackedCells) {
  const [Cin, Cout] = [weights[0].K, weights[0].N / 2];

  return layer(w, "ConvTranspose2d", (x: Tensor, { residual }: Fused = {}) => {
    const [B, H, W] = x.shape;
    expectShape(w.prefix, x.shape, [-1, -1, -1, Cin]);
    const y = machine.heap.alloc([B, 2 * H, 2 * W, Cout]);
    machine.macs += numel(y.shape) * Cin;
    if (residual) expectShape(`${w.prefix} residual`, residual.shape, [-1, 2 * H, 2 * W, Cout]);
    /** The upper (p = 0) or lower rows of all cells. @shape [B, 2H, 2W, Cout] → [H, W, 2·Cout] */
    const half = (t: Tensor, b: number, p: number) => select(reshape(select(t, 0, b), [H, 2, W, 2 * Cout]), 1, p);
    for (let b = 0; b < B; b++) {
      const pixels = reshape(select(x, 0, b), [H * W, Cin]);
      for (const [p, weight] of weights.entries()) {
        const added = residual && half(residual, residual.shape[0] === 1 ? 0 : b, p);
        machine.kernels.gemm(half(y, b, p), pixels, weight, { bias, residual: added });
      }
    }
    return y;
  });
}

/**
 * Depth-wise convolution: every channel has a k×k kernel of its own.
 *
 * @shape  [B, H, W, C] → [B, ⌈H/stride⌉, ⌈W/stride⌉, C]
 * @source torch.nn.Conv2d with groups = C and padding (k − 1)/2
 */
export function depthwiseConv2d(w: Weights, C: number, k: number, stride: number) {
  const weight = machine.heap.alloc([k, k, C]);
  readPermuted(w, [C, 1, k, k], [2, 3, 1, 0], weight);
  const bias = w.get("bias", [C]);

  return layer(w, "Conv2d", (x: Tensor) => {
    const [B, H, W] = x.shape;
    expectShape(w.prefix, x.shape, [-1, -1, -1, C]);
    const y = machine.heap.alloc([B, Math.ceil(H / stride), Math.ceil(W / stride), C]);
    machine.macs += numel(y.shape) * k * k;
    machine.kernels.depthwiseConv2d(y, x, weight, bias, k, stride);
    return y;
  });
}

/** Read a convolution's weight with its axes in another order. */
function readPermuted(w: Weights, shape: readonly number[], axes: readonly number[], into: Tensor): void {
  machine.heap.scope(() => {
    const raw = machine.heap.alloc(shape);
    w.read("weight", shape, raw.data);
    const source = permute(raw, axes);
    machine.kernels.copy(tensor(into.data, source.shape), source);
  });
}
