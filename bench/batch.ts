/**
 * What a batch withstands and what it costs, on the built package with nano.
 *
 *     npx tsx bench/batch.ts poison [--jobs 500]     some of them unreadable; run twice
 *     npx tsx bench/batch.ts kills [--kills 20]      kill −9 of any process at random moments, then the same command
 *     npx tsx bench/batch.ts queue [--kills 20]      the same with a queue: workers, two submitters, and Redis itself
 *     npx tsx bench/batch.ts many [--jobs 10000]     memory, and what is spent outside of the model
 *     npx tsx bench/batch.ts processes [--model tiny]   two processes of one thread against one of two threads
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { goldenImage } from "../golden/hash_image.ts";
import { hashWeights } from "../golden/hash_weights.ts";
import { ImagePredictor } from "../src/engine/image_predictor.ts";
import { Sam2 } from "../src/engine/sam2.ts";
import { Pool } from "../src/jobs/pool.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { variantConfig, type VariantName } from "../src/model/config.ts";
import { parameters } from "../src/model/parameters.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { prepare } from "../src/jobs/task.ts";
import { nodeSource } from "../src/jobs/node_source.ts";
import { numel } from "../src/tensor/shape.ts";
import { descendants } from "../tests/processes.ts";
import { digest, draws, ended, folder, sam2, writeJobs } from "./batch_fixture.ts";
import { queue } from "./batch_queue.ts";

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
const commands: Record<string, () => Promise<void>> = {
  poison,
  kills,
  queue: () => queue(Number(values.kills ?? 20), Number(values.jobs ?? 300)),
  many,
  processes,
};
await commands[positionals[0]]();

function start(jobs: string, out: string, ...more: string[]): ChildProcess {
  return sam2("batch", jobs, "--out", join(folder, out), "--workers", workers, ...more);
}

function count(lines: { state: string }[], state: string): number {
  return lines.filter((line) => line.state === state).length;
}

async function poison(): Promise<void> {
  const jobs = writeJobs(Number(values.jobs ?? 500), { poison: 20 });
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
  const jobs = writeJobs(Number(values.jobs ?? 300), { poison: 7, clips: 1 });
  await ended(start(jobs, "undisturbed"));
  const draw = draws(7);
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
  const model = await modelCpu();
  const wanted = Number(values.jobs ?? 10_000);
  const jobs = writeJobs(wanted);
  const began = performance.now();
  const child = start(jobs, "out", "--json");
  const end = ended(child);
  const all = () => [child.pid!, ...descendants(child.pid!)];
  let count = 0;
  let cpu: number[] = [];
  let counted = 0;
  child.stdout!.on("data", (chunk: Buffer) => {
    const before = count;
    count += chunk.toString().split("\n").length - 1;
    if (Math.floor((10 * before) / wanted) === Math.floor((10 * count) / wanted)) return;
    [cpu, counted] = [all().map(cpuMs), count];
    console.log(`${count} jobs: MB of ${all().map(megabytes).map(Math.round).join(", ")}`);
  });
  const { code, lines } = await end;
  const seconds = (performance.now() - began) / 1000;
  const [batch, ...processes] = cpu.map((ms) => ms / counted);
  const computing = processes.reduce((a, b) => a + b, 0);
  const share = 100 * (1 - model / (batch + computing));
  console.log(
    `${lines.length} jobs, exit ${code}, ${seconds.toFixed(0)} s: ${((1000 * seconds) / lines.length).toFixed(1)} ms a job`,
  );
  console.log(
    `CPU a job: batch ${batch.toFixed(1)} ms, processes ${computing.toFixed(1)} ms; the model alone ${model.toFixed(1)} ms: ${share.toFixed(1)} % outside of it`,
  );
}

/** What the model takes for the same: an image encoded and a click, pixels at hand. @units ms of CPU */
async function modelCpu(): Promise<number> {
  const sam2 = await Sam2.fromPretrained("nano", { threads: 1, video: false });
  const predictor = new ImagePredictor(sam2);
  const images = Array.from({ length: 20 }, (_, i) => ({ width: 160, height: 120, data: goldenImage(i, 160, 120) }));
  const run = async (rounds: number) => {
    const before = process.cpuUsage();
    for (let n = 0; n < rounds * images.length; n++) {
      await predictor.setImage(images[n % images.length]);
      await predictor.predict({ points: [[n % 160, 60]] });
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / rounds / images.length;
  };
  await run(2);
  const ms = await run(10);
  await sam2.dispose();
  return ms;
}

function megabytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

/** Since its start, of all its threads; ticks are 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
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
  writeJobs(1, { pictures: jobs });
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
