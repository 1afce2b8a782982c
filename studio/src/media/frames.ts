/** A video as pictures: a folder of frames, or a choice of them. */
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";

/** Nothing tells how fast they are shown. */
const FRAMES_PER_SECOND = 24;
const PICTURE = /\.(jpe?g|png|webp|bmp|gif|avif)$/i;

export function isPicture({ name = "", type }: Blob & { name?: string }): boolean {
  return type.startsWith("image/") || PICTURE.test(name);
}

/** By number where all names are numbers, else naturally: frame_2 before frame_10. As the command line has them. */
export function inOrder<F extends { name: string }>(files: readonly F[]): F[] {
  const stem = ({ name }: F) => name.replace(/\.\w+$/, "");
  const isNumbered = files.every((file) => /^[-+]?\d+(\.\d+)?$/.test(stem(file)));
  const { compare } = new Intl.Collator("en", { numeric: true });
  return files.toSorted((a, b) => (isNumbered && Number(stem(a)) - Number(stem(b))) || compare(a.name, b.name));
}

/** @throws Error in one sentence for a visitor */
export async function openFrames(files: readonly File[], name: string): Promise<Media> {
  const frames = inOrder(files.filter((file) => isPicture(file) && !file.name.startsWith(".")));
  if (frames.length === 0) throw new Error(`${name} has no pictures; a video's frames are files such as 00000.jpg.`);
  const picture = async (frame: number) => {
    const bitmap = await decoded(frames[frame]);
    if (frame > 0 && (bitmap.width !== width || bitmap.height !== height)) {
      const got = `${bitmap.width} by ${bitmap.height}`;
      bitmap.close();
      throw new Error(`${frames[frame].name} is ${got} pixels, the first frame ${width} by ${height}.`);
    }
    return bitmap;
  };
  const first = await decoded(frames[0]);
  const { width, height } = first;
  first.close();
  return {
    source: {
      id: crypto.randomUUID(),
      kind: "video",
      name,
      width,
      height,
      frames: frames.length,
      framesPerSecond: FRAMES_PER_SECOND,
      isDrawn: false,
    },
    picture,
    input: async (frame) => frames[frame], // the model's decoder has the command line's pixels
    ...regular(FRAMES_PER_SECOND, frames.length),
    files: frames,
    close: () => {},
  };
}

async function decoded(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name} is no picture that this browser can show; repair or replace it.`);
  }
}
