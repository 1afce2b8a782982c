import type { Heap } from "../tensor/heap.ts";
import type { Kernels } from "./kernels.ts";

/** What the graph runs on: one heap, one table of kernels, and the counters that `layer` reads. */
export interface Machine {
  readonly heap: Heap;
  readonly kernels: Kernels;
  readonly threads: number;
  /** Which kernels and register tile were chosen, and why, line by line. */
  readonly chosen: readonly string[];
  /** Multiply-adds done so far. */
  macs: number;
  /** Looked at by every layer, so that a call stops within one. */
  signal?: AbortSignal;
  /** Called by every layer when it has finished. */
  onLayer?: () => void;
  /** End the helper threads. The machine cannot be used any more. */
  dispose(): void;
}

/** The machine in use. The graph is synchronous, so one at a time is enough. */
export let machine: Machine;

/** Run part of the graph on `m`. */
export function withMachine<R>(m: Machine, run: () => R): R {
  const outer = machine;
  machine = m;
  try {
    return run();
  } finally {
    machine = outer;
  }
}
