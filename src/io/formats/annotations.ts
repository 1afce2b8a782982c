import { type Rle, rleArea } from "../rle.ts";

/** One object of a picture. */
export interface AnnotatedObject {
  /** the same in all pictures of a video; from 1 on */
  id: number;
  /** its class */
  label: string;
  rle: Rle;
  /** predicted IoU */
  score?: number;
  /** 0…1, of an automatic mask */
  stabilityScore?: number;
  /** clicks that it was found by: pixels, (x, y) */
  pointCoords?: readonly (readonly [x: number, y: number])[];
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
