import type { Shape } from "../tensor/shape.ts";
import type { Sam2Config } from "./config.ts";

/** Names and shapes of a checkpoint under Meta's names; the values do not matter here. */
export type Shapes = ReadonlyMap<string, { readonly shape: Shape }>;

/** Tensors that the reference does not read either: this one would serve only without `directly_add_no_mem_embed`. */
export const NEVER_READ: readonly string[] = ["no_mem_pos_enc"];

/**
 * Name and PyTorch shape of every tensor of a checkpoint, in the order of the reference's state_dict.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base, and the modules it is built of
 */
export function parameters(config: Sam2Config): Map<string, Shape> {
  const { embedDim, dModel: D, memDim, version } = config;
  const shapes = new Map<string, Shape>();
  const add = (name: string, ...shape: number[]) => shapes.set(name, shape);
  const norm = (name: string, channels: number) => {
    add(`${name}.weight`, channels);
    add(`${name}.bias`, channels);
  };
  const linear = (name: string, inputs: number, outputs: number) => {
    add(`${name}.weight`, outputs, inputs);
    add(`${name}.bias`, outputs);
  };
  const conv = (name: string, inputs: number, outputs: number, kernel: number) => {
    add(`${name}.weight`, outputs, inputs, kernel, kernel);
    add(`${name}.bias`, outputs);
  };
  const convTranspose = (name: string, inputs: number, outputs: number) => {
    add(`${name}.weight`, inputs, outputs, 2, 2);
    add(`${name}.bias`, outputs);
  };
  const mlp = (name: string, ...channels: number[]) => {
    for (let i = 0; i + 1 < channels.length; i++) linear(`${name}.layers.${i}`, channels[i], channels[i + 1]);
  };
  const attention = (name: string, inner: number, keyDim = D) => {
    linear(`${name}.q_proj`, D, inner);
    linear(`${name}.k_proj`, keyDim, inner);
    linear(`${name}.v_proj`, keyDim, inner);
    linear(`${name}.out_proj`, inner, D);
  };

  add("maskmem_tpos_enc", config.numMaskmem, 1, 1, memDim);
  add("no_mem_embed", 1, 1, D);
  add("no_mem_pos_enc", 1, 1, D);
  add("no_obj_ptr", 1, D);
  if (version === "2.1") add("no_obj_embed_spatial", 1, memDim);

  const trunk = "image_encoder.trunk";
  add(`${trunk}.pos_embed`, 1, embedDim, ...config.windowPosEmbedBkgSpatialSize);
  add(`${trunk}.pos_embed_window`, 1, embedDim, config.windowSpec[0], config.windowSpec[0]);
  conv(`${trunk}.patch_embed.proj`, 3, embedDim, 7);
  let block = 0;
  let dim = embedDim;
  for (const [stage, blocks] of config.stages.entries()) {
    const dimOut = embedDim * 2 ** stage;
    for (let i = 0; i < blocks; i++) {
      const name = `${trunk}.blocks.${block++}`;
      norm(`${name}.norm1`, dim);
      linear(`${name}.attn.qkv`, dim, dimOut * 3);
      linear(`${name}.attn.proj`, dimOut, dimOut);
      norm(`${name}.norm2`, dimOut);
      mlp(`${name}.mlp`, dimOut, dimOut * 4, dimOut);
      if (dim !== dimOut) linear(`${name}.proj`, dim, dimOut);
      dim = dimOut;
    }
  }
  for (const [i, factor] of [8, 4, 2, 1].entries()) {
    conv(`image_encoder.neck.convs.${i}.conv`, embedDim * factor, D, 1);
  }

  conv("mask_downsample", 1, 1, 4);
  for (let i = 0; i < config.memoryAttentionLayers; i++) {
    const name = `memory_attention.layers.${i}`;
    attention(`${name}.self_attn`, D);
    attention(`${name}.cross_attn_image`, D, memDim);
    linear(`${name}.linear1`, D, config.dimFeedforward);
    linear(`${name}.linear2`, config.dimFeedforward, D);
    for (const n of [1, 2, 3]) norm(`${name}.norm${n}`, D);
  }
  norm("memory_attention.norm", D);

  for (const [i, channels] of [4, 16, 64, 256].entries()) {
    const name = "memory_encoder.mask_downsampler.encoder";
    conv(`${name}.${3 * i}`, channels / 4, channels, 3);
    norm(`${name}.${3 * i + 1}`, channels);
  }
  conv("memory_encoder.mask_downsampler.encoder.12", 256, D, 1);
  conv("memory_encoder.pix_feat_proj", D, D, 1);
  for (let i = 0; i < config.fuserLayers; i++) {
    const name = `memory_encoder.fuser.layers.${i}`;
    add(`${name}.gamma`, D);
    conv(`${name}.dwconv`, 1, D, 7);
    norm(`${name}.norm`, D);
    linear(`${name}.pwconv1`, D, D * 4);
    linear(`${name}.pwconv2`, D * 4, D);
  }
  conv("memory_encoder.out_proj", D, memDim, 1);

  const prompts = "sam_prompt_encoder";
  add(`${prompts}.pe_layer.positional_encoding_gaussian_matrix`, 2, D / 2);
  for (let i = 0; i < 4; i++) add(`${prompts}.point_embeddings.${i}.weight`, 1, D);
  add(`${prompts}.not_a_point_embed.weight`, 1, D);
  const { maskInChans } = config;
  conv(`${prompts}.mask_downscaling.0`, 1, maskInChans / 4, 2);
  norm(`${prompts}.mask_downscaling.1`, maskInChans / 4);
  conv(`${prompts}.mask_downscaling.3`, maskInChans / 4, maskInChans, 2);
  norm(`${prompts}.mask_downscaling.4`, maskInChans);
  conv(`${prompts}.mask_downscaling.6`, maskInChans, D, 1);
  add(`${prompts}.no_mask_embed.weight`, 1, D);

  const decoder = "sam_mask_decoder";
  for (let i = 0; i < 2; i++) {
    const name = `${decoder}.transformer.layers.${i}`;
    attention(`${name}.self_attn`, D);
    norm(`${name}.norm1`, D);
    attention(`${name}.cross_attn_token_to_image`, D / 2);
    norm(`${name}.norm2`, D);
    mlp(`${name}.mlp`, D, config.decoderMlpDim, D);
    norm(`${name}.norm3`, D);
    norm(`${name}.norm4`, D);
    attention(`${name}.cross_attn_image_to_token`, D / 2);
  }
  attention(`${decoder}.transformer.final_attn_token_to_image`, D / 2);
  norm(`${decoder}.transformer.norm_final_attn`, D);
  add(`${decoder}.iou_token.weight`, 1, D);
  add(`${decoder}.mask_tokens.weight`, 4, D);
  add(`${decoder}.obj_score_token.weight`, 1, D);
  convTranspose(`${decoder}.output_upscaling.0`, D, D / 4);
  norm(`${decoder}.output_upscaling.1`, D / 4);
  convTranspose(`${decoder}.output_upscaling.3`, D / 4, D / 8);
  conv(`${decoder}.conv_s0`, D, D / 8, 1);
  conv(`${decoder}.conv_s1`, D, D / 4, 1);
  for (let i = 0; i < 4; i++) mlp(`${decoder}.output_hypernetworks_mlps.${i}`, D, D, D, D / 8);
  mlp(`${decoder}.iou_prediction_head`, D, 256, 256, 4);
  mlp(`${decoder}.pred_obj_score_head`, D, D, D, 1);

  mlp("obj_ptr_proj", D, D, D, D);
  if (version === "2.1") linear("obj_ptr_tpos_proj", D, memDim);
  return shapes;
}
