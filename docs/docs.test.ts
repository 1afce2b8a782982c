// The pages: what they name exists, what they show runs, what they draw is of the model that is here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { agrees, blockFailures, blocksOf } from "./blocks.ts";
import { diarySteps } from "./diary.ts";
import { drawFigures } from "./figures.ts";
import { linkFailure, nameFailures, readNames } from "./names.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const FIGURE_BYTES = 600 * 1024;
const pages = readdirSync(FOLDER).filter((name) => name.endsWith(".md"));
const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");

const Docs = suite("docs");
const names = await readNames();

for (const page of pages) {
  Docs(`${page}: every path, symbol, module, shape and link is that of the code`, () => {
    assert.is(nameFailures(join(FOLDER, page), names).join("\n"), "");
  });

  Docs(`${page}: every block runs and prints what stands below it, but for numbers`, async () => {
    assert.ok(blocksOf(read(page)).length > 0);
    assert.is((await blockFailures(join(FOLDER, page))).join("\n"), "");
  });
}

Docs(
  "figures are drawn from the weights that are here, by the script as it is; npx tsx docs/figures.ts renews them",
  async () => {
    const drawn = await drawFigures();
    for (const [name, svg] of drawn) assert.is(structure(read(`figures/${name}.svg`)), structure(svg), name);
    assert.equal(readdirSync(join(FOLDER, "figures")).sort(), [...drawn.keys()].map((name) => `${name}.svg`).sort());
  },
);

Docs(`figures are shown, each on one page, and have together at most ${FIGURE_BYTES} bytes`, () => {
  const shown = pages.flatMap((page) => [...read(page).matchAll(/\]\(figures\/(.+?)\)/g)].map(([, file]) => file));
  assert.equal(shown.sort(), readdirSync(join(FOLDER, "figures")).sort());
  assert.ok(shown.reduce((sum, file) => sum + read(`figures/${file}`).length, 0) <= FIGURE_BYTES);
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
  for (const [, kernel, entry] of pages.flatMap((page) => [...read(page).matchAll(/`(gemm|attention|math) (\d+)`/g)])) {
    assert.ok(diaryEntry(kernel, Number(entry)), `${kernel} ${entry}`);
  }
});

Docs("the checks find a wrong shape, symbol, file, heading and output", () => {
  const [nano] = names.traces;
  assert.not(nano.get("image_encoder.trunk")!.outputs.has("[1, 64, 64, 33]"));
  assert.ok(linkFailure(join(FOLDER, "tour.md"), "../src/model/none.ts"));
  assert.ok(linkFailure(join(FOLDER, "tour.md"), "memory.md#none"));
  assert.is(linkFailure(join(FOLDER, "tour.md"), "memory.md#1-the-frame"), undefined);
  assert.ok(agrees("mask 0.93 of 2\n…", "mask 0.41 of 3\nmore"));
  assert.not(agrees("mask 0.93", "mask 0.93\nmore"));
  assert.not(agrees("three masks\n…", "one mask\nmore"));
});

Docs.run();

/** A figure without its numbers and pixels, but with its weights. */
function structure(svg: string): string {
  const model = /<metadata>.*<\/metadata>/.exec(svg)![0];
  const rest = svg.replace(model, "").replaceAll(/base64,[^"]*/g, "");
  return model + rest.replaceAll(/<(use|circle|line)[^>]*>/g, "<$1>").replaceAll(/-?\d+(\.\d+)?/g, "#");
}

/** Entry n of the diary at the head of a kernel; all of it without n. */
function diaryEntry(kernel: string, n: number): string {
  const source = readFileSync(join(FOLDER, `../kernels/${kernel}.ts`), "utf8");
  const head = source.slice(0, source.search(/^[^/]/m)).replaceAll("\n// ", "\n");
  return new RegExp(`^${n}\\. [\\s\\S]*?(?=^\\d+\\. |^\\S.*:$|^[A-Z][a-z]+ |$(?![\\s\\S]))`, "m").exec(head)?.[0] ?? "";
}
