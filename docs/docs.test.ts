// The pages: what they name exists, what they show runs, what they count is so, what they draw is of the model that is here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { clipActivations, photoActivations } from "./activations.ts";
import { agrees, blockFailures, blocksOf } from "./blocks.ts";
import { diarySteps } from "./diary.ts";
import { drawFigures } from "./figures.ts";
import { linkFailure, nameFailures, readNames } from "./names.ts";
import { measure, settings } from "./numbers.ts";
import { diaryEntry, isRounded, numberFailures, proseNumbers } from "./prose.ts";
import { renewSnippets } from "./snippets.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const FIGURE_BYTES = 600 * 1024;
/** The pages that teach; what others say is of other programs, and readme.test.ts follows their links. */
const pages = ["tour.md", "memory.md", "edgetam.md", "kernels.md"];
const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");

const Docs = suite("docs");
const names = await readNames();
const activations = { photo: await photoActivations(), clip: await clipActivations() };
const measured = await measure(activations);

for (const page of pages) {
  Docs(`${page}: every path, symbol, module, shape and link is that of the code`, () => {
    assert.is(nameFailures(join(FOLDER, page), names).join("\n"), "");
  });

  Docs(`${page}: every number is measured, stands in a diary or is a setting of the code`, () => {
    assert.is(numberFailures(read(page), measured, settings()).join("\n"), "");
  });

  Docs(`${page}: lines of the source are as they are there; npm run docs renews them`, () => {
    const quoted = renewSnippets(read(page));
    const lines = quoted.markdown.split("\n");
    const stale = read(page)
      .split("\n")
      .findIndex((line, i) => line !== lines[i]);
    assert.is(stale < 0 ? "" : `line ${stale + 1} is ${lines[stale]}`, "");
    assert.is(quoted.snippets.length, read(page).match(/^```typescript$/gm)?.length ?? 0);
  });

  Docs(`${page}: every block runs and prints what stands below it`, async () => {
    assert.ok(blocksOf(read(page)).length > 0);
    assert.is((await blockFailures(join(FOLDER, page))).join("\n"), "");
  });
}

Docs(
  "figures are drawn from the weights that are here, by the script as it is; npx tsx docs/figures.ts renews them",
  async () => {
    const drawn = await drawFigures(activations);
    for (const [name, svg] of drawn) assert.is(structure(read(`figures/${name}.svg`)), structure(svg), name);
    assert.equal(readdirSync(join(FOLDER, "figures")).sort(), [...drawn.keys()].map((name) => `${name}.svg`).sort());
  },
);

Docs(`figures are shown, each on one page, and have together at most ${FIGURE_BYTES} bytes`, () => {
  const shown = pages.flatMap((page) => [...read(page).matchAll(/\]\(figures\/(.+?)\)/g)].map(([, file]) => file));
  assert.equal(shown.sort(), readdirSync(join(FOLDER, "figures")).sort());
  assert.ok(shown.reduce((sum, file) => sum + read(`figures/${file}`).length, 0) <= FIGURE_BYTES);
});

Docs("README.md: a number that names its source is what stands there", () => {
  const readme = readFileSync(join(FOLDER, "../README.md"), "utf8");
  const named = proseNumbers(readme).filter(({ source }) => source);
  assert.ok(named.length > 0);
  const others = new Set(proseNumbers(readme).flatMap(({ text, source }) => (source ? [] : [text])));
  assert.is(numberFailures(readme, measured, others).join("\n"), "");
});

Docs("all measured numbers are on a page", () => {
  const used = new Set(pages.flatMap((page) => proseNumbers(read(page)).map(({ source }) => source)));
  assert.equal(
    [...measured.keys()].filter((name) => !used.has(name)),
    [],
  );
});

Docs("speeds in the table of kernels.md stand in the diaries that it names", () => {
  const { steps } = diarySteps(read("kernels.md"));
  assert.ok(steps.length > 5);
  for (const { label, speeds, source } of steps) {
    const [kernel, entry] = source.split(" ");
    const text = diaryEntry(kernel, Number(entry));
    for (const value of speeds) {
      assert.match(text, new RegExp(`(^|[^\\d.])${value}($|[^\\d.])`), `${label}: ${value} in ${source}: ${text}`);
    }
  }
});

Docs("entries of diaries that pages name exist", () => {
  for (const [, kernel, entry] of pages.flatMap((page) => [
    ...read(page).matchAll(/`(gemm|attention|axial|math) (\d+)`/g),
  ])) {
    assert.ok(diaryEntry(kernel, Number(entry)), `${kernel} ${entry}`);
  }
});

Docs("the checks find a wrong shape, symbol, file, heading, output and number", () => {
  const [nano] = names.traces;
  assert.not(nano.get("image_encoder.trunk")!.outputs.has("[1, 64, 64, 33]"));
  assert.ok(linkFailure(join(FOLDER, "tour.md"), "../src/model/none.ts"));
  assert.ok(linkFailure(join(FOLDER, "tour.md"), "memory.md#none"));
  assert.is(linkFailure(join(FOLDER, "tour.md"), "memory.md#1-the-frame"), undefined);
  assert.ok(agrees("mask  0.93\n…", "mask 0.93\nmore"));
  assert.not(agrees("mask 0.93", "mask 0.94"));
  assert.ok(agrees("mask 0.93", "mask 0.94", true));
  assert.not(agrees("mask 0.93", "mask 0.95", true));
  assert.not(agrees("mask 0.93", "mask 0.93\nmore"));
  assert.not(agrees("three masks\n…", "one mask\nmore"));
});

Docs("a number that is changed by hand is found, and one without a source", () => {
  const failures = (text: string) => numberFailures(text, new Map([["work", 281.56]]), new Set(["1024"])).length;
  assert.is(failures("It takes 282<!--= work --> GMAC, or 281.6<!--= work -->, at 1024 pixels, in 3 steps."), 0);
  assert.is(failures("It takes 283<!--= work --> GMAC"), 1);
  assert.is(failures("It takes 282<!--= play --> GMAC"), 1);
  assert.is(failures("It takes 282 GMAC at 1,025 pixels"), 2);
  assert.is(failures("- a list\n  `of the code` takes 283<!--= work --> GMAC"), 1);
  assert.is(failures("It reached 120<!--= gemm 2 --> GFLOP/s"), 0);
  assert.is(failures("It reached 121<!--= gemm 2 --> GFLOP/s"), 1);
  assert.ok(isRounded("28,736", 28736));
  assert.ok(isRounded("1.5e-5", 0.0000151));
  assert.not(isRounded("0.97", 0.964));
});

Docs.run();

/** A figure without its numbers and pixels, but with its weights. */
function structure(svg: string): string {
  const model = /<metadata>.*<\/metadata>/.exec(svg)![0];
  const rest = svg
    .replace(model, "")
    .replaceAll(/base64,[^"]*/g, "")
    .replaceAll(/ d="[^"]*"/g, "");
  return model + rest.replaceAll(/<(use|circle|line)[^>]*>/g, "<$1>").replaceAll(/-?\d+(\.\d+)?/g, "#");
}
