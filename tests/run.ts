/**
 * All checks: format, types, then every `*.test.ts` as a program of its own.
 *
 *     npx tsx tests/run.ts [part of a path]
 *
 * The last line is `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const ROOTS = ["src", "golden", "tests", "bench", "models", "docs"];
const CHECKS: [name: string, ...command: string[]][] = [
  ["format", "prettier", "--check", "."],
  ["types", "tsc", "--noEmit"],
  ["types of the kernels", "tsc", "--noEmit", "-p", "kernels/tsconfig.json"],
];

const filter = process.argv[2] ?? "";
const tests = ROOTS.flatMap((root) =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join(root, file)),
).sort();
const jobs = [...CHECKS, ...tests.map((file): [string, ...string[]] => [file, "tsx", file])].filter(([name]) =>
  name.includes(filter),
);

let passed = 0;
let failed = 0;
await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

async function work(): Promise<void> {
  for (let job = jobs.shift(); job; job = jobs.shift()) {
    const [name, ...command] = job;
    const start = performance.now();
    const { code, output } = await run(command);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const [good, bad, skipped] = count(output, code);
    passed += good;
    failed += bad;
    const notes = `${bad ? `, ${bad} failed` : ""}${skipped ? `, ${skipped} skipped` : ""}`;
    console.log(`${bad ? "✘" : skipped ? "–" : "✔"} ${name}  ${good} passed${notes}  ${seconds} s`);
    if (bad || skipped) console.log(output);
  }
}

/** A check counts as one test; uvu says how many of a file's tests ran and passed. */
function count(output: string, code: number): [passed: number, failed: number, skipped: number] {
  const sum = (label: string) =>
    [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, "gm"))].reduce((n, [, k]) => n + Number(k), 0);
  const total = sum("Total");
  const skipped = sum("Skipped");
  if (total + skipped === 0) return code === 0 ? [1, 0, 0] : [0, 1, 0];
  const good = sum("Passed");
  return [good, total - good || (code === 0 ? 0 : 1), skipped];
}

function run([command, ...args]: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(join("node_modules", ".bin", command), args, { env: { ...process.env, NO_COLOR: "1" } });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
