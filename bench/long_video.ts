// npx tsx bench/long_video.ts [frames]: nano follows three discs through a stream of frames, drawn as they are asked for.
// Resident memory may not grow by 1 KiB a frame or more after the first hundred. What is kept does not depend on the size
// that the model works at, so that is the smallest.
import { readCheckpoint } from "../src/io/checkpoint.ts";
import { DEMO_MODEL } from "../src/io/demo_model.ts";
import type { RgbImage } from "../src/io/image.ts";
import { nodePlatform } from "../src/platform/node.ts";
import { setPlatform } from "../src/platform/platform.ts";
import { Sam2 } from "../src/predict/sam2.ts";
import { VideoPredictor } from "../src/predict/video_predictor.ts";

const [WIDTH, HEIGHT] = [160, 120];
const IMAGE_SIZE = 128;
const WARM_UP = 100;
const EVERY = 100;
const LIMIT = 1024; // bytes a frame

/** Three discs on orbits over a gradient. */
function draw(t: number): RgbImage {
  const data = new Uint8Array(3 * WIDTH * HEIGHT);
  for (let y = 0, i = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, i += 3) {
      data.fill(60 + ((x + y) >> 1), i, i + 3);
      for (let c = 0; c < 3; c++) {
        const [cx, cy] = centre(c, t);
        if ((x - cx) ** 2 + (y - cy) ** 2 < 150) data[i + c] = 255;
      }
    }
  }
  return { width: WIDTH, height: HEIGHT, data };
}

function centre(disc: number, t: number): [x: number, y: number] {
  const angle = t / 40 + (2 * Math.PI * disc) / 3;
  return [WIDTH / 2 + 50 * Math.cos(angle), HEIGHT / 2 + 35 * Math.sin(angle)];
}

async function* stream(frames: number): AsyncGenerator<RgbImage> {
  for (let t = 0; t < frames; t++) yield draw(t);
}

/** Growth of y with x, by least squares. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  const dot = (of: 0 | 1) => points.reduce((sum, point) => sum + (point[0] - mx) * (point[of] - [mx, my][of]), 0);
  return dot(1) / dot(0);
}

const frames = Number(process.argv[2] ?? 10000);
if (!Number.isInteger(frames) || frames < 2 * WARM_UP) {
  console.error(`long_video: expected at least ${2 * WARM_UP} frames, got ${process.argv[2]}`);
  process.exit(2);
}
setPlatform(nodePlatform);
const checkpoint = await readCheckpoint(DEMO_MODEL.url);
const predictor = new VideoPredictor(await Sam2.fromCheckpoint(checkpoint, { imageSize: IMAGE_SIZE, threads: 1 }));
checkpoint.close();
const state = await predictor.initState(stream(frames));
for (const disc of [0, 1, 2]) {
  await predictor.addNewPointsOrBox(state, { frame: 0, object: disc + 1, points: [centre(disc, 0)] });
}

const seen: [frame: number, bytes: number][] = [];
const start = performance.now();
for await (const { frame, objects } of predictor.propagateInVideo(state)) {
  if (frame % EVERY !== 0) continue;
  const resident = process.memoryUsage.rss();
  if (frame >= WARM_UP) seen.push([frame, resident]);
  const present = objects.filter(({ score }) => score! > 0).length;
  const speed = frame / ((performance.now() - start) / 1000);
  const kept = [...state.objects.values()].map(({ nonCond }) => nonCond.size).join(" ");
  if (frame % (10 * EVERY) === 0) {
    const mib = (resident / 2 ** 20).toFixed(1);
    console.log(`frame ${frame}: ${mib} MiB, ${present} objects, kept ${kept}, ${speed.toFixed(1)} frames/s`);
  }
}
const growth = slope(seen);
console.log(`resident memory grows by ${growth.toFixed(0)} bytes a frame from frame ${WARM_UP} to ${frames}`);
if (growth >= LIMIT) {
  console.error(`long_video: expected less than ${LIMIT} bytes a frame`);
  process.exit(1);
}
