/** Which objects leave the page, and their masks: those that are shown, where they are known. */
import { encodeRle, type Rle, rleArea } from "sam2-ts";
import { composed } from "../masks/pixels.ts";
import { type Document, type MaskParts, partsOf, type StudioObject } from "../state/document.ts";
import { framesOf } from "../state/tracks.ts";

/** An object on one frame. */
export interface Shown {
  object: StudioObject;
  parts: MaskParts;
  rle: Rle;
}

/** Those that are not hidden and known on one of the frames, by default on any; the first is on top. */
export function shownObjects({ objects }: Document, frames?: readonly number[]): StudioObject[] {
  return objects.filter(
    ({ visible, on }) => visible && (frames ?? framesOf(on)).some((frame) => on[frame] && partsOf(on[frame])),
  );
}

/** What is known on a frame, empty masks too; the first is on top. */
export function knownOn(doc: Document, frame: number): Shown[] {
  return shownObjects(doc, [frame]).map((object) => {
    const parts = partsOf(object.on[frame])!;
    return { object, parts, rle: rleOf(parts) };
  });
}

/** Those of them that have a pixel there. */
export function seenOn(doc: Document, frame: number): Shown[] {
  return knownOn(doc, frame).filter(({ rle }) => rleArea(rle) > 0);
}

/** Frames on which an object is known, in order. */
export function knownFrames(doc: Document): number[] {
  const frames = shownObjects(doc).flatMap(({ on }) => framesOf(on).filter((frame) => partsOf(on[frame])));
  return [...new Set(frames)].sort((a, b) => a - b);
}

function rleOf(parts: MaskParts): Rle {
  if (parts.base && !parts.added && !parts.erased) return parts.base;
  const { mask, size } = composed(parts);
  return encodeRle(mask, size.width, size.height);
}
