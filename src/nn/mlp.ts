import type { Weights } from "../io/weights.ts";
import type { Tensor } from "../tensor/view.ts";
import { sigmoid } from "./elementwise.ts";
import { layer } from "./layer.ts";
import { type Fused, linear } from "./linear.ts";

/**
 * `layers` linear layers with an activation between them.
 *
 * @shape  [..., inDim] → [..., outDim]
 * @source sam2/modeling/sam2_utils.py, MLP
 */
export function mlp(
  w: Weights,
  inDim: number,
  hiddenDim: number,
  outDim: number,
  layers: number,
  activation: "gelu" | "relu",
  { sigmoidOutput = false } = {},
) {
  const hidden = Array.from({ length: layers - 1 }, (_, i) =>
    linear(w.at("layers").at(i), i === 0 ? inDim : hiddenDim, hiddenDim, activation),
  );
  const last = linear(w.at("layers").at(layers - 1), hiddenDim, outDim);

  return layer(w, "MLP", (x: Tensor, fused: Fused = {}) => {
    for (const layer of hidden) x = layer(x);
    x = last(x, fused);
    return sigmoidOutput ? sigmoid(x) : x;
  });
}
