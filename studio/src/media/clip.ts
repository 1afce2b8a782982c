/** The drawn clip of the first visit: its hero goes behind another thing and comes back. Frames are drawn when they are seen. */
import type { ClipCalls } from "./clip_worker.ts";
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";
import { startWorker } from "./start_worker.ts";
import { asked } from "./worker_calls.ts";

const FRAMES = 60;
const FRAMES_PER_SECOND = 12;
const SIZE = 400;

export function drawnClip(): Media {
  const { ask, rest } = asked<ClipCalls>(
    () => startWorker("clip"),
    "The program that draws the clip stopped; do that once more.",
  );
  return {
    source: {
      id: "clip",
      kind: "video",
      name: "A drawn clip",
      width: SIZE,
      height: SIZE,
      frames: FRAMES,
      framesPerSecond: FRAMES_PER_SECOND,
      isDrawn: true,
    },
    picture: (frame) => ask("picture", { frame, size: SIZE }),
    input: (frame) => ask("pixels", { frame, size: SIZE }),
    ...regular(FRAMES_PER_SECOND, FRAMES),
    files: [],
    close: rest,
  };
}
