/**
 * Measure how far every tensor of the goldens is from PyTorch's and write ceilings.json: the figures that the tests hold.
 *
 *     npx tsx golden/measure.ts            all cases
 *     npx tsx golden/measure.ts tiny       the cases whose names start with "tiny"
 */
import { readFileSync, writeFileSync } from "node:fs";
import { goldenCases } from "./manifest.ts";
import { runCases } from "./run_case.ts";
import { TABLES, tablesOf } from "./suite.ts";

const FILE = new URL("./ceilings.json", import.meta.url);
/** Room for other orders of rounding: fused multiply-adds elsewhere, PyTorch itself on other CPUs. */
const MARGIN = 1.5;

const measured: Record<string, Record<string, number[]>> = {};
const names = goldenCases(process.argv[2]);
for (const table of TABLES) {
  const compared = names.filter((name) => tablesOf(name).includes(table));
  for await (const {
    golden: { name },
    results,
  } of runCases(compared, table)) {
    measured[name] ??= {};
    for (const { path, maxAbs } of results) (measured[name][path] ??= []).push(roundUp(maxAbs * MARGIN));
    const worst = results.reduce((a, b) => (a.maxAbs / a.std > b.maxAbs / b.std ? a : b));
    console.log(
      `${table.padEnd(8)} ${name.padEnd(36)} ${results.length} tensors, worst ${(worst.maxAbs / worst.std).toExponential(1)} σ: ${worst.path}`,
    );
  }
}
const ceilings = { ...JSON.parse(readFileSync(FILE, "utf8")), ...measured } as typeof measured;
const lines = Object.entries(ceilings).map(([name, paths]) => {
  const rows = Object.entries(paths).map(([path, list]) => `    ${JSON.stringify(path)}: [${list.join(", ")}]`);
  return `  ${JSON.stringify(name)}: {\n${rows.join(",\n")}\n  }`;
});
writeFileSync(FILE, `{\n${lines.join(",\n")}\n}\n`);

/** Two significant digits, upwards. */
function roundUp(x: number): number {
  if (x === 0) return 0;
  const digit = 10 ** (Math.floor(Math.log10(x)) - 1);
  return Number((Math.ceil(x / digit) * digit).toPrecision(2));
}
