/** A picture file. */
import type { ImageInput } from "sam2-ts";
import type { Source } from "../state/document.ts";
import type { Media } from "./media.ts";
import type { PhotoCalls } from "./photo_worker.ts";
import { regular } from "./regular.ts";
import { startWorker } from "./start_worker.ts";
import { asked } from "./worker_calls.ts";

/** What the model's own decoders take at most. */
const MOST_PIXELS = 2 ** 27;
/** Formats that the model reads itself, with the pixels that Pillow gives: JPEG, PNG, WebP, GIF, BMP. */
const READ = /^(\xff\xd8\xff|.PNG|RIFF....WEBP(?!.+ANIM)|GIF8|BM)/s;
/** Several pictures, of which the first is shown. */
const MOVES = /^(.PNG.+acTL|RIFF....WEBP.+ANIM|GIF8.+NETSCAPE)/s;
/** So far into a file it says what it is. @units bytes */
const HEAD_BYTES = 2 ** 15;

/** @throws Error in one sentence for a visitor, if the browser cannot show it */
export async function openPhoto(file: Blob, name: string): Promise<Media> {
  const { width, height } = await sizeOf(file, name);
  const { ask, rest } = asked<PhotoCalls>(
    () => startWorker("photo"),
    `The program that decodes ${name} stopped; do that once more.`,
  );
  const asks = { file, name };
  let first: Promise<ImageBitmap> | undefined = ask("picture", asks);
  await first.catch((error) => {
    rest();
    throw error;
  });
  const head = new TextDecoder("latin1").decode(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const isRead = READ.test(head);
  const source: Source = { id: crypto.randomUUID(), kind: "photo", name, width, height, frames: 1, isDrawn: false };
  return {
    source,
    note: MOVES.test(head)
      ? `${name} moves, and this is its first picture. Save it as MP4 to follow things in it.`
      : undefined,
    picture() {
      const picture = first ?? ask("picture", asks);
      first = undefined; // none is held: large ones are as large as all else in the page
      return picture;
    },
    input: async (): Promise<ImageInput> => (isRead ? file : ask("png", asks)),
    ...regular(1, 1),
    files: [file],
    close: rest,
  };
}

/** Upright, as the file says it, before anything is decoded. @throws Error in one sentence for a visitor */
async function sizeOf(file: Blob, name: string): Promise<{ width: number; height: number }> {
  const image = new Image();
  const address = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = address;
    });
  } catch {
    throw new Error(`${name} is nothing that this browser can show; save it as PNG, JPEG or MP4.`);
  } finally {
    URL.revokeObjectURL(address);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height <= MOST_PIXELS) return { width, height };
  const [millions, most] = [width * height, MOST_PIXELS].map((pixels) => Math.round(pixels / 1e6));
  throw new Error(`${name} has ${millions} million pixels; scale it down to ${most} million at most.`);
}
