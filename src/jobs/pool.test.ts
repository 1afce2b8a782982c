// Processes that compute with nano, and what becomes of their jobs when they are killed.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writePhoto } from "../../tests/cli_fixture.ts";
import { descendants } from "../../tests/processes.ts";
import { CheckpointError, EngineError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import type { ImageResult } from "./image_result.ts";
import type { Job } from "./job.ts";
import { nodeSource } from "./node_source.ts";
import { Pool } from "./pool.ts";
import { prepare, type Task } from "./task.ts";

setPlatform(nodePlatform);

const folder = mkdtempSync(join(tmpdir(), "sam2-pool-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
writePhoto(join(folder, "a.png"), 96, 64);
writeFileSync(join(folder, "bad.png"), "no picture");
mkdirSync(join(folder, "clip"));
for (let i = 0; i < 60; i++) writePhoto(join(folder, "clip", `${i}.png`), 96, 64);
const scratch = join(folder, "scratch");
mkdirSync(scratch);

const IMAGE: Job = { image: "a.png", prompts: [{ points: [[40, 30]] }] };
const VIDEO: Job = { video: "clip", prompts: [{ object: 1, frame: 0, points: [[40, 30]] }] };

function taskOf(job: Job): Promise<Task> {
  return prepare(job, "jobs:1", pool.model, nodeSource(folder));
}

const killProcesses = () => {
  for (const pid of descendants(process.pid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended
    }
  }
};

const Pools = suite("pool");
const pool = await Pool.open({ model: "nano", workers: 1, scratch });
Pools.after(() => pool.close());

Pools("computes images and videos; what cannot be read is tried once", async () => {
  const [image, bad] = await Promise.all(
    [IMAGE, { ...IMAGE, image: "bad.png" }].map(async (job) => pool.run(await taskOf(job), { retries: 3 })),
  );
  assert.ok("result" in image && (image.result as ImageResult).image.path === "a.png");
  assert.ok("error" in bad && bad.attempts === 1 && /^bad\.png: expected a JPEG/.test(bad.error), JSON.stringify(bad));
});

Pools("a killed process is replaced, and a video goes on where it was saved: the same lines", async () => {
  const task = await taskOf(VIDEO);
  const undisturbed = await pool.run(task, { retries: 0 });
  rmSync(join(scratch, `${task.key}.video`), { recursive: true, force: true });
  let killed = false;
  const frames: number[] = [];
  const disturbed = await pool.run(task, {
    retries: 0,
    progress: ({ fraction = 0 }) => {
      frames.push(Math.round(fraction * 60));
      if (killed || !existsSync(join(scratch, `${task.key}.video`, "state"))) return;
      killed = true;
      killProcesses();
    },
  });
  assert.ok("result" in undisturbed && "result" in disturbed);
  assert.is(disturbed.result, undisturbed.result);
  if (killed) assert.is(frames.filter((frame) => frame === 1).length, 1, "it did not begin anew");
});

Pools("a job that ends two processes is given up, and takes no other with it", async () => {
  let deaths = 0;
  const task = await taskOf({ ...VIDEO, prompts: [{ object: 1, frame: 0, points: [[42, 32]] }] } as Job); // none that was saved
  const poison = pool.run(task, {
    retries: 5,
    notice: () => deaths++,
    progress: () => killProcesses(),
  });
  const other = pool.run(await taskOf(IMAGE), { retries: 0 });
  const [given, done] = await Promise.all([poison, other]);
  assert.ok("error" in given && given.attempts === 2 && /end of 2 worker/.test(given.error), JSON.stringify(given));
  assert.ok("result" in done);
  assert.is(deaths, 2);
});

Pools("a model that cannot be loaded is said, and so is a process that never comes to it", async () => {
  const fails = async (model: string) => Pool.open({ model, workers: 1 }).catch((error) => error);
  assert.instance(await fails(join(folder, "bad.png")), CheckpointError);
  const killing = setInterval(killProcesses, 20);
  try {
    assert.instance(await fails("nano"), EngineError);
  } finally {
    clearInterval(killing);
  }
});

Pools("an aborted video saves how far it is, and rejects with the reason", async () => {
  const task = await taskOf({ ...VIDEO, prompts: [{ object: 1, frame: 1, points: [[41, 31]] }] } as Job);
  const stop = new AbortController();
  const run = pool.run(task, { retries: 0, signal: stop.signal, progress: () => stop.abort(new Error("enough")) });
  assert.is(await run.catch((error) => error.message), "enough");
  assert.ok(existsSync(join(scratch, `${task.key}.video`, "state")));
});

Pools.run();
