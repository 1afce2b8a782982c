import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenFrame } from "../../golden/hash_image.ts";
import { enterFolder, sam2, smallWeights, writeCheckpoint } from "../../tests/cli_fixture.ts";
import { encodePng } from "../io/png.ts";
import { nodePlatform } from "../platform/node.ts";
import { VideoPredictor } from "../predict/video_predictor.ts";

const [W, H, FRAMES] = [64, 48, 8];
/** Turns of the event loop after which nothing more is expected to happen. */
const PATIENCE = 20_000;
const { leave } = enterFolder();
writeCheckpoint("small.safetensors", smallWeights());
mkdirSync("frames");
for (let t = 0; t < FRAMES; t++) {
  const png = encodePng({ width: W, height: H, channels: 3, data: goldenFrame(31, t, W, H) });
  writeFileSync(`frames/${t}.png`, png);
}

/** How many results there are, and how many of them are compressed; no picture is before `isTime`. */
const count = { computed: 0, compressed: 0, mostHeld: 0 };
let isTime = () => true;
const { propagateInVideo } = VideoPredictor.prototype;
VideoPredictor.prototype.propagateInVideo = async function* (...args) {
  for await (const result of propagateInVideo.apply(this, args)) {
    count.computed++;
    count.mostHeld = Math.max(count.mostHeld, count.computed - count.compressed);
    yield result;
  }
};
const { deflateAside } = nodePlatform;
nodePlatform.deflateAside = async (...picture) => {
  for (let turn = 0; turn < PATIENCE && !isTime(); turn++) await nextTurn();
  count.compressed++;
  return deflateAside!(...picture);
};

const track = (out: string, signal?: AbortSignal) => {
  Object.assign(count, { computed: 0, compressed: 0, mostHeld: 0 });
  const prompt = ["--object", "1", "--point", "20,15"];
  const model = ["--model", "small.safetensors", "--threads", "1"];
  return sam2(["track", "frames", ...model, ...prompt, "--out", out, "--quiet"], { signal });
};
const linesOf = (out: string) => readFileSync(`${out}/frames.jsonl`, "utf8").trimEnd().split("\n");

const Overlap = suite("results and frames at once");

Overlap("a frame is computed while the files of the one before are written; two results are held at most", async () => {
  const waits: boolean[] = [];
  isTime = () => {
    const next = Math.min(FRAMES, count.compressed + 2);
    waits[count.compressed] = count.computed >= next;
    return waits[count.compressed];
  };
  assert.is((await track("slow")).code, 0);
  assert.equal(waits, new Array(FRAMES).fill(true), "the next frame is computed before a picture is compressed");
  assert.is(count.mostHeld, 2);
  assert.is(linesOf("slow").length, FRAMES);
});

Overlap("an abort while files are written leaves whole frames, and nothing else", async () => {
  const controller = new AbortController();
  isTime = () => {
    if (count.computed === 4) controller.abort(new Error("enough"));
    return count.computed === 4 || count.compressed < 2;
  };
  const { code } = await track("aborted", controller.signal);
  assert.is.not(code, 0);
  const lines = linesOf("aborted");
  assert.ok(lines.length >= 3 && lines.length < FRAMES, `${lines.length} frames`);
  const names = lines.map((line) => `${JSON.parse(line).frame}.png`);
  assert.equal(readdirSync("aborted/masks").sort(), names.sort());
  assert.equal(readdirSync("aborted").sort(), ["frames.jsonl", "masks"]);
});

Overlap.after(leave);
Overlap.run();
