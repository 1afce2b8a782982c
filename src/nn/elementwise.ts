import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/view.ts";

/** a + b; b may lack leading axes of a, e.g. [C] against [B, S, C]. */
export function add(a: Tensor, b: Tensor): Tensor {
  const y = broadcast("add", a, b);
  machine.kernels.add(y, a, b);
  return y;
}

/** a ⊙ b; b may lack leading axes of a. */
export function mul(a: Tensor, b: Tensor): Tensor {
  const y = broadcast("mul", a, b);
  machine.kernels.mul(y, a, b);
  return y;
}

/** scale·x + offset */
export function affine(x: Tensor, scale: number, offset: number): Tensor {
  const y = machine.heap.alloc(x.shape);
  machine.kernels.affine(y, x, scale, offset);
  return y;
}

/** x/2·(1 + erf(x/√2)): the exact form, not the tanh approximation. */
export function gelu(x: Tensor): Tensor {
  const y = machine.heap.alloc(x.shape);
  machine.kernels.gelu(y, x);
  return y;
}

/** 1/(1 + e⁻ˣ) */
export function sigmoid(x: Tensor): Tensor {
  const y = machine.heap.alloc(x.shape);
  machine.kernels.sigmoid(y, x);
  return y;
}

export function sin(x: Tensor): Tensor {
  const y = machine.heap.alloc(x.shape);
  machine.kernels.sin(y, x);
  return y;
}

export function cos(x: Tensor): Tensor {
  const y = machine.heap.alloc(x.shape);
  machine.kernels.cos(y, x);
  return y;
}

function broadcast(where: string, a: Tensor, b: Tensor): Tensor {
  expectShape(where, a.shape.slice(a.shape.length - b.shape.length), b.shape);
  return machine.heap.alloc(a.shape);
}
