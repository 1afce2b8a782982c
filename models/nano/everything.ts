/** Everything in a drawn scene without a prompt: the masks at every pair of thresholds that the report's sliders offer. */
import { AutomaticMaskGenerator, type Sam2 } from "../../src/index.ts";
import type { Everything, FoundMask } from "./figures.ts";
import { type Frame, targets } from "./scenes.ts";
import { iou } from "./scoring.ts";

export const POINTS_PER_SIDE = 16;
const PRED_IOU_THRESHS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
const STABILITY_THRESHS = [0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

/** Where the sliders stand at first: indices of the two lists. nano is unsure of what it sees, so lower than upstream's. */
export const START = [4, 4] as const;

/** The model runs once, and every choice of thresholds selects from what it found. */
export async function findEverything(sam2: Sam2, picture: Frame): Promise<Everything> {
  const generator = new AutomaticMaskGenerator(sam2, { pointsPerSide: POINTS_PER_SIDE });
  const start = performance.now();
  await generator.prepare(picture);
  const ms = performance.now() - start;

  const truths = targets(picture);
  const byMask = new Map<string, FoundMask>();
  const chosen: FoundMask[][][] = [];
  for (const predIouThresh of PRED_IOU_THRESHS) {
    const row: FoundMask[][] = [];
    for (const stabilityScoreThresh of STABILITY_THRESHS) {
      const records = await generator.select({ predIouThresh, stabilityScoreThresh });
      row.push(
        records.map(({ segmentation, area, predictedIou, pointCoords }) => {
          const key = `${pointCoords} ${predictedIou}`;
          const mask = segmentation as Uint8Array;
          const found = byMask.get(key) ?? {
            mask,
            area,
            predictedIou,
            ious: truths.map((truth) => iou(mask, truth.mask)),
          };
          byMask.set(key, found);
          return found;
        }),
      );
    }
    chosen.push(row);
  }
  const masks = [...byMask.values()].sort((a, b) => b.area - a.area);
  const selected = chosen.map((row) =>
    row.map((found) => found.map((mask) => masks.indexOf(mask)).sort((a, b) => a - b)),
  );
  return { truths, masks, predIouThreshs: PRED_IOU_THRESHS, stabilityThreshs: STABILITY_THRESHS, selected, ms };
}

/** For each object the IoU of its best mask, of those with these indices; 0 if there is none. */
export function bestIous({ truths, masks }: Everything, selected: readonly number[]): number[] {
  return truths.map((_, k) => Math.max(0, ...selected.map((index) => masks[index].ious[k])));
}
