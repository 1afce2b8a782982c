// The page in trouble, in Chromium: workers that die, a full disk, no camera, no encoder. What was made is there, and it goes on.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { still } from "../models/nano/scenes.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { testWithFfmpeg } from "../tests/ffmpeg.ts";
import { until } from "../tests/patience.ts";
import { chooseFiles } from "./choose_files.ts";
import { keptWhen } from "./kept_document.ts";
import { areAnswered, click, openClip, past, ready, saidAsNotice, saidAsProblem, THINGS, visit } from "./visit.ts";

const Manners = suite("studio: in trouble");
let browser: Browser;
let folder: string;
let photo: string;
let checkpoint: string;

Manners.before(async () => {
  expectBuilt();
  setPlatform(nodePlatform);
  folder = mkdtempSync(join(tmpdir(), "studio trouble "));
  photo = join(folder, "photo.png");
  writeFileSync(photo, encodePng({ ...still(22, 480), channels: 3 }));
  checkpoint = join(folder, "own.safetensors");
  writeFileSync(checkpoint, readFileSync(DEMO_MODEL.url));
  browser = await launchChromium();
});

Manners.after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What the page is given so that its workers can be killed. */
interface Deadly {
  /** End the latest worker of this name, as a browser does when there is no memory left. */
  kill(name: string): void;
  /** Shall the model's worker die of each prompt? */
  isDeadly: boolean;
}

async function makeDeadly(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const workers: { name: string; worker: Worker }[] = [];
    globalThis.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        workers.push({ name: options?.name ?? "engine", worker: this });
      }
    };
    const deadly: Deadly = {
      isDeadly: false,
      kill(name) {
        const { worker } = workers.findLast((one) => one.name === name)!;
        worker.terminate();
        worker.dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
      },
    };
    const post = MessagePort.prototype.postMessage as (...args: unknown[]) => void;
    MessagePort.prototype.postMessage = function (this: MessagePort, ...args: unknown[]) {
      post.apply(this, args);
      const [invocation] = (args[0] as { args?: { method?: string }[] }).args ?? [];
      if (deadly.isDeadly && invocation?.method === "predict") deadly.kill("engine");
    };
    Object.assign(globalThis, { deadly });
  });
}

const kill = (page: Page, name: string) =>
  page.evaluate((name) => (globalThis as unknown as { deadly: Deadly }).deadly.kill(name), name);
const setDeadly = (page: Page, isDeadly: boolean) =>
  page.evaluate(
    (isDeadly) => void ((globalThis as unknown as { deadly: Deadly }).deadly.isDeadly = isDeadly),
    isDeadly,
  );

Manners("a model whose worker dies is started again, and answers the next click", async () => {
  await visit(
    browser,
    async (page) => {
      await click(page, ...THINGS[0]);
      const before = await keptWhen(page, areAnswered(1));
      await kill(page, "engine");
      await page.keyboard.press("Enter");
      await click(page, ...THINGS[1]);
      await saidAsNotice(page, /^The model stopped and was started again\. Nothing is lost\.$/);
      const after = await keptWhen(page, areAnswered(2));
      assert.equal(after.objects.at(-1), before.objects[0]);
    },
    { before: makeDeadly },
  );
});

Manners("a model that dies of a click again and again is told of, and not asked for ever", async () => {
  await visit(
    browser,
    async (page) => {
      await click(page, ...THINGS[0]);
      await keptWhen(page, areAnswered(1));
      await page.keyboard.press("Enter");
      await setDeadly(page, true);
      await click(page, ...THINGS[1]);
      await saidAsProblem(page, /^The model stops here each time\. Nothing is lost; try another model/);
      await setDeadly(page, false);
      await click(page, THINGS[1][0], THINGS[1][1] + 0.05);
      await keptWhen(page, areAnswered(2));
    },
    { before: makeDeadly },
  );
});

Manners("a painter that dies is replaced: the masks are seen again, and the brush paints", async () => {
  await visit(
    browser,
    async (page) => {
      await click(page, ...THINGS[0]);
      await keptWhen(page, areAnswered(1));
      await page.mouse.move(0, 0);
      const seen = () => page.locator(".stage").screenshot();
      let drawn = await seen();
      await until(async () => {
        const before = drawn;
        drawn = await seen();
        return drawn.equals(before) && (await page.evaluate(() => performance.now() > 4000));
      });
      await kill(page, "painter");
      await page.waitForFunction(() => document.querySelectorAll(".masks").length === 2);
      await until(async () => (await seen()).equals(drawn));
      await page.keyboard.press("b");
      await click(page, 0.3, 0.1);
      await keptWhen(page, ({ objects }) => objects[0].on[0].added !== undefined);
    },
    { before: makeDeadly },
  );
});

Manners(
  "a clip whose worker died is drawn by another one: what was tracked is there, and tracking goes on",
  async () => {
    await visit(
      browser,
      async (page) => {
        await openClip(page);
        await click(page, 0.5, 0.5);
        await keptWhen(page, areAnswered(1));
        await page.keyboard.press("t");
        await past(page, 3);
        await page.keyboard.press("Escape");
        await page.waitForSelector(".timeline .tracking");
        const stopped = await keptWhen(page, ({ objects }) => Object.keys(objects[0].on).length > 3);
        await kill(page, "clip");
        await page.keyboard.press("t");
        const all = await keptWhen(page, ({ objects }) => Object.keys(objects[0].on).length === 60);
        assert.equal(all.objects[0].on[3], stopped.objects[0].on[3]);
      },
      { before: makeDeadly },
    );
  },
);

testWithFfmpeg(
  Manners,
  "a video whose worker dies while a frame is decoded is told of in one sentence; all is there, and it goes on",
  async () => {
    const file = join(folder, "film.mp4");
    const source = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=10:duration=2"];
    execFileSync("ffmpeg", ["-v", "error", "-y", ...source, "-pix_fmt", "yuv420p", file]);
    await visit(
      browser,
      async (page) => {
        await chooseFiles(page, file);
        await page.waitForSelector(".timeline");
        await ready(page);
        await click(page, 0.5, 0.5);
        const before = await keptWhen(page, areAnswered(1));
        await page.evaluate(() => {
          const { kill } = (globalThis as unknown as { deadly: Deadly }).deadly;
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
          kill("video");
        });
        await saidAsProblem(page, /^The program that decodes film\.mp4 stopped; do that once more\.$/);
        await page.keyboard.press("Home");
        await page.keyboard.press("t");
        const after = await keptWhen(page, ({ objects }) => Object.keys(objects[0].on).length === 20);
        assert.equal(after.objects[0].on[0], before.objects[0].on[0]);
      },
      { before: makeDeadly },
    );
  },
);

Manners(
  "on a full disk the page says that a picture will not come back, and that a checkpoint is not kept",
  async () => {
    await visit(
      browser,
      async (page) => {
        await chooseFiles(page, checkpoint);
        await saidAsNotice(page, /^own\.safetensors is in use, but there is no room left on this device to keep it/);
        await chooseFiles(page, photo);
        await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>(".picture")!.width === 480);
        await ready(page);
        await click(page, 0.2, 0.75);
        await saidAsNotice(page, /^There is no room left on this device: what is made now does not come back after a/);
        assert.is(await page.locator(".row").count(), 1);
        await page.evaluate("isFull = false");
        await page.keyboard.press("Enter");
        await click(page, 0.6, 0.3);
        await keptWhen(page, areAnswered(2));
      },
      {
        before: (page) =>
          page.addInitScript(`
        globalThis.isFull = true;
        for (const [type, name] of [[IDBObjectStore, "put"], [FileSystemWritableFileStream, "write"]]) {
          const write = type.prototype[name];
          type.prototype[name] = function (...args) {
            if (isFull) throw new DOMException("full", "QuotaExceededError");
            return write.apply(this, args);
          };
        }
      `),
      },
    );
  },
);

Manners("a browser that stores nothing at all computes all the same", async () => {
  await visit(
    browser,
    async (page) => {
      await click(page, ...THINGS[0]);
      await saidAsNotice(page, /^This browser keeps nothing here: what is made now does not come back after a reload/);
      await page.waitForSelector(".candidates");
    },
    {
      before: (page) =>
        page.addInitScript(`
        const refuse = () => { throw new DOMException("storage is blocked", "SecurityError"); };
        Object.defineProperty(globalThis, "localStorage", { get: refuse });
        IDBFactory.prototype.open = refuse;
        StorageManager.prototype.getDirectory = refuse;
      `),
    },
  );
});

Manners("a checkpoint that was chosen is there after a reload, listed with its size, until it is deleted", async () => {
  await visit(browser, async (page) => {
    const isUsed = (name: string) =>
      page.waitForFunction((name) => document.querySelector(".chip.ready")?.textContent === name, name);
    await chooseFiles(page, checkpoint);
    await isUsed("own.safetensors");
    const row = page.locator(".models li", { hasText: "own.safetensors" });
    await page.keyboard.press("m");
    await row.getByText(/^[1-9]\d* MB kept/).waitFor();
    await page.reload();
    await isUsed("own.safetensors");
    await page.keyboard.press("m");
    await page.locator(".models li").first().getByRole("button", { name: "Use" }).click();
    await isUsed("nano");
    await row.getByRole("button", { name: "Delete" }).click();
    await row.getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    await page.reload();
    await isUsed("nano");
  });
});

Manners("without a camera, or leave to use it, one sentence says so, live and for a still", async () => {
  await visit(browser, async (page) => {
    await click(page, ...THINGS[0]);
    await keptWhen(page, areAnswered(1));
    await page.keyboard.press("o");
    await page.getByRole("button", { name: "Follow live" }).click();
    await saidAsProblem(page, /^There is no camera, or the browser was not allowed to use it\.$/);
    await page.keyboard.press("o");
    await page.getByRole("button", { name: "Take a picture" }).click();
    await page
      .locator("dialog", { hasText: "There is no camera, or the browser was not allowed to use it." })
      .waitFor();
    await page.keyboard.press("Escape");
    assert.is(await page.locator(".row").count(), 1);
  });
});

Manners(
  "where the browser cannot write H.264, an MP4 says what it has inside, and that WebM is the way out",
  async () => {
    await visit(
      browser,
      async (page) => {
        await openClip(page);
        await click(page, 0.5, 0.5);
        await keptWhen(page, areAnswered(1));
        await page.keyboard.press("d");
        const mp4 = page.locator(".kind", { hasText: "MP4" });
        const download = page.waitForEvent("download");
        await mp4.click();
        await download;
        await page
          .locator("dialog")
          .getByText(/This browser cannot write H\.264, so it has (AV1|VP9) inside.*take WebM/)
          .waitFor();
      },
      {
        before: (page) =>
          page.route(/video_worker-[^/]*\.js$/, async (route) => {
            const response = await route.fetch();
            const stub = `const asks = VideoEncoder.isConfigSupported.bind(VideoEncoder);
          VideoEncoder.isConfigSupported = async (config) =>
            /^(avc|hvc|hev)/.test(config.codec) ? { supported: false, config } : asks(config);`;
            await route.fulfill({ response, body: `${stub}\n${await response.text()}` });
          }),
      },
    );
  },
);

runWithChromium(Manners, "studio: in trouble", 10);
