import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  enterFolder,
  type RunOptions,
  readBytes,
  sam2,
  smallWeights,
  writeCheckpoint,
} from "../../tests/cli_fixture.ts";
import { goldenFrame } from "../../golden/hash_image.ts";
import { testWithFfmpeg, withPath, writeTools } from "../../tests/ffmpeg.ts";
import { crc32 } from "../io/crc32.ts";
import { decodeImage } from "../io/image.ts";
import { DAVIS_PALETTE } from "../io/masks.ts";
import { encodePng } from "../io/png.ts";
import { decodeRle } from "../io/rle.ts";

const [W, H, FRAMES] = [64, 48, 10];
const { leave } = enterFolder();
writeCheckpoint("small.safetensors", smallWeights());
mkdirSync("frames");
for (let t = 0; t < FRAMES; t++) {
  const png = encodePng({ width: W, height: H, channels: 3, data: goldenFrame(31, t, W, H) });
  writeFileSync(`frames/${t}.png`, png); // 9 before 10: by number, not by letters
}
writeFileSync("frames/notes.txt", "no frame");

const MODEL = ["--model", "small.safetensors", "--threads", "1"];
const TWO = ["--object", "1", "--point", "20,15", "--object", "7", "--frame", "2", "--box", "30,10,60,44"];
const track = (...args: string[]) => sam2(["track", "frames", ...MODEL, ...args]);

interface Line {
  frame: number;
  file?: string;
  objects: {
    id: number;
    score: number;
    area: number;
    bbox: number[];
    rle: { size: [number, number]; counts: string };
  }[];
  ms?: number;
}
const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const log = (folder: string) => readFileSync(`${folder}/frames.jsonl`, "utf8");

/** Every file of a folder with its bytes. */
function contents(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return files
    .filter((file) => file !== "masks")
    .map((file) => `${file} ${readFileSync(join(folder, file)).toString("base64")}`);
}
function assertSameFiles(got: string, want: string): void {
  const [a, b] = [contents(got), contents(want)];
  assert.equal(
    a.map((line) => line.split(" ")[0]),
    b.map((line) => line.split(" ")[0]),
  );
  assert.equal(
    a.filter((line, i) => line !== b[i]).map((line) => line.split(" ")[0]),
    [],
  );
}

async function fails(code: number, message: RegExp, args: string[], options: RunOptions = {}): Promise<void> {
  const outcome = await sam2(args, options);
  assert.match(outcome.stderr, message);
  assert.is(outcome.stderr.split("\n").length, 2, "one line");
  assert.is(outcome.stdout, "");
  assert.is(outcome.code, code);
}

const Track = suite("sam2 track");

Track(
  "writes palette PNGs with ids as DAVIS colours, frames.jsonl without timings, and a preview; masks agree",
  async () => {
    const { code, stdout, stderr } = await track(...TWO, "--out", "plain", "--json");
    assert.is(stderr, "");
    assert.is(code, 0);
    const lines = linesOf(stdout);
    assert.equal(
      lines.map(({ frame }) => frame),
      Array.from({ length: FRAMES }, (_, t) => t),
    );
    assert.ok(lines.every(({ ms }) => ms! >= 0));
    assert.is(lines.map(({ ms, ...line }) => `${JSON.stringify(line)}\n`).join(""), log("plain"));
    for (const { frame, objects } of lines) {
      assert.equal(
        objects.map(({ id }) => id),
        [1, 7],
      );
      const { width, height, data } = await decodeImage(readBytes(`plain/masks/${frame}.png`));
      assert.equal([width, height], [W, H]);
      const [below, above] = objects.map(({ rle }) => decodeRle(rle));
      const wrong = below.filter((_, i) => {
        const id = above[i] ? 7 : below[i] ? 1 : 0;
        return DAVIS_PALETTE.subarray(3 * id, 3 * id + 3).some((value, c) => value !== data[3 * i + c]);
      });
      assert.is(wrong.length, 0);
      for (const { area, rle } of objects) assert.is(decodeRle(rle).filter((v) => v).length, area);
    }
    assert.is(readFileSync("plain/preview.webp").toString("latin1", 8, 16), "WEBPVP8X");
  },
);

Track("without --json a summary; without --out beside the working directory's name of the frames", async () => {
  const { code, stdout } = await track(...TWO, "--max-frames", "2");
  assert.is(code, 0);
  assert.match(stdout, /2 frames · objects 1, 7/);
  assert.is(linesOf(log("frames.sam2")).length, 2);
});

Track(
  "--both goes forward, then back to frame 0; --reverse back alone; --start and --max-frames bound them",
  async () => {
    const frames = async (...args: string[]) =>
      linesOf((await track("--json", ...args)).stdout).map(({ frame }) => frame);
    const click = ["--object", "1", "--frame", "4", "--point", "20,15"];
    assert.equal(await frames(...click, "--both"), [4, 5, 6, 7, 8, 9, 3, 2, 1, 0]);
    assert.equal(await frames(...click, "--reverse"), [4, 3, 2, 1, 0]);
    assert.equal(await frames(...click, "--max-frames", "3"), [4, 5, 6]);
    assert.equal(await frames(...click, "--start", "6", "--max-frames", "2"), [6, 7]);
  },
);

Track("prompts from a file are the same as those from flags", async () => {
  const entries = [
    { object: 1, frame: 0, points: [[20, 15]], labels: [1], box: null, mask: null },
    { object: 7, frame: 2, box: [30, 10, 60, 44] },
  ];
  writeFileSync("prompts.json", JSON.stringify(entries));
  const { code } = await track("--prompts", "prompts.json", "--out", "from_file");
  assert.is(code, 0);
  assert.is(log("from_file"), log("plain"));
});

Track("a correction changes its frame and what follows, and nothing before it", async () => {
  const entries = [
    { object: 1, points: [[20, 15]] },
    { object: 7, frame: 2, box: [30, 10, 60, 44] },
    {
      object: 1,
      frame: 5,
      points: [
        [40, 30],
        [5, 5],
      ],
      labels: [1, 0],
      correct: true,
    },
  ];
  writeFileSync("corrected.json", JSON.stringify(entries));
  assert.is((await track("--prompts", "corrected.json", "--out", "corrected")).code, 0);
  const [plain, corrected] = [log("plain"), log("corrected")].map((text) => text.trimEnd().split("\n"));
  assert.equal(corrected.slice(0, 5), plain.slice(0, 5));
  assert.is(corrected.length, FRAMES);
  assert.ok(corrected.slice(5).some((line, i) => line !== plain[5 + i]));
  const others = [corrected, plain].map((lines) => lines.map((line) => JSON.stringify(JSON.parse(line).objects[1])));
  assert.equal(others[0], others[1], "the other object is not touched");
});

Track("a mask as prompt: white on black, or any colours on black", async () => {
  const mask = new Uint8Array(W * H).fill(0).map((_, i) => (i % W > 20 && i % W < 40 ? 255 : 0));
  writeFileSync("mask.png", encodePng({ width: W, height: H, channels: 1, data: mask }));
  const { stdout } = await track("--object", "3", "--mask", "mask.png", "--json", "--max-frames", "1");
  const [{ objects }] = linesOf(stdout);
  assert.is(objects[0].id, 3);
  assert.ok(Math.abs(objects[0].area - 19 * H) < 2 * H, `${objects[0].area} pixels`);
});

Track("interrupted, it saves; the same command goes on, and every file is as if undisturbed", async () => {
  const args = ["--prompts", "corrected.json", "--both", "--start", "2", "--every", "3"];
  assert.is((await track(...args, "--out", "undisturbed")).code, 0);
  let first = 0;
  for (let run = 0; run < 30; run++) {
    const abort = new AbortController();
    const io = { stdout: { write: () => abort.abort() } };
    const { code } = await interrupted(
      [...args, "--out", "resumed", "--state", "run.state", "--json"],
      abort.signal,
      io,
    );
    if (code === 0) break;
    assert.is(code, 130);
    first++;
  }
  assert.ok(first > 3, `${first} interruptions`);
  assertSameFiles("resumed", "undisturbed");
});

Track("killed at any moment, the same command goes on, and every file is as if undisturbed", async () => {
  const args = ["track", "frames", ...MODEL, "--prompts", "corrected.json", "--both", "--start", "2"];
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const run = (limit: number) =>
    new Promise<number | null>((resolve) => {
      const command = [
        "--import",
        import.meta.resolve("tsx"),
        main,
        ...args,
        "--out",
        "killed",
        "--state",
        "killed.state",
      ];
      const child = spawn(process.execPath, command, { stdio: "ignore" });
      const waiting = setInterval(() => {
        const masks = existsSync("killed/masks") ? readdirSync("killed/masks").length : 0;
        if (masks >= limit) child.kill("SIGKILL");
      }, 2);
      child.on("close", (code) => {
        clearInterval(waiting);
        resolve(code);
      });
    });
  for (const limit of [2, 5]) await run(limit);
  assert.is(await run(Number.POSITIVE_INFINITY), 0);
  assertSameFiles("killed", "undisturbed");
});

Track("a damaged state, and one of another command, are refused and kept", async () => {
  const args = [...TWO, "--out", "stateful", "--state", "some.state"];
  assert.is((await track(...args)).code, 0);
  const good = readBytes("some.state");
  await fails(1, /the command that saved it/, ["track", "frames", ...MODEL, ...args, "--reverse"]);
  const bad = good.map((byte, i) => (i === 500 ? byte ^ 1 : byte));
  writeFileSync("some.state", bad);
  await fails(1, /some\.state: expected bytes that fit their SHA-256/, ["track", "frames", ...MODEL, ...args]);
  assert.equal(Buffer.from(readBytes("some.state")).equals(Buffer.from(bad)), true);
});

Track("what cannot be tracked is told in one line", async () => {
  const tell = (code: number, message: RegExp, ...args: string[]) => fails(code, message, ["track", ...args, ...MODEL]);
  await tell(2, /no prompt; e\.g\. sam2 track frames --object 1/, "frames");
  await tell(1, /nowhere: expected a folder of frames, or a video/, "nowhere", "--point", "1,1");
  await tell(1, /a frame of the video, 0…9, got 10/, "frames", "--frame", "10", "--point", "1,1");
  await tell(1, /x in 0…64/, "frames", "--point", "65,1");
  await tell(2, /--object: expected a whole number ≥ 1, got "x"/, "frames", "--object", "x");
  await tell(1, /an id up to 65535, got 65536/, "frames", "--object", "65536", "--point", "1,1");
  await tell(1, /--object 2 --frame 0: expected points, a box or a mask/, "frames", "--point", "1,1", "--object", "2");
  mkdirSync("empty", { recursive: true });
  await tell(1, /empty: expected frames such as 00000\.jpg/, "empty", "--point", "1,1");
  writeFileSync("clip.mp4", "no video");
  await withPath(writeTools("no_tools", {}), () =>
    tell(1, /clip\.mp4: expected ffmpeg on the PATH.*install ffmpeg/, "clip.mp4", "--point", "1,1"),
  );
  await tell(2, /--start: expected a frame to go on from, 0…9, got 10/, "frames", "--point", "1,1", "--start", "10");
  await tell(2, /--start: expected a frame to go on from, 1…9, got 0/, "frames", "--point", "1,1", "--reverse");
  await tell(2, /--both.*cannot be used with.*--reverse/, "frames", "--point", "1,1", "--both", "--reverse");
  await tell(2, /--prompts alone/, "frames", "--point", "1,1", "--prompts", "prompts.json");
  writeFileSync("bad.json", '[{"object": 1, "points": [[1, 1]], "colour": 3}]');
  await tell(
    1,
    /bad\.json\[0\]: expected fields named object, frame, .* got "colour"; leave it out/,
    "frames",
    "--prompts",
    "bad.json",
  );
  writeFileSync("bad.json", '[{"object": 2, "frame": 4, "points": [[1, 1]], "correct": true}, {"points": [[1, 1]]}]');
  await tell(1, /bad\.json\[0\]: expected an object that is prompted/, "frames", "--prompts", "bad.json");
});

Track("a frame that cannot be read is named with its file; what was tracked before it is there", async () => {
  cpSync("frames", "broken", { recursive: true });
  writeFileSync("broken/6.png", "no picture");
  const args = ["track", "broken", ...MODEL, ...TWO, "--out", "half", "--state", "half.state"];
  await fails(1, /frame 6 \(broken\/6\.png\): expected an image/, args);
  assert.is(linesOf(log("half")).length, 6);
  cpSync("frames/6.png", "broken/6.png");
  assert.is((await sam2(args)).code, 0);
  assertSameFiles("half", "plain");
  writeFileSync("broken/4.png", encodePng({ width: 32, height: 32, channels: 1, data: new Uint8Array(1024) }));
  rmSync("half.state");
  await fails(1, /frame 4 \(broken\/4\.png\): expected 64×48, as frame 0, got 32×32/, args);
  cpSync("frames/3.png", "broken/03.png");
  await fails(1, /broken: expected frames named differently, whatever their ending, got 0?3\.png and 0?3\.png/, args);
});

Track("masks and lines are named after the frames, in natural order; other files are passed over", async () => {
  mkdirSync("named");
  const names = ["shot_2.png", "shot_10.png", "Shot_1.PNG"];
  for (const [t, name] of [
    [1, names[0]],
    [2, names[1]],
    [0, names[2]],
  ] as const)
    cpSync(`frames/${t}.png`, `named/${name}`);
  writeFileSync("named/notes.txt", "no frame");
  const args = ["track", "named", ...MODEL, "--object", "1", "--point", "20,15", "--out", "by_name", "--json"];
  const { stdout } = await sam2(args);
  assert.equal(
    linesOf(stdout).map(({ frame, file }) => [frame, file]),
    [
      [0, "Shot_1.PNG"],
      [1, "shot_2.png"],
      [2, "shot_10.png"],
    ],
  );
  assert.equal(readdirSync("by_name/masks").sort(), ["Shot_1.png", "shot_10.png", "shot_2.png"]);
  const plain = (await track("--object", "1", "--point", "20,15", "--max-frames", "3", "--json")).stdout;
  const rles = (text: string) => linesOf(text).map(({ objects }) => objects[0].rle.counts);
  assert.equal(rles(stdout), rles(plain));
});

Track("EXIF orientation turns frames as it turns photos", async () => {
  mkdirSync("turned");
  const png = encodePng({ width: W, height: H, channels: 3, data: goldenFrame(31, 0, W, H) });
  const exif = Uint8Array.from([
    ...[77, 77, 0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0], // orientation 6
  ]);
  const chunk = new Uint8Array(12 + exif.length);
  new DataView(chunk.buffer).setUint32(0, exif.length);
  chunk.set(new TextEncoder().encode("eXIf"), 4);
  chunk.set(exif, 8);
  new DataView(chunk.buffer).setUint32(8 + exif.length, crc32(chunk.subarray(4, 8 + exif.length)));
  writeFileSync("turned/0.png", Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]));
  const point = ["--point", "40,60", ...MODEL, "--json"];
  const tracked = linesOf((await sam2(["track", "turned", ...point])).stdout);
  const segmented = JSON.parse((await sam2(["segment", "turned/0.png", ...point])).stdout) as {
    image: { width: number; height: number };
  };
  assert.equal(tracked[0].objects[0].rle.size, [W, H]);
  assert.equal([segmented.image.height, segmented.image.width], [W, H]);
});

Track("ids above 255 make 16-bit pictures; --per-object writes a black and white one each", async () => {
  const ids = ["--object", "300", "--point", "20,15", "--object", "65535", "--box", "30,10,60,44", "--max-frames", "2"];
  const { stdout, code } = await track(...ids, "--per-object", "--out", "wide", "--json");
  assert.is(code, 0);
  assert.equal(readdirSync("wide/masks").sort(), ["0.png", "1.png", "300", "65535"]);
  const { objects } = linesOf(stdout)[0];
  const png = readBytes("wide/masks/0.png");
  assert.equal([png[24], png[25]], [16, 0], "16 bits, grey");
  for (const { id, rle } of objects) {
    const mask = await decodeImage(readBytes(`wide/masks/${id}/0.png`));
    assert.ok(decodeRle(rle).every((value, i) => mask.data[3 * i] === (value ? 255 : 0)));
  }
});

Track("of an earlier run's files none is left beside the new ones, and nobody else's is touched", async () => {
  const run = (...args: string[]) => track("--object", "1", "--point", "20,15", "--out", "again", ...args);
  assert.is((await run("--max-frames", "5", "--per-object")).code, 0);
  writeFileSync("again/masks/mine.txt", "kept");
  assert.is((await run("--start", "8")).code, 0);
  assert.equal(readdirSync("again/masks").sort(), ["8.png", "9.png", "mine.txt"]);
});

Track(
  "a state goes on with the video it was saved with, and is refused with another of its size and length",
  async () => {
    cpSync("frames", "other", { recursive: true });
    writeFileSync("other/1.png", encodePng({ width: W, height: H, channels: 3, data: goldenFrame(32, 1, W, H) }));
    const args = [
      ...MODEL,
      "--object",
      "1",
      "--point",
      "20,15",
      "--max-frames",
      "3",
      "--json",
      "--state",
      "seen.state",
    ];
    assert.is((await sam2(["track", "frames", ...args])).code, 0);
    await fails(1, /seen\.state: expected the video that it was saved with, got another frame 1/, [
      "track",
      "other",
      ...args,
    ]);
    assert.is((await sam2(["track", "frames", ...args])).code, 0);
  },
);

testWithFfmpeg(
  Track,
  "a video gives what its frames in a folder give, in both directions from a late frame",
  async () => {
    mkdirSync("unpacked");
    const ffmpeg = (...args: string[]) => assert.is(spawnSync("ffmpeg", ["-v", "error", "-y", ...args]).status, 0);
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=4", "-c:v", "mpeg4", "drawn.mkv");
    ffmpeg("-i", "drawn.mkv", "-start_number", "0", "unpacked/%05d.png");
    const args = [...MODEL, "--object", "1", "--frame", "12", "--box", "10,10,40,40", "--both"];
    assert.is((await sam2(["track", "drawn.mkv", ...args, "--out", "of_video"])).code, 0);
    assert.is((await sam2(["track", "unpacked", ...args, "--out", "of_folder"])).code, 0);
    assert.is(log("of_video"), log("of_folder").replaceAll(/"file":"\d+\.png",/g, ""));
    const masks = (folder: string) => contents(`${folder}/masks`);
    assert.equal(masks("of_video"), masks("of_folder"));
    const late = ["track", "drawn.mkv", ...MODEL, "--frame", "20", "--point", "1,1", "--out", "none"];
    await fails(1, /a frame of the video, 0…19, got 20/, late);
  },
);

testWithFfmpeg(
  Track,
  "of a video that is cut off, what came before is kept; exit code 1 and ffmpeg's words",
  async () => {
    const draw = ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=6", "-c:v", "mpeg4", "-g", "5"];
    assert.is(spawnSync("ffmpeg", [...draw, "whole.mkv"]).status, 0);
    const bytes = readBytes("whole.mkv");
    writeFileSync("cut.mkv", bytes.subarray(0, bytes.length * 0.6));
    const args = ["track", "cut.mkv", ...MODEL, "--point", "20,20", "--out", "part"];
    await fails(1, /frame \d+ \(cut\.mkv\): expected an intact frame, got "File ended prematurely/, args);
    const { length } = linesOf(log("part"));
    assert.ok(length > 8 && length < 30, `${length} frames`);
    assert.is(readdirSync("part/masks").length, length);
  },
);

testWithFfmpeg(Track, "SIGTERM ends the decoder of a video as well, with 143; what was written is whole", async () => {
  const draw = ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=640x480:r=30:d=60", "-c:v", "mpeg4", "long.mkv"];
  assert.is(spawnSync("ffmpeg", draw).status, 0);
  mkdirSync("told");
  const { PATH } = process.env;
  const script = `#!/bin/sh\necho $$ >> told/pids\nPATH='${PATH}'\nexec ffmpeg "$@"\n`;
  writeFileSync("told/ffmpeg", script, { mode: 0o755 });
  const program = fileURLToPath(new URL("main.ts", import.meta.url));
  const args = [program, "track", "long.mkv", ...MODEL, "--point", "20,20", "--json", "--out", "ended"];
  const env = { ...process.env, PATH: `${resolve("told")}${delimiter}${PATH}` };
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), ...args], { env });
  const exit = once(child, "exit");
  await once(child.stdout, "data"); // the first frame is tracked
  const decoders = () => `${readFileSync("told/pids")}`.trim().split("\n").map(Number).filter(isRunning);
  assert.is(decoders().length, 1);
  child.kill("SIGTERM");
  assert.is((await exit)[0], 143);
  assert.equal(decoders(), []);
  for (const file of readdirSync("ended/masks")) await decodeImage(readBytes(`ended/masks/${file}`));
});

Track("an image-only checkpoint is refused by naming what is missing", async () => {
  const weights = new Map(
    [...smallWeights()].filter(([name]) => !/^(mem|maskmem|obj_ptr|no_obj|mask_down)/.test(name)),
  );
  writeCheckpoint("image_only.safetensors", weights);
  await fails(1, /missing .*mem.*video/, ["track", "frames", "--model", "image_only.safetensors", ...TWO]);
});

Track.after(leave);
Track.run();

/** Does a process exist, other than as an entry that nobody has read yet? */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(`${readFileSync(stat)}`);
}

/** Run with an output that may abort. */
async function interrupted(args: string[], signal: AbortSignal, { stdout }: { stdout: { write(): unknown } }) {
  const { main } = await import("./cli.ts");
  const code = await main(["track", "frames", ...MODEL, ...args], {
    stdout,
    stderr: { write: () => {} },
    env: {},
    signal,
  });
  return { code };
}
