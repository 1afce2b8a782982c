import { ImageError } from "../errors.ts";
import type { RgbImage } from "../io/image.ts";

/** The frames of a video, all of one size, by number from 0. */
export interface Frames {
  /** Infinity while it is not known: of a stream for ever, of a video file until its end was seen */
  readonly count: number;
  /** how many there probably are; Infinity if nothing tells */
  readonly estimate: number;
  /** the latest frame that can be read at once, as far as is known; of a stream, the last that has arrived */
  readonly last: number;
  /** pixels */
  readonly width: number;
  /** pixels */
  readonly height: number;
  /** name of the file that holds a frame, if it is in a folder */
  name(frame: number): string | undefined;
  /** number of a frame among all that arrived, if it is the last of a stream of which some are dropped */
  arrival?(frame: number): number | undefined;
  /**
   * An image is lent until the next call, which may write another frame into it.
   *
   * @param step 1 or −1: where the next frame will be; 0 if there is none
   * @returns undefined after the last frame
   * @throws ImageError naming the frame
   */
  read(frame: number, step: number, signal?: AbortSignal): Promise<RgbImage | undefined>;
  /** Give back what reading needs. */
  close(): void;
}

/** Options of opening a video. */
export interface ReadOptions {
  signal?: AbortSignal;
  /** told of frames on the way to the one that was asked for */
  onSkip?: (frame: number) => void;
}

export function expectSize(image: RgbImage, { width, height }: { width: number; height: number }, where: string): void {
  if (image.width === width && image.height === height) return;
  const got = `${image.width}×${image.height}`;
  throw new ImageError(where, `${width}×${height}, as frame 0`, got, "bring all frames to one size");
}
