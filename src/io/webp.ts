import { ImageError } from "../errors.ts";
import { jsquashDecoder } from "./jsquash.ts";
import type { ImageHeader, Raster } from "./pixels.ts";

const ANIMATED = 0x02;
/** Made when it is first needed, so that bundlers leave it out where nothing decodes. */
let decoder: ReturnType<typeof jsquashDecoder> | undefined;

/** @source WebP container specification; RFC 6386, 9.1 (VP8); WebP lossless bitstream, 3 (VP8L) */
export function webpHeader(bytes: Uint8Array, where: string): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 30) {
    throw new ImageError(where, "a WebP file", `${view.byteLength} bytes of one`, "the file is truncated");
  }
  switch (fourCC(bytes, 12)) {
    case "VP8 ":
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X": {
      if (bytes[20] & ANIMATED) throw new ImageError(where, "a still image", "an animated WebP file", "save one frame");
      const [width, height] = [24, 27].map((at) => (view.getUint32(at - 1, true) >>> 8) + 1);
      return { width, height, exif: exifChunk(bytes, view) };
    }
    default:
      throw new ImageError(where, "a WebP image", `a "${fourCC(bytes, 12)}" chunk`, "the file is damaged");
  }
}

function exifChunk(bytes: Uint8Array, view: DataView): Uint8Array | undefined {
  for (let at = 12; at + 8 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (fourCC(bytes, at) === "EXIF") {
      const prefixed = fourCC(bytes, at + 8) === "Exif"; // some writers keep JPEG's "Exif", 0, 0
      return bytes.subarray(at + (prefixed ? 14 : 8), end);
    }
    at = end + (end & 1);
  }
  return undefined;
}

function fourCC(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** WebP → RGBA, bit for bit what libwebp gives. */
export function decodeWebp(bytes: Uint8Array, where: string): Promise<Raster> {
  decoder ??= jsquashDecoder(
    "@jsquash/webp/codec/dec/webp_dec.wasm",
    () => import("@jsquash/webp/codec/dec/webp_dec.js"),
    (codec, bytes) => codec.decode(bytes),
  );
  return decoder(bytes, where);
}
