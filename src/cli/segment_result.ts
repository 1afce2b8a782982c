// What a run of `segment` says: its JSON, and the lines for people.
import type { AnnotatedObject } from "../io/formats/annotations.ts";
import { type WrittenTensor, writeSafetensors } from "../io/safetensors.ts";
import type { PromptResult, PromptsResult } from "../jobs/image_result.ts";
import { modelTitle, type Sam2Config } from "../model/config.ts";
import type { Prediction } from "../predict/image_predictor.ts";
import type { Prompt } from "../predict/prompt.ts";
import type { Paint } from "./io.ts";

/** What --json prints and result.json holds. */
export interface SegmentResult extends PromptsResult {
  /** of result.json's folder */
  files?: readonly string[];
  ms: { load: number; decode: number; encode: number; predict: number; total: number };
}

/** Of every prompt the mask of highest predicted IoU, as annotations have it. */
export function objectsOf(results: readonly PromptResult[], prompts: readonly Prompt[]): AnnotatedObject[] {
  return results.map(({ name, masks }, p) => {
    const { iou, rle } = masks.reduce((best, mask) => (mask.iou > best.iou ? mask : best));
    const { points } = prompts[p];
    return { id: p + 1, label: name ?? "object", rle, score: iou, ...(points && { pointCoords: points }) };
  });
}

/** What --save-logits keeps of a prediction. */
export type Logits = Pick<Prediction, "lowResMasks" | "lowResSize" | "iouPredictions">;

export function logitsOf({ lowResMasks, lowResSize, iouPredictions }: Prediction): Logits {
  return { lowResMasks, lowResSize, iouPredictions };
}

/** `low_res_logits` [M, h, w] and `iou_predictions` [M]; numbered if there are several prompts. */
export function logitsFile(predictions: readonly Logits[]): Uint8Array {
  const tensors = new Map<string, WrittenTensor>();
  for (const [p, { lowResMasks, lowResSize, iouPredictions }] of predictions.entries()) {
    const suffix = predictions.length > 1 ? `.${p}` : "";
    const data = new Float32Array(lowResMasks.length * lowResSize ** 2);
    for (const [k, mask] of lowResMasks.entries()) data.set(mask, k * mask.length);
    tensors.set(`low_res_logits${suffix}`, { shape: [lowResMasks.length, lowResSize, lowResSize], data });
    tensors.set(`iou_predictions${suffix}`, { shape: [iouPredictions.length], data: iouPredictions });
  }
  return writeSafetensors(tensors);
}

/** For people; the prompts are those of the results. */
export function summary(
  { image, prompts, ms }: SegmentResult,
  config: Sam2Config,
  asked: readonly Prompt[],
  places: string[],
  paint: Paint,
): string {
  const pixels = image.width * image.height;
  const lines = [
    `${paint("bold", image.path)}  ${image.width}×${image.height} · ${modelTitle(config)} · ${(ms.total / 1000).toFixed(1)} s`,
  ];
  for (const [p, { name, masks }] of prompts.entries()) {
    lines.push(`  prompt ${p}: ${name === undefined ? "" : `${name}, `}${describe(asked[p])}`);
    for (const [k, { iou, area, bbox }] of masks.entries()) {
      const share = `${((100 * area) / pixels).toFixed(1)} %`.padStart(7);
      lines.push(
        `    mask ${p}_${k}  predicted IoU ${iou.toFixed(3)}  ${share} of the image  ${paint("dim", `bbox ${bbox.join(",")}`)}`,
      );
    }
  }
  lines.push(`  written to ${paint("bold", places.join(", "))}`);
  return `${lines.join("\n")}\n`;
}

function describe({ points = [], labels, box, maskInput }: Prompt): string {
  const clicks = points.map(([x, y], i) => `${labels?.[i] === 0 ? "not " : ""}(${x}, ${y})`);
  const corners = box ? [`box ${box.join(",")}`] : [];
  return [...clicks, ...corners, ...(maskInput ? ["mask"] : [])].join(", ");
}
