import { ImageError, UsageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import { kindOf } from "../io/kind_of.ts";
import type { SampleBits } from "../io/raster.ts";
import { expectSize, type Frames } from "./frames.ts";
import { isVideoFrame, takePixels, type VideoFrameLike } from "./video_frame.ts";

/** An image, and what to call it in an error. */
export interface NamedImage {
  where: string;
  image: ImageInput;
  /** of the file in its folder */
  name?: string;
}

/**
 * Frames that are read by number when they are needed, in any order, again and again: what a page decodes. Few are held: the
 * one that is looked at, and two that come next.
 */
export interface IndexedFrames {
  /** how many there are */
  readonly count: number;
  /** A frame by its number from 0; the first sets the size. `VideoFrame`s are closed when they have been read. */
  read(frame: number): ImageInput | VideoFrameLike | Promise<ImageInput | VideoFrameLike>;
  /** no frame is wanted any more: the state was disposed of */
  close?(): void;
}

/** Frames that are decoded before they are asked for. */
const AHEAD = 2;

/** Frames of 16-bit samples that are looked at to see of how many bits they make use. */
const PROBES = 8;

/** Images at hand, or whose files are; the first one sets the size. */
export function openList(list: readonly NamedImage[], signal?: AbortSignal): Promise<Frames> {
  const read: Numbered["read"] = (frame, signal, bits) => readFrame(list[frame], frame, signal, bits);
  const names = { name: (frame: number) => list[frame]?.name, where: (frame: number) => list[frame].where };
  return openNumbered({ count: list.length, read, ...names }, signal);
}

export function isIndexed(input: object): input is IndexedFrames {
  return "count" in input && "read" in input && typeof input.read === "function";
}

/** @throws UsageError if the count is no number of frames */
export function openIndexed(frames: IndexedFrames, signal?: AbortSignal): Promise<Frames> {
  const { count } = frames;
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new UsageError("initState", "a count of frames", kindOf(count), "count them first, or pass a stream");
  }
  const where = () => "of the video";
  const image = async (frame: number) => {
    const found = await frames.read(frame);
    return isVideoFrame(found) ? takePixels(found) : found;
  };
  const read: Numbered["read"] = (frame, signal, bits) =>
    readFrame({ where: where(), image: image(frame) }, frame, signal, bits);
  return openNumbered({ count, read, where, name: () => undefined, close: () => frames.close?.() }, signal);
}

/** What is read by number. */
interface Numbered extends Pick<Frames, "count" | "name"> {
  read(frame: number, signal?: AbortSignal, bits?: SampleBits): Promise<RgbImage>;
  /** in an error */
  where(frame: number): string;
  close?(): void;
}

async function openNumbered(source: Numbered, signal?: AbortSignal): Promise<Frames> {
  const { count } = source;
  const first: SampleBits = { isTrial: true };
  const { width, height } = await source.read(0, signal, first);
  const bits: SampleBits = { bits: first.isDeep ? await bitsInUse(source, first, signal) : undefined };
  const ahead = new Map<number, Promise<RgbImage>>();

  const fetch = (frame: number, signal?: AbortSignal) => {
    const found = ahead.get(frame) ?? source.read(frame, signal, bits);
    found.catch(() => ahead.delete(frame)); // told to whoever reads the frame, who may try again
    ahead.set(frame, found);
    return found;
  };

  return {
    count,
    estimate: count,
    last: count - 1,
    width,
    height,
    name: source.name,
    async read(frame, step, signal) {
      if (frame >= count) return undefined;
      const found = fetch(frame, signal);
      const wanted = Array.from({ length: AHEAD + 1 }, (_, i) => frame + i * step);
      for (const next of wanted) if (next >= 0 && next < count) fetch(next);
      for (const old of ahead.keys()) if (!wanted.includes(old)) ahead.delete(old);
      const image = await found;
      expectSize(image, { width, height }, `frame ${frame} (${source.where(frame)})`);
      return image;
    },
    close() {
      ahead.clear();
      source.close?.();
    },
  };
}

/** As many bits as the brightest of some frames, from all over the video, makes use of; undefined if all are black. */
async function bitsInUse(
  { count, read }: Numbered,
  first: SampleBits,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const step = Math.max(1, (count - 1) / (PROBES - 1));
  const seen = [first];
  for (let at = step; at < count; at += step) {
    const own: SampleBits = { isTrial: true };
    await read(Math.round(at), signal, own).catch(() => signal?.throwIfAborted()); // told when its turn comes
    seen.push(own);
  }
  return Math.max(...seen.map(({ bits }) => bits ?? 0)) || undefined;
}

/** @throws ImageError naming the frame */
export async function readFrame(
  { where, image }: { where: string; image: ImageInput | Promise<ImageInput> },
  frame: number,
  signal?: AbortSignal,
  bits?: SampleBits,
): Promise<RgbImage> {
  try {
    return await readImage(await image, signal, bits);
  } catch (cause) {
    signal?.throwIfAborted();
    const todo = "repair or replace it; what was tracked before it stays";
    throw new ImageError(`frame ${frame} (${where})`, "an image", (cause as Error).message, todo, { cause });
  }
}
