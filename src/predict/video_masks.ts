import { above, full } from "../nn/layout.ts";
import { resize } from "../nn/resize.ts";
import { machine } from "../runtime/machine.ts";
import { type Tensor, values } from "../tensor/view.ts";
import type { Sam2 } from "./sam2.ts";
import type { VideoState } from "./video_state.ts";

/** The masks of all objects on one frame. */
export interface FrameResult {
  /** 0 is the first of the video */
  frame: number;
  /** with `latest`, of the frame that came last: its number among all that came, the dropped ones too */
  arrival?: number;
  /** in the order in which they were first prompted */
  objects: ObjectResult[];
}

/** What was found of one object on one frame. */
export interface ObjectResult {
  /** `object` of its prompts */
  id: number;
  /** logit: positive if the object is in the frame; undefined while nothing is known of it there */
  score: number | undefined;
  /** width·height bytes of the video's size, 1 inside and 0 outside */
  mask: Uint8Array;
  /** the mask as logits; with `returnLogits` */
  logits?: Float32Array;
}

/** Mask logit of an object of which nothing is known. */
const NO_OBJ_SCORE = -1024;
/** Pixels that lose against another object get at most this logit. */
const OVERLAP_LIMIT = -10;

type Size = Pick<VideoState, "width" | "height">;

/** Masks at the size of the video, of what was found of each object. */
export function videoMasks(
  sam2: Sam2,
  size: Size,
  found: readonly { id: number; score?: number; predMasks?: Float32Array }[],
  nonOverlap: boolean,
  returnLogits: boolean,
): ObjectResult[] {
  if (nonOverlap) {
    const all = found.map((one) => sam2.run(() => values(videoLogits(sam2, size, one.predMasks)).slice()));
    keepHighest(all);
    return found.map(({ id, score }, i) => ({
      id,
      score,
      mask: positive(all[i]),
      ...(returnLogits && { logits: all[i] }),
    }));
  }
  return found.map(({ id, score, predMasks }) =>
    sam2.run(() => {
      const logits = videoLogits(sam2, size, predMasks);
      return { id, score, mask: above(logits, 0), ...(returnLogits && { logits: values(logits).slice() }) };
    }),
  );
}

/** @shape → [1, height, width, 1] */
function videoLogits(sam2: Sam2, { width, height }: Size, predMasks: Float32Array | undefined): Tensor {
  if (!predMasks) return full([1, height, width, 1], NO_OBJ_SCORE);
  const side = sam2.config.imageSize / 4;
  return resize(machine.heap.from(predMasks, [1, side, side, 1]), height, width, "bilinear");
}

function positive(logits: Float32Array): Uint8Array {
  const mask = new Uint8Array(logits.length); // a loop: `Uint8Array.from` with a function takes ten times as long
  for (let i = 0; i < mask.length; i++) mask[i] = logits[i] > 0 ? 1 : 0;
  return mask;
}

/**
 * Where masks overlap, the highest logit stays, the first of equals; the others fall to −10 or below.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base._apply_non_overlapping_constraints
 */
function keepHighest(logits: readonly Float32Array[]): void {
  if (logits.length < 2) return;
  for (let i = 0; i < logits[0].length; i++) {
    let best = 0;
    for (let k = 1; k < logits.length; k++) if (logits[k][i] > logits[best][i]) best = k;
    for (let k = 0; k < logits.length; k++) if (k !== best) logits[k][i] = Math.min(logits[k][i], OVERLAP_LIMIT);
  }
}
