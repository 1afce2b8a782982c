/**
 * All checks: format, types, then every `*.test.ts` as a program of its own. Those that take longest start first, by
 * `seconds.json`; what is not in it starts before them.
 *
 *     npm test                   all
 *     npm test -- PART …         those whose path contains PART, or another one
 *     npm test -- --measure      all, and their times are written to seconds.json
 *
 * The last line is `N passed, N failed`; above it stands what this machine cannot run.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOTS = ["src", "golden", "tests", "bench", "models", "docs", "studio"];
const CHECKS: [name: string, ...command: string[]][] = [
  ["format", "prettier/bin/prettier.cjs", "--check", "."],
  ["types", "typescript/bin/tsc", "--noEmit"],
  ["types of the kernels", "typescript/bin/tsc", "--noEmit", "-p", "kernels/tsconfig.json"],
];
/** Files beside one for each core: at any time about one of them waits, for a browser, a server, or another process. */
const AT_REST = 1;
const SECONDS = fileURLToPath(new URL("seconds.json", import.meta.url));

interface Job {
  name: string;
  /** what Node is given */
  args: string[];
  isTest: boolean;
}

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { values, positionals } = parseArgs({ options: { measure: { type: "boolean" } }, allowPositionals: true });
const seconds: Record<string, number> = JSON.parse(readFileSync(SECONDS, "utf8"));
const jobs = allJobs();
const parts = positionals.length > 0 ? positionals : [""];
const longestFirst = jobs
  .filter(({ name }) => parts.some((part) => name.includes(part)))
  .sort((a, b) => expected(b) - expected(a));
if (longestFirst.length === 0) console.log(`no test has a path with ${parts.join(" or ")}`);
/** why → how many tests */
const leftOut = new Map<string, number>();
let [passed, failed] = [0, 0];

await Promise.all(Array.from({ length: availableParallelism() + AT_REST }, work));
if (values.measure) {
  const known = jobs.filter(({ name }) => name in seconds).map(({ name }) => [name, seconds[name]]);
  writeFileSync(SECONDS, `${JSON.stringify(Object.fromEntries(known), null, 2)}\n`);
}
for (const [why, tests] of leftOut) console.log(`${tests} left out, because ${why}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function allJobs(): Job[] {
  const tests = ROOTS.flatMap((root) =>
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".test.ts") && !file.includes("node_modules"))
      .map((file) => join(root, file)),
  ).sort();
  return [
    ...CHECKS.map(([name, command, ...args]) => ({
      name,
      args: [fileURLToPath(new URL(`../node_modules/${command}`, import.meta.url)), ...args],
      isTest: false,
    })),
    ...tests.map((name) => ({ name, args: ["--import", import.meta.resolve("tsx"), name], isTest: true })),
  ];
}

function expected({ name }: Job): number {
  return seconds[name] ?? Number.POSITIVE_INFINITY;
}

async function work(): Promise<void> {
  for (let job = longestFirst.shift(); job; job = longestFirst.shift()) {
    const { name } = job;
    const start = performance.now();
    const { code, output } = await run(job);
    const took = (performance.now() - start) / 1000;
    seconds[name] = Math.ceil(took);
    const [good, bad, skipped] = count(output, code, job.isTest);
    passed += good;
    failed += bad;
    for (const [, tests, why] of output.matchAll(/: (\d+) left out, because (.*)$/gm)) {
      leftOut.set(why, (leftOut.get(why) ?? 0) + Number(tests));
    }
    const notes = `${bad ? `, ${bad} failed` : ""}${skipped ? `, ${skipped} skipped` : ""}`;
    console.log(`${bad ? "✘" : skipped ? "–" : "✔"} ${name}  ${good} passed${notes}  ${took.toFixed(1)} s`);
    if (bad) console.log(output);
  }
}

/** A check counts as one test; uvu says how many of a file's tests ran and passed. A file without a test has failed. */
function count(output: string, code: number, isTest: boolean): [passed: number, failed: number, skipped: number] {
  const sum = (label: string) =>
    [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, "gm"))].reduce((n, [, k]) => n + Number(k), 0);
  const [total, good, skipped] = ["Total", "Passed", "Skipped"].map(sum);
  if (!isTest) return code === 0 ? [1, 0, 0] : [0, 1, 0];
  return [good, total - good || (code === 0 && total + skipped > 0 ? 0 : 1), skipped];
}

function run({ args }: Job): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { env: { ...process.env, NO_COLOR: "1" } });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
