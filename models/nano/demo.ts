/**
 * npm run demo: draws a scene, asks nano for things in it by a click, by a box and by a click with corrections, and writes
 * masks and overlays to demo-output/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { ImagePredictor, Sam2 } from "../../src/index.node.ts";
import { encodeMaskPng } from "../../src/io/masks.ts";
import { overlay } from "../../src/io/overlay.ts";
import { encodePng } from "../../src/io/png.ts";
import { still, targets } from "./scenes.ts";
import { type Answer, byBox, byClick, byCorrection, type Task } from "./scoring.ts";

const FOLDER = "demo-output";
const SEED = 13; // held out: training never saw it
const SIZE = 512;

const picture = still(SEED, SIZE);
const found = targets(picture);
const task = (code: number): Task => ({ seed: SEED, picture, target: found.find((target) => target.code === code)! });

mkdirSync(FOLDER, { recursive: true });
writeFileSync(`${FOLDER}/scene.png`, encodePng({ ...picture, channels: 3 }));

const [sam2, loading] = await timed(() => Sam2.fromPretrained());
const predictor = new ImagePredictor(sam2);
const [, encoding] = await timed(() => predictor.setImage(picture));
console.log(
  `A drawn scene, ${SIZE}×${SIZE}. Loaded the model in ${loading}, looked at the scene in ${encoding}. Then:\n`,
);
console.log("                    IoU with the truth   model's guess    time");

await show("click", () => byClick(predictor, task(3)));
await show("box", () => byBox(predictor, task(4)));
const clicked = await show("another click", () => byClick(predictor, task(2)));
const corrected = await show("correction 1", () => byCorrection(predictor, task(2), clicked!));
if (corrected) await show("correction 2", () => byCorrection(predictor, task(2), corrected));
await sam2.dispose();

console.log(`\nIn ${FOLDER}/: scene.png, and for each line NAME.png (the mask over the scene) and NAME_mask.png.`);
console.log(
  "On a photo of yours: npx sam2-ts download tiny, npx sam2-ts segment photo.jpg --point 500,375 --model tiny",
);

/** Ask, print a line of the table, and write the pictures. */
async function show(name: string, ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
  const [answer, ms] = await timed(ask);
  if (!answer) return undefined;
  const { prompt, prediction, best, iou } = answer;
  const mask = prediction.masks[best];
  const file = name.replace(" ", "_");
  writeFileSync(`${FOLDER}/${file}_mask.png`, encodeMaskPng(mask, SIZE, SIZE));
  writeFileSync(`${FOLDER}/${file}.png`, encodePng({ ...overlay(picture, [mask], [prompt]), channels: 3 }));
  const guess = prediction.iouPredictions[best].toFixed(3);
  console.log(`  ${name.padEnd(16)} ${iou.toFixed(3).padStart(19)}  ${guess.padStart(14)}  ${ms.padStart(7)}`);
  return answer;
}

async function timed<T>(run: () => Promise<T>): Promise<[result: T, ms: string]> {
  const start = performance.now();
  const result = await run();
  return [result, `${Math.round(performance.now() - start)} ms`];
}
