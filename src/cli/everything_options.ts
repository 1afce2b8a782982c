import type { Command } from "commander";
import type { EverythingRequest } from "../jobs/job.ts";
import { count, decimal } from "./options.ts";

/** The options of `everything` that decide about the masks. */
export type MaskOptions = Omit<EverythingRequest, "pointGrids">;

const NAMES: readonly (keyof MaskOptions)[] = [
  "pointsPerSide",
  "pointsPerBatch",
  "multimaskOutput",
  "useM2m",
  "predIouThresh",
  "stabilityScoreThresh",
  "stabilityScoreOffset",
  "maskThreshold",
  "boxNmsThresh",
  "maxArea",
  "cropNLayers",
  "cropNmsThresh",
  "cropOverlapRatio",
  "cropNPointsDownscaleFactor",
  "minMaskRegionArea",
  "minMaskRegionAreaFull",
];

export function addMaskOptions(command: Command): void {
  const whole = (flag: string, least: number) => count(flag, least);
  command
    .optionsGroup("Points:")
    .option("--points-per-side <n>", "points on a side of the grid (default: 32)", whole("--points-per-side", 1))
    .option("--points-per-batch <n>", "at most so many together (default: 64)", whole("--points-per-batch", 1))
    .option("--no-multimask-output", "one mask a point, not three")
    .option("--use-m2m", "give every mask back to the model for a better one: four times the work")
    .optionsGroup("Which masks stay:")
    .option("--pred-iou-thresh <x>", "predicted IoU above this (default: 0.8)", decimal("--pred-iou-thresh"))
    .option("--stability-score-thresh <x>", "stability at least this (0.95)", decimal("--stability-score-thresh"))
    .option("--stability-score-offset <x>", "logits up and down for stability (1)", decimal("--stability-score-offset"))
    .option("--mask-threshold <x>", "a pixel's logit must exceed this (default: 0)", decimal("--mask-threshold"))
    .option("--box-nms-thresh <x>", "of two boxes of higher IoU one stays (default: 0.7)", decimal("--box-nms-thresh"))
    .option("--max-area <n>", "drop masks of more pixels", whole("--max-area", 0))
    .optionsGroup("Crops, for small objects:")
    .option("--crop-n-layers <n>", "layer i looks at 4^i crops as well (default: 0)", whole("--crop-n-layers", 0))
    .option("--crop-nms-thresh <x>", "as --box-nms-thresh, between crops (0.7)", decimal("--crop-nms-thresh"))
    .option("--crop-overlap-ratio <x>", "overlap of crops (default: 0.3413)", decimal("--crop-overlap-ratio"))
    .option(
      "--crop-n-points-downscale-factor <n>",
      "points a side are divided by n^i in layer i (default: 1)",
      whole("--crop-n-points-downscale-factor", 1),
    )
    .optionsGroup("Clean-up:")
    .option(
      "--min-mask-region-area <n>",
      "remove holes and specks up to n low-resolution pixels (default: 0)",
      whole("--min-mask-region-area", 0),
    )
    .option(
      "--min-mask-region-area-full <n>",
      "remove those below n pixels of the picture, as SAM 1 (default: 0)",
      whole("--min-mask-region-area-full", 0),
    );
}

/** Those that were given. */
export function maskOptions(options: MaskOptions): MaskOptions {
  const given = NAMES.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}
