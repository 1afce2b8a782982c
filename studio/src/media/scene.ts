/** The drawing of the first visit: nano knows such scenes, so that the first click is answered well, and at once. */
import type { Media } from "./media.ts";
import { regular } from "./regular.ts";
import { startWorker } from "./start_worker.ts";

/** Never seen in training. */
const SEED = 152;
const SIZE = 640;

interface Drawn {
  width: number;
  height: number;
  /** RGB */
  data: Uint8Array;
  image: ImageData;
}

export async function drawnScene(): Promise<Media> {
  const worker = startWorker("scene");
  const { image, ...pixels } = await new Promise<Drawn>((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
    worker.addEventListener("error", () => reject(new Error("the drawing's program could not be loaded")));
    worker.postMessage({ seed: SEED, size: SIZE });
  });
  worker.terminate();
  return {
    source: { id: "scene", kind: "photo", name: "A drawing", width: SIZE, height: SIZE, frames: 1, isDrawn: true },
    picture: () => createImageBitmap(image),
    input: async () => pixels,
    ...regular(1, 1),
    files: [],
    close: () => {},
  };
}
