/**
 * One object on one frame of a video: what is remembered of it conditions the frame's features, the SAM heads find its
 * mask, and the memory encoder turns the mask into the memory of later frames.
 *
 * R image size · E side of the image embedding (R/16) · D channels of the model · C channels of a memory map
 */
import type { Weights } from "../io/weights.ts";
import { conv2d } from "../nn/conv.ts";
import { add, affine, sigmoid } from "../nn/elementwise.ts";
import { inTurn } from "../nn/layer.ts";
import { full, step } from "../nn/layout.ts";
import { resize } from "../nn/resize.ts";
import { reshape, type Tensor, values } from "../tensor/view.ts";
import { isEdgeTam } from "./config.ts";
import type { ImageFeatures } from "./mask_decoder.ts";
import { memoryAttention } from "./memory_attention.ts";
import { type MemoryBank, memoryBank, type TrackedFrame } from "./memory_bank.ts";
import { memoryEncoder } from "./memory_encoder.ts";
import { sinePositionEncoding } from "./position_encoding.ts";
import type { Points } from "./prompt_encoder.ts";
import { type SamHeads, samHeads } from "./sam_heads.ts";
import type { BackboneFeatures, Sam2Graph } from "./sam2.ts";
import { perceiverResampler } from "./spatial_perceiver.ts";

/** From a mask's probabilities, 0…1, to the memory encoder's input, −10…10; also from a mask prompt to logits. */
const MASK_SCALE = 20;
const MASK_BIAS = -10;

/** What a user says of the object on this frame. */
export interface FramePrompt {
  points?: Points;
  /** a whole mask [1, R, R, 1] of 0 and 1, taken as it is */
  mask?: Tensor;
  /** logits of the mask so far [1, R/4, R/4, 1], to be corrected by points */
  previousLogits?: Tensor;
}

/** What a frame may see of the frames before it. */
export interface Past {
  bank: MemoryBank;
  at: TrackedFrame;
  /** what `lookAround` returned for the frame */
  attended: Tensor;
}

/** A frame's features, with what the memories of its objects share. */
export interface FrameFeatures extends BackboneFeatures {
  /** as the memory encoder takes them [1, E, E, D] */
  pixFeat?: Tensor;
}

/** What is found of the object on this frame. */
export type TrackedMask = Pick<SamHeads, "lowResMasks" | "highResMasks" | "objPtr" | "objectScoreLogits">;

/** @source sam2/modeling/sam2_base.py, SAM2Base.track_step */
export function tracker(w: Weights, image: Sam2Graph) {
  const { config } = image;
  const { imageSize: R, dModel: D, memDim: C } = config;
  const E = R / 16;
  const forwardSamHeads = samHeads(w, image);
  const remember = memoryBank(w, config);
  const attention = memoryAttention(w.at("memory_attention"), config);
  const { pixFeatProj, encode } = memoryEncoder(w.at("memory_encoder"), config);
  const maskDownsample = conv2d(w.at("mask_downsample"), 1, 1, 4, 4, 0);
  const noObjPtr = w.get("no_obj_ptr", [1, D]);
  const noObjEmbedSpatial = config.version === "2.1" ? reshape(w.get("no_obj_embed_spatial", [1, C]), [C]) : undefined;
  const squeeze = isEdgeTam(config) ? perceiverResampler(w.at("spatial_perceiver"), config) : undefined;
  const memoryPosEnc = squeeze && sinePositionEncoding(E, E, C);

  /** The frame's attention to itself, for `Past`: once a frame, for all its objects. */
  const lookAround = ({ visionFeatures }: Pick<BackboneFeatures, "visionFeatures">): Tensor =>
    attention.lookAround(reshape(visionFeatures, [1, E * E, D]));

  /**
   * The frame's features with the memory of one object in them.
   *
   * @source SAM2Base._prepare_memory_conditioned_features
   */
  const withMemory = ({ highResFeats }: BackboneFeatures, { bank, at, attended }: Past): ImageFeatures => {
    const conditioned = attention.lookBack(attended, remember(bank, at));
    return { imageEmbed: reshape(conditioned, [1, E, E, D]), highResFeats };
  };

  /**
   * A mask that the user gives is the answer itself; the heads run for its object pointer alone.
   *
   * @source SAM2Base._use_mask_as_output
   */
  const useMaskAsOutput = (features: BackboneFeatures, mask: Tensor): TrackedMask => {
    const highRes = affine(mask, MASK_SCALE, MASK_BIAS); // [1, R, R, 1]
    const lowRes = resize(highRes, R / 4, R / 4, "antialias");
    // NB as upstream: these features have neither memory nor `no_mem_embed` in them.
    const plain = { imageEmbed: features.visionFeatures, highResFeats: features.highResFeats };
    const present = values(mask).some((v) => v > 0);
    const heads = forwardSamHeads(plain, undefined, maskDownsample(mask), false);
    return {
      lowResMasks: reshape(lowRes, [1, 1, R / 4, R / 4]),
      highResMasks: reshape(highRes, [1, 1, R, R]),
      objPtr: present ? heads.objPtr : noObjPtr,
      objectScoreLogits: full([1, 1], present ? MASK_SCALE + MASK_BIAS : MASK_BIAS),
    };
  };

  /**
   * The mask of one object on one frame. `past` is undefined on a frame that starts from its prompt alone.
   *
   * @source SAM2Base._track_step
   */
  const trackStep = (features: BackboneFeatures, prompt: FramePrompt, past?: Past): TrackedMask => {
    if (prompt.mask) return useMaskAsOutput(features, prompt.mask);
    const conditioned = past ? withMemory(features, past) : image.withoutMemory(features);
    const clicks = prompt.points?.labels[0].length ?? 0;
    return forwardSamHeads(conditioned, prompt.points, prompt.previousLogits, clicks <= 1);
  };

  /**
   * The memory of a frame: its features, without any earlier memory in them, and the mask. EdgeTAM squeezes it into few tokens.
   *
   * @param binarize for masks that a user has clicked: the mask is encoded as it is seen
   * @shape  highResMasks [1, 1, R, R] → [1, E, E, C] or [1, S, C]
   * @source SAM2Base._encode_new_memory
   */
  const encodeMemory = (
    { visionFeatures, pixFeat = pixFeatProj(visionFeatures) }: FrameFeatures,
    { highResMasks, objectScoreLogits }: Pick<TrackedMask, "highResMasks" | "objectScoreLogits">,
    binarize: boolean,
  ): Tensor => {
    const logits = reshape(highResMasks, [1, R, R, 1]);
    const mask = inTurn(logits, [binarize ? step : sigmoid, (x) => affine(x, MASK_SCALE, MASK_BIAS)]);
    const memory = encode(pixFeat, mask);
    if (squeeze) return squeeze(memory, memoryPosEnc!);
    const absent = values(objectScoreLogits)[0] <= 0;
    return absent && noObjEmbedSpatial ? add(memory, noObjEmbedSpatial) : memory;
  };

  /** Do once for a frame what the memories of several objects share. */
  const prepare = (features: BackboneFeatures): FrameFeatures => {
    return { ...features, pixFeat: pixFeatProj(features.visionFeatures) };
  };

  return { lookAround, withMemory, trackStep, prepare, encodeMemory };
}

/** The built graph. */
export type Tracker = ReturnType<typeof tracker>;
