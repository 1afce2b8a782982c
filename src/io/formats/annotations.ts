import { ImageError } from "../../errors.ts";
import { kindOf } from "../kind_of.ts";
import { expectSize } from "../pixels.ts";
import { type Rle, rleArea, rleRuns } from "../rle.ts";

/** One object of a picture. */
export interface AnnotatedObject {
  /** the same in all pictures of a video; from 1 on */
  id: number;
  /** its class */
  label: string;
  /** its mask, of the picture's size */
  rle: Rle;
  /** predicted IoU */
  score?: number;
  /** 0…1, of an automatic mask */
  stabilityScore?: number;
  /** clicks that it was found by: pixels, (x, y) */
  pointCoords?: readonly (readonly number[])[];
  /** part of the picture that it was found in: pixels, [left, top, width, height] */
  cropBox?: readonly [x: number, y: number, w: number, h: number];
}

/** A picture, or a frame of a video, and its objects. Empty masks are no objects: no format has them. */
export interface AnnotatedImage {
  /** name of its file */
  file: string;
  /** where it lies, as seen from the annotations' folder; default: in it */
  path?: string;
  /** pixels */
  width: number;
  /** pixels */
  height: number;
  /** of a video: number of the frame, from 0 on */
  frame?: number;
  /** what is in it */
  objects: readonly AnnotatedObject[];
}

/** Those that have a pixel. */
export function visible({ objects }: AnnotatedImage): AnnotatedObject[] {
  return objects.filter(({ rle }) => rleArea(rle) > 0);
}

/** In the order in which they first come. */
export function labelsOf(images: readonly AnnotatedImage[]): string[] {
  return [...new Set(images.flatMap(({ objects }) => objects.map(({ label }) => label)))];
}

/** @throws ImageError naming the first entry that is no picture with its objects */
export function expectImages(images: unknown, where: string): asserts images is readonly AnnotatedImage[] {
  if (!Array.isArray(images)) throw new ImageError(where, "a list of pictures", kindOf(images), "pass [{ file, … }]");
  for (const [i, image] of images.entries()) {
    const at = `${where} images[${i}]`;
    const { file, width, height, objects } = (image ?? {}) as Partial<AnnotatedImage>;
    if (typeof file !== "string" || !Array.isArray(objects)) {
      throw new ImageError(at, "{ file, width, height, objects }", kindOf(image), "pass all of them");
    }
    expectSize(width, height, at);
    for (const [k, object] of objects.entries()) {
      const { id, label, rle } = (object ?? {}) as Partial<AnnotatedObject>;
      if (!Number.isSafeInteger(id) || typeof label !== "string") {
        throw new ImageError(
          `${at}.objects[${k}]`,
          "{ id, label, rle }",
          kindOf(object),
          "pass a number, a text, a mask",
        );
      }
      rleRuns(rle!);
      const [h, w] = rle!.size;
      if (h === height && w === width) continue;
      const got = `${w}×${h}`;
      throw new ImageError(
        `${at}.objects[${k}]`,
        `a mask of ${width}×${height} pixels`,
        got,
        "pass one of the picture",
      );
    }
  }
}
