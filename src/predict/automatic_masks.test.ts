import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../../golden/hash_image.ts";
import { random } from "../../tests/random.ts";
import { UsageError } from "../errors.ts";
import "../index.node.ts";
import { decodeRle, encodeRle, type Rle, rleArea, rleRuns } from "../io/rle.ts";
import { watch } from "../nn/layer.ts";
import { AutomaticMaskGenerator } from "./automatic_masks.ts";
import type { AutomaticMaskGeneratorOptions } from "./automatic_mask_options.ts";
import { cropBoxes, isAtCropEdge, pointGrid } from "./crops.ts";
import { nms } from "./nms.ts";
import { Sam2 } from "./sam2.ts";
import { removeSmallRegions } from "./small_regions.ts";

const sam2 = await Sam2.fromPretrained(new URL("../../models/nano/nano.safetensors", import.meta.url), { threads: 1 });
const picture = { width: 160, height: 120, data: goldenImage(6, 160, 120) };
const LOOSE = { predIouThresh: 0.5, stabilityScoreThresh: 0.5, outputMode: "coco_rle" } as const;

const Everything = suite("AutomaticMaskGenerator");

Everything("records say of their masks what the masks are, in every mode, best score first", async () => {
  const generator = new AutomaticMaskGenerator(sam2, { ...LOOSE, pointsPerSide: 5 });
  await generator.prepare(picture);
  const rles = generator.select();
  const masks = generator.select({ outputMode: "binary_mask" });
  const runs = generator.select({ outputMode: "uncompressed_rle" });
  assert.ok(rles.length > 2, `${rles.length} records`);
  for (const [i, { segmentation, area, bbox, predictedIou, stabilityScore, cropBox }] of rles.entries()) {
    const rle = segmentation as Rle;
    assert.equal(rle.size, [120, 160]);
    assert.is(rleArea(rle), area);
    assert.equal(encodeRle(masks[i].segmentation as Uint8Array, 160, 120), rle);
    assert.equal(runs[i].segmentation, { size: [120, 160], counts: rleRuns(rle) });
    const mask = decodeRle(rle);
    const columns = [...mask.keys()].filter((k) => mask[k]).map((k) => k % 160);
    const [first, last] = [Math.min(...columns), Math.max(...columns)];
    assert.equal([bbox[0], bbox[2]], [first, last - first]);
    assert.ok(predictedIou > 0.5 && stabilityScore >= 0.5);
    assert.ok(i === 0 || predictedIou <= rles[i - 1].predictedIou);
    assert.equal(cropBox, [0, 0, 160, 120]);
  }
});

Everything("select gives what generate gives with the same thresholds, without the model", async () => {
  const prepared = new AutomaticMaskGenerator(sam2, { outputMode: "coco_rle", pointsPerSide: 4, cropNLayers: 1 });
  await prepared.prepare(picture);
  const before = sam2.machine.macs;
  for (const thresholds of [
    {},
    { predIouThresh: 0.6, stabilityScoreThresh: 0.7 },
    { predIouThresh: 0.3, stabilityScoreThresh: 0, boxNmsThresh: 0.4, cropNmsThresh: 0.9 },
    { predIouThresh: 0.5, stabilityScoreThresh: 0.5, maxArea: 3000, minMaskRegionAreaFull: 40 },
  ]) {
    const selected = prepared.select(thresholds);
    assert.is(sam2.machine.macs, before);
    const options = { outputMode: "coco_rle", pointsPerSide: 4, cropNLayers: 1, ...thresholds } as const;
    assert.equal(await new AutomaticMaskGenerator(sam2, options).generate(picture), selected);
    sam2.machine.macs = before;
  }
});

Everything("masks that come back when theirs were given up are found again, and the records are the same", async () => {
  const options = { ...LOOSE, predIouThresh: 0.3, pointsPerSide: 8, pointsPerBatch: 4 };
  const work = async (boxNmsThresh: number) => {
    const before = sam2.machine.macs;
    const records = await new AutomaticMaskGenerator(sam2, { ...options, boxNmsThresh }).generate(picture);
    return { records, macs: sam2.machine.macs - before };
  };
  const [all, some] = [await work(1), await work(0.5)];
  assert.ok(some.macs > all.macs, "the model was asked again");
  const prepared = new AutomaticMaskGenerator(sam2, { ...options, boxNmsThresh: 0.5 });
  await prepared.prepare(picture);
  assert.equal(some.records, prepared.select());
});

Everything("the number of points decoded together changes no bit", async () => {
  const of = (pointsPerBatch: number) =>
    new AutomaticMaskGenerator(sam2, { ...LOOSE, pointsPerSide: 5, pointsPerBatch }).generate(picture);
  const want = await of(64);
  for (const points of [1, 7, 16]) assert.equal(await of(points), want, `${points} at a time`);
});

Everything("masks of more than maxArea pixels are dropped before they suppress others", async () => {
  const generator = new AutomaticMaskGenerator(sam2, { ...LOOSE, pointsPerSide: 6, boxNmsThresh: 0.3 });
  await generator.prepare(picture);
  const most = Math.max(...generator.select().map(({ area }) => area));
  const smaller = generator.select({ maxArea: most - 1 });
  assert.ok(smaller.every(({ area }) => area < most));
});

for (const [what, width, height] of [
  ["a blank picture", 90, 60],
  ["one pixel", 1, 1],
  ["a row of 5000 pixels", 5000, 1],
  ["a column of 5000 pixels", 1, 5000],
] as const) {
  Everything(`${what} gives a list of right masks, in crops too`, async () => {
    const data = what === "a blank picture" ? new Uint8Array(width * height * 3) : goldenImage(5, width, height);
    const options: AutomaticMaskGeneratorOptions = { ...LOOSE, pointsPerSide: 3, cropNLayers: 1 };
    for (const record of await new AutomaticMaskGenerator(sam2, options).generate({ width, height, data })) {
      assert.is(rleArea(record.segmentation as Rle), record.area);
      assert.equal((record.segmentation as Rle).size, [height, width]);
    }
    const strict = { ...options, predIouThresh: 1 };
    assert.equal(await new AutomaticMaskGenerator(sam2, strict).generate({ width, height, data }), []);
  });
}

Everything(
  "an abort ends it before the next layer, whenever it comes, and the next call gives the same records",
  async () => {
    const generator = new AutomaticMaskGenerator(sam2, { ...LOOSE, pointsPerSide: 5, cropNLayers: 1, useM2m: true });
    const want = await generator.generate(picture);
    let layers = 0;
    await watch(
      () => layers++,
      () => generator.generate(picture),
    );
    const inUse = sam2.machine.heap.bytesInUse;
    const next = random(9);
    for (let i = 0; i < 20; i++) {
      const at = Math.floor(((next() + 1) / 2) * layers);
      const controller = new AbortController();
      let seen = 0;
      let last = -1; // the layer that ran at the abort, by the order in which layers begin
      let begunLater = 0;
      const call = watch(
        ({ order }) => {
          if (controller.signal.aborted && order > last) begunLater++;
          if (seen++ !== at) return;
          last = order;
          controller.abort(new Error("enough"));
        },
        () => generator.generate(picture, { signal: controller.signal }),
      );
      assert.is(await call.catch((error: Error) => error.message), "enough", `at layer ${at} of ${layers}`);
      assert.is(begunLater, 0);
      assert.is(sam2.machine.heap.bytesInUse, inUse, "bytes on the heap");
    }
    assert.equal(await generator.generate(picture), want);
  },
);

Everything("progress goes from the encoding to the last point", async () => {
  const told: string[] = [];
  const onProgress = ({ stage, fraction }: { stage: string; fraction: number | undefined }) =>
    told.push(`${stage} ${fraction!.toFixed(2)}`);
  await new AutomaticMaskGenerator(sam2, { pointsPerSide: 5 }).generate(picture, { onProgress });
  assert.match(told[0], /^encode 0\.0/);
  assert.equal(
    told.filter((line) => line.startsWith("decode")),
    ["decode 0.64", "decode 1.00"],
  );
});

Everything("options out of their range, or against each other, are refused by name", async () => {
  for (const [options, message] of [
    [{ pointsPerSide: 0 }, /pointsPerSide: expected a whole number, 1…1024, got the number 0/],
    [{ pointsPerSide: 100_000 }, /pointsPerSide: .* got the number 100000/],
    [{ cropNLayers: 30 }, /cropNLayers: expected a whole number, 0…8, got the number 30/],
    [{ pointsPerSide: 4, pointGrids: [[[0.5, 0.5]]] }, /pointGrids: expected no pointsPerSide beside it/],
    [{ pointGrids: [[[0.5, 0.5]]], cropNLayers: 1 }, /pointGrids: expected a grid for each of 2 layers, got 1 grids/],
    [{ pointGrids: [[[0.5, 1.5]]] }, /pointGrids\[0\]: expected x and y in 0…1, got \(0.5, 1.5\)/],
    [{ pointsPerSide: 2, cropNLayers: 2, cropNPointsDownscaleFactor: 2 }, /points in layer 2, got none/],
    [{ predIouThresh: Number.NaN }, /predIouThresh: expected a number, got the number NaN/],
    [{ outputMode: "png" }, /outputMode: expected one of "binary_mask"/],
    [{ cropOverlapRatio: 1 }, /cropOverlapRatio/],
  ] as [AutomaticMaskGeneratorOptions, RegExp][]) {
    assert.throws(
      () => new AutomaticMaskGenerator(sam2, options),
      (e: Error) => e instanceof UsageError && message.test(e.message),
    );
  }
  assert.throws(
    () => new AutomaticMaskGenerator(sam2).select(),
    /select: expected an image, got none; call prepare first/,
  );
});

Everything.run();

const Parts = suite("parts of the mask generator");

Parts("crops overlap, go column by column, end at the image, and are never empty", () => {
  const boxes = cropBoxes(150, 100, 1, 512 / 1500).map(({ box }) => box);
  assert.equal(boxes, [
    [0, 0, 150, 100],
    [0, 0, 92, 67],
    [0, 33, 92, 100],
    [58, 0, 150, 67],
    [58, 33, 150, 100],
  ]);
  assert.equal(
    cropBoxes(1, 1, 2, 0.3).every(({ box: [x0, y0, x1, y1] }) => x1 > x0 && y1 > y0),
    true,
  );
});

Parts("a grid has its points in the middle of n × n cells, x first", () => {
  assert.equal(pointGrid(1), [[0.5, 0.5]]);
  assert.equal(pointGrid(2), [
    [0.25, 0.25],
    [0.75, 0.25],
    [0.25, 0.75],
    [0.75, 0.75],
  ]);
});

Parts("a box is at the edge of a crop within 20 pixels, unless the image ends there", () => {
  const crop = [100, 0, 300, 200] as const;
  assert.ok(isAtCropEdge([120, 50, 200, 100], crop, 300, 400));
  assert.not(isAtCropEdge([121, 50, 200, 100], crop, 300, 400));
  assert.not(isAtCropEdge([150, 0, 300, 100], crop, 300, 400), "top and right are the image's");
  assert.ok(isAtCropEdge([150, 50, 200, 180], crop, 300, 400));
});

Parts("suppression is strict, keeps the first of equals, and boxes without area never overlap", () => {
  const boxes = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 5, 0, 0, 10, 10, 3, 3, 3, 3, 3, 3, 3, 3);
  const scores = Float32Array.of(0.5, 0.9, 0.5, 0.1, 0.2);
  assert.equal(nms(boxes, scores, 0.5), [1, 0, 4, 3]);
  assert.equal(nms(boxes, scores, 0.49), [1, 4, 3]);
  assert.equal(nms(new Float32Array(), new Float32Array(), 0.5), []);
});

Parts("suppression keeps what a comparison of every pair keeps, at thresholds that areas alone decide too", () => {
  const next = random(5);
  const draw = (most: number) => Math.round(((next() + 1) / 2) * most);
  const { fround } = Math;
  const iou = ([a0, b0, a1, b1]: number[], [c0, d0, c1, d1]: number[]) => {
    const overlap = fround(
      Math.max(0, Math.min(a1, c1) - Math.max(a0, c0)) * Math.max(0, Math.min(b1, d1) - Math.max(b0, d0)),
    );
    return fround(overlap / fround((a1 - a0) * (b1 - b0) + (c1 - c0) * (d1 - d0) - overlap));
  };
  for (const n of [1, 40, 200]) {
    const boxes = Array.from({ length: n }, () => {
      const [x, y] = [draw(12), draw(12)];
      return [x, y, x + draw(8), y + draw(8)];
    });
    const scores = Float32Array.from(boxes, () => draw(20) / 20);
    const byScore = boxes.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
    for (const threshold of [-1, 0, 0.25, 0.5, 0.75, 1, 2]) {
      const want: number[] = [];
      for (const i of byScore) if (!want.some((k) => iou(boxes[k], boxes[i]) > threshold)) want.push(i);
      assert.equal(nms(Float32Array.from(boxes.flat()), scores, threshold), want, `${n} boxes at ${threshold}`);
    }
  }
});

Parts("small holes are filled, small islands removed, but the largest of small ones stays", () => {
  const mask = (text: string) => Uint8Array.from(text.replace(/\s/g, ""), Number);
  const ring = mask("111000 101000 111001 000000");
  assert.equal(removeSmallRegions(ring, 6, 4, 2), mask("111000 111000 111000 000000"));
  assert.is(removeSmallRegions(ring, 6, 4, 1), ring);
  assert.equal(removeSmallRegions(mask("110001 000000"), 6, 2, 5), mask("110000 000000"));
});

Parts.run();
