// Taking home and bringing in, in Chromium: what the dialog saves is read back.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync } from "fflate";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { still } from "../models/nano/scenes.ts";
import { headersOf } from "../src/cli/studio_headers.ts";
import { readCocoSegmentation } from "../src/io/formats/coco.ts";
import { decodeImage } from "../src/io/image.ts";
import { maskOfId, readMaskFile } from "../src/io/mask_file.ts";
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { testWithFfmpeg } from "../tests/ffmpeg.ts";
import { chooseFiles } from "./choose_files.ts";
import { ready, violations, visit as visitAs } from "./visit.ts";

/** Odd, so that videos of it are a row and a column smaller. */
const SIDE = 241;
const FRAMES = 4;

const Home = suite("studio: taking home, in Chromium");
let browser: Browser;
let folder: string;
let photo: string;

Home.before(async () => {
  expectBuilt();
  setPlatform(nodePlatform);
  folder = mkdtempSync(join(tmpdir(), "studio home "));
  photo = join(folder, "photo.png");
  writeFileSync(photo, encodePng({ ...still(22, SIDE), channels: 3 }));
  browser = await launchChromium();
});

Home.after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

/** A visitor who has opened these files. */
async function visit(files: string[], use: (page: Page) => Promise<void>, colorScheme: "light" | "dark" = "light") {
  const open = async (page: Page) => {
    await chooseFiles(page, files);
    await page.waitForFunction(
      () => !document.querySelector(".stage")?.getAttribute("aria-label")?.startsWith("A drawing"),
    );
    await ready(page);
    await use(page);
  };
  const query = "?kernels=portable&threads=1";
  await visitAs(browser, open, { colorScheme, headers: headersOf(""), query, serviceWorkers: "allow" });
}

/** A click on an object that nano sees, and its name. */
async function makeObject(page: Page, name: string): Promise<void> {
  const { x, y, width, height } = (await page.locator(".sheet").boundingBox())!;
  await page.mouse.click(x + 0.2 * width, y + 0.75 * height);
  await page.locator(".row .name").dblclick();
  await page.locator(".row input").fill(name);
  await page.keyboard.press("Enter");
  await page.waitForFunction((name) => document.querySelector(".row .name")?.textContent === name, name); // its mask is there
}

/** What a button of the dialog saves. */
async function taken(
  page: Page,
  label: string,
  format = "",
): Promise<{ name: string; bytes: Uint8Array; path: string }> {
  const download = page.waitForEvent("download");
  await page.click(`.kind:has-text("${label}"):has-text("${format}")`);
  const file = await download;
  const name = file.suggestedFilename();
  const path = join(folder, name);
  await file.saveAs(path);
  await page.waitForSelector(`text=${name} is saved`);
  return { name, path, bytes: new Uint8Array(readFileSync(path)) };
}

async function openDialog(page: Page): Promise<void> {
  await page.keyboard.press("d");
  await page.waitForSelector("dialog[open] .kind");
}

async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog", { state: "detached" });
}

async function cocoMask(page: Page): Promise<{ mask: Uint8Array; name: string; path: string }> {
  const { bytes, path } = await taken(page, "COCO");
  const { annotations, categories } = JSON.parse(new TextDecoder().decode(bytes));
  assert.is(annotations.length, 1);
  return { path, name: categories[0].name, mask: readCocoSegmentation(annotations[0].segmentation, SIDE, SIDE) };
}

Home(
  "a photo's mask is the same as PNG, as COCO, in a project, and brought in again; the cut-out has its pixels",
  async () => {
    let project = "";
    let coco = "";
    let mask = new Uint8Array();
    await visit([photo], async (page) => {
      await makeObject(page, "a cat");
      await openDialog(page);
      const { bytes, name } = await taken(page, "Masks", "PNG");
      assert.is(name, "photo a cat mask.png");
      mask = maskOfId(await readMaskFile(bytes, name), 1) as Uint8Array<ArrayBuffer>;
      const area = mask.reduce((sum, value) => sum + value, 0);
      assert.ok(area > 100 && area < 0.8 * mask.length, `${area}`);
      const asCoco = await cocoMask(page);
      assert.is(asCoco.name, "a cat");
      assert.ok(Buffer.from(asCoco.mask).equals(mask));
      coco = asCoco.path;

      const cut = await decodeImage((await taken(page, "Cut-outs")).bytes);
      const picture = still(22, SIDE);
      const inside = [...mask.keys()].filter((i) => mask[i]);
      const [left, top] = [Math.min(...inside.map((i) => i % SIDE)), Math.floor(inside[0] / SIDE)];
      const wrong = inside.filter((i) => {
        const to = (Math.floor(i / SIDE) - top) * cut.width + (i % SIDE) - left;
        return [0, 1, 2].some((c) => cut.data[3 * to + c] !== picture.data[3 * i + c]);
      });
      assert.is(wrong.length, 0);

      assert.match(new TextDecoder().decode((await taken(page, "Outlines", "SVG")).bytes), "<title>a cat</title>");
      project = (await taken(page, "Project")).path;
    });

    await visit([project], async (page) => {
      await page.waitForSelector(".row");
      assert.match((await page.locator(".stage").getAttribute("aria-label"))!, "photo.png");
      await openDialog(page);
      const again = await cocoMask(page);
      assert.is(again.name, "a cat");
      assert.ok(Buffer.from(again.mask).equals(mask));
      await closeDialog(page);

      const bytes = readFileSync(project);
      const damaged = join(folder, "damaged.sam2.zip");
      writeFileSync(damaged, bytes.subarray(0, bytes.length / 2));
      await chooseFiles(page, [damaged]);
      await page.waitForSelector(".problem");
      assert.match(await page.locator(".problem").innerText(), "damaged.sam2.zip cannot be opened");
      assert.is(await page.locator(".row").count(), 1);

      await chooseFiles(page, [coco]);
      await page.waitForFunction(() => document.querySelectorAll(".row").length === 2);
      assert.equal(await page.locator(".row .name").allInnerTexts(), ["a cat", "a cat"]);
      await page.keyboard.press("Control+z");
      await page.waitForFunction(() => document.querySelectorAll(".row").length === 1);
    });
  },
);

testWithFfmpeg(
  Home,
  "a video is taken home as MP4, WebM and transparent WebM of all frames, and as masks",
  async () => {
    const frames = Array.from({ length: FRAMES }, (_, i) => {
      const path = join(folder, `frame_${i + 1}.png`);
      writeFileSync(path, readFileSync(photo));
      return path;
    });
    await visit(frames, async (page) => {
      await makeObject(page, "a cat");
      await openDialog(page);
      const files = unzipSync((await taken(page, "Masks, a picture a frame")).bytes);
      assert.equal(Object.keys(files), ["frame_1.png"]);
      const mask = maskOfId(await readMaskFile(files["frame_1.png"], "mask"), 1);

      const clear = still(22, SIDE);
      for (const [label, format] of [
        ["Video with masks", "MP4"],
        ["Video with masks", "WebM"],
        ["Cut-out video", "WebM"],
      ]) {
        const { path } = await taken(page, label, format);
        const isAlone = label === "Cut-out video";
        const side = SIDE - 1;
        const decoder = isAlone ? ["-c:v", "libvpx-vp9"] : [];
        const args = ["-v", "error", ...decoder, "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-"];
        const raw = execFileSync("ffmpeg", args, { maxBuffer: 2 ** 26 });
        assert.is(raw.length, FRAMES * side * side * 4, format);
        // on the first frame the objects are marked, on the last nothing is known
        const [first, last] = [raw.subarray(0, side * side * 4), raw.subarray((FRAMES - 1) * side * side * 4)];
        const inside = (pixel: number) => mask[Math.floor(pixel / side) * SIDE + (pixel % side)];
        const mean = (frame: Buffer, isIn: boolean, value: (pixel: number) => number) => {
          let [sum, count] = [0, 0];
          for (let i = 0; i < side * side; i++) {
            if (!inside(i) === isIn) continue;
            sum += value(4 * i);
            count++;
          }
          assert.ok(frame.length > 0 && count > 0);
          return sum / count;
        };
        const difference = (frame: Buffer) => (at: number) => {
          const i = at / 4;
          const from = 3 * (Math.floor(i / side) * SIDE + (i % side));
          return [0, 1, 2].reduce((sum, c) => sum + Math.abs(frame[at + c] - clear.data[from + c]) / 3, 0);
        };
        if (isAlone) {
          const alpha = (frame: Buffer) => (at: number) => frame[at + 3];
          assert.ok(mean(first, true, alpha(first)) > 240);
          assert.ok(mean(first, false, alpha(first)) < 10);
          assert.ok(mean(last, true, alpha(last)) < 10);
        } else {
          const changed = mean(first, true, difference(first));
          assert.ok(changed > 15, `${changed}`);
          assert.ok(changed > 2 * mean(first, false, difference(first)));
          assert.ok(changed > 2 * mean(last, true, difference(last)));
        }
      }
    });
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  Home(`the dialog is worked by keys, and violates none of axe's rules, ${colorScheme}`, async () => {
    await visit(
      [photo],
      async (page) => {
        await openDialog(page);
        assert.is(await page.locator(".kind:enabled").count(), 1); // a project
        await closeDialog(page);
        await makeObject(page, "a cat");
        await openDialog(page);
        assert.equal(await violations(page), []);
        const download = page.waitForEvent("download");
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        assert.match((await download).suggestedFilename(), "cut-out.png");
        await closeDialog(page);
        const saved = page.waitForEvent("download");
        await page.keyboard.press("Shift+s");
        assert.is((await saved).suggestedFilename(), "photo a cat mask.png");
      },
      colorScheme,
    );
  });
}

runWithChromium(Home, "studio: taking home, in Chromium", 4);
