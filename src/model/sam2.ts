/**
 * The whole graph of SAM 2, as far as single images need it: image → features, prompts → masks and object pointer.
 *
 * B prompts in a batch · E side of the image embedding (imageSize/16) · D embedding · M masks (1 or 3)
 */
import type { Weights } from "../io/weights.ts";
import { add } from "../nn/elementwise.ts";
import { argmax, concat, contiguous, full } from "../nn/layout.ts";
import { mlp } from "../nn/mlp.ts";
import { resize } from "../nn/resize.ts";
import { narrow, reshape, select, type Tensor, values } from "../tensor/view.ts";
import type { Sam2Config } from "./config.ts";
import { imageEncoder } from "./image_encoder.ts";
import { type ImageFeatures, maskDecoder } from "./mask_decoder.ts";
import { LABEL, type Points, promptEncoder } from "./prompt_encoder.ts";

/** Mask logit of an object that is not there. */
const NO_OBJ_SCORE = -1024;

/** The image encoder's output, `conv_s0` and `conv_s1` applied to the two fine levels. */
export interface BackboneFeatures {
  /** stride 16, before any memory: [1, E, E, D] */
  visionFeatures: Tensor;
  /** [1, 4E, 4E, D/8], [1, 2E, 2E, D/4] */
  highResFeats: readonly [Tensor, Tensor];
}

/** The SAM heads' answer for B prompts. */
export interface SamHeads {
  /** logits [B, M, 4E, 4E]; −1024 throughout where the object is absent */
  lowResMultimasks: Tensor;
  /** the same at the image size [B, M, 16E, 16E] */
  highResMultimasks: Tensor;
  /** predicted IoU [B, M], 0…1 */
  ious: Tensor;
  /** the mask of highest predicted IoU [B, 1, 4E, 4E] and [B, 1, 16E, 16E] */
  lowResMasks: Tensor;
  highResMasks: Tensor;
  /** what later frames remember of the object [B, D] */
  objPtr: Tensor;
  /** [B, 1], positive if the object is in the image */
  objectScoreLogits: Tensor;
}

/** @source sam2/modeling/sam2_base.py, SAM2Base */
export function sam2(w: Weights, config: Sam2Config) {
  const D = config.dModel;
  const encoder = imageEncoder(w.at("image_encoder"), config);
  const prompts = promptEncoder(w.at("sam_prompt_encoder"), config);
  const decoder = maskDecoder(w.at("sam_mask_decoder"), config);
  const objPtrProj = mlp(w.at("obj_ptr_proj"), D, D, D, 3, "relu");
  const noObjPtr = w.get("no_obj_ptr", [1, D]);
  const noMemEmbed = reshape(w.get("no_mem_embed", [1, 1, D]), [D]);

  /**
   * Features of an image, with the projections that the decoder would otherwise repeat for every click.
   *
   * @shape  [1, S, S, 3] → BackboneFeatures
   * @units  normalised RGB
   * @source SAM2Base.forward_image
   */
  const forwardImage = (image: Tensor): BackboneFeatures => {
    const [level0, level1, visionFeatures] = encoder(image);
    return { visionFeatures, highResFeats: [decoder.convS0(level0), decoder.convS1(level1)] };
  };

  /**
   * Features for prompts on a still image or a first frame: instead of a memory, `no_mem_embed` is added.
   *
   * @source SAM2Base._prepare_memory_conditioned_features, directly_add_no_mem_embed
   */
  const withoutMemory = ({ visionFeatures, highResFeats }: BackboneFeatures): ImageFeatures => ({
    imageEmbed: add(visionFeatures, noMemEmbed),
    highResFeats,
  });

  /** Masks for B prompts on one image, as the image predictor asks for them. */
  const predictMasks = (
    image: ImageFeatures,
    points: Points | undefined,
    masks: Tensor | undefined,
    multimask: boolean,
  ) => decoder.decode(image, prompts.densePe, prompts.encode(points, masks), multimask);

  /**
   * Masks, the best one of each prompt, and the object pointer, as the tracker asks for them.
   *
   * @shape  points [B, P, 2]; masks [B, S', S', 1] of any size → SamHeads
   * @units  points: pixels of the resized image, (x, y); masks: logits
   * @source SAM2Base._forward_sam_heads
   */
  const forwardSamHeads = (
    image: ImageFeatures,
    points: Points | undefined,
    masks: Tensor | undefined,
    multimaskOutput: boolean,
  ): SamHeads => {
    const B = points?.coords.shape[0] ?? masks?.shape[0] ?? 1;
    const size = config.imageSize;
    const clicks = points ?? { coords: full([B, 1, 2], 0), labels: Array<number[]>(B).fill([LABEL.padding]) };
    const mask = masks && masks.shape[1] !== size / 4 ? resize(masks, size / 4, size / 4, "antialias") : masks;
    const decoded = predictMasks(image, clicks, mask, multimaskOutput);

    const { ious, samTokens, objectScoreLogits } = decoded;
    const M = ious.shape[1];
    const present = values(objectScoreLogits).map((score) => (score > 0 ? 1 : 0));
    const lowResMultimasks = decoded.masks;
    const best = Array.from({ length: B }, (_, b) => (multimaskOutput ? argmax(select(ious, 0, b)) : 0));
    for (let b = 0; b < B; b++) if (!present[b]) values(select(lowResMultimasks, 0, b)).fill(NO_OBJ_SCORE);

    const planes = reshape(lowResMultimasks, [B * M, size / 4, size / 4, 1]);
    const highResMultimasks = reshape(resize(planes, size, size, "bilinear"), [B, M, size, size]);
    const choose = (t: Tensor, indices: number[]) =>
      concat(
        indices.map((k, b) => narrow(narrow(t, 0, b, 1), 1, k, 1)),
        0,
      );
    const tokens = choose(samTokens, samTokens.shape[1] > 1 ? best : best.map(() => 0)); // [B, 1, D]
    const pointers = objPtrProj(reshape(tokens, [B, D]));
    return {
      lowResMultimasks,
      highResMultimasks,
      ious,
      lowResMasks: choose(lowResMultimasks, best),
      highResMasks: choose(highResMultimasks, best),
      objPtr: concat(
        Array.from({ length: B }, (_, b) => (present[b] ? narrow(pointers, 0, b, 1) : noObjPtr)),
        0,
      ),
      objectScoreLogits: contiguous(objectScoreLogits),
    };
  };

  return { config, forwardImage, withoutMemory, predictMasks, forwardSamHeads };
}

/** The built graph. */
export type Sam2Graph = ReturnType<typeof sam2>;
