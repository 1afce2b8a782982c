/** Where the automatic masks of an image are looked for: crops, and points in them. */

/** Corners in pixels: left and top included, right and bottom not. */
export type CropBox = readonly [x0: number, y0: number, x1: number, y1: number];

export interface Crop {
  box: CropBox;
  /** 0 for the whole image; the crops of layer i are a 2^i-th of a side, and overlap */
  layer: number;
}

/** A side of a box is at a border within this many pixels. */
const AT_BORDER = 20;

/**
 * The whole image, then the crops of each layer, column by column. Of an image so small that crops of it are empty, those
 * are left out.
 *
 * @source sam2/utils/amg.py, generate_crop_boxes
 */
export function cropBoxes(width: number, height: number, layers: number, overlapRatio: number): Crop[] {
  const crops: Crop[] = [{ box: [0, 0, width, height], layer: 0 }];
  for (let layer = 1; layer <= layers; layer++) {
    const n = 2 ** layer;
    const overlap = Math.trunc(overlapRatio * Math.min(height, width) * (2 / n));
    const cropLength = (length: number) => Math.ceil((overlap * (n - 1) + length) / n);
    const [cropWidth, cropHeight] = [cropLength(width), cropLength(height)];
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const [x0, y0] = [(cropWidth - overlap) * i, (cropHeight - overlap) * j];
        const box: CropBox = [x0, y0, Math.min(x0 + cropWidth, width), Math.min(y0 + cropHeight, height)];
        if (box[2] > x0 && box[3] > y0) crops.push({ box, layer });
      }
    }
  }
  return crops;
}

/** n × n points in 0…1, evenly spaced, row by row. @source sam2/utils/amg.py, build_point_grid */
export function pointGrid(n: number): [x: number, y: number][] {
  const first = 1 / (2 * n);
  const step = (1 - first - first) / (n - 1);
  const place = (i: number) => (i > 0 && i === n - 1 ? 1 - first : (i === 0 ? 0 : i * step) + first); // as numpy.linspace
  return Array.from({ length: n * n }, (_, i) => [place(i % n), place(Math.floor(i / n))]);
}

/**
 * Does a side of the box lie at a border of the crop that is none of the image? Such an object goes on outside.
 *
 * @source sam2/utils/amg.py, is_box_near_crop_edge
 */
export function isAtCropEdge(box: CropBox, crop: CropBox, width: number, height: number): boolean {
  const image = [0, 0, width, height];
  return box.some((side, i) => Math.abs(side - crop[i]) <= AT_BORDER && Math.abs(side - image[i]) > AT_BORDER);
}
