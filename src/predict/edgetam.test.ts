// EdgeTAM through both predictors: what differs from SAM 2 is the size of a memory.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Golden } from "../../golden/golden.ts";
import { goldenFrame } from "../../golden/hash_image.ts";
import { hashWeights } from "../../golden/hash_weights.ts";
import { hashModel } from "../../golden/run_case.ts";
import { type Rle, rleArea } from "../io/rle.ts";
import { Weights } from "../io/weights.ts";
import type { Sam2Config } from "../model/config.ts";
import { isNeverRead, parameters } from "../model/parameters.ts";
import { createMachine } from "../runtime/create.ts";
import { AutomaticMaskGenerator } from "./automatic_masks.ts";
import { ImagePredictor } from "./image_predictor.ts";
import { Sam2 } from "./sam2.ts";
import { type FrameResult, VideoPredictor } from "./video_predictor.ts";

const [WIDTH, HEIGHT, FRAMES] = [64, 48, 14];
const { model } = new Golden("edge_small.video").entry;
const shifted = (config: Sam2Config) =>
  hashModel(config, "auto", (key, values) => {
    if (key === "sam_mask_decoder.pred_obj_score_head.layers.2.bias") values[0] += 1.75;
  });
const sam2 = await shifted(model);
const predictor = new VideoPredictor(sam2);
const clip = Array.from({ length: FRAMES }, (_, t) => ({
  width: WIDTH,
  height: HEIGHT,
  data: goldenFrame(31, t, WIDTH, HEIGHT),
}));

async function collect(results: AsyncIterable<FrameResult>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { frame, objects } of results) {
    for (const { id, score, mask } of objects)
      lines.push(`${frame} ${id} ${score} ${Buffer.from(mask).toString("hex")}`);
  }
  return lines;
}

/** Objects that are prompted on different frames, which the reference cannot. */
async function started() {
  const state = await predictor.initState(clip);
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[20, 15]] });
  await predictor.addNewPointsOrBox(state, { frame: 2, object: 2, box: [30, 10, 60, 44] });
  return state;
}

const EdgeTam = suite("EdgeTAM");

EdgeTam("a frame is remembered by its latents: 12 of all and 4×4 of windows", async () => {
  const state = await started();
  await collect(predictor.propagateInVideo(state, { maxFrames: 4 }));
  const maps = [...state.objects.values()].flatMap(({ cond, nonCond }) => [...cond.values(), ...nonCond.values()]);
  assert.ok(maps.length > 4);
  for (const { maskmemFeatures } of maps) assert.is(maskmemFeatures!.length, (12 + 4 * 4) * 16);
});

EdgeTam("a saved state goes on with the same bits", async () => {
  const whole = await collect(predictor.propagateInVideo(await started()));
  assert.is(whole.length, 2 * FRAMES);
  const state = await started();
  const first = await collect(predictor.propagateInVideo(state, { maxFrames: 8 }));
  const { state: loaded } = await predictor.loadState(await predictor.encodeState(state), clip);
  const rest = await collect(predictor.propagateInVideo(loaded, { startFrame: 9 }));
  assert.equal([...first, ...rest], whole);
});

EdgeTam("a state is refused at another image size, whose masks and prompts are others", async () => {
  const saved = await predictor.encodeState(await started());
  const larger = new VideoPredictor(await shifted({ ...model, imageSize: 256 }));
  const told = await larger.loadState(saved, clip).then(String, String);
  assert.match(told, /StateError: loadState: expected a state for the image size 256, got 128; /);
});

EdgeTam("an object is tracked by the same bits whether it is alone or not", async () => {
  const alone = await predictor.initState(clip);
  await predictor.addNewPointsOrBox(alone, { frame: 0, object: 1, points: [[20, 15]] });
  const ofTwo = await collect(predictor.propagateInVideo(await started()));
  const want = await collect(predictor.propagateInVideo(alone));
  assert.equal(
    ofTwo.filter((line) => line.split(" ")[1] === "1"),
    want,
  );
});

EdgeTam("a still image has three masks of its own size", async () => {
  const images = new ImagePredictor(sam2);
  await images.setImage(clip[0]);
  const { masks, iouPredictions } = await images.predict({ points: [[20, 15]] });
  assert.equal([masks.length, masks[0].length, iouPredictions.length], [3, WIDTH * HEIGHT, 3]);
});

EdgeTam("everything in a picture is found, prompt by prompt as in batches", async () => {
  const options = {
    pointsPerSide: 3,
    predIouThresh: 0,
    stabilityScoreThresh: 0,
    boxNmsThresh: 1,
    outputMode: "coco_rle",
  } as const;
  const records = await new AutomaticMaskGenerator(sam2, options).generate(clip[0]);
  assert.is(records.length, 3 * 3 * 3);
  for (const { segmentation, area } of records) assert.is(rleArea(segmentation as Rle), area);
  const oneByOne = new AutomaticMaskGenerator(sam2, { ...options, pointsPerBatch: 1 });
  assert.equal(await oneByOne.generate(clip[0]), records);
});

EdgeTam("all tensors are read but those that the reference does not read either", async () => {
  const machine = await createMachine({ kernels: "portable", threads: 1 });
  const weights = new Weights(hashWeights(parameters(model)), machine.heap);
  new Sam2(machine, weights, model);
  assert.equal(
    weights.unused().filter((name) => !isNeverRead(name)),
    [],
  );
});

EdgeTam.run();
