// Label Studio's answer to the boxes of a video: the same objects on the frames that follow. Its frames count from 1.
import { VideoPredictor } from "../../engine/video_predictor.ts";
import type { Sam2 } from "../../engine/sam2.ts";
import { ImageError, PromptError } from "../../errors.ts";
import { maskBounds } from "../../io/masks.ts";
import type { Limits } from "../limits.ts";
import { Problem } from "../problem.ts";
import type { Region } from "../schemas.ts";
import { boxOf } from "./regions.ts";

/** A box on a frame, in percents. With `enabled: false` it is the last one until the next in the sequence. */
export interface Keyframe {
  frame: number;
  enabled: boolean;
  rotation: number;
  x: number;
  y: number;
  width: number;
  height: number;
  time?: number;
  /** tracked, not drawn by somebody */
  auto?: boolean;
}

/** An object: a region of the video, and what is drawn of it. */
interface Drawn {
  region: Region;
  sequence: readonly Keyframe[];
  /** those that say where it is: of many, the last */
  prompts: readonly Keyframe[];
  where: string;
}

/** More boxes of an object make tracking slower, but hardly better. */
const MOST_PROMPTS = 8;

/**
 * Boxes on the frames from the first one that is drawn on: of every region, its own boxes and those that were tracked.
 *
 * @param path of the video
 * @throws Problem, PromptError, ImageError; the signal's reason if aborted
 */
export async function predictBoxes(
  sam2: Sam2,
  limits: Limits,
  regions: readonly Region[],
  path: string,
  signal: AbortSignal,
): Promise<Region[]> {
  const drawn = drawnIn(regions, limits);
  const predictor = new VideoPredictor(sam2);
  await using state = await predictor.initState(path, { signal });
  const { width, height } = state;
  for (const [i, { prompts, where }] of drawn.entries()) {
    for (const keyframe of prompts) {
      const box = boxOf({ value: keyframe, where }, { width, height });
      await predictor.addNewPointsOrBox(state, { frame: keyframe.frame - 1, object: i + 1, box, signal });
    }
  }
  const startFrame = Math.min(...drawn.flatMap(({ prompts }) => prompts.map(({ frame }) => frame))) - 1;
  const tracked = drawn.map((): Keyframe[] => []);
  const scores = drawn.map((): number[] => []);
  let frames = 0;
  for await (const result of predictor.propagateInVideo(state, {
    startFrame,
    maxFrames: limits.frames - 1,
    signal,
  })) {
    frames = result.frame + 1;
    for (const [i, { mask, score }] of result.objects.entries()) {
      const bounds = maskBounds(mask, width);
      if (!bounds || score === undefined) continue;
      tracked[i].push(keyframeOf(result.frame, bounds, { width, height }));
      scores[i].push(1 / (1 + Math.exp(-score)));
    }
  }
  if (frames - startFrame < limits.frames) for (const object of drawn) expectFrames(object, frames);
  return drawn.map((object, i) => {
    const score = scores[i].reduce((sum, one) => sum + one, 0) / Math.max(1, scores[i].length);
    return { ...resultOf(object, tracked[i], startFrame + 1, frames), score };
  });
}

/** Label Studio counts frames by the rate that its <Video> tag says. @throws ImageError if the video has another count */
function expectFrames({ region, where }: Drawn, frames: number): void {
  const { framesCount } = region.value as { framesCount?: unknown };
  if (typeof framesCount !== "number" || Math.abs(framesCount - frames) <= 2 + frames / 100) return;
  const todo = 'give <Video> the frameRate of the file, e.g. frameRate="25"';
  throw new ImageError(`${where}.value.framesCount`, `${frames}, the frames of the video`, `${framesCount}`, todo);
}

/** @throws Problem, PromptError naming the region */
function drawnIn(regions: readonly Region[], { objects, prompts: most }: Limits): Drawn[] {
  const drawn = regions.flatMap((region, i) => {
    const where = `context.result[${i}]`;
    if (!/^videorectangle$/i.test(region.type)) return [];
    const { sequence } = region.value as { sequence?: unknown };
    if (!Array.isArray(sequence) || sequence.length === 0) {
      throw new PromptError(where, "value.sequence with a box", JSON.stringify(sequence) ?? "none", "draw a box");
    }
    const keyframes = sequence.map((keyframe, k) => expectKeyframe(keyframe, `${where}.value.sequence[${k}]`));
    keyframes.sort((a, b) => a.frame - b.frame);
    const byHand = keyframes.filter(({ auto }) => auto !== true);
    const prompts = (byHand.length > 0 ? byHand : keyframes).slice(-MOST_PROMPTS);
    return [{ region, sequence: byHand, prompts, where }];
  });
  if (drawn.length === 0) {
    const got = [...new Set(regions.map(({ type }) => type))].join(", ");
    throw new PromptError("context.result", "a region of type videorectangle", got, "draw a box around an object");
  }
  if (drawn.length > objects) {
    throw new Problem(422, ["context.result", `at most ${objects} objects`, `${drawn.length}`, "track fewer at once"]);
  }
  const prompts = drawn.reduce((sum, object) => sum + object.prompts.length, 0);
  if (prompts > most) {
    throw new Problem(422, ["context.result", `at most ${most} boxes`, `${prompts}`, "track fewer objects at once"]);
  }
  return drawn;
}

function expectKeyframe(value: unknown, where: string): Keyframe {
  const { frame, enabled = true, rotation = 0 } = (value ?? {}) as Partial<Keyframe>;
  if (!Number.isSafeInteger(frame) || frame! < 1) {
    throw new PromptError(`${where}.frame`, "a whole number from 1", JSON.stringify(frame) ?? "none", "count from 1");
  }
  boxOf({ value: value as object, where }, { width: 100, height: 100 }); // its numbers are there
  return { ...(value as Keyframe), rotation, enabled };
}

/** The box around a mask. */
function keyframeOf(
  frame: number,
  [left, top, right, bottom]: NonNullable<ReturnType<typeof maskBounds>>,
  { width, height }: { width: number; height: number },
): Keyframe {
  return {
    frame: frame + 1,
    enabled: true,
    rotation: 0,
    x: (100 * left) / width,
    y: (100 * top) / height,
    width: (100 * (right - left)) / width,
    height: (100 * (bottom - top)) / height,
    auto: true,
  };
}

/**
 * What somebody has drawn and what was tracked, as one sequence. What is drawn stays; after a box of theirs that ends the
 * object it is not to be seen until their next one. A box is the last one where no frame follows on which it was found.
 *
 * @param first, last the frames that were tracked
 * @param rate frames a second, if it is known
 */
export function sequenceOf(
  drawn: readonly Keyframe[],
  tracked: readonly Keyframe[],
  [first, last]: readonly [first: number, last: number],
  rate?: number,
): Keyframe[] {
  const isHidden = (frame: number) => drawn.findLast((own) => own.frame < frame)?.enabled === false;
  const found = tracked.filter(({ frame }) => !isHidden(frame) && !drawn.some((own) => own.frame === frame));
  const all = [...drawn, ...found].sort((a, b) => a.frame - b.frame);
  const frames = new Set(all.map(({ frame }) => frame));
  return all.map((keyframe) => {
    const { frame } = keyframe;
    const isTracked = frame >= first && frame <= last;
    const enabled = keyframe.enabled && (!isTracked || frames.has(frame + 1));
    return { ...keyframe, enabled, ...(rate !== undefined && keyframe.time === undefined && { time: frame / rate }) };
  });
}

function resultOf(
  { region, sequence: drawn }: Drawn,
  tracked: readonly Keyframe[],
  first: number,
  last: number,
): Region {
  const { framesCount, duration } = region.value as { framesCount?: number; duration?: number };
  const rate = framesCount && duration ? framesCount / duration : undefined;
  return { ...region, value: { ...region.value, sequence: sequenceOf(drawn, tracked, [first, last], rate) } };
}
