/** What the browser and Node are both asked, and how answers are compared. */
import type { Prediction } from "../../src/predict/image_predictor.ts";

export const IMAGE = { seed: 1, width: 320, height: 200 };
export const PROMPT = { points: [[150, 100]] } as const;

export interface Answer {
  digest: string;
  threads: number;
  chosen: readonly string[];
  /** how often the page got its turn while the engine encoded */
  turns: number;
}

/** FNV-1a over the words of all logits and scores. */
export function digestOf({ lowResMasks, iouPredictions }: Prediction): string {
  let h = 0x811c9dc5;
  for (const { buffer, byteOffset, length } of [...lowResMasks, iouPredictions]) {
    for (const word of new Int32Array(buffer, byteOffset, length)) h = Math.imul(h ^ word, 0x01000193);
  }
  return (h >>> 0).toString(16);
}
