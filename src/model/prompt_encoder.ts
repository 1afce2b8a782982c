/**
 * Clicks, boxes and masks → embeddings for the mask decoder.
 *
 * B prompts in a batch · P points of a prompt · E side of the image embedding · D channels
 */
import type { Weights } from "../io/weights.ts";
import { conv1x1, conv2d } from "../nn/conv.ts";
import { add, affine, gelu } from "../nn/elementwise.ts";
import { layer } from "../nn/layer.ts";
import { concat } from "../nn/layout.ts";
import { layerNorm } from "../nn/norm.ts";
import { machine } from "../runtime/machine.ts";
import { expectShape } from "../tensor/shape.ts";
import { narrow, reshape, type Tensor } from "../tensor/view.ts";
import type { Sam2Config } from "./config.ts";
import { positionEmbeddingRandom } from "./position_encoding.ts";

/** What a point means: padding, a click outside or inside the object, or a corner of its box. */
export const LABEL = { padding: -1, negative: 0, positive: 1, boxTopLeft: 2, boxBottomRight: 3 } as const;

/** The points of B prompts, P each. */
export interface Points {
  /** [B, P, 2], pixels of the resized image, (x, y) */
  coords: Tensor;
  /** B lists of P values of `LABEL` */
  labels: readonly (readonly number[])[];
}

/** What the mask decoder is told about the prompts. */
export interface PromptEmbeddings {
  /** one token for each point and one for the padding point [B, P + 1, D]; [B, 0, D] without points */
  sparse: Tensor;
  /** [B, E, E, D] with a mask prompt; [D] for every place without one */
  dense: Tensor;
}

/**
 * NB upstream's `boxes` argument is left out: its predictors never use it. A box is two points, before the clicks.
 *
 * @shape  points [B, P, 2] and B×P labels; masks [B, 4E, 4E, 1] → PromptEmbeddings
 * @units  coords: pixels of the resized image, (x, y); masks: logits
 * @source sam2/modeling/sam/prompt_encoder.py, PromptEncoder
 */
export function promptEncoder(w: Weights, config: Sam2Config) {
  const D = config.dModel;
  const E = config.imageSize / 16;
  const pe = positionEmbeddingRandom(w.at("pe_layer"), D);
  const pointEmbeddings = [0, 1, 2, 3].map((i) => w.at("point_embeddings").at(i).get("weight", [1, D]));
  const notAPoint = w.at("not_a_point_embed").get("weight", [1, D]);
  const noMask = reshape(w.at("no_mask_embed").get("weight", [1, D]), [D]);
  const downscale = maskDownscaling(w.at("mask_downscaling"), config.maskInChans, D);
  const densePe = pe.grid(E, E);

  /** A padding point, without a place, ends every list. */
  const embedPoints = ({ coords, labels }: Points): Tensor => {
    const [B, P] = coords.shape;
    const centres = affine(coords, 1 / config.imageSize, 0.5 / config.imageSize); // pixel centres, 0…1
    const encoded = pe.encode(centres); // [B, P, D]
    const prompts = labels.map((row, b) => {
      const places = reshape(narrow(encoded, 0, b, 1), [P, D]);
      const tokens = row.map((label, p) =>
        label === LABEL.padding ? notAPoint : add(narrow(places, 0, p, 1), pointEmbeddings[label]),
      );
      return concat([...tokens, notAPoint], 0); // [P + 1, D]
    });
    return reshape(concat(prompts, 0), [B, P + 1, D]);
  };

  const encode = layer(w, "PromptEncoder", (points?: Points, masks?: Tensor): PromptEmbeddings => {
    if (masks) expectShape(w.prefix, masks.shape, [-1, 4 * E, 4 * E, 1]);
    const B = points?.coords.shape[0] ?? masks?.shape[0] ?? 1;
    return {
      sparse: points ? embedPoints(points) : machine.heap.alloc([B, 0, D]),
      dense: masks ? downscale(masks) : noMask,
    };
  });

  return { encode, densePe, noMask };
}

/**
 * A mask prompt at a quarter of the image size → the grid of the image embedding.
 *
 * @shape  [B, 4E, 4E, 1] → [B, E, E, D]
 * @source sam2/modeling/sam/prompt_encoder.py, PromptEncoder.mask_downscaling
 */
function maskDownscaling(w: Weights, chans: number, D: number) {
  const conv0 = conv2d(w.at(0), 1, chans / 4, 2, 2, 0);
  const norm1 = layerNorm(w.at(1), chans / 4, 1e-6, "LayerNorm2d");
  const conv3 = conv2d(w.at(3), chans / 4, chans, 2, 2, 0);
  const norm4 = layerNorm(w.at(4), chans, 1e-6, "LayerNorm2d");
  const conv6 = conv1x1(w.at(6), chans, D);

  return layer(w, "Sequential", (masks: Tensor) => {
    const x = gelu(norm1(conv0(masks))); // [B, 2E, 2E, chans/4]
    return conv6(gelu(norm4(conv3(x)))); // [B, E, E, D]
  });
}
