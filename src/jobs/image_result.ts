// What is told of an image: JSON for other programs, the same on the command line, in a batch and from a server.
import { measuredRle, type Rle } from "../io/rle.ts";
import type { Sam2Config } from "../model/config.ts";
import type { MaskRecord } from "../predict/mask_records.ts";
import type { Prediction } from "../predict/image_predictor.ts";

/** The image and the model of a result. */
export interface ResultHead {
  image: { path: string; width: number; height: number };
  model: { name: string; version: string; imageSize: number };
}

/** A mask of a prompt. */
export interface MaskResult {
  iou: number;
  area: number;
  bbox: [x: number, y: number, w: number, h: number];
  rle: Rle;
}

/** A prompt's answer. */
export interface PromptResult {
  name?: string;
  multimask: boolean;
  masks: MaskResult[];
}

/** Masks for prompts. */
export interface PromptsResult extends ResultHead {
  prompts: PromptResult[];
}

/** A mask that was found without a prompt. */
export interface RecordResult {
  area: number;
  bbox: MaskRecord["bbox"];
  predicted_iou: number;
  stability_score: number;
  point_coords: MaskRecord["pointCoords"];
  crop_box: MaskRecord["cropBox"];
  segmentation: Rle;
}

/** Masks of everything. */
export interface RecordsResult extends ResultHead {
  masks: RecordResult[];
}

/** What a job about an image gives. */
export type ImageResult = PromptsResult | RecordsResult;

export function modelOf({ name, version, imageSize }: Sam2Config): ResultHead["model"] {
  return { name, version, imageSize };
}

export function promptResult(prediction: Prediction, multimask: boolean): PromptResult {
  const { name, masks, iouPredictions, width, height } = prediction;
  const results = masks.map((mask, k) => {
    const { rle, area, bbox } = measuredRle(mask, width, height);
    return { iou: iouPredictions[k], area, bbox, rle };
  });
  return { ...(name !== undefined && { name }), multimask, masks: results };
}

/** @param record of a generator with `outputMode: "coco_rle"` */
export function recordResult(record: MaskRecord): RecordResult {
  return {
    area: record.area,
    bbox: record.bbox,
    predicted_iou: record.predictedIou,
    stability_score: record.stabilityScore,
    point_coords: record.pointCoords,
    crop_box: record.cropBox,
    segmentation: record.segmentation as Rle,
  };
}
