/**
 * Layers that follow each other as the one layer that they are equal to: convolutions and batch norms, two linear layers.
 * Nothing but sums and products of constants stands between them once a model is trained. All of it is computed in f64 and
 * rounded once, when weights load.
 */
import { Weights } from "../io/weights.ts";
import { machine } from "../runtime/machine.ts";
import { numel, type Shape } from "../tensor/shape.ts";

const EPS = 1e-5; // of every BatchNorm2d

/** How the values of a layer are computed, whenever they are read: weight [Cout, Cin/groups, k, k], row-major, and bias [Cout]. */
interface Kernel {
  weight(): Float64Array;
  bias(): Float64Array;
}

/**
 * A convolution without bias and the batch norm after it: with s = γ/√(σ² + ε), W' = s·W and b' = β − s·μ.
 *
 * @shape  weight of the convolution → weights of the folded one, `weight` and `bias`
 * @source timm/models/repvit.py, ConvNorm
 */
export function foldConvNorm(w: Weights, shape: Shape): Weights {
  return kernelWeights(w, shape, convNorm(w, shape));
}

/**
 * Three branches that are summed, a depth-wise 3×3 and a depth-wise 1×1, each with its batch norm, and the input itself:
 * one depth-wise 3×3, to whose middle the other two are added.
 *
 * @shape  → weights of the folded convolution, `weight` [C, 1, 3, 3] and `bias` [C]
 * @source timm/models/repvit.py, RepVggDw, legacy
 */
export function foldRepVggDw(w: Weights, C: number): Weights {
  const wide = convNorm(w.at("conv"), [C, 1, 3, 3]);
  const middle = convNorm(w.at("conv1"), [C, 1, 1, 1]);
  const weight = () => {
    const [sum, centre] = [wide.weight(), middle.weight()];
    for (let c = 0; c < C; c++) sum[9 * c + 4] += centre[c] + 1;
    return sum;
  };
  const bias = () => {
    const more = middle.bias();
    return wide.bias().map((value, c) => value + more[c]);
  };
  return kernelWeights(w, [C, 1, 3, 3], { weight, bias });
}

function convNorm(w: Weights, shape: Shape): Kernel {
  const [Cout] = shape;
  const ofNorm = (name: string) => read(w.at("bn"), name, [Cout]);
  const scale = () => {
    const variance = ofNorm("running_var");
    return ofNorm("weight").map((gamma, c) => gamma / Math.sqrt(variance[c] + EPS));
  };
  const perOutput = numel(shape) / Cout;
  const weight = () => {
    const factor = scale();
    return read(w.at("c"), "weight", shape).map((value, i) => value * factor[Math.floor(i / perOutput)]);
  };
  const bias = () => {
    const [factor, mean] = [scale(), ofNorm("running_mean")];
    return ofNorm("bias").map((beta, c) => beta - mean[c] * factor[c]);
  };
  return { weight, bias };
}

/**
 * Two linear layers or 1×1 convolutions, one after the other: W' = W₂·W₁ and b' = W₂·b₁ + b₂.
 *
 * @param channels  what the first takes, K, and returns, J, and what the second returns, N
 * @param kernel    [1, 1] of convolutions
 * @shape  → weights of the folded layer, `weight` [N, K, ...kernel] and `bias` [N], in the place of the second
 */
export function foldLinears(
  first: Weights,
  second: Weights,
  [K, J, N]: readonly [number, number, number],
  kernel: Shape = [],
): Weights {
  const ofSecond = () => read(second, "weight", [N, J, ...kernel]);
  const weight = () => {
    const [w1, w2, product] = [read(first, "weight", [J, K, ...kernel]), ofSecond(), new Float64Array(N * K)];
    for (let n = 0; n < N; n++) {
      for (let j = 0; j < J; j++) {
        for (let k = 0; k < K; k++) product[n * K + k] += w2[n * J + j] * w1[j * K + k];
      }
    }
    return product;
  };
  const bias = () => {
    const [b1, w2] = [read(first, "bias", [J]), ofSecond()];
    return read(second, "bias", [N]).map((b2, n) => b1.reduce((sum, b, j) => sum + w2[n * J + j] * b, b2));
  };
  return kernelWeights(second, [N, K, ...kernel], { weight, bias });
}

function read(from: Weights, name: string, shape: Shape): Float64Array {
  const values = new Float32Array(numel(shape));
  from.read(name, shape, values);
  return Float64Array.from(values);
}

/** A folded layer in the place of what it was folded from. Layers hold on to their weights, so no values are kept in these. */
function kernelWeights({ prefix }: Weights, shape: Shape, { weight, bias }: Kernel): Weights {
  const stored = (values: () => Float64Array, of: Shape) => ({
    dtype: "F32" as const,
    shape: of,
    read: (into: Float32Array) => into.set(values()),
  });
  const tensors = new Map([
    [`${prefix}.weight`, stored(weight, shape)],
    [`${prefix}.bias`, stored(bias, shape.slice(0, 1))],
  ]);
  return new Weights(tensors, machine.heap, prefix);
}
