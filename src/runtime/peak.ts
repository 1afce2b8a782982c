import { platform } from "../platform/platform.ts";

/** GFLOP/s, one thread: twelve independent registers, nothing else. */
export interface Peak {
  /** fused multiply-add; 0 where the engine lacks relaxed SIMD */
  fma: number;
  /** multiply, then add */
  mulAdd: number;
  /** the same with 128-bit vectors alone */
  fma128: number;
  mulAdd128: number;
}

/** A function that measures the peak and returns the best so far. Flags of the engine must be set before. */
export async function peakMeter(): Promise<() => Peak> {
  const best: Peak = { fma: 0, mulAdd: 0, fma128: 0, mulAdd128: 0 };
  const loops: (() => void)[] = [];
  for (const [build, key] of [
    ["kernels", "mulAdd"],
    ["kernels_fma", "fma"],
  ] as const) {
    const bytes = await platform.kernels(build);
    if (!WebAssembly.validate(bytes)) continue;
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    const address = (exports.heap_base as () => number)();
    new Float32Array(memory.buffer, address, 128).fill(0.5);
    loops.push(() => {
      best[`${key}128`] = Math.max(best[`${key}128`], timeLoop(exports.peak_f32_128, address, 12));
      best[key] = Math.max(best[key], best[`${key}128`], timeLoop(exports.peak_f32_256, address, 24));
    });
  }
  return () => {
    for (const loop of loops) loop();
    return best;
  };
}

/** GFLOP/s of the best of several short runs of a register loop, with `vectors` multiply-adds of four floats a round. */
function timeLoop(loop: WebAssembly.ExportValue, address: number, vectors: number): number {
  const rounds = 400_000; // a browser's clock may tick every 5 µs, and this takes 600
  let best = Infinity;
  const begin = performance.now();
  while (performance.now() - begin < 30) {
    const start = performance.now();
    (loop as (address: number, rounds: number) => void)(address, rounds);
    best = Math.min(best, performance.now() - start);
  }
  return (rounds * vectors * 8) / best / 1e6;
}
