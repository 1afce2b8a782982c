import { ImageError } from "../errors.ts";
import { cmykToRgb, upsample } from "./jpeg_cmyk.ts";
import { jpegPlanes } from "./jpeg_planes.ts";
import { type Frame, jpegSegments } from "./jpeg_segments.ts";
import { jsquashDecoder } from "./jsquash.ts";
import type { ImageHeader, Raster } from "./pixels.ts";

const PROGRESSIVE = 0xc2;
const SUPPORTED = [0xc0, 0xc1, PROGRESSIVE]; // baseline, extended, progressive; all Huffman-coded
const NOT_FRAMES = [0xc4, 0xc8, 0xcc]; // tables that share the frame headers' range of markers
/** Made when it is first needed, so that bundlers leave it out where nothing decodes. */
let decoder: ReturnType<typeof jsquashDecoder> | undefined;

/** @source JPEG (ITU-T T.81), annex B: segments up to the first scan */
export function jpegHeader(bytes: Uint8Array, where: string): ImageHeader & { frame: Frame } {
  let exif: Uint8Array | undefined;
  let frame: Frame | undefined;
  let adobe: number | undefined;
  let restart = 0;
  for (const { marker, at, end } of jpegSegments(bytes)) {
    if (marker === 0xda) break;
    if (marker === 0xe1 && startsWith(bytes, at + 4, "Exif\0\0")) exif ??= bytes.subarray(at + 10, end);
    if (marker === 0xee && startsWith(bytes, at + 4, "Adobe") && end >= at + 16) adobe = bytes[at + 15];
    if (marker === 0xdd && end >= at + 6) restart = (bytes[at + 4] << 8) | bytes[at + 5];
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.includes(marker)) {
      frame ??= readFrame(bytes.subarray(at, end), where);
    }
  }
  if (!frame) {
    throw new ImageError(where, "a JPEG file with a frame header", "none", "the file is truncated or damaged");
  }
  const { width, height } = frame;
  return { width, height, exif, frame: { ...frame, adobe, restart } };
}

function readFrame(segment: Uint8Array, where: string): Frame {
  const [, coding, , , bits, h1, h0, w1, w0, channels] = segment;
  if (segment.length < 10 || segment.length < 10 + 3 * channels) {
    throw new ImageError(where, "a JPEG frame header", "a shorter one", "the file is damaged");
  }
  if (!SUPPORTED.includes(coding)) {
    const kind =
      coding === 0xc3 ? "lossless" : coding === 0xc9 || coding === 0xca ? "arithmetic-coded" : "hierarchical";
    throw new ImageError(where, "a baseline or progressive JPEG file", `one that is ${kind}`, "convert it to PNG");
  }
  if (bits !== 8) throw new ImageError(where, "8 bits per sample", `a JPEG file of ${bits}`, "convert it to PNG");
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new ImageError(where, "a grey, colour or CMYK image", `${channels} channels`, "convert it to RGB");
  }
  const components = Array.from({ length: channels }, (_, c) => {
    const [id, sampling, quantization] = segment.subarray(10 + 3 * c);
    return { id, h: sampling >> 4, v: sampling & 15, quantization };
  });
  return { width: (w1 << 8) | w0, height: (h1 << 8) | h0, coding, components, restart: 0 };
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  return [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}

/**
 * The file up to the end of its image, with an end marker: cameras append what is none of it, and some leave the marker
 * out. A baseline image ends with the scan that completes its components; whether all data are there, the codec finds.
 */
function wholeImage(bytes: Uint8Array, { coding, components }: Frame): Uint8Array {
  const seen = new Set<number>();
  let end = bytes.length;
  for (const { marker, at, dataEnd } of jpegSegments(bytes)) {
    if (marker !== 0xda) continue;
    end = dataEnd;
    for (let i = 0; i < bytes[at + 4]; i++) seen.add(bytes[at + 5 + 2 * i]);
    if (coding !== PROGRESSIVE && components.every(({ id }) => seen.has(id))) break;
  }
  if (bytes[end] === 0xff && bytes[end + 1] === 0xd9) return bytes.subarray(0, end + 2);
  const whole = new Uint8Array(end + 2);
  whole.set(bytes.subarray(0, end));
  whole.set([0xff, 0xd9], end);
  return whole;
}

/**
 * JPEG → RGBA, bit for bit what libjpeg-turbo gives at its default settings, but for 4:4:0 subsampling (|Δ| ≤ 2).
 * NB Damage in the compressed data, which libjpeg only warns of, is an error here; stray bytes between segments are not,
 * nor is a missing end marker.
 */
export async function decodeJpeg(bytes: Uint8Array, where: string): Promise<Raster> {
  const { frame } = jpegHeader(bytes, where);
  const whole = wholeImage(bytes, frame);
  if (frame.components.length < 4) return decode(whole, where);
  const planes: Raster["data"][] = [];
  for (const [c, file] of jpegPlanes(whole, frame, where).entries()) {
    const { data } = await decode(file, where);
    const grey = new Uint8Array(data.length / 4);
    for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
    planes.push(upsample(grey, frame, c));
  }
  return cmykToRgb(planes, frame);
}

function decode(bytes: Uint8Array, where: string): Promise<Raster> {
  decoder ??= jsquashDecoder(
    "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
    () => import("@jsquash/jpeg/codec/dec/mozjpeg_dec.js"),
    (codec, bytes) => codec.decode(bytes, false),
    /^Premature end|^Corrupt JPEG data: (?!\d+ extraneous)/,
  );
  return decoder(bytes, where);
}
