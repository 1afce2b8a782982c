import type { Weights } from "../io/weights.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import { layer } from "./layer.ts";

/**
 * (x − mean)/√(variance + ε)·weight + bias over the channels. Channels lie last, so this is LayerNorm2d as well.
 *
 * @shape  [..., C] → [..., C]
 * @source torch.nn.LayerNorm; sam2/modeling/sam2_utils.py, LayerNorm2d
 */
export function layerNorm(w: Weights, C: number, eps: number, name: "LayerNorm" | "LayerNorm2d" = "LayerNorm") {
  const weight = w.get("weight", [C]);
  const bias = w.get("bias", [C]);

  return layer(w, name, (x: Tensor) => {
    expectShape(w.prefix, x.shape.slice(-1), [C]);
    const y = machine.heap.alloc(x.shape);
    machine.kernels.layerNorm(reshape(y, [-1, C]), reshape(x, [-1, C]), weight, bias, eps);
    return y;
  });
}
