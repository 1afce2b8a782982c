import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenFrame } from "../../golden/hash_image.ts";
import { enterFolder, sam2, smallWeights, writeCheckpoint, writePhoto } from "../../tests/cli_fixture.ts";
import { readCocoSegmentation } from "../io/formats/coco.ts";
import { encodeMaskPng } from "../io/masks.ts";
import { encodePng } from "../io/png.ts";
import { encodeRle, rleArea } from "../io/rle.ts";

const [W, H] = [64, 48];
const { leave } = enterFolder();
writeCheckpoint("small.safetensors", smallWeights());
writePhoto("my photo.png", W, H);
mkdirSync("frames");
for (let t = 0; t < 3; t++) {
  writeFileSync(`frames/${t}.png`, encodePng({ width: W, height: H, channels: 3, data: goldenFrame(31, t, W, H) }));
}
const MODEL = ["--model", "small.safetensors", "--threads", "1"];
const ALL = ["coco", "yolo", "labelme", "sa1b"].flatMap((name) => ["--format", name]);
writeFileSync("two.json", JSON.stringify([{ points: [[20, 15]], name: "left" }, { points: [[50, 30]] }]));

async function run(...args: string[]) {
  const outcome = await sam2([...args, ...MODEL]);
  assert.is(outcome.stderr, "");
  assert.is(outcome.code, 0);
  return outcome.stdout;
}

async function fails(code: number, message: RegExp, ...args: string[]): Promise<void> {
  const { code: got, stderr } = await sam2([...args, ...MODEL]);
  assert.match(stderr, message);
  assert.is(got, code);
}

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

const Formats = suite("--format");
Formats.after(leave);

Formats("segment: the mask of highest predicted IoU of every prompt, with its name as class", async () => {
  await run("segment", "my photo.png", "--prompts", "two.json", "--out", "out", ...ALL);
  const { prompts } = json("out/result.json") as {
    prompts: { masks: { iou: number; rle: { size: [number, number]; counts: string } }[] }[];
  };
  const best = prompts.map(({ masks }) => masks.toSorted((a, b) => b.iou - a.iou)[0]);

  const coco = json("out/annotations.coco.json");
  assert.equal(coco.images, [{ id: 1, file_name: "my photo.png", width: W, height: H }]);
  assert.equal(
    coco.categories.map(({ id, name }: { id: number; name: string }) => [id, name]),
    [
      [1, "left"],
      [2, "object"],
    ],
  );
  for (const [i, annotation] of coco.annotations.entries()) {
    assert.equal(
      [annotation.id, annotation.image_id, annotation.category_id, annotation.iscrowd],
      [i + 1, 1, i + 1, 0],
    );
    assert.is(annotation.area, rleArea(best[i].rle));
    assert.is(annotation.score, best[i].iou);
    const mask = readCocoSegmentation(annotation.segmentation, W, H);
    assert.is(encodeRle(mask, W, H).counts, best[i].rle.counts);
  }
  assert.match(readFileSync("out/my photo.txt", "utf8"), /^0( 0?\.?\d+)+\n1( 0?\.?\d+)+\n$/);
  assert.is(readFileSync("out/classes.txt", "utf8"), "left\nobject\n");
  const labelme = json("out/my photo.json");
  assert.equal([labelme.imagePath, labelme.imageData, labelme.imageWidth], ["../my photo.png", null, W]);
  const sa1b = json("out/my photo.sa1b.json");
  assert.equal(
    sa1b.annotations.map(({ segmentation, predicted_iou, point_coords }: Record<string, unknown>) => [
      segmentation,
      predicted_iou,
      point_coords,
    ]),
    best.map(({ rle, iou }, p) => [rle, iou, [[[20, 15]], [[50, 30]]][p]]),
  );
});

Formats("of an earlier run's annotations none stays, and other people's files do", async () => {
  writeFileSync("out/notes.txt", "mine");
  await run("segment", "my photo.png", "--point", "20,15", "--out", "out", "--format", "yolo");
  const masks = ["mask_0_0.png", "mask_0_1.png", "mask_0_2.png"];
  assert.equal(readdirSync("out").sort(), [
    "classes.txt",
    ...masks,
    "my photo.txt",
    "notes.txt",
    "overlay.png",
    "result.json",
  ]);
  rmSync("out", { recursive: true });
});

Formats("another format, no folder, and a picture whose file would be the result's are refused", async () => {
  const click = ["segment", "my photo.png", "--point", "20,15"];
  await fails(
    2,
    /^sam2: --format: expected coco, yolo, labelme, sa1b, got "voc"; name one of these/,
    ...click,
    "--format",
    "voc",
  );
  await fails(
    2,
    /^sam2: --format: expected a folder to write to, got --json alone/,
    ...click,
    "--json",
    "--format",
    "coco",
  );
  writePhoto("result.png", W, H);
  const message = /result\.json: expected a name of its own for every file, got one for two/;
  await fails(1, message, "segment", "result.png", "--point", "20,15", "--format", "labelme");
});

Formats("track: a picture a frame, the object's id as track_id, run lengths as in frames.jsonl", async () => {
  const prompts = ["--object", "1", "--point", "20,15", "--object", "7", "--box", "30,10,60,44"];
  await run("track", "frames", ...prompts, "--out", "run", ...ALL);
  const lines = readFileSync("run/frames.jsonl", "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const coco = json("run/annotations.coco.json");
  assert.equal(
    coco.images.map((image: Record<string, unknown>) => [image.id, image.file_name, image.frame_index]),
    lines.map(({ frame, file }, i) => [i + 1, file, frame]),
  );
  const shown = lines.flatMap(({ objects }, i) =>
    objects.filter(({ area }: { area: number }) => area > 0).map((object: object) => ({ ...object, image: i + 1 })),
  );
  assert.equal(
    coco.annotations.map((a: Record<string, unknown>) => [a.image_id, a.track_id, a.segmentation, a.bbox, a.iscrowd]),
    shown.map(({ image, id, rle, bbox }) => [image, id, rle, bbox, 0]),
  );
  assert.is(readFileSync("run/classes.txt", "utf8"), "object_1\nobject_7\n");
  for (const name of ["0", "1", "2"]) {
    assert.is(json(`run/${name}.json`).imagePath, `../frames/${name}.png`);
    assert.is(json(`run/${name}.sa1b.json`).image.file_name, `${name}.png`);
  }
  await run("track", "frames", ...prompts, "--out", "run", "--max-frames", "1", "--format", "labelme");
  const files = readdirSync("run").filter((name) => !/^\.|^masks$|^frames|^preview/.test(name));
  assert.equal(files, ["0.json"]);
});

Formats("a mask as run lengths, compressed or not, or as polygons gives what its picture gives", async () => {
  const mask = Uint8Array.from({ length: W * H }, (_, i) =>
    Number(i % W >= 12 && i % W < 30 && i >= 8 * W && i < 31 * W),
  );
  writeFileSync("mask.png", encodeMaskPng(mask, W, H));
  const polygons = [[12, 8, 30, 8, 30, 31, 12, 31]];
  const rle = encodeRle(mask, W, H);
  const column = [23, H - 23];
  const counts = [12 * H + 8, ...Array.from({ length: 17 }, () => column).flat(), 23, W * H - (29 * H + 31)];
  writeFileSync("mask.json", JSON.stringify({ id: 1, segmentation: rle }));
  writeFileSync("polygons.json", JSON.stringify(polygons));
  writeFileSync("inline.json", JSON.stringify([{ mask: { size: [H, W], counts } }]));
  writeFileSync("image.json", JSON.stringify([{ maskImage: polygons }]));

  const track = (...args: string[]) => run("track", "frames", ...args, "--json", "--max-frames", "2");
  const withoutMs = (text: string) => text.replaceAll(/,"ms":[\d.]+/g, "");
  const want = withoutMs(await track("--mask", "mask.png"));
  for (const args of [
    ["--mask", "mask.json"],
    ["--mask", "polygons.json"],
    ["--prompts", "inline.json"],
  ]) {
    assert.is(withoutMs(await track(...args)), want);
  }
  const segment = async (...args: string[]) =>
    JSON.parse(await run("segment", "my photo.png", ...args, "--json")).prompts;
  const wanted = await segment("--mask-image", "mask.png");
  assert.equal(await segment("--mask-image", "mask.json"), wanted);
  assert.equal(await segment("--prompts", "image.json"), wanted);
});

Formats("masks that are none, empty, or of another shape are refused with their name", async () => {
  const track = (content: unknown, message: RegExp) => {
    writeFileSync("bad.json", JSON.stringify(content));
    return fails(1, message, "track", "frames", "--mask", "bad.json", "--json");
  };
  await track({ id: 3 }, /^sam2: bad\.json: expected COCO run lengths or polygons, got \{"id":3\}/);
  await track([[1, 2, 3, 4]], /bad\.json: expected polygons \[x0, y0, x1, y1, x2, y2, …\], got 4 numbers/);
  await track([[1, 1, 1.1, 1, 1.1, 1.1]], /bad\.json: expected a mask with a pixel, got none/);
  await track({ size: [H, W], counts: [5] }, /expected runs of 48·64 pixels in all, got 5/);
  await track({ size: [10, 90], counts: [0, 900] }, /expected a mask of the shape of 64×48, got 90×10/);
});

Formats.run();
