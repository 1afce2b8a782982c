// What the tests of the kernels share: both builds, each as two tables, random tensors, and the distance of two tensors.
import { instantiateSync } from "@assemblyscript/loader";
import { nodePlatform } from "../src/platform/node.ts";
import type { Kernels } from "../src/runtime/kernels.ts";
import { oneThread, type ParallelFor, SCRATCH_BYTES } from "../src/runtime/threads.ts";
import { wasmKernels } from "../src/runtime/wasm.ts";
import { Heap } from "../src/tensor/heap.ts";
import { numel, type Shape } from "../src/tensor/shape.ts";
import { type Tensor, values } from "../src/tensor/view.ts";
import { random } from "./random.ts";

export interface Build {
  name: string;
  heap: Heap;
  /** One kernel by its name, on one tile. */
  call(kernel: string, args: readonly number[]): void;
  /** 6×8 with all tiles in one call, and 6×16 with three tiles a call: they must give the same bits */
  tables: [Kernels, Kernels];
  fused: boolean;
}

nodePlatform.prepareWasm();

/** The portable and the fused build, on a memory each. */
export const builds: Build[] = [await load("kernels"), await load("kernels_fma")];

async function load(build: "kernels" | "kernels_fma"): Promise<Build> {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 4096, shared: true });
  const module = new WebAssembly.Module(await nodePlatform.kernels(build));
  const { exports } = instantiateSync(module, { env: { memory } }).instance;
  const heap = new Heap(memory, (exports.heap_base as () => number)(), 2 ** 28);
  const scratch = heap.alloc([SCRATCH_BYTES / 4]).data.byteOffset;
  const whole = oneThread(exports, scratch);
  const inPieces: ParallelFor = (kernel, tiles, args) => {
    for (let t = 0; t < tiles; t += 3) {
      (exports[kernel] as (...args: number[]) => void)(...args, scratch, t, Math.min(tiles, t + 3));
    }
  };
  const name = build === "kernels" ? "portable" : "fma";
  const tables: [Kernels, Kernels] = [
    wasmKernels(name, "6x8", whole, exports),
    wasmKernels(`${name} in pieces`, "6x16", inPieces, exports),
  ];
  const call = (kernel: string, args: readonly number[]) => whole(kernel, 1, args);
  return { name, heap, call, tables, fused: build === "kernels_fma" };
}

/** Every table with the bound that its build has. */
export function eachTable(portable: number, fused: number): { heap: Heap; kernels: Kernels; bound: number }[] {
  return builds.flatMap((build) =>
    build.tables.map((kernels) => ({ heap: build.heap, kernels, bound: build.fused ? fused : portable })),
  );
}

export type Fill = (shape: Shape) => Tensor;

/** Run `body` with a way to get random tensors of values in −1…1; all are freed afterwards. */
export function onHeap(heap: Heap, body: (fill: Fill) => void): void {
  const next = random(1);
  heap.scope(() => {
    body((shape) => heap.from(Float32Array.from({ length: numel(shape) }, next), shape));
  });
}

/** Largest |got − want|, relative to the largest |want|; 0 only if all bits agree but the sign of zeros. */
export function difference(got: Tensor, want: Tensor): number {
  const [g, w] = [values(got), values(want)];
  let [worst, scale] = [0, 0];
  for (let i = 0; i < w.length; i++) {
    const delta = Math.abs(g[i] - w[i]);
    if (!(delta <= worst)) worst = Number.isNaN(delta) ? Infinity : delta;
    scale = Math.max(scale, Math.abs(w[i]));
  }
  return worst === 0 ? 0 : worst / scale;
}
