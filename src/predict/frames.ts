import { ImageError, UsageError } from "../errors.ts";
import { decodeImage, type RgbImage } from "../io/image.ts";
import { type ImageInput, readImage } from "../io/image_input.ts";
import { pillowResize } from "../io/pillow_resize.ts";
import { platform } from "../platform/platform.ts";
import { machine } from "../runtime/machine.ts";
import type { Tensor } from "../tensor/view.ts";

/** A folder of images named by number, a list of images, or frames that arrive one by one. */
export type FrameInput = string | readonly ImageInput[] | AsyncIterable<ImageInput>;

/** The frames of a video, all of one size. */
export interface Frames {
  /** Infinity for frames that arrive one by one */
  readonly count: number;
  readonly width: number;
  readonly height: number;
  /** the latest frame that can be read at once; of a stream, the last that has arrived */
  readonly last: number;
  /**
   * @param step 1 or −1: where the next frame will be
   * @returns undefined after the end of a stream
   * @throws ImageError naming frame and file
   */
  read(frame: number, step: number, signal?: AbortSignal): Promise<RgbImage | undefined>;
}

/** Frames that are decoded before they are asked for. */
const AHEAD = 2;

/**
 * Open a video and read its first frame, which sets the size.
 *
 * @throws ImageError if there is none, or it cannot be read
 */
export async function openFrames(input: FrameInput, signal?: AbortSignal): Promise<Frames> {
  if (typeof input === "string") return openList(await filesOf(input), signal);
  if (Symbol.asyncIterator in input) return openStream(input, signal);
  const list = input.map((image, i) => ({ name: typeof image === "string" ? image : `image ${i}`, image }));
  if (list.length === 0) throw new ImageError("initState", "at least one frame", "an empty list", "pass some images");
  return openList(list, signal);
}

interface NamedImage {
  name: string;
  image: ImageInput;
}

/** The images of a folder in the order of their numbers; other files are left alone. */
async function filesOf(folder: string): Promise<NamedImage[]> {
  const all = await platform.listFolder(folder);
  if (!all) throw new ImageError(folder, "a folder of frames", "none", "check the path");
  const names = all.filter((name) => /\.(jpe?g|png|webp)$/i.test(name) && !name.startsWith("."));
  if (names.length === 0) {
    throw new ImageError(folder, "frames such as 00000.jpg", "no JPEG, PNG or WebP file", "check the folder");
  }
  const numbers = new Map<number, string>();
  for (const name of names) {
    const stem = name.replace(/\.\w+$/, "");
    const number = /^\d+$/.test(stem) ? Number(stem) : Number.NaN;
    const twin = numbers.get(number);
    if (Number.isNaN(number) || twin !== undefined) {
      const got = twin === undefined ? name : `${twin} and ${name}`;
      throw new ImageError(folder, "frames named by number, each once", got, "rename it, e.g. 00000.jpg");
    }
    numbers.set(number, name);
  }
  const sorted = [...numbers].sort(([a], [b]) => a - b);
  return sorted.map(([, name]) => ({ name: `${folder}/${name}`, image: `${folder}/${name}` }));
}

/**
 * As PIL reads it: upstream leaves the EXIF orientation of frames alone.
 *
 * @throws ImageError naming the frame
 */
async function readFrame({ name, image }: NamedImage, frame: number, signal?: AbortSignal): Promise<RgbImage> {
  try {
    if (typeof image !== "string" || /^(https?|data|blob):/.test(image)) return await readImage(image, signal);
    return await decodeImage(await platform.readFile(image), { orient: false, where: image });
  } catch (cause) {
    signal?.throwIfAborted();
    const todo = "repair or replace it; what was tracked before it stays";
    throw new ImageError(`frame ${frame} (${name})`, "an image", (cause as Error).message, todo, { cause });
  }
}

function expectSize(image: RgbImage, width: number, height: number, where: string): void {
  if (image.width === width && image.height === height) return;
  const got = `${image.width}×${image.height}`;
  throw new ImageError(where, `${width}×${height}, as frame 0`, got, "bring all frames to one size");
}

async function openList(list: readonly NamedImage[], signal?: AbortSignal): Promise<Frames> {
  const { width, height } = await readFrame(list[0], 0, signal);
  const ahead = new Map<number, Promise<RgbImage>>();

  const fetch = (frame: number, signal?: AbortSignal) => {
    const found = ahead.get(frame) ?? readFrame(list[frame], frame, signal);
    found.catch(() => ahead.delete(frame)); // told to whoever reads the frame, who may try again
    ahead.set(frame, found);
    return found;
  };

  return {
    count: list.length,
    last: list.length - 1,
    width,
    height,
    async read(frame, step, signal) {
      const found = fetch(frame, signal);
      const wanted = Array.from({ length: AHEAD + 1 }, (_, i) => frame + i * step);
      for (const next of wanted) if (next >= 0 && next < list.length) fetch(next);
      for (const old of ahead.keys()) if (!wanted.includes(old)) ahead.delete(old);
      const image = await found;
      expectSize(image, width, height, `frame ${frame} (${list[frame].name})`);
      return image;
    },
  };
}

async function openStream(stream: AsyncIterable<ImageInput>, signal?: AbortSignal): Promise<Frames> {
  const iterator = stream[Symbol.asyncIterator]();
  const name = "of the stream";
  let last = -1;
  let image: RgbImage | undefined;

  const advance = async (signal?: AbortSignal): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done) return false;
    const next = await readFrame({ name, image: value }, last + 1, signal);
    if (image) expectSize(next, image.width, image.height, `frame ${last + 1} (${name})`);
    image = next;
    last++;
    return true;
  };

  if (!(await advance(signal))) {
    throw new ImageError("initState", "at least one frame", "a stream without any", "check where the frames come from");
  }
  const { width, height } = image!;
  return {
    count: Number.POSITIVE_INFINITY,
    get last() {
      return last;
    },
    width,
    height,
    async read(frame, _step, signal) {
      while (last < frame) if (!(await advance(signal))) return undefined;
      if (last === frame) return image;
      const todo = "pass a folder or a list to go back in time";
      throw new UsageError(
        `frame ${frame}`,
        `frame ${last} of the stream, or a later one`,
        "one that has passed",
        todo,
      );
    },
  };
}

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const { fround } = Math;
/** (byte/255 − mean)/std in f32, for each channel. */
const NORMALISED = MEAN.map((mean, c) =>
  Float32Array.from({ length: 256 }, (_, byte) => fround(fround(byte / 255) - fround(mean)) / fround(STD[c])),
);

/**
 * Frame → the encoder's input: resized as Pillow does, rounded to bytes, normalised. The image predictor resizes otherwise.
 *
 * @shape  H×W pixels → [1, size, size, 3]
 * @source sam2/utils/misc.py, load_video_frames
 */
export function preprocessFrame(frame: RgbImage, size: number): Tensor {
  const { data } = pillowResize(frame, size, size);
  const x = machine.heap.alloc([1, size, size, 3]);
  for (let i = 0; i < data.length; i++) x.data[i] = NORMALISED[i % 3][data[i]];
  return x;
}
