import { PromptError } from "../errors.ts";
import { readSafetensors } from "../io/safetensors.ts";
import { bytesSource } from "../io/tensor_file.ts";
import type { Prompt } from "../predict/prompt.ts";
import { formatShape, numel } from "../tensor/shape.ts";
import { readInput } from "./files.ts";
import type { Click } from "./options.ts";

/** One prompt, and what is asked for it. */
export interface PromptSet {
  prompt: Prompt;
  multimask: boolean;
  /** what to call it in an error, e.g. `prompts.json[1]` */
  where: string;
}

/** The flags that make up one prompt. */
export interface PromptOptions {
  point?: Click[];
  box?: [number, number, number, number];
  maskInput?: string;
  maskIndex?: number;
  multimask?: boolean;
}

/** A single click may mean part or whole, so three masks are asked for; anything else is clear enough for one. */
function isSingleClick({ points, box, maskInput }: Prompt): boolean {
  return points?.length === 1 && !box && !maskInput;
}

function promptSet(prompt: Prompt, multimask: boolean | undefined, where: string): PromptSet {
  return { prompt, multimask: multimask ?? isSingleClick(prompt), where };
}

/** The prompt that --point, --box and --mask-input describe. */
export async function promptFromOptions(options: PromptOptions): Promise<PromptSet> {
  const { point, box, maskInput, maskIndex, multimask } = options;
  const prompt: Prompt = {
    points: point?.map((click) => click.point),
    labels: point?.map((click) => click.label),
    box,
    maskInput: maskInput === undefined ? undefined : await readMaskInput(maskInput, maskIndex),
  };
  return promptSet(prompt, multimask, "prompt");
}

/**
 * `[{"points": [[x, y], …], "labels": [1, …], "box": […], "maskInput": "file", "multimask": true}, …]`
 *
 * @throws PromptError naming the file and the entry
 */
export async function promptsFromFile(path: string, multimask: boolean | undefined): Promise<PromptSet[]> {
  const entries = parseJson(await readInput(path, "a JSON file of prompts"), path);
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new PromptError(path, "a list of prompts", describe(entries), 'e.g. [{"points": [[500, 375]]}]');
  }
  return Promise.all(entries.map((entry, i) => promptFromJson(entry, multimask, `${path}[${i}]`)));
}

async function promptFromJson(entry: unknown, multimask: boolean | undefined, where: string): Promise<PromptSet> {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw new PromptError(where, "an object", describe(entry), 'e.g. {"points": [[500, 375]]}');
  }
  const fields = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null));
  const unknown = Object.keys(fields).find((name) => !(name in FIELDS));
  if (unknown !== undefined) {
    throw new PromptError(where, Object.keys(FIELDS).join(", "), `"${unknown}"`, "check the spelling");
  }
  for (const [name, check] of Object.entries(FIELDS)) {
    if (name in fields) check(fields[name], `${where}.${name}`);
  }
  const { points, labels, box, maskInput, multimask: own } = fields as JsonPrompt;
  const mask = maskInput === undefined ? undefined : await readMaskInput(maskInput);
  return promptSet({ points, labels, box, maskInput: mask }, own ?? multimask, where);
}

/** A prompt as a file of prompts describes it. */
type JsonPrompt = Omit<Prompt, "maskInput"> & { maskInput?: string; multimask?: boolean };

/** The type of each field; its meaning is checked with the image at hand. */
const FIELDS: Record<keyof JsonPrompt, (value: unknown, where: string) => void> = {
  points: (value, where) => {
    for (const [i, point] of list(value, "a list of [x, y]", where).entries()) numbers(point, 2, `${where}[${i}]`);
  },
  labels: (value, where) => numbers(value, undefined, where),
  box: (value, where) => numbers(value, 4, where),
  maskInput: (value, where) => expect(typeof value === "string", "the name of a file", value, where),
  multimask: (value, where) => expect(typeof value === "boolean", "true or false", value, where),
};

function list(value: unknown, expected: string, where: string): unknown[] {
  expect(Array.isArray(value), expected, value, where);
  return value as unknown[];
}

function numbers(value: unknown, length: number | undefined, where: string): void {
  const expected = length === undefined ? "a list of numbers" : `${length} numbers`;
  const items = list(value, expected, where);
  const fits = items.every(Number.isFinite) && items.length === (length ?? items.length);
  expect(fits, expected, value, where);
}

function expect(fits: boolean, expected: string, value: unknown, where: string): void {
  if (!fits) throw new PromptError(where, expected, describe(value), "correct this entry");
}

function describe(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PromptError(path, "JSON in UTF-8", (cause as Error).message, "correct the file", { cause });
  }
}

/**
 * One mask of a file that --save-logits has written: number `index`, or the one of highest predicted IoU.
 *
 * @throws PromptError naming the file
 */
async function readMaskInput(path: string, index?: number): Promise<Float32Array> {
  const { tensors } = readSafetensors(bytesSource(await readInput(path, "a safetensors file of logits"), path));
  const read = (name: string, rank: number) => {
    const stored = tensors.get(name);
    const { shape } = stored ?? { shape: [] };
    if (!stored || shape.length !== rank || shape[0] === 0) {
      const expected = `a tensor ${name} [${["M", "h", "w"].slice(0, rank).join(", ")}]`;
      const got = stored ? formatShape(shape) : [...tensors.keys()].slice(0, 4).join(", ") || "no tensor";
      throw new PromptError(path, expected, got, "pass a file written by --save-logits for one prompt");
    }
    const values = new Float32Array(numel(shape));
    stored.read(values);
    return { shape, values };
  };

  const { shape, values } = read("low_res_logits", 3);
  const [M, h, w] = shape;
  const k = index ?? (M === 1 ? 0 : best(read("iou_predictions", 1).values));
  if (k >= M) throw new PromptError(path, `a mask index below ${M}`, `${k}`, "count from 0");
  const logits = values.subarray(k * h * w, (k + 1) * h * w);
  if (!logits.every(Number.isFinite)) {
    throw new PromptError(path, "finite logits", "others", "write the file again");
  }
  return logits;
}

/** Index of the largest value. */
export function best(values: Float32Array): number {
  return values.reduce((k, value, i) => (value > values[k] ? i : k), 0);
}
