import { UsageError } from "../errors.ts";
import { atLeast, expectOptions, FINITE, FLAG, type Kind, type Kinds, NUMBER, oneOf, whole } from "../io/options.ts";
import { pointGrid } from "./crops.ts";

/** What decides which masks stay, once the model has run. */
export interface MaskThresholds {
  /** a mask stays if its predicted IoU exceeds this; all do if it is not positive. 0.8 by default */
  predIouThresh: number;
  /** a mask stays if its stability score is at least this; all do if it is not positive. 0.95 by default */
  stabilityScoreThresh: number;
  /** of two masks of a crop whose boxes have a higher IoU than this, the one of higher predicted IoU stays. 0.7 by default */
  boxNmsThresh: number;
  /** the same for masks of all crops, where the one of the smaller crop stays. 0.7 by default */
  cropNmsThresh: number;
  /** masks of more pixels are dropped before they suppress others. Infinity by default */
  maxArea: number;
  /**
   * Holes and islands of fewer pixels of the image are removed at the end, and boxes compared once more, as in SAM 1. 0 by
   * default, which leaves them
   */
  minMaskRegionAreaFull: number;
  /**
   * "binary_mask" (default): a byte a pixel; "coco_rle": COCO's compressed runs; "uncompressed_rle": the runs as numbers.
   * A thousand binary masks of a photo are some GB
   */
  outputMode: "binary_mask" | "uncompressed_rle" | "coco_rle";
}

export const THRESHOLD_KINDS: Kinds<MaskThresholds> = {
  predIouThresh: NUMBER,
  stabilityScoreThresh: NUMBER,
  boxNmsThresh: NUMBER,
  cropNmsThresh: NUMBER,
  maxArea: NUMBER,
  minMaskRegionAreaFull: NUMBER,
  outputMode: oneOf(["binary_mask", "uncompressed_rle", "coco_rle"]),
};

/** Options of `AutomaticMaskGenerator`, with the names and defaults of the reference. */
export interface AutomaticMaskGeneratorOptions extends Partial<MaskThresholds> {
  /** points on a side of the grid, 32 by default; not with `pointGrids` */
  pointsPerSide?: number;
  /** at most so many points are decoded together, 64 by default: memory and time depend on it, masks do not */
  pointsPerBatch?: number;
  /** by how many logits the threshold is raised and lowered for the stability score, 1 by default */
  stabilityScoreOffset?: number;
  /** a pixel belongs to a mask if its logit exceeds this, 0 by default */
  maskThreshold?: number;
  /** layers of crops: layer i has 4^i of them. 0 by default: the whole image alone */
  cropNLayers?: number;
  /** by which part of the image's shorter side the crops of the first layer overlap, 512/1500 by default */
  cropOverlapRatio?: number;
  /** the grid of layer i has `pointsPerSide` / this^i points on a side. 1 by default */
  cropNPointsDownscaleFactor?: number;
  /** instead of `pointsPerSide`: a grid for each layer of crops, (x, y) in 0…1 of the crop */
  pointGrids?: readonly (readonly (readonly [x: number, y: number])[])[];
  /**
   * Holes and islands of at most so many low-resolution pixels are removed, 0 by default. NB upstream skips this without
   * CUDA
   */
  minMaskRegionArea?: number;
  /** give every mask back to the model for a better one, false by default; with three masks a point, four times the work */
  useM2m?: boolean;
  /** three masks a point (default), or one */
  multimaskOutput?: boolean;
}

// Beyond what anyone has time for, and within what memory has room for: a million points, 87,381 crops.
const MOST_POINTS_PER_SIDE = 1024;
const MOST_CROP_LAYERS = 8;

const GRIDS: Kind = [
  "lists of [x, y], a list for each layer of crops",
  (value) => Array.isArray(value) && value.every((grid) => Array.isArray(grid) && grid.every(Array.isArray)),
];

export const OPTION_KINDS: Kinds<AutomaticMaskGeneratorOptions> = {
  ...THRESHOLD_KINDS,
  pointsPerSide: whole(1, MOST_POINTS_PER_SIDE),
  pointsPerBatch: whole(1),
  stabilityScoreOffset: FINITE,
  maskThreshold: FINITE,
  cropNLayers: whole(0, MOST_CROP_LAYERS),
  cropOverlapRatio: [
    "a number from 0 to below 1",
    (value) => Number.isFinite(value) && (value as number) >= 0 && (value as number) < 1,
  ],
  cropNPointsDownscaleFactor: atLeast(1),
  pointGrids: GRIDS,
  minMaskRegionArea: FINITE,
  useM2m: FLAG,
  multimaskOutput: FLAG,
};

export function withDefaults(options: AutomaticMaskGeneratorOptions): Required<AutomaticMaskGeneratorOptions> {
  return {
    pointsPerSide: 32,
    pointsPerBatch: 64,
    predIouThresh: 0.8,
    stabilityScoreThresh: 0.95,
    stabilityScoreOffset: 1,
    maskThreshold: 0,
    boxNmsThresh: 0.7,
    cropNLayers: 0,
    cropNmsThresh: 0.7,
    cropOverlapRatio: 512 / 1500,
    cropNPointsDownscaleFactor: 1,
    pointGrids: [],
    minMaskRegionArea: 0,
    minMaskRegionAreaFull: 0,
    maxArea: Number.POSITIVE_INFINITY,
    outputMode: "binary_mask",
    useM2m: false,
    multimaskOutput: true,
    ...given(options),
  };
}

/** Options without those that are undefined. */
export function given<Options extends object>(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;
}

/** @throws UsageError if an option is unknown or out of its range, or two contradict each other */
export function checkOptions(options: AutomaticMaskGeneratorOptions): void {
  expectOptions(options, OPTION_KINDS, "AutomaticMaskGenerator");
  const { pointsPerSide, pointGrids, cropNLayers } = options;
  if (pointGrids && pointsPerSide !== undefined) fail("pointGrids", "no pointsPerSide beside it", pointsPerSide);
  checkGrids(options, cropNLayers ?? 0);
}

function checkGrids(options: AutomaticMaskGeneratorOptions, layers: number): void {
  const grids = gridsOf(options);
  if (grids.length !== layers + 1)
    fail("pointGrids", `a grid for each of ${layers + 1} layers`, `${grids.length} grids`);
  for (const [layer, grid] of grids.entries()) {
    if (grid.length === 0) fail("cropNPointsDownscaleFactor", `points in layer ${layer}`, "none");
    const outside = grid.find(([x, y]) => !(x >= 0 && x <= 1 && y >= 0 && y <= 1));
    if (outside) fail(`pointGrids[${layer}]`, "x and y in 0…1", `(${outside.join(", ")})`);
  }
}

function fail(option: string, expected: string, got: unknown): never {
  throw new UsageError(`AutomaticMaskGenerator.${option}`, expected, `${got}`, "change the option");
}

/** The points of every layer of crops. @source sam2/utils/amg.py, build_all_layer_point_grids */
export function gridsOf(
  options: AutomaticMaskGeneratorOptions,
): readonly (readonly (readonly [x: number, y: number])[])[] {
  if (options.pointGrids) return options.pointGrids;
  const { pointsPerSide, cropNLayers, cropNPointsDownscaleFactor } = withDefaults(options);
  return Array.from({ length: cropNLayers + 1 }, (_, layer) =>
    pointGrid(Math.trunc(pointsPerSide / cropNPointsDownscaleFactor ** layer)),
  );
}
