// The built package, bundled by Vite for a page, in Chromium: the same bits as in Node, with threads and without.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build } from "vite";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { ImagePredictor } from "../src/predict/image_predictor.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { type Answer, digestOf, IMAGE, PROMPT } from "./browser/answer.ts";
import { ISOLATED, launchChromium, runWithChromium, withPage } from "./chromium.ts";
import { expectBuilt } from "./built.ts";
import { served } from "./served.ts";
import { goldenImage } from "../golden/hash_image.ts";
import images from "../golden/images.json" with { type: "json" };

const root = fileURLToPath(new URL("..", import.meta.url));
const site = mkdtempSync(join(tmpdir(), "sam2-site-"));
let browser: Browser;
let wanted: string;

/** The page of tests/browser on a server of its own, with `headers`. */
function onPage<R>(headers: Record<string, string>, use: (page: Page, messages: string[]) => Promise<R>): Promise<R> {
  return served(site, headers, (url) =>
    withPage(browser, url, async (page, messages) => {
      await page.waitForFunction("globalThis.answer");
      return use(page, messages);
    }),
  );
}

const Chromium = suite("browser");

Chromium.before(async () => {
  expectBuilt();
  const alias = { "sam2-ts": join(root, "dist/browser/index.js") };
  await build({
    root: join(root, "tests/browser"),
    configFile: false,
    logLevel: "warn",
    resolve: { alias },
    build: { outDir: site, emptyOutDir: true },
  });
  browser = await launchChromium();
  setPlatform(nodePlatform);
  const sam2 = await Sam2.fromPretrained(undefined, { kernels: "portable", threads: 1 });
  const predictor = new ImagePredictor(sam2);
  const { seed, width, height } = IMAGE;
  await predictor.setImage({ width, height, data: goldenImage(seed, width, height) });
  wanted = digestOf(await predictor.predict(PROMPT));
});

Chromium.after(async () => {
  await browser?.close();
  rmSync(site, { recursive: true, force: true });
});

Chromium("an isolated page computes on 3 threads, with the bits of Node", async () => {
  const answer = await onPage(ISOLATED, (page) => page.evaluate<Answer>("answer({ kernels: 'portable', threads: 3 })"));
  assert.is(answer.threads, 3);
  assert.is(answer.digest, wanted);
});

Chromium("any other page computes on one thread, with the bits of Node, and says once why", async () => {
  await onPage({}, async (page, warnings) => {
    const answer = await page.evaluate<Answer>("answer({ kernels: 'portable', threads: 3 })");
    assert.is(answer.threads, 1);
    assert.is(answer.digest, wanted);
    const said = warnings.filter((line) => line.includes("threads: 1 instead of 3"));
    assert.is(said.length, 1, warnings.join("\n"));
  });
});

Chromium("the page goes on while the engine encodes, and an abort rejects before the page's next turn", async () => {
  await onPage(ISOLATED, async (page) => {
    const { turns } = await page.evaluate<Answer>("answer({ kernels: 'portable' })");
    assert.ok(turns > 2, `${turns} turns`);
    assert.is(await page.evaluate<string>("abort()"), "AbortError");
  });
});

Chromium("every image of images.json that has Pillow's pixels in Node has them here", async () => {
  const exact = images.pil.filter((fixture) => !("tolerance" in fixture));
  const files = exact.map(({ file }) => file);
  const pixels = await onPage({}, (page) => page.evaluate<string[]>(`decode(${JSON.stringify(files)})`));
  const differing = exact.filter(({ rgb }, i) => rgb !== pixels[i]);
  assert.is(differing.map(({ name }) => name).join("\n"), "");
});

Chromium("a page whose policy forbids eval segments on threads and decodes JPEG files", async () => {
  const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' data: blob:";
  await onPage({ ...ISOLATED, "content-security-policy": policy }, async (page) => {
    const answer = await page.evaluate<Answer>("answer({ kernels: 'portable', threads: 3 })");
    assert.is(answer.threads, 3);
    assert.is(answer.digest, wanted);
    const jpegs = images.pil.filter(({ file }) => file.startsWith("/9j/")).slice(0, 4);
    assert.is(jpegs.length, 4);
    const pixels = await page.evaluate<string[]>(`decode(${JSON.stringify(jpegs.map(({ file }) => file))})`);
    const sizes = pixels.map((rgb) => rgb.length);
    assert.equal(
      sizes,
      jpegs.map(({ rgb }) => rgb.length),
    );
  });
});

runWithChromium(Chromium, "browser", 6);
