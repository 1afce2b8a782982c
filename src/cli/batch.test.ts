// sam2 batch, with nano and pictures of the test's own.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder, sam2, writePhoto } from "../../tests/cli_fixture.ts";
import { descendants } from "../../tests/processes.ts";
import { random } from "../../tests/random.ts";
import { Interruption } from "./io.ts";

const { folder, leave } = enterFolder();
process.once("exit", leave);
const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const TSX = import.meta.resolve("tsx");

mkdirSync("photos");
for (let i = 0; i < 4; i++) writePhoto(`photos/${i}.png`, 96 + i, 64);
mkdirSync("clip");
for (let i = 0; i < 20; i++) writePhoto(`clip/${i}.png`, 96, 64);
writeFileSync("photos/bad.png", "no picture");

const POINT = [{ points: [[40, 30]] }];
const JOBS = [
  { image: "photos/0.png", prompts: POINT },
  { id: "named", image: "photos/1.png", prompts: [{ box: [10, 10, 60, 50], name: "a box" }] },
  { image: "photos/bad.png", prompts: POINT },
  { image: "photos/2.png", everything: { pointsPerSide: 4 } },
  { image: "photos/0.png", prompts: POINT },
  { image: "photos/missing.png", prompts: POINT },
  { id: "clip", video: "clip", prompts: [{ object: 1, frame: 0, points: [[40, 30]] }] },
  { image: "photos/3.png", prompts: [{ pts: [[40, 30]] }] },
];
writeFileSync("jobs.jsonl", `${JOBS.map((job) => JSON.stringify(job)).join("\n")}\n\n{"cut off\n`);

const read = (name: string) => readFileSync(name, "utf8");
const filesIn = (out: string) => readdirSync(out).map((name) => `${name} ${read(join(out, name))}`);
const linesOf = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const batch = (...args: string[]) => sam2(["batch", ...args, "--model", "nano", "--workers", "1"]);
const withoutMs = (line: string) => {
  const { ms, ...rest } = JSON.parse(line);
  return `${JSON.stringify(rest)}\n`;
};

const Batch = suite("sam2 batch");

Batch("does what can be done, lists what cannot with its reason, and exits with 1", async () => {
  const { code, stdout, stderr } = await batch("jobs.jsonl", "--out", "out");
  assert.is(code, 1, stderr);
  const failed = linesOf(read("out/failed.jsonl"));
  const reasons = [
    /photos\/bad\.png: .*an unknown format/,
    /photos\/missing\.png: .*ENOENT/,
    /jobs\.jsonl:8\.prompts\[0\]: .*write "points"/,
    /jobs\.jsonl:10: .*JSON/,
  ];
  assert.is(failed.length, reasons.length);
  for (const [i, { id, error, attempts }] of failed.entries()) {
    assert.match(error, reasons[i]);
    assert.is(attempts, 1);
    assert.match(id, /^[0-9a-f]{32}$/);
  }
  const summary = JSON.parse(read("out/batch.json"));
  assert.equal([summary.jobs, summary.done, summary.failed, summary.equal], [9, 4, 4, 1]);
  assert.is(readdirSync("out").length, 6, "four results, failed.jsonl and batch.json");
  assert.match(stdout, /4 done · 4 failed · 1 equal/);
  assert.match(stderr, /jobs\.jsonl:5: equal to an earlier job/);
  assert.match(stderr, /sam2: jobs\.jsonl: expected 9 jobs done, got 4 failed; see out\/failed\.jsonl.*\n$/);
});

Batch("results are what the other commands print, without times", async () => {
  const threads = ["--model", "nano", "--threads", "1", "--json"];
  const segment = await sam2(["segment", "photos/1.png", "--box", "10,10,60,50", ...threads]);
  const result = JSON.parse(read("out/named.json"));
  assert.is(result.prompts[0].name, "a box");
  delete result.prompts[0].name;
  assert.is(`${JSON.stringify(result)}\n`, withoutMs(segment.stdout));
  const track = await sam2(["track", "clip", "--object", "1", "--point", "40,30", ...threads]);
  assert.is(read("out/clip.jsonl"), track.stdout.trimEnd().split("\n").map(withoutMs).join(""));
});

Batch("the same command again computes nothing and changes no byte", async () => {
  const before = filesIn("out");
  const { code, stdout } = await batch("jobs.jsonl", "--out", "out", "--json");
  assert.is(code, 1);
  const states = linesOf(stdout).map(({ state }) => state);
  assert.equal(states.sort(), [...Array(4).fill("failed"), ...Array(5).fill("skipped")]);
  assert.equal(filesIn("out"), before);
});

Batch("a named job that asks for something else is done again; a result that is missing, too", async () => {
  const [id] = readdirSync("out").filter((name) => /^[0-9a-f]{32}\.json$/.test(name));
  const before = read(`out/${id}`);
  rmSync(`out/${id}`);
  const jobs = [{ ...JOBS[1], prompts: POINT }, JOBS[0], JOBS[3]];
  writeFileSync("changed.jsonl", jobs.map((job) => JSON.stringify(job)).join("\n"));
  const { code, stdout } = await batch("changed.jsonl", "--out", "out", "--json");
  assert.is(code, 0);
  const done = linesOf(stdout).filter(({ state }) => state === "done");
  assert.equal(done.map((line) => line.id).sort(), [id.replace(".json", ""), "named"].sort());
  assert.is(read(`out/${id}`), before);
});

Batch(
  "a named job that fails keeps no result of what had its name before; one that has another's id, leaves it",
  async () => {
    const jobs = [
      { ...JOBS[1], image: "photos/bad.png" },
      { ...JOBS[0], id: "twice" },
      { ...JOBS[1], id: "twice" },
    ];
    writeFileSync("failing.jsonl", jobs.map((job) => JSON.stringify(job)).join("\n"));
    assert.ok(existsSync("out/named.json"));
    for (let run = 0; run < 2; run++) {
      assert.is((await batch("failing.jsonl", "--out", "out")).code, 1);
      assert.not.ok(existsSync("out/named.json"));
      assert.ok(existsSync("out/twice.json"));
    }
  },
);

Batch("a folder of pictures: the same for each, by options", async () => {
  const { code, stdout } = await batch("photos", "--box", "10,10,60,50", "--out", "boxes", "--json");
  assert.is(code, 1);
  assert.is(linesOf(stdout).filter(({ state }) => state === "done").length, 4);
  const paths = filesIn("boxes").flatMap((file) => /"path":"([^"]+)"/.exec(file)?.[1] ?? []);
  assert.equal(paths.sort(), ["0.png", "1.png", "2.png", "3.png"]);
});

Batch("COCO's boxes become masks, with the names of their categories", async () => {
  const coco = {
    images: [0, 1, 2].map((id) => ({ id, file_name: `${id}.png`, width: 96 + id, height: 64 })),
    categories: [{ id: 5, name: "ship" }],
    annotations: [
      { id: 1, image_id: 1, category_id: 5, bbox: [10, 10, 50, 40] },
      { id: 2, image_id: 0, category_id: 5, bbox: [5, 5, 20, 20] },
      { id: 3, image_id: 1, category_id: 5, bbox: [30, 20, 10.5, 9.5] },
    ],
  };
  writeFileSync("coco.json", JSON.stringify(coco));
  const { code, stderr } = await batch("coco.json", "--images", "photos", "--out", "coco");
  assert.is(code, 0, stderr);
  assert.match(stderr, /coco\.json: 1 images without boxes are passed over/);
  const results = readdirSync("coco")
    .filter((name) => name.length > 30)
    .map((name) => JSON.parse(read(`coco/${name}`)));
  const found = results.map(({ image, prompts }) => [image.path, prompts.map(({ name }: { name: string }) => name)]);
  assert.equal(found.sort(), [
    ["0.png", ["ship"]],
    ["1.png", ["ship", "ship"]],
  ]);
});

for (const [args, message] of [
  [["photos", "--out", "x"], /what to do with each picture/],
  [["photos", "--out", "x", "--everything", "--box", "1,2,3,4"], /got several/],
  [["jobs.jsonl", "--out", "x", "--everything"], /a folder of pictures/],
  [["photos", "--out", "x", "--points-per-side", "4"], /add --everything/],
  [["jobs.jsonl"], /--out <folder>/],
  [["jobs.jsonl", "--out", "x", "--carry"], /add --queue/],
  [["jobs.jsonl", "--out", "x", "--queue", "http://a"], /redis:\/\/HOST:PORT/],
] as const) {
  Batch(`wrong usage: ${args.join(" ")}`, async () => {
    const { code, stderr } = await sam2(["batch", ...args]);
    assert.is(code, 2, stderr);
    assert.match(stderr, message);
    assert.not.ok(existsSync("x"), "nothing is written");
  });
}

Batch("a second batch into the same folder is refused while the first runs", async () => {
  mkdirSync("taken/.running", { recursive: true });
  writeFileSync("taken/.running/lock.json", JSON.stringify({ pid: process.ppid, host: hostname() }));
  const { code, stderr } = await batch("jobs.jsonl", "--out", "taken");
  assert.is(code, 1);
  assert.match(stderr, /a folder that no other batch writes to, got process/);
});

Batch("kill −9 of any process at random moments, then the same command: the same files", async () => {
  const draw = random(Date.now() % 1000);
  const start = () =>
    spawn(
      process.execPath,
      ["--import", TSX, MAIN, "batch", "jobs.jsonl", "--out", "killed", "--model", "nano", "--quiet"],
      {
        cwd: folder,
        stdio: "ignore",
      },
    );
  for (let kill = 0; kill < 2; kill++) {
    const child = start();
    const end = new Promise((resolve) => child.once("exit", resolve));
    for (let i = 0; i < 300 && !existsSync("killed/.running"); i++) await sleep(50);
    await sleep(1500 * (1 + draw()));
    const all = [child.pid!, ...descendants(child.pid!)];
    const victim = all[Math.floor(((draw() + 1) / 2) * all.length)];
    try {
      process.kill(victim, "SIGKILL");
    } catch {
      // it has ended
    }
    await sleep(300);
    child.kill("SIGKILL");
    await end;
  }
  await batch("jobs.jsonl", "--out", "killed");
  await batch("jobs.jsonl", "--out", "undisturbed");
  assert.equal(filesIn("killed"), filesIn("undisturbed"));
});

Batch("SIGTERM saves a video and exits with 143; the same command goes on to the same lines", async () => {
  mkdirSync("long");
  for (let i = 0; i < 150; i++) writePhoto(`long/${i}.png`, 96, 64);
  writeFileSync("long.jsonl", JSON.stringify({ ...JOBS[6], id: "long", video: "long" }));
  const stop = new AbortController();
  const args = ["batch", "long.jsonl", "--out", "saved", "--model", "nano", "--workers", "1"];
  const isSaved = () =>
    readdirSync("saved/.running", { recursive: true }).some((name) => /\.video\/state$/.test(`${name}`));
  const watch = setInterval(() => {
    if (existsSync("saved/.running") && isSaved()) stop.abort(new Interruption("SIGTERM"));
  }, 20);
  const { code, stderr } = await sam2(args, { signal: stop.signal });
  clearInterval(watch);
  assert.is(code, 143, stderr);
  assert.match(stderr, /ended by SIGTERM/);
  assert.ok(isSaved() && !existsSync("saved/long.jsonl"));
  assert.is((await sam2(args)).code, 0);
  const track = ["track", "long", "--object", "1", "--point", "40,30", "--model", "nano", "--threads", "1", "--json"];
  const undisturbed = (await sam2(track)).stdout.trimEnd().split("\n");
  assert.is(read("saved/long.jsonl"), undisturbed.map(withoutMs).join(""));
  assert.equal(readdirSync("saved").sort(), ["batch.json", "failed.jsonl", "long.jsonl"]);
});

Batch.run();
