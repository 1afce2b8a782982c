// The built package, bundled by Vite for a page, in Chromium: the same bits as in Node, with threads and without.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build } from "vite";
import { encodePng } from "../src/io/png.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { ImagePredictor } from "../src/predict/image_predictor.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { type Answer, digestOf, FILM, IMAGE, PICTURE, PROMPT, type Live, type Tracked } from "./browser/answer.ts";
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
  const data = goldenImage(seed, width, height);
  mkdirSync(join(site, dirname(PICTURE)));
  writeFileSync(join(site, PICTURE), encodePng({ width, height, channels: 3, data }));
  await predictor.setImage({ width, height, data });
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

Chromium(
  "an image in every form that a page may hold it, an address relative to the document too, is the same",
  async () => {
    const digests = await onPage({}, (page) => page.evaluate<Record<string, string>>("imagesOfAllKinds()"));
    assert.ok(Object.keys(digests).length >= 19, `${Object.keys(digests)}`);
    const differing = Object.entries(digests).filter(([, digest]) => digest !== wanted);
    assert.equal(differing, []);
  },
);

Chromium(
  "frames in every form give the same masks; a stream's VideoFrames are closed, all others left open",
  async () => {
    const films = await onPage({}, (page) => page.evaluate<Record<string, Tracked>>("filmsOfAllKinds()"));
    const form = (kind: string) => (/list/.test(kind) ? "list" : "stream"); // whose length is not known
    for (const [kind, film] of Object.entries(films)) {
      assert.is(new Set(film.masks).size, FILM.frames, `${film.masks}`);
      assert.equal(film.masks, films[`a ${form(kind)} of ImageData`].masks, kind);
      const isClosed = /(stream|Stream) of VideoFrames/.test(kind);
      const canClose = /VideoFrame|ImageBitmap/.test(kind);
      assert.equal([film.made, film.open], [canClose ? FILM.frames : 0, canClose && !isClosed ? FILM.frames : 0], kind);
    }
  },
);

Chromium("of a camera the latest frames are looked at; those that are dropped are closed", async () => {
  const { arrivals, came, open } = await onPage({}, (page) => page.evaluate<Live>("live()"));
  assert.is(arrivals.length, 5);
  assert.ok(
    arrivals.every((arrival, i) => arrival !== undefined && (i === 0 || arrival > arrivals[i - 1]!)),
    `${arrivals}`,
  );
  assert.ok(came > arrivals.length, `${came} frames came`);
  assert.is(open, 0);
});

Chromium(
  "an AVIF file is decoded by the browser; TIFF, HEIC and video files are refused by saying what to do",
  async () => {
    await onPage({}, async (page) => {
      const avif = images.installed.find(({ name }) => name.startsWith("AVIF"))!;
      const [pixels] = await page.evaluate<string[]>(`decode(["${avif.file}"])`);
      const [got, want] = [pixels, avif.rgb].map((text) => Buffer.from(text, "base64"));
      assert.is(got.length, want.length);
      assert.ok(got.every((byte, i) => Math.abs(byte - want[i]) <= 2));
      const refusal = (what: object) => page.evaluate<string>(`refusalOf(${JSON.stringify(what)})`);
      const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
      assert.match(await refusal({ base64: base64("II*\0\x08\0\0\0") }), /^ImageError: .* in a page pass its pixels/);
      assert.match(
        await refusal({ base64: base64("\0\0\0\x18ftypheic") }),
        /^ImageError: .*HEIC file; convert it to JPEG/,
      );
      assert.match(await refusal({ video: "clip.mp4" }), /clip\.mp4: expected .*, got .*; .*VideoFrame/);
    });
  },
);

runWithChromium(Chromium, "browser", 9);
