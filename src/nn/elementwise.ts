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
export const gelu = unary("gelu");
/** 1/(1 + e⁻ˣ) */
export const sigmoid = unary("sigmoid");
export const sin = unary("sin");
export const cos = unary("cos");

function unary(name: "gelu" | "sigmoid" | "sin" | "cos") {
  return (x: Tensor): Tensor => {
    const y = machine.heap.alloc(x.shape);
    machine.kernels[name](y, x);
    return y;
  };
}

function broadcast(where: string, a: Tensor, b: Tensor): Tensor {
  expectShape(where, a.shape.slice(a.shape.length - b.shape.length), b.shape);
  return machine.heap.alloc(a.shape);
}
