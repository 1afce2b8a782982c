/** Draws the scene of the first visit, which takes a tenth of a second. */
import { still } from "../../../models/nano/scenes.ts";

const worker = globalThis as unknown as Pick<Worker, "postMessage" | "addEventListener">;

worker.addEventListener("message", async ({ data: { seed, size } }: MessageEvent<{ seed: number; size: number }>) => {
  const { data: rgb } = still(seed, size);
  const image = new ImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    image.data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  worker.postMessage({ data: rgb, width: size, height: size, image }, [
    rgb.buffer as ArrayBuffer,
    image.data.buffer as ArrayBuffer,
  ]);
});
