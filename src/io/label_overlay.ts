import { drawRegions, type Rgb } from "./overlay.ts";
import type { RgbImage } from "./pixels.ts";

/** Okabe and Ito's colours, which people with any colour vision tell apart, without black. */
const COLOURS: readonly Rgb[] = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
];

/** More than where few masks lie: here colours tell them apart. */
const TINT = 0.6;

/**
 * Draws a label picture over the image it belongs to: every mask tinted in a colour that no neighbour has and outlined. 0 is
 * left as it is.
 *
 * @param labels as `labelMap` gives them
 */
export function drawLabels(canvas: RgbImage, labels: Uint16Array): void {
  const { width, height } = canvas;
  const colours = neighbourColours(labels, width, height).map((colour) => COLOURS[colour]);
  drawRegions(canvas, (pixel) => labels[pixel], colours, [0, 0, width, height], TINT);
}

/**
 * An index of a colour for every label, those of 0 and of masks that are not seen included. Of the colours that the fewest
 * border pixels to neighbours have (none, as a rule), the one that was used least.
 */
export function neighbourColours(labels: Uint16Array, width: number, height: number): number[] {
  const borders = bordersOf(labels, width, height);
  const colours: number[] = [];
  const used = COLOURS.map(() => 0);
  for (let label = 0; label < borders.length; label++) {
    const shared = COLOURS.map(() => 0);
    for (const [other, length] of borders[label]) if (other > 0 && other < label) shared[colours[other]] += length;
    let best = 0;
    for (let c = 1; c < COLOURS.length; c++) {
      if (shared[c] < shared[best] || (shared[c] === shared[best] && used[c] < used[best])) best = c;
    }
    colours.push(best);
    if (label > 0) used[best]++;
  }
  return colours;
}

/** For every label its neighbours, and along how many pixels they touch. */
function bordersOf(labels: Uint16Array, width: number, height: number): Map<number, number>[] {
  const count = labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  const borders = Array.from({ length: count }, () => new Map<number, number>());
  const touch = (a: number, b: number) => {
    if (a === b) return;
    borders[a].set(b, (borders[a].get(b) ?? 0) + 1);
    borders[b].set(a, (borders[b].get(a) ?? 0) + 1);
  };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width) touch(labels[i], labels[i + 1]);
      if (y + 1 < height) touch(labels[i], labels[i + width]);
    }
  }
  return borders;
}
