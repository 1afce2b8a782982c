import { ImageError } from "../errors.ts";
import { decodeRle } from "./rle.ts";

/** Polygons are drawn on a grid this much finer, then thinned out. */
const SCALE = 5;

/**
 * Closed polygons [x0, y0, x1, y1, …] → one mask, 1 inside any of them: to the pixel what pycocotools makes of them
 * (`frPyObjects`, then `merge`). A polygon that crosses itself is filled by the even-odd rule.
 *
 * @units pixels, (x, y); pixel (x, y) covers x … x+1, y … y+1
 * @throws ImageError for a polygon of fewer than three points
 * @source pycocotools, common/maskApi.c, rleFrPoly
 */
export function polygonsToMask(
  polygons: readonly (readonly number[])[],
  width: number,
  height: number,
  where = "polygon",
): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const polygon of polygons) {
    if (polygon.length < 6 || polygon.length % 2 || !polygon.every(Number.isFinite)) {
      const got = `${polygon.length} numbers`;
      throw new ImageError(where, "polygons [x0, y0, x1, y1, x2, y2, …]", got, "give three points or more");
    }
    const inside = decodeRle({ size: [height, width], counts: runsOf(polygon, width, height) });
    for (let i = 0; i < mask.length; i++) mask[i] |= inside[i];
  }
  return mask;
}

/** Run lengths down the columns, beginning with what is outside. */
function runsOf(polygon: readonly number[], width: number, height: number): number[] {
  const { u, v } = boundary(polygon);
  const toggles: number[] = [];
  for (let j = 1; j < u.length; j++) {
    if (u[j] === u[j - 1]) continue;
    const x = (Math.min(u[j], u[j - 1]) + 0.5) / SCALE - 0.5; // whole where the boundary crosses a column's middle
    if (!Number.isInteger(x) || x < 0 || x > width - 1) continue;
    const y = (Math.min(v[j], v[j - 1]) + 0.5) / SCALE - 0.5;
    toggles.push(x * height + Math.ceil(Math.min(Math.max(y, 0), height)));
  }
  toggles.push(width * height);
  toggles.sort((a, b) => a - b);
  return toggles.map((at, j) => at - (j > 0 ? toggles[j - 1] : 0));
}

/** Points of the fine grid, densely along all edges. */
function boundary(polygon: readonly number[]): { u: number[]; v: number[] } {
  const fine = polygon.map((value) => Math.trunc(SCALE * value + 0.5));
  const u: number[] = [];
  const v: number[] = [];
  for (let j = 0; j < fine.length; j += 2) {
    const next = (j + 2) % fine.length;
    let [xs, ys, xe, ye] = [fine[j], fine[j + 1], fine[next], fine[next + 1]];
    const dx = Math.abs(xe - xs);
    const dy = Math.abs(ye - ys);
    const flip = dx >= dy ? xs > xe : ys > ye; // the same points whichever way an edge is walked
    if (flip) [xs, ys, xe, ye] = [xe, ye, xs, ys];
    const length = Math.max(dx, dy);
    const slope = dx >= dy ? (ye - ys) / dx : (xe - xs) / dy;
    for (let d = 0; d <= length && length > 0; d++) {
      const t = flip ? length - d : d;
      u.push(dx >= dy ? t + xs : Math.trunc(xs + slope * t + 0.5));
      v.push(dx >= dy ? Math.trunc(ys + slope * t + 0.5) : t + ys);
    }
  }
  return { u, v };
}
