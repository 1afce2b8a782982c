import type { Media } from "./media.ts";

/** When frames are shown that follow each other evenly. */
export function regular(framesPerSecond: number, frames: number): Pick<Media, "timeOf" | "frameAt"> {
  return {
    timeOf: (frame) => frame / framesPerSecond,
    frameAt: (time) => Math.min(frames - 1, Math.max(0, Math.floor(time * framesPerSecond + 1e-6))),
  };
}
