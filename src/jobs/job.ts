// A job is plain data: a line of JSON, a message of a queue, the body of a request.
import { PromptError } from "../errors.ts";
import { expectOptions } from "../io/options.ts";
import { type AutomaticMaskGeneratorOptions, checkOptions, OPTION_KINDS } from "../predict/automatic_mask_options.ts";
import { expectFields } from "../predict/fields.ts";
import { checkEntries, type Fields, shown } from "./entries.ts";
import { type JsonPrompt, PROMPT_ENTRY } from "./prompts.ts";
import { type JsonTrackPrompt, TRACK_ENTRY } from "./track_prompts.ts";

/** Options of `everything`; how masks are written is settled. */
export type EverythingRequest = Omit<AutomaticMaskGeneratorOptions, "outputMode">;

/** What is asked about an image: masks for prompts, or of everything. */
export type ImageRequest =
  | {
      /** a mask, or three, for each */
      prompts: JsonPrompt[];
    }
  | {
      /** its options; `{}` for the defaults */
      everything: EverythingRequest;
    };

/** Masks of an image, which is a path or an http(s) address. */
export type ImageJob = {
  /** names the result, and is none of another's */
  id?: string;
  /** a path or an address, of JPEG, PNG, WebP … */
  image: string;
} & ImageRequest;

/** Objects followed through a video: a file, or a folder of frames. */
export interface VideoJob {
  /** names the result, and is none of another's */
  id?: string;
  /** its path */
  video: string;
  /** what to follow */
  prompts: JsonTrackPrompt[];
}

/** One thing to do. Without an `id` it gets one of its content. */
export type Job = ImageJob | VideoJob;

const FIELDS = ["id", "image", "video", "prompts", "everything"];
const EXAMPLE = 'e.g. {"image": "photo.jpg", "prompts": [{"points": [[500, 375]]}]}';

/** @throws PromptError that names the field; UsageError for an option of `everything` that is out of its range */
export function parseJob(value: unknown, where: string): Job {
  const given = expectObject(value, where, EXAMPLE);
  expectFields(given, FIELDS, where);
  const fields = Object.fromEntries(Object.entries(given).filter(([, field]) => field !== null));
  const id = parseId(fields.id, where);
  const { image, video } = fields;
  if ((image === undefined) === (video === undefined)) {
    throw new PromptError(where, '"image" or "video"', image === undefined ? "neither" : "both", EXAMPLE);
  }
  const source = image ?? video;
  if (typeof source !== "string" || source === "") {
    throw new PromptError(`${where}.${image === undefined ? "video" : "image"}`, "a path", shown(source), EXAMPLE);
  }
  if (image !== undefined) return { ...id, image: source, ...parseRequest(fields, where) };
  if (fields.everything !== undefined) {
    throw new PromptError(where, '"prompts" for a video', '"everything"', "say what to follow");
  }
  return { ...id, video: source, prompts: listOf<JsonTrackPrompt>(fields.prompts, TRACK_ENTRY, `${where}.prompts`) };
}

/**
 * What is asked about an image, of an object that holds more.
 *
 * @throws PromptError that names the field; UsageError for an option of `everything` that is out of its range
 */
export function parseRequest({ prompts, everything }: Record<string, unknown>, where: string): ImageRequest {
  const has = (field: unknown) => field !== undefined && field !== null;
  if (has(prompts) === has(everything)) {
    throw new PromptError(where, '"prompts" or "everything"', has(prompts) ? "both" : "neither", EXAMPLE);
  }
  if (has(prompts)) return { prompts: listOf<JsonPrompt>(prompts, PROMPT_ENTRY, `${where}.prompts`) };
  return { everything: parseEverything(everything, `${where}.everything`) };
}

const { outputMode: _, ...REQUEST_KINDS } = OPTION_KINDS;

function parseEverything(value: unknown, where: string): EverythingRequest {
  const given = expectObject(value, where, 'e.g. {"pointsPerSide": 16}, or {} for the defaults');
  const options = Object.fromEntries(Object.entries(given).filter(([, option]) => option !== null));
  expectOptions<EverythingRequest>(options, REQUEST_KINDS, where);
  checkOptions(options);
  return options;
}

function listOf<P>(prompts: unknown, known: Fields, where: string): P[] {
  return checkEntries(prompts, known, where).map(({ fields }) => fields as P);
}

/** Ids are names of files, on every system; these two would be taken for the summary. */
const RESERVED = ["batch", "failed"];
const MOST_BYTES = 200;

function parseId(id: unknown, where: string): { id?: string } {
  if (id === undefined || id === null) return {};
  const text = Number.isSafeInteger(id) ? `${id}` : id;
  const isName =
    typeof text === "string" &&
    /^[^\s.<>:"|?*/\\\p{Cc}][^<>:"|?*/\\\p{Cc}]*$/u.test(text) &&
    !/[. ]$/.test(text) &&
    new TextEncoder().encode(text).length <= MOST_BYTES &&
    !RESERVED.includes(text.toLowerCase());
  if (isName) return { id: text };
  const expected = `a name for a file of at most ${MOST_BYTES} bytes, other than ${RESERVED.join(" and ")}`;
  throw new PromptError(`${where}.id`, expected, shown(id), "leave it out, or use letters and digits");
}

function expectObject(value: unknown, where: string, todo: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new PromptError(where, "an object", shown(value), todo);
}
