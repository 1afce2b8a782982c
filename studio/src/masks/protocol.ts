/** What the page and the painter, its worker for masks, say to each other. */
import type { Rle } from "sam2-ts";
import type { LayerPicture } from "../inside/pictures.ts";
import type { MaskParts } from "../state/document.ts";

/** A mask to be drawn. */
export interface Layer {
  parts: MaskParts;
  /** CSS */
  colour: string;
  /** the object where prompts go stands out */
  isSelected: boolean;
}

/** A stroke of the brush. @units pixels of the picture */
export interface Stroke {
  points: readonly (readonly [x: number, y: number])[];
  radius: number;
  erases: boolean;
}

export type Size = Record<"width" | "height", number>;

/** Told to the painter. */
export type Order =
  | { type: "canvases"; objects: OffscreenCanvas; preview: OffscreenCanvas }
  | { type: "size"; size: Size }
  /** `line` in pixels of the picture */
  | { type: "draw"; layers: readonly Layer[]; line: number }
  | { type: "drawAll"; masks: readonly Rle[]; colours: readonly string[] }
  | { type: "preview"; logits: Float32Array; side: number; colour: string; line: number }
  | { type: "previewMask"; parts: MaskParts; colour: string; line: number }
  | { type: "clearPreview" };

/** Asked, and answered. */
export interface Questions {
  /** bytes as run lengths */
  encode: { asks: { masks: Uint8Array[]; size: Size }; answers: Rle[] };
  /** what was added and erased by hand, with one stroke more */
  stroke: { asks: { parts: MaskParts; stroke: Stroke; size: Size }; answers: Pick<MaskParts, "added" | "erased"> };
  /** a byte a pixel */
  mask: { asks: { parts: MaskParts }; answers: Uint8Array };
  /** what a layer returned, a tensor of the model */
  layer: { asks: { values: Float32Array; shape: readonly number[] }; answers: LayerPicture[] };
  /** PNG of the object alone, cut to its bounds; undefined if the mask is empty */
  cutout: { asks: { picture: ImageBitmap; parts: MaskParts }; answers: Blob | undefined };
}

/** Told by the painter: of every pixel of the overlay the index of the smallest mask there, plus one; after `drawAll` */
export type LabelMap = { labels: Uint16Array<ArrayBuffer>; size: Size };
