import { CheckpointError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type FrameMemory, MAX_OBJ_PTRS } from "../model/memory_bank.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import { preprocess } from "../predict/preprocess.ts";
import type { Sam2 } from "../predict/sam2.ts";
import { toBfloat16 } from "../tensor/bfloat16.ts";
import { values } from "../tensor/view.ts";
import type { Parity } from "./parity.ts";

/** One click in the centre of a picture, or the prompt that PyTorch was given. */
export function clickedPicture(sam2: Sam2, image: RgbImage, parity: Parity | undefined, signal: AbortSignal) {
  const { imageSize } = sam2.config;
  const { coords, labels, multimask } = parity ?? { ...centre(imageSize), multimask: true };
  return () =>
    sam2.run(({ forwardImage, withoutMemory, predictMasks }) => {
      const features = withoutMemory(forwardImage(preprocess(image, imageSize)));
      predictMasks(features, pointsOn(sam2, coords, labels), undefined, multimask);
    }, signal);
}

/**
 * A frame of a video in which one object is tracked, far enough from its start that the memory bank is full: seven maps and
 * sixteen pointers. All are what is remembered of a click in the centre of the same picture.
 *
 * @throws CheckpointError if the model has no weights for the memory
 */
export function trackedFrame(sam2: Sam2, image: RgbImage, signal: AbortSignal) {
  const { imageSize } = sam2.config;
  if (!sam2.canTrack) {
    const todo = "leave --video out, or take a checkpoint for video";
    throw new CheckpointError("trace --video", "the weights of the memory", `${sam2.config.name} without them`, todo);
  }
  const memory = sam2.run(({ forwardImage, tracker }): FrameMemory => {
    const features = forwardImage(preprocess(image, imageSize));
    const { coords, labels } = centre(imageSize);
    const found = tracker!.trackStep(features, { points: pointsOn(sam2, coords, labels) });
    const maskmemFeatures = toBfloat16(values(tracker!.encodeMemory(features, found, true)));
    return { maskmemFeatures, objPtr: values(found.objPtr).slice() };
  }, signal);
  const bank = {
    cond: new Map([[0, memory]]),
    nonCond: new Map(Array.from({ length: MAX_OBJ_PTRS - 1 }, (_, i) => [i + 1, memory] as const)),
  };
  const at = { frame: MAX_OBJ_PTRS, numFrames: 2 * MAX_OBJ_PTRS, reverse: false };
  return () =>
    sam2.run(({ forwardImage, tracker }) => {
      const features = tracker!.prepare(forwardImage(preprocess(image, imageSize)));
      const past = { bank, at, attended: tracker!.lookAround(features) };
      tracker!.encodeMemory(features, tracker!.trackStep(features, {}, past), false);
    }, signal);
}

function centre(imageSize: number) {
  return { coords: new Float32Array(2).fill(imageSize / 2), labels: [LABEL.positive] };
}

function pointsOn({ machine }: Sam2, coords: Float32Array, labels: number[]): Points {
  return { coords: machine.heap.from(coords, [1, labels.length, 2]), labels: [labels] };
}
