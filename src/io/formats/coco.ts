import { ImageError } from "../../errors.ts";
import { kindOf } from "../kind_of.ts";
import { type Kinds, oneOf } from "../options.ts";
import { expectSize } from "../pixels.ts";
import { isHole, maskToPolygons } from "../polygons.ts";
import { polygonsToMask } from "../polygon_mask.ts";
import { decodeRle, type Rle, rleArea, rleBbox, type UncompressedRle } from "../rle.ts";
import { type AnnotatedImage, type AnnotatedObject, labelsOf, visible } from "./annotations.ts";

/** What COCO knows as a segmentation: run lengths, compressed or not, or polygons [x0, y0, x1, y1, …] in pixels. */
export type CocoSegmentation = Rle | UncompressedRle | readonly (readonly number[])[];

/** How masks are written: polygons where nothing is lost, or run lengths, which are shorter. */
export interface CocoOptions {
  /** Default: polygons along the pixels' edges for masks without holes, run lengths for those with. */
  segmentation?: "polygons" | "rle";
}

export const COCO_KINDS: Kinds<CocoOptions> = { segmentation: oneOf(["polygons", "rle"]) };

/**
 * `annotations.coco.json`: all pictures in one file; of a video, a picture a frame and the object's id as track_id. Ids
 * count from 1, since 0 is no annotation to pycocotools.
 *
 * NB `iscrowd` is 0 for run lengths too. It says whether an annotation is one object, not how its mask is written: COCOeval
 * and detectron2 leave crowds out. pycocotools, FiftyOne, CVAT and detectron2 (MASK_FORMAT bitmask) tell the two by type.
 */
export function writeCoco(images: readonly AnnotatedImage[], { segmentation = "polygons" }: CocoOptions = {}): string {
  const labels = labelsOf(images);
  const lines = (items: readonly unknown[]) => items.map((item) => `\n${JSON.stringify(item)}`).join(",");
  const entries = images.map(({ file, width, height, frame }, i) => {
    return { id: i + 1, file_name: file, width, height, ...(frame !== undefined && { frame_index: frame }) };
  });
  const annotations = images.flatMap((image, i) =>
    visible(image).map((object) => annotationOf(object, image, i + 1, labels, segmentation)),
  );
  const numbered = annotations.map((annotation, i) => ({ id: i + 1, ...annotation }));
  const categories = labels.map((name, i) => ({ id: i + 1, name, supercategory: "" }));
  const info = JSON.stringify({ description: "written by sam2-ts" });
  return `{"info":${info},"licenses":[],"images":[${lines(entries)}],"annotations":[${lines(numbered)}],"categories":[${lines(categories)}]}\n`;
}

function annotationOf(
  { id, label, rle, score }: AnnotatedObject,
  { frame }: AnnotatedImage,
  imageId: number,
  labels: readonly string[],
  segmentation: "polygons" | "rle",
) {
  const isTracked = frame !== undefined;
  return {
    image_id: imageId,
    category_id: labels.indexOf(label) + 1,
    segmentation: (segmentation === "polygons" && exactPolygons(rle)) || rle,
    area: rleArea(rle),
    bbox: rleBbox(rle),
    iscrowd: 0,
    ...(score !== undefined && { score }),
    ...(isTracked && { track_id: id, attributes: { track_id: id } }), // as TAO has it, and as CVAT
  };
}

/** Along the pixels' edges; undefined for a mask with holes, which COCO's polygons cannot have. */
function exactPolygons(rle: Rle): number[][] | undefined {
  const [height, width] = rle.size;
  const rings = maskToPolygons(decodeRle(rle), width, height);
  return rings.some(isHole) ? undefined : rings;
}

/**
 * The mask of a segmentation, 1 inside, as pycocotools' `annToMask` gives it.
 *
 * @param width of the picture, which polygons do not tell
 * @throws ImageError if it is no segmentation, or one of another size
 */
export function readCocoSegmentation(
  segmentation: unknown,
  width: number,
  height: number,
  where = "segmentation",
): Uint8Array {
  if (!isCocoSegmentation(segmentation)) {
    const todo = 'give {"size": [height, width], "counts": …} or [[x0, y0, x1, y1, x2, y2, …], …]';
    throw new ImageError(where, "COCO run lengths or polygons", kindOf(segmentation), todo);
  }
  expectSize(width, height, where);
  if (!("counts" in segmentation)) return polygonsToMask(segmentation, width, height, where);
  const [h, w] = segmentation.size;
  if (h !== height || w !== width) {
    const todo = "size is [height, width]: give run lengths of this picture";
    throw new ImageError(where, `run lengths of ${width}×${height} pixels`, `${w}×${h}`, todo);
  }
  return decodeRle(segmentation);
}

/** Has it the form of one? Whether runs fill their size, and polygons have enough points, is seen when they are read. */
export function isCocoSegmentation(value: unknown): value is CocoSegmentation {
  if (Array.isArray(value)) return value.length > 0 && isList(value, (ring) => isList(ring, Number.isFinite));
  if (typeof value !== "object" || value === null || !("size" in value) || !("counts" in value)) return false;
  const { size, counts } = value;
  return isList(size, isCount) && size.length === 2 && (typeof counts === "string" || isList(counts, isCount));
}

function isList(value: unknown, fits: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && Array.from(value).every(fits); // holes too
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
