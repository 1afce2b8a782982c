import { connectedComponents } from "./postprocess.ts";

/**
 * A mask with holes and islands of fewer than `minArea` pixels removed, at the size of the image; the mask itself if it has
 * none. Of a mask of small islands alone the largest stays.
 *
 * @source sam2/utils/amg.py, remove_small_regions
 */
export function removeSmallRegions(mask: Uint8Array, width: number, height: number, minArea: number): Uint8Array {
  const filled = withoutSmall(mask, width, height, minArea, 0);
  return withoutSmall(filled, width, height, minArea, 1);
}

/** Regions of pixels that are `value` (0: holes, 1: islands) and too small become the opposite. */
function withoutSmall(mask: Uint8Array, width: number, height: number, minArea: number, value: 0 | 1): Uint8Array {
  const { labels, areas } = connectedComponents(value ? mask : mask.map((pixel) => 1 - pixel), width, height);
  const isSmall = Array.from(areas, (area, label) => label > 0 && area < minArea);
  if (!isSmall.includes(true)) return mask;
  if (value && isSmall.lastIndexOf(false) === 0) isSmall[areas.indexOf(Math.max(...areas))] = false;
  return mask.map((pixel, i) => (isSmall[labels[i]] ? 1 - pixel : pixel));
}
