import { machine } from "../runtime/machine.ts";
import type { Tensor } from "../tensor/view.ts";

/** Maximum of every 2×2 cell. @shape [B, H, W, C], a view with adjacent channels → [B, H/2, W/2, C] */
export function maxPool2x2(x: Tensor): Tensor {
  const [B, H, W, C] = x.shape;
  const y = machine.heap.alloc([B, H / 2, W / 2, C]);
  machine.kernels.maxPool2x2(y, x);
  return y;
}
