import type { Prompt as ModelPrompt } from "sam2-ts";
import type { Prompt } from "../state/document.ts";

/** A prompt of the document as the model's predictors take it. */
export function modelPrompt({ clicks, box }: Prompt): ModelPrompt {
  return {
    ...(clicks.length > 0 && { points: clicks.map(({ x, y }) => [x, y]), labels: clicks.map(({ label }) => label) }),
    ...(box && { box }),
  };
}
