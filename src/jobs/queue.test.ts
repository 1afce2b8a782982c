// Several machines, as processes of this one, and a Redis of the test's own.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writePhoto } from "../../tests/cli_fixture.ts";
import { leaveOut } from "../../tests/left_out.ts";
import { freePort, hasRedis, NO_REDIS, startRedis } from "../../tests/redis.ts";
import { Sam2Error, UsageError } from "../errors.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { nodeSource } from "./node_source.ts";
import { Pool } from "./pool.ts";
import { QueueRunner } from "./queue.ts";
import { createWorker, type WorkerOptions } from "./queue_worker.ts";
import { type GivenJob, type Outcome, runJobs } from "./run_jobs.ts";
import type { Runner } from "./runner.ts";
import { Store } from "./store.ts";
import type { Source } from "./task.ts";

setPlatform(nodePlatform);

const folder = mkdtempSync(join(tmpdir(), "sam2-queue-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

const Queues = suite("queue");

Queues("where no server is, or the address is none, it is said within seconds", async () => {
  const model = { name: "nano", version: "2.1", imageSize: 256, digest: "0123456789abcdef" };
  const open = (queue: string) => QueueRunner.open({ queue, model }).catch((error) => error);
  const error = await open(`redis://user:secret@127.0.0.1:${await freePort()}`);
  assert.instance(error, Sam2Error);
  assert.match(error.message, /expected a Redis server, got connect ECONNREFUSED/);
  assert.not.match(error.message, /secret/);
  assert.instance(await open("http://127.0.0.1"), UsageError);
});

if (hasRedis) await withRedis();
else leaveOut("a queue", NO_REDIS, 8);
Queues.run();

async function withRedis(): Promise<void> {
  const redis = await startRedis();
  process.once("exit", () => void redis.kill());
  const local = await Pool.open({ model: "nano", workers: 2 });
  const { model } = local;
  const LOCK_MS = 1500;
  Queues.after(async () => {
    await local.close();
    await redis.close();
  });

  /** New jobs each time, so that no results of another test are met: nine images, a video, and three that fail. */
  let set = 0;
  const writeJobs = (): GivenJob[] => {
    set++;
    const values: object[] = [];
    for (let i = 0; i < 9; i++) {
      writePhoto(join(folder, `${set}-${i}.png`), 96 + i, 64);
      values.push({ image: `${set}-${i}.png`, prompts: [{ points: [[40, 30 + set]], name: `set ${set}` }] });
    }
    mkdirSync(join(folder, `clip${set}`));
    for (let i = 0; i < 8; i++) writePhoto(join(folder, `clip${set}`, `${i}.png`), 96, 64);
    values.push({ id: "clip", video: `clip${set}`, prompts: [{ object: 1, frame: 0, points: [[40, 30 + set]] }] });
    writeFileSync(join(folder, `bad${set}.png`), `no picture ${set}`);
    values.push({ image: `bad${set}.png`, prompts: [{ points: [[1, 1]] }] });
    values.push({ image: `${set}-0.png`, prompts: [{ points: [[1, 1000]] }] });
    values.push({ image: "missing.png", everything: {} });
    return values.map((value, i) => ({ value, where: `jobs.jsonl:${i + 1}` }));
  };

  const runAll = async (jobs: GivenJob[], out: string, runner: Runner, onEach = async (_ended: number) => {}) => {
    const store = await Store.open(join(folder, out));
    let ended = 0;
    for await (const outcome of runJobs(jobs, {
      runner,
      source: nodeSource(folder),
      isDone: (task) => store.has(task),
    })) {
      await store.settle(outcome);
      await onEach(++ended);
    }
    await store.finish(runner.model);
  };
  const filesIn = (out: string) =>
    readdirSync(join(folder, out))
      .sort()
      .map((name) => `${name} ${readFileSync(join(folder, out, name), "utf8")}`);
  const submit = () => QueueRunner.open({ queue: redis.url, model });
  const work = (options: Partial<WorkerOptions> = {}) =>
    createWorker({ queue: redis.url, model: "nano", workers: 1, scratch: folder, ...options });

  Queues("a server that wants a password is told apart from none; the password stands in the address", async () => {
    const guarded = await startRedis({ requirepass: "secret" });
    try {
      for (const login of ["", ":wrong@"]) {
        const url = guarded.url.replace("//", `//${login}`);
        const error = await QueueRunner.open({ queue: url, model }).catch((error) => error);
        assert.match(
          error.message,
          /expected the password of this Redis server, got (NOAUTH|WRONGPASS); write it into/,
        );
        assert.not.match(error.message, /wrong/);
      }
      const runner = await QueueRunner.open({ queue: guarded.url.replace("//", "//:secret@"), model });
      await runner.close();
    } finally {
      await guarded.close();
    }
  });

  Queues("gives the files of a run without one, byte for byte; two submitters share what is computed", async () => {
    const jobs = writeJobs();
    await runAll(jobs, "plain", local);
    const computed: string[] = [];
    const worker = await work({ pool: local, onEnd: ({ id }) => computed.push(id) });
    const runners = [await submit(), await submit()];
    try {
      await Promise.all(runners.map((runner, i) => runAll(jobs, `queued${i}`, runner)));
    } finally {
      await Promise.all(runners.map((runner) => runner.close()));
      await worker.close();
    }
    assert.equal(filesIn("queued0"), filesIn("plain"));
    assert.equal(filesIn("queued1"), filesIn("plain"));
    assert.is(computed.length, new Set(computed).size, "each once");
    assert.is(computed.length, 12, "all but the one that cannot be read");
  });

  Queues("carries bytes to workers that cannot read the files", async () => {
    const jobs = writeJobs().slice(0, 3);
    const runner = await QueueRunner.open({ queue: redis.url, model, carry: true });
    const here = nodeSource(folder);
    const source: Source = {
      ...here,
      locate: (name) => join("/not/there", name),
      read: (_, name, what) => here.read(join(folder, name), name, what),
    };
    const worker = await work({ pool: local });
    try {
      for await (const { state } of runJobs(jobs, { runner, source })) assert.is(state, "done");
    } finally {
      await runner.close();
      await worker.close();
    }
  });

  Queues("carries a small video, by file name; a large one is refused with what to do", async () => {
    const clip = writeJobs().at(-4)!;
    writeFileSync(join(folder, "large.mp4"), "");
    truncateSync(join(folder, "large.mp4"), 33 * 2 ** 20);
    const large = { value: { video: "large.mp4", prompts: [{ points: [[1, 1]] }] }, where: "jobs:2" };
    const runner = await QueueRunner.open({ queue: redis.url, model, carry: true });
    const { Queue } = await import("bullmq");
    const { queueName } = await import("./redis.ts");
    const queue = new Queue(queueName(model), { connection: { url: redis.url } });
    const outcomes: Record<string, Outcome> = {};
    let worker: Awaited<ReturnType<typeof work>> | undefined;
    try {
      const running = (async () => {
        for await (const outcome of runJobs([clip, large], { runner, source: nodeSource(folder) })) {
          outcomes[outcome.where] = outcome;
        }
      })();
      while ((await queue.getWaitingCount()) === 0) await sleep(50);
      renameSync(join(folder, `clip${set}`), join(folder, `gone${set}`)); // the worker has what came along alone
      worker = await work({ pool: local });
      await running;
    } finally {
      await queue.close();
      await runner.close();
      await worker?.close();
    }
    const [carried, refused] = [outcomes[clip.where], outcomes["jobs:2"]];
    assert.ok(carried.state === "done", JSON.stringify(carried));
    assert.match(carried.result as string, /^\{"frame":0,"file":"0\.png"/);
    assert.ok(refused.state === "failed" && refused.attempts === 1);
    assert.match(
      refused.error,
      /^large\.mp4: expected a video of at most 32 MB to carry, got 33 MB; lay it at the same/,
    );
    assert.not.ok(
      readdirSync(folder).some((name) => name.endsWith(".video")),
      "nothing of it is left",
    );
  });

  Queues("outlives a Redis that is killed and started again", async () => {
    const jobs = writeJobs();
    await runAll(jobs, "steady", local);
    const worker = await work({ pool: local });
    const runner = await submit();
    let restarting: Promise<void> | undefined;
    try {
      await runAll(jobs, "shaken", runner, async (ended) => {
        if (ended !== 4) return;
        await redis.kill();
        restarting = sleep(300).then(() => redis.start());
      });
      await restarting;
    } finally {
      await runner.close();
      await worker.close();
    }
    assert.equal(filesIn("shaken"), filesIn("steady"));
  });

  Queues("a job of a worker that ended is given to another", async () => {
    const jobs = writeJobs();
    await runAll(jobs, "whole", local);
    const runner = await submit();
    let taken = 0;
    const frozen = await createFrozenWorker();
    let rescue: Awaited<ReturnType<typeof work>> | undefined;
    try {
      const run = runAll(jobs, "rescued", runner);
      await frozen.holds;
      frozen.kill();
      rescue = await work({ pool: local, onEnd: () => taken++ });
      await run;
    } finally {
      await runner.close();
      await rescue?.close();
    }
    assert.ok(taken >= 12, `${taken}`);
    assert.equal(filesIn("rescued"), filesIn("whole"));
  });

  Queues("a job whose workers ended twice is given up", async () => {
    const runner = await submit();
    const [job] = writeJobs();
    const run = (async () => {
      for await (const outcome of runJobs([job], { runner, source: nodeSource(folder) })) return outcome;
      return undefined;
    })();
    const workers: Awaited<ReturnType<typeof createFrozenWorker>>[] = [];
    try {
      for (let i = 0; i < 2; i++) {
        workers.push(await createFrozenWorker());
        await workers[i].holds;
        workers[i].kill();
      }
      workers.push(await createFrozenWorker()); // it finds that the second has ended
      const outcome = await run;
      assert.ok(outcome?.state === "failed" && outcome.attempts === 2);
      assert.match(
        outcome.error,
        /^jobs\.jsonl:1: expected a job that can be computed, got the end of 2 worker processes/,
      );
    } finally {
      workers.at(-1)?.kill();
      await runner.close();
    }
  });

  Queues("a worker of another model or of other options does not take the jobs", async () => {
    const jobs = writeJobs().slice(0, 2);
    const other = await work({ imageSize: 128, onEnd: () => assert.unreachable() });
    const runner = await submit();
    try {
      assert.is.not(other.model.digest, model.digest);
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error("nobody came")), 1500);
      const run = async () => {
        for await (const { state } of runJobs(jobs, { runner, source: nodeSource(folder), signal: stop.signal })) {
          assert.unreachable(state);
        }
      };
      assert.is(await run().catch((error) => error.message), "nobody came");
    } finally {
      await runner.close();
      await other.close();
    }
  });

  /** A worker in a thread's place: it takes a job, renews no lock, and is gone. */
  async function createFrozenWorker() {
    const { Worker } = await import("bullmq");
    const { queueName } = await import("./redis.ts");
    let hold!: () => void;
    const holds = new Promise<void>((resolve) => {
      hold = resolve;
    });
    const connection = { url: redis.url, maxRetriesPerRequest: null };
    const options = { connection, lockDuration: LOCK_MS, skipLockRenewal: true, stalledInterval: LOCK_MS / 2 };
    const worker = new Worker(
      queueName(model),
      async () => {
        hold();
        return new Promise(() => {});
      },
      options,
    );
    worker.on("error", () => {});
    return { holds, kill: () => void worker.close(true) };
  }
}
