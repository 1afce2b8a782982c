/**
 * Image and prompt embeddings → masks, their quality, and whether the object is there at all.
 *
 * B prompts in a batch · N tokens · E side of the image embedding · S image tokens (E²) · D embedding
 * M masks (1 or 3)
 */
import type { Weights } from "../io/weights.ts";
import { conv1x1, convTranspose2x2, packedCells } from "../nn/conv.ts";
import { add, gelu } from "../nn/elementwise.ts";
import { isWatched, layer } from "../nn/layer.ts";
import { argmax, concat, contiguous, countAbove, stack } from "../nn/layout.ts";
import { matmul } from "../nn/linear.ts";
import { mlp } from "../nn/mlp.ts";
import { layerNorm } from "../nn/norm.ts";
import { paintMasks } from "../nn/paint.ts";
import { machine } from "../runtime/machine.ts";
import { narrow, permute, reshape, select, type Tensor } from "../tensor/view.ts";
import type { Sam2Config } from "./config.ts";
import { fewTokensTransformer } from "./few_tokens.ts";
import { isWide, type MixedImage, mixtureTransformer, type SharedReadings } from "./mixture.ts";
import type { PromptEmbeddings } from "./prompt_encoder.ts";
import { type SharedImage, sharedImageTransformer } from "./shared_image.ts";
import { twoWayTransformer } from "./two_way_transformer.ts";

const MULTIMASK_OUTPUTS = 3;
const MASK_TOKENS = MULTIMASK_OUTPUTS + 1;
const IOU_HEAD_HIDDEN_DIM = 256;
const LN_EPS = 1e-6; // of the upscaling
const STABILITY_DELTA = 0.05;
const STABILITY_THRESH = 0.98;

/** What the decoder reads of an image. */
export interface ImageFeatures {
  /** stride 16, with the memory (or `no_mem_embed`) in it: [1, E, E, D], or [B, E, E, D] with a memory each */
  imageEmbed: Tensor;
  /** stride 4 and stride 8, through `conv_s0` and `conv_s1`: [1, 4E, 4E, D/8] and [1, 2E, 2E, D/4] */
  highResFeats: readonly [Tensor, Tensor];
  /** what the prompts without a mask share, computed once an image instead of once a click */
  shared?: SharedImage;
  readings?: SharedReadings;
}

/** What the transformer makes of B prompts, before any mask is painted. */
export interface DecodedTokens {
  /** predicted IoU of all four masks [B, 4], 0…1 */
  ious: Tensor;
  /** [B, 1], positive if the object is in the image */
  objectScoreLogits: Tensor;
  /** [B, 4, D] */
  maskTokens: Tensor;
  /** [B, S, D]; left out where the image is known as a mixture, unless layers are watched */
  imageTokens?: Tensor;
  mixed?: MixedImage;
}

/** Masks of B prompts. */
export interface DecodedMasks {
  /** logits [B, M, 4E, 4E] */
  masks: Tensor;
  /** predicted IoU of each mask [B, M], 0…1 */
  ious: Tensor;
  /** the token of each mask [B, M, D], from which object pointers are made */
  samTokens: Tensor;
  /** [B, 1], positive if the object is in the image */
  objectScoreLogits: Tensor;
}

/** @source sam2/modeling/sam/mask_decoder.py, MaskDecoder */
export function maskDecoder(w: Weights, config: Sam2Config) {
  const D = config.dModel;
  const transformer = twoWayTransformer(w.at("transformer"), D, config.decoderMlpDim);
  const onShared = sharedImageTransformer(transformer);
  const ofFew = fewTokensTransformer(transformer, D);
  const { upscale, parts, firstCells } = outputUpscaling(w.at("output_upscaling"), D);
  const ofClicks = isWide(D) ? mixtureTransformer(transformer, firstCells, parts.dc1.bias, D) : undefined;
  const objScoreToken = w.at("obj_score_token").get("weight", [1, D]);
  const iouToken = w.at("iou_token").get("weight", [1, D]);
  const maskTokens = w.at("mask_tokens").get("weight", [MASK_TOKENS, D]);
  const outputTokens = concat([objScoreToken, iouToken, maskTokens], 0);
  const convS0 = conv1x1(w.at("conv_s0"), D, D / 8);
  const convS1 = conv1x1(w.at("conv_s1"), D, D / 4);
  const outputHypernetworksMlps = Array.from({ length: MASK_TOKENS }, (_, i) =>
    mlp(w.at("output_hypernetworks_mlps").at(i), D, D, D / 8, 3, "relu"),
  );
  const iouPredictionHead = mlp(w.at("iou_prediction_head"), D, IOU_HEAD_HIDDEN_DIM, MASK_TOKENS, 3, "relu", {
    sigmoidOutput: true,
  });
  const predObjScoreHead = mlp(w.at("pred_obj_score_head"), D, D, 1, 3, "relu");

  /** The image tokens of B prompts. @shape dense [D] or [B, E, E, D] → [B, S, D] */
  const imageTokensOf = ({ imageEmbed }: ImageFeatures, dense: Tensor, B: number): Tensor => {
    const [images, E] = imageEmbed.shape;
    const embed = images === B ? imageEmbed : concat(Array<Tensor>(B).fill(imageEmbed), 0);
    return reshape(add(embed, dense), [B, E * E, D]);
  };

  /** The transformer in the form that is least work; all forms are one function. */
  const transform = (image: ImageFeatures, pe: Tensor, tokens: Tensor, dense: Tensor) => {
    const [B, N] = tokens.shape;
    const [shared, readings] = dense.shape.length === 1 ? [image.shared, image.readings] : [];
    if (shared && readings && ofClicks?.pays(N)) return ofClicks.transform(shared, readings, pe, tokens);
    if (ofFew.pays(N)) return ofFew.transform(shared ?? imageTokensOf(image, dense, B), pe, tokens);
    if (shared) return onShared.transform(shared, pe, tokens);
    return transformer.transform(imageTokensOf(image, dense, B), pe, tokens);
  };

  /** Everything but the masks, which are most of the work after the transformer: who wants them, paints them. */
  const decodeTokens = (image: ImageFeatures, imagePe: Tensor, { sparse, dense }: PromptEmbeddings): DecodedTokens => {
    const [, E] = image.imageEmbed.shape;
    const B = sparse.shape[0];
    const tokens = stack(
      Array.from({ length: B }, (_, b) => concat([outputTokens, select(sparse, 0, b)], 0)),
      0,
    ); // [B, N, D]
    const pe = reshape(imagePe, [E * E, D]);
    const [hs, imageTokens, mixed] = transform(image, pe, tokens, dense);
    const objToken = contiguous(narrow(hs, 1, 0, 1)); // [B, 1, D]
    const iouTokenOut = contiguous(narrow(hs, 1, 1, 1)); // [B, 1, D]
    return {
      ious: reshape(iouPredictionHead(iouTokenOut), [B, MASK_TOKENS]),
      objectScoreLogits: reshape(predObjScoreHead(objToken), [B, 1]),
      maskTokens: contiguous(narrow(hs, 1, 2, MASK_TOKENS)), // [B, 4, D]
      imageTokens,
      mixed,
    };
  };

  /** What the masks of B prompts are found by in the upscaled image. @shape maskTokens [B, 4, D] → [B, 4, D/8] */
  const hypernetworks = (maskTokens: Tensor) =>
    stack(
      outputHypernetworksMlps.map((net, i) => net(contiguous(select(maskTokens, 1, i)))),
      1,
    );

  /** All four masks; token 0 is the single mask, tokens 1…3 the three of `multimaskOutput`. @shape → [B, 4, 4E, 4E] */
  const paintInSteps = (image: ImageFeatures, { maskTokens, imageTokens }: DecodedTokens): Tensor => {
    const [, E] = image.imageEmbed.shape;
    const B = maskTokens.shape[0];
    const upscaled = upscale(reshape(imageTokens!, [B, E, E, D]), image.highResFeats); // [B, 4E, 4E, D/8]
    const hyperIn = hypernetworks(maskTokens);
    const masks = Array.from({ length: B }, (_, b) =>
      permute(matmul(reshape(narrow(upscaled, 0, b, 1), [16 * E * E, D / 8]), select(hyperIn, 0, b)), [1, 0]),
    ); // B × [4, 16·E²]
    return reshape(stack(masks, 0), [B, MASK_TOKENS, 4 * E, 4 * E]);
  };

  /** The same masks, to the bit, of some of the prompts, in one pass over the image: the upscaled image is not stored. */
  const paint = (
    image: ImageFeatures,
    { maskTokens, imageTokens, mixed }: DecodedTokens,
    prompts: readonly number[],
  ): Tensor => {
    const tokens = hypernetworks(maskTokens);
    if (!mixed) return paintMasks(parts, imageTokens!, image.highResFeats, tokens, prompts);
    return machine.heap.scope(() => {
      const { dc1, shared } = ofClicks!.cellsOf(mixed, image.readings!);
      return paintMasks({ ...parts, dc1 }, mixed.mixture.weights, image.highResFeats, tokens, prompts, shared);
    });
  };

  /**
   * Masks for B prompts on one image: three with `multimaskOutput`, else one, which is the single mask if it is
   * stable and the best of the three if it is not.
   *
   * @shape imagePe [1, E, E, D] → DecodedMasks with M = 3 or 1; `samTokens` then has 3 tokens or 1
   */
  const decode = layer(
    w,
    "MaskDecoder",
    (image: ImageFeatures, imagePe: Tensor, prompts: PromptEmbeddings, multimaskOutput: boolean): DecodedMasks => {
      const tokens = decodeTokens(image, imagePe, prompts);
      const { ious, maskTokens, objectScoreLogits } = tokens;
      const inSteps = isWatched() ? paintInSteps(image, tokens) : undefined; // of a mixture they differ by rounding
      const masks = tokens.mixed || !inSteps ? paint(image, tokens, [...Array(ious.shape[0]).keys()]) : inSteps;
      if (multimaskOutput) {
        return {
          masks: contiguous(narrow(masks, 1, 1, MULTIMASK_OUTPUTS)),
          ious: contiguous(narrow(ious, 1, 1, MULTIMASK_OUTPUTS)),
          samTokens: contiguous(narrow(maskTokens, 1, 1, MULTIMASK_OUTPUTS)),
          objectScoreLogits,
        };
      }
      const chosen = Array.from({ length: masks.shape[0] }, (_, b) =>
        stableMask(select(masks, 0, b), select(ious, 0, b)),
      );
      return {
        masks: stack(
          chosen.map((k, b) => narrow(select(masks, 0, b), 0, k, 1)),
          0,
        ),
        ious: stack(
          chosen.map((k, b) => narrow(select(ious, 0, b), 0, k, 1)),
          0,
        ),
        samTokens: contiguous(narrow(maskTokens, 1, 0, 1)), // always the single mask's token
        objectScoreLogits,
      };
    },
  );

  /** Do once for an image what its prompts share. @shape imagePe [1, E, E, D]; noMask [D] */
  const prepare = (image: ImageFeatures, imagePe: Tensor, noMask: Tensor): ImageFeatures => {
    const [, E] = image.imageEmbed.shape;
    const [x, pe] = [imageTokensOf(image, noMask, 1), reshape(imagePe, [E * E, D])];
    return { ...image, shared: onShared.share(x, pe), readings: ofClicks?.share(select(x, 0, 0), pe) };
  };

  return { convS0, convS1, decode, decodeTokens, paint, prepare };
}

/**
 * Which of the four masks a single-mask output takes: mask 0, unless raising its threshold by δ instead of lowering
 * it shrinks its area below 98 %; then the best of masks 1…3 by predicted IoU.
 *
 * @shape  masks [4, H, W] logits; ious [4] → 0…3
 * @source sam2/modeling/sam/mask_decoder.py, MaskDecoder._dynamic_multimask_via_stability
 */
export function stableMask(masks: Tensor, ious: Tensor): number {
  const single = select(masks, 0, 0);
  const intersection = countAbove(single, STABILITY_DELTA);
  const union = countAbove(single, -STABILITY_DELTA);
  const stability = union > 0 ? intersection / union : 1;
  return stability >= STABILITY_THRESH ? 0 : 1 + argmax(narrow(ious, 0, 1, MULTIMASK_OUTPUTS));
}

/**
 * The image tokens at four times the resolution, with the fine features of the image encoder added.
 *
 * @shape  src [B, E, E, D]; [1, 4E, 4E, D/8], [1, 2E, 2E, D/4] → [B, 4E, 4E, D/8]
 * @source sam2/modeling/sam/mask_decoder.py, MaskDecoder.output_upscaling
 */
function outputUpscaling(w: Weights, D: number) {
  const cells1 = packedCells(w.at(0), D, D / 4);
  const cells2 = packedCells(w.at(3), D / 4, D / 8);
  const dc1 = convTranspose2x2(w.at(0), cells1);
  const ln1 = layerNorm(w.at(1), D / 4, LN_EPS, "LayerNorm2d");
  const dc2 = convTranspose2x2(w.at(3), cells2);

  const upscale = layer(w, "Sequential", (src: Tensor, [featS0, featS1]: readonly [Tensor, Tensor]) => {
    const x = gelu(ln1(dc1(src, { residual: featS1 }))); // [B, 2E, 2E, D/4]
    return gelu(dc2(x, { residual: featS0 })); // [B, 4E, 4E, D/8]
  });

  const norm = { weight: w.at(1).get("weight", [D / 4]), bias: w.at(1).get("bias", [D / 4]), eps: LN_EPS };
  /** The first weight as two matrices of D/2 × D, of the upper and of the lower row of a cell. */
  const firstCells = () => {
    const weight = w.at(0).get("weight", [D, D / 4, 2, 2]);
    return reshape(contiguous(permute(weight, [2, 3, 1, 0])), [2, D / 2, D]);
  };
  return { upscale, parts: { dc1: cells1, norm, dc2: cells2 }, firstCells };
}
