const { fround } = Math;

/**
 * Non-maximum suppression: of boxes that overlap by more than the threshold the one of highest score is kept, of equals the
 * first. As torchvision computes it: in f32, areas without + 1, and two boxes without area never overlap.
 *
 * @shape  boxes [N, 4]; scores [N] → indices of the boxes kept, best score first
 * @units  boxes: corners x0, y0, x1, y1 in pixels
 * @source torchvision/csrc/ops/cpu/nms_kernel.cpp
 */
export function nms(boxes: Float32Array, scores: Float32Array, threshold: number): number[] {
  const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  const areas = Float32Array.from(scores, (_, i) =>
    fround(fround(boxes[4 * i + 2] - boxes[4 * i]) * fround(boxes[4 * i + 3] - boxes[4 * i + 1])),
  );
  const suppressed = new Uint8Array(scores.length);
  const kept: number[] = [];
  for (const [at, i] of order.entries()) {
    if (suppressed[i]) continue;
    kept.push(i);
    const [x0, y0, x1, y1] = boxes.subarray(4 * i, 4 * i + 4);
    for (let next = at + 1; next < order.length; next++) {
      const j = order[next];
      const width = Math.max(0, fround(Math.min(x1, boxes[4 * j + 2]) - Math.max(x0, boxes[4 * j])));
      const height = Math.max(0, fround(Math.min(y1, boxes[4 * j + 3]) - Math.max(y0, boxes[4 * j + 1])));
      const overlap = fround(width * height);
      if (fround(overlap / fround(fround(areas[i] + areas[j]) - overlap)) > threshold) suppressed[j] = 1;
    }
  }
  return kept;
}
