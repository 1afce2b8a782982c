import { values } from "../tensor/view.ts";
import { Control } from "./control.ts";
import { createMachine, type KernelChoice } from "./create.ts";
import { type Machine, withMachine } from "./machine.ts";
import { type Peak, peakMeter } from "./peak.ts";
import type { RegisterTile } from "./wasm.ts";

/** Where this runs. */
export interface MachineDescription {
  cpu: string;
  cores: number;
  os: string;
  node: string;
  /** name and version, where the model does not run in Node */
  browser?: string;
}

/** What the model would run on here, why, and how fast that could be. */
export interface MachineReport extends MachineDescription {
  /** May threads share memory and sleep? Without it there is one. */
  sharedMemory: boolean;
  threads: number;
  /** the table: build of the kernels and register tile, e.g. "fma 6x16" */
  kernels: string;
  /** flags of the engine, build, tile and threads that were chosen, and why, line by line */
  chosen: readonly string[];
  /** of a product with tails in every direction */
  sameBits: { ofBothTiles: boolean; ofPortableAndReference: boolean };
  peakGflops: Peak;
}

/** Prove and measure what `machine` has chosen: about half a second. */
export async function machineReport(machine: Machine, description: MachineDescription): Promise<MachineReport> {
  const { threads, chosen } = machine;
  const { name } = machine.kernels;
  const other = name.endsWith("6x16") ? "6x8" : "6x16";
  return {
    ...description,
    sharedMemory: Control.canWait,
    threads,
    kernels: name,
    chosen,
    sameBits: {
      ofBothTiles: equal(product(machine), await productBy("auto", other)),
      ofPortableAndReference: equal(await productBy("portable"), await productBy("reference")),
    },
    peakGflops: await measuredPeak(),
  };
}

/** The best of a few: a busy machine is slow at times. */
async function measuredPeak(): Promise<Peak> {
  const measure = await peakMeter();
  measure();
  measure();
  return measure();
}

/** The report for people: what `sam2 info --machine` prints, and how the bench begins. */
export function machineHead(report: MachineReport): string {
  const { cpu, cores, os, node, browser = `Node ${node}`, sharedMemory, chosen, sameBits, peakGflops: peak } = report;
  const yes = (agree: boolean) => (agree ? "the same" : "NOT the same");
  const speed = (wide: number, narrow: number) => `${wide.toFixed(1)} (${narrow.toFixed(1)} with 128-bit vectors)`;
  const fused = peak.fma > 0 ? `${speed(peak.fma, peak.fma128)} fused, ` : "";
  return [
    `${cpu}, ${cores} cores, ${os}, ${browser}`,
    `shared memory: ${sharedMemory ? "yes" : "no"}`,
    ...chosen,
    `bits: ${yes(sameBits.ofBothTiles)} with tiles 6x8 and 6x16; ${yes(sameBits.ofPortableAndReference)} by portable kernels and scalar loops`,
    `register-tile peak of a thread, GFLOP/s: ${fused}${speed(peak.mulAdd, peak.mulAdd128)} portable`,
  ].join("\n");
}

async function productBy(kernels: KernelChoice, tile?: RegisterTile): Promise<Float32Array> {
  return product(await createMachine({ kernels, tile }));
}

function product(machine: Machine): Float32Array {
  const { heap, kernels } = machine;
  const [M, N, K] = [98, 70, 256];
  const some = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));
  return withMachine(machine, () =>
    heap.scope(() => {
      const c = heap.alloc([M, N]);
      kernels.gemm(c, heap.from(some(M * K), [M, K]), kernels.pack(heap.from(some(80 * K), [80, K]), N), {});
      return values(c).slice();
    }),
  );
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.every((value, i) => value === b[i]);
}
