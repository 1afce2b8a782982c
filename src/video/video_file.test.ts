import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder } from "../../tests/cli_fixture.ts";
import { BROKEN, old, REAL_FFMPEG, testWithFfmpeg, withPath, writeTools } from "../../tests/ffmpeg.ts";
import { ImageError } from "../errors.ts";
import { crc32 } from "../io/crc32.ts";
import { nodePlatform } from "../platform/node.ts";
import { setNoticeListener } from "../platform/notices.ts";
import { setPlatform } from "../platform/platform.ts";
import { openFrames } from "./open.ts";
import type { Frames } from "./frames.ts";

setPlatform(nodePlatform);
const { leave } = enterFolder();

/** Draw a video with the installed ffmpeg. */
function draw(file: string, source: string, ...options: string[]): void {
  const { status, stderr } = spawnSync("ffmpeg", ["-v", "error", "-y", "-f", "lavfi", "-i", source, ...options, file]);
  assert.is(status, 0, `${stderr}`);
}

/** Checksums of the pictures that ffmpeg makes of a file: all, in order. */
function pictures(file: string, width: number, height: number): number[] {
  const args = ["-v", "error", "-i", file, "-vsync", "0", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"];
  const { stdout } = spawnSync("ffmpeg", args, { maxBuffer: 2 ** 30 });
  const size = 3 * width * height;
  return Array.from({ length: stdout.length / size }, (_, i) => crc32(stdout.subarray(i * size, (i + 1) * size)));
}

async function checksums(frames: Frames, order: readonly number[], step = 1): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = [];
  for (const frame of order) found.push(crc32((await frames.read(frame, step))!.data));
  return found;
}

async function fails(run: () => Promise<unknown>, message: RegExp): Promise<void> {
  const error = await run().then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  assert.instance(error, ImageError);
  assert.match(error!.message, message);
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

const File = suite("frames of a video file");

testWithFfmpeg(
  File,
  "frame i is the same picture forward, backward and by jumps, beyond what is kept at hand",
  async () => {
    const [W, H] = [1280, 720]; // 24 frames are at hand
    draw("long.mkv", `testsrc2=s=${W}x${H}:r=25:d=5`, "-c:v", "mpeg4", "-g", "20", "-bf", "2", "-q:v", "5");
    const want = pictures("long.mkv", W, H);
    assert.is(want.length, 125);
    const frames = await openFrames("long.mkv");
    assert.is(frames.count, Number.POSITIVE_INFINITY);
    assert.is(frames.estimate, 125);
    assert.equal(await checksums(frames, upTo(125)), want);
    assert.is(await frames.read(125, 1), undefined);
    assert.is(frames.count, 125);
    assert.equal(await checksums(frames, upTo(125).reverse(), -1), [...want].reverse());
    const jumps = [90, 3, 124, 60];
    assert.equal(
      await checksums(frames, jumps),
      jumps.map((i) => want[i]),
    );
    frames.close();
  },
);

testWithFfmpeg(
  File,
  "odd sizes, 10 bits, a changing rate and few frames: all frames, none twice, and their number",
  async () => {
    const kinds: [string, number, number, string[]][] = [
      ["odd.mkv", 65, 47, ["-pix_fmt", "yuv444p", "-c:v", "ffv1"]],
      ["deep.mkv", 64, 48, ["-pix_fmt", "yuv420p10le", "-c:v", "ffv1"]],
      ["uneven.mkv", 64, 48, ["-vf", "select=not(mod(n\\,3))+not(mod(n\\,7))", "-vsync", "0", "-c:v", "mpeg4"]],
    ];
    for (const [file, W, H, options] of kinds) {
      draw(file, `mandelbrot=s=${W}x${H}:r=10`, "-t", "1.4", ...options);
      const want = pictures(file, W, H);
      const frames = await openFrames(file);
      assert.equal([frames.width, frames.height, frames.count], [W, H, want.length]);
      assert.equal(await checksums(frames, upTo(want.length)), want);
      frames.close();
    }
  },
);

testWithFfmpeg(File, "an ffmpeg that knows no -fps_mode gives the same frames", async () => {
  draw("clip.avi", "testsrc2=s=64x48:r=10:d=2", "-c:v", "mpeg4");
  const want = pictures("clip.avi", 64, 48);
  await withPath(writeTools("old", { ffmpeg: old(REAL_FFMPEG) }), async () => {
    const frames = await openFrames("clip.avi");
    assert.equal(await checksums(frames, upTo(20)), want);
    frames.close();
  });
});

testWithFfmpeg(
  File,
  "a file that is cut off or damaged gives what came before, then fails in ffmpeg's words",
  async () => {
    draw("whole.mkv", "testsrc2=s=160x120:r=10:d=6", "-c:v", "mpeg4", "-g", "10", "-q:v", "2");
    const bytes = readFileSync("whole.mkv");
    const want = pictures("whole.mkv", 160, 120);
    writeFileSync("cut.mkv", bytes.subarray(0, bytes.length * 0.6));
    writeFileSync(
      "damaged.mkv",
      bytes.map((byte, i) => (i > bytes.length / 2 && i < bytes.length / 2 + 400 ? byte ^ 0x5a : byte)),
    );
    for (const [file, words] of [
      ["cut.mkv", /frame \d+ \(cut\.mkv\): expected an intact frame, got "File ended prematurely/],
      ["damaged.mkv", /frame \d+ \(damaged\.mkv\): expected an intact frame, got ".*"/],
    ] as const) {
      const frames = await openFrames(file);
      const found: number[] = [];
      const read = async () => {
        for (;;) found.push(crc32((await frames.read(found.length, 1))!.data));
      };
      await fails(read, words);
      assert.ok(found.length > 20 && found.length < 60, `${found.length} frames`);
      assert.equal(found, want.slice(0, found.length));
      assert.is(frames.count, Number.POSITIVE_INFINITY);
      frames.close();
    }
  },
);

testWithFfmpeg(File, "a size that changes in mid-stream is told, never scaled away", async () => {
  draw("large.mpg", "testsrc2=s=128x96:r=25:d=1", "-c:v", "mpeg1video", "-f", "mpeg1video");
  draw("small.mpg", "testsrc2=s=64x48:r=25:d=1", "-c:v", "mpeg1video", "-f", "mpeg1video");
  writeFileSync("both.mpg", Buffer.concat([readFileSync("large.mpg"), readFileSync("small.mpg")]));
  const frames = await openFrames("both.mpg");
  await fails(() => checksums(frames, upTo(50)), /a picture of 64×48 after those of 128×96/);
  frames.close();
});

testWithFfmpeg(File, "after a few frames ffmpeg is stopped, and there never was a file beside the video", async () => {
  draw("hour.mkv", "testsrc2=s=320x240:r=25:d=60", "-c:v", "mpeg4");
  mkdirSync("temporary");
  const before = [process.env.TMPDIR, readdirSync(".").sort()];
  process.env.TMPDIR = resolve("temporary");
  const ended: Promise<string>[] = [];
  setPlatform({
    ...nodePlatform,
    async startProgram(...args) {
      const program = await nodePlatform.startProgram(...args);
      ended.push(program.ended);
      return program;
    },
  });
  const frames = await openFrames("hour.mkv");
  assert.is((await checksums(frames, upTo(5))).length, 5);
  assert.equal([readdirSync("temporary"), readdirSync(".").sort()], [[], before[1]]);
  frames.close();
  assert.equal(await Promise.all(ended), ["signal SIGKILL"]);
  setPlatform(nodePlatform);
  process.env.TMPDIR = before[0] as string | undefined;
  if (before[0] === undefined) delete process.env.TMPDIR;
});

testWithFfmpeg(File, "pixels that are not square stay as they are stored, and that is said", async () => {
  draw("square.mkv", "testsrc2=s=64x48:r=10:d=1", "-c:v", "ffv1");
  draw("wide.mkv", "testsrc2=s=64x48:r=10:d=1", "-vf", "setsar=4/3", "-c:v", "ffv1");
  const said: string[] = [];
  setNoticeListener((text) => said.push(text));
  for (const file of ["square.mkv", "wide.mkv"]) {
    const frames = await openFrames(file);
    assert.equal([frames.width, frames.height], [64, 48]);
    assert.equal(await checksums(frames, upTo(10)), pictures("square.mkv", 64, 48));
    frames.close();
  }
  setNoticeListener();
  const wanted = "points and masks are those of its 64×48 pixels, which players show as 85×48";
  assert.equal(said, [`wide.mkv: its pixels are not square (4:3): ${wanted}`]);
});

testWithFfmpeg(
  File,
  "of 16 bits as many count as the first frame makes use of: nothing is black, nothing flickers",
  async () => {
    const [W, H, FRAMES] = [32, 24, 6];
    const peaks = [1000, 900, 300, 1000, 5000, 1000]; // of 10 bits, but for one
    for (const [format, samples] of [
      ["gray16le", 1],
      ["rgb48le", 3],
    ] as const) {
      const raw = Uint16Array.from({ length: FRAMES * W * H * samples }, (_, i) => {
        const frame = Math.floor(i / (W * H * samples));
        return i % W === 0 ? 0 : peaks[frame];
      });
      writeFileSync("raw", raw);
      const source = ["-f", "rawvideo", "-pix_fmt", format, "-s", `${W}x${H}`, "-r", "10", "-i", "raw"];
      const { status, stderr } = spawnSync("ffmpeg", ["-v", "error", "-y", ...source, "-c:v", "ffv1", "deep16.mkv"]);
      assert.is(status, 0, `${stderr}`);
      const said: string[] = [];
      setNoticeListener((text) => said.push(text));
      const frames = await openFrames("deep16.mkv");
      for (const order of [upTo(FRAMES), upTo(FRAMES).reverse()]) {
        for (const i of order) {
          const { data } = (await frames.read(i, 1))!;
          const brightest = data.reduce((a, b) => Math.max(a, b));
          assert.ok(Math.abs(brightest - Math.min(255, peaks[i] >> 2)) <= 1, `${format}, frame ${i}: ${brightest}`);
        }
      }
      frames.close();
      setNoticeListener();
      if (format === "gray16le") {
        assert.is(said.length, 2, `${said}`);
        assert.match(said[0], /16-bit samples that fit 10 bits are taken for 10-bit ones/);
        assert.match(said[1], /of a later frame exceed 10 bits, and are taken for white/);
      }
    }
  },
);

testWithFfmpeg(File, "sound alone, and what is no video, are refused", async () => {
  draw("sound.wav", "sine=d=1");
  await fails(() => openFrames("sound.wav"), /sound\.wav: expected a video that ffmpeg can read, got ".*0:V:0/);
  writeFileSync("text.mp4", "no video at all");
  await fails(() => openFrames("text.mp4"), /text\.mp4: expected a video that ffmpeg can read, got /);
});

File("without ffmpeg, or with a broken one, it says what to do", async () => {
  writeFileSync("some.mp4", "");
  await withPath(writeTools("none", {}), () =>
    fails(() => openFrames("some.mp4"), /some\.mp4: expected ffmpeg on the PATH.*got none; install ffmpeg/),
  );
  await withPath(writeTools("broken", { ffmpeg: BROKEN }), () =>
    fails(() => openFrames("some.mp4"), /error while loading shared libraries: libavdevice/),
  );
  await fails(
    () => openFrames("nowhere.mp4"),
    /nowhere\.mp4: expected a folder of frames, or a video, got nothing there/,
  );
});

File.after(leave);
File.run();
