// Beside the model: images decoded in a worker of their own, and a model that gives way to others.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenImage } from "../../golden/hash_image.ts";
import { leaveOut } from "../../tests/left_out.ts";
import { ImageError } from "../errors.ts";
import { decodeImage } from "../io/image.ts";
import { encodePng } from "../io/png.ts";
import { nodePlatform } from "../platform/node.ts";
import { setPlatform } from "../platform/platform.ts";
import { ImageDecoder } from "./image_decoder.ts";
import { ImagePredictor } from "./image_predictor.ts";
import { Sam2 } from "./sam2.ts";

setPlatform(nodePlatform);
const png = encodePng({ width: 40, height: 30, channels: 3, data: goldenImage(1, 40, 30) });
const { signal } = new AbortController();

const Beside = suite("beside the model");

Beside("an ImageDecoder gives decodeImage's pixels, and what is no image alone is refused", async () => {
  const decoder = new ImageDecoder();
  const [image, refused, again] = await Promise.all([
    decoder.decode(png, signal),
    decoder.decode(new TextEncoder().encode("no picture"), signal).catch((error) => error),
    decoder.decode(png, signal),
  ]);
  assert.equal(image, await decodeImage(png));
  assert.equal(again, image);
  assert.instance(refused, ImageError);
  const stopped = await decoder.decode(png, AbortSignal.abort(new Error("gone"))).catch((error) => error.message);
  assert.is(stopped, "gone");
  await decoder.dispose();
});

Beside("a model in the background gives the same bits", async () => {
  const [front, behind] = await Promise.all(
    [false, true].map(async (background) => {
      const sam2 = await Sam2.fromPretrained("nano", { threads: 2, background });
      const predictor = new ImagePredictor(sam2);
      await predictor.setImage(png);
      const { iouPredictions, lowResMasks } = await predictor.predict({ points: [[20, 15]] });
      await sam2.dispose();
      return [...iouPredictions, ...lowResMasks[0]];
    }),
  );
  assert.equal(behind, front);
});

if (process.platform === "linux" && spawnSync("nice").status === 0) {
  Beside("its threads have the lowest priority, its caller's stay as they were", async () => {
    const before = niceOfThreads();
    const sam2 = await Sam2.fromPretrained("nano", { threads: 2, background: true });
    const [low, after] = [Math.max(...before.values()), niceOfThreads()];
    const began = [...after].filter(([thread]) => !before.has(thread)).map(([, nice]) => nice);
    assert.ok(began.filter((nice) => nice > low).length >= 2, began.join());
    for (const [thread, nice] of before) if (after.has(thread)) assert.is(after.get(thread), nice);
    await sam2.dispose();
  });
} else leaveOut("priorities of threads", "they are the process's here", 1);

/** By number of the thread, as Linux tells. */
function niceOfThreads(): Map<string, number> {
  const threads = readdirSync("/proc/self/task").map((thread): [string, number] => {
    const fields = readFileSync(`/proc/self/task/${thread}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return [thread, Number(fields[16])];
  });
  return new Map(threads);
}

Beside.run();
