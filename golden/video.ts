import type { RgbImage } from "../src/io/image.ts";
import { preprocessFrame } from "../src/predict/preprocess.ts";
import type { Sam2 } from "../src/predict/sam2.ts";
import { type FrameResult, VideoPredictor, type VideoPredictorOptions } from "../src/predict/video_predictor.ts";
import type { FrameOutput, VideoState } from "../src/predict/video_state.ts";
import { toBfloat16 } from "../src/tensor/bfloat16.ts";
import type { Comparison, Golden } from "./golden.ts";
import { goldenFrame } from "./hash_image.ts";
import { sampleIndices } from "./hash_weights.ts";
import type { GoldenVideo, Step } from "./manifest.ts";

const OPTIONS = {
  non_overlap_masks: "nonOverlapMasks",
  add_all_frames_to_correct_as_cond: "addAllFramesToCorrectAsCond",
  clear_non_cond_mem_around_input: "clearNonCondMemAroundInput",
} as const satisfies Record<keyof GoldenVideo["options"], keyof VideoPredictorOptions>;

/** One object on one frame of one step, ours against PyTorch's. */
export interface FrameComparison {
  step: number;
  frame: number;
  object: number;
  /** of the masks at the size of the video */
  iou: number;
  /** pixels that differ */
  pixels: number;
  /** the rest is known after a propagation */
  stored?: {
    /** max |Δ| of the logits at low resolution, and of the pointer */
    predMasks: number;
    objPtr: number;
    score: number;
    sameSign: boolean;
    /** values of the memory map that are further away than one step of bfloat16, of how many */
    beyondOneStep: number;
    values: number;
  };
}

/** The last frame as the encoder sees it, against PyTorch's. */
export function comparePixels(golden: Golden, sam2: Sam2): Comparison {
  const last = clipFrames(golden.entry.video!).at(-1)!;
  const results: Comparison[] = [];
  sam2.run(({ config }) => {
    results.push(golden.compareTensor("pixels", preprocessFrame(last, config.imageSize)));
  });
  return results[0];
}

export function clipFrames({ seed, frames, width, height }: GoldenVideo): RgbImage[] {
  return Array.from({ length: frames }, (_, t) => ({ width, height, data: goldenFrame(seed, t, width, height) }));
}

/** Walk through a golden's scenario. @param last a frame of a step after which the rest is left out */
export async function replay(
  golden: Golden,
  sam2: Sam2,
  keepAll: boolean,
  last?: { step: number; frame: number },
): Promise<FrameComparison[]> {
  const video = golden.entry.video!;
  const options: VideoPredictorOptions = {};
  for (const [name, value] of Object.entries(video.options)) options[OPTIONS[name as keyof typeof OPTIONS]] = value;
  const predictor = new VideoPredictor(sam2, options);
  const state = await predictor.initState(clipFrames(video), { keepAll });

  const results: FrameComparison[] = [];
  for (const [k, step] of video.steps.entries()) {
    if (step.do === "propagate") {
      const { start, frames, reverse } = step;
      const options = { startFrame: start ?? undefined, maxFrames: frames ?? undefined, reverse };
      let at = 0;
      for await (const answer of predictor.propagateInVideo(state, options)) {
        for (const object of step.objects) {
          const { cond, nonCond } = state.objects.get(object)!;
          const output = cond.get(answer.frame) ?? nonCond.get(answer.frame)!;
          const stored = compareStored(golden, `step${k}.object${object}`, at, output);
          results.push({
            step: k,
            frame: answer.frame,
            object,
            ...compareMasks(golden, k, step, answer, object),
            stored,
          });
        }
        if (answer.frame !== step.frames_answered[at++])
          throw new Error(`step ${k}: frame ${answer.frame} came unexpectedly`);
        if (k === last?.step && answer.frame === last.frame) return results;
      }
      if (at !== step.frames_answered.length) throw new Error(`step ${k}: ${at} frames came`);
    } else {
      for (const answer of await interact(predictor, state, step, video)) {
        for (const object of step.objects) {
          results.push({ step: k, frame: answer.frame, object, ...compareMasks(golden, k, step, answer, object) });
        }
      }
    }
  }
  return results;
}

async function interact(
  predictor: VideoPredictor,
  state: VideoState,
  step: Exclude<Step, { do: "propagate" }>,
  { width, height }: GoldenVideo,
): Promise<FrameResult[]> {
  const { object } = step;
  switch (step.do) {
    case "points": {
      const { frame, points, labels, box, clear_old_points: clearOldPoints } = step;
      return [
        await predictor.addNewPointsOrBox(state, {
          frame,
          object,
          points,
          labels: points && labels,
          box,
          clearOldPoints,
        }),
      ];
    }
    case "mask": {
      const [cx, cy, r] = step.disc;
      const inside = (i: number) => ((i % width) - cx) ** 2 + (Math.floor(i / width) - cy) ** 2 <= r * Math.abs(r);
      const mask = Uint8Array.from({ length: width * height }, (_, i) => (inside(i) ? 1 : 0));
      return [await predictor.addNewMask(state, { frame: step.frame, object, mask })];
    }
    case "clear":
      return [await predictor.clearAllPromptsInFrame(state, { frame: step.frame, object })];
    case "remove":
      return predictor.removeObject(state, object);
  }
}

function compareMasks(golden: Golden, k: number, step: Step, { frame, objects }: FrameResult, id: number) {
  const { width, height } = golden.entry.video!;
  const bits = golden.bits(`step${k}.frame${frame}`);
  const stride = Math.ceil(width / 8) * 8;
  const row = step.objects.indexOf(id) * height;
  const { mask } = objects.find((object) => object.id === id)!;
  let [both, either] = [0, 0];
  for (let i = 0; i < mask.length; i++) {
    const want = bits[(row + Math.floor(i / width)) * stride + (i % width)];
    both += mask[i] & want;
    either += mask[i] | want;
  }
  return { iou: either === 0 ? 1 : both / either, pixels: either - both };
}

function compareStored(golden: Golden, path: string, at: number, output: FrameOutput): FrameComparison["stored"] {
  const part = (name: string) => {
    const { data, shape } = golden.tensor(`${path}.${name}`);
    return data.subarray(at * shape[1], (at + 1) * shape[1]);
  };
  const sampled = <T extends ArrayLike<number>>(name: string, ours: T) => {
    const want = part(name);
    return { want, got: Array.from(sampleIndices(name, ours.length, want.length), (i) => ours[i]) };
  };
  const [score] = part("score");
  const memory = sampled("maskmem_features", output.maskmemFeatures!);
  const steps = toBfloat16(memory.want).map((want, i) => Math.abs(ordered(want) - ordered(memory.got[i])));
  const masks = sampled("pred_masks", output.predMasks!);
  return {
    predMasks: maxDelta(masks.want, masks.got),
    objPtr: maxDelta(part("obj_ptr"), output.objPtr),
    score: Math.abs(score - output.score),
    sameSign: score > 0 === output.score > 0,
    beyondOneStep: steps.filter((step) => step > 1).length,
    values: steps.length,
  };
}

/** bfloat16 bits as integers in the order of their values. */
function ordered(bits: number): number {
  return bits & 0x8000 ? 0x8000 - bits : bits;
}

function maxDelta(want: ArrayLike<number>, got: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < want.length; i++) max = Math.max(max, Math.abs(want[i] - got[i]));
  return max;
}
