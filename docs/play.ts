/**
 * The exercises of the tour: one click on a drawn scene, or one object through a clip, on a model that is tampered with.
 *
 *     npx tsx docs/play.ts click  [--watch PATH] [--scalar KERNEL] [--without TENSOR] [--scene SEED --object CODE]
 *     npx tsx docs/play.ts survey [--without TENSOR]
 *     npx tsx docs/play.ts track  [--memories 1…7] [--without TENSOR] [--clip SEED]
 */
import { parseArgs } from "node:util";
import { still, type Target, targets } from "../models/nano/scenes.ts";
import { firstClick, iou } from "../models/nano/scoring.ts";
import { watch } from "../src/nn/layer.ts";
import { ImagePredictor, type Prediction } from "../src/predict/image_predictor.ts";
import type { Sam2 } from "../src/predict/sam2.ts";
import { VideoPredictor } from "../src/predict/video_predictor.ts";
import type { Kernels } from "../src/runtime/kernels.ts";
import { formatShape } from "../src/tensor/shape.ts";
import { CLIP, clickedScene, clip, loadNano, SCENE, shapesOf, type Tampering } from "./nano.ts";

const SURVEY_SEEDS = [3, 5, 8, 13, 19, 24];
const COLUMNS = 48; // of a mask in the terminal

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    watch: { type: "string" },
    scalar: { type: "string" },
    without: { type: "string" },
    memories: { type: "string" },
    scene: { type: "string", default: `${SCENE.seed}` },
    clip: { type: "string", default: `${CLIP.seed}` },
    object: { type: "string", default: `${SCENE.code}` },
  },
});
const how: Tampering = {
  scalar: values.scalar as keyof Kernels | undefined,
  without: values.without,
  memories: values.memories === undefined ? undefined : Number(values.memories),
};
const isTampered = Object.values(how).some((value) => value !== undefined);
const exercises: Record<string, () => Promise<void>> = { click, survey, track };
const exercise = exercises[positionals[0]];
if (!exercise) throw new Error(`play: expected one of ${Object.keys(exercises).join(", ")}, got ${positionals[0]}`);
await exercise();

/** Three masks for one click. */
async function click(): Promise<void> {
  const scene = { ...SCENE, seed: Number(values.scene), code: Number(values.object) };
  const { picture, target, click } = clickedScene(scene);
  const ask = async (sam2: Sam2): Promise<Prediction> => {
    const predictor = new ImagePredictor(sam2);
    await predictor.setImage(picture);
    return predictor.predict({ points: [click] });
  };
  const sam2 = await loadNano(how);
  const found = values.watch === undefined ? await ask(sam2) : await watched(values.watch, () => ask(sam2));

  console.log(`scene ${scene.seed}, object ${scene.code}, click at (${click.join(", ")})`);
  console.log("mask  predicted IoU  IoU with the truth");
  for (const [k, mask] of found.masks.entries()) {
    const columns = [found.iouPredictions[k].toFixed(2).padStart(13), iou(mask, target.mask).toFixed(2).padStart(18)];
    console.log(`${`${k}`.padStart(4)}  ${columns.join("  ")}`);
  }
  const best = bestOf(found);
  if (isTampered) {
    const before = await ask(await loadNano());
    const change = largestDifference(found.lowResMasks[best], before.lowResMasks[best]);
    console.log(`without the tampering, mask ${best} has IoU ${iou(before.masks[best], target.mask).toFixed(2)};`);
    console.log(`the largest change of one of its logits is ${change === 0 ? "0" : change.toPrecision(2)}`);
  }
  console.log(drawn(found.masks[best], target.mask, picture.width, COLUMNS).join("\n"));
}

/** Print the layers below a path as they finish. */
function watched<R>(path: string, run: () => Promise<R>): Promise<R> {
  return watch((event) => {
    if (!`${event.path}.`.startsWith(`${path}.`)) return;
    const [from, to] = [event.args, event.output].map((value) => shapesOf(value).map(formatShape).join(" "));
    console.log(`${event.path} ${event.class}: ${from} → ${to}`);
  }, run);
}

/** One click on every target of several scenes, with the model as it is and tampered with. */
async function survey(): Promise<void> {
  const scores = async (sam2: Sam2) => {
    const predictor = new ImagePredictor(sam2);
    const found: { seed: number; target: Target; mask: Uint8Array; score: number }[] = [];
    for (const seed of SURVEY_SEEDS) {
      const picture = still(seed, sam2.config.imageSize);
      await predictor.setImage(picture);
      for (const target of targets(picture)) {
        const answer = await predictor.predict({ points: [firstClick(picture, target)] });
        const mask = answer.masks[bestOf(answer)];
        found.push({ seed, target, mask, score: iou(mask, target.mask) });
      }
    }
    return found;
  };
  const before = await scores(await loadNano());
  const after = await scores(await loadNano(how));
  console.log(`${before.length} clicks    mean IoU  least`);
  for (const [name, list] of [
    ["as it is", before],
    ["tampered", after],
  ] as const) {
    const all = list.map(({ score }) => score);
    console.log(
      `${name.padEnd(12)} ${mean(all).toFixed(2).padStart(7)}  ${Math.min(...all)
        .toFixed(2)
        .padStart(5)}`,
    );
  }
  const moves = after.map(({ score }, i) => Math.abs(score - before[i].score));
  const farthest = moves.indexOf(Math.max(...moves));
  const { seed, target, mask, score } = after[farthest];
  console.log(`masks that moved by more than 0.05: ${moves.filter((move) => move > 0.05).length}`);
  console.log(
    `the farthest, ${before[farthest].score.toFixed(2)} → ${score.toFixed(2)}: scene ${seed}, object ${target.code}`,
  );
  const width = Math.sqrt(mask.length);
  const [left, right] = [before[farthest].mask, mask].map((found) => drawn(found, target.mask, width, COLUMNS / 2));
  console.log(left.map((line, i) => `${line}  ${right[i]}`).join("\n"));
}

/** The hero of the clip, from one click on frame 0. */
async function track(): Promise<void> {
  const { frames, truth, click } = clip({ ...CLIP, seed: Number(values.clip) });
  const predictor = new VideoPredictor(await loadNano({ ...how, kernels: "auto" }));
  const state = await predictor.initState(frames);
  await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [click] });
  const scores: number[] = [];
  const lines: string[] = [];
  for await (const { frame, objects } of predictor.propagateInVideo(state)) {
    const [{ score, mask }] = objects;
    scores.push(iou(mask, truth[frame]));
    lines.push(`${`${frame}`.padStart(5)}  ${score!.toFixed(1).padStart(5)}  ${scores.at(-1)!.toFixed(2)}`);
  }
  console.log(`clip ${values.clip}, maps in the memory bank: ${predictor.sam2.config.numMaskmem}`);
  console.log(`mean IoU over ${scores.length} frames: ${mean(scores).toFixed(2)}`);
  console.log("frame  score   IoU");
  console.log(lines.join("\n"));
}

function bestOf({ iouPredictions }: Prediction): number {
  return iouPredictions.indexOf(Math.max(...iouPredictions));
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

/** █ found and right, ▒ found and wrong, ░ missed. A character is as tall as two of its widths. */
function drawn(found: Uint8Array, truth: Uint8Array, width: number, columns: number): string[] {
  const step = width / columns;
  const at = (mask: Uint8Array, x: number, y: number) => mask[Math.floor(y) * width + Math.floor(x)];
  return Array.from({ length: columns / 2 }, (_, row) => {
    const cells = Array.from({ length: columns }, (_, column) => {
      const [x, y] = [(column + 0.5) * step, (row + 0.5) * 2 * step];
      return " ░▒█"[at(truth, x, y) + 2 * at(found, x, y)];
    });
    return `|${cells.join("")}|`;
  });
}
