const { fround } = Math;

const CLOSE = 1 - 1e-6; // f32 rounds an IoU by less

/**
 * Non-maximum suppression: of boxes that overlap by more than the threshold the one of highest score is kept, of equals the
 * first. As torchvision computes it: in f32, areas without + 1, and two boxes without area never overlap.
 *
 * The boxes lie sorted by area, since two have no IoU above the share that the smaller area is of the larger: a box is
 * compared with those of about its size, with none where nothing can exceed the threshold.
 *
 * @shape  boxes [N, 4]; scores [N] → indices of the boxes kept, best score first
 * @units  boxes: corners x0, y0, x1, y1 in pixels
 * @source torchvision/csrc/ops/cpu/nms_kernel.cpp
 */
export function nms(boxes: Float32Array, scores: Float32Array, threshold: number): number[] {
  const byScore = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const rank = new Int32Array(scores.length);
  byScore.forEach((i, r) => (rank[i] = r));
  const area = Float32Array.from(scores, (_, i) => sideOf(boxes, i, 0) * sideOf(boxes, i, 1));
  const byArea = Array.from(scores, (_, i) => i).sort((a, b) => area[a] - area[b]);
  const side = (k: number) => Float32Array.from(byArea, (i) => boxes[4 * i + k]);
  const [x0, y0, x1, y1] = [side(0), side(1), side(2), side(3)];
  const areas = Float32Array.from(byArea, (i) => area[i]);
  const ranks = Int32Array.from(byArea, (i) => rank[i]);
  const place = new Int32Array(scores.length);
  byArea.forEach((i, at) => (place[i] = at));

  const suppressed = new Uint8Array(scores.length);
  const skipping = threshold >= 0;
  return byScore.filter((index, r) => {
    const i = place[index];
    if (suppressed[i]) return false;
    const [left, top, right, bottom, own] = [x0[i], y0[i], x1[i], y1[i], areas[i]];
    const least = skipping ? own * threshold * CLOSE : Number.NEGATIVE_INFINITY;
    const most = skipping ? own / threshold / CLOSE : Number.POSITIVE_INFINITY;
    for (let j = firstFrom(areas, least); j < areas.length && !(areas[j] > most); j++) {
      if (ranks[j] <= r || suppressed[j]) continue;
      // Most boxes do not meet: their IoU is 0, or NaN.
      if (skipping && (x0[j] >= right || x1[j] <= left || y0[j] >= bottom || y1[j] <= top)) continue;
      const width = Math.min(right, x1[j]) - Math.max(left, x0[j]);
      const height = Math.min(bottom, y1[j]) - Math.max(top, y0[j]);
      const overlap = fround(fround(Math.max(0, width)) * fround(Math.max(0, height)));
      if (fround(overlap / fround(fround(own + areas[j]) - overlap)) > threshold) suppressed[j] = 1;
    }
    return true;
  });
}

/** Width (0) or height (1) of a box. */
function sideOf(boxes: Float32Array, i: number, axis: 0 | 1): number {
  return fround(boxes[4 * i + 2 + axis] - boxes[4 * i + axis]);
}

/** The first of ascending values that is not less. */
function firstFrom(values: Float32Array, least: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
