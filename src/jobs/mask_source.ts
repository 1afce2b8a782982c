import { PromptError } from "../errors.ts";
import { type CocoSegmentation, isCocoSegmentation, readCocoSegmentation } from "../io/formats/coco.ts";
import { type MaskFile, readMaskFile } from "../io/mask_file.ts";
import type { Kind } from "../io/options.ts";
import { parseJson, type ReadFile, shown } from "./entries.ts";

/** The mask of a prompt as people give it: the name of a picture or of a JSON file, or what stands in such a file. */
export type MaskField = string | CocoSegmentation;

/** What a field of a file of prompts may hold. */
export const MASK_FIELD: Kind = [
  "the name of a file, COCO run lengths or polygons",
  (value) => typeof value === "string" || isCocoSegmentation(value),
];

/** A picture that was read, or COCO's run lengths or polygons, which are drawn when the size of the image is known. */
export type MaskSource = MaskFile | { segmentation: CocoSegmentation; where: string };

type Size = Pick<MaskFile, "width" | "height">;

/**
 * A file whose name ends in .json holds run lengths or polygons, or an object with them as `segmentation` or `rle`.
 *
 * @param where what to call a mask that has no file
 * @throws PromptError
 */
export async function readMask(mask: MaskField, where: string, read: ReadFile): Promise<MaskSource> {
  if (typeof mask !== "string") return { segmentation: mask, where };
  if (!/\.json$/i.test(mask)) return readMaskFile(await read(mask, "a picture of a mask"), mask);
  const parsed = parseJson(await read(mask, "a JSON file of a mask"), mask);
  const { segmentation = undefined, rle = segmentation } = Object(parsed);
  const found = isCocoSegmentation(parsed) ? parsed : rle;
  if (isCocoSegmentation(found)) return { segmentation: found, where: mask };
  const todo = 'save {"size": [height, width], "counts": …} or [[x0, y0, x1, y1, x2, y2, …], …]';
  throw new PromptError(mask, "COCO run lengths or polygons", shown(parsed), todo);
}

/** The mask for an image of this size; run lengths keep their own. @throws PromptError if it is empty */
export function drawMask(source: MaskSource, image: Size): MaskFile {
  if (!("segmentation" in source)) return source;
  const { segmentation, where } = source;
  const [height, width] = "counts" in segmentation ? segmentation.size : [image.height, image.width];
  const labels = Uint16Array.from(readCocoSegmentation(segmentation, width, height, where));
  if (labels.includes(1)) return { width, height, kind: "mask", ids: [1], labels };
  throw new PromptError(where, "a mask with a pixel", "none", "an object needs pixels: pass its mask");
}
