/**
 * Masks as the tracker asks for them: the best of each prompt, and the pointer by which later frames remember it.
 *
 * B objects · P points of a prompt · M masks (1 or 3) · R image size · E side of the image embedding (R/16) · D channels
 */
import type { Weights } from "../io/weights.ts";
import { argmax, concat, contiguous, full } from "../nn/layout.ts";
import { mlp } from "../nn/mlp.ts";
import { resize } from "../nn/resize.ts";
import { narrow, reshape, select, type Tensor, values } from "../tensor/view.ts";
import type { ImageFeatures } from "./mask_decoder.ts";
import { LABEL, type Points } from "./prompt_encoder.ts";
import type { Sam2Graph } from "./sam2.ts";

/** Mask logit of an object that is not there. */
const NO_OBJ_SCORE = -1024;

/** The SAM heads' answer for B prompts. */
export interface SamHeads {
  /** logits [B, M, 4E, 4E]; −1024 throughout where the object is absent */
  lowResMultimasks: Tensor;
  /** predicted IoU [B, M], 0…1 */
  ious: Tensor;
  /** the mask of highest predicted IoU [B, 1, 4E, 4E] */
  lowResMasks: Tensor;
  /** the same at the image size [B, 1, R, R] */
  highResMasks: Tensor;
  /** what later frames remember of the object [B, D] */
  objPtr: Tensor;
  /** [B, 1], positive if the object is in the image */
  objectScoreLogits: Tensor;
}

/**
 * Masks, the best one of each prompt, and the object pointer, as the tracker asks for them.
 *
 * NB upstream brings all masks to the image size before it chooses one, and makes a new tensor for the masks of absent
 * objects; here −1024 is written into the decoder's.
 *
 * @shape  points [B, P, 2]; masks [B, H, W, 1] of any size → SamHeads
 * @units  points: pixels of the resized image, (x, y); masks: logits
 * @source sam2/modeling/sam2_base.py, SAM2Base._forward_sam_heads
 */
export function samHeads(w: Weights, image: Sam2Graph) {
  const { imageSize: size, dModel: D } = image.config;
  const objPtrProj = mlp(w.at("obj_ptr_proj"), D, D, D, 3, "relu");
  const noObjPtr = w.get("no_obj_ptr", [1, D]);

  return (
    features: ImageFeatures,
    points: Points | undefined,
    masks: Tensor | undefined,
    multimaskOutput: boolean,
  ): SamHeads => {
    const B = points?.coords.shape[0] ?? masks?.shape[0] ?? 1;
    const clicks = points ?? { coords: full([B, 1, 2], 0), labels: Array<number[]>(B).fill([LABEL.padding]) };
    const mask = masks && masks.shape[1] !== size / 4 ? resize(masks, size / 4, size / 4, "antialias") : masks;
    const decoded = image.predictMasks(features, clicks, mask, multimaskOutput);

    const { ious, samTokens, objectScoreLogits } = decoded;
    const present = values(objectScoreLogits).map((score) => (score > 0 ? 1 : 0));
    const lowResMultimasks = decoded.masks;
    const best = Array.from({ length: B }, (_, b) => (multimaskOutput ? argmax(select(ious, 0, b)) : 0));
    // in place: the tensor is the decoder's result, which nobody else holds
    for (let b = 0; b < B; b++) if (!present[b]) values(select(lowResMultimasks, 0, b)).fill(NO_OBJ_SCORE);

    const choose = (t: Tensor, indices: number[]) =>
      concat(
        indices.map((k, b) => narrow(narrow(t, 0, b, 1), 1, k, 1)),
        0,
      );
    const tokens = choose(samTokens, samTokens.shape[1] > 1 ? best : best.map(() => 0)); // [B, 1, D]
    const pointers = objPtrProj(reshape(tokens, [B, D]));
    const lowResMasks = choose(lowResMultimasks, best);
    const planes = reshape(lowResMasks, [B, size / 4, size / 4, 1]);
    return {
      lowResMultimasks,
      ious,
      lowResMasks,
      highResMasks: reshape(resize(planes, size, size, "bilinear"), [B, 1, size, size]),
      objPtr: concat(
        Array.from({ length: B }, (_, b) => (present[b] ? narrow(pointers, 0, b, 1) : noObjPtr)),
        0,
      ),
      objectScoreLogits: contiguous(objectScoreLogits),
    };
  };
}
