import { PromptError } from "../errors.ts";
import { expectShapeOf, onlyMask } from "../io/mask_file.ts";
import { readSafetensors } from "../io/safetensors.ts";
import { bytesSource } from "../io/tensor_file.ts";
import { maskShares } from "../predict/mask_arrays.ts";
import { checkPrompt, type Prompt, type PromptFrame } from "../predict/prompt.ts";
import { formatShape, numel } from "../tensor/shape.ts";
import { type Entry, type Fields, PLACES, type ReadFile } from "./entries.ts";
import { drawMask, MASK_FIELD, type MaskField, type MaskSource, readMask } from "./mask_source.ts";

/** One prompt, and what is asked for it. */
export interface PromptSet {
  prompt: Prompt;
  /** a mask at full size, which becomes the prompt's `maskInput` */
  maskImage?: MaskSource;
  multimask: boolean;
  /** what to call it in an error, e.g. `prompts.json[1]` */
  where: string;
}

/** A single click may mean part or whole, so three masks are asked for; anything else is clear enough for one. */
function isSingleClick({ points, box, maskInput }: Prompt, maskImage: MaskSource | undefined): boolean {
  return points?.length === 1 && !box && !maskInput && !maskImage;
}

/** @param multimask three masks or one; by the prompt if left out */
export function promptSet(
  prompt: Prompt,
  maskImage: MaskSource | undefined,
  multimask: boolean | undefined,
  where: string,
): PromptSet {
  return { prompt, maskImage, multimask: multimask ?? isSingleClick(prompt, maskImage), where };
}

/** The type of each field of an entry. */
export const PROMPT_ENTRY: Fields = {
  ...PLACES,
  maskInput: ["the name of a file", (value) => typeof value === "string"],
  maskImage: MASK_FIELD,
  multimask: ["true or false", (value) => typeof value === "boolean"],
};

/** A prompt as JSON has it: of `--prompts`, of a job, of a request. Files by name. */
export type JsonPrompt = Omit<Prompt, "maskInput"> & {
  /** a safetensors file with `low_res_logits`, as `sam2 segment --save-logits` writes it */
  maskInput?: string;
  /** a mask at full size */
  maskImage?: MaskField;
  /** three masks or one; three for a single click by default */
  multimask?: boolean;
};

/**
 * The prompts of checked entries, with what stands in their files.
 *
 * @param multimask three masks or one, for those that do not say it
 * @throws PromptError naming the file or the entry
 */
export async function promptSets(entries: readonly Entry[], read: ReadFile, multimask?: boolean): Promise<PromptSet[]> {
  const sets: PromptSet[] = [];
  for (const { fields, where } of entries) {
    const { maskInput, maskImage, multimask: own, ...prompt } = fields as JsonPrompt;
    if (maskInput !== undefined && maskImage !== undefined) {
      throw new PromptError(where, "maskInput or maskImage", "both", "leave out one of them");
    }
    const logits = maskInput === undefined ? undefined : await readMaskInput(maskInput, read);
    const picture = maskImage === undefined ? undefined : await readMaskImage(maskImage, where, read);
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

/** @throws PromptError */
export async function readMaskImage(mask: MaskField, where: string, read: ReadFile): Promise<MaskSource> {
  const source = await readMask(mask, `${where}.maskImage`, read);
  if (!("segmentation" in source)) onlyMask(source, typeof mask === "string" ? mask : where);
  return source;
}

/**
 * One mask of a file that --save-logits has written: number `index`, or the one of highest predicted IoU.
 *
 * @throws PromptError naming the file
 */
export async function readMaskInput(path: string, read: ReadFile, index?: number): Promise<Float32Array> {
  const { tensors } = readSafetensors(bytesSource(await read(path, "a safetensors file of logits"), path));
  const tensor = (name: string, rank: number) => {
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

  const { shape, values } = tensor("low_res_logits", 3);
  const [M, h, w] = shape;
  const k = index ?? (M === 1 ? 0 : best(tensor("iou_predictions", 1).values));
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
