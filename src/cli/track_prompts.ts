import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { PromptError, UsageError } from "../errors.ts";
import { expectShapeOf, maskOfId, onlyMask } from "../io/mask_file.ts";
import type { Notice } from "../platform/notices.ts";
import type { FrameResult, VideoPredictor } from "../predict/video_predictor.ts";
import type { ObjectMask } from "../predict/video_prompt.ts";
import type { VideoState } from "../predict/video_state.ts";
import { drawMask, MASK_FIELD, type MaskField, readMask } from "./mask_source.ts";
import { click, corners, count } from "./options.ts";
import { type Fields, PLACES, readEntries } from "./prompt_file.ts";

type Size = Pick<ObjectMask, "width" | "height">;

/** What is said of one object on one frame. */
export interface TrackPrompt {
  object: number;
  frame: number;
  points?: [number, number][];
  labels?: (0 | 1)[];
  box?: [number, number, number, number];
  /** a picture of the object, or a map of ids; COCO's run lengths or polygons */
  mask?: MaskField;
  /** what is in it, for frames of a size */
  picture?: (frame: Size) => ObjectMask;
  /** no object was named: a map of ids gives one for each */
  unnamed?: true;
  /** whatever you call the object; comes back with its masks */
  name?: string;
  /** apply it when tracking reaches its frame */
  correct?: boolean;
  /** what to call it in an error */
  where: string;
}

/** Ids are the values of the pixels of a 16-bit picture, or of a palette if they suffice. */
const MAX_ID = 65535;

/** The options --object, --frame, --point, --box and --mask; each belongs to the --object and --frame before it. */
export function addPromptOptions(command: Command): TrackPrompt[] {
  const prompts: TrackPrompt[] = [];
  const open = (object: number, frame: number): TrackPrompt => {
    const prompt = { object, frame, where: `--object ${object} --frame ${frame}` };
    prompts.push(prompt);
    return prompt;
  };
  const current = () => prompts.at(-1) ?? Object.assign(open(1, 0), { unnamed: true as const });
  const id = count("--object");
  const frame = count("--frame", 0);
  command
    .option("--object <id>", "an object, 1 … 65535; what follows belongs to it (default: 1)", (text) => {
      open(id(text), 0);
    })
    .option("--frame <f>", "the frame on which you click, counted from 0 (default: 0)", (text) => {
      const { object, where, unnamed, ...said } = current();
      if (Object.keys(said).length === 1) prompts.pop();
      Object.assign(open(object, frame(text)), unnamed && { unnamed });
    })
    .option("--point <x,y[,0]>", "a click on the object, or beside it with ,0; may be repeated", (text) => {
      const prompt = current();
      const [{ point, label }] = click(text);
      prompt.points = [...(prompt.points ?? []), point];
      prompt.labels = [...(prompt.labels ?? []), label];
    })
    .option("--box <x0,y0,x1,y1>", "a box around the object", (text) => {
      expectNew("--box", current().box);
      current().box = corners(text);
    })
    .option(
      "--mask <file>",
      "a picture of the object: white on black, its alpha, or a map of ids; or COCO JSON",
      (text) => {
        expectNew("--mask", current().mask);
        current().mask = text;
      },
    );
  return prompts;
}

const isWhole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least;

const FIELDS: Fields = {
  object: ["a whole number from 1", (value) => isWhole(value, 1)],
  frame: ["a whole number from 0", (value) => isWhole(value, 0)],
  ...PLACES,
  mask: MASK_FIELD,
  correct: ["true or false", (value) => typeof value === "boolean"],
};

/**
 * `[{"object": 1, "frame": 0, "points": [[x, y]], "labels": [1], "box": null, "mask": null, "correct": true}, …]`, or one
 * such object; a mask is a path relative to the file, or COCO's run lengths or polygons.
 *
 * @throws PromptError naming the file and the entry
 */
export async function trackPromptsFromFile(path: string): Promise<TrackPrompt[]> {
  return (await readEntries(path, FIELDS)).map(({ fields, where }) => {
    const { mask, ...rest } = fields as Partial<TrackPrompt>;
    const found = typeof mask === "string" ? resolve(dirname(path), mask) : mask;
    return { object: 1, frame: 0, ...rest, mask: found, where, ...(rest.object === undefined && { unnamed: true }) };
  });
}

/** @throws UsageError if the option was given before for the same object and frame */
function expectNew(option: string, earlier: unknown): void {
  if (earlier === undefined) return;
  const todo = "open another --object or --frame before it, or put all prompts into a file: --prompts";
  throw new UsageError(option, "one for an object on a frame", "a second", todo);
}

/**
 * The prompts with the pictures of their masks. A map of ids becomes one prompt an id where no object was named.
 *
 * @param notice told how a picture was read, unless it is plain black and white
 * @throws PromptError if a map of several ids is given for one object
 */
export async function withMasks(prompts: readonly TrackPrompt[], notice: Notice): Promise<TrackPrompt[]> {
  const all: TrackPrompt[] = [];
  for (const prompt of prompts) {
    const { mask, unnamed, where } = prompt;
    if (mask === undefined) {
      all.push(prompt);
      continue;
    }
    const file = await readMask(mask, `${where}.mask`);
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

/** Give one prompt to the predictor. */
export async function applyPrompt(
  predictor: VideoPredictor,
  state: VideoState,
  { object, frame, points, labels, box, picture, where }: TrackPrompt,
  signal: AbortSignal,
): Promise<FrameResult> {
  if (frame >= state.numFrames || (await state.frames.read(frame, 1, signal)) === undefined) {
    throw new PromptError(where, `a frame of the video, 0…${state.numFrames - 1}`, `${frame}`, "count frames from 0");
  }
  if (!picture) return predictor.addNewPointsOrBox(state, { frame, object, points, labels, box, signal });
  const { mask, width, height } = picture(state);
  expectShapeOf({ width, height }, state, where);
  return predictor.addNewMask(state, { object, frame, mask, width, height, signal });
}
