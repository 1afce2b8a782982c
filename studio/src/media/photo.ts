/** A picture file. */
import type { ImageInput } from "sam2-ts";
import type { Source } from "../state/document.ts";
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";

/** What the model's own decoders take at most. */
const MOST_PIXELS = 2 ** 27;
/** Formats that the model reads itself, with the pixels that Pillow gives: JPEG, PNG, WebP, GIF, BMP. */
const READ = /^(\xff\xd8\xff|\x89PNG|RIFF....WEBP|GIF8|BM)/s;

/** @throws Error in one sentence for a visitor, if the browser cannot show it */
export async function openPhoto(file: Blob, name: string): Promise<Media> {
  const first = await decoded(file, name);
  const { width, height } = first;
  if (width * height > MOST_PIXELS) {
    first.close();
    const most = Math.round(MOST_PIXELS / 1e6);
    throw new Error(
      `${name} has ${Math.round((width * height) / 1e6)} million pixels; scale it down to ${most} at most.`,
    );
  }
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  const source: Source = { id: crypto.randomUUID(), kind: "photo", name, width, height, frames: 1, isDrawn: false };
  const isRead = READ.test(head);
  return {
    source,
    picture: () => createImageBitmap(first),
    input: async (): Promise<ImageInput> => (isRead ? file : asPng(first)),
    ...regular(1, 1),
    files: [file],
    close: () => first.close(),
  };
}

async function decoded(file: Blob, name: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new Error(`${name || "This"} is no picture that this browser can show; save it as PNG or JPEG.`);
  }
}

/** What only the browser can decode, for the model; the canvas works off the page's thread. */
async function asPng(bitmap: ImageBitmap): Promise<Blob> {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(await createImageBitmap(bitmap));
  return canvas.convertToBlob({ type: "image/png" });
}
