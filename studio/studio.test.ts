// The built page in Chromium, served by `sam2 studio`, by a host that sends no headers, and by nobody.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../golden/hash_image.ts";
import { still } from "../models/nano/scenes.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { decodeImage } from "../src/io/image.ts";
import { encodePng } from "../src/io/png.ts";
import { decodeRle, type Rle } from "../src/io/rle.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { expectBuilt } from "../tests/built.ts";
import { launchChromium, runWithChromium } from "../tests/chromium.ts";
import { PATIENCE_MS } from "../tests/patience.ts";
import { served } from "../tests/served.ts";
import { catchChoosers, chooseFiles } from "./choose_files.ts";
import { keptWhen } from "./kept_document.ts";
import { tellTasks, watchTasks } from "./long_tasks.ts";
import type { Appearance, Document } from "./src/state/document.ts";
import { at, click, openClip, ready, violations } from "./visit.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const site = join(root, "dist/studio");
const command = join(root, "dist/cli/main.js");
const folder = mkdtempSync(join(tmpdir(), "sam2 studio "));
const photo = join(folder, "photo.png");
const KB = 1000;
/** of the page without nano and without kernels, gzipped */
const MOST_BYTES = 400 * KB;

/** of a picture, once clicks are answered */
const HINT = /^(Point at|Click)/;

let browser: Browser;
let server: ChildProcess;
let address: string;

/** A visitor with a browser of their own. */
async function visit(
  use: (page: Page, context: BrowserContext, messages: string[]) => Promise<void>,
  options: Parameters<Browser["newContext"]>[0] = {},
  url = `${address}?kernels=portable`,
): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const page = await context.newPage();
  catchChoosers(page);
  page.setDefaultTimeout(PATIENCE_MS);
  const messages: string[] = [];
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(`${error}`));
  try {
    const tasks = await watchTasks(page);
    await page.goto(url);
    await ready(page, HINT);
    await use(page, context, messages);
    await tellTasks(page, tasks);
  } finally {
    await context.close();
  }
}

async function open(page: Page, file: string): Promise<void> {
  await chooseFiles(page, file);
  await page.waitForFunction((name) => document.querySelector(".stage")?.getAttribute("aria-label")?.startsWith(name), basename(file)); // prettier-ignore
  await ready(page, HINT);
}

const basename = (path: string) => path.split(/[\\/]/).at(-1)!;

/** What the policy says of sending to these addresses, of which the last is forbidden. */
function blocked(page: Page, ...hrefs: string[]): Promise<string[]> {
  return page.evaluate(async (hrefs) => {
    const violations: string[] = [];
    const told = new Promise((resolve) => {
      addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
        violations.push(`${effectiveDirective} ${blockedURI}`);
        if (blockedURI === hrefs.at(-1)) resolve(undefined);
      });
    });
    for (const href of hrefs) await fetch(href, { method: "POST", body: "secret" }).catch(() => {});
    await told;
    return violations;
  }, hrefs);
}

const seen = (doc: Document, index = 0): Appearance => doc.objects[index]?.on[0] ?? {};
const isAnswered = (doc: Document) => doc.objects.length > 0 && seen(doc).found !== undefined;
const area = (rle: Rle) => decodeRle(rle).reduce((sum, value) => sum + value, 0);

const Studio = suite("studio");

Studio.before(async () => {
  expectBuilt();
  setPlatform(nodePlatform);
  const { width, height, data } = still(22, 480);
  writeFileSync(photo, encodePng({ width, height, channels: 3, data }));
  server = spawn(process.execPath, [command, "studio", "--no-open", "--port", "0"]);
  const [printed] = await once(server.stdout!, "data");
  address = `${printed}`.trim();
  browser = await launchChromium();
});

Studio.after(async () => {
  await browser?.close();
  server?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

Studio("the first visit shows a picture and a hint, and a click gives a mask with three candidates", async () => {
  await visit(async (page, _, messages) => {
    assert.match(await page.locator(".hint").innerText(), "Point at something and click");
    await click(page, 0.65, 0.4);
    const doc = await keptWhen(page, isAnswered);
    assert.is(seen(doc).found!.masks.length, 3);
    const covered = area(seen(doc).found!.masks[seen(doc).found!.choice]) / (640 * 640);
    assert.ok(covered > 0.03 && covered < 0.2, `${covered}`);
    assert.is(await page.locator(".candidates [role=radio]").count(), 3);
    assert.is(await page.evaluate(() => crossOriginIsolated), true);
    assert.equal(messages, []);
  });
});

Studio("box, right click, undo, redo, keys 1 to 3, the brush and deleting work together", async () => {
  await visit(async (page) => {
    await page.mouse.move(...(await at(page, 0.52, 0.3)));
    await page.mouse.down();
    await page.mouse.move(...(await at(page, 0.7, 0.5)), { steps: 4 });
    await page.mouse.move(...(await at(page, 0.9, 0.65)));
    await page.mouse.up();
    const boxed = await keptWhen(page, isAnswered);
    assert.is(seen(boxed).found!.masks.length, 1);
    assert.is(seen(boxed).prompt!.box!.length, 4);

    await click(page, 0.8, 0.5, "right");
    const corrected = await keptWhen(page, (doc) => isAnswered(doc) && seen(doc).prompt!.clicks.length === 1 && seen(doc).found!.of !== seen(boxed).found!.of); // prettier-ignore
    assert.is(seen(corrected).prompt!.clicks[0].label, 0);
    await page.keyboard.press("Control+z");
    const undone = await keptWhen(page, (doc) => seen(doc).prompt?.clicks.length === 0);
    assert.equal(seen(undone).found, seen(boxed).found);
    await page.keyboard.press("Control+Shift+z");
    await keptWhen(page, (doc) => seen(doc).prompt?.clicks.length === 1);

    await page.keyboard.press("Enter");
    await click(page, 0.15, 0.48);
    const two = await keptWhen(page, (doc) => doc.objects.length === 2 && isAnswered(doc));
    const other = (seen(two).found!.choice + 1) % 3;
    await page.keyboard.press(`${other + 1}`);
    await keptWhen(page, (doc) => seen(doc).found?.choice === other);

    await page.keyboard.press("b");
    await page.mouse.move(...(await at(page, 0.3, 0.1)));
    await page.mouse.down();
    await page.mouse.move(...(await at(page, 0.4, 0.1)), { steps: 3 });
    await page.mouse.up();
    const painted = await keptWhen(page, (doc) => seen(doc).added !== undefined);
    assert.ok(area(seen(painted).added!) > 64 * 20, `${area(seen(painted).added!)}`);
    await page.keyboard.press("Delete");
    await keptWhen(page, (doc) => doc.objects.length === 1);
  });
});

Studio("clicking a point removes it, dragging moves it, and Escape lets go of the object", async () => {
  await visit(async (page) => {
    await click(page, 0.65, 0.4);
    const first = await keptWhen(page, isAnswered);
    await page.mouse.move(...(await at(page, 0.65, 0.4)));
    await page.mouse.down();
    await page.mouse.move(...(await at(page, 0.6, 0.45)), { steps: 4 });
    await page.mouse.up();
    const moved = await keptWhen(page, (doc) => isAnswered(doc) && seen(doc).found!.of !== seen(first).found!.of);
    assert.ok(Math.abs(seen(moved).prompt!.clicks[0].x - 0.6 * 640) < 2);
    await click(page, 0.6, 0.45);
    await keptWhen(page, (doc) => doc.objects.length === 0);
    assert.match(await page.locator(".hint").innerText(), "Point at something");
  });
});

Studio("everything is found, thresholds answer, and a click takes what is pointed at", async () => {
  await visit(async (page) => {
    await page.keyboard.press("a");
    await page.waitForSelector(".everything .found");
    const count = () => page.locator(".everything .found strong").innerText().then(Number);
    await page.waitForFunction(() => Number(document.querySelector(".everything .found strong")?.textContent) > 3);
    const before = await count();
    await page.locator(".slider input").first().fill("0.95");
    await page.waitForFunction((n) => Number(document.querySelector(".found strong")?.textContent) < n, before);
    for (const k of [1, 0]) await page.locator(".slider input").nth(k).fill("0"); // what is waited for comes with the last
    await page.waitForFunction((n) => Number(document.querySelector(".found strong")?.textContent) > n, before);
    await page.mouse.move(...(await at(page, 0.65, 0.4)));
    await page.waitForFunction(() => /Expected quality/.test(document.querySelector(".everything")?.textContent ?? ""));
    await click(page, 0.65, 0.4);
    const doc = await keptWhen(page, (doc) => doc.objects.length === 1);
    assert.is(seen(doc).found!.by, "everything");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".objects .row");
  });
});

Studio("a cut-out is the picture's pixels where the mask is, and nothing elsewhere", async () => {
  await visit(async (page) => {
    await open(page, photo);
    await click(page, 0.2, 0.75);
    const doc = await keptWhen(page, isAnswered);
    const download = page.waitForEvent("download");
    await page.keyboard.press("s");
    const file = join(folder, "cutout.png");
    await (await download).saveAs(file);
    const cut = await decodeImage(new Uint8Array(readFileSync(file)));
    const { masks, choice } = seen(doc).found!;
    const mask = decodeRle(masks[choice]);
    const picture = still(22, 480);
    const inside = [...mask.keys()].filter((i) => mask[i]);
    const [left, top] = [Math.min(...inside.map((i) => i % 480)), Math.floor(inside[0] / 480)];
    assert.is(cut.width, Math.max(...inside.map((i) => i % 480)) - left + 1);
    const wrong = inside.filter((i) => {
      const to = (Math.floor(i / 480) - top) * cut.width + (i % 480) - left;
      return [0, 1, 2].some((c) => cut.data[3 * to + c] !== picture.data[3 * i + c]);
    });
    assert.is(wrong.length, 0);
  });
});

Studio(
  "looking inside lists the layers of the click, shows what one returns, and its lines of the source",
  async () => {
    await visit(async (page, _, messages) => {
      await click(page, 0.65, 0.4);
      await keptWhen(page, isAnswered);
      await page.keyboard.press("i");
      await page.waitForSelector(".tensors canvas");
      assert.match(await page.locator("dialog").innerText(), /this picture and a click: 1\d\d layers/);
      assert.is(await page.locator(".tensors canvas").count(), 3); // fine, middle, coarse
      await page.click(".layer >> text=Mask decoder");
      await page.waitForSelector(".output h3 >> text=sam_mask_decoder");
      await page.waitForFunction(() => document.querySelectorAll(".tensors .map").length === 3); // of one click
      assert.match(await page.locator(".output").innerText(), "src/model/mask_decoder.ts, line");
      const { width, data } = await page.evaluate(() => {
        const { width, height } = document.querySelector<HTMLCanvasElement>(".tensors .map")!;
        const context = document.querySelector<HTMLCanvasElement>(".tensors .map")!.getContext("2d")!;
        return { width, data: [...context.getImageData(0, 0, width, height).data] };
      });
      const redness = (x: number, y: number) => {
        const i = 4 * (Math.floor(y * width) * width + Math.floor(x * width));
        return data[i] - data[i + 2];
      };
      const [isRed, isBlue] = [redness(0.65, 0.4) > 0, redness(0.1, 0.9) < 0];
      assert.ok(isRed && isBlue, "the mask is red at the click, and blue elsewhere");
      await page.keyboard.press("Escape");
      await page.waitForSelector("dialog", { state: "detached" });
      assert.equal(messages, []);
    });
  },
);

Studio("reloading brings back the photo, its objects and their masks", async () => {
  await visit(async (page) => {
    await open(page, photo);
    await click(page, 0.2, 0.75);
    const before = await keptWhen(page, isAnswered);
    await page.reload();
    await ready(page, HINT);
    assert.is(await page.locator(".objects .row").count(), 1);
    await page.keyboard.press(".");
    assert.equal(seen(await keptWhen(page, isAnswered)), seen(before));
  });
});

Studio("at the first photo the page says that nano knows drawings only, and does so once", async () => {
  await visit(async (page) => {
    await open(page, photo);
    await page.waitForSelector(".offer");
    await page.click(".offer >> text=Not now");
    await open(page, photo);
    assert.is(await page.locator(".offer").count(), 0);
  });
});

Studio(
  "a checkpoint that is chosen is used, and what is none is refused in a sentence while the model stays",
  async () => {
    await visit(async (page) => {
      const choose = async (file: string) => {
        await page.keyboard.press("m");
        await chooseFiles(page, file, () => page.click("text=Choose a file"));
        await page.keyboard.press("Escape");
      };
      const bad = join(folder, "bad.pt");
      writeFileSync(bad, "no checkpoint at all");
      await choose(bad);
      await page.waitForSelector(".problem");
      assert.match(await page.locator(".chip").innerText(), "nano");
      const own = join(folder, "own.safetensors");
      writeFileSync(own, readFileSync(DEMO_MODEL.url));
      await choose(own);
      await page.waitForFunction(() => document.querySelector(".chip.ready")?.textContent?.includes("own.safetensors"));
      await ready(page, HINT);
      await click(page, 0.65, 0.4);
      await keptWhen(page, isAnswered);
    });
  },
);

Studio("a size for the models is offered with the time that it takes here, and is kept", async () => {
  await visit(async (page) => {
    await page.keyboard.press("m");
    const sizes = page.locator(".sizes label");
    await sizes.nth(2).waitFor();
    assert.is(await sizes.count(), 3);
    for (const label of await sizes.all()) assert.match(await label.innerText(), /(about [\d.]+ s a picture|at once)$/);
    const largest = () => page.locator(".models li >> text=about").last().innerText();
    const before = await largest();
    await sizes.nth(2).click();
    await page.waitForFunction((before) => [...document.querySelectorAll(".models .figures")].at(-1)!.textContent !== before, before); // prettier-ignore
    await page.reload();
    await ready(page, HINT);
    await page.keyboard.press("m");
    assert.is(await sizes.nth(2).locator("input").isChecked(), true);
  });
});

Studio("a file that is no picture is refused in a sentence, and what was made stays", async () => {
  await visit(async (page) => {
    await click(page, 0.65, 0.4);
    await keptWhen(page, isAnswered);
    const bad = join(folder, "bad.jpg");
    writeFileSync(bad, goldenImage(1, 10, 10));
    await chooseFiles(page, bad);
    await page.waitForSelector(".problem");
    assert.match(await page.locator(".problem").innerText(), "nothing that this browser can show");
    assert.is(await page.locator(".objects .row").count(), 1);
  });
});

Studio("all of it goes by keyboard: a cross, a click, another object, its name", async () => {
  await visit(async (page) => {
    await page.focus(".stage");
    for (let k = 0; k < 12; k++) await page.keyboard.press("ArrowRight");
    await page.keyboard.press(" ");
    await keptWhen(page, isAnswered);
    await page.focus(".row .name");
    await page.keyboard.press("F2");
    await page.keyboard.type("Moon");
    await page.keyboard.press("Enter");
    await keptWhen(page, (doc) => doc.objects[0]?.name === "Moon");
    await page.focus(".stage");
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    assert.match(await page.locator("dialog").innerText(), "Next object");
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
  });
});

Studio(
  "on a host that sends no headers the first visit computes on one thread, says so, and is isolated after it",
  async () => {
    await served(site, {}, async (url) => {
      const context = await browser.newContext({ serviceWorkers: "block" });
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      await page.goto(`${url}?kernels=portable`);
      await ready(page, HINT);
      assert.is(await page.evaluate(() => crossOriginIsolated), false);
      assert.match(await page.locator(".privacy").innerText(), "one thread");
      assert.equal(await blocked(page, "https://example.invalid/"), ["connect-src https://example.invalid/"]);
      await click(page, 0.65, 0.4);
      await keptWhen(page, isAnswered);
      await context.close();

      const other = await browser.newContext();
      other.setDefaultTimeout(PATIENCE_MS);
      const second = await other.newPage();
      await second.goto(url);
      await second.waitForFunction(() => crossOriginIsolated);
      await other.close();
    });
  },
);

Studio("once it was loaded it works offline", async () => {
  await visit(async (page, context) => {
    const files = readdirSync(site, { recursive: true, encoding: "utf8" });
    const wanted = files.filter((name) => /\.(js|css|wasm|safetensors|html|svg)$/.test(name)).length; // sw.js is not, ./ is
    const keptFiles = () =>
      page.evaluate(async () => {
        const name = (await caches.keys()).find((one) => one.startsWith("sam2-studio"));
        return name ? (await (await caches.open(name)).keys()).length : 0;
      });
    while ((await keptFiles()) < wanted) await page.waitForTimeout(50);
    await context.setOffline(true);
    await page.reload();
    await ready(page, HINT);
    await click(page, 0.65, 0.4);
    await keptWhen(page, isAnswered);
  });
});

Studio("the policy forbids the page to send anything but to where models come from", async () => {
  await visit(async (page) => {
    const there = "https://example.invalid/";
    assert.equal(await blocked(page, "https://huggingface.co/", there), [`connect-src ${there}`]);
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  Studio(`no view violates axe's rules, ${colorScheme}`, async () => {
    await visit(
      async (page) => {
        const expectGood = async (view: string) => assert.equal(await violations(page), [], view);
        await expectGood("first");
        await click(page, 0.65, 0.4);
        await page.waitForSelector(".candidates");
        await expectGood("photo");
        for (const [key, name, sign] of [["?", "help", ""], ["m", "models", ""], ["o", "open", ""], ["i", "inside", ".tensors canvas"]]) {
          await page.keyboard.press(key);
          await page.waitForSelector(`dialog[open] ${sign}`);
          await expectGood(name);
          await page.keyboard.press("Escape");
          await page.waitForSelector("dialog", { state: "detached" });
        } // prettier-ignore
        await page.keyboard.press("a");
        await page.waitForSelector(".everything .found");
        await expectGood("everything");
      },
      { colorScheme },
    );
  });
}

/** Buttons and texts that reach out of the window, and buttons that lie under something; rows of lists may be scrolled away. */
const hidden = (page: Page) =>
  page.evaluate(() => {
    const seen = [...document.querySelectorAll("button, .hint, h2, .privacy")].filter(
      (element) => element.getBoundingClientRect().width > 0 && !element.closest("ul"),
    );
    const hidden = seen.filter((element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) return true;
      const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      return element.matches("button") && !element.contains(there);
    });
    return hidden.map(({ outerHTML }) => outerHTML.slice(0, 120));
  });

Studio(
  "nothing is cut off or overlaps from 390 to 2560 pixels, on a phone that lies, with text twice as large, by a model of a long name",
  async () => {
    const model = join(folder, `${"long-".repeat(24)}.safetensors`);
    writeFileSync(model, readFileSync(DEMO_MODEL.url));
    for (const [width, height, size = ""] of [
      [390, 844],
      [844, 390],
      [768, 800],
      [1280, 800],
      [2560, 800],
      [1280, 800, "30px"],
    ] as const) {
      await visit(
        async (page) => {
          await page.evaluate((size) => void (document.documentElement.style.fontSize = size), size);
          await chooseFiles(page, model);
          await page.waitForFunction(() => document.querySelector(".chip.ready")?.textContent?.startsWith("long-"));
          await ready(page, HINT);
          await click(page, 0.65, 0.4);
          await page.waitForSelector(".candidates");
          assert.equal(await hidden(page), [], `${width} by ${height} ${size}`);
          await page.keyboard.press("Control+z"); // with an object, phones have no room for this button
          await openClip(page);
          await click(page, 0.5, 0.5);
          await page.waitForSelector(".row");
          assert.equal(await hidden(page), [], `a clip, ${width} by ${height} ${size}`);
        },
        { viewport: { width, height } },
      );
    }
  },
);

Studio("all that the page has but nano and the kernels is at most 400 kB, gzipped", () => {
  const files = readdirSync(site, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(js|css|html|svg|wasm)$/.test(name),
  );
  const kernels = ["kernels", "kernels_fma"].map((name) => readFileSync(join(root, `build/${name}.wasm`), "base64")); // as the program has them
  const sizes = [
    ...files.map((name) => gzipSync(readFileSync(join(site, name))).length),
    -gzipSync(kernels.join()).length,
  ];
  const bytes = sizes.reduce((sum, size) => sum + size);
  assert.ok(bytes <= MOST_BYTES, `${bytes} bytes`);
});

Studio(
  "Ctrl-C ends the command with 130; it answers this machine's own names alone, and no file outside of the page",
  async () => {
    const status = async (path: string, headers: Record<string, string> = {}) => {
      const { hostname, port } = new URL(address);
      const { request } = await import("node:http");
      return new Promise<number>((resolve, reject) => {
        request({ host: hostname, port, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on("error", reject)
          .end();
      });
    };
    assert.is(await status("/"), 200);
    assert.is(await status("/../package.json"), 404);
    assert.is(await status("/%2e%2e/%2e%2e/package.json"), 404);
    assert.is(await status("/", { host: "elsewhere.example" }), 403);
    server.kill("SIGINT");
    const [code] = await once(server, "exit");
    assert.is(code, 130);
  },
);

runWithChromium(Studio, "studio", 20);
