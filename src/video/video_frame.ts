import { drawnPixels } from "../io/canvas.ts";
import type { PixelArray } from "../io/image_input.ts";

/** A frame of WebCodecs, as `VideoDecoder` and `MediaStreamTrackProcessor` give them. */
export interface VideoFrameLike {
  /** pixels */
  readonly displayWidth: number;
  /** pixels */
  readonly displayHeight: number;
  /** as VideoFrame's */
  copyTo(into: Uint8Array, options: { format: "RGBA" }): Promise<unknown>;
  /** as VideoFrame's */
  close(): void;
}

/** A frame of a stream of which some are dropped, and its number among all that came. */
export interface Arrived<T> {
  image: T;
  arrival: number;
}

export function isArrived<T>(frame: T | Arrived<T>): frame is Arrived<T> {
  return typeof frame === "object" && frame !== null && "arrival" in frame;
}

export function isVideoFrame(image: unknown): image is VideoFrameLike {
  return typeof image === "object" && image !== null && "displayWidth" in image && "copyTo" in image;
}

/**
 * The pixels as a page shows them: upright, at the size of display. The frame is closed, for a decoder goes on only when
 * its frames are given back.
 */
export async function takePixels(frame: VideoFrameLike): Promise<PixelArray> {
  const { displayWidth: width, displayHeight: height } = frame;
  try {
    if (typeof OffscreenCanvas === "undefined") {
      const data = new Uint8Array(4 * width * height);
      await frame.copyTo(data, { format: "RGBA" });
      return { width, height, data };
    }
    return drawnPixels(frame, "VideoFrame");
  } finally {
    frame.close();
  }
}
