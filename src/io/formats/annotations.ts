import { ImageError } from "../../errors.ts";
import { kindOf } from "../kind_of.ts";
import { expectKind, FINITE, type Kind, OPTIONAL, TEXT, whole } from "../options.ts";
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

const isNumbers = (value: unknown, length: number) =>
  Array.isArray(value) && value.length === length && value.every(Number.isFinite);

/** What may be left out of a picture, and of an object. */
const IMAGE_KINDS: Record<string, Kind> = { path: TEXT, frame: whole(0) };
const OBJECT_KINDS: Record<string, Kind> = {
  score: FINITE,
  stabilityScore: FINITE,
  pointCoords: ["a list of [x, y]", (value) => Array.isArray(value) && value.every((point) => isNumbers(point, 2))],
  cropBox: ["[x, y, w, h]", (value) => isNumbers(value, 4)],
};

/** @throws Sam2Error naming the first of them that is given and of another kind */
function expectKinds(given: object, kinds: Record<string, Kind>, where: string): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && name in kinds) expectKind(value, kinds[name], `${where}.${name}`, OPTIONAL);
  }
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
    expectKinds(image, IMAGE_KINDS, at);
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
      expectKinds(object, OBJECT_KINDS, `${at}.objects[${k}]`);
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
