// The front page: its commands run and its links lead somewhere. Its TypeScript is run in the packed package by
// tests/package.test.ts, its two first commands by models/nano/report.test.ts and by whoever runs this.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../golden/hash_image.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import { encodeMaskPng } from "../src/io/masks.ts";
import { encodePng } from "../src/io/png.ts";
import { runBlock, sandbox } from "./blocks.ts";
import { linkFailure } from "./names.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "golden/README.md",
  "models/nano/README.md",
  "models/nano/HISTORY.md",
  "bench/peers/README.md",
  "docs/batch.md",
  "docs/bundlers.md",
  "docs/formats.md",
  "docs/serve.md",
  "docs/studio.md",
];
const [WIDTH, HEIGHT] = [960, 640];

const Readme = suite("readme");

for (const page of PAGES) {
  Readme(`${page}: links lead to files and headings that exist`, () => {
    const file = join(ROOT, page);
    const links = [...readFileSync(file, "utf8").matchAll(/\]\(([^)\s]+)\)/g)].map(([, href]) => href);
    assert.is(links.map((href) => linkFailure(file, href) ?? "").join(""), "");
  });
}

Readme("every command of the table runs, with nano for what must be downloaded", async () => {
  const commands = [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/^\| `(sam2 [^`]+)`/gm)]
    .map(([, command]) => command)
    .filter((command) => !/^sam2 (download|serve|studio)/.test(command)); // serve.test.ts and studio.test.ts run the latter
  assert.ok(commands.length >= 5);
  const { folder, remove } = sandbox();
  try {
    const picture = encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data: goldenImage(1, WIDTH, HEIGHT) });
    writeFileSync(join(folder, "photo.jpg"), picture);
    mkdirSync(join(folder, "frames"));
    mkdirSync(join(folder, "truth"));
    const truth = encodeMaskPng(new Uint8Array(WIDTH * HEIGHT).fill(1, 0, 999), WIDTH, HEIGHT);
    for (const frame of [0, 1, 2]) {
      writeFileSync(join(folder, "frames", `${frame}.png`), picture);
      writeFileSync(join(folder, "truth", `${frame}.png`), truth);
    }
    copyFileSync(DEMO_MODEL.url, join(folder, "FILE"));
    for (const command of commands) {
      const code = command.replace("--model tiny", "--model nano").replace(/\[(.*)\]/, "$1");
      const ran = await runBlock({ line: 0, lang: "sh", code }, folder);
      assert.is(ran.code, 0, `${code}\n${ran.all}`);
      assert.ok(ran.all.length > 0, code);
    }
  } finally {
    remove();
  }
});

Readme.run();
