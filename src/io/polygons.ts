import { expectMask, type Mask } from "./masks.ts";

// directions: 0 east, 1 south, 2 west, 3 north
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];

/**
 * The outlines of a mask along its pixels' edges, as closed rings [x0, y0, x1, y1, …] with a vertex at every corner.
 * Outer rings run clockwise on screen, holes counter-clockwise; filled by the even-odd (or non-zero) rule together they
 * give the mask back exactly. Pixels that touch only at a corner belong to different rings.
 *
 * @units pixels, (x, y); pixel (x, y) covers x … x+1, y … y+1
 */
export function maskToPolygons(mask: Mask, width: number, height: number): number[][] {
  expectMask(mask, width, height, "maskToPolygons");
  const isSet = (x: number, y: number) => x >= 0 && x < width && y >= 0 && y < height && mask[y * width + x] !== 0;
  const traced = new Uint8Array(width * height); // pixels whose top edge is part of a ring already
  const rings: number[][] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (isSet(x, y) && !isSet(x, y - 1) && !traced[y * width + x]) rings.push(trace(x, y));
    }
  }
  return rings;

  /** Follows the edge from pixel (px, py)'s top left corner eastwards, with the mask to the right hand. */
  function trace(px: number, py: number): number[] {
    const ring: number[] = [];
    let [x, y, direction, turn] = [px, py, 0, 1];
    do {
      if (turn !== 0) ring.push(x, y);
      if (direction === 0) traced[y * width + x] = 1;
      x += STEP_X[direction];
      y += STEP_Y[direction];
      turn = !aheadIsSet(x, y, direction, 1) ? 1 : aheadIsSet(x, y, direction, -1) ? 3 : 0;
      direction = (direction + turn) % 4;
    } while (x !== px || y !== py || direction !== 0);
    return ring;
  }

  /** Whether the pixel ahead of corner (x, y), on the right (side = 1) or left (side = -1), is set. */
  function aheadIsSet(x: number, y: number, direction: number, side: number): boolean {
    const dx = STEP_X[direction] - side * STEP_Y[direction];
    const dy = STEP_Y[direction] + side * STEP_X[direction];
    return isSet(x + (dx - 1) / 2, y + (dy - 1) / 2);
  }
}

/** Of the rings of `maskToPolygons`: does it run counter-clockwise on screen? */
export function isHole(ring: readonly number[]): boolean {
  let twiceArea = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const next = (i + 2) % ring.length;
    twiceArea += ring[i] * ring[next + 1] - ring[next] * ring[i + 1];
  }
  return twiceArea < 0;
}
