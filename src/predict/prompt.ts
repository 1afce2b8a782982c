import { PromptError } from "../errors.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import type { Heap } from "../tensor/heap.ts";

/** What a user says of one object in an image. At least one of points, box and maskInput is given. */
export interface Prompt {
  /** clicks, (x, y) in pixels of the original image, or 0…1 of it with `normalizeCoords: false` */
  points?: readonly (readonly [x: number, y: number])[];
  /** for each click: 1 inside of the object, 0 outside. All 1 if left out. */
  labels?: readonly (0 | 1)[];
  /** corners of a box around the object, in the units of `points` */
  box?: readonly [x0: number, y0: number, x1: number, y1: number];
  /** logits of an earlier prediction, `lowResMasks[i]` */
  maskInput?: Float32Array;
}

/** The frame in which a prompt's coordinates are meant. */
export interface PromptFrame {
  width: number;
  height: number;
  imageSize: number;
  normalizeCoords: boolean;
}

/** @throws PromptError unless the prompt is complete, finite, and within the image */
export function checkPrompt(prompt: Prompt, { width, height, imageSize, normalizeCoords }: PromptFrame, where: string) {
  const { points, labels, box, maskInput } = prompt;
  if (!points?.length && !box && !maskInput) {
    throw new PromptError(where, "points, a box or a mask", "none of them", "e.g. { points: [[500, 375]] }");
  }
  if (labels && labels.length !== (points?.length ?? 0)) {
    throw new PromptError(
      `${where}.labels`,
      `${points?.length ?? 0} labels, one for each point`,
      `${labels.length}`,
      "give each point 1 (object) or 0 (background)",
    );
  }
  const bad = labels?.find((label) => label !== LABEL.negative && label !== LABEL.positive);
  if (bad !== undefined) {
    throw new PromptError(`${where}.labels`, "1 (object) or 0 (background)", `${bad}`, "draw a box with `box`");
  }
  const [right, bottom] = normalizeCoords ? [width, height] : [1, 1];
  for (const [i, [x, y]] of (points ?? []).entries()) {
    if (!(x >= 0 && x <= right && y >= 0 && y <= bottom)) {
      throw new PromptError(
        `${where}.points[${i}]`,
        `x in 0…${right}, y in 0…${bottom}`,
        `(${x}, ${y})`,
        "click inside of the image",
      );
    }
  }
  if (box) {
    const [x0, y0, x1, y1] = box;
    if (!(box.length === 4 && box.every(Number.isFinite) && x0 < x1 && y0 < y1)) {
      throw new PromptError(
        `${where}.box`,
        "x0 < x1 and y0 < y1",
        `[${box.join(", ")}]`,
        "give the top left corner, then the bottom right one",
      );
    }
    if (!(x1 > 0 && y1 > 0 && x0 < right && y0 < bottom)) {
      throw new PromptError(
        `${where}.box`,
        `a box that meets the image, 0…${right} × 0…${bottom}`,
        `[${box.join(", ")}]`,
        "move the box",
      );
    }
  }
  const side = imageSize / 4;
  if (maskInput && maskInput.length !== side * side) {
    throw new PromptError(
      `${where}.maskInput`,
      `${side}×${side} logits`,
      `${maskInput.length} values`,
      "pass lowResMasks[i] of a prediction of the same model",
    );
  }
}

/** A prompt's box, as two points, and its clicks, in pixels of the resized image; undefined for a mask alone. */
export function promptPoints(prompt: Prompt, frame: PromptFrame, heap: Heap): Points | undefined {
  const { points = [], labels = points.map(() => LABEL.positive), box } = prompt;
  const corners: [number, number][] = box
    ? [
        [box[0], box[1]],
        [box[2], box[3]],
      ]
    : [];
  const places = [...corners, ...points];
  if (places.length === 0) return undefined;
  const [width, height] = frame.normalizeCoords ? [frame.width, frame.height] : [1, 1];
  const coords = pointsInModel(places, { width, height, imageSize: frame.imageSize });
  return {
    coords: heap.from(coords, [1, places.length, 2]),
    labels: [[...(box ? [LABEL.boxTopLeft, LABEL.boxBottomRight] : []), ...labels]],
  };
}

/** Points of an image in pixels of the resized image, x and y in turn. Upstream divides and multiplies in f32. */
export function pointsInModel(
  points: readonly (readonly [x: number, y: number])[],
  { width, height, imageSize }: Omit<PromptFrame, "normalizeCoords">,
): Float32Array {
  const { fround } = Math;
  return Float32Array.from(
    points.flatMap(([x, y]) => [
      fround(fround(fround(x) / width) * imageSize),
      fround(fround(fround(y) / height) * imageSize),
    ]),
  );
}
