/** What every layer makes of the picture that is seen and of the click in it. */
import type { ImagePredictor, LayerTrace } from "sam2-ts";
import type { Media } from "../media/media.ts";
import type { Desk } from "../state/desk.ts";
import { type Document, isAmbiguous, isEmptyPrompt, type Prompt, selectedObject } from "../state/document.ts";
import { modelPrompt } from "./model_prompt.ts";

/** @param values paths of the layers whose output is wanted; undefined if it was aborted or failed */
export type Trace = (values: readonly string[], signal: AbortSignal) => Promise<LayerTrace[] | undefined>;

interface Surroundings {
  desk: Desk;
  media(): Media | undefined;
  attempt<R>(call: (model: { predictor: ImagePredictor }) => Promise<R>): Promise<R | undefined>;
}

export function tracer({ desk, media, attempt }: Surroundings): Trace {
  return async (values, signal) => {
    const opened = media();
    const { doc } = desk;
    if (!opened || !doc.source) return undefined;
    const { width, height } = doc.source;
    const prompt = presentPrompt(doc) ?? { clicks: [{ x: width / 2, y: height / 2, label: 1 }] };
    return attempt(async ({ predictor }) => {
      const image = await opened.input(doc.frame, signal);
      return predictor.trace(image, modelPrompt(prompt), { values, multimaskOutput: isAmbiguous(prompt), signal });
    });
  };
}

/** Of the selected object on this frame, or else of the first that has one. */
export function presentPrompt(doc: Document): Prompt | undefined {
  const { objects, frame } = doc;
  return [selectedObject(doc), ...objects]
    .map((one) => one?.on[frame]?.prompt)
    .find((prompt) => !isEmptyPrompt(prompt));
}
