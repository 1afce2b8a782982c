// What is told of an image: JSON for other programs, the same on the command line, in a batch and from a server.
import { measuredRle, type Rle } from "../io/rle.ts";
import type { Sam2Config } from "../model/config.ts";
import type { MaskRecord } from "../predict/mask_records.ts";
import type { Prediction } from "../predict/image_predictor.ts";

/** The model of a result. */
export interface ResultModel {
  /** e.g. "tiny" */
  name: string;
  /** of SAM, e.g. "2.1" */
  version: string;
  /** side of what it sees, in pixels */
  imageSize: number;
}

/** The image and the model of a result. */
export interface ResultHead {
  /** what was asked about */
  image: {
    /** as the job names it */
    path: string;
    /** in pixels, upright */
    width: number;
    /** in pixels, upright */
    height: number;
  };
  /** what has answered */
  model: ResultModel;
}

/** A mask of a prompt. */
export interface MaskResult {
  /** with the object, as the model predicts it: 0…1 */
  iou: number;
  /** in pixels */
  area: number;
  /** around it, in pixels */
  bbox: [x: number, y: number, w: number, h: number];
  /** COCO's compressed run lengths */
  rle: Rle;
}

/** A prompt's answer. */
export interface PromptResult {
  /** of the prompt, if it has one */
  name?: string;
  /** were three masks asked for, not one? */
  multimask: boolean;
  /** in the model's order */
  masks: MaskResult[];
}

/** Masks for prompts. */
export interface PromptsResult extends ResultHead {
  /** in the order of the prompts */
  prompts: PromptResult[];
}

/** A mask that was found without a prompt. */
export interface RecordResult {
  /** in pixels */
  area: number;
  /** [x, y, width, height], in pixels */
  bbox: MaskRecord["bbox"];
  /** with the object, as the model predicts it: 0…1 */
  predicted_iou: number;
  /** how little it depends on the threshold: 0…1 */
  stability_score: number;
  /** the point that it was found by: [[x, y]], in pixels */
  point_coords: MaskRecord["pointCoords"];
  /** of the image it was found in: [x, y, width, height], in pixels */
  crop_box: MaskRecord["cropBox"];
  /** COCO's compressed run lengths */
  segmentation: Rle;
}

/** Masks of everything. */
export interface RecordsResult extends ResultHead {
  /** in the order of upstream's generator */
  masks: RecordResult[];
}

/** What a job about an image gives. */
export type ImageResult = PromptsResult | RecordsResult;

export function modelOf({ name, version, imageSize }: Sam2Config): ResultModel {
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
