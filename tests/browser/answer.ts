/** What the browser and Node are both asked, and how answers are compared. */
import type { Prediction } from "../../src/predict/image_predictor.ts";

export const IMAGE = { seed: 1, width: 320, height: 200 };
export const PROMPT = { points: [[150, 100]] } as const;

/** A square that moves to the right. */
export const FILM = { width: 96, height: 64, frames: 5 };
/** Where IMAGE lies as a file, as seen from the page. */
export const PICTURE = "pictures/photo.png";

/** What came of a film. */
export interface Tracked {
  /** score and digest of the masks of each frame */
  masks: string[];
  /** frames that can be closed */
  made: number;
  /** those among them that still are open */
  open: number;
}

/** What came of a camera of which the latest frames were looked at. */
export interface Live {
  /** numbers of these among all */
  arrivals: (number | undefined)[];
  /** frames that the camera sent, and those among them that still are open */
  came: number;
  open: number;
}

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
