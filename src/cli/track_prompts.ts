import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { readEntries } from "../jobs/entries.ts";
import { TRACK_ENTRY, type TrackPrompt, trackPrompts } from "../jobs/track_prompts.ts";
import { readInput } from "../platform/node_files.ts";
import { click, corners, count } from "./options.ts";

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

/**
 * `[{"object": 1, "frame": 0, "points": [[x, y]], "labels": [1], "box": null, "mask": null, "correct": true}, …]`, or one
 * such object; a mask is a path relative to the file, or COCO's run lengths or polygons.
 *
 * @throws PromptError naming the file and the entry
 */
export async function trackPromptsFromFile(path: string): Promise<TrackPrompt[]> {
  return trackPrompts(await readEntries(path, TRACK_ENTRY, readInput)).map((prompt) => {
    const { mask } = prompt;
    return typeof mask === "string" ? { ...prompt, mask: resolve(dirname(path), mask) } : prompt;
  });
}

/** @throws UsageError if the option was given before for the same object and frame */
function expectNew(option: string, earlier: unknown): void {
  if (earlier === undefined) return;
  const todo = "open another --object or --frame before it, or put all prompts into a file: --prompts";
  throw new UsageError(option, "one for an object on a frame", "a second", todo);
}
