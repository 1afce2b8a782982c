/** What browsers can draw, as pixels. */
import { ImageError } from "../errors.ts";

/** A loaded `<img>` or `<video>`, a canvas, an ImageBitmap or a VideoFrame. */
export type Drawable =
  | Record<"naturalWidth" | "naturalHeight", number>
  | Record<"videoWidth" | "videoHeight", number>
  | Record<"displayWidth" | "displayHeight", number>
  | (Record<"width" | "height", number> & (Record<"close", () => void> | Record<"getContext", (id: "2d") => unknown>));

interface RgbaPixels {
  width: number;
  height: number;
  /** RGBA */
  data: Uint8ClampedArray;
}

/**
 * The pixels that are seen, at their own size.
 *
 * @throws ImageError if there are none, or the page may not read them
 */
export function drawnPixels(source: Drawable, kind: string): RgbaPixels {
  const [width, height] = sizeOf(source);
  if (!(width > 0 && height > 0)) {
    throw new ImageError(
      kind,
      "at least one pixel",
      `${width}×${height}`,
      "wait until it is loaded, before it is closed",
    );
  }
  try {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    context.drawImage(source as CanvasImageSource, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, data };
  } catch (cause) {
    const todo = "load it from the page's own origin, or with crossorigin from one that allows that";
    throw new ImageError(kind, "pixels that may be read", `"${(cause as Error).message}"`, todo, { cause });
  }
}

function sizeOf(source: Drawable): [width: number, height: number] {
  if ("naturalWidth" in source) return [source.naturalWidth, source.naturalHeight];
  if ("videoWidth" in source) return [source.videoWidth, source.videoHeight];
  if ("displayWidth" in source) return [source.displayWidth, source.displayHeight];
  return [source.width, source.height];
}
