import mozjpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { ImageError } from "../errors.ts";
import { jsquashDecoder } from "./jsquash.ts";
import type { ImageHeader } from "./pixels.ts";

const SUPPORTED = [0xc0, 0xc1, 0xc2]; // baseline, extended, progressive; all Huffman-coded
const NOT_FRAMES = [0xc4, 0xc8, 0xcc]; // tables that share the frame headers' range of markers

/** @source JPEG (ITU-T T.81), annex B: segments up to the first scan */
export function jpegHeader(bytes: Uint8Array, where: string): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let exif: Uint8Array | undefined;
  let frame: { width: number; height: number } | undefined;
  let at = 2;
  while (at + 4 <= bytes.length) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0) {
      at++; // padding and stray bytes, which libjpeg skips too
      continue;
    }
    if (marker === 0xda || marker === 0xd9) break; // the first scan; the end
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2; // markers without a segment
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) break;
    if (marker === 0xe1 && isExif(bytes, at + 4)) exif ??= bytes.subarray(at + 10, end);
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.includes(marker)) frame ??= readFrame(view, at, end, where);
    at = end;
  }
  if (!frame)
    throw new ImageError(where, "a JPEG file with a frame header", "none", "the file is truncated or damaged");
  return { ...frame, exif };
}

function readFrame(view: DataView, at: number, end: number, where: string) {
  if (end < at + 10) throw new ImageError(where, "a JPEG frame header", "a shorter one", "the file is damaged");
  const coding = view.getUint8(at + 1);
  if (!SUPPORTED.includes(coding)) {
    const kind =
      coding === 0xc3 ? "lossless" : coding === 0xc9 || coding === 0xca ? "arithmetic-coded" : "hierarchical";
    throw new ImageError(where, "a baseline or progressive JPEG file", `one that is ${kind}`, "convert it to PNG");
  }
  const bits = view.getUint8(at + 4);
  if (bits !== 8) throw new ImageError(where, "8 bits per sample", `a JPEG file of ${bits}`, "convert it to PNG");
  const channels = view.getUint8(at + 9);
  if (channels !== 1 && channels !== 3) {
    const got = channels === 4 ? "a CMYK JPEG file" : `${channels} channels`;
    throw new ImageError(where, "a grey or colour image", got, "convert it to RGB");
  }
  return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
}

/** "Exif", 0, 0 */
function isExif(bytes: Uint8Array, at: number): boolean {
  return [0x45, 0x78, 0x69, 0x66, 0, 0].every((byte, i) => bytes[at + i] === byte);
}

/**
 * JPEG → RGBA, bit for bit what libjpeg-turbo gives at its default settings, but for 4:4:0 subsampling (|Δ| ≤ 2).
 * NB Damage in the compressed data, which libjpeg only warns of, is an error here; stray bytes between segments are not.
 */
export const decodeJpeg = jsquashDecoder(
  "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
  mozjpeg,
  (codec, bytes) => codec.decode(bytes, false),
  /^Premature end|^Corrupt JPEG data: (?!\d+ extraneous)/,
);
