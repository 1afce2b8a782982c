import { ImageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import type { SampleBits } from "../io/raster.ts";
import { expectSize, type Frames } from "./frames.ts";

/** An image, and what to call it in an error. */
export interface NamedImage {
  where: string;
  image: ImageInput;
  /** of the file in its folder */
  name?: string;
}

/** Frames that are decoded before they are asked for. */
const AHEAD = 2;

/** Frames of 16-bit samples that are looked at to see of how many bits they make use. */
const PROBES = 8;

/** Images at hand, or whose files are; the first one sets the size. */
export async function openList(list: readonly NamedImage[], signal?: AbortSignal): Promise<Frames> {
  const first: SampleBits = { isTrial: true };
  const size = await readFrame(list[0], 0, signal, first);
  const bits: SampleBits = { bits: first.isDeep ? await bitsInUse(list, first, signal) : undefined };
  const ahead = new Map<number, Promise<RgbImage>>();

  const fetch = (frame: number, signal?: AbortSignal) => {
    const found = ahead.get(frame) ?? readFrame(list[frame], frame, signal, bits);
    found.catch(() => ahead.delete(frame)); // told to whoever reads the frame, who may try again
    ahead.set(frame, found);
    return found;
  };

  return {
    count: list.length,
    estimate: list.length,
    last: list.length - 1,
    width: size.width,
    height: size.height,
    name: (frame) => list[frame]?.name,
    async read(frame, step, signal) {
      if (frame >= list.length) return undefined;
      const found = fetch(frame, signal);
      const wanted = Array.from({ length: AHEAD + 1 }, (_, i) => frame + i * step);
      for (const next of wanted) if (next >= 0 && next < list.length) fetch(next);
      for (const old of ahead.keys()) if (!wanted.includes(old)) ahead.delete(old);
      const image = await found;
      expectSize(image, size, `frame ${frame} (${list[frame].where})`);
      return image;
    },
    close: () => ahead.clear(),
  };
}

/** As many bits as the brightest of some frames, from all over the video, makes use of; undefined if all are black. */
async function bitsInUse(
  list: readonly NamedImage[],
  first: SampleBits,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const step = Math.max(1, (list.length - 1) / (PROBES - 1));
  const seen = [first];
  for (let at = step; at < list.length; at += step) {
    const own: SampleBits = { isTrial: true };
    const frame = Math.round(at);
    await readFrame(list[frame], frame, signal, own).catch(() => signal?.throwIfAborted()); // told when its turn comes
    seen.push(own);
  }
  return Math.max(...seen.map(({ bits }) => bits ?? 0)) || undefined;
}

/** @throws ImageError naming the frame */
export async function readFrame(
  { where, image }: NamedImage,
  frame: number,
  signal?: AbortSignal,
  bits?: SampleBits,
): Promise<RgbImage> {
  try {
    return await readImage(image, signal, bits);
  } catch (cause) {
    signal?.throwIfAborted();
    const todo = "repair or replace it; what was tracked before it stays";
    throw new ImageError(`frame ${frame} (${where})`, "an image", (cause as Error).message, todo, { cause });
  }
}
