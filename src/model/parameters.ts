import type { Shape } from "../tensor/shape.ts";
import { type EdgeTamConfig, type HieraConfig, isEdgeTam, type Sam2Config, trunkChannels } from "./config.ts";

/** Names and shapes of a checkpoint under Meta's names; the values do not matter here. */
export type Shapes = ReadonlyMap<string, { readonly shape: Shape }>;

/**
 * Is it a tensor that the reference does not read either? `no_mem_pos_enc` would serve only without
 * `directly_add_no_mem_embed`, and a batch norm counts its batches while it is trained.
 */
export function isNeverRead(name: string): boolean {
  return name === "no_mem_pos_enc" || isBatchCount(name);
}

/** Batches that a batch norm was trained on, an integer. PyTorch loads files without it as well. */
export function isBatchCount(name: string): boolean {
  return name.endsWith(".num_batches_tracked");
}

/**
 * Name and PyTorch shape of every tensor of a checkpoint, in the order of the reference's state_dict.
 *
 * @source sam2/modeling/sam2_base.py, SAM2Base, and the modules it is built of
 */
export function parameters(config: Sam2Config): Map<string, Shape> {
  const { dModel: D, memDim, version } = config;
  const list = new ParameterList();
  const { add, norm, linear, conv, convTranspose, mlp } = list;
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

  if (isEdgeTam(config)) repVit(list, config);
  else hiera(list, config);
  for (const [i, channels] of trunkChannels(config).reverse().entries()) {
    conv(`image_encoder.neck.convs.${i}.conv`, channels, D, 1);
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
  if (isEdgeTam(config)) spatialPerceiver(list, config);
  return list.shapes;
}

/** Collects names and shapes, module by module. */
class ParameterList {
  readonly shapes = new Map<string, Shape>();

  add = (name: string, ...shape: number[]) => void this.shapes.set(name, shape);

  norm = (name: string, channels: number) => {
    this.add(`${name}.weight`, channels);
    this.add(`${name}.bias`, channels);
  };

  linear = (name: string, inputs: number, outputs: number) => {
    this.add(`${name}.weight`, outputs, inputs);
    this.add(`${name}.bias`, outputs);
  };

  conv = (name: string, inputs: number, outputs: number, kernel: number) => {
    this.add(`${name}.weight`, outputs, inputs, kernel, kernel);
    this.add(`${name}.bias`, outputs);
  };

  convTranspose = (name: string, inputs: number, outputs: number) => {
    this.add(`${name}.weight`, inputs, outputs, 2, 2);
    this.add(`${name}.bias`, outputs);
  };

  /** A convolution and the batch norm after it. */
  convNorm = (name: string, inputs: number, outputs: number, kernel: number) => {
    this.add(`${name}.c.weight`, outputs, inputs, kernel, kernel);
    this.norm(`${name}.bn`, outputs);
    this.add(`${name}.bn.running_mean`, outputs);
    this.add(`${name}.bn.running_var`, outputs);
    this.add(`${name}.bn.num_batches_tracked`);
  };

  mlp = (name: string, ...channels: number[]) => {
    for (let i = 0; i + 1 < channels.length; i++) this.linear(`${name}.layers.${i}`, channels[i], channels[i + 1]);
  };
}

/** @source sam2/modeling/backbones/hieradet.py, Hiera */
function hiera({ add, norm, linear, conv, mlp }: ParameterList, config: HieraConfig): void {
  const { embedDim } = config;
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
}

/** @source timm/models/repvit.py, RepVit, whose heads are left out */
function repVit({ conv, convNorm }: ParameterList, { embedDims, depths }: EdgeTamConfig): void {
  const body = "image_encoder.trunk.body";
  const mlp = (name: string, C: number) => {
    convNorm(`${name}.conv1`, C, REPVIT_MLP_RATIO * C, 1);
    convNorm(`${name}.conv2`, REPVIT_MLP_RATIO * C, C, 1);
  };
  const block = (name: string, C: number, squeezes: boolean) => {
    convNorm(`${name}.token_mixer.conv`, 1, C, 3);
    convNorm(`${name}.token_mixer.conv1`, 1, C, 1);
    if (squeezes) {
      conv(`${name}.se.fc1`, C, squeezedChannels(C), 1);
      conv(`${name}.se.fc2`, squeezedChannels(C), C, 1);
    }
    mlp(`${name}.channel_mixer`, C);
  };

  convNorm(`${body}.stem.conv1`, 3, embedDims[0] / 2, 3);
  convNorm(`${body}.stem.conv2`, embedDims[0] / 2, embedDims[0], 3);
  for (const [i, C] of embedDims.entries()) {
    if (i > 0) {
      const downsample = `${body}.stages_${i}.downsample`;
      block(`${downsample}.pre_block`, embedDims[i - 1], false);
      convNorm(`${downsample}.spatial_downsample`, 1, embedDims[i - 1], 3);
      convNorm(`${downsample}.channel_downsample`, embedDims[i - 1], C, 1);
      mlp(`${downsample}.ffn`, C);
    }
    for (let k = 0; k < depths[i]; k++) block(`${body}.stages_${i}.blocks.${k}`, C, hasSqueezeExcite(k));
  }
}

/** Hidden channels of RepViT's MLPs, as a multiple of the others. */
export const REPVIT_MLP_RATIO = 2;

/** Every second block of a stage of RepViT has a squeeze-and-excite, the first one too. */
export function hasSqueezeExcite(block: number): boolean {
  return block % 2 === 0;
}

/**
 * Channels inside of a squeeze-and-excite: a quarter, to the nearest multiple of 8.
 *
 * @source timm/layers/squeeze_excite.py, SEModule
 */
export function squeezedChannels(C: number): number {
  return Math.max(8, Math.floor((C / 4 + 4) / 8) * 8);
}

/** @source sam2/modeling/perceiver.py, PerceiverResampler */
function spatialPerceiver({ add, norm }: ParameterList, config: EdgeTamConfig): void {
  const { memDim: M, perceiverDepth, numLatents, numLatents2d } = config;
  const path = "spatial_perceiver";
  const attention = (name: string, ...norms: string[]) => {
    for (const n of norms) norm(`${name}.${n}`, M);
    add(`${name}.to_q.weight`, M, M);
    add(`${name}.to_kv.weight`, 2 * M, M);
    add(`${name}.to_out.weight`, M, M);
  };
  const feedForward = (name: string) => {
    norm(`${name}.0`, M);
    add(`${name}.1.weight`, PERCEIVER_MLP_RATIO * M, M);
    add(`${name}.3.weight`, M, PERCEIVER_MLP_RATIO * M);
  };

  add(`${path}.latents`, numLatents, M);
  add(`${path}.latents_2d`, numLatents2d, M);
  for (let i = 0; i < perceiverDepth; i++) {
    attention(`${path}.layers.${i}.attn`, "norm_x", "norm_latents");
    feedForward(`${path}.layers.${i}.ff`);
    attention(`${path}.layers.${i}.self_attn`, "norm");
    feedForward(`${path}.layers.${i}.self_ff`);
  }
  norm(`${path}.norm`, M);
}

/** Hidden channels of the perceiver's MLPs, as a multiple of the others. */
export const PERCEIVER_MLP_RATIO = 4;
