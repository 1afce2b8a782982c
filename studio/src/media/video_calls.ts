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

export interface VideoCalls {
  open: { asks: { file: Blob; name: string }; answers: VideoInfo };
  /** to look at */
  picture: { asks: { frame: number }; answers: ImageBitmap };
  /** for the model */
  pixels: { asks: { frame: number }; answers: PixelArray };
}
