import { suite } from "uvu";
import * as assert from "uvu/assert";
import { random } from "../../tests/random.ts";
import { Weights } from "../io/weights.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { createMachine } from "../runtime/create.ts";
import { withMachine } from "../runtime/machine.ts";
import { numel, type Shape } from "../tensor/shape.ts";
import { values } from "../tensor/view.ts";
import { conv2d, depthwiseConv2d } from "./conv.ts";
import { foldConvNorm, foldLinears, foldRepVggDw } from "./fold.ts";
import { linear } from "./linear.ts";

setPlatform(nodePlatform);
const machine = await createMachine({ kernels: "portable", threads: 1 });
const next = random(5);

/** Weights of a convolution and its batch norm, whose variances reach from 0 to 100 and whose γ has both signs. */
function convNorm(name: string, shape: Shape): Map<string, { shape: Shape; values: Float32Array }> {
  const some = (of: Shape, f: (i: number) => number) => ({
    shape: of,
    values: Float32Array.from({ length: numel(of) }, (_, i) => f(i)),
  });
  const C = shape[0];
  return new Map([
    [`${name}.c.weight`, some(shape, next)],
    [`${name}.bn.weight`, some([C], next)],
    [`${name}.bn.bias`, some([C], next)],
    [`${name}.bn.running_mean`, some([C], () => 3 * next())],
    [`${name}.bn.running_var`, some([C], (i) => (i === 0 ? 0 : 10 ** (2 * next())))],
    [`${name}.bn.num_batches_tracked`, some([], () => 7)],
  ]);
}

type Parts = ReturnType<typeof convNorm>;

function weightsOf(parts: Parts): Weights {
  const stored = ({ shape, values }: { shape: Shape; values: Float32Array }) => ({
    dtype: "F32" as const,
    shape,
    read: (into: Float32Array) => into.set(values),
  });
  return new Weights(new Map([...parts].map(([name, part]) => [name, stored(part)])), machine.heap);
}

/** Convolution without bias, then batch norm, as PyTorch has them: one after the other, in f64. x, y [H, W, C] */
function unfolded(parts: Parts, name: string, x: Float64Array, H: number, W: number, stride: number, groups: number) {
  const part = (key: string) => parts.get(`${name}.${key}`)!;
  const { shape, values: weight } = part("c.weight");
  const [Cout, perGroup, k] = shape;
  const Cin = perGroup * groups;
  const [outH, outW] = [Math.ceil(H / stride), Math.ceil(W / stride)];
  const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
    (key) => part(`bn.${key}`).values,
  );
  const y = new Float64Array(outH * outW * Cout);
  for (let at = 0; at < y.length; at++) {
    const o = at % Cout;
    const [i, j] = [Math.floor(at / Cout / outW), Math.floor(at / Cout) % outW];
    let sum = 0;
    for (let c = 0; c < perGroup; c++) {
      const channel = groups === 1 ? c : o;
      for (let p = 0; p < k; p++) {
        for (let q = 0; q < k; q++) {
          const [row, column] = [i * stride + p - (k - 1) / 2, j * stride + q - (k - 1) / 2];
          if (row < 0 || row >= H || column < 0 || column >= W) continue;
          sum += weight[((o * perGroup + c) * k + p) * k + q] * x[(row * W + column) * Cin + channel];
        }
      }
    }
    y[at] = ((sum - mean[o]) / Math.sqrt(variance[o] + 1e-5)) * gamma[o] + beta[o];
  }
  return y;
}

function relative(got: Float32Array, want: Float64Array): number {
  const scale = want.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return got.reduce((max, value, i) => Math.max(max, Math.abs(value - want[i])), 0) / scale;
}

const Fold = suite("fold");

for (const stride of [1, 2]) {
  Fold(`a convolution with its batch norm, stride ${stride}, equals the two within 1e-6`, () => {
    const [H, W, Cin, Cout] = [7, 10, 5, 9];
    const parts = convNorm("net", [Cout, Cin, 3, 3]);
    const x = Float64Array.from({ length: H * W * Cin }, () => Math.fround(next()));
    const want = unfolded(parts, "net", x, H, W, stride, 1);
    withMachine(machine, () => {
      const conv = conv2d(foldConvNorm(weightsOf(parts).at("net"), [Cout, Cin, 3, 3]), Cin, Cout, 3, stride, 1);
      const got = values(conv(machine.heap.from(Float32Array.from(x), [1, H, W, Cin])));
      assert.ok(relative(got, want) < 1e-6, `${relative(got, want)}`);
    });
  });

  Fold(`a depth-wise convolution with its batch norm, stride ${stride}, equals the two within 1e-6`, () => {
    const [H, W, C] = [9, 12, 13];
    const parts = convNorm("net", [C, 1, 3, 3]);
    const x = Float64Array.from({ length: H * W * C }, () => Math.fround(next()));
    const want = unfolded(parts, "net", x, H, W, stride, C);
    withMachine(machine, () => {
      const conv = depthwiseConv2d(foldConvNorm(weightsOf(parts).at("net"), [C, 1, 3, 3]), C, 3, stride);
      const got = values(conv(machine.heap.from(Float32Array.from(x), [1, H, W, C])));
      assert.ok(relative(got, want) < 1e-6, `${relative(got, want)}`);
    });
  });
}

Fold("the three branches of RepVggDw equal their sum within 1e-6, at borders too", () => {
  const [H, W, C] = [6, 9, 11];
  const parts = new Map([...convNorm("net.conv", [C, 1, 3, 3]), ...convNorm("net.conv1", [C, 1, 1, 1])]);
  const x = Float64Array.from({ length: H * W * C }, () => Math.fround(next()));
  const [wide, narrow] = ["net.conv", "net.conv1"].map((name) => unfolded(parts, name, x, H, W, 1, C));
  const want = x.map((value, i) => wide[i] + narrow[i] + value);
  withMachine(machine, () => {
    const conv = depthwiseConv2d(foldRepVggDw(weightsOf(parts).at("net"), C), C, 3, 1);
    const got = values(conv(machine.heap.from(Float32Array.from(x), [1, H, W, C])));
    assert.ok(relative(got, want) < 1e-6, `${relative(got, want)}`);
  });
});

Fold("two linear layers equal the one after the other within 1e-6", () => {
  const [M, K, J, N] = [5, 7, 11, 13];
  const parts: Parts = new Map(
    Object.entries({ "first.weight": [J, K], "first.bias": [J], "second.weight": [N, J], "second.bias": [N] }).map(
      ([name, shape]) => [name, { shape, values: Float32Array.from({ length: numel(shape) }, next) }],
    ),
  );
  const part = (key: string) => parts.get(key)!.values;
  const x = Float64Array.from({ length: M * K }, () => Math.fround(next()));
  const layerOf = (name: string, x: Float64Array, K: number, N: number) =>
    Float64Array.from({ length: (x.length / K) * N }, (_, at) => {
      const [m, n] = [Math.floor(at / N), at % N];
      return x
        .subarray(m * K, (m + 1) * K)
        .reduce((sum, value, k) => sum + value * part(`${name}.weight`)[n * K + k], part(`${name}.bias`)[n]);
    });
  const want = layerOf("second", layerOf("first", x, K, J), J, N);
  withMachine(machine, () => {
    const w = weightsOf(parts);
    const folded = linear(foldLinears(w.at("first"), w.at("second"), [K, J, N]), K, N);
    const got = values(folded(machine.heap.from(Float32Array.from(x), [M, K])));
    assert.ok(relative(got, want) < 1e-6, `${relative(got, want)}`);
    assert.equal(w.unused(), []);
  });
});

Fold("all that was folded counts as read, but for the count of batches", () => {
  const w = weightsOf(convNorm("net", [4, 3, 3, 3]));
  withMachine(machine, () => conv2d(foldConvNorm(w.at("net"), [4, 3, 3, 3]), 3, 4, 3, 1, 1));
  assert.equal(w.unused(), ["net.bn.num_batches_tracked"]);
});

Fold("a missing part is named by its full path", () => {
  const parts = convNorm("net", [4, 3, 3, 3]);
  parts.delete("net.bn.running_var");
  assert.throws(
    () => withMachine(machine, () => conv2d(foldConvNorm(weightsOf(parts).at("net"), [4, 3, 3, 3]), 3, 4, 3, 1, 1)),
    /net\.bn\.running_var: expected a tensor \[4\], got none/,
  );
});

Fold.run();
