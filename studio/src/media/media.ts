/**
 * What is open, as pixels. A photo has one frame; a video decodes frames when they are asked for, and holds few of them.
 */
import type { ImageInput } from "sam2-ts";
import type { Source } from "../state/document.ts";

export interface Media {
  readonly source: Source;
  /** what a visitor has to know of it, one sentence */
  readonly note?: string;
  /** A frame to look at; the caller closes it. @throws the signal's reason if aborted */
  picture(frame: number, signal?: AbortSignal): Promise<ImageBitmap>;
  /** The same frame for the model: a file as it is where the model reads it, so that its pixels are the command line's. */
  input(frame: number, signal?: AbortSignal): Promise<ImageInput>;
  /** When a frame is shown. @units s from the first */
  timeOf(frame: number): number;
  /** The frame that is shown at a time. @units s from the first */
  frameAt(time: number): number;
  /** What keeps it for the next visit and in projects: one file, or a video's frames in order; none of what is drawn. */
  readonly files: readonly Blob[];
  /** Nobody looks at it now: what it holds is given back, until a frame is asked for again. */
  close(): void;
}
