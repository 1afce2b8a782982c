/** Where things lie on the stage, and what a gesture that is under way makes of the prompt. */
import type { Box, Prompt, View } from "../state/document.ts";

/** A place. @units pixels of the picture */
export type Pointed = readonly [x: number, y: number];

export type Gesture =
  | { type: "hover"; at: Pointed; radius?: number }
  | { type: "press"; from: Pointed; index?: number; label: 0 | 1 }
  | { type: "move"; index: number; to: Pointed }
  | { type: "box"; from: Pointed; to: Pointed }
  | { type: "stroke"; points: Pointed[]; erases: boolean }
  | { type: "pan" }
  | { type: "pinch" };

/** Where the sheet lies on the stage. @units CSS pixels */
export interface Layout {
  /** of a pixel of the picture */
  scale: number;
  left: number;
  top: number;
}

/** Free around a picture that is wholly seen; below it lies the hint, which has two lines on a phone. */
const MARGIN = 16;
const HINT = 60;
const LINE = 20;
const PHONE = 500;

export function layoutOf(
  view: View,
  picture: { width: number; height: number },
  stage: { width: number; height: number },
): Layout {
  const margin = Math.min(MARGIN, stage.width / 20);
  const height = Math.max(1, stage.height - margin - HINT - (stage.width < PHONE ? LINE : 0));
  const whole = Math.min((stage.width - 2 * margin) / picture.width, height / picture.height);
  const scale = Math.max(0.001, whole * view.zoom);
  const place = (length: number, free: number, size: number, centre: number) => {
    const sheet = size * scale;
    if (sheet <= free) return margin + (free - sheet) / 2;
    return Math.min(margin, Math.max(length - margin - sheet, length / 2 - centre * sheet));
  };
  return {
    scale,
    left: place(stage.width, stage.width - 2 * margin, picture.width, view.centre[0]),
    top: place(stage.height, height, picture.height, view.centre[1]),
  };
}

/** The prompt as it is while a point is dragged or a box is drawn. */
export function draftedPrompt(prompt: Prompt | undefined, draft: Gesture | undefined): Prompt | undefined {
  if (draft?.type === "move" && prompt) {
    const [x, y] = draft.to;
    return { ...prompt, clicks: prompt.clicks.with(draft.index, { ...prompt.clicks[draft.index], x, y }) };
  }
  if (draft?.type === "box") return { clicks: prompt?.clicks ?? [], box: boxBetween(draft.from, draft.to) };
  return prompt;
}

export function boxBetween(a: Pointed, b: Pointed): Box {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
}
