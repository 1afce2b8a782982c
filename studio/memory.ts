/**
 * What the page holds while a long clip is followed: an mp4 of 1,000 frames with three objects, by nano. Its memory is to be
 * flat after the first hundred. After `npm run build`, with ffmpeg on the PATH: npx tsx studio/memory.ts [FRAMES]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CDPSession } from "playwright-core";
import { describe, frame as draw, targets } from "../models/nano/scenes.ts";
import { firstClick } from "../models/nano/scoring.ts";
import { launchChromium } from "../tests/chromium.ts";
import { chooseFiles } from "./choose_files.ts";
import { click, visit } from "./visit.ts";

const FRAMES = Number(process.argv[2] ?? 1000);
const STOPS = [10, 100, 200, 300, 500, 750, FRAMES - 1].filter((frame) => frame < FRAMES);
/** To and fro, so that nothing leaves the picture for good. */
const [SEED, SIZE, LENGTH] = [50_003, 240, 60];
const OBJECTS = 3;
const PATIENCE_MS = 3_600_000;
const MB = 2 ** 20;

const scene = describe(SEED);
const drawn = Array.from({ length: LENGTH }, (_, i) => draw(scene, i, SIZE));
const clip = Array.from({ length: FRAMES }, (_, i) => {
  const at = i % (2 * LENGTH - 2);
  return drawn[Math.min(at, 2 * LENGTH - 2 - at)].data;
});
const folder = mkdtempSync(join(tmpdir(), "studio memory "));
const file = join(folder, "clip.mp4");
const raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${SIZE}x${SIZE}`, "-r", "25", "-i", "-"];
const coded = ["-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p"];
execFileSync("ffmpeg", ["-v", "error", "-y", ...raw, ...coded, file], { input: Buffer.concat(clip) });

const browser = await launchChromium("--js-flags=--expose-gc");
await visit(
  browser,
  async (page) => {
    page.setDefaultTimeout(PATIENCE_MS);
    await chooseFiles(page, file);
    await page.waitForFunction((size) => document.querySelector<HTMLCanvasElement>(".picture")!.width === size, SIZE);
    for (const [i, target] of targets(drawn[0]).slice(0, OBJECTS).entries()) {
      if (i > 0) await page.keyboard.press("Enter");
      const [x, y] = firstClick(drawn[0], target);
      await click(page, x / SIZE, y / SIZE);
      await page.waitForFunction((n) => document.querySelectorAll(".tracks .lane, .objects .row").length >= n, i + 1);
    }
    const devtools = await browser.newBrowserCDPSession();
    const ofPage = await page.context().newCDPSession(page);
    console.log("frame   renderer   GPU process   page's JS heap   (MB; private; heap after collection)");
    await page.keyboard.press("t");
    for (const stop of STOPS) {
      await page.waitForFunction(
        (frame) => Number(document.querySelector(".tracks")!.getAttribute("aria-valuenow")) > frame,
        stop,
        { polling: 50 },
      );
      const { heap, renderer, gpu } = await held(devtools, ofPage);
      console.log([stop + 1, renderer, gpu, heap].map((n, i) => `${Math.round(n)}`.padStart([5, 11, 14, 17][i])).join("")); // prettier-ignore
    }
  },
  { serviceWorkers: "allow", query: "" },
);
await browser.close();
rmSync(folder, { recursive: true });

/** @units MB */
async function held(browser: CDPSession, page: CDPSession) {
  await page.send("HeapProfiler.collectGarbage");
  const { usedSize } = await page.send("Runtime.getHeapUsage");
  const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
  const largest = (type: string) =>
    Math.max(0, ...processInfo.filter((one) => one.type === type).map(({ id }) => privateBytes(id))) / MB;
  return { heap: usedSize / MB, renderer: largest("renderer"), gpu: largest("GPU") };
}

/** What a process has for itself alone, as Linux counts it. */
function privateBytes(id: number): number {
  const lines = readFileSync(`/proc/${id}/smaps_rollup`, "utf8").matchAll(/^Private_\w+:\s+(\d+) kB$/gm);
  return [...lines].reduce((sum, [, kB]) => sum + 1024 * Number(kB), 0);
}
