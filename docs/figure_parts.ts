/** What the figures share. */
import type { Kept } from "./activations.ts";
import { pcaColours } from "../src/io/feature_colours.ts";
import type { Pixels } from "./svg.ts";

/** @units SVG pixels */
export const WIDTH = 720;
export const MARGIN = 24;

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** A feature map [1, H, W, C] as colours. */
export function colours({ shape, data }: Kept): Pixels {
  return pcaColours(data, shape[2], shape[1]);
}
