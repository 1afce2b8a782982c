/**
 * What is open, as pixels. A photo has one frame; a video decodes frames when they are asked for, and holds few of them.
 */
import type { ImageInput } from "sam2-ts";
import type { Source } from "../state/document.ts";

export interface Media {
  readonly source: Source;
  /** A frame to look at; the caller closes it. @throws the signal's reason if aborted */
  picture(frame: number, signal?: AbortSignal): Promise<ImageBitmap>;
  /** The same frame for the model: a file as it is where the model reads it, so that its pixels are the command line's. */
  input(frame: number, signal?: AbortSignal): Promise<ImageInput>;
  /** What keeps it for the next visit and in projects: the file, or undefined of what is drawn. */
  readonly file: Blob | undefined;
  close(): void;
}
