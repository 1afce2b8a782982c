// The built page with a video in Chromium: clicked, tracked, stopped, corrected, tracked again, taken back, and reloaded.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describe, frame as draw, PART } from "../models/nano/scenes.ts";
import { firstClick, iou } from "../models/nano/scoring.ts";
import { decodeRle } from "../src/io/rle.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { testWithFfmpeg } from "../tests/ffmpeg.ts";
import { chooseFiles } from "./choose_files.ts";
import { keptWhen } from "./kept_document.ts";
import type { Document } from "./src/state/document.ts";
import { openClip, past, violations, visit as visitAs } from "./visit.ts";

/** The page's own clip, and who is followed in it. */
const [SEED, SIZE, HERO] = [50_003, 400, 1];
const scene = describe(SEED);

const Video = suite("studio: video");
let browser: Browser;
let folder: string;

Video.before(async () => {
  expectBuilt();
  folder = mkdtempSync(join(tmpdir(), "studio video "));
  browser = await launchChromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
});
Video.after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

const visit = (use: (page: Page) => Promise<void>, colorScheme: "light" | "dark" = "light") =>
  visitAs(browser, use, { colorScheme, hint: /^Point at/, serviceWorkers: "allow" });

/** @units pixels of the video */
async function click(page: Page, [x, y]: readonly number[], size = SIZE): Promise<void> {
  const { x: left, y: top, width } = (await page.locator(".picture").boundingBox())!;
  await page.mouse.click(left + (x * width) / size, top + (y * width) / size);
}

/** What a key does is seen a moment later. */
const isAt = (page: Page, frame: number) => page.waitForSelector(`.tracks[aria-valuenow="${frame + 1}"]`);
/** Stop as soon as a frame is passed: pressed from here, the key might come when the clip has ended. */
const escapeAfter = (page: Page, frame: number) =>
  page.waitForFunction((frame) => {
    if (Number(document.querySelector(".tracks")!.getAttribute("aria-valuenow")) <= frame) return false;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    return true;
  }, frame);
const atRest = (page: Page) => page.waitForSelector(".timeline .tracking");

const on = (doc: Document, object = 0) => doc.objects[object]?.on ?? {};
const tracked = (doc: Document) =>
  Object.entries(on(doc)).flatMap(([frame, { found }]) => (found?.by === "track" ? [Number(frame)] : []));
const isAnswered = (frame: number) => (doc: Document) => on(doc)[frame]?.found?.by === "prompt";
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const truth = (frame: number) => {
  const { owner } = draw(scene, frame, SIZE);
  return owner.map((pixel) => Number((pixel & (PART - 1)) === HERO));
};
const hero = (frame: number) => firstClick(draw(scene, frame, SIZE), { code: HERO, mask: truth(frame) });

Video(
  "clicked, tracked, stopped, gone on with, corrected and tracked again; undo takes back a run at a time",
  async () => {
    await visit(async (page) => {
      await openClip(page);
      await click(page, hero(0));
      await keptWhen(page, isAnswered(0));

      await page.keyboard.press("t");
      await escapeAfter(page, 3);
      await atRest(page);
      const stopped = await keptWhen(page, (doc) => tracked(doc).length >= 3);
      const last = tracked(stopped).at(-1)!;
      assert.equal(tracked(stopped), range(1, last));
      assert.ok(last < 59);
      await isAt(page, last);

      await page.keyboard.press("t");
      await page.waitForSelector(".timeline .progress");
      await atRest(page);
      const whole = await keptWhen(page, (doc) => tracked(doc).length === 59);
      const { masks } = on(whole)[8].found!;
      assert.ok(iou(decodeRle(masks[0]), truth(8)) > 0.7);

      await page.getByRole("slider", { name: "Frame" }).focus();
      await page.keyboard.press("Home");
      for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
      await page.keyboard.press("ArrowLeft");
      await isAt(page, 29);
      await page.locator(".lanes .names button").click();
      await click(page, hero(29));
      const corrected = await keptWhen(page, isAnswered(29));
      assert.equal(on(corrected)[29].tracked, on(whole)[29].found);

      await page.keyboard.press("t");
      await page.waitForSelector(".timeline .progress");
      await atRest(page);
      const again = await keptWhen(
        page,
        (doc) => doc.run !== corrected.run && tracked(doc).length === 58 && doc.frame === 59,
      );
      for (const frame of [5, 28]) assert.equal(on(again)[frame], on(whole)[frame]);
      assert.equal(on(again)[29], on(corrected)[29]);

      await page.keyboard.press("Control+z");
      const back = await keptWhen(page, (doc) => doc.run === corrected.run);
      assert.equal(on(back), on(corrected));
      for (let i = 0; i < 2; i++) await page.keyboard.press("Control+z"); // the correction, and what was gone on with
      await page.keyboard.press("Control+z");
      assert.equal(tracked(await keptWhen(page, (doc) => tracked(doc).length === 0)), []);
    });
  },
);

Video("tracking that is asked for while a click is being answered begins once it is", async () => {
  await visit(async (page) => {
    await openClip(page);
    await click(page, hero(0));
    await page.keyboard.press("t");
    await keptWhen(page, (doc) => tracked(doc).length === 59);
  });
});

Video(
  "what was stopped while its click was being answered is answered and tracked when that is asked for",
  async () => {
    await visit(async (page) => {
      await openClip(page);
      await click(page, hero(0));
      await page.evaluate(() => {
        for (const key of ["t", "Escape", "Escape", "t", "Escape", "t"]) {
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        }
      });
      const doc = await keptWhen(page, (doc) => tracked(doc).length === 59 && doc.frame === 59); // which was followed
      assert.is(on(doc)[0].found!.by, "prompt");
    });
  },
);

Video("tracked backward from a box, and everything is there after a reload", async () => {
  await visit(async (page) => {
    await openClip(page);
    await page.getByRole("slider", { name: "Frame" }).focus();
    for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowRight");
    const { x, y, width } = (await page.locator(".picture").boundingBox())!;
    const pixels = [...truth(6)].flatMap((inside, i) => (inside ? [i] : []));
    const [columns, rows] = [pixels.map((i) => i % SIZE), pixels.map((i) => Math.floor(i / SIZE))];
    const scale = width / SIZE;
    await page.mouse.move(x + Math.min(...columns) * scale, y + Math.min(...rows) * scale);
    await page.mouse.down();
    await page.mouse.move(x + Math.max(...columns) * scale, y + Math.max(...rows) * scale, { steps: 4 });
    await page.mouse.up();
    await keptWhen(page, isAnswered(6));
    await page.keyboard.press("Shift+T");
    const before = await keptWhen(page, (doc) => tracked(doc).length === 6 && doc.frame === 0);
    assert.equal(tracked(before), range(0, 5));

    await page.reload();
    await page.waitForSelector(".timeline");
    await isAt(page, 0);
    await page.waitForSelector(".chip.ready");
    await page.keyboard.press("End");
    await isAt(page, 59);
    assert.equal(on(await keptWhen(page, (doc) => doc.frame === 59)), on(before));
  });
});

testWithFfmpeg(
  Video,
  "an mp4 is opened and tracked, and what cannot be decoded is refused in one sentence",
  async () => {
    const frames = range(0, 9).map((frame) => draw(scene, frame, SIZE).data);
    const file = join(folder, "clip.mp4");
    const raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${SIZE}x${SIZE}`, "-r", "12", "-i", "-"];
    const coded = ["-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p"];
    execFileSync("ffmpeg", ["-v", "error", "-y", ...raw, ...coded, file], { input: Buffer.concat(frames) });
    const broken = join(folder, "broken.mp4");
    execFileSync(process.execPath, ["-e", `fs.writeFileSync(process.argv[1], "no video")`, broken]);

    await visit(async (page) => {
      await chooseFiles(page, file);
      await page.waitForSelector(".timeline");
      await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 400);
      await click(page, hero(0));
      await keptWhen(page, isAnswered(0));
      await page.keyboard.press("t");
      const doc = await keptWhen(page, (doc) => tracked(doc).length === 9);
      assert.is(doc.source!.frames, 10);
      for (const frame of [1, 5, 9]) {
        const { masks } = on(doc)[frame].found!;
        assert.ok(iou(decodeRle(masks[0]), truth(frame)) > 0.7, `frame ${frame}`);
      }
      await chooseFiles(page, broken);
      const problem = page.getByRole("alert");
      assert.match(await problem.innerText(), /^broken\.mp4 has no video that can be read; save it as MP4/);
      assert.ok(await page.locator(".timeline").isVisible());
    });
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  Video(`the timeline does not violate axe's rules, ${colorScheme}`, async () => {
    await visit(async (page) => {
      await openClip(page);
      await click(page, hero(0));
      await keptWhen(page, isAnswered(0));
      await page.keyboard.press("t");
      await past(page, 4);
      assert.equal(await violations(page), []);
      await page.keyboard.press("Escape");
      await atRest(page);
      assert.equal(await violations(page), []);
    }, colorScheme);
  });
}

Video(
  "what was clicked is followed before the camera; when that is lost, one sentence says so and all is there",
  async () => {
    await visit(async (page) => {
      await page.evaluate(() => {
        const { mediaDevices } = navigator;
        const get = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = async (asked) => Object.assign(globalThis, { camera: await get(asked) }).camera;
      });
      await page.keyboard.press("o");
      await page.getByRole("button", { name: "Follow live" }).click();
      await page.waitForFunction(() =>
        document.querySelector(".stage")!.getAttribute("aria-label")!.startsWith("Camera"),
      );
      await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width > 600);
      const { x, y, width, height } = (await page.locator(".picture").boundingBox())!;
      await page.mouse.click(x + width / 2, y + height / 2);
      await page.waitForFunction(() => {
        const name = document.querySelector(".row .name")?.textContent ?? "…"; // until there is a mask
        return !name.includes("…") && !document.querySelector(".prompts .click");
      });
      await page.evaluate(() => {
        const { camera } = globalThis as unknown as { camera: MediaStream };
        camera.getVideoTracks()[0].dispatchEvent(new Event("ended"));
      });
      assert.match(await page.getByRole("alert").innerText(), /^The camera is gone\./);
      const doc = await keptWhen(page, ({ source, objects }) => source?.name === "Camera" && objects.length === 1);
      assert.is(on(doc)[0].found!.by, "track");
      assert.is(on(doc)[0].prompt, undefined);
      await page.reload(); // what it saw last is a photo then
      await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width > 600);
      assert.match((await page.locator(".stage").getAttribute("aria-label"))!, "Camera");
      assert.is(await page.locator(".row").count(), 1);
    });
  },
);

runWithChromium(Video, "studio: video", 8);
