/** 8-connected components, numbered from 1 in the order of their first pixel; 0 is the background. */
export interface Components {
  /** @shape [h, w] */
  labels: Int32Array;
  /** Pixels of each component; areas[0] is 0. */
  areas: Int32Array;
}

/**
 * One scan with union-find over provisional labels, one to resolve them. A pixel looks at the four neighbours scanned
 * before it; only north-east may join two components, since the others touch each other or north.
 */
export function connectedComponents(mask: Uint8Array, width: number, height: number): Components {
  const labels = new Int32Array(width * height);
  const parent = [0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (mask[i] === 0) continue;
      const west = x > 0 ? labels[i - 1] : 0;
      const northWest = x > 0 && y > 0 ? labels[i - width - 1] : 0;
      const north = y > 0 ? labels[i - width] : 0;
      const northEast = x + 1 < width && y > 0 ? labels[i - width + 1] : 0;
      const label = north || northWest || west || northEast || parent.push(parent.length) - 1;
      labels[i] = label;
      if (!north && northEast && northEast !== label) unite(parent, label, northEast);
    }
  }

  const final = new Int32Array(parent.length);
  let count = 0;
  for (let p = 1; p < parent.length; p++) final[p] = parent[p] === p ? ++count : final[parent[p]];
  const areas = new Int32Array(count + 1);
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === 0) continue;
    labels[i] = final[labels[i]];
    areas[labels[i]]++;
  }
  return { labels, areas };
}

/** Parents never exceed their children, so that a root is its set's smallest label. */
function unite(parent: number[], a: number, b: number): void {
  const rootA = find(parent, a);
  const rootB = find(parent, b);
  parent[Math.max(rootA, rootB)] = Math.min(rootA, rootB);
}

function find(parent: number[], label: number): number {
  while (parent[label] !== label) label = parent[label] = parent[parent[label]];
  return label;
}

function pixelsWhere(logits: Float32Array, isSet: (logit: number) => boolean): Uint8Array {
  const mask = new Uint8Array(logits.length);
  for (let i = 0; i < mask.length; i++) mask[i] = isSet(logits[i]) ? 1 : 0;
  return mask;
}

/** Sets `target` to `value` in every component of `mask` of at most `maxArea` pixels. */
function paintSmall(
  target: Float32Array,
  mask: Uint8Array,
  width: number,
  height: number,
  maxArea: number,
  value: number,
): void {
  const { labels, areas } = connectedComponents(mask, width, height);
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] > 0 && areas[labels[i]] <= maxArea) target[i] = value;
  }
}

export interface CleaningOptions {
  /** @units logits */
  maskThreshold: number;
  /** Holes of at most so many pixels are filled; 0 leaves them. */
  maxHoleArea: number;
  /** Islands of at most so many pixels are removed; 0 leaves them. */
  maxSprinkleArea: number;
}

/**
 * Low-resolution logits with small holes raised to threshold + 10 and small islands lowered to threshold − 10.
 *
 * Both are looked for in the logits as they come, not one after the other: an island with a hole in it keeps, as upstream,
 * the filled hole. NB Upstream skips all of this without CUDA.
 * @shape  [h, w] → [h, w]
 * @source sam2/utils/transforms.py, SAM2Transforms.postprocess_masks
 */
export function cleanMask(logits: Float32Array, width: number, height: number, options: CleaningOptions): Float32Array {
  const { maskThreshold, maxHoleArea, maxSprinkleArea } = options;
  const threshold = Math.fround(maskThreshold);
  const cleaned = logits.slice();
  if (maxHoleArea > 0) {
    const background = pixelsWhere(logits, (logit) => logit <= threshold);
    paintSmall(cleaned, background, width, height, maxHoleArea, maskThreshold + 10);
  }
  if (maxSprinkleArea > 0) {
    const foreground = pixelsWhere(logits, (logit) => logit > threshold);
    paintSmall(cleaned, foreground, width, height, maxSprinkleArea, maskThreshold - 10);
  }
  return cleaned;
}

/**
 * Logits with holes of at most `maxArea` pixels raised to 0.1, as the video predictor does with `fill_hole_area`.
 *
 * @shape  [h, w] → [h, w]
 * @source sam2/utils/misc.py, fill_holes_in_mask_scores
 */
export function fillHoles(logits: Float32Array, width: number, height: number, maxArea: number): Float32Array {
  const filled = logits.slice();
  const background = pixelsWhere(logits, (logit) => logit <= 0);
  paintSmall(filled, background, width, height, maxArea, 0.1);
  return filled;
}
