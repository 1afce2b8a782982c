/**
 * Held-out figures of nano: mean and median IoU by one click, by box and after two corrections, a flood fill's beside them,
 * and the means of PyTorch on the same 200 stills, as evaluate.py measured them.
 *
 *     npx tsx models/nano/evaluate.ts
 */
import { fileURLToPath } from "node:url";
import figures from "../../golden/nano_figures.json" with { type: "json" };
import { ImagePredictor, Sam2 } from "../../src/index.node.ts";
import { byBox, byClick, byCorrection, firstClick, floodFill, iou, tasks } from "./scoring.ts";

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
    scores.flood.push(iou(floodFill(task.picture, firstClick(task)), task.target.mask));
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

async function run(): Promise<void> {
  await using sam2 = await Sam2.fromPretrained(new URL("nano.safetensors", import.meta.url));
  const scores = await scoreStills(sam2, STILLS);
  console.log(`IoU on ${STILLS} stills   mean  median   PyTorch's mean`);
  for (const kind of KINDS) {
    const row = [mean(scores[kind]), median(scores[kind]), mean(figures.stills[kind])].map((x) => x.toFixed(4));
    console.log(`${kind.padEnd(18)} ${row[0]}  ${row[1]}           ${row[2]}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
