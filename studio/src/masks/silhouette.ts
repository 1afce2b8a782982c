/** Masks as pictures: a silhouette, a tint with an outline, what lies under a mask; for workers that have canvases. */
import { maskBounds } from "sam2-ts";
import type { MaskParts } from "../state/document.ts";
import { composed } from "./pixels.ts";
import type { Size } from "./protocol.ts";

export type Context = OffscreenCanvasRenderingContext2D;

/** A mask, cut to its bounds: opaque where it is set. */
export interface Silhouette {
  canvas: OffscreenCanvas;
  x: number;
  y: number;
}

/** What is being painted; it grows to what is needed. */
const layer = new OffscreenCanvas(1, 1);

export function silhouette(mask: Uint8Array, { width }: Size): Silhouette | undefined {
  const bounds = maskBounds(mask, width);
  if (!bounds) return undefined;
  const [left, top, right, bottom] = bounds;
  const [w, h] = [right - left, bottom - top];
  const image = new ImageData(w, h);
  const words = new Uint32Array(image.data.buffer);
  for (let y = 0, i = 0; y < h; y++) {
    const row = (top + y) * width + left;
    for (let x = 0; x < w; x++, i++) if (mask[row + x]) words[i] = 0xffffffff;
  }
  const canvas = new OffscreenCanvas(w, h);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return { canvas, x: left, y: top };
}

/** A tint, and around it a line of the colour in a dark one, so that it shows on any ground. */
export function paint(to: Context, { canvas, x, y }: Silhouette, colour: string, line: number, tint: number): void {
  const reach = Math.ceil(1.8 * line) + 1;
  const [width, height] = [canvas.width + 2 * reach, canvas.height + 2 * reach];
  if (layer.width < width) layer.width = width;
  if (layer.height < height) layer.height = height;
  const context = layer.getContext("2d")!;
  const grown = (by: number, fill: string) => {
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, width, height);
    for (let k = 0; k < 12; k++) {
      const [dx, dy] = [Math.cos((k * Math.PI) / 6) * by, Math.sin((k * Math.PI) / 6) * by];
      context.drawImage(canvas, reach + dx, reach + dy);
    }
    context.globalCompositeOperation = "source-in";
    context.fillStyle = fill;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "destination-out";
    context.drawImage(canvas, reach, reach);
    to.drawImage(layer, 0, 0, width, height, x - reach, y - reach, width, height);
  };
  grown(1.8 * line, "#0009");
  grown(line, colour);
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, width, height);
  context.drawImage(canvas, reach, reach);
  context.globalCompositeOperation = "source-in";
  context.fillRect(0, 0, width, height);
  to.globalAlpha = tint;
  to.drawImage(layer, 0, 0, width, height, x - reach, y - reach, width, height);
  to.globalAlpha = 1;
}

/** PNG of the object alone, cut to its bounds; undefined if the mask is empty. */
export async function cutout(bitmap: ImageBitmap, parts: MaskParts): Promise<Blob | undefined> {
  const { mask, size } = composed(parts);
  const found = silhouette(mask, size);
  if (!found) return undefined;
  const { canvas, x, y } = found;
  const context = canvas.getContext("2d")!;
  context.globalCompositeOperation = "source-in";
  context.drawImage(bitmap, -x, -y);
  return canvas.convertToBlob({ type: "image/png" });
}
