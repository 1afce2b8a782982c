import { maskToPartPolygons } from "../pixel_polygons.ts";
import { decodeRle } from "../rle.ts";
import { type AnnotatedImage, visible } from "./annotations.ts";

/** Of the format; LabelMe itself writes its own number and takes any. */
const VERSION = "5.5.0";

/**
 * `<stem>.json` of LabelMe, beside the picture, which it names and does not hold. Each part of an object is a polygon
 * through the pixels of its border, with holes by bridges; `group_id` joins the parts. LabelMe's own `shape_to_mask` gives
 * the parts back to the pixel.
 */
export function writeLabelme(image: AnnotatedImage): string {
  const { file, path = file, width, height } = image;
  const shapes = visible(image).flatMap(({ id, label, rle, score }) =>
    maskToPartPolygons(decodeRle(rle), width, height).map((polygon) => ({
      label,
      points: Array.from({ length: polygon.length / 2 }, (_, i) => [polygon[2 * i], polygon[2 * i + 1]]),
      group_id: id,
      description: score === undefined ? "" : `predicted IoU ${score.toFixed(3)}`,
      shape_type: "polygon",
      flags: {},
      mask: null,
    })),
  );
  const content = { version: VERSION, flags: {}, shapes, imagePath: path, imageData: null };
  return `${JSON.stringify({ ...content, imageHeight: height, imageWidth: width })}\n`;
}
