/** Draws the frames of the clip when they are asked for; the latest few stay. */
import type { PixelArray } from "sam2-ts";
import { describe, type Frame, frame as draw } from "../../../models/nano/scenes.ts";
import { answerCalls } from "./worker_calls.ts";

export interface ClipCalls {
  picture: { asks: { frame: number; size: number }; answers: ImageBitmap };
  pixels: { asks: { frame: number; size: number }; answers: PixelArray };
}

/** Held out: training never saw it. The hero is wholly covered for a while as another object stays in sight. */
const SEED = 50_003;
const MOST_KEPT = 24;

const scene = describe(SEED);
const kept = new Map<number, Frame>();

function drawn({ frame, size }: { frame: number; size: number }): Frame {
  const found = kept.get(frame) ?? draw(scene, frame, size);
  kept.delete(frame);
  kept.set(frame, found);
  for (const old of [...kept.keys()].slice(0, -MOST_KEPT)) kept.delete(old);
  return found;
}

answerCalls<ClipCalls>({
  async picture(asks) {
    const { width, height, data } = drawn(asks);
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      image.data.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    return createImageBitmap(image);
  },
  async pixels(asks) {
    const { width, height, data } = drawn(asks);
    return { width, height, data: data.slice() };
  },
});
