/** Points of one crop become candidates. */
import type { RgbImage } from "../io/image.ts";
import { type DecodedTokens, type ImageFeatures, stableMask } from "../model/mask_decoder.ts";
import { LABEL, type Points } from "../model/prompt_encoder.ts";
import type { Sam2Graph } from "../model/sam2.ts";
import { type MaskExtent, maskCodes } from "../nn/mask_codes.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, select, type Tensor, values } from "../tensor/view.ts";
import type { AutomaticMaskGeneratorOptions, MaskThresholds } from "./automatic_mask_options.ts";
import { type CropBox, isAtCropEdge } from "./crops.ts";
import { clamped } from "./image_predictor.ts";
import { type Candidate, isAbove, isStable } from "./mask_records.ts";
import { cleanMask } from "./postprocess.ts";
import { pointsInModel } from "./prompt.ts";

/** What a candidate must exceed to be kept at all. */
export type Floors = Pick<MaskThresholds, "predIouThresh" | "stabilityScoreThresh">;

/** Prompts that are decoded together: their tokens fill the products, and their image tokens, 4 MiB each, fit in memory. */
export const TOGETHER = 16;

const { fround } = Math;

/** A point, in pixels of the crop, and what `Candidate.id` is to be of what is made of it. */
interface Target {
  point: readonly [x: number, y: number];
  id: number;
}

/** Masks that were painted, and what the model says of them. */
interface Painted {
  masks: Tensor; // [n, 4E, 4E] logits
  /** of each mask: the predicted IoU, of which prompt it is, and which of its four */
  ious: number[];
  prompts: number[];
  which: number[];
}

/** Finds candidates in one crop, some points at a time. */
export class CropFinder {
  readonly #options: Required<AutomaticMaskGeneratorOptions>;
  readonly #floors: Floors;
  readonly #imageSize: number;
  readonly #box: CropBox;
  readonly #image: { width: number; height: number };
  readonly #features: ImageFeatures;
  readonly #targets: readonly Target[];
  readonly #toCodes: ReturnType<typeof maskCodes>;

  constructor(
    options: Required<AutomaticMaskGeneratorOptions>,
    floors: Floors,
    imageSize: number,
    box: CropBox,
    { width, height }: RgbImage,
    features: ImageFeatures,
    grid: readonly (readonly [x: number, y: number])[],
  ) {
    this.#options = options;
    this.#floors = floors;
    this.#imageSize = imageSize;
    this.#box = box;
    this.#image = { width, height };
    this.#features = features;
    const [x0, y0, x1, y1] = box;
    this.#targets = grid.map(([x, y], i) => ({ point: [fround(x * (x1 - x0)), fround(y * (y1 - y0))], id: 4 * i }));
    const crop = { H: y1 - y0, W: x1 - x0, x0, y0, imageH: height, imageW: width };
    this.#toCodes = maskCodes(imageSize / 4, imageSize / 4, crop);
  }

  /** The candidates of some points of the grid, by number; asked again, the same. */
  find(graph: Sam2Graph, numbers: readonly number[]): Candidate[] {
    const targets = numbers.map((i) => this.#targets[i]);
    const { useM2m, multimaskOutput } = this.#options;
    const decoded = graph.decodeTokens(this.#features, this.#clicks(targets), undefined);
    const painted = multimaskOutput ? this.#three(graph, decoded, useM2m) : this.#single(graph, decoded, useM2m);
    const { prompts, which } = painted;
    const ofMasks = prompts.map((b, i) => ({ ...targets[b], id: targets[b].id + which[i] }));
    return useM2m ? this.#refine(graph, painted.masks, ofMasks) : this.#candidates(painted, ofMasks);
  }

  /** Every mask is given back to the model, with its point, for one better mask. */
  #refine(graph: Sam2Graph, masks: Tensor, targets: readonly Target[]): Candidate[] {
    const { heap } = machine;
    const side = this.#imageSize / 4;
    const found: Candidate[] = [];
    for (let from = 0; from < targets.length; from += TOGETHER) {
      heap.scope(() => {
        const some = targets.slice(from, from + TOGETHER);
        const drafts = values(narrow(masks, 0, from, some.length));
        const given = heap.from(clamped(drafts), [some.length, side, side, 1]);
        const refined = this.#single(graph, graph.decodeTokens(this.#features, this.#clicks(some), given), false);
        const ofMasks = refined.prompts.map((i) => some[i]);
        found.push(...this.#candidates(refined, ofMasks));
      });
    }
    return found;
  }

  /** The masks whose predicted IoU passes, or all of them. Prompts without one are not painted. */
  #three(graph: Sam2Graph, decoded: DecodedTokens, all: boolean): Painted {
    const wanted = (iou: number, m: number) => m > 0 && (all || this.#passes(iou));
    const { painted, prompts } = this.#paint(graph, decoded, wanted);
    const chosen = prompts.flatMap((b, i) => {
      const ious = [...values(select(decoded.ious, 0, b))];
      return ious.flatMap((iou, m) =>
        wanted(iou, m) ? [{ mask: select(select(painted, 0, i), 0, m), iou, b, m }] : [],
      );
    });
    return gathered(chosen, this.#imageSize / 4);
  }

  /** The same for prompts that are to give one mask. Which of the four is known when they are painted. */
  #single(graph: Sam2Graph, decoded: DecodedTokens, all: boolean): Painted {
    const passes = (iou: number) => all || this.#passes(iou);
    const { painted, prompts } = this.#paint(graph, decoded, passes);
    const chosen = prompts.flatMap((b, i) => {
      const [masks, ious] = [select(painted, 0, i), select(decoded.ious, 0, b)];
      const m = stableMask(masks, ious);
      const iou = values(ious)[m];
      return passes(iou) ? [{ mask: select(masks, 0, m), iou, b, m }] : [];
    });
    return gathered(chosen, this.#imageSize / 4);
  }

  /** All four masks of the prompts of which one is wanted. @shape → [n, 4, 4E, 4E] */
  #paint(graph: Sam2Graph, decoded: DecodedTokens, wanted: (iou: number, m: number) => boolean) {
    const [B] = decoded.ious.shape;
    const prompts = [...Array(B).keys()].filter((b) => values(select(decoded.ious, 0, b)).some(wanted));
    return { painted: graph.paint(this.#features, decoded, prompts), prompts };
  }

  #passes(iou: number): boolean {
    return isAbove(iou, this.#floors.predIouThresh);
  }

  /** Low-resolution logits become candidates, unless they are unstable or at the border of the crop. */
  #candidates({ masks, ious }: Painted, targets: readonly Target[]): Candidate[] {
    const { maskThreshold: threshold, stabilityScoreOffset: offset, minMaskRegionArea: area } = this.#options;
    const { width, height } = this.#image;
    const [x0, y0] = this.#box;
    if (area > 0) this.#clean(masks, area);
    const inImage = ([left, top, right, bottom]: CropBox, area: number): CropBox =>
      area > 0 ? [left + x0, top + y0, right + x0, bottom + y0] : [0, 0, 0, 0];
    const stability = ({ high, low }: MaskExtent) => fround(fround(high) / fround(low));
    const isWanted = (extent: MaskExtent) =>
      isStable(stability(extent), this.#floors.stabilityScoreThresh) &&
      !isAtCropEdge(inImage(extent.box, extent.area), this.#box, width, height);
    const limits = { threshold, high: threshold + offset, low: threshold - offset };
    const coded = this.#toCodes(masks, limits, isWanted);
    return coded.flatMap((mask, i): Candidate[] => {
      if (!mask) return [];
      const { point, id } = targets[i];
      const { area, box, counts } = mask;
      return [
        {
          id,
          rle: { size: [height, width], counts },
          area,
          box: inImage(box, area),
          predictedIou: ious[i],
          point: [fround(point[0] + x0), fround(point[1] + y0)],
          stabilityScore: stability(mask),
          crop: this.#box,
        },
      ];
    });
  }

  /** In place. */
  #clean(masks: Tensor, area: number): void {
    const [n, h, w] = masks.shape;
    const { maskThreshold } = this.#options;
    const options = { maskThreshold, maxHoleArea: area, maxSprinkleArea: area };
    for (let i = 0; i < n; i++) {
      const mask = values(select(masks, 0, i));
      mask.set(cleanMask(mask, w, h, options));
    }
  }

  /** A prompt of one click for each target. */
  #clicks(targets: readonly Target[]): Points {
    const [x0, y0, x1, y1] = this.#box;
    const frame = { width: x1 - x0, height: y1 - y0, imageSize: this.#imageSize };
    return {
      coords: machine.heap.from(
        pointsInModel(
          targets.map(({ point }) => point),
          frame,
        ),
        [targets.length, 1, 2],
      ),
      labels: targets.map(() => [LABEL.positive]),
    };
  }
}

/** The numbers of the points that candidates are of. */
export function pointsOf(ids: readonly number[]): number[] {
  return [...new Set(ids.map((id) => Math.floor(id / 4)))];
}

/** Masks [side, side] that were chosen, one after another. */
function gathered(chosen: readonly { mask: Tensor; iou: number; b: number; m: number }[], side: number): Painted {
  const masks = machine.heap.alloc([chosen.length, side, side]);
  chosen.forEach(({ mask }, i) => machine.kernels.copy(select(masks, 0, i), mask));
  return {
    masks,
    ious: chosen.map(({ iou }) => iou),
    prompts: chosen.map(({ b }) => b),
    which: chosen.map(({ m }) => m),
  };
}
