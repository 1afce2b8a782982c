/** Draws the lanes of the timeline: where an object is seen, the fainter the less sure, and dots where it was prompted. */
import { colourOf, type Document } from "../state/document.ts";
import { laneOf } from "../state/tracks.ts";

export interface LaneSizes {
  /** CSS pixels */
  width: number;
  /** of the scale above the lanes. @units CSS pixels */
  ruler: number;
  /** of a lane. @units CSS pixels */
  row: number;
}

/** Left and right, so that the first and the last frame can be pointed at. @units CSS pixels */
export const INSET = 8;
/** At least so far are marks of the scale from each other. @units CSS pixels */
const APART = 56;
const DOT = 4;

/** Where a frame's middle is. @units CSS pixels */
export function xOf(frame: number, frames: number, width: number): number {
  return INSET + ((frame + 0.5) * (width - 2 * INSET)) / frames;
}

export function frameOf(x: number, frames: number, width: number): number {
  const frame = Math.floor(((x - INSET) * frames) / (width - 2 * INSET));
  return Math.min(frames - 1, Math.max(0, frame));
}

/** Frames that are marked on the scale: the first, and every 2nd, 5th, 10th … */
export function marks(frames: number, width: number): number[] {
  const most = Math.max(1, Math.floor(width / APART));
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((step) => frames / step <= most) ?? 10_000;
  const regular = Array.from({ length: Math.floor(frames / step) }, (_, i) => (i + 1) * step - 1);
  return [0, ...regular.filter((frame) => frame > step / 2)];
}

export function drawLanes(canvas: HTMLCanvasElement, doc: Document, { width, ruler, row }: LaneSizes): void {
  const { objects, source, selected } = doc;
  const { frames } = source!;
  const height = ruler + row * objects.length;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const [soft, rule, card] = ["--soft", "--rule", "--card"].map((name) => style.getPropertyValue(name));

  context.font = `11px ${style.fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const frame of marks(frames, width - 2 * INSET)) {
    const x = xOf(frame, frames, width);
    context.fillStyle = soft;
    context.fillText(`${frame + 1}`, Math.max(x, INSET + 4), ruler / 2);
    context.fillStyle = rule;
    context.fillRect(Math.round(x), ruler - 4, 1, 4);
  }

  const columns = Math.min(frames, Math.max(1, Math.round((width - 2 * INSET) * ratio)));
  const step = (width - 2 * INSET) / columns;
  const edge = step > 3 ? 0.5 : 0;
  for (const [index, object] of objects.entries()) {
    const top = ruler + index * row;
    const middle = top + row / 2;
    context.globalAlpha = 1;
    context.fillStyle = rule;
    context.fillRect(INSET, middle - 0.5, width - 2 * INSET, 1);
    const lane = laneOf(object.on, frames, columns);
    const tall = object.id === selected ? row * 0.6 : row * 0.46;
    const colour = colourOf(object);
    for (let column = 0; column < columns; column++) {
      const sure = lane.sure[column];
      if (Number.isNaN(sure)) continue;
      const [x, wide] = [INSET + column * step, step - edge + (edge ? 0 : 0.4)];
      context.fillStyle = colour;
      if (lane.seen[column]) {
        context.globalAlpha = 0.25 + 0.75 * sure * sure;
        context.fillRect(x, middle - tall / 2, wide, tall);
      } else {
        context.globalAlpha = 0.9;
        context.fillRect(x, middle - 1, wide, 2);
      }
    }
    context.globalAlpha = 1;
    for (const frame of lane.prompted) {
      const x = xOf(frame, frames, width);
      context.beginPath();
      context.arc(x, middle, DOT + 1.5, 0, 2 * Math.PI);
      context.fillStyle = card;
      context.fill();
      context.beginPath();
      context.arc(x, middle, DOT, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = style.color;
      context.stroke();
    }
  }
}
