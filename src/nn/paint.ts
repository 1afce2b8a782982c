import type { SharedCells, Upscaling } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { narrow, reshape, select, type Tensor } from "../tensor/view.ts";
import { full } from "./layout.ts";

const PANEL = 16; // rows that `pack` keeps together

/**
 * Masks of some prompts, the upscaled image of each against M tokens, without the upscaled image being stored.
 *
 * @shape  x [B, E·E, D]; tokens [B, M, D/8]; fine features [1, 4E, 4E, D/8], [1, 2E, 2E, D/4] → [n, M, 4E, 4E]
 */
export function paintMasks(
  upscaling: Upscaling,
  x: Tensor,
  [fine0, fine1]: readonly [Tensor, Tensor],
  tokens: Tensor,
  prompts: readonly number[],
  shared?: SharedCells,
): Tensor {
  const { heap, kernels } = machine;
  const [, S, K] = x.shape;
  const [, M, C2] = tokens.shape;
  const [, side] = fine0.shape;
  const n = prompts.length;
  const [C1] = upscaling.norm.weight.shape;
  expectShape("paintMasks image", x.shape, [-1, (side / 4) ** 2, upscaling.dc1.weights[0].K]);
  expectShape("paintMasks fine features", fine0.shape, [1, side, side, C2]);
  expectShape("paintMasks fine features", fine1.shape, [1, side / 2, side / 2, upscaling.dc2.weights[0].K]);
  return heap.scope(() => {
    const masks = heap.alloc([n, M, side, side]);
    const which = heap.allocInt32(n);
    which.set(prompts);
    const rows = full([n * PANEL, C2], 0);
    prompts.forEach((b, i) => kernels.copy(narrow(rows, 0, i * PANEL, M), select(tokens, 0, b)));
    const packed = kernels.pack(rows, n * PANEL);
    machine.macs += n * S * (4 * C1 * K + 16 * C1 * C2 + 16 * C2 * M);
    kernels.paint(masks, x, upscaling, select(fine0, 0, 0), select(fine1, 0, 0), which, { ...packed, N: M }, shared);
    return reshape(masks, [n, M, side, side]);
  });
}
