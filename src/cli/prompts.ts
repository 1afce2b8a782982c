import { dirname, resolve } from "node:path";
import { type ReadFile, readEntries } from "../jobs/entries.ts";
import { PROMPT_ENTRY, type PromptSet, promptSet, promptSets, readMaskImage, readMaskInput } from "../jobs/prompts.ts";
import type { Prompt } from "../predict/prompt.ts";
import { readInput } from "../platform/node_files.ts";
import type { Click } from "./options.ts";

/** What makes up one prompt: flags, or the fields of an entry in a file. */
export interface PromptOptions {
  point?: Click[];
  box?: [number, number, number, number];
  maskInput?: string;
  maskIndex?: number;
  maskImage?: string;
  multimask?: boolean;
}

/** The prompt that --point, --box, --mask-input and --mask-image describe. */
export async function promptFromOptions(options: PromptOptions): Promise<PromptSet> {
  const { point, box, maskInput, maskIndex, maskImage, multimask } = options;
  const prompt: Prompt = {
    points: point?.map((click) => click.point),
    labels: point?.map((click) => click.label),
    box,
    maskInput: maskInput === undefined ? undefined : await readMaskInput(maskInput, readInput, maskIndex),
  };
  const picture = maskImage === undefined ? undefined : await readMaskImage(maskImage, "prompt", readInput);
  return promptSet(prompt, picture, multimask, "prompt");
}

/**
 * `[{"points": [[x, y], …], "labels": [1, …], "box": […], "maskInput": "file", "multimask": true, "name": "…"}, …]`, or
 * one such object; paths are relative to the file.
 *
 * @throws PromptError naming the file and the entry
 */
export async function promptsFromFile(path: string, multimask: boolean | undefined): Promise<PromptSet[]> {
  return promptSets(await readEntries(path, PROMPT_ENTRY, readInput), besideFile(path), multimask);
}

/** Reads files whose names are relative to that of another. */
export function besideFile(path: string): ReadFile {
  return (file, what) => readInput(resolve(dirname(path), file), what);
}
