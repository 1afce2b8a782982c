/**
 * Image → feature pyramid: a trunk, Hiera or EdgeTAM's RepViT, and a neck that brings its four levels to one number of channels.
 *
 * B batch (1) · R image size · F channels of the first stage (EdgeTAM's are not doubled) · D channels of the neck and of all that follows
 */
import type { Weights } from "../io/weights.ts";
import { conv1x1 } from "../nn/conv.ts";
import { layer } from "../nn/layer.ts";
import { resize } from "../nn/resize.ts";
import type { Tensor } from "../tensor/view.ts";
import { isEdgeTam, type Sam2Config, trunkChannels } from "./config.ts";
import { hiera } from "./hiera.ts";
import { repVit } from "./repvit.ts";

/** Levels, counted fine → coarse, that the coarser level is added to. */
const TOP_DOWN_LEVELS = [2, 3];

/**
 * Feature pyramid: every level is projected to D channels; the stride-16 level also receives the stride-32 one.
 *
 * NB `convs` are stored coarse → fine while the levels come fine → coarse. PyTorch's neck also returns the position
 * encoding of each level; only that of stride 16 is ever read, and `tracker` makes it.
 *
 * @param finest the levels before this one are returned as they come
 * @shape  [B, R/4, R/4, F], [B, R/8, R/8, 2F], [B, R/16, R/16, 4F], [B, R/32, R/32, 8F] →
 *         [B, R/4, R/4, D], [B, R/8, R/8, D], [B, R/16, R/16, D], [B, R/32, R/32, D]
 * @source sam2/modeling/backbones/image_encoder.py, FpnNeck
 */
export function fpnNeck(w: Weights, channels: readonly number[], D: number) {
  const n = channels.length - 1;
  const convs = channels.map((_, i) => conv1x1(w.at("convs").at(i).at("conv"), channels[n - i], D));

  return layer(w, "FpnNeck", (levels: readonly Tensor[], finest: number = 0) => {
    const out = levels.slice(0, finest); // as they come
    let coarser: Tensor | undefined;
    for (let i = n; i >= finest; i--) {
      const [, H, W] = levels[i].shape;
      const residual = coarser && TOP_DOWN_LEVELS.includes(i) ? resize(coarser, H, W, "nearest") : undefined;
      coarser = convs[n - i](levels[i], { residual });
      out[i] = coarser;
    }
    return out;
  });
}

/**
 * Trunk and neck. The stride-32 level is dropped after the neck ("scalp 1"): its content is in the stride-16 level by then.
 *
 * NB PyTorch returns a dict of the levels, their position encodings and the last level once more; here the levels are all.
 *
 * @param finest the levels before this one are the trunk's, without the neck
 * @shape  [1, R, R, 3] → [1, R/4, R/4, D], [1, R/8, R/8, D], [1, R/16, R/16, D]
 * @units  image: normalised RGB
 * @source sam2/modeling/backbones/image_encoder.py, ImageEncoder
 */
export function imageEncoder(w: Weights, config: Sam2Config) {
  const trunk = isEdgeTam(config) ? repVit(w.at("trunk"), config) : hiera(w.at("trunk"), config);
  const neck = fpnNeck(w.at("neck"), trunkChannels(config), config.dModel);

  return layer(w, "ImageEncoder", (image: Tensor, finest: number = 0) => neck(trunk(image), finest).slice(0, -1));
}
