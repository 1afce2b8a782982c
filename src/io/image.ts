import { ImageError } from "../errors.ts";
import { exifOrientation, type Orientation } from "./exif.ts";
import { kindOf } from "./kind_of.ts";
import { decodeJpeg, jpegHeader } from "./jpeg.ts";
import type { ImageHeader, Pixels } from "./pixels.ts";
import { decodePng, pngHeader } from "./png.ts";
import { decodeWebp, webpHeader } from "./webp.ts";

/** 8-bit RGB, 3 bytes per pixel, row by row. */
export interface RgbImage {
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** height · width · 3 bytes */
  data: Uint8Array;
}

/** Options of `decodeImage`. */
export interface DecodeOptions {
  /** Turn the image as its EXIF orientation says (default); false leaves the pixels as they are stored, as PIL does. */
  orient?: boolean;
  /** Refuse larger images before decoding them. Default 2²⁷ = 134 million: 1.5 GB while they are decoded. */
  maxPixels?: number;
  /** What to call the image in an error, e.g. its path. */
  where?: string;
}

interface Format {
  magic: RegExp;
  header(bytes: Uint8Array, where: string): ImageHeader;
  decode(bytes: Uint8Array, where: string): Pixels | Promise<Pixels>;
}

/** Matched against the file's first 16 bytes as Latin-1. */
const FORMATS: Format[] = [
  { magic: /^\xff\xd8\xff/, header: jpegHeader, decode: decodeJpeg },
  { magic: /^\x89PNG\r\n.\n/, header: pngHeader, decode: decodePng },
  { magic: /^RIFF....WEBP/s, header: webpHeader, decode: decodeWebp },
];

const OTHER_FORMATS: [magic: RegExp, name: string][] = [
  [/^GIF8/, "GIF"],
  [/^BM/, "BMP"],
  [/^(II\*\0|MM\0\*|II\+\0|MM\0\+)/, "TIFF"],
  [/^....ftypavi[fs]/s, "AVIF"],
  [/^....ftyp(hei|hev|mif1|msf1)/s, "HEIC"],
  [/^(\xff\n|....JXL )/s, "JPEG XL"],
  [/^(\xff\x4f\xff\x51|....jP {2})/s, "JPEG 2000"],
  [/^8BPS/, "Photoshop"],
  [/^%PDF/, "PDF"],
  [/^\s*(<svg|<\?xml)/, "SVG or XML"],
];

/**
 * JPEG, PNG or WebP bytes → the RGB that PIL's `Image.open(file).convert("RGB")` gives, bit for bit: alpha is dropped,
 * grey is repeated, colour profiles and gamma are ignored.
 *
 * NB EXIF orientation is applied, which PIL and upstream leave to the caller (`orient: false`). Of 16-bit samples the
 * high byte is taken; PIL does so for colour, but clips grey at 255, which leaves little of a picture.
 * @throws ImageError for anything that is no intact still image within `maxPixels`
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const { orient = true, maxPixels = 2 ** 27, where = "image" } = options ?? {};
  if (!(bytes instanceof Uint8Array)) {
    throw new ImageError(where, "bytes in a Uint8Array", kindOf(bytes), "wrap them: new Uint8Array(buffer)");
  }
  const format = formatOf(bytes, where);

  const { width, height, exif } = format.header(bytes, where);
  const size = `${width}×${height}`;
  if (width * height === 0) throw new ImageError(where, "at least one pixel", size, "the file is damaged");
  if (width * height > maxPixels) {
    throw new ImageError(where, `at most ${maxPixels} pixels`, size, "scale the image down, or raise maxPixels");
  }

  const pixels = await format.decode(bytes, where);
  if (pixels.width !== width || pixels.height !== height) {
    throw new ImageError(
      where,
      `${size} as the header says`,
      `${pixels.width}×${pixels.height}`,
      "the file is damaged",
    );
  }
  return pack(pixels, orient && exif ? exifOrientation(exif) : 1);
}

function formatOf(bytes: Uint8Array, where: string): Format {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  const format = FORMATS.find(({ magic }) => magic.test(start));
  if (format) return format;
  const other = OTHER_FORMATS.find(([magic]) => magic.test(start))?.[1];
  const got = bytes.length === 0 ? "no bytes" : other ? `a ${other} file` : "an unknown format";
  throw new ImageError(where, "a JPEG, PNG or WebP file", got, "convert it to PNG or JPEG");
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
  return pack({ width, height, channels, data }, 1);
}

/** Drops alpha, repeats grey, and turns the image upright. */
function pack({ width: W, height: H, channels, data }: Pixels, orientation: Orientation): RgbImage {
  if (channels === 3 && orientation === 1) {
    return { width: W, height: H, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  }
  const turned = orientation >= 5; // rows become columns
  const mirrorX = [2, 3, 7, 8].includes(orientation);
  const mirrorY = [3, 4, 6, 7].includes(orientation);
  const width = turned ? H : W;
  const rgb = new Uint8Array(W * H * 3);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  const stepX = (turned ? width : 1) * (mirrorX ? -3 : 3);
  for (let y = 0, from = 0; y < H; y++) {
    const u = mirrorX ? W - 1 : 0;
    const v = mirrorY ? H - 1 - y : y;
    let to = 3 * (turned ? u * width + v : v * width + u);
    for (let x = 0; x < W; x++, from += channels, to += stepX) {
      rgb[to] = data[from];
      rgb[to + 1] = data[from + green];
      rgb[to + 2] = data[from + blue];
    }
  }
  return { width, height: turned ? W : H, data: rgb };
}
