import { suite } from "uvu";
import * as assert from "uvu/assert";
import { until } from "../../tests/patience.ts";
import { ImageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import type { ImageResult } from "./image_result.ts";
import { type GivenJob, type Outcome, runJobs } from "./run_jobs.ts";
import type { Runner } from "./runner.ts";
import type { Source, Task } from "./task.ts";

setPlatform(nodePlatform);

const MODEL = { name: "nano", version: "2.1", imageSize: 256, digest: "d" };

/** Its bytes are the name; of "missing …" there are none. */
const source: Source = {
  locate: (name) => name,
  async read(_, name) {
    if (name.startsWith("missing")) throw new ImageError(name, "an image", "nothing", "check the path");
    return new TextEncoder().encode(name);
  },
  digestVideo: async (path) => path,
};

function runnerOf(compute: (task: Task, signal?: AbortSignal) => Promise<void>, capacity = 2): Runner {
  return {
    model: MODEL,
    capacity,
    wantsBytes: false,
    async run(task, { signal }) {
      await compute(task, signal);
      const result = { image: { path: "another name", width: 1, height: 1 }, model: MODEL, prompts: [] } as ImageResult;
      return { attempts: 1, result };
    },
    close: async () => {},
  };
}

function job(image: string, more: object = {}): GivenJob {
  return { value: { image, prompts: [{ points: [[1, 1]] }], ...more }, where: `jobs:${image}` };
}

async function collect(outcomes: AsyncIterable<Outcome>): Promise<Outcome[]> {
  const all: Outcome[] = [];
  for await (const outcome of outcomes) all.push(outcome);
  return all.sort((a, b) => a.index - b.index);
}

const Run = suite("runJobs");

Run("gives one outcome for each job; what is wrong fails alone, the equal is done once", async () => {
  const computed: string[] = [];
  const runner = runnerOf(async ({ job }) => void computed.push((job as { image: string }).image));
  const jobs = [
    job("a"),
    job("missing"),
    job("a"),
    { value: { image: "b" }, where: "jobs:4" },
    job("c", { id: "x" }),
    job("d", { id: "x" }),
    job("e"),
  ];
  const outcomes = await collect(
    runJobs(jobs, { runner, source, isDone: async ({ job }) => "image" in job && job.image === "e" }),
  );
  assert.equal(
    outcomes.map(({ state }) => state),
    ["done", "failed", "skipped", "failed", "done", "failed", "skipped"],
  );
  assert.equal(computed.sort(), ["a", "c"]);
  const [first, missing, equal, nonsense, , taken] = outcomes;
  assert.is(first.state === "done" && (first.result as ImageResult).image.path, "a", "the path is that of this job");
  assert.ok(missing.state === "failed" && missing.attempts === 1 && /check the path/.test(missing.error));
  assert.ok(equal.state === "skipped" && equal.equal && equal.id === first.id);
  assert.ok(nonsense.state === "failed" && nonsense.error.startsWith("jobs:4: "));
  assert.ok(taken.state === "failed" && /an id of its own, got "x"/.test(taken.error));
});

Run("reads what fails by accident again, but not more often than asked", async () => {
  let reads = 0;
  const flaky: Source = {
    ...source,
    async read(path, name, what) {
      if (++reads <= 2) throw Object.assign(new Error("busy"), { code: "EMFILE" });
      return source.read(path, name, what);
    },
  };
  const runner = runnerOf(async () => {});
  const [once] = await collect(runJobs([job("a")], { runner, source: flaky, retries: 0 }));
  assert.ok(once.state === "failed" && once.attempts === 1 && reads === 1);
  const [twice] = await collect(runJobs([job("a")], { runner, source: flaky, retries: 1 }));
  assert.is(twice.state, "done");
});

Run("takes no more jobs than it can hold, however many there are", async () => {
  let [given, ended, most] = [0, 0, 0];
  const jobs = (function* () {
    for (; given < 2000; given++) yield job(`${given}`);
  })();
  const runner = runnerOf(async () => {}, 4);
  for await (const { state } of runJobs(jobs, { runner, source })) {
    assert.is(state, "done");
    ended++;
    most = Math.max(most, given - ended);
  }
  assert.is(ended, 2000);
  assert.ok(most <= 16, `${most} jobs at a time`);
});

Run("when it is aborted, images under way end, videos are told at once, and no more is taken", async () => {
  const stop = new AbortController();
  const told: string[] = [];
  let begun = 0;
  const runner = runnerOf(async ({ job }, signal) => {
    if (++begun === 3) setTimeout(() => stop.abort(new Error("enough")));
    if ("image" in job) return until(() => told.length > 0);
    await new Promise((resolve) => signal!.addEventListener("abort", resolve));
    told.push(job.video);
    throw signal!.reason;
  }, 3);
  const video = { value: { video: "v", prompts: [{ points: [[1, 1]] }] }, where: "jobs:v" };
  const states: string[] = [];
  try {
    const jobs = [job("a"), video, ...Array.from({ length: 50 }, (_, i) => job(`b${i}`))];
    for await (const { state } of runJobs(jobs, { runner, source, signal: stop.signal })) states.push(state);
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, "enough");
  }
  assert.equal(told, ["v"]);
  assert.is(begun, 3);
  assert.ok(states.length <= 3, states.join());
});

Run.run();
