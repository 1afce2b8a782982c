import { ImageError } from "../errors.ts";
import type { Notice } from "../platform/notices.ts";
import { platform } from "../platform/platform.ts";
import { inkToRgb } from "./jpeg_cmyk.ts";
import type { ImageHeader, Raster } from "./pixels.ts";

/** What is used of geotiff, which reads strips, tiles and all usual compressions. */
interface Geotiff {
  fromArrayBuffer(buffer: ArrayBuffer): Promise<{ getImage(): Promise<TiffImage>; getImageCount(): Promise<number> }>;
}
interface TiffImage {
  getWidth(): number;
  getHeight(): number;
  getSamplesPerPixel(): number;
  getBitsPerSample(sample: number): number;
  readRasters(options: { interleave: true }): Promise<ArrayLike<number>>;
  readRGB(options: { interleave: true }): Promise<ArrayLike<number>>;
  fileDirectory: { loadValue(tag: string): Promise<unknown> };
}

const [WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, , CMYK, YCBCR] = [0, 1, 2, 3, 4, 5, 6];

async function open(bytes: Uint8Array, where: string) {
  const geotiff = (await platform.optional("geotiff")) as Geotiff | undefined;
  if (!geotiff) {
    const todo = "in Node run: npm install geotiff; in a page pass its pixels, { data, width, height }, or a PNG of it";
    throw new ImageError(where, "a TIFF file and a package that reads it", "the file alone", todo);
  }
  try {
    const tiff = await geotiff.fromArrayBuffer(bytes.slice().buffer);
    return { image: await tiff.getImage(), count: await tiff.getImageCount() };
  } catch (cause) {
    throw damaged(where, cause);
  }
}

/** @throws ImageError also where geotiff is not installed */
export async function tiffHeader(bytes: Uint8Array, where: string): Promise<ImageHeader> {
  const { image } = await open(bytes, where);
  return { width: image.getWidth(), height: image.getHeight(), exif: bytes }; // EXIF has the form of a TIFF file
}

/** The first page of a TIFF file: grey, indices or colours of up to 16 bits. */
export async function decodeTiff(bytes: Uint8Array, where: string, notice: Notice): Promise<Raster> {
  const { image, count } = await open(bytes, where);
  if (count > 1) notice("of a TIFF file of several pages the first is taken");
  const bits = image.getBitsPerSample(0);
  try {
    const photometric = await image.fileDirectory.loadValue("PhotometricInterpretation");
    const isYcc = photometric === YCBCR;
    const samples = isYcc ? await image.readRGB({ interleave: true }) : await image.readRasters({ interleave: true });
    const shape = { width: image.getWidth(), height: image.getHeight() };
    const count = isYcc ? 3 : image.getSamplesPerPixel();
    const isFloat = samples instanceof Float32Array || samples instanceof Float64Array;
    if (
      isFloat ||
      bits > 16 ||
      !(count >= 1 && count <= 4) ||
      ![WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR].includes(photometric as number)
    ) {
      const got = `${count} of ${bits} bits${isFloat ? ", floats" : ""}, kind ${photometric}`;
      throw new ImageError(where, "a TIFF file of 1 to 4 whole samples of up to 16 bits", got, "convert it to PNG");
    }
    const maxval = 2 ** bits - 1;
    const data = bits > 8 ? Uint16Array.from(samples) : Uint8Array.from(samples);
    const raster: Raster = { ...shape, channels: count as Raster["channels"], data, maxval: bits > 8 ? 65535 : maxval };
    if (photometric === WHITE_IS_ZERO) for (let i = 0; i < data.length; i++) data[i] = maxval - data[i];
    if (photometric === CMYK) return rgbOfInks(raster);
    if (photometric !== PALETTE) return raster;
    const map = (await image.fileDirectory.loadValue("ColorMap")) as ArrayLike<number>;
    const palette = new Uint8Array(768);
    const colours = map.length / 3;
    for (let i = 0; i < 3 * colours; i++) palette[i] = map[(i % 3) * colours + Math.floor(i / 3)] >> 8;
    return { ...raster, palette };
  } catch (cause) {
    throw cause instanceof ImageError ? cause : damaged(where, cause);
  }
}

function rgbOfInks({ width, height, data, maxval }: Raster): Raster {
  const rgb = new Uint8Array(width * height * 3);
  const shift = maxval > 255 ? 8 : 0;
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const [c, m, y, k] = [0, 1, 2, 3].map((i) => data[from + i] >> shift);
    rgb.set(inkToRgb(c, m, y, k), to);
  }
  return { width, height, channels: 3, data: rgb, maxval: 255 };
}

function damaged(where: string, cause: unknown): ImageError {
  const got = `"${(cause as Error).message}"`;
  return new ImageError(
    where,
    "a TIFF file that geotiff reads",
    got,
    "it is damaged or of a rare kind: convert it to PNG",
    { cause },
  );
}
