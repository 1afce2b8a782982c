import { PromptError, UsageError } from "../errors.ts";
import { expectShapeOf, maskOfId, onlyMask } from "../io/mask_file.ts";
import type { Notice } from "../platform/notices.ts";
import type { FrameResult, NewMask, NewPoints } from "../predict/video_predictor.ts";
import type { ObjectMask } from "../predict/video_prompt.ts";
import { type Entry, type Fields, PLACES, type ReadFile } from "./entries.ts";
import { drawMask, MASK_FIELD, type MaskField, readMask } from "./mask_source.ts";

type Size = Pick<ObjectMask, "width" | "height">;

/** What is said of one object on one frame, as JSON has it: of `--prompts`, or of a job. */
export interface JsonTrackPrompt {
  /** its id, from 1; 1 by default, or each id of a mask with several */
  object?: number;
  /** from 0; 0 by default */
  frame?: number;
  /** (x, y) in pixels */
  points?: [number, number][];
  /** of each point: 1 on the object, 0 beside it */
  labels?: (0 | 1)[];
  /** [x0, y0, x1, y1] in pixels */
  box?: [number, number, number, number];
  /** a picture of the object, or a map of ids; COCO's run lengths or polygons */
  mask?: MaskField;
  /** whatever you call the object; comes back with its masks */
  name?: string;
  /** apply it when tracking reaches its frame */
  correct?: boolean;
}

/** The same, with what it leaves out. */
export interface TrackPrompt extends JsonTrackPrompt {
  object: number;
  frame: number;
  /** what is in its mask, for frames of a size */
  picture?: (frame: Size) => ObjectMask;
  /** no object was named: a map of ids gives one for each */
  unnamed?: true;
  /** what to call it in an error */
  where: string;
}

/** Ids are the values of the pixels of a 16-bit picture, or of a palette if they suffice. */
const MAX_ID = 65535;

const isWhole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least;

/** The type of each field of an entry. */
export const TRACK_ENTRY: Fields = {
  object: ["a whole number from 1", (value) => isWhole(value, 1)],
  frame: ["a whole number from 0", (value) => isWhole(value, 0)],
  ...PLACES,
  mask: MASK_FIELD,
  correct: ["true or false", (value) => typeof value === "boolean"],
};

/** Prompts of checked entries: object 1 on frame 0 unless they say otherwise. */
export function trackPrompts(entries: readonly Entry[]): TrackPrompt[] {
  return entries.map(({ fields, where }) => {
    const said = fields as JsonTrackPrompt;
    return { object: 1, frame: 0, ...said, where, ...(said.object === undefined && { unnamed: true as const }) };
  });
}

/** What objects are called, by id; those without a name are left out. */
export function namesOf(prompts: readonly TrackPrompt[]): Map<number, string> {
  return new Map(prompts.flatMap(({ object, name }) => (name === undefined ? [] : [[object, name] as const])));
}

/**
 * The prompts with the pictures of their masks. A map of ids becomes one prompt an id where no object was named.
 *
 * @param notice told how a picture was read, unless it is plain black and white
 * @throws PromptError if a map of several ids is given for one object
 */
export async function withMasks(
  prompts: readonly TrackPrompt[],
  read: ReadFile,
  notice: Notice,
): Promise<TrackPrompt[]> {
  const all: TrackPrompt[] = [];
  for (const prompt of prompts) {
    const { mask, unnamed, where } = prompt;
    if (mask === undefined) {
      all.push(prompt);
      continue;
    }
    const file = await readMask(mask, `${where}.mask`, read);
    if ("segmentation" in file) {
      const picture = (frame: Size) => {
        const drawn = drawMask(file, frame);
        return { ...drawn, mask: onlyMask(drawn, file.where) };
      };
      all.push({ ...prompt, picture });
      continue;
    }
    if (file.note) notice(file.note);
    if (!unnamed || file.kind === "mask") onlyMask(file, typeof mask === "string" ? mask : where);
    const objects = unnamed && file.kind === "ids" ? file.ids : [prompt.object];
    for (const object of objects) {
      const id = file.kind === "ids" && unnamed ? object : file.ids[0];
      const picture = () => ({ ...file, mask: maskOfId(file, id) });
      all.push({ ...prompt, object, picture, where: objects.length > 1 ? `${where}, id ${object}` : where });
    }
  }
  return all;
}

/** @throws UsageError or PromptError for what cannot be tracked, whatever the video */
export function expectTrackable(prompts: readonly TrackPrompt[], video: string): void {
  if (!prompts.some(({ correct }) => !correct)) {
    const example = `sam2 track ${video} --object 1 --point 210,350`;
    throw new UsageError(
      "track",
      "--object with --point, --box or --mask, or --prompts",
      "no prompt",
      `e.g. ${example}`,
    );
  }
  const seen = new Set<string>();
  for (const { object, frame, points, box, mask, correct, where } of prompts) {
    if (!points?.length && !box && mask === undefined) {
      throw new PromptError(where, "points, a box or a mask", "none of them", "say where the object is");
    }
    if (mask !== undefined && (points?.length || box)) {
      throw new PromptError(where, "a mask alone", "points or a box too", "leave out one or the other");
    }
    if (object > MAX_ID) throw new PromptError(where, `an id up to ${MAX_ID}`, `${object}`, "ids are pixel values");
    const key = `${object} ${frame} ${correct}`;
    if (seen.has(key)) {
      throw new PromptError(where, "one prompt for an object on a frame", "two", "put all points into one");
    }
    seen.add(key);
    if (correct && !prompts.some((other) => !other.correct && other.object === object)) {
      throw new PromptError(where, "an object that is prompted elsewhere", `object ${object}`, 'leave out "correct"');
    }
  }
}

/** A predictor on this thread, or the one that stands for it. */
export interface PromptTaker<State> {
  addNewPointsOrBox(state: State, prompt: NewPoints): Promise<FrameResult>;
  addNewMask(state: State, prompt: NewMask): Promise<FrameResult>;
}

/** Give one prompt to the predictor. */
export async function applyPrompt<State extends Size>(
  predictor: PromptTaker<State>,
  state: State,
  { object, frame, points, labels, box, picture, where }: TrackPrompt,
  signal?: AbortSignal,
): Promise<FrameResult> {
  if (!picture) return predictor.addNewPointsOrBox(state, { frame, object, points, labels, box, signal });
  const { mask, width, height } = picture(state);
  expectShapeOf({ width, height }, state, where);
  return predictor.addNewMask(state, { object, frame, mask, width, height, signal });
}
