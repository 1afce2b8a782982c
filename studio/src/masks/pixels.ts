/** Masks as bytes, row by row: what the painter does to them. */
import { decodeRle, encodeRle, type Rle } from "sam2-ts";
import type { MaskParts } from "../state/document.ts";
import type { Size, Stroke } from "./protocol.ts";

/** A byte a pixel: `base`, with `added` and without `erased`. */
export function composed({ base, added, erased }: MaskParts): { mask: Uint8Array; size: Size } {
  const [height, width] = (base ?? added ?? erased)!.size;
  const mask = base ? decodeRle(base) : new Uint8Array(width * height);
  const more = added && decodeRle(added);
  const less = erased && decodeRle(erased);
  for (let i = 0; i < mask.length; i++) {
    if (more?.[i]) mask[i] = 1;
    if (less?.[i]) mask[i] = 0;
  }
  return { mask, size: { width, height } };
}

/** What was added and erased by hand, after one stroke more: the later hand wins. */
export function stroked({ added, erased }: MaskParts, stroke: Stroke, size: Size): Pick<MaskParts, "added" | "erased"> {
  const { width, height } = size;
  const blank = () => new Uint8Array(width * height);
  const [more, less] = [added, erased].map((rle) => (rle ? decodeRle(rle) : blank()));
  const [to, from] = stroke.erases ? [less, more] : [more, less];
  forEachPixel(stroke, size, (i) => {
    to[i] = 1;
    from[i] = 0;
  });
  const packed = (mask: Uint8Array): Rle | undefined => (mask.includes(1) ? encodeRle(mask, width, height) : undefined);
  return { added: packed(more), erased: packed(less) };
}

/** The pixels whose centres are at most `radius` from the line through the points. */
function forEachPixel({ points, radius }: Stroke, { width, height }: Size, visit: (index: number) => void): void {
  const square = radius * radius;
  points.forEach(([x1, y1], k) => {
    const [x0, y0] = points[Math.max(0, k - 1)];
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy || 1;
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - radius));
    const bottom = Math.min(height, Math.ceil(Math.max(y0, y1) + radius));
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - radius));
    const right = Math.min(width, Math.ceil(Math.max(x0, x1) + radius));
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const t = Math.min(1, Math.max(0, (px * dx + py * dy) / length));
        const [ex, ey] = [px - t * dx, py - t * dy];
        if (ex * ex + ey * ey <= square) visit(y * width + x);
      }
    }
  });
}

/** Where logits, resized as the model's masks are (bilinear, centres of pixels), are above 0. */
export function aboveZero(logits: Float32Array, side: number, { width, height }: Size): Uint8Array {
  const mask = new Uint8Array(width * height);
  const columns = taps(width, side);
  const rows = taps(height, side);
  for (let y = 0, i = 0; y < height; y++) {
    const [top, bottom, v] = [rows.low[y] * side, rows.high[y] * side, rows.share[y]];
    for (let x = 0; x < width; x++, i++) {
      const [l, r, u] = [columns.low[x], columns.high[x], columns.share[x]];
      const above = logits[top + l] + u * (logits[top + r] - logits[top + l]);
      const below = logits[bottom + l] + u * (logits[bottom + r] - logits[bottom + l]);
      if (above + v * (below - above) > 0) mask[i] = 1;
    }
  }
  return mask;
}

/** For each of `length` pixels the two neighbours among `side`, and how far it is from the first to the second. */
function taps(length: number, side: number) {
  const low = new Int32Array(length);
  const high = new Int32Array(length);
  const share = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = Math.max(0, ((i + 0.5) * side) / length - 0.5);
    low[i] = Math.min(side - 1, Math.floor(at));
    high[i] = Math.min(side - 1, low[i] + 1);
    share[i] = at - low[i];
  }
  return { low, high, share };
}

/** The nearest pixels at another size. */
export function resampled(mask: Uint8Array, from: Size, to: Size): Uint8Array {
  if (from.width === to.width && from.height === to.height) return mask;
  const out = new Uint8Array(to.width * to.height);
  for (let y = 0, i = 0; y < to.height; y++) {
    const row = Math.floor(((y + 0.5) * from.height) / to.height) * from.width;
    for (let x = 0; x < to.width; x++, i++) out[i] = mask[row + Math.floor(((x + 0.5) * from.width) / to.width)];
  }
  return out;
}
