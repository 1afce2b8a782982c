import { machine } from "../runtime/machine.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import { full } from "./layout.ts";

/** Maximum of every 2×2 cell. @shape [B, H, W, C], a view with adjacent channels → [B, H/2, W/2, C] */
export function maxPool2x2(x: Tensor): Tensor {
  const [B, H, W, C] = x.shape;
  const y = machine.heap.alloc([B, H / 2, W / 2, C]);
  machine.kernels.maxPool2x2(y, x);
  return y;
}

/** Mean over all places: of each row, then of the rows. @shape [B, H, W, C] → [B, C] */
export function globalMean(x: Tensor): Tensor {
  const [B, H, W, C] = x.shape;
  return machine.heap.scope(() => {
    const rows = meanOfAxis(reshape(x, [B * H, W, C])); // [B·H, 1, C]
    return reshape(meanOfAxis(reshape(rows, [B, H, C])), [B, C]);
  });
}

/** @shape [P, n, Q] → [P, 1, Q] */
function meanOfAxis(x: Tensor): Tensor {
  const { heap, kernels } = machine;
  const [P, n, Q] = x.shape;
  return heap.scope(() => {
    const y = heap.alloc([P, 1, Q]);
    const starts = heap.allocInt32(1);
    starts[0] = 0;
    kernels.resample(y, x, { starts, weights: full([1, n], 1 / n) });
    return y;
  });
}
