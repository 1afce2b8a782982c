/** The masks that the reference's generator found: amg.json, and how near ours are. */
import { AutomaticMaskGenerator } from "../src/predict/automatic_masks.ts";
import type { MaskRecord } from "../src/predict/mask_records.ts";
import type { AutomaticMaskGeneratorOptions } from "../src/predict/automatic_mask_options.ts";
import type { Sam2 } from "../src/predict/sam2.ts";
import type { Sam2Config } from "../src/model/config.ts";
import { decodeRle, type Rle } from "../src/io/rle.ts";
import amg from "./amg.json" with { type: "json" };

/** A mask that the reference found. */
interface WantedRecord extends Omit<MaskRecord, "segmentation" | "stabilityScore"> {
  /** null where it is NaN, as no pixel exceeds the lowered threshold */
  stabilityScore: number | null;
  /** COCO's compressed runs */
  counts: string;
}

export interface AmgCase {
  name: string;
  model: string;
  image: { scene: number; size: number } | { seed: number; width: number; height: number };
  options: AutomaticMaskGeneratorOptions;
  records: WantedRecord[];
}

export const amgCases = amg.cases as unknown as AmgCase[];
export const amgConfigs = amg.configs as unknown as Record<string, Sam2Config>;

/** What of a case differs, record by record; empty if all is equal to the reference within the bars of the issue. */
export async function differences(
  { options, records }: AmgCase,
  sam2: Sam2,
  image: { width: number; height: number; data: Uint8Array },
): Promise<string[]> {
  const generator = new AutomaticMaskGenerator(sam2, { ...options, outputMode: "coco_rle" });
  const found = await generator.generate(image);
  if (found.length !== records.length) return [`expected ${records.length} records, got ${found.length}`];
  const wrong: string[] = [];
  let total = 0;
  for (const [i, want] of records.entries()) {
    const got = found[i];
    const same = iou(
      decodeRle(got.segmentation as Rle),
      decodeRle({ ...(got.segmentation as Rle), counts: want.counts }),
    );
    total += same;
    if (!(same >= LEAST_IOU)) wrong.push(`record ${i}: IoU ${same}`);
    for (const key of ["bbox", "pointCoords", "cropBox"] as const) {
      if (`${got[key]}` !== `${want[key]}`) wrong.push(`record ${i}: ${key} ${want[key]}, got ${got[key]}`);
    }
    for (const key of ["predictedIou", "stabilityScore"] as const) {
      const equal = want[key] === null ? Number.isNaN(got[key]) : Math.abs(got[key] - want[key]) <= SCORE;
      if (!equal) wrong.push(`record ${i}: ${key} ${want[key]}, got ${got[key]}`);
    }
  }
  if (records.length > 0 && !(total / records.length >= MEAN_IOU)) wrong.push(`mean IoU ${total / records.length}`);
  return wrong;
}

const [LEAST_IOU, MEAN_IOU, SCORE] = [0.995, 0.9995, 1e-3];

function iou(a: Uint8Array, b: Uint8Array): number {
  let [both, either] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    both += a[i] & b[i];
    either += a[i] | b[i];
  }
  return either ? both / either : 1;
}
