import { instantiateSync } from "@assemblyscript/loader";
import { HeapError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { Heap } from "../tensor/heap.ts";
import { Control } from "./control.ts";
import type { Kernels } from "./kernels.ts";
import type { Machine } from "./machine.ts";
import { reference } from "./reference.ts";
import { oneThread, type ParallelFor, SCRATCH_BYTES, severalThreads } from "./threads.ts";
import { type RegisterTile, wasmKernels } from "./wasm.ts";

/**
 * `auto`: the fastest that the machine offers. `portable`: the same bits on every CPU. `reference`: scalar loops, slow,
 * against which the others are checked.
 */
export type KernelChoice = "auto" | "portable" | "reference";

export interface MachineOptions {
  kernels: KernelChoice;
  /** By a few milliseconds of measurement if not given. */
  tile?: RegisterTile;
  /** 1 by default. More are ended by the machine's `dispose`. */
  threads?: number;
  /** The memory never grows beyond this; 4 GiB, the most that WebAssembly can address, by default. */
  maxBytes?: number;
}

const PAGE = 65536;
const MAX_BYTES = 2 ** 32;
const INITIAL_PAGES = 48; // constants and scratch

/** A machine of its own memory. What was chosen and why stands in `chosen`. */
export async function createMachine(options: MachineOptions): Promise<Machine> {
  const { kernels, maxBytes = MAX_BYTES } = options;
  const memory = newMemory(maxBytes);
  if (kernels === "reference") {
    const heap = new Heap(memory, PAGE, maxBytes);
    return { heap, kernels: reference, threads: 1, chosen: ["kernels: reference"], macs: 0, dispose() {} };
  }
  const { name, module, chosen } = await compile(kernels);
  const { exports } = instantiateSync(module, { env: { memory } }).instance;
  const heap = new Heap(memory, (exports.heap_base as () => number)(), maxBytes);
  const scratch = heap.alloc([SCRATCH_BYTES / 4]).data.byteOffset;
  const alone = oneThread(exports, scratch);
  const tile = options.tile ?? heap.scope(() => chooseTile(heap, alone, chosen));
  const threads = chooseThreads(options.threads ?? 1, chosen);
  const scratches = Array.from({ length: threads - 1 }, () => heap.alloc([SCRATCH_BYTES / 4]).data.byteOffset);
  const { parallelFor, stop } =
    threads > 1
      ? severalThreads({ module, memory }, exports, scratch, scratches)
      : { parallelFor: alone, stop: () => {} };
  const table = wasmKernels(`${name} ${tile}`, tile, parallelFor);
  return { heap, kernels: table, threads, chosen, macs: 0, dispose: stop };
}

let warned = false;

/** As many as are asked for, where threads may share memory and sleep; elsewhere one, and the console says so once. */
function chooseThreads(wanted: number, chosen: string[]): number {
  const possible = wanted === 1 || Control.canWait;
  const text = possible ? `threads: ${wanted}` : `threads: 1 instead of ${wanted}, because ${platform.noThreads()}`;
  chosen.push(text);
  if (!possible && !warned) console.warn(`sam2: ${text}`);
  warned ||= !possible;
  return possible ? wanted : 1;
}

function newMemory(maxBytes: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: Math.floor(maxBytes / PAGE), shared: true });
  } catch (cause) {
    const got = `"${(cause as Error).message}"`;
    throw new HeapError("heap", `room for a memory of up to ${maxBytes} bytes`, got, "lower the limit", { cause });
  }
}

/** The build with fused multiply-add where it is asked for and the engine knows relaxed SIMD, else the portable one. */
async function compile(kernels: "auto" | "portable") {
  const chosen: string[] = [];
  if (kernels === "auto") {
    const flags = platform.prepareWasm();
    if (flags.length) chosen.push(`engine flags: ${flags.join(" ")}`);
    const bytes = await platform.kernels("kernels_fma");
    if (WebAssembly.validate(bytes)) {
      chosen.push("kernels: fma, because the engine has relaxed SIMD");
      return { name: "fma", module: new WebAssembly.Module(bytes), chosen };
    }
  }
  const why = kernels === "auto" ? "because the engine lacks relaxed SIMD" : "as asked for";
  chosen.push(`kernels: portable, ${why}`);
  return { name: "portable", module: new WebAssembly.Module(await platform.kernels("kernels")), chosen };
}

/** The faster register tile, by a few milliseconds of measurement, if both give the same bits. */
function chooseTile(heap: Heap, parallelFor: ParallelFor, chosen: string[]): RegisterTile {
  const narrow = wasmKernels("", "6x8", parallelFor);
  const wide = wasmKernels("", "6x16", parallelFor);
  if (!sameBits(heap, narrow, wide)) {
    chosen.push("tile: 6x8, because 6x16 gave other bits");
    return "6x8";
  }
  const [time8, time16] = raceProducts(heap, [narrow, wide]);
  const tile = time16 < time8 ? "6x16" : "6x8";
  chosen.push(
    `tile: ${tile}, because the products tried took ${time8.toFixed(2)} ms by 6x8, ${time16.toFixed(2)} ms by 6x16`,
  );
  return tile;
}

/** Do both tables compute a product with tails in every direction alike? */
function sameBits(heap: Heap, one: Kernels, other: Kernels): boolean {
  const [M, N, K] = [14, 35, 77];
  const weight = one.pack(heap.from(ramp(48 * K), [48, K]), N);
  const a = heap.from(ramp(M * K), [M, K]);
  const [c, d] = [heap.alloc([M, N]), heap.alloc([M, N])];
  one.gemm(c, a, weight, {});
  other.gemm(d, a, weight, {});
  return c.data.every((value, i) => value === d.data[i]);
}

/** Best time of each table; they take turns, so that neither runs on unoptimised code only. */
function raceProducts(heap: Heap, tables: readonly Kernels[]): number[] {
  const [M, N, K] = [96, 64, 256];
  const a = heap.from(ramp(M * K), [M, K]);
  const c = heap.alloc([M, N]);
  const weight = tables[0].pack(heap.from(ramp(N * K), [N, K]), N);
  const best = tables.map(() => Infinity);
  for (let round = 0; round < 12; round++) {
    tables.forEach((table, i) => {
      const start = performance.now();
      for (let run = 0; run < 8; run++) table.gemm(c, a, weight, {});
      best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  return best;
}

function ramp(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
}
