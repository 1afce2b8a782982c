// What a frame of a video costs around the model, at 1024² and without it; and with nano, all in all.
import { goldenFrame, goldenImage } from "../golden/hash_image.ts";
import { crc32 } from "../src/io/crc32.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import type { RgbImage } from "../src/io/image.ts";
import { encodePalettePng } from "../src/io/masks.ts";
import { encodeRle } from "../src/io/rle.ts";
import { preprocessFrame } from "../src/predict/preprocess.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { videoMasks } from "../src/predict/video_masks.ts";
import { VideoPredictor } from "../src/predict/video_predictor.ts";
import type { Peak } from "../src/runtime/peak.ts";
import { type Row, toRow } from "./bench.ts";

const FULL_HD = { width: 1920, height: 1080 };
const HD = { width: 1280, height: 720 };
const RUNS = 9;
/** Frames until the memory is full: seven maps, sixteen pointers. */
const FILLING = 16;

/** Rows by their names; `io.frame` has two. */
export const FRAME_NAMES = ["io.frame", "frame.nano"];

/** Time the wanted ones on `threads` threads. */
export async function measureFrames(names: readonly string[], threads: number, peak: Peak): Promise<Row[]> {
  const rows: Row[] = [];
  if (names.includes("io.frame")) for (const size of [FULL_HD, HD]) rows.push(await aroundModel(size, threads, peak));
  if (names.includes("frame.nano")) rows.push(await nanoFrame(threads, peak));
  return rows;
}

/** RGB → the tensor that the encoder takes, and its checksum; logits → a mask, its run lengths and a palette PNG. */
async function aroundModel(size: Size, threads: number, peak: Peak): Promise<Row> {
  const sam2 = await Sam2.fromPretrained(DEMO_MODEL.url, { kernels: "auto", threads, imageSize: 1024 });
  const { imageSize } = sam2.config;
  const frame = { ...size, data: goldenImage(3, size.width, size.height) };
  const predMasks = disc(imageSize / 4);
  const run = () => {
    sam2.run(() => void preprocessFrame(frame, imageSize));
    crc32(frame.data);
    const [{ mask }] = videoMasks(sam2, size, [{ id: 1, predMasks }], false, false);
    encodeRle(mask, size.width, size.height);
    encodePalettePng(mask, size.width, size.height);
  };
  for (let i = 0; i < RUNS; i++) run(); // warm up
  sam2.machine.heap.resetPeak(0);
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  sam2.dispose();
  return toRow(sam2.machine, { group: "stage", name: "io.frame", shape: shapeOf(size) }, 0, times, peak);
}

/** Logits of a disc in the middle of a map. */
function disc(side: number): Float32Array {
  const at = (i: number) => Math.hypot((i % side) - side / 2, Math.floor(i / side) - side / 2);
  return Float32Array.from({ length: side * side }, (_, i) => side / 4 - at(i));
}

/** A tracked frame of one object with a full memory: from RGB to its mask at the size of the video. */
async function nanoFrame(threads: number, peak: Peak): Promise<Row> {
  const sam2 = await Sam2.fromPretrained(DEMO_MODEL.url, { kernels: "auto", threads });
  const { machine } = sam2;
  const frames = Array.from({ length: 4 }, (_, t) => ({ ...HD, data: goldenFrame(3, t, HD.width, HD.height) }));
  async function* film(): AsyncGenerator<RgbImage> {
    for (let t = 0; t < FILLING + 1 + RUNS; t++) yield frames[t % frames.length];
  }
  const predictor = new VideoPredictor(sam2);
  const state = await predictor.initState(film());
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [[HD.width / 2, HD.height / 2]] });
  const times: number[] = [];
  let [start, before] = [0, 0];
  for await (const { frame } of predictor.propagateInVideo(state)) {
    if (frame > FILLING) times.push(performance.now() - start);
    if (frame === FILLING) {
      machine.heap.resetPeak(0);
      before = machine.macs;
    }
    start = performance.now();
  }
  const flop = (2 * (machine.macs - before)) / times.length;
  sam2.dispose();
  return toRow(machine, { group: "stage", name: "frame.nano", shape: shapeOf(HD) }, flop, times, peak);
}

type Size = Pick<RgbImage, "width" | "height">;

function shapeOf({ width, height }: Size): number[] {
  return [1, height, width, 3];
}
