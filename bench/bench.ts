// What every benchmark shares: a case is validated, warmed up, then timed; its speed stands beside the peak of the
// register tile measured in the same run.
import type { Machine } from "../src/runtime/machine.ts";
import type { Peak } from "../src/runtime/peak.ts";
import { numel, type Shape } from "../src/tensor/shape.ts";
import { type Tensor, values } from "../src/tensor/view.ts";

export const GROUPS = ["gemm", "conv", "attention", "stage"] as const;
export type Group = (typeof GROUPS)[number];

/** One thing to time, prepared on a machine: `check` throws unless what `run` left is right. */
export interface Prepared {
  flop: number;
  run(): void;
  check(): void;
}

export interface Case {
  group: Group;
  name: string;
  shape: readonly number[];
  prepare(machine: Machine): Prepared;
}

export interface Row {
  group: Group;
  name: string;
  shape: readonly number[];
  threads: number;
  kernels: string;
  minMs: number;
  medianMs: number;
  gflops: number;
  ofPeak: number;
  peakBytes: number;
}

/** A tensor of random values. */
export function randomTensor({ heap }: Machine, shape: Shape, next: () => number): Tensor {
  const t = heap.alloc(shape);
  for (let i = 0; i < t.data.length; i++) t.data[i] = next();
  return t;
}

/** @throws unless |got − want| ≤ bound·max|want| everywhere; both contiguous */
export function expectClose(got: Tensor, want: Tensor, bound: number): void {
  const [g, w] = [values(got), values(want)];
  const scale = w.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (let i = 0; i < numel(want.shape); i++) {
    if (!(Math.abs(g[i] - w[i]) <= bound * scale))
      throw new Error(`wrong result at ${i}: expected ${w[i]}, got ${g[i]}`);
  }
}

const WARM_UP_MS = 150; // the engine replaces its first, slow code meanwhile
const TIMED_MS = 400;
const FEWEST = 5;

/** Validate, warm up, time. */
export function measure(machine: Machine, one: Case, peak: Peak): Row {
  return machine.heap.scope(() => {
    machine.heap.resetPeak();
    const { flop, run, check } = one.prepare(machine);
    run();
    check();
    const warm = performance.now();
    while (performance.now() - warm < WARM_UP_MS) run();
    const times: number[] = [];
    const begin = performance.now();
    while (times.length < FEWEST || performance.now() - begin < TIMED_MS) {
      const start = performance.now();
      run();
      times.push(performance.now() - start);
    }
    check();
    return toRow(machine, one, flop, times, peak);
  });
}

/** What the times of a case, in ms, amount to. */
export function toRow(
  { heap, kernels, threads }: Machine,
  { group, name, shape }: Pick<Case, "group" | "name" | "shape">,
  flop: number,
  times: number[],
  peak: Peak,
): Row {
  times.sort((a, b) => a - b);
  const [minMs, medianMs] = [times[0], times[times.length >> 1]];
  const gflops = flop / medianMs / 1e6;
  const row = { group, name, shape, threads, kernels: kernels.name, minMs, medianMs, gflops };
  return { ...row, ofPeak: ofPeak(row, peak), peakBytes: heap.peakBytes };
}

/** Speed as a fraction of the register-tile peak of as many threads. */
export function ofPeak({ kernels, threads, gflops }: Pick<Row, "kernels" | "threads" | "gflops">, peak: Peak): number {
  return gflops / (threads * (kernels.startsWith("fma") ? peak.fma : peak.mulAdd));
}

/** Speed of several rows as one fraction of the peak: the time that their work would take at the peak, of all their time. */
export function weightedOfPeak(rows: readonly Row[]): number {
  const atPeak = rows.reduce((ms, { medianMs, ofPeak }) => ms + medianMs * ofPeak, 0);
  return atPeak / rows.reduce((ms, { medianMs }) => ms + medianMs, 0);
}
