import { EngineError, HeapError } from "../errors.ts";
import { notify } from "../platform/notices.ts";
import { platform } from "../platform/platform.ts";
import { Heap } from "../tensor/heap.ts";
import { Control } from "./control.ts";
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
const INITIAL_PAGES = 80; // constants and scratch

/** A machine of its own memory. What was chosen and why stands in `chosen`. */
export async function createMachine(options: MachineOptions): Promise<Machine> {
  const { kernels, maxBytes = MAX_BYTES } = options;
  const memory = newMemory(maxBytes);
  if (kernels === "reference") {
    const heap = new Heap(memory, PAGE, maxBytes);
    return { heap, kernels: reference, threads: 1, chosen: ["kernels: reference"], macs: 0, dispose() {} };
  }
  const { name, module, chosen } = await compile(kernels);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const heap = new Heap(memory, (exports.heap_base as () => number)(), maxBytes);
  const scratch = heap.alloc([SCRATCH_BYTES / 4]).data.byteOffset;
  const alone = oneThread(exports, scratch);
  const { threads, text } = chooseThreads(options.threads ?? 1);
  const scratches = Array.from({ length: threads - 1 }, () => heap.alloc([SCRATCH_BYTES / 4]).data.byteOffset);
  const { parallelFor, started, stop } =
    threads > 1
      ? severalThreads({ module, memory }, exports, scratch, scratches)
      : { parallelFor: alone, started: undefined, stop: () => {} };
  const tile = options.tile ?? heap.scope(() => chooseTile(heap, alone, exports, chosen));
  chosen.push(text);
  await started;
  const table = wasmKernels(`${name} ${tile}`, tile, parallelFor, exports);
  return { heap, kernels: table, threads, chosen, macs: 0, dispose: stop };
}

/** Where there are fewer cores, more threads take memory and wait for each other. */
const MOST_THREADS = 16;
let warned = false;

/** As many as are asked for, where threads may share memory and sleep, and so many help; the console says once if not. */
function chooseThreads(wanted: number): { threads: number; text: string } {
  const most = Math.max(MOST_THREADS, platform.cores());
  const possible = wanted === 1 || Control.canWait;
  const threads = possible ? Math.min(wanted, most) : 1;
  const why = possible ? `this machine has ${platform.cores()} cores` : platform.noThreads();
  const text = threads === wanted ? `threads: ${wanted}` : `threads: ${threads} instead of ${wanted}, because ${why}`;
  if (threads !== wanted && !warned) notify(text);
  warned ||= threads !== wanted;
  return { threads, text };
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

const TILES: readonly RegisterTile[] = ["6x8", "6x16"];

/**
 * The fastest register tile, by a few milliseconds of measurement on a product with tails in every direction. The
 * engine's first code for a kernel is slow and simple; by the end of the race it has been replaced by the optimised
 * code, which must give the same bits.
 */
function chooseTile(
  heap: Heap,
  parallelFor: ParallelFor,
  exports: WebAssembly.Exports,
  chosen: string[],
): RegisterTile {
  const [M, N, K] = [98, 70, 256];
  const tables = TILES.map((tile) => wasmKernels("", tile, parallelFor, exports));
  const weight = tables[0].pack(heap.from(ramp(80 * K), [80, K]), N);
  const a = heap.from(ramp(M * K), [M, K]);
  const first = heap.alloc([M, N]);
  tables[0].gemm(first, a, weight, {});

  const results = TILES.map(() => heap.alloc([M, N]));
  const times = TILES.map(() => Infinity);
  for (let round = 0; round < 12; round++) {
    tables.forEach((table, i) => {
      const start = performance.now();
      for (let run = 0; run < 8; run++) table.gemm(results[i], a, weight, {});
      times[i] = Math.min(times[i], performance.now() - start);
    });
  }
  const right = TILES.filter((_, i) => results[i].data.every((value, at) => value === first.data[at]));
  if (right.length === 0) {
    throw new EngineError("kernels", "the same bits of optimised code", "others", "use portable kernels");
  }
  const tile = right.reduce((one, other) => (times[TILES.indexOf(other)] < times[TILES.indexOf(one)] ? other : one));
  const tried = TILES.map((name, i) => `${times[i].toFixed(2)} ms by ${name}`).join(", ");
  const wrong = TILES.filter((name) => !right.includes(name)).map((name) => `; ${name} gave other bits`);
  chosen.push(`tile: ${tile}, because the products tried took ${tried}${wrong.join("")}`);
  return tile;
}

function ramp(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
}
