// Where a batch's jobs come from: lines of JSON, a folder of pictures, or a detector's boxes as COCO.
import { createReadStream } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { PromptError, UsageError } from "../errors.ts";
import { isObject } from "../io/json.ts";
import { readInput } from "../platform/node_files.ts";
import { platform } from "../platform/platform.ts";
import { naturalOrder } from "../video/folder.ts";
import { parseJson, shown } from "./entries.ts";
import type { ImageRequest } from "./job.ts";
import type { GivenJob } from "./run_jobs.ts";

/** The jobs of a batch, which may be more than fit into memory. */
export interface BatchInput {
  /** in their order */
  jobs: AsyncIterable<GivenJob> | Iterable<GivenJob>;
  /** how many there are, if that is known */
  count?: number;
  /** that their paths are relative to */
  folder: string;
  /** what was passed over */
  note?: string;
}

/** What goes with a folder of pictures, or a COCO file. */
export interface InputOptions {
  /** what is asked about every picture of a folder */
  request?: ImageRequest;
  /** where the pictures of a COCO file are; beside it by default */
  images?: string;
}

/** Standard input. */
const STDIN = "-";
const EXAMPLE = '{"image": "photo.jpg", "prompts": [{"points": [[500, 375]]}]}';

/** @throws Sam2Error if it cannot be read, or is none of the three kinds */
export async function openInput(path: string, { request, images }: InputOptions = {}): Promise<BatchInput> {
  const names = path === STDIN ? undefined : await platform.listFolder(path);
  if (names) {
    if (request) return ofFolder(path, names, request);
    throw new UsageError(path, "what to do with each picture", "a folder alone", "add --everything, --box or --point");
  }
  if (request) {
    throw new UsageError(
      path,
      "a folder of pictures, where prompts are options",
      "a file",
      "put prompts into its jobs",
    );
  }
  if (!/\.json$/i.test(path)) return ofLines(path);
  const parsed = parseJson(await readInput(path, "a file of jobs"), path);
  const folder = dirname(path);
  if (isObject(parsed) && "annotations" in parsed) return { ...ofCoco(parsed, path), folder: images ?? folder };
  const list = Array.isArray(parsed) ? parsed : [parsed];
  if (list.some((one) => isObject(one) && "image_id" in one)) {
    const todo = "add the detections to the data set's file as its annotations";
    throw new PromptError(path, "COCO with images and annotations", "detections without names of images", todo);
  }
  return { jobs: list.map((value, i) => ({ value, where: `${path}[${i}]` })), count: list.length, folder };
}

const PICTURE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif)$/i;

function ofFolder(folder: string, names: readonly string[], request: ImageRequest): BatchInput {
  const pictures = names.filter((name) => PICTURE.test(name) && !name.startsWith(".")).sort(naturalOrder);
  if (pictures.length === 0) {
    throw new UsageError(folder, "pictures in the folder", "none", "name a folder of JPEG, PNG or WebP files");
  }
  const others = names.length - pictures.length;
  return {
    jobs: pictures.map((image) => ({ value: { image, ...request }, where: `${folder}/${image}` })),
    count: pictures.length,
    folder,
    ...(others > 0 && { note: `${folder}: ${others} other files or folders are passed over` }),
  };
}

async function ofLines(path: string): Promise<BatchInput> {
  if (path === STDIN) return { jobs: linesOf(path), folder: "." };
  let count = 0;
  for await (const line of textLines(path)) if (line.trim() !== "") count++;
  if (count === 0) throw new PromptError(path, "a job on each line", "no line", `e.g. ${EXAMPLE}`);
  return { jobs: linesOf(path), count, folder: dirname(path) };
}

async function* linesOf(path: string): AsyncGenerator<GivenJob> {
  let number = 0;
  for await (const line of textLines(path)) {
    number++;
    if (line.trim() === "") continue;
    const where = `${path === STDIN ? "stdin" : path}:${number}`;
    yield { where, value: parsedLine(line, where) };
  }
}

/** A line that is no JSON fails alone. */
function parsedLine(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    return new PromptError(where, "a job as JSON", (cause as Error).message, `e.g. ${EXAMPLE}`, { cause });
  }
}

async function* textLines(path: string): AsyncGenerator<string> {
  const options = path === STDIN ? { fd: 0, autoClose: false } : {};
  const input = createReadStream(path === STDIN ? "" : path, options);
  try {
    let isFirst = true;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      yield isFirst ? line.replace(/^\ufeff/, "") : line;
      isFirst = false;
    }
  } catch (error) {
    if (path !== STDIN) await readInput(path, "a file of jobs"); // says why not
    throw error;
  }
}

/** A job for each image that has boxes: they become its prompts, in the order of the annotations. */
function ofCoco(coco: Record<string, unknown>, path: string): Omit<BatchInput, "folder"> {
  const images = listIn(coco, "images", path);
  const categories = new Map(
    listIn({ categories: [], ...coco }, "categories", path).map(({ id, name }) => [id, `${name}`]),
  );
  const boxes = new Map<unknown, object[]>(images.map(({ id }) => [id, []]));
  for (const [i, { image_id, bbox, category_id }] of listIn(coco, "annotations", path).entries()) {
    const where = `${path}.annotations[${i}]`;
    const isBox = Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite);
    if (!isBox) throw new PromptError(`${where}.bbox`, "[x, y, width, height]", shown(bbox), "correct the file");
    const prompts = boxes.get(image_id);
    if (!prompts)
      throw new PromptError(`${where}.image_id`, "an image of the file", shown(image_id), "correct the file");
    const [x, y, w, h] = bbox as number[];
    const name = categories.get(category_id);
    prompts.push({ box: [x, y, x + w, y + h], ...(name !== undefined && { name }) });
  }
  const jobs = images.flatMap(({ id, file_name, coco_url }, i): GivenJob[] => {
    const prompts = boxes.get(id)!;
    const image = file_name ?? coco_url;
    return prompts.length === 0 ? [] : [{ value: { image, prompts }, where: `${path}.images[${i}]` }];
  });
  if (jobs.length === 0) throw new PromptError(path, "a box in some image", "none", "run a detector first");
  const without = images.length - jobs.length;
  return {
    jobs,
    count: jobs.length,
    ...(without > 0 && { note: `${path}: ${without} images without boxes are passed over` }),
  };
}

function listIn(coco: Record<string, unknown>, field: string, path: string): Record<string, unknown>[] {
  const list = coco[field];
  if (Array.isArray(list) && list.every(isObject)) return list;
  throw new PromptError(
    `${path}.${field}`,
    "a list of objects",
    shown(list),
    "is it a COCO file of images and annotations?",
  );
}
