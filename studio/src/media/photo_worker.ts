/** Decodes photos: off the page's thread, for which tens of millions of pixels are too many even to be copied. */
import { answerCalls } from "./worker_calls.ts";

export interface PhotoCalls {
  /** upright */
  picture: { asks: { file: Blob; name: string }; answers: ImageBitmap };
  /** as PNG, for the model: what only the browser can decode */
  png: { asks: { file: Blob; name: string }; answers: Blob };
}

async function decoded({ file, name }: { file: Blob; name: string }): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new Error(`${name} is damaged, or more than this browser can decode; save it anew as PNG or JPEG.`);
  }
}

answerCalls<PhotoCalls>({
  picture: decoded,
  async png(asks) {
    const bitmap = await decoded(asks);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
    return canvas.convertToBlob({ type: "image/png" });
  },
});
