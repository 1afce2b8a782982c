// What a run of `everything` says: its JSON, and the lines for people.
import type { AnnotatedObject } from "../io/formats/annotations.ts";
import type { RecordResult, RecordsResult } from "../jobs/image_result.ts";
import type { Paint } from "./io.ts";
import type { SegmentResult } from "./segment_result.ts";

/** What --json prints of a picture and result.json holds. */
export interface EverythingResult extends RecordsResult, Pick<SegmentResult, "files" | "ms"> {}

/** The records, as annotations have them. */
export function objectsOf(masks: readonly RecordResult[]): AnnotatedObject[] {
  return masks.map(({ segmentation, predicted_iou, stability_score, point_coords, crop_box }, k) => ({
    id: k + 1,
    label: "object",
    rle: segmentation,
    score: predicted_iou,
    stabilityScore: stability_score,
    pointCoords: point_coords,
    cropBox: crop_box,
  }));
}

/** How many masks are shown to people: the largest. */
const SHOWN = 5;

/** For people. */
export function summary({ image, model, masks, ms }: EverythingResult, folder: string, paint: Paint): string {
  const pixels = image.width * image.height;
  const seconds = (time: number) => `${(time / 1000).toFixed(1)} s`;
  const lines = [
    `${paint("bold", image.path)}  ${image.width}×${image.height} · SAM ${model.version} ${model.name} · ${seconds(ms.total)}`,
    `  ${masks.length} ${masks.length === 1 ? "mask" : "masks"}; image ${seconds(ms.encode)}, points ${seconds(ms.predict)}`,
  ];
  const largest = masks.map((mask, k) => ({ ...mask, k })).toSorted((a, b) => b.area - a.area);
  for (const { k, area, bbox, predicted_iou } of largest.slice(0, SHOWN)) {
    const share = `${((100 * area) / pixels).toFixed(1)} %`.padStart(7);
    lines.push(
      `    mask ${k}  predicted IoU ${predicted_iou.toFixed(3)}  ${share} of the image  ${paint("dim", `bbox ${bbox.join(",")}`)}`,
    );
  }
  if (masks.length > SHOWN) lines.push(`    … and ${masks.length - SHOWN} smaller ones`);
  if (masks.length === 0)
    lines.push("    none passed; lower --pred-iou-thresh or --stability-score-thresh for worse ones");
  lines.push(`  written to ${paint("bold", folder)}`);
  return `${lines.join("\n")}\n`;
}
