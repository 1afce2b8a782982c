import { ImageError } from "../errors.ts";
import { platform } from "../platform/platform.ts";
import { drawnPixels } from "./canvas.ts";
import { type CodecModule, jsquashDecoder } from "./jsquash.ts";
import type { ImageHeader, Raster } from "./pixels.ts";

const CODEC = "@jsquash/avif/codec/dec/avif_dec";
const ISPE = 0x69737065; // in letters
let decoder: ((bytes: Uint8Array, where: string) => Promise<Raster>) | undefined;

/** The largest extent that a property box of the file states. @source HEIF (ISO/IEC 23008-12), ispe */
export function avifHeader(bytes: Uint8Array, where: string): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [width, height] = [0, 0];
  for (let at = bytes.indexOf(0x69); at >= 0 && at + 16 <= bytes.length; at = bytes.indexOf(0x69, at + 1)) {
    if (view.getUint32(at) !== ISPE) continue;
    const [w, h] = [view.getUint32(at + 8), view.getUint32(at + 12)];
    if (w * h > width * height) [width, height] = [w, h];
  }
  if (width === 0) throw new ImageError(where, "an AVIF file that states its size", "none", "the file is damaged");
  return { width, height };
}

/** AVIF → RGBA of 8 bits, by the browser, or by @jsquash/avif where it is installed. */
export async function decodeAvif(bytes: Uint8Array, where: string): Promise<Raster> {
  if (typeof createImageBitmap === "function") return decodeInBrowser(bytes, where);
  if (!decoder) {
    const codec = (await platform.optional(`${CODEC}.js`)) as Awaited<CodecModule> | undefined;
    if (!codec) {
      const todo = "run: npm install @jsquash/avif, or convert it to PNG or JPEG";
      throw new ImageError(where, "an AVIF file and a package that reads it", "the file alone", todo);
    }
    decoder = jsquashDecoder(
      `${CODEC}.wasm`,
      async () => codec,
      (codec, bytes) => codec.decode(bytes, 8),
    );
  }
  return decoder(bytes, where);
}

async function decodeInBrowser(bytes: Uint8Array, where: string): Promise<Raster> {
  const file = new Blob([bytes.slice()], { type: "image/avif" });
  try {
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const pixels = drawnPixels(bitmap, "AVIF");
    bitmap.close();
    return { ...pixels, channels: 4, maxval: 255 };
  } catch (cause) {
    const got = `"${(cause as Error).message}"`;
    throw new ImageError(where, "an AVIF file that the browser reads", got, "convert it to PNG or JPEG", { cause });
  }
}
