import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeImage, type RgbImage } from "../io/image.ts";
import { pillowResize } from "../io/pillow_resize.ts";
import { encodeAnimation } from "../io/webp_animation.ts";
import type { VideoState } from "../predict/video_state.ts";

const MAX_FRAMES = 60;
const MAX_WIDTH = 480;
const MS_PER_FRAME = 100;
const TINT = 0.5;

/** An animated WebP of up to 60 frames that have masks, evenly spaced, with the objects in their colours. */
export async function writePreview(out: string, state: VideoState): Promise<Uint8Array> {
  const log = await readFile(join(out, "frames.jsonl"), "utf8");
  const tracked = new Set(Array.from(log.matchAll(/^\{"frame":(\d+)/gm), ([, frame]) => Number(frame)));
  const frames = [...tracked].sort((a, b) => a - b);
  const step = Math.max(1, frames.length / MAX_FRAMES);
  const chosen = Array.from({ length: Math.ceil(frames.length / step) }, (_, i) => frames[Math.floor(i * step)]);
  return encodeAnimation(pictures(), MS_PER_FRAME);

  async function* pictures(): AsyncGenerator<RgbImage> {
    for (const frame of chosen) {
      const name = join(out, "masks", `${String(frame).padStart(5, "0")}.png`);
      const mask = await decodeImage(new Uint8Array(await readFile(name)), { where: name });
      yield tinted(shrunk((await state.frames.read(frame, 0))!), mask);
    }
  }
}

function shrunk(image: RgbImage): RgbImage {
  if (image.width <= MAX_WIDTH) return image;
  return pillowResize(image, MAX_WIDTH, Math.max(1, Math.round((image.height * MAX_WIDTH) / image.width)));
}

/** The picture, half in the colours of the mask where this is not black. */
function tinted({ width, height, data }: RgbImage, mask: RgbImage): RgbImage {
  const out = data.slice();
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.floor((y * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++, to += 3) {
      const from = (row + Math.floor((x * mask.width) / width)) * 3;
      const colour = mask.data.subarray(from, from + 3);
      if (colour.every((value) => value === 0)) continue;
      for (let c = 0; c < 3; c++) out[to + c] += TINT * (colour[c] - out[to + c]);
    }
  }
  return { width, height, data: out };
}
