import { CheckpointError } from "../errors.ts";
import { formatShape, numel } from "../tensor/shape.ts";
import { isObject } from "./json.ts";
import type { StoredTensor } from "./tensor_file.ts";

/** Older versions of transformers wrote every `gamma` as `weight`. */
const GAMMA = /^(memory_encoder\.fuser\.layers\.\d+)\.weight$/;

/**
 * transformers' names → Meta's, applied one after the other.
 *
 * @source transformers 5.23, models/sam2/modeling_sam2.py, models/sam2_video/modeling_sam2_video.py; EdgeTAM's in 5.24,
 *         models/edgetam_video/modeling_edgetam_video.py
 */
const RENAMES: readonly (readonly [RegExp, string])[] = [
  // image encoder
  [/^vision_encoder\.backbone\./, "image_encoder.trunk."],
  [/^(image_encoder\.trunk\.patch_embed)\.projection\./, "$1.proj."],
  [/^image_encoder\.trunk\.timm_model\./, "image_encoder.trunk.body."],
  [/^vision_encoder\.neck\.convs\.(\d+)\./, "image_encoder.neck.convs.$1.conv."],
  // prompt encoder
  [
    /^(prompt_encoder\.shared|shared_image)_embedding\.positional_embedding$/,
    "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
  ],
  [/^prompt_encoder\.mask_embed\.conv1\./, "prompt_encoder.mask_downscaling.0."],
  [/^prompt_encoder\.mask_embed\.layer_norm1\./, "prompt_encoder.mask_downscaling.1."],
  [/^prompt_encoder\.mask_embed\.conv2\./, "prompt_encoder.mask_downscaling.3."],
  [/^prompt_encoder\.mask_embed\.layer_norm2\./, "prompt_encoder.mask_downscaling.4."],
  [/^prompt_encoder\.mask_embed\.conv3\./, "prompt_encoder.mask_downscaling.6."],
  // mask decoder
  [/^mask_decoder\.upscale_conv1\./, "mask_decoder.output_upscaling.0."],
  [/^mask_decoder\.upscale_layer_norm\./, "mask_decoder.output_upscaling.1."],
  [/^mask_decoder\.upscale_conv2\./, "mask_decoder.output_upscaling.3."],
  [/^(prompt_encoder|mask_decoder)\./, "sam_$1."],
  // memory
  [/^memory_encoder\.feature_projection\./, "memory_encoder.pix_feat_proj."],
  [/^memory_encoder\.projection\./, "memory_encoder.out_proj."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.0\.conv\./, "$1.encoder.0."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.0\.layer_norm\./, "$1.encoder.1."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.1\.conv\./, "$1.encoder.3."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.1\.layer_norm\./, "$1.encoder.4."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.2\.conv\./, "$1.encoder.6."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.2\.layer_norm\./, "$1.encoder.7."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.3\.conv\./, "$1.encoder.9."],
  [/^(memory_encoder\.mask_downsampler)\.layers\.3\.layer_norm\./, "$1.encoder.10."],
  [/^(memory_encoder\.mask_downsampler)\.final_conv\./, "$1.encoder.12."],
  [/^memory_encoder\.memory_fuser\./, "memory_encoder.fuser."],
  [/^(memory_encoder\.fuser\.layers\.\d+)\.depthwise_conv\./, "$1.dwconv."],
  [/^(memory_encoder\.fuser\.layers\.\d+)\.pointwise_conv/, "$1.pwconv"],
  [/^(memory_encoder\.fuser\.layers\.\d+)\.scale$/, "$1.gamma"],
  [/^memory_temporal_positional_encoding$/, "maskmem_tpos_enc"],
  [/^no_memory_embedding$/, "no_mem_embed"],
  [/^no_memory_positional_encoding$/, "no_mem_pos_enc"],
  [/^no_object_pointer$/, "no_obj_ptr"],
  [/^occlusion_spatial_embedding_parameter$/, "no_obj_embed_spatial"],
  [/^object_pointer_proj\./, "obj_ptr_proj."],
  [/^temporal_positional_encoding_projection_layer\./, "obj_ptr_tpos_proj."],
  // EdgeTAM's memory
  [/^(memory_attention\.layers\.\d+)\.mlp\.up_proj\./, "$1.linear1."],
  [/^(memory_attention\.layers\.\d+)\.mlp\.down_proj\./, "$1.linear2."],
  [/^spatial_perceiver\.latents_1d$/, "spatial_perceiver.latents"],
  [/^(spatial_perceiver\.layers\.\d+)\.layer_norm_input\./, "$1.attn.norm_x."],
  [/^(spatial_perceiver\.layers\.\d+)\.layer_norm_latents\./, "$1.attn.norm_latents."],
  [/^(spatial_perceiver\.layers\.\d+)\.layer_norm_self\./, "$1.self_attn.norm."],
  [/^(spatial_perceiver\.layers\.\d+)\.cross_attention\./, "$1.attn."],
  [/^(spatial_perceiver\.layers\.\d+)\.self_attention\./, "$1.self_attn."],
  [/^(spatial_perceiver\.layers\.\d+\.(?:self_)?attn)\.q_proj\./, "$1.to_q."],
  [/^(spatial_perceiver\.layers\.\d+\.(?:self_)?attn)\.o_proj\./, "$1.to_out."],
  [/^(spatial_perceiver\.layers\.\d+\.(?:self_)?)mlp\.layer_norm\./, "$1ff.0."],
  [/^(spatial_perceiver\.layers\.\d+\.(?:self_)?)mlp\.up_proj\./, "$1ff.1."],
  [/^(spatial_perceiver\.layers\.\d+\.(?:self_)?)mlp\.down_proj\./, "$1ff.3."],
  // everywhere: perceptrons (of two layers in blocks, of three elsewhere), norms, attention
  [/\.mlp\.proj_in\./, ".mlp.layers.0."],
  [/\.mlp\.proj_out\./, ".mlp.layers.1."],
  [/(head|mlps\.\d+|ptr_proj)\.layers\.0\./, "$1.layers.1."],
  [/(head|mlps\.\d+|ptr_proj)\.proj_in\./, "$1.layers.0."],
  [/(head|mlps\.\d+|ptr_proj)\.proj_out\./, "$1.layers.2."],
  [/\.layer_norm/, ".norm"],
  [/\.o_proj\./, ".out_proj."],
];

const POINTS = "sam_prompt_encoder.point_embed.weight";
const MAX_SHARED = 2 ** 16; // values of a tensor that stands under two names: the Fourier matrix has 256

/** Do these names follow transformers' Sam2Model or Sam2VideoModel? */
export function isTransformers(tensors: ReadonlyMap<string, StoredTensor>): boolean {
  return [...tensors.keys()].some((name) => name.startsWith("vision_encoder."));
}

/**
 * The same tensors under Meta's names. Unknown names stay as they are, so that they are reported as unexpected.
 *
 * @param foreign do they follow transformers' names?
 * NB transformers concatenates the four point embeddings, stores one Fourier matrix under two names, and splits the product that
 * makes keys and values in EdgeTAM's perceiver.
 *
 * @throws CheckpointError if two tensors of one meaning differ
 */
export function metaNames(
  file: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  foreign: boolean,
): Map<string, StoredTensor> {
  const renamed = new Map<string, StoredTensor>();
  for (const [name, stored] of tensors) {
    let meta = name;
    if (foreign) for (const [pattern, replacement] of RENAMES) meta = meta.replace(pattern, replacement);
    meta = meta.replace(GAMMA, "$1.gamma");
    const same = renamed.get(meta);
    if (same && !equalValues(same, stored)) {
      const todo = "use a file in which both names hold the same values";
      throw new CheckpointError(`${file}: ${name}`, `the values that ${meta} already has`, "others", todo);
    }
    if (!same) renamed.set(meta, stored);
  }
  const points = renamed.get(POINTS);
  if (points?.shape.length === 2 && points.shape[0] === 4) {
    renamed.delete(POINTS);
    for (const i of [0, 1, 2, 3]) renamed.set(`sam_prompt_encoder.point_embeddings.${i}.weight`, row(points, i));
  }
  for (const [name, keys] of [...renamed]) {
    const [, attention] = KEYS.exec(name) ?? [];
    const values = renamed.get(`${attention}.v_proj.weight`);
    if (!values || values.shape[1] !== keys.shape[1]) continue;
    renamed.delete(name);
    renamed.delete(`${attention}.v_proj.weight`);
    renamed.set(`${attention}.to_kv.weight`, joined(keys, values));
  }
  return renamed;
}

/** A projection to keys in EdgeTAM's perceiver. */
const KEYS = /^(spatial_perceiver\.layers\.\d+\.(?:self_)?attn)\.k_proj\.weight$/;

/** Rows of [A, D], then those of [B, D]. */
function joined(first: StoredTensor, second: StoredTensor): StoredTensor {
  const rows = first.shape[0] + second.shape[0];
  const read = (into: Float32Array) => {
    first.read(into.subarray(0, numel(first.shape)));
    second.read(into.subarray(numel(first.shape)));
  };
  return { dtype: first.dtype, shape: [rows, first.shape[1]], read };
}

function equalValues(a: StoredTensor, b: StoredTensor): boolean {
  if (formatShape(a.shape) !== formatShape(b.shape) || numel(a.shape) > MAX_SHARED) return false;
  const values = [a, b].map((stored) => {
    const read = new Float32Array(numel(stored.shape));
    stored.read(read);
    return read;
  });
  return values[0].every((value, i) => Object.is(value, values[1][i]));
}

/** Row i of [N, D] as [1, D]. */
function row(stored: StoredTensor, i: number): StoredTensor {
  const width = stored.shape[1];
  const read = (into: Float32Array) => {
    const all = new Float32Array(numel(stored.shape));
    stored.read(all);
    into.set(all.subarray(i * width, (i + 1) * width));
  };
  return { dtype: stored.dtype, shape: [1, width], read };
}

/** What a transformers config.json says beyond the shapes, under the names of `Hyperparameters`; unchecked. */
export function hyperparametersOf(config: Record<string, unknown>): Record<string, unknown> {
  const vision = isObject(config.vision_config) ? config.vision_config : {};
  const backbone = isObject(vision.backbone_config) ? vision.backbone_config : {};
  const first = (value: unknown) => (Array.isArray(value) ? value[0] : value);
  const stated = {
    imageSize: first(config.image_size ?? backbone.image_size),
    numHeads: first(backbone.num_attention_heads_per_stage),
    windowSpec: backbone.window_size_per_stage,
    globalAttBlocks: backbone.global_attention_blocks,
  };
  return Object.fromEntries(Object.entries(stated).filter(([, value]) => value !== undefined && value !== null));
}
