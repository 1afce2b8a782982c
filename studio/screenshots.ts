/**
 * The pictures of the page in the README, and of every view at other widths to look at.
 *
 *     npx tsx studio/screenshots.ts             docs/studio/*.jpg, after npm run build
 *     npx tsx studio/screenshots.ts FOLDER      each view at 390, 768, 1280 and 2560 pixels, light and dark, as PNG
 *     npx tsx studio/screenshots.ts FOLDER VIEW …      some of them
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { describe, frame, PART } from "../models/nano/scenes.ts";
import { firstClick } from "../models/nano/scoring.ts";
import { ISOLATED, launchChromium } from "../tests/chromium.ts";
import { served } from "../tests/served.ts";
import { keptWhen } from "./kept_document.ts";

const site = fileURLToPath(new URL("../dist/studio", import.meta.url));
const README_FOLDER = fileURLToPath(new URL("../docs/studio", import.meta.url));

/** The page's own clip, and who is followed in it. */
const [SEED, SIZE, HERO] = [50_003, 400, 1];

/** @units 0…1 of the picture */
async function click(page: Page, x: number, y: number): Promise<void> {
  const box = (await page.locator(".picture").boundingBox())!;
  await page.mouse.click(box.x + x * box.width, box.y + y * box.height);
}

const answered = (page: Page, objects: number) =>
  page.waitForFunction((objects) => document.querySelectorAll(".objects .row, aside .row").length >= objects, objects);

/** What is done until the view is there. */
const VIEWS: Record<string, (page: Page) => Promise<void>> = {
  async photo(page) {
    await click(page, 0.65, 0.4);
    await page.waitForSelector(".candidates");
    await page.keyboard.press("Enter");
    await click(page, 0.15, 0.5);
    await answered(page, 2);
    await page.waitForTimeout(500);
  },
  async everything(page) {
    await page.keyboard.press("a");
    await page.waitForSelector(".everything .found");
    await page.waitForTimeout(500);
  },
  async video(page) {
    await page.getByRole("button", { name: "Clip", exact: true }).click();
    await page.waitForSelector(".timeline");
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 400);
    const { owner } = frame(describe(SEED), 0, SIZE);
    const mask = owner.map((pixel) => Number((pixel & (PART - 1)) === HERO));
    const [x, y] = firstClick(frame(describe(SEED), 0, SIZE), { code: HERO, mask });
    await click(page, x / SIZE, y / SIZE);
    await keptWhen(page, ({ objects }) => objects[0]?.on[0]?.found !== undefined);
    await page.keyboard.press("t");
    await page.waitForFunction(() => Number(document.querySelector(".tracks")!.getAttribute("aria-valuenow")) > 7);
    await page.keyboard.press("Escape");
    await page.waitForTimeout(500);
  },
  async inside(page) {
    await click(page, 0.65, 0.4);
    await page.waitForSelector(".candidates");
    await page.keyboard.press("i");
    await page.waitForSelector(".tensors canvas");
    await page.waitForTimeout(500);
  },
  async models(page) {
    await page.keyboard.press("m");
    await page.waitForSelector(".models li");
    await page.waitForTimeout(500);
  },
};

const README_VIEWS = ["photo", "everything", "video", "inside"];

const [folder = README_FOLDER, ...asked] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launchChromium();
const isReadme = folder === README_FOLDER;
const views = isReadme ? README_VIEWS : asked.length > 0 ? asked : Object.keys(VIEWS);
const sizes = isReadme ? [[1280, 800]] : [[390, 844], [768, 1024], [1280, 800], [2560, 1440]]; // prettier-ignore
const shots = sizes.flatMap(([width, height]) =>
  (isReadme ? (["light"] as const) : (["light", "dark"] as const)).flatMap((colorScheme) =>
    views.map((view) => ({
      view,
      colorScheme,
      viewport: { width, height },
      name: isReadme ? view : `${view}_${width}_${colorScheme}`,
    })),
  ),
);
if (isReadme) {
  shots.push({ view: "photo", colorScheme: "dark", viewport: { width: 390, height: 844 }, name: "phone" });
}
await served(site, ISOLATED, async (url) => {
  for (const { view, colorScheme, viewport, name } of shots) {
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction(() => /^(Point at|Click)/.test(document.querySelector(".hint")?.textContent ?? ""));
    await VIEWS[view](page);
    const path = join(folder, `${name}.${isReadme ? "jpg" : "png"}`);
    await page.screenshot(isReadme ? { path, type: "jpeg", quality: 85 } : { path });
    await context.close();
  }
});
await browser.close();
