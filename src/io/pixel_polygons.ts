// Polygons for tools that know neither holes nor parts, and that set the pixels an outline runs through (OpenCV's fillPoly,
// Pillow's ImageDraw.polygon): so the outline runs from border pixel to border pixel. A hole is reached by a bridge, a line
// walked to and fro, within the mask; a part likewise, by the shortest way across the background.
import type { Mask } from "./masks.ts";
import { isHole, maskToPolygons } from "./polygons.ts";

/** One outline of the mask: the pixels along it, as y · width + x, in order. */
interface Ring {
  pixels: number[];
  isHole: boolean;
  /** holes that are reached from here: where on this ring, and where on theirs */
  bridges: Map<number, [hole: Ring, at: number][]>;
}

interface Place {
  ring: Ring;
  at: number;
}

/**
 * A mask → a polygon [x0, y0, x1, y1, …] for each of its parts, through the pixels of its border; holes by bridges.
 * Filled even-odd with its outline drawn, it gives the part back exactly.
 *
 * @units indices of pixels, (x, y)
 */
export function maskToPartPolygons(mask: Mask, width: number, height: number): number[][] {
  return partsOf(mask, width, height).map((part) => pointsOf(part, width));
}

/**
 * A mask → one polygon [x0, y0, x1, y1, …] through the pixels of its border; holes and parts by bridges. Filled even-odd
 * with its outline drawn, it gives the mask back, and sets the pixels under the bridges between parts that do not touch.
 *
 * @units indices of pixels, (x, y); empty for an empty mask
 */
export function maskToOnePolygon(mask: Mask, width: number, height: number): number[] {
  const [first, ...others] = partsOf(mask, width, height);
  if (first === undefined) return [];
  const chain = new Chain(first, width, height);
  for (const part of others) chain.join(part);
  return pointsOf(chain.pixels(), width);
}

/** Of each part the pixels along its outlines, in order. */
function partsOf(mask: Mask, width: number, height: number): number[][] {
  const rings: Ring[] = [];
  const westEdges = new Map<number, Place>(); // of pixels whose western neighbour is not set
  const holes: { ring: Ring; at: number; from: number }[] = [];
  for (const corners of maskToPolygons(mask, width, height)) {
    const ring: Ring = { pixels: [], isHole: isHole(corners), bridges: new Map() };
    let west = { x: width, at: 0, from: 0 }; // of a hole: its westernmost edge
    for (const { x, y, dx, dy } of unitEdges(corners)) {
      const pixel = (dx < 0 || dy < 0 ? y - 1 : y) * width + (dx < 0 || dy > 0 ? x - 1 : x); // to the right hand
      const at = ring.pixels.push(pixel) - 1;
      if (dy < 0) westEdges.set(pixel, { ring, at });
      if (dy > 0 && x < west.x) west = { x, at, from: pixel };
    }
    rings.push(ring);
    if (ring.isHole) holes.push({ ring, at: west.at, from: west.from });
  }
  for (const { ring, at, from } of holes) {
    let pixel = from;
    while (!westEdges.has(pixel)) pixel--; // to the next border in the west: of the part, or of a hole further west
    const parent = westEdges.get(pixel)!;
    const bridges = parent.ring.bridges.get(parent.at) ?? [];
    parent.ring.bridges.set(parent.at, [...bridges, [ring, at]]);
  }
  return rings.filter(({ isHole }) => !isHole).map((ring) => walk(ring, 0, []));
}

/** All round a ring from one of its places, over every bridge and back. */
function walk({ pixels, bridges }: Ring, start: number, way: number[]): number[] {
  for (let k = 0; k < pixels.length; k++) {
    const at = (start + k) % pixels.length;
    way.push(pixels[at]);
    for (const [hole, entry] of bridges.get(at) ?? []) {
      walk(hole, entry, way);
      way.push(hole.pixels[entry], pixels[at]);
    }
  }
  return way;
}

function* unitEdges(corners: readonly number[]) {
  for (let i = 0; i < corners.length; i += 2) {
    const next = (i + 2) % corners.length;
    const [dx, dy] = [Math.sign(corners[next] - corners[i]), Math.sign(corners[next + 1] - corners[i + 1])];
    for (let x = corners[i], y = corners[i + 1]; x !== corners[next] || y !== corners[next + 1]; x += dx, y += dy) {
      yield { x, y, dx, dy };
    }
  }
}

/** Side of the squares in which near pixels are looked for. */
const CELL = 16;

/** Outlines joined to one closed way, which grows by the outline of a part at a time. */
class Chain {
  readonly #width: number;
  /** squares in a row and in a column */
  readonly #columns: number;
  readonly #rows: number;
  readonly #x: number[] = [];
  readonly #y: number[] = [];
  readonly #next: number[] = [];
  /** by square: the links whose pixels lie in it */
  readonly #cells = new Map<number, number[]>();

  constructor(first: readonly number[], width: number, height: number) {
    this.#width = width;
    this.#columns = Math.ceil(width / CELL);
    this.#rows = Math.ceil(height / CELL);
    this.#append(first);
    this.#next[first.length - 1] = 0;
  }

  /** Insert the outline of a part where it is nearest. */
  join(part: readonly number[]): void {
    let best = { distance: Number.POSITIVE_INFINITY, link: 0, at: 0 };
    for (const [at, pixel] of part.entries()) {
      const { distance, link } = this.#nearest(pixel, best.distance);
      if (distance < best.distance) best = { distance, link, at };
    }
    const { link, at } = best;
    const back = this.#next[link];
    const first = this.#x.length;
    this.#append([...part.slice(at), ...part.slice(0, at), part[at], this.#pixel(link)]);
    this.#next[link] = first;
    this.#next[this.#x.length - 1] = back;
  }

  pixels(): number[] {
    const pixels = [this.#pixel(0)];
    for (let link = this.#next[0]; link !== 0; link = this.#next[link]) pixels.push(this.#pixel(link));
    return pixels;
  }

  #pixel(link: number): number {
    return this.#y[link] * this.#width + this.#x[link];
  }

  #append(pixels: readonly number[]): void {
    for (const pixel of pixels) {
      const [x, y] = [pixel % this.#width, Math.floor(pixel / this.#width)];
      const link = this.#x.push(x) - 1;
      this.#y.push(y);
      this.#next.push(link + 1);
      const cell = Math.floor(y / CELL) * this.#columns + Math.floor(x / CELL);
      const links = this.#cells.get(cell);
      if (links) links.push(link);
      else this.#cells.set(cell, [link]);
    }
  }

  /** The link nearest to a pixel, if its squared distance is below `limit`. */
  #nearest(pixel: number, limit: number) {
    const [x, y] = [pixel % this.#width, Math.floor(pixel / this.#width)];
    const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
    let best = { distance: limit, link: 0 };
    const far = Math.max(this.#columns, this.#rows);
    for (let ring = 0; ring < far && (Math.max(0, ring - 1) * CELL) ** 2 < best.distance; ring++) {
      for (let r = Math.max(0, row - ring); r <= Math.min(row + ring, this.#rows - 1); r++) {
        const step = Math.abs(r - row) === ring ? 1 : Math.max(1, 2 * ring); // inner rows: the two ends alone
        for (let c = column - ring; c <= column + ring; c += step) {
          if (c < 0 || c >= this.#columns) continue;
          for (const link of this.#cells.get(r * this.#columns + c) ?? []) {
            const distance = (this.#x[link] - x) ** 2 + (this.#y[link] - y) ** 2;
            if (distance < best.distance) best = { distance, link };
          }
        }
      }
    }
    return best;
  }
}

/** Corners alone, at least three, since tools take fewer for no polygon. */
function pointsOf(way: readonly number[], width: number): number[] {
  const steps = way.filter((pixel, i) => pixel !== way[(i + 1) % way.length]);
  const pixels = steps.length > 0 ? steps : way.slice(0, 1);
  const corners = pixels.filter((pixel, i) => {
    const before = pixels[(i + pixels.length - 1) % pixels.length];
    const after = pixels[(i + 1) % pixels.length];
    const [ax, ay] = [(pixel % width) - (before % width), Math.floor(pixel / width) - Math.floor(before / width)];
    const [bx, by] = [(after % width) - (pixel % width), Math.floor(after / width) - Math.floor(pixel / width)];
    return ax * by !== ay * bx || ax * bx + ay * by <= 0;
  });
  while (corners.length < 3) corners.push(corners.at(-1)!);
  return corners.flatMap((pixel) => [pixel % width, Math.floor(pixel / width)]);
}
