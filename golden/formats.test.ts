// Annotations as the tools that own the formats read them, and scores as SA-V's evaluator computes them: formats.json holds
// their answers to what format_cases.ts writes.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type AnnotatedImage, visible } from "../src/io/formats/annotations.ts";
import { readCocoSegmentation } from "../src/io/formats/coco.ts";
import { ANNOTATION_FORMATS, writeAnnotations } from "../src/io/formats/write.ts";
import { decodeRle, encodeRle, rleArea, rleBbox } from "../src/io/rle.ts";
import { evaluateVideo, overall, type Score } from "../src/evaluate/evaluate_video.ts";
import { findMaskFolders } from "../src/io/formats/davis.ts";
import { stemOf } from "../src/video/folder.ts";
import { formatImages, formatMasks, writeVideos } from "./format_cases.ts";

/** A tool's masks of a picture: class and run lengths, in the order of the objects. */
type Answer = Record<string, [label: string, counts: string][]>;
type Scores = { jf: number; j: number; f: number; videos: Record<string, Record<string, [j: number, f: number]>> };

const golden = JSON.parse(readFileSync(new URL("formats.json", import.meta.url), "utf8"));
const images = formatImages();
const [all] = images;
const maskNames = [...formatMasks().keys()];

const Formats = suite("formats");

Formats("the files are those that the tools have read: else run export_formats.py again", () => {
  const texts = ANNOTATION_FORMATS.flatMap((format) => [...writeAnnotations(format, images)]);
  for (const [name, text] of writeAnnotations("coco", images, { segmentation: "rle" }))
    texts.push([`rle/${name}`, text]);
  const digest = (text: string) => createHash("sha256").update(text).digest("hex");
  const digests = Object.fromEntries(texts.map(([name, text]) => [name, digest(text)]));
  for (const name of Object.keys(golden.files)) assert.is(digests[name], golden.files[name], name);
  assert.is(Object.keys(digests).length, Object.keys(golden.files).length);
});

for (const tool of ["pycocotools", "pycocotools, rle", "labelme"]) {
  Formats(`${tool}: every mask comes back to the pixel, with its class`, () => {
    for (const image of images) assert.equal(lostBy(tool, image), {});
  });
}

for (const tool of ["ultralytics", "supervision, yolo"]) {
  Formats(`${tool}: masks of one part come back to the pixel; bridges between parts set what they cross`, () => {
    assert.equal(lostBy(tool, all), { "island in a ring": 4, "two parts": 18, blobs: 48, noise: 7 });
    for (const image of images.slice(1))
      assert.ok(Object.keys(lostBy(tool, image)).every((name) => /island/.test(name)));
  });
}

Formats(
  "supervision reads COCO's run lengths to the pixel, and polygons by its own rule: a row and a column more",
  () => {
    const lost = Object.keys(lostBy("supervision, coco", all));
    assert.equal(
      lost.filter((name) => ["ring", "island in a ring", "three holes", "blobs", "noise"].includes(name)),
      [],
    );
  },
);

Formats(
  "supervision's from_sam takes SA-1B's records: every mask to the pixel, boxes from its first to its last pixel",
  () => {
    for (const image of images) {
      const want = visible(image).toSorted((a, b) => rleArea(b.rle) - rleArea(a.rle));
      const answer = golden.answers.from_sam[stemOf(image.file)] as [counts: string, xyxy: number[]][];
      assert.equal(
        answer,
        want.map(({ rle }) => {
          const [x, y, w, h] = rleBbox(rle);
          return [rle.counts, [x, y, x + w - 1, y + h - 1]];
        }),
      );
    }
  },
);

Formats("polygons are drawn to the pixel as pycocotools draws them, corners outside the picture too", () => {
  const { width, height, cases } = golden.polygons;
  assert.is(cases.length, 24);
  for (const { polygons, counts } of cases) {
    const mask = readCocoSegmentation(polygons, width, height);
    assert.is(encodeRle(mask, width, height).counts, counts);
  }
});

for (const [name, want] of Object.entries<Scores>(golden.scores)) {
  Formats(`J and F of ${name} are within 1e-9 of SA-V's evaluator`, async () => {
    const [layout, frames] = name.split(", ");
    const folder = mkdtempSync(join(tmpdir(), "sam2 scores "));
    try {
      writeVideos(folder);
      const { videos: truths } = await findMaskFolders(join(folder, layout, "truth"));
      const { videos: predictions } = await findMaskFolders(join(folder, layout, "predicted"));
      const pairs = truths.map((truth, i) => ({
        truth,
        predicted: predictions[i],
        allFrames: frames === "all frames",
      }));
      const videos = await Promise.all(pairs.map(evaluateVideo));
      const got = {
        ...overall(videos),
        videos: Object.fromEntries(videos.map(({ name, objects }) => [name, byId(objects)])),
      };
      assert.equal(Object.keys(got.videos), Object.keys(want.videos));
      for (const key of ["jf", "j", "f"] as const)
        assert.ok(Math.abs(got[key] - want[key]) < 1e-9, `${key} ${got[key]}`);
      for (const [video, objects] of Object.entries(want.videos)) {
        assert.equal(Object.keys(got.videos[video]), Object.keys(objects));
        for (const [id, scores] of Object.entries(objects)) {
          scores.forEach((score, i) => assert.ok(Math.abs(got.videos[video][id][i] - score) < 1e-9, `${video} ${id}`));
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

Formats.run();

function byId(objects: readonly Score[]): Record<string, [j: number, f: number]> {
  return Object.fromEntries(objects.map(({ id, j, f }) => [`${id}`, [j, f]]));
}

/** Objects that a tool reads with other pixels: how many, by the mask's name. Its classes must be ours. */
function lostBy(tool: string, image: AnnotatedImage): Record<string, number> {
  const answer = (golden.answers[tool] as Answer)[stemOf(image.file)];
  const objects = visible(image);
  assert.equal(
    answer.map(([label]) => label),
    objects.map(({ label }) => label),
  );
  const lost: Record<string, number> = {};
  for (const [i, { id, rle }] of objects.entries()) {
    const read = decodeRle({ size: rle.size, counts: answer[i][1] });
    const differing = decodeRle(rle).reduce((count, value, p) => count + Number(value !== read[p]), 0);
    if (differing > 0) lost[maskNames[id - 1]] = differing;
  }
  return lost;
}
