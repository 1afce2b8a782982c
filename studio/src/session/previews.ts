/** The mask that a click or box would give, while the pointer moves: of those that are asked for the newest counts. */
import type { ImagePredictor } from "sam2-ts";
import type { Painter } from "../masks/painter.ts";
import type { Desk } from "../state/desk.ts";
import { COLOURS, colourOf, isAmbiguous, isEmptyPrompt, type Prompt, selectedObject } from "../state/document.ts";
import { Latest } from "./latest.ts";
import { modelPrompt } from "./model_prompt.ts";

export interface Previews {
  /** undefined takes the preview away */
  show(prompt: Prompt | undefined): void;
  /** What waits is not asked any more; what is seen stays. */
  drop(): void;
}

interface Surroundings {
  desk: Desk;
  painter: Painter;
  /** Has the model looked at what is seen, and is it free? */
  isReady(): boolean;
  attempt<R>(call: (model: { predictor: ImagePredictor }) => Promise<R>): Promise<R | undefined>;
  /** of an outline, pixels of the picture */
  lineWidth(): number;
}

export function previews({ desk, painter, isReady, attempt, lineWidth }: Surroundings): Previews {
  let wanted: Prompt | undefined;
  const hover = new Latest<Prompt>(async (prompt) => {
    if (!isReady()) return;
    const found = await attempt(({ predictor }) =>
      predictor.predict(modelPrompt(prompt), { multimaskOutput: isAmbiguous(prompt), returnMasks: false }),
    );
    if (!found || !wanted) return;
    const logits = found.lowResMasks[best([...found.iouPredictions])];
    painter.tell({ type: "preview", logits, side: found.lowResSize, colour: nextColour(), line: lineWidth() }, [
      logits.buffer,
    ]);
  });

  /** Of the object that a click would change, or make. */
  function nextColour(): string {
    const object = selectedObject(desk.doc);
    return object ? colourOf(object) : COLOURS[(desk.doc.nextId - 1) % COLOURS.length].css;
  }

  return {
    show(prompt) {
      wanted = isEmptyPrompt(prompt) ? undefined : prompt;
      if (wanted) void hover.ask(wanted);
      else {
        hover.drop();
        painter.tell({ type: "clearPreview" });
      }
    },
    drop: () => hover.drop(),
  };
}

export function best(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores));
}
