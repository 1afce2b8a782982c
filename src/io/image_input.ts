import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { decodeImage, type RgbImage, toRgb } from "./image.ts";

/** A path or URL, the bytes of a JPEG, PNG or WebP file, or pixels (grey, RGB or RGBA; a canvas's ImageData too). */
export type ImageInput =
  | string
  | Uint8Array
  | Blob
  | {
      /** pixels */
      width: number;
      /** pixels */
      height: number;
      /** 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel, row by row from the top left; alpha is dropped */
      data: Uint8Array | Uint8ClampedArray;
    };

/** @throws ImageError */
export async function readImage(input: ImageInput, signal?: AbortSignal): Promise<RgbImage> {
  if (typeof input === "string") return decodeImage(await readBytes(input, signal), { where: input });
  if (input instanceof Blob) return decodeImage(new Uint8Array(await input.arrayBuffer()));
  return input instanceof Uint8Array ? decodeImage(input) : toRgb(input);
}

async function readBytes(address: string, signal?: AbortSignal): Promise<Uint8Array> {
  return /^(https?|data|blob):/.test(address) ? fetchImage(address, signal) : platform.readFile(address);
}

/** @throws ImageError if there is no answer, or none of status 200; the signal's reason if aborted */
export async function fetchImage(address: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    const response = await fetch(address, { signal });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new ImageError(address, "an image", `HTTP ${response.status} ${response.statusText}`, "check the address");
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof ImageError) throw cause;
    const { message } = ((cause as Error).cause as Error | undefined) ?? (cause as Error);
    throw new ImageError(address, "an image", message || "no answer", "check the address and the network", { cause });
  }
}
