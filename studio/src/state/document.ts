/**
 * The document: one immutable value that holds everything a visitor has made and where they stand in it. It is changed by
 * the actions of actions.ts alone. Masks are run lengths, so it is small, compares by identity, and is saved as JSON.
 */
import type { Rle } from "sam2-ts";

/** What is open. Its pixels are not in here: media/ has them. */
export interface Source {
  /** tells one opened picture from the next */
  id: string;
  kind: "photo" | "video" | "camera";
  name: string;
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** 1 for a photo */
  frames: number;
  /** of a video */
  framesPerSecond?: number;
  /** is it the drawing of the first visit? */
  isDrawn: boolean;
}

/** A click that says "this" (1) or "not this" (0). @units pixels of the picture */
export interface Click {
  x: number;
  y: number;
  label: 0 | 1;
}

/** Corners. @units pixels of the picture */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** What a visitor says of an object on one frame. */
export interface Prompt {
  clicks: readonly Click[];
  box?: Box;
}

/** A mask that the brush has changed. */
export interface MaskParts {
  base?: Rle;
  added?: Rle;
  erased?: Rle;
}

/** What the model, or a file, says of an object on one frame. */
export interface Found {
  by: "prompt" | "everything" | "track" | "file";
  /** `keyOf` of the prompt that was answered; of another prompt, the answer is out of date */
  of: string;
  /** one, or three of which one is meant; all of the size of the source */
  masks: readonly Rle[];
  /** what the model expects each one's IoU to be, 0…1; of a tracked frame the object score's logit */
  scores: readonly number[];
  /** index of the mask that is meant */
  choice: number;
}

/** An object on one frame: its mask is `found`, with `added` and without `erased`. */
export interface Appearance {
  prompt?: Prompt;
  found?: Found;
  /** of a video: what was found by tracking, before a prompt corrected it */
  tracked?: Found;
  /** by brush; the two never overlap */
  added?: Rle;
  erased?: Rle;
}

export interface StudioObject {
  id: number;
  name: string;
  /** index into COLOURS */
  colour: number;
  visible: boolean;
  /** nothing changes it but unlocking */
  locked: boolean;
  /** by frame; frames where nothing is known are absent */
  on: Readonly<Record<number, Appearance>>;
}

export type Tool = "click" | "add" | "erase" | "pan";

/** What part of the picture is seen. */
export interface View {
  /** 1 shows all of it */
  zoom: number;
  /** of the stage, 0…1 of the picture */
  centre: readonly [x: number, y: number];
}

/** Which of everything that was found is shown; names and meanings of the API. */
export interface Thresholds {
  predIouThresh: number;
  stabilityScoreThresh: number;
  boxNmsThresh: number;
}

export type Dialog = "help" | "models" | "open" | "home" | "inside";

export interface Document {
  source?: Source;
  /** the first is on top */
  objects: readonly StudioObject[];
  nextId: number;
  /** where prompts go */
  selected?: number;
  /** the frame that is seen */
  frame: number;
  tool: Tool;
  /** what a plain click says */
  label: 0 | 1;
  /** of the brush. @units pixels of the picture */
  radius: number;
  view: View;
  panel: "objects" | "everything";
  thresholds: Thresholds;
  dialog?: Dialog;
  /** of a video: the latest run of tracking that is in here */
  run?: string;
}

export const WHOLE: View = { zoom: 1, centre: [0.5, 0.5] };

export const EMPTY: Document = {
  objects: [],
  nextId: 1,
  frame: 0,
  tool: "click",
  label: 1,
  radius: 12,
  view: WHOLE,
  panel: "objects",
  thresholds: { predIouThresh: 0.8, stabilityScoreThresh: 0.9, boxNmsThresh: 0.7 },
};

/** Okabe and Ito's colours, which people with any colour vision tell apart, the brightest on photos first. */
export const COLOURS = [
  { name: "sky blue", css: "#56b4e9" },
  { name: "orange", css: "#e69f00" },
  { name: "green", css: "#1db38a" },
  { name: "yellow", css: "#f0e442" },
  { name: "pink", css: "#e08ab8" },
  { name: "red", css: "#e8602c" },
  { name: "blue", css: "#3d86d8" },
] as const;

export function colourOf({ colour }: StudioObject): string {
  return COLOURS[colour % COLOURS.length].css;
}

export function selectedObject({ objects, selected }: Document): StudioObject | undefined {
  return objects.find(({ id }) => id === selected);
}

export function appearanceOf(object: StudioObject | undefined, frame: number): Appearance | undefined {
  return object?.on[frame];
}

export function isEmptyPrompt(prompt: Prompt | undefined): boolean {
  return !prompt || (prompt.clicks.length === 0 && !prompt.box);
}

/** Tells prompts apart. */
export function keyOf(prompt: Prompt | undefined): string {
  if (!prompt || isEmptyPrompt(prompt)) return "";
  const { clicks, box } = prompt;
  return `${clicks.map(({ x, y, label }) => `${x},${y},${label}`).join(" ")}${box ? ` [${box.join(",")}]` : ""}`;
}

/** May the prompt mean a part or the whole, so that three masks are asked for? */
export function isAmbiguous({ clicks, box }: Prompt): boolean {
  return clicks.length === 1 && !box;
}

/** Has the model still to be asked? */
export function isUnanswered({ prompt, found }: Appearance): boolean {
  return !isEmptyPrompt(prompt) && found?.of !== keyOf(prompt);
}

/** What the mask is made of; undefined if there is none. */
export function partsOf({ found, added, erased }: Appearance): MaskParts | undefined {
  const base = found?.masks[found.choice];
  return base || added ? { base, added, erased } : undefined;
}
