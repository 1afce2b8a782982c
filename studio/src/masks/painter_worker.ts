/**
 * The painter: a worker that decodes masks, draws them over the picture, and does all else that would hold the page up. The
 * newest `draw` counts; what is drawn again is kept.
 */
import { encodeRle, type Rle } from "sam2-ts";
import { picturesOf } from "../inside/pictures.ts";
import { answerCalls } from "../media/worker_calls.ts";
import type { MaskParts } from "../state/document.ts";
import { aboveZero, composed, resampled, stroked } from "./pixels.ts";
import type { LabelMap, Order, Questions, Size } from "./protocol.ts";
import { type Context, cutout, paint, type Silhouette, silhouette } from "./silhouette.ts";

/** TypeScript's types are those of a page. */
const worker = globalThis as unknown as Pick<Worker, "postMessage">;
/** Of an overlay; a larger picture has a coarser one. */
const MOST_PIXELS = 2 ** 22;
const MOST_PREVIEW_PIXELS = 2 ** 19;
/** Masks that are kept ready to draw. */
const MOST_KEPT = 48;

let hasCanvases = false;
let objects: Context;
let preview: Context;
let picture: Size = { width: 1, height: 1 };
const kept = new Map<string, Silhouette | undefined>();
let newest: Extract<Order, { type: "draw" }> | undefined;

function obey(order: Order): void {
  if (!hasCanvases && order.type !== "canvases") return; // all is told anew with them
  switch (order.type) {
    case "canvases":
      objects = order.objects.getContext("2d")!;
      preview = order.preview.getContext("2d")!;
      hasCanvases = true;
      break;
    case "size":
      picture = order.size;
      kept.clear();
      resize(objects.canvas, MOST_PIXELS);
      resize(preview.canvas, MOST_PREVIEW_PIXELS);
      break;
    case "draw":
      if (!newest) setTimeout(drawNewest);
      newest = order;
      break;
    case "drawAll":
      newest = undefined;
      drawAll(order.masks, order.colours);
      break;
    case "preview": {
      const { width, height } = preview.canvas;
      const mask = aboveZero(order.logits, order.side, { width, height });
      showPreview(silhouette(mask, { width, height }), order.colour, order.line);
      break;
    }
    case "previewMask":
      showPreview(silhouetteOf(order.parts, preview.canvas), order.colour, order.line);
      break;
    case "clearPreview":
      clear(preview);
  }
}

answerCalls<Questions, Order>(
  {
    encode: ({ masks, size: { width, height } }) => masks.map((mask) => encodeRle(mask, width, height)),
    stroke: ({ parts, stroke, size }) => stroked(parts, stroke, size),
    layer: ({ values, shape }) => picturesOf(values, shape),
    mask: ({ parts }) => composed(parts).mask,
    cutout: ({ picture: bitmap, parts }) => cutout(bitmap, parts).finally(() => bitmap.close()),
  },
  obey,
);

/** Setting a canvas's size clears it. */
function resize(canvas: Size, most: number): void {
  const scale = Math.min(1, Math.sqrt(most / (picture.width * picture.height)));
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
}

function clear(context: Context): void {
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}

function drawNewest(): void {
  const order = newest;
  newest = undefined;
  if (!order) return;
  clear(objects);
  const line = order.line * (objects.canvas.width / picture.width);
  for (const { parts, colour, isSelected } of [...order.layers].reverse()) {
    const key = [parts.base, parts.added, parts.erased].map((rle) => rle?.counts ?? "").join("|");
    const found = kept.has(key) ? kept.get(key) : silhouetteOf(parts, objects.canvas);
    kept.delete(key);
    kept.set(key, found);
    if (found) paint(objects, found, colour, isSelected ? line * 1.5 : line, isSelected ? 0.5 : 0.36);
  }
  for (const [key, old] of [...kept].slice(0, -MOST_KEPT)) {
    kept.delete(key);
    if (old) old.canvas.width = 0; // its memory is not the collector's
  }
}

function showPreview(found: Silhouette | undefined, colour: string, line: number): void {
  clear(preview);
  if (found) paint(preview, found, colour, line * (preview.canvas.width / picture.width), 0.28);
}

function silhouetteOf(parts: MaskParts, { width, height }: Size): Silhouette | undefined {
  const { mask, size } = composed(parts);
  return silhouette(resampled(mask, size, { width, height }), { width, height });
}

/** All masks at once, smaller ones over larger ones, with a light line between them. */
function drawAll(masks: readonly Rle[], colours: readonly string[]): void {
  const { width, height } = objects.canvas;
  const size = { width, height };
  const labels = new Uint16Array(width * height);
  const painted = masks.map((rle, index) => {
    const mask = resampled(composed({ base: rle }).mask, picture, size);
    return { mask, index, area: mask.reduce((sum, value) => sum + value, 0) };
  });
  for (const { mask, index } of painted.sort((a, b) => b.area - a.area)) {
    for (let i = 0; i < labels.length; i++) if (mask[i]) labels[i] = index + 1;
  }
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const tints = colours.map((colour) => (0x80000000 | bgr(colour)) >>> 0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = labels[i];
      const isEdge = (x > 0 && labels[i - 1] !== label) || (y > 0 && labels[i - width] !== label);
      if (isEdge) words[i] = 0xe0ffffff;
      else if (label > 0) words[i] = tints[(label - 1) % tints.length];
    }
  }
  objects.putImageData(image, 0, 0);
  worker.postMessage({ labels, size } satisfies LabelMap, [labels.buffer]);
}

/** #rrggbb as the low bytes of a pixel. */
function bgr(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return r | (g << 8) | (b << 16);
}
