import { maskToOnePolygon } from "../pixel_polygons.ts";
import { decodeRle } from "../rle.ts";
import { type AnnotatedImage, visible } from "./annotations.ts";

/**
 * How far into its pixel a point is set: what cuts decimals off (Ultralytics) and what rounds them (supervision) arrive at
 * the same pixel.
 */
const INTO_PIXEL = 0.25;

/**
 * `<stem>.txt` of YOLO's segmentation: a line an object, its class and the polygon through the pixels of its border, as
 * shares of width and height. Holes and parts are joined by bridges. Ultralytics' `polygon2mask` gives the mask back to the
 * pixel, but for bridges between parts that do not touch, which it draws. Ids are lost.
 *
 * @param classes names, in the order of `classes.txt`
 */
export function writeYolo(image: AnnotatedImage, classes: readonly string[]): string {
  const { width, height } = image;
  return visible(image)
    .map(({ label, rle }) => {
      const polygon = maskToOnePolygon(decodeRle(rle), width, height);
      const shares = polygon.map((value, i) => share(value, i % 2 ? height : width));
      return `${classes.indexOf(label)} ${shares.join(" ")}\n`;
    })
    .join("");
}

/** `classes.txt`: a name a line. */
export function writeYoloClasses(classes: readonly string[]): string {
  return classes.map((name) => `${name.replaceAll(/\s+/g, " ")}\n`).join("");
}

function share(index: number, size: number): string {
  return String(Number(((index + INTO_PIXEL) / size).toFixed(7)));
}
