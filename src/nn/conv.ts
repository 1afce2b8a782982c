import type { Weights } from "../io/weights.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape, numel } from "../tensor/shape.ts";
import { permute, reshape, type Tensor, tensor } from "../tensor/view.ts";
import { layer } from "./layer.ts";
import { contiguous } from "./layout.ts";
import { type Fused, packable, packedWeight, project } from "./linear.ts";

/**
 * Convolution with kernel k×k.
 *
 * @shape  [B, H, W, Cin] → [B, H', W', Cout], H' = ⌊(H + 2·padding − k)/stride⌋ + 1
 * @source torch.nn.Conv2d
 */
export function conv2d(w: Weights, Cin: number, Cout: number, k: number, stride: number, padding: number) {
  const K = k * k * Cin;
  const room = packable(Cout, K);
  readPermuted(w, [Cout, Cin, k, k], [0, 2, 3, 1], room);
  const weight = machine.kernels.pack(room, Cout);
  const bias = w.get("bias", [Cout]);
  const size = (n: number) => Math.floor((n + 2 * padding - k) / stride) + 1;

  return layer(w, "Conv2d", (x: Tensor, { residual }: Fused = {}) => {
    const [B, H, W] = x.shape;
    expectShape(w.prefix, x.shape, [-1, -1, -1, Cin]);
    const y = machine.heap.alloc([B, size(H), size(W), Cout]);
    machine.macs += numel(y.shape) * K;
    const added = residual && reshape(residual, [-1, Cout]);
    machine.kernels.conv2d(y, x, weight, k, stride, padding, { bias, residual: added });
    return y;
  });
}

/**
 * Convolution with kernel 1×1, which is a linear layer over the channels.
 *
 * @shape  [B, H, W, Cin] → [B, H, W, Cout]
 * @source torch.nn.Conv2d
 */
export function conv1x1(w: Weights, Cin: number, Cout: number) {
  const weight = packedWeight(w, [Cout, Cin, 1, 1], Cout, Cin);
  const bias = w.get("bias", [Cout]);

  return layer(w, "Conv2d", (x: Tensor, fused: Fused = {}) => project(w, weight, { bias }, x, fused));
}

/**
 * Transposed convolution with kernel 2×2 and stride 2: every pixel becomes a 2×2 cell, and no cells overlap, so it is
 * a linear layer to 4·Cout channels, (p, q, c), that are then laid out in space.
 *
 * @shape  [B, H, W, Cin] → [B, 2H, 2W, Cout]
 * @source torch.nn.ConvTranspose2d
 */
export function convTranspose2x2(w: Weights, Cin: number, Cout: number) {
  const room = packable(4 * Cout, Cin);
  readPermuted(w, [Cin, Cout, 2, 2], [2, 3, 1, 0], room);
  const weight = machine.kernels.pack(room, 4 * Cout);
  const perChannel = w.get("bias", [Cout]);
  const bias = machine.heap.alloc([4 * Cout]);
  for (let cell = 0; cell < 4; cell++) bias.data.set(perChannel.data, cell * Cout);

  return layer(w, "ConvTranspose2d", (x: Tensor) => {
    const [B, H, W] = x.shape;
    const cells = reshape(project(w, weight, { bias }, x, {}), [B, H, W, 2, 2, Cout]);
    const y = contiguous(permute(cells, [0, 1, 3, 2, 4, 5])); // [B, H, 2, W, 2, Cout]
    return reshape(y, [B, 2 * H, 2 * W, Cout]);
  });
}

/**
 * Depth-wise convolution: every channel has a k×k kernel of its own; the size stays.
 *
 * @shape  [B, H, W, C] → [B, H, W, C]
 * @source torch.nn.Conv2d with groups = C
 */
export function depthwiseConv2d(w: Weights, C: number, k: number) {
  const weight = machine.heap.alloc([k, k, C]);
  readPermuted(w, [C, 1, k, k], [2, 3, 1, 0], weight);
  const bias = w.get("bias", [C]);

  return layer(w, "Conv2d", (x: Tensor) => {
    expectShape(w.prefix, x.shape, [-1, -1, -1, C]);
    const y = machine.heap.alloc(x.shape);
    machine.macs += numel(x.shape) * k * k;
    machine.kernels.depthwiseConv2d(y, x, weight, bias, k);
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
