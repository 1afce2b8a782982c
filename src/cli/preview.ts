import type { RgbImage } from "../io/image.ts";
import { DAVIS_PALETTE } from "../io/masks.ts";
import { decodeRle } from "../io/rle.ts";
import { encodeAnimation } from "../io/webp_animation.ts";
import { pillowResize } from "../nn/pillow_resize.ts";
import type { Sam2 } from "../predict/sam2.ts";
import type { Frames } from "../video/frames.ts";
import type { FrameLine, ObjectLine } from "../jobs/frame_line.ts";

const MAX_FRAMES = 60;
const MAX_WIDTH = 480;
const MS_PER_FRAME = 100;
const TINT = 0.5;
const COLOURS = 255;

/** An animated WebP of up to 60 of the tracked frames, evenly spaced, with the objects in their colours. */
export function makePreview(
  lines: readonly FrameLine[],
  frames: Frames,
  sam2: Sam2,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const sorted = [...lines].sort((a, b) => a.frame - b.frame);
  const step = Math.max(1, sorted.length / MAX_FRAMES);
  const chosen = Array.from({ length: Math.ceil(sorted.length / step) }, (_, i) => sorted[Math.floor(i * step)]);
  return encodeAnimation(pictures(), MS_PER_FRAME);

  async function* pictures(): AsyncGenerator<RgbImage> {
    for (const { frame, objects } of chosen) {
      yield tinted(shrunk((await frames.read(frame, 0, signal))!, sam2), frames, objects);
    }
  }
}

function shrunk(image: RgbImage, sam2: Sam2): RgbImage {
  if (image.width <= MAX_WIDTH) return image;
  const [width, height] = [MAX_WIDTH, Math.max(1, Math.round((image.height * MAX_WIDTH) / image.width))];
  return { width, height, data: sam2.run(() => pillowResize(image, width, height).slice()) };
}

/** The picture, half in the colours of the objects; later ones over earlier ones. */
function tinted(picture: RgbImage, full: { width: number; height: number }, objects: readonly ObjectLine[]): RgbImage {
  const { width, height, data } = picture;
  const masks = objects.map(({ id, rle }) => ({ mask: decodeRle(rle), at: 3 * (1 + ((id - 1) % COLOURS)) })).reverse();
  const out = data.slice();
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.floor((y * full.height) / height) * full.width;
    for (let x = 0; x < width; x++, to += 3) {
      const from = row + Math.floor((x * full.width) / width);
      const top = masks.find(({ mask }) => mask[from]);
      if (!top) continue;
      for (let c = 0; c < 3; c++) out[to + c] += TINT * (DAVIS_PALETTE[top.at + c] - out[to + c]);
    }
  }
  return { width, height, data: out };
}
