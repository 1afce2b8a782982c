import type { Weights } from "../io/weights.ts";
import type { Epilogue, Packed, Product } from "../runtime/kernels.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape, numel } from "../tensor/shape.ts";
import { narrow, reshape, type Tensor } from "../tensor/view.ts";
import { isWatched, layer } from "./layer.ts";

const PANEL = 16; // output channels that `pack` keeps together

/**
 * What joins a linear layer in the same pass over memory. The goldens hold PyTorch's unfused outputs; the tests undo
 * these with the arguments that the probe shows.
 */
export interface Fused {
  /** added to the result */
  residual?: Tensor;
  /** result row m is computed from input row rows[m]; −1 is a row of zeros */
  rows?: Int32Array;
}

/** Heap room for a weight [N, K] that is packed in place: the rows are filled up to whole panels. */
export function packable(N: number, K: number): Tensor {
  const room = machine.heap.alloc([Math.ceil(N / PANEL) * PANEL, K]);
  room.data.fill(0, N * K);
  return room;
}

/** A Linear or 1×1 convolution weight [N, K], packed; `shape` is the checkpoint's. */
export function packedWeight(w: Weights, shape: readonly number[], N: number, K: number): Packed {
  const room = packable(N, K);
  w.read("weight", shape, room.data);
  return machine.kernels.pack(room, N);
}

/**
 * x·Wᵀ + b
 *
 * @shape x [..., K] → [..., N]; with `rows` [M] → [M, N]
 * @source torch.nn.Linear
 */
export function linear(w: Weights, K: number, N: number, activation?: Epilogue["activation"]) {
  return affineLayer(w, K, N, { bias: w.get("bias", [N]), activation });
}

/**
 * x·Wᵀ
 *
 * @shape x [..., K] → [..., N]; with `rows` [M] → [M, N]
 * @source torch.nn.Linear with bias=False
 */
export function linearWithoutBias(w: Weights, K: number, N: number, activation?: Epilogue["activation"]) {
  return affineLayer(w, K, N, { activation });
}

function affineLayer(w: Weights, K: number, N: number, epilogue: Epilogue) {
  return productLayer(w, activated("Linear", epilogue.activation), { weight: packedWeight(w, [N, K], N, K), epilogue });
}

/** A layer that multiplies rows with a weight, and what it multiplies with. */
export type ProductLayer = ((x: Tensor, fused?: Fused) => Tensor) & Product;

/** A `linear` or 1×1 convolution. */
export function productLayer(w: Weights, name: string, product: Product): ProductLayer {
  const { weight, epilogue } = product;
  const forward = layer(w, name, (x: Tensor, fused: Fused = {}) => project(w, weight, epilogue, x, fused));
  return Object.assign(forward, product);
}

const FEW = 192; // rows; fewer are two shares, or one: threads share them better by columns

/**
 * The second of two layers on what the first gives, + residual. While no layer is watched they run for some rows at a time, so
 * that what is between them stays in a cache; the bits are the same.
 *
 * @shape  x [..., K] → [..., N]
 */
export function inOnePass(first: ProductLayer, second: ProductLayer, x: Tensor, residual?: Tensor): Tensor {
  const { K, N: H } = first.weight;
  if (isWatched() || numel(x.shape) < FEW * K) return second(first(x), { residual });
  const { N } = second.weight;
  expectShape("inOnePass", x.shape.slice(-1), [K]);
  expectShape("inOnePass hidden", [second.weight.K], [H]);
  const y = machine.heap.alloc([...x.shape.slice(0, -1), N]);
  const c = reshape(y, [-1, N]);
  machine.macs += c.shape[0] * H * (K + N);
  const added = residual && reshape(residual, [-1, N]);
  if (added) expectShape("inOnePass residual", added.shape, c.shape);
  const last = { weight: second.weight, epilogue: { ...second.epilogue, residual: added } };
  machine.kernels.mlp(c, reshape(x, [-1, K]), first, last);
  return y;
}

/** "Linear+gelu": the name of a layer that an activation joins, which is a layer of its own in PyTorch. */
export function activated(name: string, activation: Epilogue["activation"]): string {
  return activation ? `${name}+${activation}` : name;
}

function project(w: Weights, weight: Packed, epilogue: Epilogue, x: Tensor, { residual, rows }: Fused): Tensor {
  const { N, K } = weight;
  expectShape(w.prefix, x.shape.slice(-1), [K]);
  const shape = rows ? [rows.length, N] : [...x.shape.slice(0, -1), N];
  const y = machine.heap.alloc(shape);
  const c = reshape(y, [-1, N]);
  machine.macs += c.shape[0] * N * K;
  const added = residual && reshape(residual, [-1, N]);
  if (added) expectShape(`${w.prefix} residual`, added.shape, c.shape);
  machine.kernels.gemm(c, reshape(x, [-1, K]), weight, { ...epilogue, residual: added }, rows);
  return y;
}

/** A matrix, packed as the right factor of `multiply`. @shape b [N, K], any view */
export function packed(b: Tensor): Packed {
  const [N, K] = b.shape;
  const room = packable(N, K);
  machine.kernels.copy(narrow(room, 0, 0, N), b);
  return machine.kernels.pack(room, N);
}

/**
 * a·bᵀ, with what the epilogue adds, into y
 *
 * @shape a [M, K]; b packed from [N, K]; y [M, N]
 */
export function multiply(y: Tensor, a: Tensor, b: Packed, epilogue: Epilogue = {}): Tensor {
  const M = a.shape[0];
  expectShape("multiply", a.shape, [-1, b.K]);
  expectShape("multiply", y.shape, [M, b.N]);
  machine.macs += M * b.N * b.K;
  machine.kernels.gemm(y, a, b, epilogue);
  return y;
}

/**
 * a·bᵀ
 *
 * @shape a [M, K]; b [N, K] → [M, N]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectShape("matmul", b.shape, [-1, a.shape[1]]);
  return machine.heap.scope(() => multiply(machine.heap.alloc([a.shape[0], b.shape[0]]), a, packed(b)));
}
