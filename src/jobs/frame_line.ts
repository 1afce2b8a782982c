import { measuredRle, type Rle } from "../io/rle.ts";
import type { FrameResult } from "../predict/video_predictor.ts";

/** What is told of one object on one frame. */
export interface ObjectLine {
  /** of the object, as its prompts say */
  id: number;
  /** of its prompts */
  name?: string;
  /** is it there? A logit; undefined where the model does not tell */
  score: number | undefined;
  /** of its mask, in pixels */
  area: number;
  /** around its mask, in pixels; all 0 of an empty one */
  bbox: [x: number, y: number, w: number, h: number];
  /** its mask: COCO's compressed run lengths */
  rle: Rle;
}

/** What is told of one frame: a line of JSON. */
export interface FrameLine {
  /** from 0 */
  frame: number;
  /** name of the source frame, if it has a file of its own */
  file?: string;
  /** in the order of their prompts */
  objects: ObjectLine[];
}

/** @param names of the objects that have one, by id */
export function lineOf(
  { frame, objects }: FrameResult,
  width: number,
  height: number,
  names: ReadonlyMap<number, string>,
  file?: string,
): FrameLine {
  const lines = objects.map(({ id, score, mask }) => {
    const { rle, area, bbox } = measuredRle(mask, width, height);
    const name = names.get(id);
    return { id, ...(name !== undefined && { name }), score, area, bbox, rle };
  });
  return { frame, ...(file !== undefined && { file }), objects: lines };
}
