/** The studio's video files: frames by number, whatever the order in which they are asked for, as ffmpeg counts them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createServer, type ViteDevServer } from "vite";
import { launchChromium, runWithChromium, withPage } from "./chromium.ts";
import { testWithFfmpeg } from "./ffmpeg.ts";

const STUDIO = fileURLToPath(new URL("../studio/vite.config.ts", import.meta.url));
const [W, H] = [64, 32];
/** Frame n is grey, 4 levels lighter than the one before. */
const FRAMES = 50;
const GREY = `color=black:size=${W}x${H}:rate=25,geq=lum=16+4*N:cb=128:cr=128`;

interface Seen {
  width: number;
  height: number;
  frames: number;
  /** of each frame that was asked for, from its middle: how the model sees it, and how the eye */
  pixels: number[];
  pictures: number[];
  times: number[];
}

const Files = suite("studio: video files");
let browser: Browser;
let server: ViteDevServer;
let folder: string;

Files.before(async () => {
  folder = mkdtempSync(join(tmpdir(), "studio videos "));
  server = await createServer({ configFile: STUDIO, logLevel: "error", server: { port: 0, hmr: false } });
  await server.listen();
  browser = await launchChromium();
});

Files.after(async () => {
  await browser.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

function make(name: string, ...options: string[]): string {
  const path = join(folder, name);
  const input = ["-v", "error", "-y", "-f", "lavfi", "-i", GREY, "-frames:v", `${FRAMES}`];
  execFileSync("ffmpeg", [...input, ...options, path]);
  return path;
}

/** Ask for these frames of a file, in this order. */
async function read(path: string, order: readonly number[]): Promise<Seen> {
  const url = server.resolvedUrls!.local[0];
  const prepare = async (page: Page) => {
    await page.route("**/empty.html", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    await page.route("**/file", (route) => route.fulfill({ body: readFileSync(path) }));
    await page.goto(`${url}empty.html`);
  };
  return withPage(browser, "about:blank", async (page) => {
    await prepare(page);
    return page.evaluate(async (order): Promise<Seen> => {
      const module = "/src/media/video.ts";
      const { openVideo } = await import(module);
      const video = await openVideo(await (await fetch("/file")).blob(), "clip");
      const { width, height, frames } = video.source;
      const [pixels, pictures]: number[][] = [[], []];
      for (const frame of order) {
        const { data } = await video.input(frame);
        pixels.push(data[4 * (width * (height >> 1) + (width >> 1))]);
        const bitmap = await video.picture(frame);
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
        context.drawImage(bitmap, 0, 0);
        pictures.push(context.getImageData(width >> 1, height >> 1, 1, 1).data[0]);
        bitmap.close();
      }
      const times = Array.from({ length: frames }, (_, frame) => video.timeOf(frame));
      video.close();
      return { width, height, frames, pixels, pictures, times };
    }, order);
  });
}

/** Limited range: luma 16 is black, and a level of luma is 255/219 of a level of grey. */
function isFrame(grey: number, frame: number): boolean {
  return Math.abs(grey - (4 * frame * 255) / 219) < 2.4;
}

const ORDER = [0, 1, 2, 3, 20, 21, 22, 49, 48, 47, 46, 45, 44, 30, 31, 5, 4, 3, 2, 1, 0, 49, 0];

for (const [name, ...options] of [
  ["b_frames.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "3"],
  ["one_key.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "500"],
  ["quicktime.mov", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12"],
  ["vp9.webm", "-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-g", "12"],
]) {
  testWithFfmpeg(Files, `${name}: every frame is found by its number, forward, backward and by jumps`, async () => {
    const { width, height, frames, pixels, pictures } = await read(make(name, ...options), ORDER);
    assert.equal([width, height, frames], [W, H, FRAMES]);
    for (const [i, frame] of ORDER.entries()) {
      assert.ok(isFrame(pixels[i], frame), `the model saw ${pixels[i]} on frame ${frame}`);
      assert.ok(isFrame(pictures[i], frame), `the eye saw ${pictures[i]} on frame ${frame}`);
    }
  });
}

testWithFfmpeg(Files, "of a video of variable rate every frame counts once, at its own time", async () => {
  const select = ["-vf", "select=not(mod(n\\,3))+not(mod(n\\,7))", "-fps_mode", "vfr"];
  const path = make("variable.mp4", ...select, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "2");
  const kept = Array.from({ length: 4 * FRAMES }, (_, n) => n).filter((n) => n % 3 === 0 || n % 7 === 0);
  const { frames, times, pixels } = await read(path, [0, 1, 2, 3, 4, 5]);
  assert.is(frames, FRAMES);
  for (const [frame, time] of times.entries()) assert.ok(Math.abs(time - kept[frame] / 25) < 1e-3, `${frame}: ${time}`);
  for (const [frame, grey] of pixels.entries()) assert.ok(isFrame(grey, kept[frame]), `${grey} on frame ${frame}`);
});

testWithFfmpeg(Files, "pixels that are not square are, and what was turned stands upright", async () => {
  const wide = await read(make("wide.mp4", "-vf", "setsar=2", "-c:v", "libx264", "-pix_fmt", "yuv420p"), [3]);
  assert.equal([wide.width, wide.height], [2 * W, H]);
  assert.ok(isFrame(wide.pixels[0], 3));
  const turned = join(folder, "turned.mp4");
  const upright = make("upright.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p");
  writeFileSync(turned, quarterTurn(readFileSync(upright)));
  const { width, height, pixels } = await read(turned, [3]);
  assert.equal([width, height], [H, W]);
  assert.ok(isFrame(pixels[0], 3));
});

/** The file with another matrix in its track's header: a quarter turn to the right. */
function quarterTurn(file: Buffer): Buffer {
  const at = file.indexOf("tkhd") + 4 + 40;
  for (const [i, value] of [0, 0x10000, 0, -0x10000, 0, 0, H * 0x10000, 0, 0x40000000].entries()) {
    file.writeInt32BE(value, at + 4 * i);
  }
  return file;
}

runWithChromium(Files, "studio: video files", 6);
