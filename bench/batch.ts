/**
 * What a batch withstands and what it costs, on the built package with nano.
 *
 *     npx tsx bench/batch.ts poison [--jobs 500]     some of them unreadable; run twice
 *     npx tsx bench/batch.ts kills [--kills 20]      kill −9 of any process at random moments, then the same command
 *     npx tsx bench/batch.ts many [--jobs 10000]     memory, and what is spent outside of the model
 *     npx tsx bench/batch.ts processes [--model tiny]   two processes of one thread against one of two threads
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { goldenImage } from "../golden/hash_image.ts";
import { hashWeights } from "../golden/hash_weights.ts";
import { Pool } from "../src/jobs/pool.ts";
import { encodePng } from "../src/io/png.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { variantConfig, type VariantName } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { prepare } from "../src/jobs/task.ts";
import { nodeSource } from "../src/jobs/node_source.ts";
import { numel } from "../src/tensor/shape.ts";
import { descendants } from "../tests/processes.ts";
import { random } from "../tests/random.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const { values, positionals } = parseArgs({
  options: {
    jobs: { type: "string" },
    kills: { type: "string" },
    model: { type: "string" },
    workers: { type: "string" },
  },
  allowPositionals: true,
});
const workers = values.workers ?? "2";

setPlatform(nodePlatform);
const folder = mkdtempSync(join(tmpdir(), "sam2-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const commands: Record<string, () => Promise<void>> = { poison, kills, many, processes };
await commands[positionals[0]]();

/** Jobs about drawn pictures: of each picture several, as the ids are made from what is asked. */
function writeJobs(jobs: number, poison = 0, pictures = 20): string {
  mkdirSync(join(folder, "img"), { recursive: true });
  for (let i = 0; i < pictures; i++) {
    const data = goldenImage(i, 160, 120);
    writeFileSync(join(folder, "img", `${i}.png`), encodePng({ width: 160, height: 120, channels: 3, data }));
  }
  writeFileSync(join(folder, "img", "bad.png"), "no picture");
  const lines = Array.from({ length: jobs }, (_, n) => {
    const isPoison = poison > 0 && n % Math.floor(jobs / poison) === 0;
    const image = !isPoison ? `img/${n % pictures}.png` : n % 2 ? `img/missing${n}.png` : "img/bad.png";
    const points = [[n % 160, Math.floor(n / 160) % 120]];
    return JSON.stringify({ image, prompts: [{ points }] });
  });
  writeFileSync(join(folder, "jobs.jsonl"), `${lines.join("\n")}\n`);
  return join(folder, "jobs.jsonl");
}

function start(jobs: string, out: string, ...more: string[]): ChildProcess {
  const args = [MAIN, "batch", jobs, "--out", join(folder, out), "--quiet", "--workers", workers, ...more];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; lines: { state: string; ms: number }[] }> {
  let text = "";
  child.stdout!.on("data", (chunk) => (text += chunk));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    code,
    lines: text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

function digest(out: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(join(folder, out)).sort()) {
    hash.update(name).update(readFileSync(join(folder, out, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

function count(lines: { state: string }[], state: string): number {
  return lines.filter((line) => line.state === state).length;
}

async function poison(): Promise<void> {
  const jobs = writeJobs(Number(values.jobs ?? 500), 20);
  for (const run of ["first", "again"]) {
    const { code, lines } = await ended(start(jobs, "out", "--json"));
    const states = ["done", "skipped", "failed"].map((state) => `${count(lines, state)} ${state}`).join(", ");
    const reasons = readFileSync(join(folder, "out", "failed.jsonl"), "utf8")
      .split("\n")
      .filter(Boolean).length;
    console.log(`${run}: ${states}, ${reasons} reasons, exit ${code}, files ${digest("out")}`);
  }
}

async function kills(): Promise<void> {
  const jobs = writeJobs(Number(values.jobs ?? 300), 6);
  await ended(start(jobs, "undisturbed"));
  const signed = random(7);
  const draw = () => (signed() + 1) / 2;
  let killed = 0;
  for (const most = Number(values.kills ?? 20); killed < most;) {
    const child = start(jobs, "disturbed");
    const end = ended(child);
    let over = false;
    void end.then(() => (over = true));
    await sleep(300 + 2500 * draw());
    if (over) {
      rmSync(join(folder, "disturbed"), { recursive: true }); // all was done: begin anew
      continue;
    }
    const all = [child.pid!, ...descendants(child.pid!)];
    process.kill(all[Math.floor(draw() * all.length)], "SIGKILL");
    killed++;
    await sleep(500);
    child.kill("SIGKILL");
    await end;
    process.stdout.write(".");
  }
  const { code } = await ended(start(jobs, "disturbed"));
  const [a, b] = ["undisturbed", "disturbed"].map(digest);
  console.log(`\n${killed} kills, exit ${code}, files ${a === b ? "equal" : "DIFFER"} (${a}, ${b})`);
}

async function many(): Promise<void> {
  const jobs = writeJobs(Number(values.jobs ?? 10_000));
  const began = performance.now();
  const child = start(jobs, "out", "--json");
  const end = ended(child);
  const memory: number[][] = [];
  const watch = setInterval(() => {
    memory.push([child.pid!, ...descendants(child.pid!)].map(megabytes));
    if (memory.length % 6 === 0) console.log(`MB of ${memory.at(-1)!.map(Math.round).join(", ")}`);
  }, 5000);
  const { code, lines } = await end;
  clearInterval(watch);
  const seconds = (performance.now() - began) / 1000;
  const perJob = (1000 * seconds * Number(workers)) / lines.length;
  console.log(
    `${lines.length} jobs, exit ${code}, ${seconds.toFixed(0)} s: ${perJob.toFixed(1)} ms of a process a job`,
  );
}

function megabytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

/** A model of an official one's shape; its values do not matter for time. */
function writeModel(name: string): string {
  const config = variantConfig(name as VariantName, "2.1");
  const weights = new Map(
    [...hashWeights(parameters(config))].map(([key, { shape, read }]) => {
      const data = new Float32Array(numel(shape));
      read(data);
      return [key, { shape, data }];
    }),
  );
  const path = join(folder, `${name}.safetensors`);
  writeFileSync(path, writeSafetensors(weights));
  return path;
}

/** In turns, so that other work on the machine meets both. */
async function processes(): Promise<void> {
  const model = values.model === undefined ? "nano" : writeModel(values.model);
  const jobs = Number(values.jobs ?? 8);
  writeJobs(1, 0, jobs);
  const kinds = [
    { workers: 2, threads: 1 },
    { workers: 1, threads: 2 },
  ];
  const pools = await Promise.all(kinds.map((kind) => Pool.open({ model, ...kind })));
  const times = kinds.map((): number[] => []);
  for (let round = 0; round < 4; round++) {
    for (const [k, pool] of pools.entries()) {
      const began = performance.now();
      const tasks = Array.from({ length: jobs }, async (_, i) => {
        const job = { image: `img/${i}.png`, prompts: [{ points: [[50, 50]] }] };
        return pool.run(await prepare(job, "bench", pool.model, nodeSource(folder)), { retries: 0 });
      });
      for (const ending of await Promise.all(tasks)) if ("error" in ending) throw new Error(ending.error);
      if (round > 0) times[k].push((performance.now() - began) / jobs); // the first loads the models
    }
  }
  for (const [k, { workers, threads }] of kinds.entries()) {
    const best = Math.min(...times[k]);
    console.log(`${workers} × ${threads} threads: ${best.toFixed(0)} ms an image, ${Math.round(3.6e6 / best)} an hour`);
  }
  await Promise.all(pools.map((pool) => pool.close()));
}
