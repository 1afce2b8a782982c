// npm run bench -- [--json FILE] [--only GROUP|NAME,…]
import { rename, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { machineHead, machineReport } from "../src/cli/machine.ts";
import { VARIANT_NAMES } from "../src/model/config.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { createMachine } from "../src/runtime/create.ts";
import { peakMeter } from "../src/runtime/peak.ts";
import { formatShape } from "../src/tensor/shape.ts";
import { attentionCases } from "./attention.ts";
import { measure, ofPeak, type Row, weightedOfPeak } from "./bench.ts";
import { conv2dCases } from "./conv2d.ts";
import { gemmCases } from "./gemm.ts";
import { measureStages, STAGES } from "./stages.ts";

const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string" } } });
const only = values.only?.split(",");
const wanted = (group: string, name: string) => !only || only.includes(group) || only.includes(name);
const cases = [...gemmCases, ...conv2dCases, ...attentionCases].filter(({ group, name }) => wanted(group, name));
const stages = STAGES.map(([name]) => name).filter((name) => wanted("stage", name));
if (cases.length + stages.length === 0) {
  console.error(`bench: expected --only with a group or names, got ${values.only}; see bench/*.ts for the names`);
  process.exit(2);
}

setPlatform(nodePlatform);
const auto = await createMachine({ kernels: "auto" });
const other = await createMachine({ kernels: "auto", tile: auto.kernels.name.endsWith("6x8") ? "6x16" : "6x8" });
const portable = await createMachine({ kernels: "portable" });
const measurePeak = await peakMeter();

const report = await machineReport(auto);
console.log(machineHead(report));

console.log(`${"".padEnd(34)}${"".padEnd(34)}${"kernels".padEnd(15)}   min ms  median ms  GFLOP/s  of peak`);
const rows: Row[] = [];
const print = (row: Row) => {
  rows.push(row);
  const numbers = [row.minMs.toFixed(2).padStart(9), row.medianMs.toFixed(2).padStart(11)];
  numbers.push(row.gflops.toFixed(1).padStart(9), `${(100 * row.ofPeak).toFixed(0)} %`.padStart(9));
  const kernels = row.threads === 1 ? row.kernels : `${row.kernels} ×${row.threads}`;
  console.log(row.name.padEnd(34) + formatShape(row.shape).padEnd(34) + kernels.padEnd(15) + numbers.join(""));
};
for (const one of cases) {
  for (const machine of [auto, other, portable]) print(measure(machine, one, measurePeak()));
}
for (const name of new Set(rows.filter(({ group }) => group === "gemm").map(({ kernels }) => kernels))) {
  const encoder = rows.filter((row) => row.group === "gemm" && row.kernels === name && !row.name.startsWith("memory"));
  if (encoder.length)
    console.log(`products of the encoder, ${name}: ${(100 * weightedOfPeak(encoder)).toFixed(1)} % of the peak`);
}
for (const variant of VARIANT_NAMES) {
  if (!STAGES.some(([name, of]) => of === variant && stages.includes(name))) continue;
  for (const threads of new Set([1, availableParallelism()])) {
    for (const row of await measureStages(variant, stages, threads, measurePeak())) print(row);
  }
}
const peakGflops = measurePeak();
console.log(
  `register-tile peak, GFLOP/s: ${Object.entries(peakGflops)
    .map(([key, value]) => `${key} ${value.toFixed(1)}`)
    .join(", ")}`,
);

if (values.json) {
  for (const row of rows) row.ofPeak = ofPeak(row, peakGflops); // the peak of the whole run
  const all = { machine: report, node: process.version, peakGflops, rows };
  await writeFile(`${values.json}.part`, `${JSON.stringify(all, null, 2)}\n`);
  await rename(`${values.json}.part`, values.json);
}
