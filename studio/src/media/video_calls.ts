/** What the page and the worker that decodes a video say to each other. */

import type { PixelArray } from "sam2-ts";

export interface VideoInfo {
  /** pixels, upright and square, as players show it */
  width: number;
  /** pixels, upright and square, as players show it */
  height: number;
  /** when each frame is shown, in order. @units s */
  times: Float64Array;
  /** @units s */
  duration: number;
}

export interface VideoFile {
  file: Blob;
  name: string;
}

/** Each says which video it is about: a worker that was started anew has none open. */
export interface VideoCalls {
  open: { asks: VideoFile; answers: VideoInfo };
  /** to look at */
  picture: { asks: VideoFile & { frame: number }; answers: ImageBitmap };
  /** for the model */
  pixels: { asks: VideoFile & { frame: number }; answers: PixelArray };
}
