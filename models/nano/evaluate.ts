/**
 * Held-out figures of nano, beside those that evaluate.py got from PyTorch on the same stills and clips.
 *
 *     npx tsx models/nano/evaluate.ts            200 stills (half a minute), 50 clips (four minutes)
 *
 * Stills: IoU by one click, by box, after two corrections of the click, and by a flood fill from the click. Clips: J from
 * one click on frame 0; J where the hero shows after it was wholly gone; how often the sign of the object score is right.
 */
import { fileURLToPath } from "node:url";
import figures from "../../golden/nano_figures.json" with { type: "json" };
import { ImagePredictor, Sam2, VideoPredictor } from "../../src/index.node.ts";
import {
  byBox,
  byClick,
  byCorrection,
  type ClipScores,
  firstClick,
  floodFill,
  iou,
  scoreClip,
  tasks,
} from "./scoring.ts";

const STILLS = 200;
/** The first seed; training draws from 1,000,000 on. */
const FIRST_SEED = 0;
const CORRECTIONS = 2;
const KINDS = ["click", "box", "corrected", "flood"] as const;

export type Scores = Record<(typeof KINDS)[number], number[]>;

/** IoU of one target of each of the first `count` held-out stills. */
export async function scoreStills(sam2: Sam2, count: number): Promise<Scores> {
  const predictor = new ImagePredictor(sam2);
  const scores: Scores = { click: [], box: [], corrected: [], flood: [] };
  for (const task of tasks(FIRST_SEED, count, sam2.config.imageSize)) {
    await predictor.setImage(task.picture);
    let answer = await byClick(predictor, task);
    scores.click.push(answer.iou);
    for (let n = 0; n < CORRECTIONS; n++) answer = (await byCorrection(predictor, task, answer)) ?? answer;
    scores.corrected.push(answer.iou);
    scores.box.push((await byBox(predictor, task)).iou);
    scores.flood.push(iou(floodFill(task.picture, firstClick(task.picture, task.target)), task.target.mask));
  }
  return scores;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Mean J, mean J where the hero shows after it was wholly gone, share of frames with the right sign of the score. */
export function summary(clips: readonly ClipScores[]) {
  const after = clips.flatMap(({ j, present }) =>
    j.filter((_, t) => present[t] && present.slice(0, t).includes(false)),
  );
  const signs = clips.flatMap(({ score, present }) => score.map((x, t) => Number(x > 0 === present[t])));
  return { j: mean(clips.flatMap(({ j }) => j)), j_after_absence: mean(after), sign: mean(signs) };
}

async function run(): Promise<void> {
  await using sam2 = await Sam2.fromPretrained(new URL("nano.safetensors", import.meta.url));
  const scores = await scoreStills(sam2, STILLS);
  console.log(`${STILLS} stills      mean IoU  median   PyTorch's mean`);
  for (const kind of KINDS) {
    const row = [mean(scores[kind]), median(scores[kind]), mean(figures.stills[kind])].map((x) => x.toFixed(4));
    console.log(`${kind.padEnd(15)} ${row[0].padStart(9)}  ${row[1]} ${row[2].padStart(16)}`);
  }

  const predictor = new VideoPredictor(sam2);
  const clips: ClipScores[] = [];
  for (const { seed } of figures.clips) clips.push(await scoreClip(predictor, seed, sam2.config.imageSize));
  console.log(`\n${clips.length} clips          mean           PyTorch's mean`);
  for (const [name, value] of Object.entries(summary(clips)) as ["j" | "j_after_absence" | "sign", number][]) {
    console.log(`${name.padEnd(15)} ${value.toFixed(4).padStart(9)} ${figures.summary[name].toFixed(4).padStart(24)}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
