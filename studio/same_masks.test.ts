// What the page finds in Chromium is what the command finds: same model, kernels and picture, equal to the pixel.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describe, frame as draw, still } from "../models/nano/scenes.ts";
import { type FrameResult, Sam2, VideoPredictor } from "../src/index.node.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { encodePng } from "../src/io/png.ts";
import { encodeRle, type Rle } from "../src/io/rle.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { chooseFiles } from "./choose_files.ts";
import { keptWhen } from "./kept_document.ts";
import { type Appearance, type Document, isUnanswered, type Prompt, type StudioObject } from "./src/state/document.ts";
import { at, click, ready, visit } from "./visit.ts";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
/** Not what the model looks at, so that masks are resized. */
const [WIDTH, HEIGHT] = [360, 300];
const [SEED, FRAMES] = [50_003, 9];

const Same = suite("studio: the command's masks");
let browser: Browser;
let folder: string;
let photo: string;
let frames: string[];

Same.before(async () => {
  expectBuilt();
  folder = mkdtempSync(join(tmpdir(), "studio same "));
  photo = join(folder, "photo.png");
  const { data } = still(22, WIDTH);
  writeFileSync(
    photo,
    encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data: data.slice(0, 3 * WIDTH * HEIGHT) }),
  );
  mkdirSync(join(folder, "frames"));
  frames = Array.from({ length: FRAMES }, (_, n) => join(folder, "frames", `${n}.png`));
  for (const [n, path] of frames.entries()) {
    writeFileSync(path, encodePng({ ...draw(describe(SEED), 3 * n, WIDTH), channels: 3 }));
  }
  browser = await launchChromium();
});

Same.after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The lines that the command prints. */
function sam2(...args: string[]): any[] {
  const all = [command, ...args, "--kernels", "portable", "--json", "--quiet"];
  const { stdout, stderr, status } = spawnSync(process.execPath, all, { encoding: "utf8", maxBuffer: 2 ** 28 });
  assert.is(status, 0, stderr);
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line)); // prettier-ignore
}

/** What was said on a frame, as a file of prompts has it. */
function written({ clicks, box }: Prompt): object {
  return { points: clicks.map(({ x, y }) => [x, y]), labels: clicks.map(({ label }) => label), box };
}

/** @returns its path */
function promptsFile(prompts: readonly object[]): string {
  const file = join(folder, "prompts.json");
  writeFileSync(file, JSON.stringify(prompts));
  return file;
}

async function open(page: Page, files: string | string[], width: number): Promise<void> {
  await chooseFiles(page, files);
  await page.waitForFunction((width) => document.querySelector<HTMLCanvasElement>(".picture")!.width === width, width);
  await ready(page);
}

/** @units 0…1 of the picture */
async function drawBox(page: Page, from: readonly [number, number], to: readonly [number, number]): Promise<void> {
  await page.mouse.move(...(await at(page, ...from)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2)));
  await page.mouse.move(...(await at(page, ...to)));
  await page.mouse.up();
}

const on = ({ on }: StudioObject, frame = 0): Appearance => on[frame] ?? {};
/** Are there so many objects, with so many clicks on a frame in all, and is nothing to be asked there? */
const isAnswered =
  (objects: number, clicks: number, frame = 0) =>
  (doc: Document) =>
    doc.objects.length === objects &&
    doc.objects.reduce((sum, object) => sum + (on(object, frame).prompt?.clicks.length ?? 0), 0) === clicks &&
    doc.objects.every((object) => on(object, frame).found && !isUnanswered(on(object, frame)));

async function expectPhotoAsCommand(page: Page, ...args: string[]): Promise<void> {
  await click(page, 0.2, 0.75);
  await keptWhen(page, isAnswered(1, 1));
  await page.keyboard.press("Enter");
  await drawBox(page, [0.5, 0.1], [0.9, 0.6]);
  await keptWhen(page, isAnswered(2, 1));
  await click(page, 0.55, 0.5, "right");
  await keptWhen(page, isAnswered(2, 2));
  await page.keyboard.press("Enter");
  await click(page, 0.65, 0.4);
  await keptWhen(page, isAnswered(3, 3));
  await click(page, 0.8, 0.2, "right");
  await keptWhen(page, isAnswered(3, 4));
  await click(page, 0.6, 0.45);
  const { objects } = await keptWhen(page, isAnswered(3, 5));
  const prompts = objects.map((object) => written(on(object).prompt!));
  const [{ prompts: answers }] = sam2("segment", photo, "--prompts", promptsFile(prompts), ...args);
  for (const [i, object] of objects.entries()) {
    const { masks, scores } = on(object).found!;
    const expected: { rle: Rle; iou: number }[] = answers[i].masks;
    assert.equal(masks, expected.map(({ rle }) => rle), object.name); // prettier-ignore
    assert.equal(scores.map(rounded), expected.map(({ iou }) => rounded(iou)), object.name); // prettier-ignore
  }
}

/** The command writes fewer digits. */
const rounded = (score: number) => Number(score.toPrecision(5));

Same("of a click, a box, a correction of it, and several clicks", async () => {
  await visit(browser, async (page) => {
    await open(page, photo, WIDTH);
    await expectPhotoAsCommand(page);
  });
});

Same("by a checkpoint that was chosen", async () => {
  const bytes = readFileSync(DEMO_MODEL.url);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  for (let i = start; i < bytes.length; i += 2) bytes[i] ^= Math.imul(i, 0x9e3779b1) >>> 25; // half floats, nearly as they were
  const checkpoint = join(folder, "other.safetensors");
  writeFileSync(checkpoint, bytes);
  await visit(browser, async (page) => {
    await open(page, photo, WIDTH);
    await chooseFiles(page, checkpoint);
    await page.waitForFunction(() => document.querySelector(".chip.ready")?.textContent === "other.safetensors");
    await ready(page);
    await expectPhotoAsCommand(page, "--model", checkpoint);
  });
});

Same("of everything, in the same order and of the same scores", async () => {
  await visit(browser, async (page) => {
    await open(page, photo, WIDTH);
    await page.keyboard.press("a");
    await page.waitForSelector(".everything .found");
    await page.waitForFunction(() => Number(document.querySelector(".found strong")?.textContent) > 3);
    const count = Number(await page.locator(".found strong").innerText());
    await page.getByRole("button", { name: "Keep all of them" }).click();
    const { objects, thresholds } = await keptWhen(page, (doc) => doc.objects.length === count);
    const [{ masks }] = sam2(
      ...["everything", photo, "--points-per-side", "16", "--box-nms-thresh", `${thresholds.boxNmsThresh}`],
      ...["--pred-iou-thresh", `${thresholds.predIouThresh}`],
      ...["--stability-score-thresh", `${thresholds.stabilityScoreThresh}`],
    );
    assert.equal(
      objects.map((object) => on(object).found!.masks[0]),
      masks.map(({ segmentation }: { segmentation: Rle }) => segmentation),
    );
    assert.equal(
      objects.map((object) => rounded(on(object).found!.scores[0])),
      masks.map(({ predicted_iou }: { predicted_iou: number }) => rounded(predicted_iou)),
    );
  });
});

const goTo = async (page: Page, frame: number) => {
  await page.getByRole("slider", { name: "Frame" }).focus();
  await page.keyboard.press("Home");
  for (let i = 0; i < frame; i++) await page.keyboard.press("ArrowRight");
};
const isTracked = (from: number, to: number) => (doc: Document) =>
  doc.objects.every((object) =>
    Array.from({ length: to - from + 1 }, (_, i) => on(object, from + i).found).every((found) => found),
  );

/** On every frame from the first to the last. */
function expectSameTracks(
  { objects }: Document,
  expected: ReadonlyMap<number, { id: number; rle: Rle; score: number }[]>,
) {
  for (const [frame, found] of expected) {
    const here = objects
      .map((object) => ({ id: object.id, ...on(object, frame).found! }))
      .sort((a, b) => a.id - b.id)
      .map(({ id, masks, scores: [score] }) => ({ id, rle: masks[0], score: rounded(score) }));
    assert.equal(
      here,
      found.map(({ id, rle, score }) => ({ id, rle, score: rounded(score) })),
      `frame ${frame}`,
    );
  }
}

// From pictures: of a video file the browser's decoder and ffmpeg make colours that differ by some levels, and more where the
// file does not say which matrix they were written by.
Same("of two things that are tracked forward and backward, on every frame", async () => {
  await visit(browser, async (page) => {
    await open(page, frames, WIDTH);
    await goTo(page, 3);
    await click(page, 0.5, 0.5);
    await keptWhen(page, isAnswered(1, 1, 3));
    await page.keyboard.press("Enter");
    await drawBox(page, [0.05, 0.3], [0.35, 0.7]);
    const { objects } = await keptWhen(page, isAnswered(2, 1, 3));
    await page.keyboard.press("t");
    await keptWhen(page, isTracked(3, FRAMES - 1));
    await goTo(page, 3);
    await page.keyboard.press("Shift+T");
    const doc = await keptWhen(page, isTracked(0, FRAMES - 1));
    const prompts = objects.map((object) => ({ object: object.id, frame: 3, ...written(on(object, 3).prompt!) }));
    const lines = sam2("track", join(folder, "frames"), "--prompts", promptsFile(prompts.reverse()), "--both");
    assert.is(lines.length, FRAMES);
    expectSameTracks(doc, new Map(lines.map(({ frame, objects }) => [frame, objects])));
  });
});

// The page makes a corrected frame one that is seen from everywhere, which the command has no word for.
Same("of a frame that is corrected and tracked from, as the package's predictor has it", async () => {
  await visit(browser, async (page) => {
    await open(page, frames, WIDTH);
    await click(page, 0.5, 0.5);
    await keptWhen(page, isAnswered(1, 1));
    await page.keyboard.press("t");
    await keptWhen(page, isTracked(0, FRAMES - 1));
    await goTo(page, 4);
    await click(page, 0.45, 0.4);
    await keptWhen(page, isAnswered(1, 1, 4));
    const before = await keptWhen(page, isAnswered(1, 1, 4));
    await page.keyboard.press("t");
    const doc = await keptWhen(page, ({ run, frame }) => run !== before.run && frame === FRAMES - 1);

    const sam2 = await Sam2.fromPretrained(DEMO_MODEL.url, { kernels: "portable" });
    const predictor = new VideoPredictor(sam2, { addAllFramesToCorrectAsCond: true });
    const read = async (frame: number) => readFileSync(frames[frame]);
    const state = await predictor.initState({ count: FRAMES, read });
    const expected = new Map<number, { id: number; rle: Rle; score: number }[]>();
    const track = async (startFrame: number) => {
      const place = { frame: startFrame, object: 1 };
      const { clicks } = on(doc.objects[0], startFrame).prompt!;
      await predictor.addNewPointsOrBox(state, { ...place, points: clicks.map(({ x, y }) => [x, y]), labels: [1] });
      for await (const result of predictor.propagateInVideo(state, { startFrame, resume: true })) keep(result);
    };
    const keep = ({ frame, objects: [{ id, mask, score }] }: FrameResult) =>
      expected.set(frame, [{ id, rle: encodeRle(mask, WIDTH, WIDTH), score: score! }]);
    await track(0);
    await track(4);
    expectSameTracks(doc, expected);
    await sam2.dispose();
  });
});

runWithChromium(Same, "studio: the command's masks", 5);
