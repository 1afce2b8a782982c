// The demo's report: opens from disk in Chromium, small and large, light and dark, and shows the figures that were found.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { launchChromium, runWithChromium, withPage } from "../../tests/chromium.ts";
import { PATIENCE_MS } from "../../tests/patience.ts";
import { demo } from "./demo.ts";
import { bestIous, START } from "./everything.ts";
import type { Figures } from "./figures.ts";
import { isOfTheseWeights } from "./layers.ts";
import { farthest } from "./report/layer_table.ts";

const MOST_BYTES = 3_000_000;
/** Of PyTorch's standard deviation; measured: 4.2e-6. */
const PARITY = 1e-4;
const VIEWS = [390, 1280].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ viewport: { width, height: 800 }, colorScheme })),
);

/** In the page: what reaches beyond its right edge and is in no box that scrolls. */
const OVERFLOWING = `[...document.body.querySelectorAll("*")]
  .filter((element) => !element.closest(".scroll, pre, .shared, .visually-hidden"))
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 80))`;

const folder = mkdtempSync(join(tmpdir(), "sam2-demo-"));
const file = join(folder, "report.html");
const said: string[] = [];
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const figures = await demoFigures();
let browser: Browser;

const Report = suite("report");

Report("the clip has 60 frames, two objects that start in sight, one of which is wholly covered and returns", () => {
  const { frames, objects } = figures.clip;
  assert.is(frames.length, 60);
  assert.is(objects.length, 2);
  for (const { present, found, j, score } of objects) {
    assert.ok(present[0]);
    assert.is(found.length, 60);
    assert.ok(j.every((value) => value >= 0 && value <= 1));
    assert.ok(score.every(Number.isFinite));
  }
  const [hero, other] = objects;
  const gone = hero.present.indexOf(false);
  assert.ok(gone > 0 && hero.present.lastIndexOf(true) > gone);
  assert.not(other.present.includes(false));
});

Report("a click finds its object on frame 0: J of at least 0.4", () => {
  for (const { code, j } of figures.clip.objects) assert.ok(j[0] >= 0.4, `object ${code}: ${j[0]}`);
});

Report(`layers are those of PyTorch: |Δ| ≤ ${PARITY} σ`, () => {
  assert.ok(isOfTheseWeights(), "run: python golden/reference/export_nano_layers.py");
  const { share, compared, path } = farthest(figures.layers)!;
  assert.ok(share <= PARITY, `${path}: ${share} σ`);
  assert.ok(compared >= figures.layers.length - 1, `${compared} of ${figures.layers.length} layers compared`);
});

Report("the console shows a line for each question and each object", () => {
  for (const { name, iou } of figures.asked) {
    assert.ok(
      said.some((line) => line.startsWith(`  ${name} `) && line.includes(iou.toFixed(3))),
      name,
    );
  }
  for (const { code, name, summary } of figures.clip.objects) {
    assert.ok(
      said.some((line) => line.startsWith(`  ${code} ${name} `) && line.includes(summary.j.toFixed(3))),
      name,
    );
  }
});

Report("everything finds most objects, and lower thresholds never find fewer masks than the highest", () => {
  const { selected, truths } = figures.everything;
  const [i, j] = START;
  const found = bestIous(figures.everything, selected[i][j]).filter((iou) => iou >= 0.5).length;
  assert.ok(found >= truths.length / 2, `${found} of ${truths.length}`);
  assert.ok(selected[0][0].length > selected.at(-1)!.at(-1)!.length);
});

Report(`the report has at most ${MOST_BYTES / 1e6} MB and refers to nothing outside of it`, () => {
  assert.ok(statSync(file).size <= MOST_BYTES, `${statSync(file).size} bytes`);
  const addresses = readFileSync(file, "utf8").matchAll(
    /\b(?:src|href|url)\s*[=(]\s*["']?(?!data:|#|\$\{)([^"')\s>]+)/g,
  );
  assert.is(
    [...addresses]
      .map(([, address]) => address)
      .filter((address) => /[/:]/.test(address))
      .join("\n"),
    "",
  );
});

Report.run();

const InChromium = suite("report in Chromium");

InChromium.before(async () => {
  browser = await launchChromium();
});
InChromium.after(async () => {
  await browser.close();
});

for (const view of VIEWS) {
  InChromium(
    `${view.viewport.width} px, ${view.colorScheme}: nothing overflows, the console is silent, the clip plays`,
    async () => {
      await onPage(view, async (page, messages) => {
        assert.is(await page.evaluate("document.documentElement.scrollWidth"), view.viewport.width);
        assert.equal(await page.evaluate(OVERFLOWING), []);
        await plays(page);
        await page.click("#open-all");
        assert.is(await page.evaluate("document.documentElement.scrollWidth"), view.viewport.width);
        assert.equal(messages, []);
      });
    },
  );
}

InChromium("light and dark differ", async () => {
  const grounds: unknown[] = [];
  for (const view of VIEWS.slice(0, 2)) {
    await onPage(view, async (page) =>
      grounds.push(await page.evaluate("getComputedStyle(document.body).backgroundColor")),
    );
  }
  assert.is.not(grounds[0], grounds[1]);
});

InChromium("with reduced motion the clip stands still until it is played", async () => {
  await onPage({ ...VIEWS[0], reducedMotion: "reduce" }, async (page) => {
    await page.waitForTimeout(300);
    assert.is(await page.inputValue("#seek"), "0");
    await page.click("#play");
    await plays(page);
    assert.is(await page.textContent("#play"), "pause");
  });
});

InChromium("answers, objects and layers show the figures that were found", async () => {
  await onPage({ ...VIEWS[2], reducedMotion: "reduce" }, async (page) => {
    for (const { name, iou, guess, ms } of figures.asked) {
      const row = await figuresIn(page, `.answers tr[data-name="${name}"]`);
      assert.equal(row, { iou: [iou, iou.toFixed(3)], guess: [guess, guess.toFixed(3)], ms: [ms, ms.toFixed(0)] });
      assert.equal(await figuresIn(page, `figure[data-name="${name}"]`), { iou: [iou, iou.toFixed(3)] });
    }
    for (const { code, summary, j, score } of figures.clip.objects) {
      const card = await figuresIn(page, `[data-object="${code}"]`);
      assert.equal(card.j, [summary.j, summary.j.toFixed(3)]);
      assert.equal(card.sign, [summary.sign, `${(100 * summary.sign).toFixed(0)} %`]);
      await page.evaluate("show(40)");
      const readout = await page.textContent(`[data-object="${code}"] .readout`);
      assert.ok(readout!.includes(`J ${j[40].toFixed(3)}; score ${score[40] > 0 ? "+" : "−"}`), `${readout}`);
    }
    const rows = page.locator("#layer-table tbody tr");
    assert.is(await rows.count(), figures.layers.length);
    for (const [i, { path, ms, gmac, maxAbs }] of figures.layers.entries()) {
      if (i % 20 > 0) continue;
      assert.is(await rows.nth(i).getAttribute("data-path"), path);
      const row = await figuresIn(page, `#layer-table tbody tr:nth-child(${i + 1})`);
      assert.equal([row.ms[0], row.gmac[0], row.maxAbs?.[0]], [ms, gmac, maxAbs]);
    }
  });
});

InChromium("the thresholds of everything choose masks, and the best of them for each object, from disk", async () => {
  const { everything } = figures;
  await onPage({ ...VIEWS[2], reducedMotion: "reduce" }, async (page, messages) => {
    const expectChoice = async (i: number, j: number) => {
      const chosen = everything.selected[i][j];
      const visible = await page
        .locator("#everything .masks path")
        .evaluateAll((all) => all.flatMap((one, k) => (getComputedStyle(one).display === "none" ? [] : [k])));
      assert.equal(visible, chosen);
      const ious = bestIous(everything, chosen);
      const shown = await figuresIn(page, "#everything .best");
      assert.equal(
        Object.values(shown),
        ious.map((iou) => [iou, iou.toFixed(3)]),
      );
      const hits = ious.filter((iou) => iou >= 0.5).length;
      const readout = await page.textContent("#everything .readout");
      assert.ok(readout!.startsWith(`${chosen.length} masks; ${hits} of ${ious.length} objects found`), `${readout}`);
    };
    await expectChoice(...START);
    await page.focus("#pred-iou");
    await page.keyboard.press("Home");
    await page.focus("#stability");
    await page.keyboard.press("Home");
    await expectChoice(0, 0);
    await page.keyboard.press("End");
    await expectChoice(0, everything.stabilityThreshs.length - 1);
    await page.uncheck("#everything-truth");
    assert.is(await page.locator("#everything .truth:visible").count(), 0);
    assert.equal(messages, []);
  });
});

InChromium("a branch of the layers opens and closes", async () => {
  await onPage({ ...VIEWS[2], reducedMotion: "reduce" }, async (page) => {
    const shown = () => page.locator("#layer-table tbody tr:visible").count();
    await page.click("#open-all");
    assert.is(await shown(), figures.layers.length);
    await page.click("#close-all");
    const roots = await shown();
    await page.click("#layer-table tbody tr:visible button");
    assert.ok((await shown()) > roots);
  });
});

runWithChromium(InChromium, "report in Chromium", VIEWS.length + 5);

/** What the demo found; what it says is kept in `said`. */
async function demoFigures(): Promise<Figures> {
  const { log, warn } = console;
  console.log = (line) => said.push(line);
  console.warn = () => {}; // that the model is nano
  try {
    return await demo(folder);
  } finally {
    Object.assign(console, { log, warn });
  }
}

/** Waits for the clip to move. (`waitForFunction` evaluates text in the page, which its content policy forbids.) */
async function plays(page: Page): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (Number(await page.inputValue("#seek")) <= 1) {
    assert.ok(performance.now() < end, "the clip stands still");
    await page.waitForTimeout(20);
  }
}

async function onPage(
  options: Parameters<Browser["newPage"]>[0],
  use: (page: Page, messages: string[]) => Promise<unknown>,
): Promise<void> {
  await withPage(
    browser,
    "about:blank",
    async (page, messages) => {
      page.on("request", (request) => /^(file|data):/.test(request.url()) || messages.push(request.url()));
      await page.goto(pathToFileURL(file).href);
      await use(page, messages);
    },
    options,
  );
}

/** Exact value and text of each figure inside of an element, by name. */
async function figuresIn(page: Page, selector: string): Promise<Record<string, [value: number, text: string]>> {
  const found = await page
    .locator(`${selector} data`)
    .evaluateAll((all) =>
      (all as HTMLDataElement[]).map((one) => [one.dataset.figure!, [Number(one.value), one.textContent!]] as const),
    );
  return Object.fromEntries(found) as Record<string, [number, string]>;
}
