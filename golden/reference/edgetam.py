"""EdgeTAM: the `sam2` package of edgetam-dimos 1.0.1, with timm 1.0.31, in its published size, at other sizes, and small.

Both packages are called `sam2`, so this runs where edgetam-dimos is installed instead of sam2. timm imports more of torchvision
than sam2 does, though RepViT uses none of it: what the stand-in of reference.py lacks is an empty module here.
"""

import enum
import importlib.abc
import importlib.machinery
import sys
import types

import torch

import reference

REFERENCE = "edgetam-dimos 1.0.1, timm 1.0.31"


class Nothing:
    """Stands for every class of torchvision that is imported and never used."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError("torchvision is not installed")


class Empty(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        if module.__name__.endswith("functional"):
            names = "NEAREST BILINEAR BICUBIC BOX HAMMING LANCZOS"
            module.InterpolationMode = enum.Enum("InterpolationMode", names)


sys.meta_path.append(Finder())
for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
    stand_in, module = sys.modules.pop(name), Empty(name)
    module.__dict__.update({key: x for key, x in stand_in.__dict__.items() if not key.startswith("__")}, __path__=[])
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)

from sam2.build_sam import build_sam2, build_sam2_video_predictor  # noqa: E402
from sam2.modeling import perceiver  # noqa: E402
from sam2.modeling.backbones import timm as backbone  # noqa: E402

create_model = backbone.create_model

# Channels that no vector width divides, one block more than two, fewer latents without a place than with one.
SMALL = {"embed_dim": (16, 20, 32, 48), "depth": (2, 1, 3, 1)}
SMALL_OVERRIDES = {
    "model.image_encoder.neck.d_model": 64,
    "model.image_encoder.neck.position_encoding.num_pos_feats": 64,
    "model.image_encoder.neck.backbone_channel_list": [48, 32, 20, 16],
    "model.memory_attention.d_model": 64,
    "model.memory_attention.layer.d_model": 64,
    "model.memory_attention.layer.dim_feedforward": 128,
    "model.memory_attention.layer.self_attention.embedding_dim": 64,
    "model.memory_attention.layer.self_attention.feat_sizes": [8, 8],
    "model.memory_attention.layer.cross_attention.embedding_dim": 64,
    "model.memory_attention.layer.cross_attention.kv_in_dim": 16,
    "model.memory_attention.layer.cross_attention.q_sizes": [8, 8],
    "model.memory_attention.layer.cross_attention.k_sizes": [4, 4],
    "model.memory_encoder.in_dim": 64,
    "model.memory_encoder.out_dim": 16,
    "model.memory_encoder.position_encoding.num_pos_feats": 16,
    "model.memory_encoder.mask_downsampler.embed_dim": 64,
    "model.memory_encoder.fuser.layer.dim": 64,
    "model.spatial_perceiver.dim": 16,
    "model.spatial_perceiver.dim_head": 16,
    "model.spatial_perceiver.num_latents": 12,
    "model.spatial_perceiver.num_latents_2d": 16,
    "model.spatial_perceiver.position_encoding.num_pos_feats": 16,
    "model.image_size": 128,
}


def sized(size: int) -> dict:
    """Another size than it was trained for: the queries' grid is made for it, that of the memory's keys stays."""
    grid = [size // 16, size // 16]
    return {
        "model.memory_attention.layer.self_attention.feat_sizes": grid,
        "model.memory_attention.layer.cross_attention.q_sizes": grid,
        "model.image_size": size,
    }


SIZED = {f"edgetam_{size}": sized(size) for size in (256, 512, 768)}
OVERRIDES = {"edgetam": {}, **SIZED, "edge_small": SMALL_OVERRIDES}


def build(name: str, version: str = "2.0", image_size: int = 1024, video: bool = False):
    """EdgeTAM at 1024 pixels ("edgetam"), at another size (SIZED) or its small configuration ("edge_small") on the CPU, without
    a checkpoint."""
    small = SMALL if name == "edge_small" else {}
    backbone.create_model = lambda model, pretrained, **more: create_model(model, pretrained=False, **more, **small)
    overrides = [f"++{key}={value}".replace(" ", "") for key, value in OVERRIDES[name].items()]
    builder = build_sam2_video_predictor if video else build_sam2
    return builder("configs/edgetam.yaml", ckpt_path=None, device="cpu", hydra_overrides_extra=overrides)


def describe(name: str, version: str = "2.0", image_size: int = 1024) -> dict:
    """What the manifest says of a model."""
    full = name != "edge_small"
    return {
        "name": name,
        "version": "2.0",
        "imageSize": OVERRIDES[name].get("model.image_size", 1024),
        "embedDims": [48, 96, 192, 384] if full else list(SMALL["embed_dim"]),
        "depths": [2, 2, 14, 2] if full else list(SMALL["depth"]),
        "dModel": 256 if full else 64,
        "memDim": 64 if full else 16,
        "memoryAttentionLayers": 2,
        "dimFeedforward": 2048 if full else 128,
        "decoderMlpDim": 2048,
        "maskInChans": 16,
        "numMaskmem": 7,
        "fuserLayers": 2,
        "perceiverDepth": 2,
        "numLatents": 256 if full else 12,
        "numLatents2d": 256 if full else 16,
    }


def forward_2d(self, x):
    """PerceiverResampler.forward_2d with `reshape` where upstream's `view` refuses more than one object."""
    B, C, H, W = x.shape
    n = int(self.num_latents_2d**0.5)
    latents = self.latents_2d.unsqueeze(0).expand(B, -1, -1).reshape(-1, 1, C)
    windows = perceiver.window_partition(x.permute(0, 2, 3, 1), H // n).flatten(1, 2)
    for layer in self.layers:
        latents = layer(latents, windows)
    latents = latents.view(B, n * n, C)
    grid = latents.permute(0, 2, 1).reshape(B, C, n, n)
    positions = self.position_encoding(grid).permute(0, 2, 3, 1).flatten(1, 2)
    return self.norm(latents), positions


perceiver.PerceiverResampler.forward_2d = forward_2d
reference.build, reference.describe = build, describe
torch.set_num_threads(1)
