import { PromptError, UsageError } from "../errors.ts";
import type { Mask } from "../io/masks.ts";
import type { FramePrompt } from "../model/tracker.ts";
import { resize } from "../nn/resize.ts";
import { machine } from "../runtime/machine.ts";
import { type Tensor, values } from "../tensor/view.ts";
import type { MaskArray } from "./mask_arrays.ts";
import type { Prompt } from "./prompt.ts";
import type { StoredPoints, TrackedObject, VideoState } from "./video_state.ts";

/** Which object on which frame. */
export interface Place {
  /** 0 is the first of the video */
  frame: number;
  /** any whole number; an unknown one starts a new object */
  object: number;
}

/** The fields of Place. */
export const PLACE_FIELDS = ["frame", "object"];

/** A place in words, whatever it holds. */
export function placeName({ frame, object }: Place): string {
  return `object ${String(object)} on frame ${String(frame)}`;
}

/** Clicks on an object, and a box around it, on one frame. */
export interface NewPoints extends Place, Omit<Prompt, "maskInput" | "name"> {
  /** forget earlier points on this frame (default); false adds to them */
  clearOldPoints?: boolean;
  /** coordinates are pixels of the video (default); false: 0…1 of it */
  normalizeCoords?: boolean;
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

/** The fields of NewPoints. */
export const POINTS_FIELDS = [
  "frame",
  "object",
  "points",
  "labels",
  "box",
  "clearOldPoints",
  "normalizeCoords",
  "signal",
];

/** The mask of an object on one frame. */
export interface NewMask extends Place {
  /** the object, a value a pixel */
  mask: MaskArray;
  /** size of the mask, the video's by default */
  width?: number;
  /** size of the mask, the video's by default */
  height?: number;
  /** ends the call early: it rejects with the reason of the signal */
  signal?: AbortSignal;
}

/** The fields of NewMask. */
export const MASK_FIELDS = ["frame", "object", "mask", "width", "height", "signal"];

export interface ObjectMask {
  mask: Mask;
  width: number;
  height: number;
}

/** Logits of an earlier answer are limited before they are corrected. */
const PREVIOUS_LIMIT = 32;

export function expectFrame(state: VideoState, frame: number, where: string, last = state.lastFrame): void {
  if (Number.isInteger(frame) && frame >= 0 && frame <= last) return;
  const got = `${frame}`;
  throw new PromptError(where, `a frame of the video, 0…${last}`, got, "count frames from 0; of a stream, wait for it");
}

export function expectPlace(state: VideoState, { frame, object }: Place): void {
  expectFrame(state, frame, `prompt for object ${object}`);
  if (!Number.isSafeInteger(object)) {
    throw new PromptError("object", "a whole number", `${object}`, "name objects 1, 2, 3 …");
  }
}

export function knownObject(state: VideoState, id: number): TrackedObject {
  const object = state.objects.get(id);
  if (object) return object;
  const known = state.objectIds.join(", ") || "no object yet";
  throw new UsageError(`object ${id}`, `one of: ${known}`, `${id}`, "name an object that has a prompt");
}

export function joinPoints(
  old: StoredPoints | undefined,
  coords: Float32Array,
  labels: readonly number[],
): StoredPoints {
  return {
    coords: Float32Array.from([...(old?.coords ?? []), ...coords]),
    labels: [...(old?.labels ?? []), ...labels],
  };
}

/** A prompt as the model takes it, at S×S pixels. `previous` are the logits that points correct [(S/4)²]. */
export function framePrompt(
  prompt: StoredPoints | ObjectMask,
  previous: Float32Array | undefined,
  S: number,
): FramePrompt {
  if ("mask" in prompt) return { mask: modelMask(prompt, S) };
  const { coords, labels } = prompt;
  const logits = previous?.map((v) => Math.max(-PREVIOUS_LIMIT, Math.min(PREVIOUS_LIMIT, v)));
  return {
    points: { coords: machine.heap.from(coords, [1, labels.length, 2]), labels: [labels] },
    previousLogits: logits && machine.heap.from(logits, [1, S / 4, S / 4, 1]),
  };
}

/** A mask of any size. @shape → [1, S, S, 1] of 0 and 1 */
function modelMask({ mask, width, height }: ObjectMask, S: number): Tensor {
  const full = machine.heap.alloc([1, height, width, 1]);
  for (let i = 0; i < mask.length; i++) full.data[i] = mask[i] ? 1 : 0;
  if (width === S && height === S) return full;
  const resized = resize(full, S, S, "antialias");
  const v = values(resized);
  for (let i = 0; i < v.length; i++) v[i] = v[i] >= 0.5 ? 1 : 0;
  return resized;
}
