// Four planes as RGB: libjpeg-turbo's steps to CMYK, then Pillow's to RGB.
import { largest, planeSize } from "./jpeg_planes.ts";
import type { Frame } from "./jpeg_segments.ts";
import type { Raster } from "./pixels.ts";

/**
 * A component at the size of the image: halves by triangles, other shares by repetition.
 *
 * @source libjpeg-turbo, src/jdsample.c: h2v1, h1v2 and h2v2_fancy_upsample, int_upsample
 */
export function upsample(plane: Uint8Array, frame: Frame, c: number): Uint8Array {
  const { width, height } = planeSize(frame, c);
  if (width === frame.width && height === frame.height) return plane;
  const [maxH, maxV] = largest(frame.components);
  const [stepX, stepY] = [maxH / frame.components[c].h, maxV / frame.components[c].v];
  const isFancy = stepX <= 2 && stepY <= 2 && (stepX === 1 || width > 2);
  const out = new Uint8Array(frame.width * frame.height);
  for (let y = 0, to = 0; y < frame.height; y++) {
    const near = Math.floor(y / stepY);
    const far = Math.max(0, Math.min(height - 1, near + (y % 2 ? 1 : -1)));
    const sum = (x: number) =>
      stepY === 2 ? 3 * plane[near * width + x] + plane[far * width + x] : plane[near * width + x];
    const [scale, first, second] = stepY === 2 ? [16, 8, 7] : [4, 1, 2]; // of the sums, and what rounds them
    for (let x = 0; x < frame.width; x++) {
      const at = Math.floor(x / stepX);
      if (!isFancy) out[to++] = plane[near * width + at];
      else if (stepX === 1) out[to++] = (sum(at) + (y % 2 ? 2 : 1)) >> 2;
      else {
        const beside = at + (x % 2 ? 1 : -1);
        const edge = beside < 0 || beside >= width;
        const weighted = edge ? 4 * sum(at) : 3 * sum(at) + sum(beside);
        out[to++] = Math.floor((weighted + (x % 2 ? second : first)) / scale);
      }
    }
  }
  return out;
}

/**
 * YCCK becomes CMYK, which stands inverted in JPEG files, as Adobe's programs and all others write it.
 *
 * @source libjpeg-turbo, src/jdcolor.c, ycck_cmyk_convert; Pillow, JpegImagePlugin.py, CMYK;I
 */
export function cmykToRgb(planes: readonly ArrayLike<number>[], { width, height, adobe }: Frame): Raster {
  const [first, second, third, black] = planes;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, to = 0; i < width * height; i++, to += 3) {
    let [cyan, magenta, yellow] = [first[i], second[i], third[i]];
    if (adobe === 2) {
      const [luma, cb, cr] = [cyan, magenta - 128, yellow - 128];
      cyan = clamp(255 - (luma + ((91881 * cr + 32768) >> 16)));
      magenta = clamp(255 - (luma + ((-22554 * cb - 46802 * cr + 32768) >> 16)));
      yellow = clamp(255 - (luma + ((116130 * cb + 32768) >> 16)));
    }
    data.set(inkToRgb(255 - cyan, 255 - magenta, 255 - yellow, 255 - black[i]), to);
  }
  return { width, height, channels: 3, data, maxval: 255 };
}

/** Of inks from 0 to 255: red = (255 − C) · (255 − K) / 255. @source Pillow, src/libImaging/Convert.c, cmyk2rgb */
export function inkToRgb(cyan: number, magenta: number, yellow: number, black: number): [number, number, number] {
  const white = 255 - black;
  return [white - share(cyan, white), white - share(magenta, white), white - share(yellow, white)];
}

/** a · b / 255, rounded. */
function share(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

function clamp(value: number): number {
  return Math.max(0, Math.min(255, value));
}
