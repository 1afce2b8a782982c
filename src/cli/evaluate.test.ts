import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeVideos } from "../../golden/format_cases.ts";
import { enterFolder, sam2 } from "../../tests/cli_fixture.ts";
import { encodeMaskPng, encodePalettePng } from "../io/masks.ts";
import { encodePng } from "../io/png.ts";

const { leave } = enterFolder();
writeVideos(".");
const PALETTE = ["palette/predicted", "palette/truth"];
const OBJECTS = ["objects/predicted", "objects/truth"];

interface Scores {
  jf: number;
  j: number;
  f: number;
  videos: { name: string; objects: { id: number; j: number; f: number }[] }[];
}

async function scores(...args: string[]): Promise<Scores> {
  const { code, stdout, stderr } = await sam2(["evaluate", ...args, "--json"]);
  assert.is(stderr, "");
  assert.is(code, 0);
  return JSON.parse(stdout);
}

async function fails(message: RegExp, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await sam2(["evaluate", ...args]);
  assert.match(stderr, message);
  assert.is(stderr.split("\n").length, 2, "one line");
  assert.is(stdout, "");
  assert.is(code, 1);
}

let palette: Scores;

const Evaluate = suite("evaluate");
Evaluate.before(async () => {
  palette = await scores(...PALETTE);
});
Evaluate.after(leave);

Evaluate(
  "several videos at once: the same scores for pictures of ids, a folder an object, and one of each",
  async () => {
    const palette = await scores(...PALETTE);
    assert.equal(
      palette.videos.map(({ name, objects }) => [name, objects.map(({ id }) => id)]),
      ["small", "tall", "wide"].map((name) => [name, [1, 2, 3]]),
    );
    assert.is(palette.jf, (palette.j + palette.f) / 2);
    assert.equal(await scores(...OBJECTS), palette);
    assert.equal(await scores("palette/predicted", "objects/truth"), palette);
    assert.equal(await scores("objects/predicted", "palette/truth"), palette);
  },
);

Evaluate("one video: the same as among others", async () => {
  const wide = await scores("palette/predicted/wide", "palette/truth/wide");
  assert.equal(wide.videos, [palette.videos[2]]);
  assert.equal((await scores("objects/predicted/wide", "objects/truth/wide")).videos, wide.videos);
});

Evaluate("the truth against itself is 100, with and without the first and the last frame", async () => {
  for (const more of [[], ["--all-frames"]]) {
    const { jf, j, f } = await scores("palette/truth", "palette/truth", ...more);
    assert.equal({ jf, j, f }, { jf: 100, j: 100, f: 100 });
  }
});

Evaluate("the first and the last frame count only with --all-frames", async () => {
  cpSync("palette/predicted", "ends", { recursive: true });
  for (const frame of ["00000.png", "00006.png"]) {
    writeFileSync(`ends/wide/${frame}`, encodePalettePng(new Uint8Array(300 * 200), 300, 200));
  }
  assert.equal(await scores("ends", "palette/truth"), palette);
  const all = await scores("ends", "palette/truth", "--all-frames");
  assert.ok(all.j < (await scores(...PALETTE, "--all-frames")).j);
});

Evaluate("a folder that sam2 track has written is read by its masks", async () => {
  cpSync("palette/predicted/tall", "runs/tall/masks", { recursive: true });
  cpSync("objects/predicted/tall/001", "runs/tall/masks/1", { recursive: true });
  const want = await scores("palette/predicted/tall", "palette/truth/tall");
  assert.equal(await scores("runs/tall", "palette/truth/tall"), want);
  cpSync("palette/truth/tall", "truths/tall", { recursive: true });
  assert.equal(await scores("runs", "truths"), want);
});

Evaluate("the table has a line an object and the means", async () => {
  const { j, f, jf } = palette;
  const { stdout } = await sam2(["evaluate", ...PALETTE]);
  const lines = stdout.trimEnd().split("\n");
  assert.is(lines.length, 11);
  assert.match(lines[0], /^video +object +J&F +J +F$/);
  assert.match(lines[10], new RegExp(`^all objects +9 +${jf.toFixed(1)} +${j.toFixed(1)} +${f.toFixed(1)}$`));
});

Evaluate("whatever is missing or does not fit is named, and no score is given", async () => {
  const spoil = (layout: string, change: (folder: string) => void) => {
    rmSync("spoilt", { recursive: true, force: true });
    cpSync(`${layout}/predicted`, "spoilt", { recursive: true });
    change("spoilt");
    return ["spoilt", `${layout}/truth`];
  };
  const videoGone = spoil("palette", (folder) => rmSync(`${folder}/tall`, { recursive: true }));
  await fails(/spoilt\/tall: expected masks for every video of the truth, got none; predict it too/, ...videoGone);
  const frameGone = spoil("palette", (folder) => rmSync(`${folder}/tall/00002.png`));
  await fails(/spoilt\/tall\/00002\.png: expected a mask for every frame of the truth, got none/, ...frameGone);
  const objectGone = spoil("objects", (folder) => rmSync(`${folder}/tall/002`, { recursive: true }));
  await fails(/spoilt\/tall\/002: expected a folder for this object of the truth, got none/, ...objectGone);
  const small = spoil("palette", (folder) =>
    writeFileSync(`${folder}/tall/00001.png`, encodePalettePng(new Uint8Array(4), 2, 2)),
  );
  await fails(/spoilt\/tall\/00001\.png: expected a predicted mask of 80×120 pixels, got 2×2/, ...small);
  const rgb = spoil("palette", (folder) => {
    const data = new Uint8Array(80 * 120 * 3);
    writeFileSync(`${folder}/tall/00001.png`, encodePng({ width: 80, height: 120, channels: 3, data }));
  });
  await fails(/tall\/00001\.png: expected a PNG of ids: palette or grey, got 3 samples a pixel/, ...rgb);
  const two = spoil("objects", (folder) => cpSync("palette/truth/tall", `${folder}/tall/002`, { recursive: true }));
  await fails(/tall\/002\/0000\d\.png: expected one object, got ids 1, 2/, ...two);
  await fails(/^sam2: nowhere: expected a folder of masks, got none; check the path/, "nowhere", "palette/truth");
  mkdirSync("empty");
  await fails(/^sam2: empty: expected masks of a video, got no PNG file/, "palette/predicted", "empty");
  await fails(/^sam2: empty: expected the masks of one video, as in the truth/, "empty", "palette/truth/tall");
});

Evaluate("two frames are too few unless all are counted, and black ones have no score", async () => {
  for (const t of [0, 1]) {
    mkdirSync("black", { recursive: true });
    writeFileSync(`black/0000${t}.png`, encodeMaskPng(new Uint8Array(12), 4, 3));
  }
  await fails(/^sam2: black: expected more than two frames, got 2; .*--all-frames/, "black", "black");
  await fails(/^sam2: black: expected an object on the frames that count, got none/, "black", "black", "--all-frames");
});

Evaluate("videos without truth are left out, with a word", async () => {
  cpSync("palette/truth", "fewer", { recursive: true });
  rmSync("fewer/wide", { recursive: true });
  const { code, stdout, stderr } = await sam2(["evaluate", "palette/predicted", "fewer", "--json"]);
  assert.is(code, 0);
  assert.match(stderr, /videos without truth are left out: wide\n$/);
  assert.equal(
    (JSON.parse(stdout) as Scores).videos.map(({ name }) => name),
    ["small", "tall"],
  );
});

Evaluate.run();
