import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  enterFolder,
  type Outcome,
  type RunOptions,
  readBytes,
  sam2,
  smallWeights,
  writeCheckpoint,
  writePhoto,
} from "../../tests/cli_fixture.ts";
import { decodeImage } from "../io/image.ts";
import { encodePng } from "../io/png.ts";
import { decodeRle } from "../io/rle.ts";
import { readSafetensors, type WrittenTensor, writeSafetensors } from "../io/safetensors.ts";
import { bytesSource } from "../io/tensor_file.ts";

const [W, H] = [120, 80];
const { leave } = enterFolder();
writeCheckpoint("small.safetensors", smallWeights());
writePhoto("photo.png", W, H);

const BOLD = "\x1b[1m";
const MODEL = ["--model", "small.safetensors", "--threads", "1"];
const CLICK = ["--point", "40,30"];
const segment = (...args: string[]) => sam2(["segment", "photo.png", ...MODEL, ...args]);

interface Result {
  image: object;
  model: object;
  prompts: {
    multimask: boolean;
    masks: { iou: number; area: number; bbox: number[]; rle: { size: [number, number]; counts: string } }[];
  }[];
  ms: Record<string, number>;
}

async function json(...args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await segment(...args, "--json");
  assert.is(stderr, "");
  assert.is(code, 0);
  return JSON.parse(stdout);
}

/** One line on stderr, nothing on stdout, and no trace in the folder. */
async function fails(code: number, message: RegExp, args: string[], options: RunOptions = {}): Promise<void> {
  const before = readdirSync(".").join();
  const outcome = await sam2(args, options);
  assert.is(outcome.stdout, "");
  assert.match(outcome.stderr, message);
  assert.is(outcome.stderr.split("\n").length, 2, "one line");
  assert.is(outcome.code, code);
  assert.is(readdirSync(".").join(), before);
}

const differ = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  a.length === b.length ? Array.from(a).filter((value, i) => value !== b[i]).length : Number.POSITIVE_INFINITY;

const Segment = suite("segment");
Segment.after(leave);

Segment("a click writes three masks, an overlay and result.json, which lists them, to <file name>.sam2", async () => {
  const { code, stdout, stderr } = await segment(...CLICK);
  assert.is(code, 0);
  assert.is(stderr, "", "progress goes to terminals alone");
  assert.match(stdout, /mask 0_2 {2}predicted IoU/);
  const files = ["mask_0_0.png", "mask_0_1.png", "mask_0_2.png", "overlay.png", "result.json"];
  assert.equal(readdirSync("photo.png.sam2").sort(), files);
  const { prompts, ...more } = JSON.parse(readFileSync("photo.png.sam2/result.json", "utf8")) as Result;
  assert.equal((more as unknown as { files: string[] }).files, files);
  for (const [k, { rle }] of prompts[0].masks.entries()) {
    const png = await decodeImage(readBytes(`photo.png.sam2/mask_0_${k}.png`));
    assert.equal([png.width, png.height], [W, H]);
    const grey = png.data.filter((_, i) => i % 3 === 0);
    assert.is(
      differ(
        grey,
        decodeRle(rle).map((set) => 255 * set),
      ),
      0,
      `mask ${k}: PNG and RLE agree`,
    );
  }
  rmSync("photo.png.sam2", { recursive: true });
});

Segment(
  "--json alone prints one object with the fields of the contract, in their order, and writes no file",
  async () => {
    const result = await json(...CLICK);
    assert.ok(!existsSync("photo.png.sam2"));
    assert.equal(Object.keys(result), ["image", "model", "prompts", "ms"]);
    assert.equal(result.image, { path: "photo.png", width: W, height: H });
    assert.equal(result.model, { name: "small_a", version: "2.1", imageSize: 128 });
    assert.equal(Object.keys(result.ms), ["load", "decode", "encode", "predict", "total"]);
    assert.ok(Object.values(result.ms).every((ms) => ms >= 0));
    for (const { iou, area, bbox, rle } of result.prompts[0].masks) {
      assert.ok(iou >= 0 && iou <= 1);
      const mask = decodeRle(rle);
      assert.equal(rle.size, [H, W]);
      assert.is(
        area,
        mask.reduce((sum, set) => sum + set, 0),
      );
      const xs = [...mask.keys()].filter((i) => mask[i]).map((i) => i % W);
      assert.is(bbox[0], Math.min(...xs));
      assert.is(bbox[2], Math.max(...xs) - Math.min(...xs) + 1);
    }
  },
);

Segment("two runs differ in nothing but ms", async () => {
  const [a, b] = [await json(...CLICK), await json(...CLICK)];
  assert.is(JSON.stringify({ ...a, ms: 0 }), JSON.stringify({ ...b, ms: 0 }));
});

Segment("--json with --out does both, and --quiet prints nothing else", async () => {
  const both = await segment(...CLICK, "--json", "--out", "a/b");
  assert.is(readFileSync("a/b/result.json", "utf8"), both.stdout);
  const quiet = await segment(...CLICK, "--quiet", "--out", "a/c");
  assert.equal([quiet.code, quiet.stdout, quiet.stderr], [0, "", ""]);
  assert.is(differ(readBytes("a/b/mask_0_0.png"), readBytes("a/c/mask_0_0.png")), 0);
  rmSync("a", { recursive: true });
});

Segment("a single click asks for three masks, all else for one, and flags decide otherwise", async () => {
  const counts: [number, boolean, string[]][] = [
    [3, true, CLICK],
    [3, true, ["--point", "40,30,0"]],
    [1, false, [...CLICK, "--point", "90,60,0"]],
    [1, false, ["--box", "10,10,60,50"]],
    [1, false, [...CLICK, "--box", "10,10,60,50"]],
    [1, false, [...CLICK, "--no-multimask"]],
    [3, true, ["--box", "10,10,60,50", "--multimask"]],
  ];
  for (const [count, multimask, flags] of counts) {
    const [prompt] = (await json(...flags)).prompts;
    assert.is(prompt.masks.length, count, flags.join(" "));
    assert.is(prompt.multimask, multimask, flags.join(" "));
  }
});

Segment("labels, boxes and points all change the mask", async () => {
  const flags = [
    ["--point", "40,30,1"],
    ["--point", "40,30,0"],
    ["--point", "70,30"],
    ["--box", "10,10,60,50"],
  ];
  const masks = [];
  for (const prompt of flags) masks.push((await json(...prompt, "--no-multimask")).prompts[0].masks[0].rle.counts);
  assert.is(new Set(masks).size, flags.length);
  assert.is((await json(...CLICK, "--no-multimask")).prompts[0].masks[0].rle.counts, masks[0]);
});

Segment("--save-logits holds low_res_logits [M, h, w] within ±32 and iou_predictions [M]", async () => {
  const { prompts } = await json(...CLICK, "--save-logits", "logits.safetensors");
  const { tensors } = readSafetensors(bytesSource(readBytes("logits.safetensors")));
  assert.equal(
    [...tensors].map(([name, { dtype, shape }]) => [name, dtype, [...shape]]),
    [
      ["iou_predictions", "F32", [3]],
      ["low_res_logits", "F32", [3, 32, 32]],
    ],
  );
  const logits = new Float32Array(3 * 32 * 32);
  tensors.get("low_res_logits")!.read(logits);
  assert.ok(logits.every((value) => Math.abs(value) <= 32));
  const ious = new Float32Array(3);
  tensors.get("iou_predictions")!.read(ious);
  assert.equal(
    [...ious],
    prompts[0].masks.map(({ iou }) => iou),
  );
});

Segment("--mask-input takes the mask of highest IoU, or the one that --mask-index names", async () => {
  const { prompts } = await json(...CLICK, "--save-logits", "logits.safetensors");
  const ious = prompts[0].masks.map(({ iou }) => iou);
  const best = ious.indexOf(Math.max(...ious));
  const refined = async (...flags: string[]) =>
    (await json("--mask-input", "logits.safetensors", ...flags)).prompts[0].masks[0].rle.counts;
  const masks = [
    await refined("--mask-index", "0"),
    await refined("--mask-index", "1"),
    await refined("--mask-index", "2"),
  ];
  assert.is(await refined(), masks[best]);
  assert.is(new Set(masks).size, 3);
  assert.is.not(await refined("--point", "70,30"), masks[best], "it goes with points");
});

Segment("--prompts runs each set as its flags would, and numbers the files and logits from 0", async () => {
  await segment(...CLICK, "--json", "--save-logits", "logits.safetensors");
  const sets = [
    { points: [[40, 30]] },
    {
      points: [
        [40, 30],
        [90, 60],
      ],
      labels: [1, 0],
      box: null,
    },
    { box: [10, 10, 60, 50], multimask: true },
    { maskInput: "logits.safetensors" },
  ];
  writeFileSync("prompts.json", JSON.stringify(sets));
  const { prompts } = await json("--prompts", "prompts.json", "--out", "many", "--save-logits", "many.safetensors");
  const flags = [
    CLICK,
    [...CLICK, "--point", "90,60,0"],
    ["--box", "10,10,60,50", "--multimask"],
    ["--mask-input", "logits.safetensors"],
  ];
  for (const [i, alone] of flags.entries()) assert.equal(prompts[i], (await json(...alone)).prompts[0], `set ${i}`);
  assert.equal(readdirSync("many").sort(), [
    ...["mask_0_0", "mask_0_1", "mask_0_2", "mask_1_0", "mask_2_0", "mask_2_1", "mask_2_2", "mask_3_0"].map(
      (n) => `${n}.png`,
    ),
    ...["overlay.png", "result.json"],
  ]);
  const names = [...readSafetensors(bytesSource(readBytes("many.safetensors"))).tensors.keys()];
  const numbered = (name: string) => sets.map((_, i) => `${name}.${i}`);
  assert.equal(names, [...numbered("iou_predictions"), ...numbered("low_res_logits")]);
  rmSync("many", { recursive: true });
});

Segment("--max-hole-area and --max-sprinkle-area mend the mask", async () => {
  const area = async (...flags: string[]) =>
    (await json(...CLICK, "--no-multimask", ...flags)).prompts[0].masks[0].area;
  const plain = await area();
  assert.ok((await area("--max-hole-area", "1000")) > plain, "holes are filled");
  assert.ok((await area("--max-sprinkle-area", "1000")) < plain, "specks are gone");
});

Segment("--image-size and --kernels reach the model", async () => {
  const small = await json(...CLICK, "--image-size", "64");
  assert.equal(small.model, { name: "small_a", version: "2.1", imageSize: 64 });
  const [auto, portable] = [await json(...CLICK), await json(...CLICK, "--kernels", "portable")];
  const gap = auto.prompts[0].masks.map(({ iou }, k) => Math.abs(iou - portable.prompts[0].masks[k].iou));
  assert.ok(Math.max(...gap) < 1e-4);
});

Segment("wrong usage exits with 2, one line, and how it is done", async () => {
  const photo = ["segment", "photo.png", ...MODEL];
  await fails(2, /got no prompt; e\.g\. sam2 segment photo\.png --point 500,375/, photo);
  await fails(2, /--point: expected x,y or x,y,0 .*, got "1"; e\.g\./, [...photo, "--point", "1"]);
  await fails(2, /--point: .* got "1,2,2"/, [...photo, "--point", "1,2,2"]);
  await fails(2, /--point: .* got "a,0x2"/, [...photo, "--point", "a,0x2"]);
  await fails(2, /--box: expected x0,y0,x1,y1, got "1,2,3"/, [...photo, "--box", "1,2,3"]);
  await fails(2, /--image-size: expected a whole number ≥ 1, got "big"/, [...photo, ...CLICK, "--image-size", "big"]);
  await fails(2, /--threads: expected a whole number ≥ 1, got "0"/, [...photo, ...CLICK, "--threads", "0"]);
  await fails(2, /'--kernels <kind>' argument 'gpu' is invalid/, [...photo, ...CLICK, "--kernels", "gpu"]);
  await fails(2, /config: expected tiny, small, base_plus, large, got "huge"/, [
    ...photo,
    ...CLICK,
    "--config",
    "huge",
  ]);
  await fails(2, /expected --prompts alone/, [...photo, ...CLICK, "--prompts", "prompts.json"]);
  await fails(2, /--mask-index: .* add --mask-input FILE/, [...photo, ...CLICK, "--mask-index", "1"]);
  await fails(2, /unknown option '--pont' \(Did you mean --point\?\); see sam2 segment --help/, [
    ...photo,
    "--pont",
    "1,2",
  ]);
  await fails(2, /unknown command 'segmnt' \(Did you mean segment\?\); see sam2 --help/, ["segmnt"]);
  await fails(2, /missing required argument 'image'; see sam2 segment --help/, ["segment"]);
  await fails(2, /too many arguments/, [...photo, "other.png", ...CLICK]);
});

Segment("what cannot be used exits with 1 and one line that names it", async () => {
  const photo = ["segment", "photo.png", ...MODEL];
  await fails(1, /^sam2: none\.png: expected an image, got ENOENT: no such file or directory; /, [
    "segment",
    "none.png",
    ...CLICK,
  ]);
  await fails(1, /^sam2: small\.safetensors: expected a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file/, [
    "segment",
    "small.safetensors",
    ...CLICK,
  ]);
  await fails(1, /none\.pt: expected a file/, ["segment", "photo.png", ...CLICK, "--model", "none.pt"]);
  await fails(1, /prompt\.points\[0\]: expected x in 0…120, y in 0…80, got \(-1, 900\)/, [
    ...photo,
    "--point",
    "-1,900",
  ]);
  await fails(1, /prompt\.box: expected x0 < x1/, [...photo, "--box", "50,10,10,50"]);
  await fails(1, /imageSize: expected a multiple of 32, got 100/, [...photo, ...CLICK, "--image-size", "100"]);
  await fails(1, /none\.st: expected a safetensors file/, [...photo, "--mask-input", "none.st"]);
  const tiny = ["segment", "photo.png", ...CLICK, "--model", "tiny"];
  await fails(
    1,
    /^sam2: tiny: expected its file at empty.sam2\.1_hiera_tiny\.pt, got none; offline, .*: run sam2 download tiny /,
    tiny,
    {
      env: { SAM2_CACHE: "empty", SAM2_OFFLINE: "1" },
    },
  );
});

Segment("a file of prompts is refused by the name of the entry", async () => {
  const bad: [RegExp, unknown][] = [
    [/bad\.json: expected a prompt or a list of prompts, got \[\]/, []],
    [/bad\.json: expected a prompt or a list of prompts, got 7/, 7],
    [/bad\.json: expected points, a box or a mask, got none/, {}],
    [/bad\.json: expected fields named .*, got "boxes"; write "box"/, { boxes: [[1, 2, 3, 4]] }],
    [/bad\.json: .*got "multimask_output"; write "multimask"/, { points: [[1, 2]], multimask_output: true }],
    [/bad\.json\.points: expected a list of \[x, y\], got \[\{"x":1,"y":2\}\]/, { points: [{ x: 1, y: 2 }] }],
    [/bad\.json: expected maskInput or maskImage, got both/, { maskInput: "a", maskImage: "b" }],
    [/bad\.json\[0\]: expected an object, got 5/, [5]],
    [
      /bad\.json\[1\]: expected fields named points, labels, .* got "point"; write "points"/,
      [{ points: [[1, 2]] }, { point: [1, 2] }],
    ],
    [/bad\.json\[1\]\.points: expected a list of \[x, y\], got \[\[1\]\]/, [{ points: [[1, 2]] }, { points: [[1]] }]],
    [
      /bad\.json\[0\]\.points: expected a list of \[x, y\], got \[\[1,2\],\[1,"2"\]\]/,
      [
        {
          points: [
            [1, 2],
            [1, "2"],
          ],
        },
      ],
    ],
    [/bad\.json\[0\]\.points: expected a list of \[x, y\], got 7/, [{ points: 7 }]],
    [/bad\.json\[0\]\.labels: expected 1 labels, .* got 2/, [{ points: [[1, 2]], labels: [1, 1] }]],
    [/bad\.json\[0\]\.labels: expected 1 \(object\) or 0/, [{ points: [[1, 2]], labels: [3] }]],
    [/bad\.json\[0\]\.box: expected \[x0, y0, x1, y1\]/, [{ box: [1, 2, 3] }]],
    [/bad\.json\[0\]\.multimask: expected true or false, got 1/, [{ points: [[1, 2]], multimask: 1 }]],
    [/bad\.json\[0\]\.maskInput: expected the name of a file/, [{ maskInput: [1] }]],
    [/bad\.json\[0\]: expected points, a box or a mask, got none/, [{}]],
    [/bad\.json\[1\]\.points\[0\]: expected x in 0…120, y in 0…80/, [{ points: [[1, 2]] }, { points: [[500, 2]] }]],
  ];
  for (const [message, prompts] of bad) {
    writeFileSync("bad.json", JSON.stringify(prompts));
    await fails(1, message, ["segment", "photo.png", ...MODEL, "--prompts", "bad.json"]);
  }
  writeFileSync("bad.json", "[{");
  await fails(1, /bad\.json: expected JSON in UTF-8/, ["segment", "photo.png", ...MODEL, "--prompts", "bad.json"]);
});

Segment("a file of logits is refused unless it holds finite masks of the model's size", async () => {
  const write = (tensors: Record<string, WrittenTensor>) =>
    writeFileSync("bad.safetensors", writeSafetensors(new Map(Object.entries(tensors))));
  const refuse = (message: RegExp, ...flags: string[]) =>
    fails(1, message, ["segment", "photo.png", ...MODEL, "--mask-input", "bad.safetensors", ...flags]);
  const logits = (M: number, side: number, value = 1) => ({
    shape: [M, side, side],
    data: new Float32Array(M * side * side).fill(value),
  });
  write({ other: logits(1, 32) });
  await refuse(/expected a tensor low_res_logits \[M, h, w\], got other/);
  write({ low_res_logits: logits(2, 32) });
  await refuse(/expected a tensor iou_predictions \[M\], got low_res_logits/);
  await refuse(/expected a mask index below 2, got 2/, "--mask-index", "2");
  write({ low_res_logits: logits(1, 16) });
  await refuse(/prompt\.maskInput: expected 32×32 logits, got 256 values/);
  write({ low_res_logits: logits(1, 32, Number.NaN) });
  await refuse(/expected finite logits/);
});

Segment("when one file cannot be written, none is left, and no folder; nothing of others is in the way", async () => {
  mkdirSync("taken/result.json", { recursive: true });
  const outcome = await segment(...CLICK, "--out", "new/folder", "--save-logits", "photo.png/logits.safetensors");
  assert.is(outcome.code, 1);
  assert.match(outcome.stderr, /^sam2: photo\.png.logits\.safetensors: expected a file that can be written, got E/);
  assert.ok(!existsSync("new"));
  const late = await segment(...CLICK, "--out", "taken");
  assert.is(late.code, 1);
  assert.match(
    late.stderr,
    /taken.result\.json: expected a file of an earlier run, or none, got one of somebody else's/,
  );
  assert.equal(readdirSync("taken"), ["result.json"]);
  rmSync("taken", { recursive: true });
});

Segment("of an earlier run nothing is left in --out, and files of others stay as they are", async () => {
  await segment(...CLICK, "--out", "again");
  writeFileSync("again/mask_7_0.png", "mine");
  writeFileSync("again/notes.txt", "mine");
  const { code } = await segment("--box", "10,10,60,50", "--cutout", "--out", "again");
  assert.is(code, 0);
  const files = ["cutout_0.png", "mask_0_0.png", "mask_7_0.png", "notes.txt", "overlay.png", "result.json"];
  assert.equal(readdirSync("again").sort(), files);
  assert.is(readFileSync("again/mask_7_0.png", "utf8"), "mine");
  const cutout = readBytes("again/cutout_0.png");
  assert.is(cutout[25], 6, "RGBA");
  writeFileSync("again/cutout_1.png", "mine");
  writeFileSync("two.json", JSON.stringify([{ box: [10, 10, 60, 50] }, { points: [[40, 30]] }]));
  const refused = await segment("--prompts", "two.json", "--cutout", "--out", "again");
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /again.cutout_1\.png: expected a file of an earlier run, or none/);
  assert.ok(existsSync("again/mask_0_0.png"), "what was refused has removed nothing");
  writeFileSync("again/result.json", JSON.stringify({ files: ["notes.txt"] }));
  assert.match(
    (await segment(...CLICK, "--out", "again")).stderr,
    /again.(mask_0_0\.png|result\.json): .*somebody else's/,
  );
  assert.ok(existsSync("again/notes.txt"), "a list of another program's is none of ours");
  rmSync("again", { recursive: true });
});

Segment("one option that may stand once is refused a second time, naming --prompts", async () => {
  const photo = ["segment", "photo.png", ...MODEL];
  const box = ["--box", "10,10,60,50"];
  await fails(2, /--box: expected one of it, got a second; .*--prompts/, [...photo, ...box, ...box]);
  await fails(2, /--mask-input: .*--prompts/, [...photo, "--mask-input", "a", "--mask-input", "b"]);
  await fails(2, /--mask-input or --mask-image, got both/, [...photo, "--mask-input", "a", "--mask-image", "b"]);
});

Segment("a name comes back, one object is a list of one, and paths are relative to the file of prompts", async () => {
  await segment(...CLICK, "--json", "--save-logits", "kept/logits.safetensors");
  writeFileSync("kept/one.json", JSON.stringify({ maskInput: "logits.safetensors", name: "left door" }));
  const { prompts } = await json("--prompts", "kept/one.json");
  assert.equal(Object.keys(prompts[0]), ["name", "multimask", "masks"]);
  assert.is((prompts[0] as unknown as { name: string }).name, "left door");
  rmSync("kept", { recursive: true });
});

Segment("--mask-image is a mask prompt of any resolution, and how it was read is said", async () => {
  const disc = (w: number, h: number, inside: number) =>
    Uint8Array.from({ length: w * h }, (_, i) =>
      Math.hypot((i % w) / w - 0.3, Math.floor(i / w) / h - 0.4) < 0.2 ? inside : 0,
    );
  writeFileSync("disc.png", encodePng({ width: W, height: H, channels: 1, data: disc(W, H, 255) }));
  writeFileSync("grey.png", encodePng({ width: 3 * W, height: 3 * H, channels: 1, data: disc(3 * W, 3 * H, 200) }));
  writeFileSync("square.png", encodePng({ width: H, height: H, channels: 1, data: disc(H, H, 255) }));
  const plain = await json("--mask-image", "disc.png");
  const grey = await segment("--mask-image", "grey.png", "--json");
  assert.is(grey.stderr, "sam2: grey.png: read by its brightness: half of white and above is the object\n");
  const [a, b] = [plain, JSON.parse(grey.stdout) as Result].map((r) => decodeRle(r.prompts[0].masks[0].rle));
  assert.ok(differ(a, b) < 0.05 * W * H, `${differ(a, b)} pixels`);
  assert.is.not(plain.prompts[0].masks[0].rle.counts, (await json(...CLICK)).prompts[0].masks[0].rle.counts);
  await fails(1, /maskImage: expected a mask of the shape of 120×80, got 80×80/, [
    ...["segment", "photo.png", ...MODEL, "--mask-image", "square.png"],
  ]);
});

Segment("an address is read as a file is, and what cannot be had is told in one line", async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/photo.png" ? 200 : 404;
    response.end(request.url === "/photo.png" ? readFileSync("photo.png") : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stdout } = await sam2(["segment", `${base}/photo.png`, ...MODEL, ...CLICK, "--json"]);
  assert.is(code, 0);
  const { image, prompts } = JSON.parse(stdout) as Result;
  assert.equal(image, { path: `${base}/photo.png`, width: W, height: H });
  assert.equal(prompts, (await json(...CLICK)).prompts);
  await fails(1, /other\.png: expected the file, got HTTP status 404/, [
    "segment",
    `${base}/other.png`,
    ...MODEL,
    ...CLICK,
  ]);
  await new Promise((resolve) => server.close(resolve));
  await fails(1, /photo\.png: expected an answer, got none \(ECONNREFUSED/, [
    "segment",
    `${base}/photo.png`,
    ...MODEL,
    ...CLICK,
  ]);
});

Segment("an aborted run exits with 130 and leaves nothing", async () => {
  await fails(130, /^sam2: interrupted\n/, ["segment", "photo.png", ...MODEL, ...CLICK], {
    signal: AbortSignal.abort(),
  });
});

Segment("a terminal sees progress on stderr and colours on stdout, but for NO_COLOR", async () => {
  const args = ["segment", "photo.png", ...MODEL, ...CLICK, "--out", "seen"];
  const shown: Outcome = await sam2(args, { columns: 100 });
  assert.match(shown.stderr, /loading small\.safetensors/);
  assert.ok(shown.stderr.endsWith("\r\x1b[K"), "and the line is cleared");
  assert.ok(shown.stdout.includes(BOLD));
  const plain = await sam2(args, { columns: 100, env: { NO_COLOR: "1" } });
  assert.not.ok(plain.stdout.includes(BOLD));
  rmSync("seen", { recursive: true });
});

Segment("--debug adds the stack, and only then is there one", async () => {
  const args = ["segment", "none.png", ...CLICK];
  assert.not.match((await sam2(args)).stderr, /\n {4}at /);
  assert.match((await sam2([...args, "--debug"])).stderr, /\n {4}at /);
});

Segment("--version and --help go to stdout with 0; no command shows the help on stderr with 2", async () => {
  const version = await sam2(["--version"]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  for (const args of [["--help"], ["segment", "--help"], ["help", "info"], ["trace", "-h"], ["download", "--help"]]) {
    const help = await sam2(args);
    assert.equal([help.code, help.stderr], [0, ""], args.join(" "));
    assert.match(help.stdout, /Usage: sam2/);
    assert.match(help.stdout, /sam2 (segment|info|trace|download) \S+ /, `${args.join(" ")} has examples`);
  }
  const bare = await sam2([]);
  assert.is(bare.code, 2);
  assert.is(bare.stdout, "");
  assert.match(bare.stderr, /Usage: sam2/);
});

const source = fileURLToPath(new URL("main.ts", import.meta.url));
const tsx = fileURLToPath(import.meta.resolve("tsx"));

Segment("as a process: JSON on stdout, exit codes 0, 1 and 2", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", `file://${tsx}`, source, "segment", ...args], { encoding: "utf8" });
  const piped = spawnSync(
    process.execPath,
    ["--import", `file://${tsx}`, source, "segment", "-", ...MODEL, ...CLICK, "--json"],
    { encoding: "utf8", input: readBytes("photo.png") },
  );
  assert.equal([piped.status, JSON.parse(piped.stdout).image], [0, { path: "-", width: W, height: H }]);
  const good = run("photo.png", ...MODEL, ...CLICK, "--json");
  assert.is(good.stderr, "");
  assert.is(good.status, 0);
  assert.is((JSON.parse(good.stdout) as Result).prompts[0].masks.length, 3);
  assert.is(run("none.png", ...CLICK).status, 1);
  assert.is(run("photo.png").status, 2);
});

Segment("thirty masks of a large photo take no more memory than four", () => {
  const side = 1800;
  writePhoto("large.png", side, side);
  const tell = `data:text/javascript,process.on("exit",()=>console.error(process.resourceUsage().maxRSS))`;
  const peak = (prompts: number) => {
    const sets = Array.from({ length: prompts }, (_, i) => ({ box: [30 * i, 20 * i, 30 * i + 500, 20 * i + 700] }));
    writeFileSync("many.json", JSON.stringify(sets));
    const args = ["segment", "large.png", ...MODEL, "--prompts", "many.json", "--out", "many"];
    const run = spawnSync(process.execPath, ["--import", tell, "--import", `file://${tsx}`, source, ...args], {
      encoding: "utf8",
    });
    assert.is(run.status, 0, run.stderr);
    return Number(run.stderr.trim().split("\n").at(-1)) / 1000;
  };
  const [few, many] = [peak(4), peak(30)];
  const held = (26 * side * side) / 1e6;
  assert.ok(many - few < held / 2, `${few} and ${many} MB; masks that are held would be ${held} MB more`);
});

const built = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

(existsSync(built) ? Segment : Segment.skip)("as the built command: Ctrl-C ends a computation, with 130", async () => {
  const args = [built, "segment", "photo.png", ...MODEL, ...CLICK, "--image-size", "2048", "--kernels", "portable"];
  let stderr = "";
  let code: number | null = null;
  for (let [wait, tries] = [2000, 0]; code !== 130 && tries < 8; wait *= code === null ? 2 : 0.5, tries++) {
    rmSync("photo.png.sam2", { recursive: true, force: true });
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
    await new Promise((resolve) => setTimeout(resolve, wait)); // by then it computes, for seconds to come
    child.kill("SIGINT");
    code = await exit; // null: the machine was so busy that it had not begun to listen; 0: so fast that it had ended
  }
  assert.is(code, 130);
  assert.is(stderr, "sam2: interrupted\n");
  assert.ok(!existsSync("photo.png.sam2"));
});

Segment.run();
