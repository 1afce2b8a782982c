import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { PromptError, UsageError } from "../errors.ts";
import { decodeImage } from "../io/image.ts";
import type { FrameResult, VideoPredictor } from "../predict/video_predictor.ts";
import type { VideoState } from "../predict/video_state.ts";
import { readInput } from "./files.ts";
import { click, corners, count } from "./options.ts";

/** What is said of one object on one frame. */
export interface TrackPrompt {
  object: number;
  frame: number;
  points?: [number, number][];
  labels?: (0 | 1)[];
  box?: [number, number, number, number];
  /** a picture, anything but black is the object */
  mask?: string;
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
  const current = () => prompts.at(-1) ?? open(1, 0);
  const id = count("--object");
  const frame = count("--frame", 0);
  command
    .option("--object <id>", "an object, 1 … 65535; what follows belongs to it (default: 1)", (text) => {
      open(id(text), 0);
    })
    .option("--frame <f>", "the frame on which you click, counted from 0 (default: 0)", (text) => {
      const { object, where, ...said } = current();
      if (Object.keys(said).length === 1) prompts.pop();
      open(object, frame(text));
    })
    .option("--point <x,y[,0]>", "a click on the object, or beside it with ,0; may be repeated", (text) => {
      const prompt = current();
      const [{ point, label }] = click(text);
      prompt.points = [...(prompt.points ?? []), point];
      prompt.labels = [...(prompt.labels ?? []), label];
    })
    .option("--box <x0,y0,x1,y1>", "a box around the object", (text) => {
      current().box = corners(text);
    })
    .option("--mask <file>", "a picture of the object: white on black, or any colours on black", (text) => {
      current().mask = text;
    });
  return prompts;
}

/**
 * `[{"object": 1, "frame": 0, "points": [[x, y]], "labels": [1], "box": null, "mask": null, "correct": true}, …]`; a mask
 * is a path beside the file.
 *
 * @throws PromptError naming the file and the entry
 */
export async function trackPromptsFromFile(path: string): Promise<TrackPrompt[]> {
  const bytes = await readInput(path, "a JSON file of prompts");
  let entries: unknown;
  try {
    entries = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PromptError(path, "JSON in UTF-8", (cause as Error).message, "correct the file", { cause });
  }
  if (!Array.isArray(entries)) {
    throw new PromptError(path, "a list of prompts", shown(entries), 'e.g. [{"object": 1, "points": [[500, 375]]}]');
  }
  return entries.map((entry, i) => fromJson(entry, `${path}[${i}]`, dirname(path)));
}

const isNumbers = (value: unknown, length?: number) =>
  Array.isArray(value) && value.every(Number.isFinite) && value.length === (length ?? value.length);

const FIELDS: Record<string, [expected: string, fits: (value: unknown) => boolean]> = {
  object: ["a whole number from 1", (value) => Number.isSafeInteger(value) && (value as number) >= 1],
  frame: ["a whole number from 0", (value) => Number.isSafeInteger(value) && (value as number) >= 0],
  points: ["a list of [x, y]", (value) => Array.isArray(value) && value.every((point) => isNumbers(point, 2))],
  labels: ["a list of 0 and 1", (value) => isNumbers(value)],
  box: ["[x0, y0, x1, y1]", (value) => isNumbers(value, 4)],
  mask: ["the name of a picture", (value) => typeof value === "string"],
  correct: ["true or false", (value) => typeof value === "boolean"],
};

function fromJson(entry: unknown, where: string, folder: string): TrackPrompt {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw new PromptError(where, "an object", shown(entry), 'e.g. {"object": 1, "points": [[500, 375]]}');
  }
  const fields = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null));
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(FIELDS, name)) {
      throw new PromptError(where, Object.keys(FIELDS).join(", "), `"${name}"`, "check the spelling");
    }
    const [expected, fits] = FIELDS[name];
    if (!fits(value)) throw new PromptError(`${where}.${name}`, expected, shown(value), "correct this entry");
  }
  const { mask, ...rest } = fields as Partial<TrackPrompt>;
  return { object: 1, frame: 0, ...rest, mask: mask === undefined ? undefined : resolve(folder, mask), where };
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
  { object, frame, points, labels, box, mask, where }: TrackPrompt,
  signal: AbortSignal,
): Promise<FrameResult> {
  if (frame >= state.numFrames || (await state.frames.read(frame, 1, signal)) === undefined) {
    throw new PromptError(where, `a frame of the video, 0…${state.numFrames - 1}`, `${frame}`, "count frames from 0");
  }
  if (mask === undefined) return predictor.addNewPointsOrBox(state, { object, frame, points, labels, box, signal });
  const picture = await decodeImage(await readInput(mask, "a picture of the mask"), { where: mask });
  const { width, height, data } = picture;
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => data[3 * i] | data[3 * i + 1] | data[3 * i + 2]);
  return predictor.addNewMask(state, { object, frame, mask: pixels, width, height, signal });
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
