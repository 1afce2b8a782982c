// The bench as a command, in Node and in Chromium: its rows, its JSON, its errors. Times are not asserted.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runWithChromium } from "../tests/chromium.ts";
import type { Results } from "./run.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const ROW = "stage 4 windows 7";

function bench(args: string[], env: Record<string, string> = {}) {
  const options = { encoding: "utf8", env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, ["--import", "tsx", main, ...args], options);
}

/** What `bench` writes for one row. */
function resultsOf(...args: string[]): Results {
  const folder = mkdtempSync(join(tmpdir(), "sam2-bench-"));
  const file = join(folder, "bench.json");
  const { status, stdout, stderr } = bench(["--only", ROW, "--json", file, ...args]);
  assert.is(status, 0, stderr);
  assert.match(stdout, ROW);
  const results = JSON.parse(readFileSync(file, "utf8"));
  rmSync(folder, { recursive: true });
  return results;
}

function expectRows({ rows, peakGflops, machine }: Results): void {
  assert.is(rows.length, 3, "auto, the other tile, portable");
  assert.is(rows[0].kernels, machine.kernels);
  for (const row of rows) {
    assert.equal([row.group, row.name, row.shape, row.threads], ["attention", ROW, [25, 8, 49, 49, 96, 96], 1]);
    assert.ok(0 < row.minMs && row.minMs <= row.medianMs);
    const peak = row.kernels.startsWith("fma") ? peakGflops.fma : peakGflops.mulAdd;
    assert.ok(Math.abs(row.ofPeak * peak - row.gflops) < 1e-9 * row.gflops);
  }
}

const Bench = suite("bench");

Bench("one row in Node", () => {
  const results = resultsOf();
  expectRows(results);
  assert.is(results.machine.node, process.version);
});

Bench("help, and a name that nothing has", () => {
  assert.match(bench(["--help"]).stdout, "--chromium");
  const { status, stderr } = bench(["--only", "gem"]);
  assert.is(status, 2);
  assert.match(stderr, "called gem; all names: gemm, ");
});

Bench("--history runs what the diaries compare, checked, and goes with no other option", () => {
  const { status, stdout, stderr } = bench(["--history"]);
  assert.is(status, 0, stderr);
  for (const version of ["tile 6x16: 1, ", "tile 6x16: 2, ", "tile 6x16: 4, ", "attention: 1, ", "attention: 2, "]) {
    assert.match(stdout, version);
  }
  assert.is(bench(["--history", "--only", "gemm"]).status, 2);
});

Bench("no browser where CHROMIUM says", () => {
  const { status, stderr } = bench(["--chromium"], { CHROMIUM: "/nowhere" });
  assert.is(status, 2);
  assert.match(stderr, "no Chromium at /nowhere; install it, or set CHROMIUM");
});

Bench.run();

const InChromium = suite("bench in Chromium");

InChromium("one row", () => {
  const results = resultsOf("--chromium");
  expectRows(results);
  assert.match(results.machine.browser!, /^Chromium \d/);
  assert.is(results.machine.sharedMemory, true);
});

runWithChromium(InChromium, "bench in Chromium", 1);
