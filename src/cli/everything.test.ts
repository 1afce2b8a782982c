// sam2 everything: what it prints and writes, for one picture and for several. The masks are those of golden/amg.test.ts.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { enterFolder, readBytes, type RunOptions, sam2 } from "../../tests/cli_fixture.ts";
import { AutomaticMaskGenerator } from "../predict/automatic_masks.ts";
import { Sam2 } from "../predict/sam2.ts";
import { DEMO_MODEL } from "../io/demo_model.ts";
import { decodeImage } from "../io/image.ts";
import type { Pixels } from "../io/pixels.ts";
import { decodePng, encodePng } from "../io/png.ts";
import { decodeRle, rleArea } from "../io/rle.ts";
import type { EverythingResult } from "./everything_result.ts";

const [W, H] = [160, 120];
const SMALL = 96;
const { leave } = enterFolder();
writeFileSync("photo.png", encodePng(discs(W, H)));
mkdirSync("other");
writeFileSync("other/photo.png", encodePng(discs(SMALL, SMALL)));
writeFileSync("bad.png", "no picture");

const MODEL = ["--model", "nano", "--threads", "1"];
const FEW = ["--points-per-side", "5", "--pred-iou-thresh", "0.6", "--stability-score-thresh", "0.7"];
const everything = (pictures: string[], args: string[] = [], options?: RunOptions) =>
  sam2(["everything", ...pictures, ...MODEL, ...FEW, ...args], options);

const linesOf = (stdout: string): EverythingResult[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

async function json(...args: string[]): Promise<EverythingResult> {
  const { code, stdout, stderr } = await everything(["photo.png"], [...args, "--json"]);
  assert.equal([code, stderr], [0, ""]);
  return linesOf(stdout)[0];
}

const Everything = suite("everything");
Everything.after(leave);

Everything(
  "--json prints the records of the generator, fields in the order of the contract, and writes no file",
  async () => {
    const result = await json();
    assert.not.ok(existsSync("photo.png.sam2"));
    assert.equal(Object.keys(result), ["image", "model", "masks", "ms"]);
    assert.equal(result.image, { path: "photo.png", width: W, height: H });
    assert.equal(result.model, { name: "nano", version: "2.1", imageSize: 256 });
    const model = await Sam2.fromPretrained(DEMO_MODEL.url, { threads: 1 });
    const options = {
      pointsPerSide: 5,
      predIouThresh: 0.6,
      stabilityScoreThresh: 0.7,
      outputMode: "coco_rle",
    } as const;
    const records = await new AutomaticMaskGenerator(model, options).generate("photo.png");
    model.dispose();
    assert.ok(records.length >= 3, `${records.length} masks`);
    assert.equal(
      result.masks,
      records.map((record) => ({
        area: record.area,
        bbox: record.bbox,
        predicted_iou: record.predictedIou,
        stability_score: record.stabilityScore,
        point_coords: record.pointCoords,
        crop_box: record.cropBox,
        segmentation: record.segmentation,
      })),
    );
    assert.ok(Object.values(result.ms).every((ms) => ms >= 0));
    assert.equal(Object.keys(result.ms), ["load", "decode", "encode", "predict", "total"]);
  },
);

Everything("labels.png has record k − 1 as k, smaller masks over larger ones; mask_<k>.png is record k", async () => {
  const { code, stdout, stderr } = await everything(["photo.png"], ["--masks"]);
  assert.equal([code, stderr], [0, ""]);
  assert.match(stdout, /mask 0 {2}predicted IoU/);
  const { masks, files } = JSON.parse(readFileSync("photo.png.sam2/result.json", "utf8")) as EverythingResult;
  assert.equal(readdirSync("photo.png.sam2").sort(), files!.toSorted());
  assert.equal(files, ["labels.png", "overlay.png", ...masks.map((_, k) => `mask_${k}.png`), "result.json"]);

  const expected = new Uint16Array(W * H);
  const order = [...masks.keys()].sort((a, b) => masks[b].area - masks[a].area);
  for (const k of order) decodeRle(masks[k].segmentation).forEach((set, i) => set && (expected[i] = k + 1));
  const png = readBytes("photo.png.sam2/labels.png");
  assert.equal([png[24], png[25]], [16, 0], "16 bits, grey");
  assert.equal(Array.from(labelsOf(png)), [...expected]);

  const last = masks.length - 1;
  const { data } = await decodeImage(readBytes(`photo.png.sam2/mask_${last}.png`));
  const grey = data.filter((_, i) => i % 3 === 0);
  assert.equal(
    [...grey],
    [...decodeRle(masks[last].segmentation)].map((set) => 255 * set),
  );
  const overlay = await decodeImage(readBytes("photo.png.sam2/overlay.png"));
  const photo = await decodeImage(readBytes("photo.png"));
  assert.ok(overlay.data.some((value, i) => value !== photo.data[i]));
});

Everything("what an earlier run has written goes, and only that", async () => {
  writeFileSync("photo.png.sam2/mine.txt", "mine");
  await everything(["photo.png"], ["--format", "sa1b", "--format", "coco"]);
  assert.equal(readdirSync("photo.png.sam2").sort(), [
    ...["annotations.coco.json", "labels.png", "mine.txt", "overlay.png", "photo.sa1b.json", "result.json"],
  ]);
  const { annotations } = JSON.parse(readFileSync("photo.png.sam2/photo.sa1b.json", "utf8"));
  const { masks } = JSON.parse(readFileSync("photo.png.sam2/result.json", "utf8")) as EverythingResult;
  assert.equal(
    annotations.map((one: { segmentation: object }) => one.segmentation),
    masks.filter(({ segmentation }) => rleArea(segmentation) > 0).map(({ segmentation }) => segmentation),
  );
  rmSync("photo.png.sam2", { recursive: true });
});

Everything(
  "several pictures: a line and a folder each, two of one name apart, one set of annotations, a list",
  async () => {
    const pictures = ["photo.png", "other/photo.png"];
    const { code, stdout, stderr } = await everything(pictures, ["--json", "--out", "all", "--format", "coco"]);
    assert.is(code, 0);
    assert.is(stderr, "sam2: other/photo.png: its results are called photo-2.png, for another has its name\n");
    const results = linesOf(stdout);
    assert.equal(
      results.map(({ image }) => [image.path, image.width]),
      [
        ["photo.png", W],
        ["other/photo.png", SMALL],
      ],
    );
    assert.equal(readdirSync("all").sort(), ["annotations.coco.json", "photo-2.png", "photo.png", "result.json"]);
    for (const [i, folder] of ["photo.png", "photo-2.png"].entries()) {
      assert.equal(JSON.parse(readFileSync(`all/${folder}/result.json`, "utf8")), results[i]);
    }
    assert.is(results[1].ms.load, 0, "the model is loaded once");
    const { images, annotations } = JSON.parse(readFileSync("all/annotations.coco.json", "utf8"));
    assert.is(images.length, 2);
    assert.is(annotations.length, results[0].masks.length + results[1].masks.length);
    const { images: list } = JSON.parse(readFileSync("all/result.json", "utf8"));
    assert.equal(list[1], { path: "other/photo.png", folder: "photo-2.png", masks: results[1].masks.length });
    rmSync("all", { recursive: true });
  },
);

Everything("a picture that cannot be read is told, the others are done, and the exit code is 1", async () => {
  const { code, stdout, stderr } = await everything(["bad.png", "photo.png", "none.png"], ["--json", "--out", "all"]);
  assert.is(code, 1);
  assert.equal(linesOf(stdout)[0].masks, (await json()).masks);
  const told = stderr.trimEnd().split("\n");
  assert.match(told[0], /^sam2: bad\.png: expected a JPEG, PNG, /);
  assert.match(told[1], /^sam2: none\.png: expected an image, got ENOENT/);
  assert.match(told[2], /^sam2: everything: expected 3 usable pictures, got 1; /);
  assert.is(told.length, 3);
  assert.equal(readdirSync("all").sort(), ["photo.png", "result.json"]);
  rmSync("all", { recursive: true });
  const alone = await everything(["bad.png"], ["--out", "all"]);
  assert.is(alone.code, 1);
  assert.match(alone.stderr, /^sam2: bad\.png: [^\n]*\n$/);
  assert.not.ok(existsSync("all"));
});

Everything("options reach the generator", async () => {
  const plain = await json();
  const counts = async (...args: string[]) => (await json(...args)).masks.length;
  assert.ok((await counts("--pred-iou-thresh", "-1", "--stability-score-thresh", "0")) > plain.masks.length);
  assert.ok((await counts("--box-nms-thresh", "0.1")) < plain.masks.length);
  const largest = Math.max(...plain.masks.map(({ area }) => area));
  assert.ok((await json("--max-area", `${largest - 1}`)).masks.every(({ area }) => area < largest));
  const different = [
    ["--no-multimask-output"],
    ["--use-m2m"],
    ["--mask-threshold", "0.5"],
    ["--stability-score-offset", "2"],
    ["--crop-n-layers", "1"],
    ["--min-mask-region-area", "20"],
    ["--min-mask-region-area-full", "50"],
  ];
  for (const args of different) {
    assert.is.not(JSON.stringify((await json(...args)).masks), JSON.stringify(plain.masks), args[0]);
  }
  const cropped = (...args: string[]) => json("--crop-n-layers", "1", ...args).then(({ masks }) => masks);
  const crops = await cropped();
  assert.ok(crops.some(({ crop_box: [, , w] }) => w < W));
  for (const args of [
    ["--crop-overlap-ratio", "0.1"],
    ["--crop-n-points-downscale-factor", "2"],
    ["--crop-nms-thresh", "0.05"],
  ]) {
    assert.is.not(JSON.stringify(await cropped(...args)), JSON.stringify(crops), args[0]);
  }
  assert.equal((await json("--points-per-batch", "3")).masks, plain.masks, "batches change nothing");
});

Everything("no mask is an empty list, black labels, and a hint", async () => {
  const { code, stdout } = await everything(["photo.png"], ["--pred-iou-thresh", "1"]);
  assert.is(code, 0);
  assert.match(stdout, /0 masks;.*\n.*none passed; lower --pred-iou-thresh/);
  assert.ok(Array.from(labelsOf(readBytes("photo.png.sam2/labels.png"))).every((label) => label === 0));
  assert.equal(JSON.parse(readFileSync("photo.png.sam2/result.json", "utf8")).masks, []);
  rmSync("photo.png.sam2", { recursive: true });
});

Everything("wrong usage exits with 2 and one line, before anything is computed", async () => {
  const wrong: [RegExp, string[], string[]?][] = [
    [/missing required argument 'images'; see sam2 everything --help/, []],
    [/--points-per-side: expected a whole number ≥ 1, got "0"/, ["--points-per-side", "0"], ["photo.png"]],
    [/--pred-iou-thresh: expected a number, got "high"/, ["--pred-iou-thresh", "high"], ["photo.png"]],
    [
      /cropOverlapRatio: expected a number from 0 to below 1, got the number 1/,
      ["--crop-overlap-ratio", "1"],
      ["photo.png"],
    ],
    [/--masks: expected a folder to write to, got --json alone/, ["--masks", "--json"], ["photo.png"]],
    [/--format: expected coco, yolo, labelme, sa1b, got "voc"/, ["--format", "voc"], ["photo.png"]],
    [/expected standard input once, got twice/, [], ["-", "-"]],
    [/--format: expected a folder for the annotations/, ["--format", "coco"], ["photo.png", "bad.png"]],
  ];
  for (const [message, args, pictures = []] of wrong) {
    const { code, stdout, stderr } = await everything(pictures, args);
    assert.match(stderr, message);
    assert.equal([code, stdout, stderr.split("\n").length], [2, "", 2], `${message}`);
  }
});

Everything("a file of somebody else's is in the way before the model runs", async () => {
  mkdirSync("taken");
  writeFileSync("taken/overlay.png", "mine");
  const { code, stderr } = await everything(["photo.png"], ["--out", "taken"]);
  assert.is(code, 1);
  assert.match(stderr, /taken.overlay\.png: expected a file of an earlier run, or none, got one of somebody else's/);
  assert.equal(readdirSync("taken"), ["overlay.png"]);
  rmSync("taken", { recursive: true });
});

Everything(
  "a terminal sees the stages with the time left; --quiet shows nothing; an abort leaves nothing",
  async () => {
    const seen = await everything(["photo.png"], ["--json", "--points-per-side", "24"], { columns: 100 });
    assert.match(seen.stderr, /photo\.png {2}encode {2}[█░]{24} +\d+ %/);
    assert.match(seen.stderr, /photo\.png {2}decode {2}[█░]{24} +\d+ % {2}\d+ s left/);
    const quiet = await everything(["photo.png"], ["--quiet", "--out", "a"], { columns: 100 });
    assert.equal([quiet.code, quiet.stdout, quiet.stderr.replaceAll("\r\x1b[K", "")], [0, "", ""]);
    rmSync("a", { recursive: true });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50); // heard between points
    const ended = await everything(["photo.png"], ["--points-per-side", "200"], { signal: abort.signal });
    assert.equal([ended.code, ended.stdout, ended.stderr], [130, "", "sam2: interrupted\n"]);
    assert.not.ok(existsSync("photo.png.sam2"));
  },
);

Everything.run();

/** The samples of a grey PNG of 16 bits. */
function labelsOf(png: Uint8Array): ArrayLike<number> {
  return decodePng(png, "labels.png").data;
}

/** Discs of three colours on grey, two of which touch. */
function discs(width: number, height: number): Pixels & { channels: 3 } {
  const drawn = [
    { x: 0.25, y: 0.3, r: 0.2, colour: [210, 60, 40] },
    { x: 0.6, y: 0.45, r: 0.17, colour: [40, 90, 200] },
    { x: 0.8, y: 0.75, r: 0.13, colour: [230, 200, 60] },
    { x: 0.25, y: 0.3, r: 0.08, colour: [250, 250, 250] },
  ];
  const data = new Uint8Array(3 * width * height).fill(110);
  for (const { x, y, r, colour } of drawn) {
    for (let i = 0; i < width * height; i++) {
      const [dx, dy] = [(i % width) - x * width, Math.floor(i / width) - y * height];
      if (Math.hypot(dx, dy) < r * width) data.set(colour, 3 * i);
    }
  }
  return { width, height, channels: 3, data };
}
