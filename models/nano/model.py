"""The nano configuration of SAM 2.1: Meta's own modules, unchanged, with smaller dimensions."""

import json

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam2_base import SAM2Base

TRUNK = {
    "embed_dim": 32,
    "num_heads": 1,
    "stages": [1, 1, 3, 1],
    "window_spec": [8, 4, 8, 4],
    "global_att_blocks": [3, 4],
    "window_pos_embed_bkg_spatial_size": [8, 8],
}
D_MODEL = 128
MEM_DIM = 64
FEEDFORWARD = 160
MEMORY_LAYERS = 2
# Flags of sam2.1_hiera_t.yaml, all of them.
FLAGS = {
    "num_maskmem": 7,
    "sigmoid_scale_for_mem_enc": 20.0,
    "sigmoid_bias_for_mem_enc": -10.0,
    "use_mask_input_as_output_without_sam": True,
    "directly_add_no_mem_embed": True,
    "no_obj_embed_spatial": True,
    "use_high_res_features_in_sam": True,
    "multimask_output_in_sam": True,
    "iou_prediction_use_sigmoid": True,
    "use_obj_ptrs_in_encoder": True,
    "add_tpos_enc_to_obj_ptrs": True,
    "proj_tpos_enc_in_obj_ptrs": True,
    "use_signed_tpos_enc_to_obj_ptrs": True,
    "only_obj_ptrs_in_the_past_for_eval": True,
    "pred_obj_scores": True,
    "pred_obj_scores_mlp": True,
    "fixed_no_obj_ptr": True,
    "multimask_output_for_tracking": True,
    "use_multimask_token_for_obj_ptr": True,
    "multimask_min_pt_num": 0,
    "multimask_max_pt_num": 1,
    "use_mlp_for_obj_ptr_proj": True,
}
# What `apply_postprocessing=True`, the builders' default, switches on.
STABILITY = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}


def sine(channels):
    return PositionEmbeddingSine(num_pos_feats=channels, normalize=True, scale=None, temperature=10000)


def rope(size, **options):
    return RoPEAttention(
        rope_theta=10000.0,
        feat_sizes=[size // 16, size // 16],
        embedding_dim=D_MODEL,
        num_heads=1,
        downsample_rate=1,
        dropout=0.0,
        **options,
    )


def build(size, base=SAM2Base, **extra):
    """A nano model with random weights that works at `size` pixels; `base` may be a predictor derived from SAM2Base."""
    trunk = Hiera(**TRUNK)
    neck = FpnNeck(sine(D_MODEL), D_MODEL, trunk.channel_list, fpn_top_down_levels=[2, 3], fpn_interp_model="nearest")
    layer = MemoryAttentionLayer(
        activation="relu",
        dim_feedforward=FEEDFORWARD,
        dropout=0.0,
        pos_enc_at_attn=False,
        self_attention=rope(size),
        d_model=D_MODEL,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        cross_attention=rope(size, rope_k_repeat=True, kv_in_dim=MEM_DIM),
    )
    memory_encoder = MemoryEncoder(
        out_dim=MEM_DIM,
        in_dim=D_MODEL,
        position_encoding=sine(MEM_DIM),
        mask_downsampler=MaskDownSampler(embed_dim=D_MODEL, kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(dim=D_MODEL, kernel_size=7, padding=3, layer_scale_init_value=1e-6), num_layers=2),
    )
    return base(
        image_encoder=ImageEncoder(trunk=trunk, neck=neck, scalp=1),
        memory_attention=MemoryAttention(D_MODEL, pos_enc_at_input=True, layer=layer, num_layers=MEMORY_LAYERS),
        memory_encoder=memory_encoder,
        image_size=size,
        sam_mask_decoder_extra_args=STABILITY,
        **FLAGS,
        **extra,
    )


def set_size(model, size):
    """Lets `model` work at `size` pixels. No weight depends on it; RoPE tables follow by themselves."""
    grid = size // 16
    model.image_size = size
    model.sam_image_embedding_size = grid
    encoder = model.sam_prompt_encoder
    encoder.image_embedding_size = (grid, grid)
    encoder.input_image_size = (size, size)
    encoder.mask_input_size = (4 * grid, 4 * grid)


def export(model, path, size):
    """Writes the weights as float16 safetensors with Meta's names; metadata `config` holds what shapes cannot tell."""
    config = {
        "name": "nano",
        "imageSize": size,
        "numHeads": TRUNK["num_heads"],
        "windowSpec": TRUNK["window_spec"],
        "globalAttBlocks": TRUNK["global_att_blocks"],
    }
    weights = {name: value.detach().to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(weights, str(path), metadata={"config": json.dumps(config)})


def load(path, base=SAM2Base, **extra):
    """The exported model, in float32 and ready to use, at the size its config names."""
    with safe_open(str(path), "pt") as file:
        size = json.loads(file.metadata()["config"])["imageSize"]
        weights = {name: file.get_tensor(name).float() for name in file.keys()}
    model = build(size, base, **extra)
    model.load_state_dict(weights)
    return model.eval()
