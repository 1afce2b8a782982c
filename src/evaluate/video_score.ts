import { boundaryF } from "./boundary.ts";
import { jaccard } from "./jaccard.ts";

/** A frame's masks as a map of ids: 0 where no object is, else the object's id. */
export interface IdMap {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  ids: Uint8Array | Uint8ClampedArray | Uint16Array;
}

/** Means over the frames of a video, in percent. */
export interface ObjectScore {
  id: number;
  j: number;
  f: number;
}

/**
 * J and F of the objects of a video, fed frame by frame.
 *
 * NB As in the reference, an object counts from the first frame on which the truth or the prediction has it, and one that
 * the truth never has does not count at all.
 * @source sav_dataset/utils/sav_benchmark.py, Evaluator
 */
export class VideoScore {
  readonly #frames = new Map<number, { j: number[]; f: number[] }>();
  readonly #inTruth = new Set<number>();

  /** Two maps of one size. */
  add(predicted: IdMap, truth: IdMap): void {
    const { width, height } = truth;
    for (const id of idsIn(truth)) this.#inTruth.add(id);
    for (const id of [...this.#inTruth, ...idsIn(predicted)]) {
      if (!this.#frames.has(id)) this.#frames.set(id, { j: [], f: [] });
    }
    for (const [id, { j, f }] of this.#frames) {
      const [found, wanted] = [maskOf(predicted, id), maskOf(truth, id)];
      j.push(jaccard(found, wanted));
      f.push(boundaryF(found, wanted, width, height));
    }
  }

  /** By ascending id. */
  objects(): ObjectScore[] {
    const ids = [...this.#inTruth].sort((a, b) => a - b);
    return ids.map((id) => {
      const { j, f } = this.#frames.get(id)!;
      return { id, j: 100 * mean(j), f: 100 * mean(f) };
    });
  }
}

/** The ids on a map, the background's left out. */
export function idsIn({ ids }: IdMap): number[] {
  const seen = new Set<number>();
  let last = 0;
  for (const id of ids) {
    if (id !== last) seen.add(id);
    last = id;
  }
  seen.delete(0);
  return [...seen];
}

function maskOf({ ids }: IdMap, id: number): Uint8Array {
  const mask = new Uint8Array(ids.length);
  for (let i = 0; i < ids.length; i++) if (ids[i] === id) mask[i] = 1;
  return mask;
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
