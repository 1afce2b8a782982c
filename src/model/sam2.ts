/**
 * SAM 2 for single images: image → features, prompts → masks.
 *
 * B prompts in a batch · P points of a prompt · R image size · E side of the image embedding (R/16) · D channels
 */
import type { Weights } from "../io/weights.ts";
import { add } from "../nn/elementwise.ts";
import { conv1x1 } from "../nn/conv.ts";
import { foldLinears } from "../nn/fold.ts";
import { isWatched } from "../nn/layer.ts";
import { reshape, type Tensor } from "../tensor/view.ts";
import { type Sam2Config, trunkChannels } from "./config.ts";
import { imageEncoder } from "./image_encoder.ts";
import { type ImageFeatures, maskDecoder } from "./mask_decoder.ts";
import { type Points, promptEncoder } from "./prompt_encoder.ts";

/** The image encoder's output, `conv_s0` and `conv_s1` applied to the two fine levels. */
export interface BackboneFeatures {
  /** stride 16, before any memory: [1, E, E, D] */
  visionFeatures: Tensor;
  /** [1, 4E, 4E, D/8], [1, 2E, 2E, D/4] */
  highResFeats: readonly [Tensor, Tensor];
}

/** @source sam2/modeling/sam2_base.py, SAM2Base */
export function sam2(w: Weights, config: Sam2Config) {
  const D = config.dModel;
  const encoder = imageEncoder(w.at("image_encoder"), config);
  const prompts = promptEncoder(w.at("sam_prompt_encoder"), config);
  const decoder = maskDecoder(w.at("sam_mask_decoder"), config);
  const noMemEmbed = reshape(w.get("no_mem_embed", [1, 1, D]), [D]);

  /** `conv_s0` or `conv_s1` and the neck's convolution before it, which nothing else reads, as one. */
  const ofTrunk = (name: string, level: number, N: number) => {
    const K = trunkChannels(config)[level];
    const neck = w.at(`image_encoder.neck.convs.${3 - level}.conv`);
    return conv1x1(foldLinears(neck, w.at(`sam_mask_decoder.${name}`), [K, D, N], [1, 1]), K, N);
  };
  const [fine0, fine1] = [ofTrunk("conv_s0", 0, D / 8), ofTrunk("conv_s1", 1, D / 4)];

  /**
   * Features of an image, with the projections that the decoder would otherwise repeat for every click.
   *
   * NB the fine levels pass two convolutions as one, unless they are watched; that differs by rounding.
   *
   * @shape  [1, R, R, 3] → BackboneFeatures
   * @units  normalised RGB
   * @source SAM2Base.forward_image
   */
  const forwardImage = (image: Tensor): BackboneFeatures => {
    if (isWatched()) {
      const [level0, level1, visionFeatures] = encoder(image);
      return { visionFeatures, highResFeats: [decoder.convS0(level0), decoder.convS1(level1)] };
    }
    const [level0, level1, visionFeatures] = encoder(image, 2);
    return { visionFeatures, highResFeats: [fine0(level0), fine1(level1)] };
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

  /**
   * Masks for B prompts on one image.
   *
   * @shape  points [B, P, 2]; masks [B, 4E, 4E, 1] → DecodedMasks
   * @units  points: pixels of the resized image, (x, y); masks: logits
   */
  const predictMasks = (
    image: ImageFeatures,
    points: Points | undefined,
    masks: Tensor | undefined,
    multimask: boolean,
  ) => decoder.decode(image, prompts.densePe, prompts.encode(points, masks), multimask);

  /** The same without the masks: their predicted IoUs tell which are worth it. */
  const decodeTokens = (image: ImageFeatures, points: Points | undefined, masks: Tensor | undefined) =>
    decoder.decodeTokens(image, prompts.densePe, prompts.encode(points, masks));

  /** Features for many prompts on one image: what the prompts share is computed now. */
  const prepare = (image: ImageFeatures) => decoder.prepare(image, prompts.densePe, prompts.noMask);

  return { config, forwardImage, withoutMemory, prepare, predictMasks, decodeTokens, paint: decoder.paint };
}

/** The built graph. */
export type Sam2Graph = ReturnType<typeof sam2>;
