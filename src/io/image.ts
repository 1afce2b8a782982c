import { ImageError } from "../errors.ts";
import type { Notice } from "../platform/notices.ts";
import { avifHeader, decodeAvif } from "./avif.ts";
import { bmpHeader, decodeBmp } from "./bmp.ts";
import { exifOrientation } from "./exif.ts";
import { decodeGif, gifHeader } from "./gif.ts";
import { kindOf } from "./kind_of.ts";
import { atLeast, CALLBACK, expectOptions, FLAG, type Kinds, TEXT } from "./options.ts";
import { decodeJpeg, jpegHeader } from "./jpeg.ts";
import { type ImageHeader, type Raster, type RgbImage, sayOnce } from "./pixels.ts";
import { decodePng, pngHeader } from "./png.ts";
import { packRgb, rasterToRgb, upright } from "./raster.ts";
import { decodeTiff, tiffHeader } from "./tiff.ts";
import { decodeWebp, webpHeader } from "./webp.ts";

export type { RgbImage };

/** Options of `decodeImage`. */
export interface DecodeOptions {
  /** Turn the image as its EXIF orientation says (default); false leaves the pixels as they are stored, as PIL does. */
  orient?: boolean;
  /** Refuse larger images before decoding them. Default 2²⁷ = 134 million: 1.5 GB while they are decoded. */
  maxPixels?: number;
  /** What to call the image in an error, e.g. its path. */
  where?: string;
  /** Told what was guessed, e.g. of 16-bit samples that use 12 bits. By default the console is, once for each kind. */
  onNotice?: (text: string) => void;
}

const DECODE_KINDS: Kinds<DecodeOptions> = { orient: FLAG, maxPixels: atLeast(1), where: TEXT, onNotice: CALLBACK };

interface Format {
  name: string;
  magic: RegExp;
  header(bytes: Uint8Array, where: string): ImageHeader | Promise<ImageHeader>;
  decode(bytes: Uint8Array, where: string, notice: Notice): Raster | Promise<Raster>;
}

/** Matched against the file's first 40 bytes as Latin-1: what AVIF is may be said after what it resembles. */
const FORMATS: Format[] = [
  { name: "JPEG", magic: /^\xff\xd8\xff/, header: jpegHeader, decode: decodeJpeg },
  { name: "PNG", magic: /^\x89PNG\r\n.\n/, header: pngHeader, decode: decodePng },
  { name: "WebP", magic: /^RIFF....WEBP/s, header: webpHeader, decode: decodeWebp },
  { name: "GIF", magic: /^GIF8[79]a/, header: gifHeader, decode: decodeGif },
  { name: "BMP", magic: /^BM/, header: bmpHeader, decode: decodeBmp },
  { name: "TIFF", magic: /^(II\*\0|MM\0\*|II\+\0|MM\0\+)/, header: tiffHeader, decode: decodeTiff },
  { name: "AVIF", magic: /^....ftyp(.{4})*?avi[fs]/s, header: avifHeader, decode: decodeAvif },
];

const OTHER_FORMATS: [magic: RegExp, name: string][] = [
  [/^....ftyp(hei|hev|mif1|msf1)/s, "HEIC"],
  [/^(\xff\n|....JXL )/s, "JPEG XL"],
  [/^(\xff\x4f\xff\x51|....jP {2})/s, "JPEG 2000"],
  [/^8BPS/, "Photoshop"],
  [/^%PDF/, "PDF"],
  [/^\s*(<svg|<\?xml)/, "SVG or XML"],
];

/**
 * JPEG, PNG, WebP, GIF (the first frame), BMP, TIFF or AVIF bytes → the RGB that PIL's `Image.open(file).convert("RGB")` gives, bit for bit: alpha is dropped,
 * grey is repeated, colour profiles and gamma are ignored.
 *
 * NB EXIF orientation is applied, which PIL and upstream leave to the caller (`orient: false`). Of 16-bit samples the
 * high byte is taken; PIL does so for colour, but clips grey at 255, which leaves little of a picture. Where all samples
 * of an image fit 14, 12, 10 or 8 of the 16 bits, they are taken for samples of as many bits, and `onNotice` is told.
 *
 * TIFF needs Node and the package geotiff, AVIF a browser, or Node and the package @jsquash/avif; neither package is
 * installed with this one. Of AVIF, a browser gives no colours where alpha is 0.
 * @throws ImageError for anything that is no intact image within `maxPixels`
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  expectOptions(options, DECODE_KINDS, "decodeImage");
  return rasterToRgb(await decodeRaster(bytes, options), options.onNotice ?? sayOnce);
}

/** `decodeImage` before the samples become 8-bit RGB, and the name of the file's format. */
export async function decodeRaster(bytes: Uint8Array, options: DecodeOptions): Promise<Raster & { format: string }> {
  const { orient = true, where = "image", onNotice = sayOnce } = options;
  const { format, width, height, exif } = await readHeader(bytes, options);
  const raster = await format.decode(bytes, where, onNotice);
  if (raster.width !== width || raster.height !== height) {
    const got = `${raster.width}×${raster.height}`;
    throw new ImageError(where, `${width}×${height} as the header says`, got, "the file is damaged");
  }
  return { ...upright(raster, orient && exif ? exifOrientation(exif) : 1), format: format.name };
}

/**
 * The size that `decodeImage` gives, read from the file's header: nothing is decoded.
 *
 * @throws ImageError for anything that does not begin as an image within `maxPixels`
 */
export async function imageSize(
  bytes: Uint8Array,
  options: DecodeOptions = {},
): Promise<Pick<RgbImage, "width" | "height">> {
  const { width, height, exif } = await readHeader(bytes, options);
  const isTurned = options.orient !== false && exif !== undefined && exifOrientation(exif) >= FIRST_ON_ITS_SIDE;
  return isTurned ? { width: height, height: width } : { width, height };
}

/** EXIF orientations from here on swap width and height. */
const FIRST_ON_ITS_SIDE = 5;

async function readHeader(bytes: Uint8Array, options: DecodeOptions): Promise<ImageHeader & { format: Format }> {
  const { maxPixels = 2 ** 27, where = "image" } = options;
  if (!(bytes instanceof Uint8Array)) {
    throw new ImageError(where, "bytes in a Uint8Array", kindOf(bytes), "wrap them: new Uint8Array(buffer)");
  }
  const format = formatOf(bytes, where);
  const { width, height, exif } = await format.header(bytes, where);
  const size = `${width}×${height}`;
  if (width * height === 0) throw new ImageError(where, "at least one pixel", size, "the file is damaged");
  if (width * height > maxPixels) {
    throw new ImageError(where, `at most ${maxPixels} pixels`, size, "scale the image down, or raise maxPixels");
  }
  return { format, width, height, exif };
}

const HEIC_TODO =
  "convert it to JPEG: `heif-convert photo.heic photo.jpg`, on a Mac `sips -s format jpeg photo.heic --out photo.jpg`, " +
  "on an iPhone Settings > Camera > Formats > Most Compatible; in Safari pass an <img> of it";

function formatOf(bytes: Uint8Array, where: string): Format {
  const start = String.fromCharCode(...bytes.subarray(0, 40));
  const format = FORMATS.find(({ magic }) => magic.test(start));
  if (format) return format;
  const other = OTHER_FORMATS.find(([magic]) => magic.test(start))?.[1];
  const got = bytes.length === 0 ? "no bytes" : other ? `a ${other} file` : "an unknown format";
  const todo = other === "HEIC" ? HEIC_TODO : "convert it to PNG or JPEG";
  throw new ImageError(where, "a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file", got, todo);
}

/**
 * Pixels of the caller's (grey, grey + alpha, RGB or RGBA, as the length of `data` tells) as an RgbImage. Alpha is dropped;
 * RGB is not copied.
 * @throws ImageError
 */
export function toRgb(image: { width: number; height: number; data: Uint8Array | Uint8ClampedArray }): RgbImage {
  const { width, height, data } = image ?? {};
  const size = `${width}×${height}`;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new ImageError("pixels", "a positive whole width and height", size, "pass the image's size");
  }
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new ImageError("pixels", "bytes (0…255)", `${Object.prototype.toString.call(data)}`, "convert to Uint8Array");
  }
  const channels = data.length / (width * height);
  if (channels !== 1 && channels !== 2 && channels !== 3 && channels !== 4) {
    const expected = `1 to 4 bytes for each of ${size} pixels`;
    throw new ImageError("pixels", expected, `${data.length} bytes`, "check the size and the number of channels");
  }
  return packRgb({ width, height, channels, data });
}
