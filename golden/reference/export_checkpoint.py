"""Writes a checkpoint with the structure of the official ones and hash weights or the reference's own initial weights.

    python golden/reference/export_checkpoint.py tiny out/tiny.pt
    python golden/reference/export_checkpoint.py large out/large --version 2.0 --format sharded --dtype bf16

pt           {"model": state dict} by torch.save, as Meta publishes it
safetensors  one file with Meta's names; a small configuration's metadata says what its shapes do not tell
hf           a folder as transformers' Sam2VideoModel saves it: config.json, model.safetensors
sharded      the same in three files with an index
"""

import argparse
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

import reference
from hash_weights import hash_weights

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

# Meta's names → transformers', in this order, each wherever it fits.
HF_NAMES = [
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", r"vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.", r"vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.pe_layer\..*", r"prompt_encoder.shared_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.mask_downscaling\.0", r"prompt_encoder.mask_embed.conv1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.1", r"prompt_encoder.mask_embed.layer_norm1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.3", r"prompt_encoder.mask_embed.conv2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.4", r"prompt_encoder.mask_embed.layer_norm2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.6", r"prompt_encoder.mask_embed.conv3"),
    (r"^sam_mask_decoder\.output_upscaling\.0", r"mask_decoder.upscale_conv1"),
    (r"^sam_mask_decoder\.output_upscaling\.1", r"mask_decoder.upscale_layer_norm"),
    (r"^sam_mask_decoder\.output_upscaling\.3", r"mask_decoder.upscale_conv2"),
    (r"^sam_", r""),
    (r"^obj_ptr_tpos_proj\.", r"temporal_positional_encoding_projection_layer."),
    (r"^obj_ptr_proj\.", r"object_pointer_proj."),
    (r"((?:head|mlps\.\d|pointer_proj)\.)layers\.0\.", r"\1proj_in."),
    (r"((?:head|mlps\.\d|pointer_proj)\.)layers\.1\.", r"\1layers.0."),
    (r"((?:head|mlps\.\d|pointer_proj)\.)layers\.2\.", r"\1proj_out."),
    (r"\.mlp\.layers\.0\.", r".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", r".mlp.proj_out."),
    (r"^memory_encoder\.mask_downsampler\.encoder\.12\.", r"memory_encoder.mask_downsampler.final_conv."),
    (r"^memory_encoder\.pix_feat_proj\.", r"memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", r"memory_encoder.projection."),
    (r"^memory_encoder\.fuser\.(.*)gamma$", r"memory_encoder.memory_fuser.\1scale"),
    (r"^memory_encoder\.fuser\.(.*)dwconv\.", r"memory_encoder.memory_fuser.\1depthwise_conv."),
    (r"^memory_encoder\.fuser\.(.*)pwconv", r"memory_encoder.memory_fuser.\1pointwise_conv"),
    (r"^memory_encoder\.fuser\.", r"memory_encoder.memory_fuser."),
    (r"^maskmem_tpos_enc$", r"memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", r"no_memory_embedding"),
    (r"^no_mem_pos_enc$", r"no_memory_positional_encoding"),
    (r"^no_obj_ptr$", r"no_object_pointer"),
    (r"^no_obj_embed_spatial$", r"occlusion_spatial_embedding_parameter"),
    (r"\.out_proj\.", r".o_proj."),
    (r"\.norm", r".layer_norm"),
]


def hf_name(key: str) -> str:
    downsampler = re.fullmatch(r"memory_encoder\.mask_downsampler\.encoder\.(\d+)\.(\w+)", key)
    if downsampler and int(downsampler[1]) < 12:  # convolution, norm, GELU; convolution, norm, GELU; …
        layer, part = divmod(int(downsampler[1]), 3)
        return f"memory_encoder.mask_downsampler.layers.{layer}.{['conv', 'layer_norm'][part]}.{downsampler[2]}"
    for pattern, name in HF_NAMES:
        key = re.sub(pattern, name, key)
    return key


def hf_tensors(weights: dict) -> dict:
    """transformers' names; the four point embeddings are one tensor, the position matrix stands twice."""
    points = [weights[f"sam_prompt_encoder.point_embeddings.{i}.weight"] for i in range(4)]
    renamed = {hf_name(key): x for key, x in weights.items() if ".point_embeddings." not in key}
    renamed["prompt_encoder.point_embed.weight"] = torch.cat(points)
    shared = renamed["prompt_encoder.shared_embedding.positional_embedding"]
    renamed["shared_image_embedding.positional_embedding"] = shared.clone()
    return renamed


def hf_config(model: dict, dtype: torch.dtype) -> dict:
    """config.json of Sam2VideoModel for a model as reference.describe tells of it."""
    doubled = [1, 2, 4, 8]
    width, grid = model["embedDim"], model["imageSize"] // 16
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": width,
        "num_attention_heads": model["numHeads"],
        "image_size": [model["imageSize"]] * 2,
        "blocks_per_stage": model["stages"],
        "embed_dim_per_stage": [width * k for k in doubled],
        "num_attention_heads_per_stage": [model["numHeads"] * k for k in doubled],
        "window_size_per_stage": model["windowSpec"],
        "global_attention_blocks": model["globalAttBlocks"],
        "window_positional_embedding_background_size": model["windowPosEmbedBkgSpatialSize"],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [width * k for k in reversed(doubled)],
        "backbone_feature_sizes": [[grid * k, grid * k] for k in (4, 2, 1)],
        "fpn_hidden_size": model["dModel"],
    }
    return {
        "architectures": ["Sam2VideoModel"],
        "model_type": "sam2_video",
        "dtype": str(dtype).removeprefix("torch."),
        "image_size": model["imageSize"],
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": model["dModel"], "image_size": model["imageSize"]},
        "mask_decoder_config": {"hidden_size": model["dModel"]},
        "enable_occlusion_spatial_embedding": model["version"] == "2.1",
        "enable_temporal_pos_encoding_for_object_pointers": model["version"] == "2.1",
        "memory_attention_hidden_size": model["dModel"],
        "memory_attention_num_layers": model["memoryAttentionLayers"],
        "memory_attention_feed_forward_hidden_size": model["dimFeedforward"],
        "memory_attention_rope_feat_sizes": [grid, grid],
        "memory_encoder_hidden_size": model["dModel"],
        "memory_encoder_output_channels": model["memDim"],
        "mask_downsampler_embed_dim": model["dModel"],
        "memory_fuser_embed_dim": model["dModel"],
        "memory_fuser_intermediate_dim": 4 * model["dModel"],
    }


def write_hf(folder: Path, weights: dict, config: dict, shards: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = hf_tensors(weights)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    files = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    place = {key: files[i * shards // len(tensors)] for i, key in enumerate(tensors)}
    for file in files:
        save_file({k: x for k, x in tensors.items() if place[k] == file}, folder / file, metadata={"format": "pt"})
    total = sum(x.numel() * x.element_size() for x in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": place}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*reference.VARIANTS, *reference.SMALL])
    parser.add_argument("out", type=Path, help="file, or folder for hf and sharded")
    parser.add_argument("--version", choices=reference.VERSIONS, default="2.1")
    parser.add_argument("--weights", choices=["hash", "torch"], default="hash")
    parser.add_argument("--seed", type=int, default=0, help="of torch weights")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--format", choices=["pt", "safetensors", "hf", "sharded"], default="pt")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    model = reference.build(args.model, args.version)
    if args.weights == "hash":
        model.load_state_dict(hash_weights(model))
    description = reference.describe(args.model, args.version)
    weights = model.to(DTYPES[args.dtype]).state_dict()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.format == "pt":
        torch.save({"model": weights}, args.out)
    elif args.format == "safetensors":
        hidden = ("name", "imageSize", "numHeads", "windowSpec", "globalAttBlocks")
        config = json.dumps({key: description[key] for key in hidden})
        save_file(weights, args.out, metadata={"config": config} if args.model in reference.SMALL else None)
    else:
        config = hf_config(description, DTYPES[args.dtype])
        write_hf(args.out, weights, config, 3 if args.format == "sharded" else 1)


if __name__ == "__main__":
    main()
