import { type Rle, rleArea, rleBbox } from "../rle.ts";
import { type AnnotatedImage, visible } from "./annotations.ts";

/** One mask, as SA-1B's files and upstream's SAM2AutomaticMaskGenerator (`output_mode="coco_rle"`) have it. */
export interface Sa1bAnnotation {
  id: number;
  segmentation: Rle;
  /** pixels; right and bottom are those of the last pixel, so a mask of one pixel has width and height 0 */
  bbox: [x: number, y: number, w: number, h: number];
  /** pixels */
  area: number;
  predicted_iou?: number;
  stability_score?: number;
  /** pixels, (x, y) */
  point_coords?: readonly (readonly number[])[];
  /** pixels: [left, top, width, height] */
  crop_box?: readonly [x: number, y: number, w: number, h: number];
}

/** `<stem>.sa1b.json`, exact. What is not known of a mask that was not found automatically is left out. */
export function writeSa1b(image: AnnotatedImage): string {
  const { file, width, height, frame } = image;
  const annotations = visible(image).map(({ id, rle, score, stabilityScore, pointCoords, cropBox }): Sa1bAnnotation => {
    const [x, y, w, h] = rleBbox(rle);
    return {
      id,
      segmentation: rle,
      bbox: [x, y, w - 1, h - 1],
      area: rleArea(rle),
      predicted_iou: score,
      stability_score: stabilityScore,
      point_coords: pointCoords,
      crop_box: cropBox,
    };
  });
  return `${JSON.stringify({ image: { image_id: frame ?? 0, width, height, file_name: file }, annotations })}\n`;
}
