import { drawLabels } from "../io/label_overlay.ts";
import { encodeMaskPng } from "../io/masks.ts";
import type { RgbImage } from "../io/pixels.ts";
import { encodeGrey16Png, encodePng } from "../io/png.ts";
import { labelMap } from "../io/label_map.ts";
import { decodeRle } from "../io/rle.ts";
import type { RecordResult } from "../jobs/image_result.ts";
import type { ResultFolder } from "./result_folder.ts";

/** The pictures of every run of `everything`. */
export const PICTURES = ["labels.png", "overlay.png"];
export const maskName = (k: number) => `mask_${k}.png`;

/** labels.png, overlay.png, and with `each` a mask_<k>.png of every record. */
export async function writePictures(
  folder: ResultFolder,
  image: RgbImage,
  records: readonly RecordResult[],
  each: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { width, height } = image;
  const masks = records.map(({ segmentation }) => segmentation);
  const labels = labelMap(masks, width, height);
  await folder.write("labels.png", encodeGrey16Png(labels, width, height));
  const canvas = { ...image, data: image.data.slice() };
  drawLabels(canvas, labels);
  await folder.write("overlay.png", encodePng({ ...canvas, channels: 3 }));
  for (const [k, mask] of each ? masks.entries() : []) {
    signal.throwIfAborted();
    await folder.write(maskName(k), encodeMaskPng(decodeRle(mask), width, height));
  }
}
