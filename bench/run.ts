// The rows of the bench, one after another; the same in Node and in a worker of a page.
import { platform } from "../src/platform/platform.ts";
import { createMachine } from "../src/runtime/create.ts";
import { type Peak, peakMeter } from "../src/runtime/peak.ts";
import { type MachineDescription, machineHead, type MachineReport, machineReport } from "../src/runtime/report.ts";
import { formatShape } from "../src/tensor/shape.ts";
import { attentionCases } from "./attention.ts";
import { GROUPS, measure, ofPeak, type Row, weightedOfPeak } from "./bench.ts";
import { conv2dCases } from "./conv2d.ts";
import { FRAME_NAMES, measureFrames } from "./frames.ts";
import { gemmCases } from "./gemm.ts";
import { measureStages, STAGE_MODELS, STAGES } from "./stages.ts";

export interface Job {
  /** groups and names; all if not given */
  only?: readonly string[];
  description: MachineDescription;
}

export interface Results {
  machine: MachineReport;
  /** of the whole run */
  peakGflops: Peak;
  rows: Row[];
}

const CASES = [...gemmCases, ...conv2dCases, ...attentionCases];
/** By which `only` may ask for rows. */
export const NAMES: readonly string[] = [
  ...GROUPS,
  ...CASES.map(({ name }) => name),
  ...STAGES.map(([name]) => name),
  ...FRAME_NAMES,
];

/** Time what is wanted, and print it line by line. */
export async function run({ only, description }: Job, print: (line: string) => void): Promise<Results> {
  const wanted = (group: string, name: string) => !only || only.includes(group) || only.includes(name);
  const cases = CASES.filter(({ group, name }) => wanted(group, name));
  const stages = STAGES.map(([name]) => name).filter((name) => wanted("stage", name));

  const auto = await createMachine({ kernels: "auto" });
  const other = await createMachine({ kernels: "auto", tile: auto.kernels.name.endsWith("6x8") ? "6x16" : "6x8" });
  const portable = await createMachine({ kernels: "portable" });
  const measurePeak = await peakMeter();

  const report = await machineReport(auto, description);
  print(machineHead(report));

  print(`${"".padEnd(34)}${"".padEnd(34)}${"kernels".padEnd(15)}   min ms  median ms  GFLOP/s  of peak`);
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    print(toText(row));
  };
  for (const one of cases) {
    for (const machine of [auto, other, portable]) add(measure(machine, one, measurePeak()));
  }
  for (const name of new Set(rows.filter(({ group }) => group === "gemm").map(({ kernels }) => kernels))) {
    const encoder = rows.filter(
      (row) => row.group === "gemm" && row.kernels === name && !row.name.startsWith("memory"),
    );
    if (encoder.length)
      print(`products of the encoder, ${name}: ${(100 * weightedOfPeak(encoder)).toFixed(1)} % of the peak`);
  }
  for (const variant of STAGE_MODELS) {
    if (!STAGES.some(([name, of]) => of === variant && stages.includes(name))) continue;
    for (const threads of new Set([1, platform.cores()])) {
      for (const row of await measureStages(variant, stages, threads, measurePeak())) add(row);
    }
  }
  const frames = FRAME_NAMES.filter((name) => wanted("stage", name));
  for (const threads of frames.length > 0 ? new Set([1, platform.cores()]) : []) {
    for (const row of await measureFrames(frames, threads, measurePeak())) add(row);
  }
  const peakGflops = measurePeak();
  for (const row of rows) row.ofPeak = ofPeak(row, peakGflops);
  const peaks = Object.entries(peakGflops).map(([key, value]) => `${key} ${value.toFixed(1)}`);
  print(`register-tile peak, GFLOP/s: ${peaks.join(", ")}`);
  return { machine: report, peakGflops, rows };
}

function toText({ name, shape, kernels, threads, minMs, medianMs, gflops, ofPeak }: Row): string {
  const numbers = [minMs.toFixed(2).padStart(9), medianMs.toFixed(2).padStart(11)];
  numbers.push(gflops.toFixed(1).padStart(9), `${(100 * ofPeak).toFixed(0)} %`.padStart(9));
  const by = threads === 1 ? kernels : `${kernels} ×${threads}`;
  return name.padEnd(34) + formatShape(shape).padEnd(34) + by.padEnd(15) + numbers.join("");
}
