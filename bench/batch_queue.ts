/** Two workers and two submitters of the same file as processes, a Redis of their own, and kill −9 for any of them. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import { queueName } from "../src/jobs/redis.ts";
import { descendants } from "../tests/processes.ts";
import { type OwnRedis, startRedis } from "../tests/redis.ts";
import { digest, draws, ended, folder, linesOf, sam2, writeJobs } from "./batch_fixture.ts";

const WORKERS = 2;
/** Of processes: those that compute belong to a worker. */
const KINDS = ["redis", "submitter", "worker", "computing"];
const OUTS = ["queued0", "queued1"];
/** s between kills */
const [LEAST, MOST] = [1, 5];
/** A job whose workers were killed twice is given up, and tried again by the same command. */
const MOST_RUNS = 4;

/** A process that is started again whenever it ends, until it is not wanted any more. */
class Kept {
  readonly #start: () => ChildProcess;
  readonly #isOver: () => boolean;
  readonly #onText: (text: string) => void;
  #child!: ChildProcess;
  #isWanted = true;
  /** exit code of the run that was the last */
  readonly over: Promise<number | null>;

  constructor(
    start: () => ChildProcess,
    isOver: () => boolean = () => false,
    onText: (text: string) => void = () => {},
  ) {
    this.#start = start;
    this.#isOver = isOver;
    this.#onText = onText;
    this.over = this.#run();
  }

  async #run(): Promise<number | null> {
    for (;;) {
      this.#child = this.#start();
      let text = "";
      this.#child.stdout!.on("data", (chunk) => (text += chunk));
      const code = await new Promise<number | null>((resolve) => this.#child.once("close", resolve));
      this.#onText(text);
      if (!this.#isWanted || this.#isOver()) {
        this.#isWanted = false;
        return code;
      }
    }
  }

  /** Of it, and of what it has started. */
  get pids(): number[] {
    return this.#isWanted ? [this.#child.pid!, ...descendants(this.#child.pid!)] : [];
  }

  async end(): Promise<void> {
    this.#isWanted = false;
    this.#child.kill("SIGTERM");
    await this.over;
  }
}

/** Rounds until there were so many kills: each does all jobs, and its files are compared. */
export async function queue(kills: number, jobs: number): Promise<void> {
  const path = writeJobs(jobs, { poison: 7, clips: 2 });
  const plain = await ended(sam2("batch", path, "--out", join(folder, "undisturbed"), "--workers", "2"));
  const wanted = digest("undisturbed");
  console.log(`undisturbed, without a queue: exit ${plain.code}, files ${wanted}`);
  const draw = draws(11);
  let left = kills;
  for (let round = 1; left > 0; round++) left -= await playRound(round, path, left, wanted, draw);
}

async function playRound(
  round: number,
  path: string,
  kills: number,
  wanted: string,
  draw: () => number,
): Promise<number> {
  const redis = await startRedis();
  for (const out of OUTS) rmSync(join(folder, out), { recursive: true, force: true });
  const computed = new Map<string, number>();
  const count = (text: string) => {
    for (const { id, state } of linesOf(text)) if (state === "done") computed.set(id, (computed.get(id) ?? 0) + 1);
  };
  const workers = Array.from({ length: WORKERS }, () => {
    return new Kept(() => sam2("worker", "--queue", redis.url, "--workers", "1", "--json"), undefined, count);
  });
  const submit = (out: string) => {
    const isOver = () => existsSync(join(folder, out, "batch.json"));
    return new Kept(() => sam2("batch", path, "--out", join(folder, out), "--queue", redis.url), isOver);
  };
  let submitters = OUTS.map(submit);
  let areOver = false;
  let over = Promise.all(submitters.map((one) => one.over)).finally(() => (areOver = true));

  const killed = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
  const sum = () => Object.values(killed).reduce((a, b) => a + b);
  while (sum() < kills && !areOver) {
    await Promise.race([sleep(1000 * (LEAST + (MOST - LEAST) * draw())), over]);
    if (areOver) break;
    await killOne();
    process.stdout.write(".");
  }
  let codes = await over;
  let runs = 1;
  for (; runs < MOST_RUNS && OUTS.some((out) => digest(out) !== wanted); runs++) {
    submitters = OUTS.map(submit);
    over = Promise.all(submitters.map((one) => one.over));
    codes = await over;
  }
  const taken = await takings(redis);
  await Promise.all(workers.map((worker) => worker.end()));
  await redis.close();
  const times = [...computed.values()];
  const often = (n: number) => times.filter((time) => time === n).length;
  const files = OUTS.map(digest);
  console.log(
    `\nround ${round}: killed ${JSON.stringify(killed)} · ${runs} runs of the command, exit ${codes.join(", ")} · files ${
      files.every((one) => one === wanted) ? "equal" : `DIFFER ${files.join(", ")}`
    }\n  computed once ${often(1)}, twice ${often(2)}, more often ${times.length - often(1) - often(2)} · taken ${JSON.stringify(taken)}`,
  );
  return sum();

  async function killOne(): Promise<void> {
    const kind = KINDS[sum() % KINDS.length];
    if (kind === "redis") {
      killed.redis++;
      await redis.kill();
      await sleep(1000 * draw());
      return redis.start();
    }
    const actors = kind === "submitter" ? submitters : workers;
    const [main, ...below] = actors[Math.floor(draw() * actors.length)].pids;
    const pid = kind === "computing" ? below[0] : main;
    if (pid === undefined) return;
    try {
      process.kill(pid, "SIGKILL");
      killed[kind]++;
    } catch {
      // it has just ended
    }
  }
}

/** How many jobs workers have taken once, twice …, as Redis has counted: those whose worker was killed are among them. */
async function takings({ url }: OwnRedis): Promise<Record<number, number>> {
  const { model } = JSON.parse(readFileSync(join(folder, OUTS[0], "batch.json"), "utf8"));
  const queue = new Queue(queueName(model), { connection: { url } });
  const counts: Record<number, number> = {};
  for (const { attemptsStarted } of await queue.getJobs(["completed", "failed"])) {
    counts[attemptsStarted] = (counts[attemptsStarted] ?? 0) + 1;
  }
  await queue.close();
  return counts;
}
