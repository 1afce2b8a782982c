import { ImageError, Sam2Error } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { type Drawable, drawnPixels } from "./canvas.ts";
import { decodeRaster, type RgbImage, toRgb } from "./image.ts";
import { kindOf, tagOf } from "./kind_of.ts";
import { sayOnce } from "./pixels.ts";
import { rasterToRgb, type SampleBits } from "./raster.ts";

/** Pixels as bytes. */
export interface PixelArray {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** 1 (grey), 2 (with alpha), 3 (RGB) or 4 (RGBA) bytes a pixel, row by row from the top left; alpha is dropped */
  data: Uint8Array | Uint8ClampedArray;
}

/** What sharp's `toBuffer({ resolveWithObject: true })` gives: raw pixels, or a file. */
export interface SharpOutput {
  /** pixels or file */
  data: Uint8Array;
  /** what `data` is */
  info: {
    /** "raw", or the format of the file */
    format?: string;
    /** pixels */
    width: number;
    /** pixels */
    height: number;
  };
}

/** An ndarray [height, width, channels] or [height, width]; get-pixels' [width, height, channels] is known by its strides. */
export interface NdImage {
  /** bytes */
  data: Uint8Array | Uint8ClampedArray;
  /** of each axis */
  shape: readonly number[];
  /** elements from one index of an axis to the next */
  stride: readonly number[];
  /** of the first element */
  offset: number;
}

/**
 * A path or address (in a page relative to the document); the bytes of an image file, also as Blob or Response; pixels, as
 * a canvas's ImageData, sharp and ndarray hold them; or what a browser draws: ImageBitmap, `<img>`, `<video>`, canvas,
 * VideoFrame.
 */
export type ImageInput =
  string | URL | ArrayBuffer | Uint8Array | Blob | Response | PixelArray | SharpOutput | NdImage | Drawable;

/** What crosses to the worker. */
export type SentImage = string | Uint8Array | Blob | PixelArray;

const KINDS =
  "a path, a URL, bytes of an image file (Uint8Array, ArrayBuffer, Blob, Response), pixels ({ data, width, height }, " +
  "ImageData, sharp's { data, info }, ndarray), or an ImageBitmap, <img>, <video>, canvas or VideoFrame";

const DRAWABLE = /^(ImageBitmap|OffscreenCanvas|VideoFrame|HTML(Image|Video|Canvas)Element)$/;

/**
 * The image in a form that any thread takes; of a Response, whose bytes have yet to come, a promise.
 *
 * @throws ImageError that names the kinds that are taken
 */
export function sendable(input: ImageInput): SentImage | Promise<SentImage> {
  const tag = tagOf(input);
  if (typeof input === "string") return platform.locate(input);
  if (input instanceof URL || tag === "URL") return platform.locate((input as URL).href);
  if (input instanceof Uint8Array) return input;
  if (tag === "ArrayBuffer" || tag === "SharedArrayBuffer") return new Uint8Array(input as ArrayBuffer);
  if (tag === "Blob" || tag === "File") return input as Blob;
  if (tag === "Response") return bytesOf(input as Response);
  if (DRAWABLE.test(tag)) return drawnPixels(input as Drawable, tag);
  if (typeof input === "object" && input !== null) {
    if ("info" in input && "data" in input) return ofSharp(input);
    if ("shape" in input && "data" in input) return ofNdarray(input);
    if ("width" in input && "height" in input && "data" in input) {
      const { width, height, data } = input;
      return { width, height, data };
    }
  }
  const todo = tag === "Promise" ? "await it first" : "convert it to one of these";
  throw new ImageError("image", KINDS, kindOf(input), todo);
}

/**
 * @param common of the frames of a video, what their 16-bit samples are taken for
 * @throws ImageError
 */
export async function readImage(input: ImageInput, signal?: AbortSignal, common?: SampleBits): Promise<RgbImage> {
  const image = await sendable(input);
  if (tagOf(image) === "Object") return toRgb(image as PixelArray);
  const where = typeof image === "string" ? image : undefined;
  const bytes =
    typeof image === "string"
      ? await readBytes(image, signal)
      : image instanceof Uint8Array
        ? image
        : new Uint8Array(await (image as Blob).arrayBuffer());
  const onNotice = common?.isTrial ? () => {} : sayOnce;
  return rasterToRgb(await decodeRaster(bytes, { where, onNotice }), onNotice, common);
}

/** Does it name a picture of the network? */
export function isAddress(from: string): boolean {
  return /^https?:/i.test(from);
}

/** The bytes of an image. @throws ImageError; the signal's reason if aborted */
export async function readBytes(address: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    if (isAddress(address)) return await downloaded(address, signal);
    if (!/^(data|blob|file):/i.test(address)) return await platform.readFile(address);
    return await bytesOf(await fetch(address, { signal }), address);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof Sam2Error) throw cause;
    const { message } = ((cause as Error).cause as Error | undefined) ?? (cause as Error);
    throw new ImageError(address, "an image", message || "no answer", "check the address", { cause });
  }
}

async function downloaded(address: string, signal?: AbortSignal): Promise<Uint8Array> {
  const file = await platform.download(address, { signal, Failure: ImageError });
  try {
    return file.read(0, file.size).slice();
  } finally {
    file.close();
  }
}

/** @throws ImageError if it is no answer of status 200, or was read before */
async function bytesOf(response: Response, address = response.url || "Response"): Promise<Uint8Array> {
  if (!response.ok) {
    const got = `HTTP ${response.status} ${response.statusText}`;
    throw new ImageError(address, "an image", got, "check the address", { httpStatus: response.status });
  }
  if (response.bodyUsed) throw new ImageError(address, "an unread body", "one that was read", "pass its clone()");
  return new Uint8Array(await response.arrayBuffer());
}

function ofSharp({ data, info }: SharpOutput): SentImage {
  if (!(data instanceof Uint8Array)) {
    throw new ImageError("image.data", "bytes", kindOf(data), "ask sharp for 8-bit pixels: .raw()");
  }
  if (info?.format !== undefined && info.format !== "raw") return data;
  return { width: info?.width, height: info?.height, data };
}

/** Rows are the axis of the longer steps. @shape [H, W], [H, W, C] or [W, H, C] */
function ofNdarray({ data, shape, stride, offset }: NdImage): SentImage {
  const isList = (sizes: unknown) =>
    Array.isArray(sizes) && sizes.every(Number.isInteger) && sizes.length === shape.length;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray) || !isList(shape) || !isList(stride)) {
    throw new ImageError("image", "an ndarray of bytes", kindOf(data), "convert it to 0…255 in a Uint8Array");
  }
  const channels = shape.length === 2 ? 1 : shape[2];
  if (!(shape.length === 2 || shape.length === 3) || !(channels >= 1 && channels <= 4)) {
    const expected = "an ndarray [height, width] or [height, width, 1 to 4 channels]";
    throw new ImageError("image", expected, `[${shape.join(", ")}]`, "transpose it: channels come last");
  }
  const [row, column] = Math.abs(stride[0]) >= Math.abs(stride[1]) ? [0, 1] : [1, 0];
  const [height, width] = [shape[row], shape[column]];
  const pixels = new Uint8Array(height * width * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = offset + y * stride[row] + x * stride[column];
      for (let c = 0; c < channels; c++) pixels[to++] = data[from + (c && c * stride[2])];
    }
  }
  return { width, height, data: pixels };
}
