/** How a model is asked for a target of a still or the hero of a clip, and scored: the same clicks as evaluate.py. */
import { jaccard as iou } from "../../src/evaluate/jaccard.ts";
import type { ImagePredictor, Prediction, Prompt, VideoPredictor } from "../../src/index.ts";
import { describe, type Frame, frame, LENGTH, PART, still, type Target, targets } from "./scenes.ts";

export { iou };

/** A mask, 1 inside and 0 outside, of a square picture. */
type Mask = Uint8Array;
type Point = [x: number, y: number];

/** A still and the target of it that is asked for. */
export interface Task {
  seed: number;
  picture: Frame;
  target: Target;
}

/** What was asked and what came of it. */
export interface Answer {
  prompt: Prompt;
  prediction: Prediction;
  /** index of the mask of highest predicted IoU */
  best: number;
  /** IoU of that mask with the truth */
  iou: number;
}

/** The first `count` seeds from `first` on whose still has a target. */
export function* tasks(first: number, count: number, size: number): Generator<Task> {
  for (let seed = first, n = 0; n < count; seed++) {
    const picture = still(seed, size);
    const found = targets(picture);
    if (found.length === 0) continue;
    n++;
    yield { seed, picture, target: found[seed % found.length] };
  }
}

/** Ask for the target; `predictor` holds the picture. */
export async function ask(
  predictor: ImagePredictor,
  { target }: Task,
  prompt: Prompt,
  multimaskOutput: boolean,
): Promise<Answer> {
  const prediction = await predictor.predict(prompt, { multimaskOutput });
  const { iouPredictions, masks } = prediction;
  const best = iouPredictions.indexOf(Math.max(...iouPredictions));
  return { prompt, prediction, best, iou: iou(masks[best], target.mask) };
}

/** One click, three masks. */
export function byClick(predictor: ImagePredictor, task: Task): Promise<Answer> {
  return ask(predictor, task, { points: [firstClick(task.picture, task.target)], labels: [1] }, true);
}

export function byBox(predictor: ImagePredictor, task: Task): Promise<Answer> {
  return ask(predictor, task, { box: boxOf(task.target.mask, task.picture.width) }, false);
}

/** One more click, where the answer is most wrong; undefined if it is right everywhere. */
export async function byCorrection(predictor: ImagePredictor, task: Task, before: Answer): Promise<Answer | undefined> {
  const { prediction, best, prompt } = before;
  const click = correction(prediction.masks[best], task.target.mask, task.picture.width);
  if (!click) return undefined;
  const points = [...prompt.points!, click.point];
  const labels = [...prompt.labels!, click.label];
  return ask(predictor, task, { points, labels, maskInput: prediction.lowResMasks[best] }, false);
}

/** The frames of a clip: J, whether the object shows, and its object score. */
export interface ClipScores {
  j: number[];
  present: boolean[];
  score: number[];
}

/** One object through all frames of a clip, the clicked one included. */
export interface Track extends ClipScores {
  /** in the owner map */
  code: number;
  click: Point;
  truth: Mask[];
  found: Mask[];
}

/** Track the hero of a clip from one click on frame 0. */
export async function scoreClip(predictor: VideoPredictor, seed: number, size: number): Promise<ClipScores> {
  const [track] = await trackObjects(predictor, clip(seed, LENGTH, size), [1]);
  return withoutClick(track);
}

/** The first frames of a seed's clip; it goes on beyond LENGTH. */
export function clip(seed: number, length: number, size: number): Frame[] {
  const scene = describe(seed);
  return Array.from({ length }, (_, t) => frame(scene, t, size));
}

/** Track the objects with these codes, each from one click on frame 0. */
export async function trackObjects(
  predictor: VideoPredictor,
  frames: readonly Frame[],
  codes: readonly number[],
): Promise<Track[]> {
  const tracks = codes.map((code): Track => {
    const truth = frames.map(({ owner }) => owner.map((pixel) => Number((pixel & (PART - 1)) === code)));
    const click = firstClick(frames[0], { code, mask: truth[0] });
    return { code, click, truth, found: [], j: [], present: truth.map((mask) => mask.includes(1)), score: [] };
  });
  await using state = await predictor.initState(frames);
  for (const { code, click } of tracks) {
    await predictor.addNewPointsOrBox(state, { frame: 0, object: code, points: [click], labels: [1] });
  }
  for await (const { frame: t, objects } of predictor.propagateInVideo(state)) {
    for (const [k, { truth, found, j, score }] of tracks.entries()) {
      found.push(objects[k].mask);
      j.push(iou(objects[k].mask, truth[t]));
      score.push(objects[k].score!);
    }
  }
  return tracks;
}

/** The frame that was clicked is not scored. */
export function withoutClick({ j, present, score }: ClipScores): ClipScores {
  return { j: j.slice(1), present: present.slice(1), score: score.slice(1) };
}

/** Innermost pixel of the target; of what is not its part, where the target is a whole. */
export function firstClick({ owner, width }: Frame, { code, mask }: Target): Point {
  const body = mask.map((inside, i) => inside & Number(owner[i] === code));
  return innermost(body.includes(1) ? body : mask, width).point;
}

/** Innermost pixel of the thicker of missed and extra, with label 1 or 0; undefined if there is neither. */
function correction(found: Mask, wanted: Mask, width: number): { point: Point; label: 0 | 1 } | undefined {
  const missed = innermost(
    wanted.map((w, i) => w & ~found[i]),
    width,
  );
  const extra = innermost(
    found.map((f, i) => f & ~wanted[i]),
    width,
  );
  if (missed.depth === 0 && extra.depth === 0) return undefined;
  return missed.depth >= extra.depth ? { point: missed.point, label: 1 } : { point: extra.point, label: 0 };
}

/** The pixel that survives the most erosions, first in reading order, and how many it takes. */
function innermost(mask: Mask, width: number): { point: Point; depth: number } {
  let depth = 0;
  for (let smaller = mask; smaller.includes(1); smaller = erode(mask, width)) {
    mask = smaller;
    depth++;
  }
  const i = Math.max(0, mask.indexOf(1));
  return { point: [i % width, Math.floor(i / width)], depth };
}

/** The pixels of a mask whose four neighbours are in it too; outside the picture counts as outside. */
function erode(mask: Mask, width: number): Mask {
  const eroded = new Uint8Array(mask.length);
  for (let i = width; i < mask.length - width; i++) {
    const x = i % width;
    if (x === 0 || x === width - 1) continue;
    eroded[i] = mask[i] & mask[i - 1] & mask[i + 1] & mask[i - width] & mask[i + width];
  }
  return eroded;
}

function boxOf(mask: Mask, width: number): [x0: number, y0: number, x1: number, y1: number] {
  let [x0, y0, x1, y1] = [width, width, 0, 0];
  for (const [i, inside] of mask.entries()) {
    if (!inside) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)];
  }
  return [x0, y0, x1, y1];
}

/** Of 0…1 a channel: the largest difference that the flood fill takes for the same colour. */
const TOLERANCE = 0.2;

/** What a flood fill from (x, y) covers: neighbours whose colour, smoothed over 5×5 pixels, is near the click's. */
export function floodFill({ data, width }: Frame, [x, y]: Point): Mask {
  const smooth = blurred(data, width);
  const start = y * width + x;
  const near = (i: number) => [0, 1, 2].every((c) => Math.abs(smooth[3 * i + c] - smooth[3 * start + c]) <= TOLERANCE);
  const filled = new Uint8Array(width * width);
  const open = [start];
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    if (filled[i] || !near(i)) continue;
    filled[i] = 1;
    if (i % width > 0) open.push(i - 1);
    if (i % width < width - 1) open.push(i + 1);
    if (i >= width) open.push(i - width);
    if (i + width < filled.length) open.push(i + width);
  }
  return filled;
}

/** Colours, 0…1, averaged over 5×5 pixels; the border is repeated. */
function blurred(data: Uint8Array, width: number): Float64Array {
  const clamp = (place: number) => Math.min(width - 1, Math.max(0, place));
  return Float64Array.from(data, (_, at) => {
    const [c, x, y] = [at % 3, Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    let sum = 0;
    for (let dy = -2; dy <= 2; dy++) {
      for (let dx = -2; dx <= 2; dx++) sum += data[3 * (clamp(y + dy) * width + clamp(x + dx)) + c] / 255;
    }
    return sum / 25;
  });
}
