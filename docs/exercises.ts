/** What docs/play.ts runs. */
import { area, type Frame, still, type Target, targets } from "../models/nano/scenes.ts";
import { firstClick, iou } from "../models/nano/scoring.ts";
import type { Click } from "../src/cli/options.ts";
import { UsageError } from "../src/errors.ts";
import { type LayerEvent, watch } from "../src/nn/layer.ts";
import { ImagePredictor, type Prediction } from "../src/predict/image_predictor.ts";
import type { Sam2 } from "../src/predict/sam2.ts";
import { shapesOf } from "../src/predict/trace.ts";
import { VideoPredictor } from "../src/predict/video_predictor.ts";
import { formatShape } from "../src/tensor/shape.ts";
import { CLIP, clickedScene, clip, loadNano, nearest, paths, SCENE, type Tampering } from "./nano.ts";

/** What is asked of an exercise; what it does not take is undefined. */
export interface Asked {
  how: Tampering;
  watch?: string;
  scene?: number;
  object?: number;
  clip?: number;
  clicks?: Click[];
  box?: [number, number, number, number];
}
export type Exercise = (asked: Asked) => Promise<void>;

const SURVEY_SEEDS = [3, 5, 8, 13, 19, 24];
const COLUMNS = 48; // of a mask in the terminal

/** Three masks for one prompt. */
export async function click({ how, watch: path, scene: seed, object, clicks, box }: Asked): Promise<void> {
  const code = object ?? (seed === undefined ? SCENE.code : targets(still(seed, SCENE.size))[0]?.code);
  const scene = { ...SCENE, seed: seed ?? SCENE.seed, code };
  const { picture, target, click } = clickedScene(scene);
  const prompt = {
    points: clicks?.map(({ point }) => point) ?? (box ? undefined : [click]),
    labels: clicks?.map(({ label }) => label),
    box,
  };
  const ask = async (sam2: Sam2): Promise<Prediction> => {
    const predictor = new ImagePredictor(sam2);
    await predictor.setImage(picture);
    return predictor.predict(prompt);
  };
  const sam2 = await loadNano(how);
  const watched = path === undefined ? undefined : new Watched(await expectPath(path, sam2));
  const found = watched ? await watch(watched.see, () => ask(sam2)) : await ask(sam2);
  if (watched && watched.lines === 0) await onSecondFrame(sam2, picture, click, watched);

  const said = [
    ...(prompt.points ?? []).map(
      ([x, y], i) => `${prompt.labels?.[i] === 0 ? "negative click" : "click"} at (${x}, ${y})`,
    ),
    ...(box ? [`box ${box.join(", ")}`] : []),
  ];
  console.log(`scene ${scene.seed}, object ${scene.code}, ${said.join(", ")}`);
  console.log("mask  predicted IoU  IoU with the truth");
  for (const [k, mask] of found.masks.entries()) {
    const columns = [found.iouPredictions[k].toFixed(2).padStart(13), iou(mask, target.mask).toFixed(2).padStart(18)];
    console.log(`${`${k}`.padStart(4)}  ${columns.join("  ")}`);
  }
  const best = bestOf(found);
  if (Object.values(how).some((value) => value !== undefined)) {
    const before = await ask(await loadNano());
    const change = largestDifference(found.lowResMasks[best], before.lowResMasks[best]);
    console.log(`without the tampering, mask ${best} has IoU ${iou(before.masks[best], target.mask).toFixed(2)};`);
    console.log(`the largest change of one of its logits is ${change === 0 ? "0" : change.toPrecision(2)}`);
  }
  console.log(drawn(found.masks[best], target.mask, picture.width, COLUMNS).join("\n"));
}

/** Prints the layers at and below a path as they finish; those of a clip where a shape is new. */
class Watched {
  lines = 0;
  /** what is printed before each line */
  prefix = "";
  readonly #path: string;
  readonly #last = new Map<string, string>();

  constructor(path: string) {
    this.#path = path;
  }

  readonly see = ({ path, class: name, args, output }: LayerEvent): void => {
    if (!`${path}.`.startsWith(`${this.#path}.`)) return;
    const [from, to] = [args, output].map((value) => shapesOf(value).map(formatShape).join(" "));
    const line = `${path} ${name}: ${from} → ${to}`;
    this.lines++;
    if (this.prefix && this.#last.get(path) === line) return;
    this.#last.set(path, line);
    console.log(`${this.prefix}${line}`);
  };
}

/** @throws UsageError, with the path that is spelt most like it, if no layer lies at or below the path */
async function expectPath(path: string, sam2: Sam2): Promise<string> {
  const known = await paths(sam2.config);
  if (known.has(path)) return path;
  throw new UsageError("--watch", "the path of a layer", path, `do you mean ${nearest(path, known)}?`);
}

/** What a click on a picture does not run, a second frame does: the picture again, tracked from the click, then corrected. */
async function onSecondFrame(sam2: Sam2, picture: Frame, click: [number, number], watched: Watched): Promise<void> {
  console.log(
    "A click on a picture does not run this. The same picture as a second frame, tracked, then clicked again:",
  );
  const predictor = new VideoPredictor(sam2);
  const state = await predictor.initState([picture, picture]);
  await watch(watched.see, async () => {
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [click] });
    for await (const _ of predictor.propagateInVideo(state));
    await predictor.addNewPointsOrBox(state, { frame: 1, object: 1, points: [click] });
  });
}

/** One click on every target of several scenes, with the model as it is and tampered with. */
export async function survey({ how }: Asked): Promise<void> {
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
    const columns = [
      mean(all).toFixed(2).padStart(7),
      Math.min(...all)
        .toFixed(2)
        .padStart(5),
    ];
    console.log(`${name.padEnd(12)} ${columns.join("  ")}`);
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
export async function track({ how, watch: path, clip: seed = CLIP.seed }: Asked): Promise<void> {
  const { frames, truth, click } = clip({ ...CLIP, seed });
  const sam2 = await loadNano({ ...how, kernels: "auto" });
  const watched = path === undefined ? undefined : new Watched(await expectPath(path, sam2));
  const predictor = new VideoPredictor(sam2);
  const scores: number[] = [];
  const lines: string[] = [];
  const follow = async () => {
    const next = () => watched && (watched.prefix = `frame ${`${scores.length}`.padStart(2)}  `);
    next();
    const state = await predictor.initState(frames);
    await predictor.addNewPointsOrBox(state, { frame: 0, object: 1, points: [click] });
    for await (const { frame, objects } of predictor.propagateInVideo(state)) {
      const [{ score, mask }] = objects;
      scores.push(iou(mask, truth[frame]));
      lines.push(`${`${frame}`.padStart(5)}  ${score!.toFixed(1).padStart(5)}  ${scores.at(-1)!.toFixed(2)}`);
      next();
    }
  };
  await (watched ? watch(watched.see, follow) : follow());
  if (watched?.lines === 0)
    console.log(`Tracking does not run ${path}; see: npx tsx docs/play.ts click --watch ${path}`);
  console.log(`clip ${seed}, maps in the memory bank: ${predictor.sam2.config.numMaskmem}`);
  console.log(`mean IoU over ${scores.length} frames: ${mean(scores).toFixed(2)}`);
  console.log("frame  score   IoU");
  console.log(lines.join("\n"));
}

/** What can be clicked: of one scene with a picture of the codes, or of those of the survey. */
export async function scenes({ scene }: Asked): Promise<void> {
  console.log("scene  object  of the picture  click");
  for (const seed of scene === undefined ? SURVEY_SEEDS : [scene]) {
    const picture = still(seed, SCENE.size);
    for (const target of targets(picture)) {
      const share = `${((100 * area(target.mask)) / target.mask.length).toFixed(1)} %`;
      const columns = [`${seed}`.padStart(5), `${target.code}`.padStart(6), share.padStart(14)];
      console.log(`${columns.join("  ")}  ${firstClick(picture, target).join(",")}`);
    }
    if (scene !== undefined) console.log(charted(picture, COLUMNS).join("\n"));
  }
  console.log("A code above 128 is a part: of object code − 128.");
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

/** █ found and right, ▒ found and wrong, ░ missed. */
function drawn(found: Uint8Array, truth: Uint8Array, width: number, columns: number): string[] {
  return inCells(width, columns, (i) => " ░▒█"[truth[i] + 2 * found[i]]);
}

/** Objects by the digits of their codes, parts by letters: a is the part of object 1. */
function charted({ owner, width }: Frame, columns: number): string[] {
  const sign = (code: number) => (code === 0 ? " " : code > 128 ? (code - 119).toString(36) : `${code}`);
  return inCells(width, columns, (i) => sign(owner[i]));
}

/** A square picture as characters, which are as tall as two of their widths. */
function inCells(width: number, columns: number, sign: (i: number) => string): string[] {
  const step = width / columns;
  return Array.from({ length: columns / 2 }, (_, row) => {
    const cells = Array.from({ length: columns }, (_, column) => {
      const [x, y] = [(column + 0.5) * step, (row + 0.5) * 2 * step];
      return sign(Math.floor(y) * width + Math.floor(x));
    });
    return `|${cells.join("")}|`;
  });
}
