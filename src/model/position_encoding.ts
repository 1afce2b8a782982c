/**
 * Three ways to say where: sines for feature maps, random Fourier features for points, rotations for attention.
 *
 * B prompts in a batch · P points of a prompt · H W grid · D channels of the model · d of the operands
 */
import type { Weights } from "../io/weights.ts";
import { affine, cos, sin } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat, contiguous, table } from "../nn/layout.ts";
import { matmul } from "../nn/linear.ts";
import { machine } from "../runtime/machine.ts";
import { expand, permute, reshape, type Tensor, unsqueeze } from "../tensor/view.ts";

const { fround } = Math;

/**
 * Sine position encoding: the first half of the channels encodes y, the second x, each as alternating sin and cos of
 * geometrically falling frequencies. Coordinates run from 1/n to 1, times 2π.
 *
 * @shape  → [1, H, W, d]
 * @source sam2/modeling/position_encoding.py, PositionEmbeddingSine
 */
export function sinePositionEncoding(H: number, W: number, d: number): Tensor {
  const half = d / 2;
  const angle = (i: number, n: number, c: number) => {
    const period = fround(10000 ** fround((2 * Math.floor(c / 2)) / half));
    const position = fround(fround((i + 1) / fround(n + 1e-6)) * fround(2 * Math.PI));
    return fround(position / period);
  };
  const wave = (a: number, c: number) => (c % 2 === 0 ? Math.sin(a) : Math.cos(a));
  const axis = (n: number) => table([n, half], (i, c) => wave(angle(i, n, c), c));
  return machine.heap.scope(() => {
    const grid = concat([alongColumns(axis(H), W), alongRows(axis(W), H)], 2); // [H, W, d]
    return reshape(grid, [1, H, W, d]);
  });
}

/** What depends on y alone, at every place. @shape [H, d] → [H, W, d], a view */
function alongColumns(t: Tensor, W: number): Tensor {
  return expand(unsqueeze(t, 1), 1, W);
}

/** What depends on x alone, at every place. @shape [W, d] → [H, W, d], a view */
function alongRows(t: Tensor, H: number): Tensor {
  return expand(unsqueeze(t, 0), 0, H);
}

/**
 * Random Fourier features: [sin(2π(2p − 1)·G), cos(2π(2p − 1)·G)] with a fixed Gaussian matrix G.
 *
 * @shape  p [B, P, 2] → [B, P, D]
 * @units  p (x, y), 0…1 of the image
 * @source sam2/modeling/position_encoding.py, PositionEmbeddingRandom
 */
export function positionEmbeddingRandom(w: Weights, D: number) {
  const gaussian = w.get("positional_encoding_gaussian_matrix", [2, D / 2]);
  const transposed = contiguous(permute(gaussian, [1, 0])); // [D/2, 2]

  const encode = layer(w, "PositionEmbeddingRandom", (p: Tensor) => {
    const [B, P] = p.shape;
    const angles = affine(matmul(reshape(affine(p, 2, -1), [B * P, 2]), transposed), 2 * Math.PI, 0); // [B·P, D/2]
    return reshape(concat([sin(angles), cos(angles)], 1), [B, P, D]);
  });

  /** The encoding of every cell's centre. @shape → [1, H, W, D] */
  const grid = (H: number, W: number) => {
    const centres = table([1, H * W, 2], (_, i, xy) =>
      xy === 0 ? ((i % W) + 0.5) / W : (Math.floor(i / W) + 0.5) / H,
    );
    return reshape(encode(centres), [1, H, W, D]);
  };

  return { encode, grid: (H: number, W: number) => machine.heap.scope(() => grid(H, W)) };
}

/** Angles by which rotary attention turns the channel pairs of each place. */
export interface Rotation {
  readonly cos: Tensor; // [H·W, d/2]
  readonly sin: Tensor; // [H·W, d/2]
}

/**
 * Axial rotary encoding: the first half of the channel pairs turns with x, the second with y, at geometrically
 * falling speeds θ^(−4i/d).
 *
 * @shape  → cos, sin [H·W, d/2]
 * @source sam2/modeling/position_encoding.py, compute_axial_cis
 */
export function axialRotation(H: number, W: number, d: number, theta = 10000): Rotation {
  const quarter = d / 4;
  const angle = (i: number, pair: number) => fround(i * fround(1 / fround(theta ** fround((4 * pair) / d))));
  const places = (wave: (angle: number) => number) => {
    const axis = (n: number) => table([n, quarter], (i, pair) => wave(angle(i, pair)));
    return machine.heap.scope(() => {
      const grid = concat([alongRows(axis(W), H), alongColumns(axis(H), W)], 2); // [H, W, d/2]
      return reshape(grid, [H * W, d / 2]);
    });
  };
  return { cos: places(Math.cos), sin: places(Math.sin) };
}
