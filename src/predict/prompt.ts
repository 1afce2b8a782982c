import { PromptError } from "../errors.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import type { Heap } from "../tensor/heap.ts";
import type { MaskArray } from "./mask_arrays.ts";

/** What a user says of one object in an image. At least one of points, box and maskInput is given. */
export interface Prompt {
  /** clicks, (x, y) in pixels of the original image, or 0…1 of it with `normalizeCoords: false` */
  points?: readonly (readonly number[])[];
  /** for each click: 1 inside of the object, 0 outside. All 1 if left out. */
  labels?: readonly number[];
  /** corners of a box around the object, x0, y0, x1, y1, in the units of `points` */
  box?: readonly number[];
  /** logits of an earlier prediction, `lowResMasks[i]`; or a mask of as many pixels, which becomes logits of ±10 */
  maskInput?: MaskArray;
  /** whatever you call it; comes back with its prediction */
  name?: string;
}

/** The fields of a Prompt. */
export const PROMPT_FIELDS = ["points", "labels", "box", "maskInput", "name"];

/** The frame in which a prompt's coordinates are meant. */
export interface PromptFrame {
  width: number;
  height: number;
  imageSize: number;
  normalizeCoords: boolean;
}

/** @throws PromptError unless the prompt is complete, finite, and within the image */
export function checkPrompt(prompt: Prompt, { width, height, imageSize, normalizeCoords }: PromptFrame, where: string) {
  const { points, labels, box, maskInput, name } = prompt;
  const numPoints = points === undefined ? 0 : expectPoints(points, `${where}.points`);
  if (numPoints === 0 && box === undefined && maskInput === undefined) {
    throw new PromptError(where, "points, a box or a mask", "none of them", "e.g. { points: [[500, 375]] }");
  }
  if (labels !== undefined && labels.length !== numPoints) {
    throw new PromptError(
      `${where}.labels`,
      `${numPoints} labels, one for each point`,
      `${labels.length ?? shown(labels)}`,
      "give each point 1 (object) or 0 (background)",
    );
  }
  const isLabel = (label: number) => label === LABEL.negative || label === LABEL.positive;
  const bad = labels === undefined ? -1 : Array.from(labels).findIndex((label) => !isLabel(label));
  if (bad >= 0) {
    const got = shown(labels![bad]);
    throw new PromptError(`${where}.labels`, "1 (object) or 0 (background)", got, "draw a box with `box`");
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
  if (box !== undefined) expectBox(box, right, bottom, `${where}.box`);
  if (name !== undefined && typeof name !== "string") {
    throw new PromptError(`${where}.name`, "a text", shown(name), "write it in quotes, or leave it out");
  }
  const side = imageSize / 4;
  if (maskInput !== undefined && maskInput.length !== side * side) {
    throw new PromptError(
      `${where}.maskInput`,
      `${side}×${side} logits`,
      maskInput.length === undefined ? shown(maskInput) : `${maskInput.length} values`,
      "pass lowResMasks[i] of a prediction of the same model",
    );
  }
}

/** How many there are. */
function expectPoints(points: NonNullable<Prompt["points"]>, where: string): number {
  if (!Array.isArray(points)) throw new PromptError(where, "a list of [x, y]", shown(points), "e.g. [[500, 375]]");
  for (const [i, point] of points.entries()) {
    if (isNumbers(point, 2)) continue;
    throw new PromptError(`${where}[${i}]`, "[x, y], two numbers", shown(point), "e.g. [[500, 375]]");
  }
  return points.length;
}

function expectBox(box: NonNullable<Prompt["box"]>, right: number, bottom: number, where: string): void {
  const todo = "give the top left corner, then the bottom right one";
  if (!isNumbers(box, 4)) throw new PromptError(where, "[x0, y0, x1, y1], four numbers", shown(box), todo);
  const [x0, y0, x1, y1] = box;
  const got = `[${[...box].join(", ")}]`;
  if (!(x0 < x1 && y0 < y1)) throw new PromptError(where, "x0 < x1 and y0 < y1", got, todo);
  if (!(x1 > 0 && y1 > 0 && x0 < right && y0 < bottom)) {
    throw new PromptError(where, `a box that meets the image, 0…${right} × 0…${bottom}`, got, "move the box");
  }
}

/** A list or a typed array of so many finite numbers. */
function isNumbers(value: unknown, length: number): boolean {
  const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  return isList && (value as number[]).length === length && Array.from(value as number[]).every(Number.isFinite);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 60);
}

/** A prompt's box, as two points, and its clicks, in pixels of the resized image; undefined for a mask alone. */
export function promptPoints(prompt: Prompt, frame: PromptFrame, heap: Heap): Points | undefined {
  const { points = [], labels = points.map(() => LABEL.positive), box } = prompt;
  const corners = box
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
  points: readonly (readonly number[])[],
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
