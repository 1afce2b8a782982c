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
  const N = scores.length;
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const side = (k: number) => Float32Array.from(order, (i) => boxes[4 * i + k]);
  const [x0, y0, x1, y1] = [side(0), side(1), side(2), side(3)];
  const areas = Float32Array.from(order, (_, i) => fround(x1[i] - x0[i]) * fround(y1[i] - y0[i]));
  const suppressed = new Uint8Array(N);
  const kept: number[] = [];
  const skipping = threshold >= 0;
  for (let i = 0; i < N; i++) {
    if (suppressed[i]) continue;
    kept.push(order[i]);
    const [left, top, right, bottom, area] = [x0[i], y0[i], x1[i], y1[i], areas[i]];
    for (let j = i + 1; j < N; j++) {
      // Most boxes do not meet: their IoU is 0, or NaN.
      if (skipping && (x0[j] >= right || x1[j] <= left || y0[j] >= bottom || y1[j] <= top)) continue;
      const width = Math.min(right, x1[j]) - Math.max(left, x0[j]);
      const height = Math.min(bottom, y1[j]) - Math.max(top, y0[j]);
      const overlap = fround(fround(Math.max(0, width)) * fround(Math.max(0, height)));
      if (fround(overlap / fround(fround(area + areas[j]) - overlap)) > threshold) suppressed[j] = 1;
    }
  }
  return kept;
}
