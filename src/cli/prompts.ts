import { dirname, resolve } from "node:path";
import { PromptError } from "../errors.ts";
import { expectShapeOf, onlyMask } from "../io/mask_file.ts";
import { readSafetensors } from "../io/safetensors.ts";
import { bytesSource } from "../io/tensor_file.ts";
import { maskShares } from "../predict/mask_arrays.ts";
import { checkPrompt, type Prompt, type PromptFrame } from "../predict/prompt.ts";
import { formatShape, numel } from "../tensor/shape.ts";
import { readInput } from "./files.ts";
import { drawMask, MASK_FIELD, type MaskField, type MaskSource, readMask } from "./mask_source.ts";
import type { Click } from "./options.ts";
import { type Fields, PLACES, readEntries } from "./prompt_file.ts";

/** One prompt, and what is asked for it. */
export interface PromptSet {
  prompt: Prompt;
  /** a mask at full size, which becomes the prompt's `maskInput` */
  maskImage?: MaskSource;
  multimask: boolean;
  /** what to call it in an error, e.g. `prompts.json[1]` */
  where: string;
}

/** What makes up one prompt: flags, or the fields of an entry in a file. */
export interface PromptOptions {
  point?: Click[];
  box?: [number, number, number, number];
  maskInput?: string;
  maskIndex?: number;
  maskImage?: string;
  multimask?: boolean;
}

/** A single click may mean part or whole, so three masks are asked for; anything else is clear enough for one. */
function isSingleClick({ points, box, maskInput }: Prompt, maskImage: MaskSource | undefined): boolean {
  return points?.length === 1 && !box && !maskInput && !maskImage;
}

function promptSet(prompt: Prompt, maskImage: MaskSource | undefined, multimask: boolean | undefined, where: string) {
  return { prompt, maskImage, multimask: multimask ?? isSingleClick(prompt, maskImage), where };
}

/** The prompt that --point, --box, --mask-input and --mask-image describe. */
export async function promptFromOptions(options: PromptOptions): Promise<PromptSet> {
  const { point, box, maskInput, maskIndex, maskImage, multimask } = options;
  const prompt: Prompt = {
    points: point?.map((click) => click.point),
    labels: point?.map((click) => click.label),
    box,
    maskInput: maskInput === undefined ? undefined : await readMaskInput(maskInput, maskIndex),
  };
  return promptSet(
    prompt,
    maskImage === undefined ? undefined : await readMaskImage(maskImage, "prompt"),
    multimask,
    "prompt",
  );
}

/** The type of each field of an entry. */
const FIELDS: Fields = {
  ...PLACES,
  maskInput: ["the name of a file", (value) => typeof value === "string"],
  maskImage: MASK_FIELD,
  multimask: ["true or false", (value) => typeof value === "boolean"],
};

/** An entry of a file of prompts. */
type JsonPrompt = Omit<Prompt, "maskInput"> & { maskInput?: string; maskImage?: MaskField; multimask?: boolean };

/**
 * `[{"points": [[x, y], …], "labels": [1, …], "box": […], "maskInput": "file", "multimask": true, "name": "…"}, …]`, or
 * one such object; paths are relative to the file.
 *
 * @throws PromptError naming the file and the entry
 */
export async function promptsFromFile(path: string, multimask: boolean | undefined): Promise<PromptSet[]> {
  const sets: PromptSet[] = [];
  for (const { fields, where } of await readEntries(path, FIELDS)) {
    const { maskInput, maskImage, multimask: own, ...prompt } = fields as JsonPrompt;
    const beside = (file: string) => resolve(dirname(path), file);
    if (maskInput !== undefined && maskImage !== undefined) {
      throw new PromptError(where, "maskInput or maskImage", "both", "leave out one of them");
    }
    const logits = maskInput === undefined ? undefined : await readMaskInput(beside(maskInput));
    const image = typeof maskImage === "string" ? beside(maskImage) : maskImage;
    const picture = image === undefined ? undefined : await readMaskImage(image, where);
    sets.push(promptSet({ ...prompt, maskInput: logits }, picture, own ?? multimask, where));
  }
  return sets;
}

/** The prompts as the model takes them, checked. @throws PromptError naming the prompt */
export function promptsFor(sets: readonly PromptSet[], frame: PromptFrame): Prompt[] {
  return sets.map(({ prompt, maskImage, where }) => {
    const whole = { ...prompt };
    if (maskImage) {
      const picture = drawMask(maskImage, frame);
      expectShapeOf(picture, frame, `${where}.maskImage`);
      whole.maskInput = maskShares(onlyMask(picture, where), picture.width, picture.height, frame.imageSize / 4);
    }
    checkPrompt(whole, frame, where);
    return whole;
  });
}

async function readMaskImage(mask: MaskField, where: string): Promise<MaskSource> {
  const source = await readMask(mask, `${where}.maskImage`);
  if (!("segmentation" in source)) onlyMask(source, typeof mask === "string" ? mask : where);
  return source;
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
