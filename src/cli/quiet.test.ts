// --quiet in every command: what is guessed and how far it has come stays unsaid; errors are said all the same.
import { mkdirSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../../golden/hash_image.ts";
import { enterFolder, sam2, smallWeights, writeCheckpoint } from "../../tests/cli_fixture.ts";
import { drawPng } from "../../tests/pictures.ts";
import { encodeMaskPng } from "../io/masks.ts";

const [W, H] = [64, 48];
const { leave } = enterFolder();
writeCheckpoint("small.safetensors", smallWeights());
const square = new Uint8Array(W * H).fill(1, 0, 700);

/** Samples of so many bits in a 16-bit picture: they are stretched, and that is said. */
function drawDeep(path: string, bits: number): void {
  const samples = goldenImage(1, W, H).map((_, i, all) => all[3 * (i % (W * H))]);
  const deep = Uint16Array.from(samples.subarray(0, W * H), (v) => (v << (bits - 8)) | (v >> (16 - bits)));
  deep[0] = 2 ** bits - 1;
  writeFileSync(path, drawPng({ width: W, height: H, samples: deep }, { depth: 16, colour: "grey" }));
}
for (const [folder, bits] of [
  ["quiet", 12],
  ["loud", 10],
] as const) {
  mkdirSync(folder);
  for (const t of [0, 1]) drawDeep(`${folder}/${t}.png`, bits);
}
writeFileSync("alpha.png", drawPng({ width: W, height: H, samples: square }, { depth: 8, colour: "grey" }));
for (const [folder, videos] of [
  ["truth", ["a"]],
  ["predicted", ["a", "b"]],
] as const) {
  for (const video of videos) {
    mkdirSync(`${folder}/${video}`, { recursive: true });
    for (const t of [0, 1, 2]) writeFileSync(`${folder}/${video}/0000${t}.png`, encodeMaskPng(square, W, H));
  }
}

const SMALL = ["--model", "small.safetensors"];
const MANY = ["--threads", "99"];
const TRACK = ["--object", "1", "--mask", "alpha.png", "--max-frames", "1"];
/** A command line with the name of a folder of pictures, and what it says of them. */
const COMMANDS: [name: string, args: (folder: string) => string[], said: RegExp | undefined][] = [
  ["segment", (f) => ["segment", `${f}/0.png`, "--point", "20,15", ...MANY], /no model was named.*nano/],
  [
    "segment",
    (f) => ["segment", `${f}/0.png`, "--point", "20,15", ...SMALL],
    /0\.png: 16-bit samples that fit 10 bits/,
  ],
  [
    "everything",
    (f) => ["everything", `${f}/0.png`, `${f}/1.png`, "--points-per-side", "1", ...SMALL],
    /16-bit samples/,
  ],
  ["track", (f) => ["track", f, ...SMALL, ...TRACK], /alpha\.png: .*[^]*16-bit samples that fit 10 bits/],
  ["trace", (f) => ["trace", "small.safetensors", `${f}/0.png`], undefined],
  ["info", () => ["info", "small.safetensors"], undefined],
  ["evaluate", () => ["evaluate", "predicted", "truth", "--all-frames"], /videos without truth are left out: b/],
];

const Quiet = suite("--quiet");
Quiet.after(leave);

const warn = console.warn;
Quiet.before.each(() => {
  console.warn = (text: string) => assert.unreachable(`the console was told: ${text}`);
});
Quiet.after.each(() => {
  console.warn = warn;
});

// The package says some things once: so first those to whom nothing is said.
for (const [name, args] of COMMANDS) {
  Quiet(`${name} says nothing to a terminal`, async () => {
    const { code, stderr } = await sam2([...args("quiet"), "--quiet"], { columns: 100 });
    assert.equal([code, stderr], [0, ""], stderr);
  });
}

for (const [name, args, said] of COMMANDS) {
  if (!said) continue;
  Quiet(`${name} says ${said} on stderr without it`, async () => {
    const { code, stderr } = await sam2(args("loud"));
    assert.is(code, 0, stderr);
    assert.match(stderr, said);
  });
}

Quiet("errors are said", async () => {
  for (const [name, args] of COMMANDS) {
    const [first] = args("nowhere");
    const { code, stderr } = await sam2([first, "nowhere", "--quiet", ...args("nowhere").slice(2)]);
    assert.is(code, 1, `${name}: ${stderr}`);
    assert.match(stderr, /^sam2: .*nowhere/);
  }
});

Quiet.run();
