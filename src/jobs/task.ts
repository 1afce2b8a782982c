// A job with the bytes that it names: what decides about its result, and so its id.
import { ImageError, Sam2Error } from "../errors.ts";
import { sha256Hex } from "../io/sha256.ts";
import type { ReadFile } from "./entries.ts";
import type { Job } from "./job.ts";
import type { JsonPrompt } from "./prompts.ts";

/** A file that a job names. */
export interface TaskFile {
  /** as the job names it */
  name: string;
  /** where it lies: an absolute path, or an address */
  path: string;
  /** SHA-256 of its bytes; of a video's frames together */
  digest: string;
  /** of images and masks, where they travel with the task */
  bytes?: Uint8Array;
}

/** A job that is ready to be computed. */
export interface Task {
  /** names its result: the job's own, or else its key */
  id: string;
  /** of inputs, request and model: equal keys, equal results */
  key: string;
  /** what to call the job in an error, e.g. `jobs.jsonl:3` */
  where: string;
  /** what is asked, checked */
  job: Job;
  /** all that it names; first the image or video */
  files: TaskFile[];
}

/** Where a job's files are, and what they hold. */
export interface Source {
  /** a name in a job → an absolute path, or an address */
  locate(name: string): string;
  /** @throws Sam2Error naming it, by `name` */
  read(path: string, name: string, what: string): Promise<Uint8Array>;
  /** SHA-256 of a video. @throws Sam2Error naming it, by `name` */
  digestVideo(path: string, name: string): Promise<string>;
}

/** What a result depends on besides the job. */
export interface ModelIdentity {
  /** e.g. "tiny" */
  name: string;
  /** of SAM, e.g. "2.1" */
  version: string;
  /** side of what it sees, in pixels */
  imageSize: number;
  /** of weights, configuration and kernels */
  digest: string;
}

/** The files that a job names. */
function namesIn(job: Job): { main: string; masks: string[] } {
  const prompts = "prompts" in job ? (job.prompts as (JsonPrompt & { mask?: unknown })[]) : [];
  const named = prompts.flatMap(({ maskInput, maskImage, mask }) => [maskInput, maskImage, mask]);
  const masks = new Set(named.filter((mask) => typeof mask === "string"));
  return { main: "video" in job ? job.video : job.image, masks: [...masks] };
}

/**
 * Read what a job names.
 *
 * @throws Sam2Error naming what cannot be read
 */
export async function prepare(job: Job, where: string, model: ModelIdentity, source: Source): Promise<Task> {
  const { main, masks } = namesIn(job);
  const file = async (name: string, what: string): Promise<TaskFile> => {
    const path = source.locate(name);
    const bytes = await source.read(path, name, what);
    return { name, path, digest: await sha256Hex(bytes), bytes };
  };
  const path = source.locate(main);
  const first =
    "video" in job ? { name: main, path, digest: await source.digestVideo(path, main) } : await file(main, "an image");
  const files = [first];
  for (const mask of masks) files.push(await file(mask, "a mask"));
  const digests = new Map(files.map(({ name, digest }) => [name, digest]));
  const key = await keyOf(job, (name) => digests.get(name)!, model);
  return { id: job.id ?? key, key, where, job, files };
}

/** The key of a job of which a file cannot be read: their paths count. */
export function unreadableKey(job: Job, model: ModelIdentity, source: Pick<Source, "locate">): Promise<string> {
  return keyOf(job, (name) => source.locate(name), model);
}

/** The key of what is no job. */
export async function nonsenseKey(value: unknown): Promise<string> {
  return keyOfText(`nonsense ${canonical(value)}`);
}

function keyOf({ id: _, ...request }: Job, content: (name: string) => string, { digest }: ModelIdentity) {
  const replaced = { ...request } as Record<string, unknown>;
  for (const field of ["image", "video"]) {
    if (field in replaced) replaced[field] = content(replaced[field] as string);
  }
  if ("prompts" in request) {
    replaced.prompts = request.prompts.map((prompt) => {
      const named = Object.entries(prompt).filter(
        ([field, value]) => ["maskInput", "maskImage", "mask"].includes(field) && typeof value === "string",
      );
      return { ...prompt, ...Object.fromEntries(named.map(([field, name]) => [field, content(name as string)])) };
    });
  }
  return keyOfText(`${digest} ${canonical(replaced)}`);
}

/** 128 bits suffice for names: never two of them for some 10^18 jobs. */
const KEY_LETTERS = 32;

/** A name made of a text, 32 letters. */
export async function keyOfText(text: string): Promise<string> {
  return (await sha256Hex(new TextEncoder().encode(text))).slice(0, KEY_LETTERS);
}

/** JSON whose keys are in order: the same text for the same value. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Reads the files that came with a task. */
export function readerOf({ files }: Task): ReadFile {
  return async (name, what) => {
    const bytes = files.find((file) => file.name === name)?.bytes;
    if (bytes) return bytes;
    throw new Sam2Error(name, what, "a name that the job did not come with", "submit the job again");
  };
}

/** The bytes of a task's image. */
export function imageBytes({ job, files }: Task): Uint8Array {
  const [{ name, bytes }] = files;
  if ("image" in job && bytes) return bytes;
  throw new ImageError(name, "an image", "none that came with the job", "submit the job again");
}
