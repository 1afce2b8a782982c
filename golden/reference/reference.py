"""The reference: the `sam2` package on a CPU, in its four sizes and two small configurations of the same architecture.

`sam2` imports five names of torchvision. They are given here as a stand-in module, so torchvision is not needed:
Resize, Normalize and ToTensor decide the pixels that the *image* predictor feeds to the model; batched_nms and box_area
belong to the automatic mask generator. Video frames and everything inside the model are independent of the stand-in.
"""

import inspect
import sys
import types
from typing import List

import torch
import torch.nn.functional as F

torch.set_num_threads(1)


class Resize(torch.nn.Module):
    """Antialiased bilinear, align_corners=False, on float tensors [C, H, W]: torchvision's default."""

    def __init__(self, size: List[int]):
        super().__init__()
        self.size: List[int] = list(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x[None], self.size, mode="bilinear", align_corners=False, antialias=True)[0]


class Normalize(torch.nn.Module):
    """(x - mean) / std for each channel of [C, H, W]."""

    def __init__(self, mean: List[float], std: List[float]):
        super().__init__()
        self.mean: List[float] = list(mean)
        self.std: List[float] = list(std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = torch.tensor(self.mean, dtype=x.dtype).view(-1, 1, 1)
        std = torch.tensor(self.std, dtype=x.dtype).view(-1, 1, 1)
        return (x - mean) / std


class ToTensor:
    """Bytes [H, W, C] (array or PIL image) to floats [C, H, W] in 0 … 1."""

    def __call__(self, image) -> torch.Tensor:
        import numpy

        return torch.from_numpy(numpy.array(image, copy=True)).permute(2, 0, 1).contiguous().float().div(255)


def box_area(boxes: torch.Tensor) -> torch.Tensor:
    """Area of (x0, y0, x1, y1) boxes [N, 4]."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """torchvision's nms_kernel.cpp: f32 areas and IoUs, compared in f64; NaN (two boxes without area) suppresses nothing."""
    x0, y0, x1, y1 = boxes.unbind(1)
    area = (x1 - x0) * (y1 - y0)
    order = torch.sort(scores, stable=True, descending=True).indices
    suppressed = torch.zeros(len(boxes), dtype=torch.bool)
    kept: List[int] = []
    for at, i in enumerate(order.tolist()):
        if suppressed[i]:
            continue
        kept.append(i)
        rest = order[at + 1 :]
        width = (torch.minimum(x1[i], x1[rest]) - torch.maximum(x0[i], x0[rest])).clamp(min=0)
        height = (torch.minimum(y1[i], y1[rest]) - torch.maximum(y0[i], y0[rest])).clamp(min=0)
        overlap = width * height
        suppressed[rest] |= (overlap / (area[i] + area[rest] - overlap)).double() > threshold
    return torch.tensor(kept, dtype=torch.int64)


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    """torchvision's: on a CPU class by class for more than 1000 boxes, else all at once, each class at a place of its own."""
    if boxes.numel() > 4000:
        keep = torch.zeros_like(scores, dtype=torch.bool)
        for group in torch.unique(idxs):
            members = torch.where(idxs == group)[0]
            keep[members[nms(boxes[members], scores[members], iou_threshold)]] = True
        kept = torch.where(keep)[0]
        return kept[scores[kept].sort(descending=True)[1]]
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    offsets = idxs.to(boxes) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)


def install_torchvision_stand_in() -> None:
    names = {
        "torchvision": {},
        "torchvision.transforms": {"Resize": Resize, "Normalize": Normalize, "ToTensor": ToTensor},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": batched_nms, "box_area": box_area},
    }
    for name, members in names.items():
        module = sys.modules[name] = types.ModuleType(name)
        module.__dict__.update(members)


install_torchvision_stand_in()

from omegaconf import OmegaConf  # noqa: E402
from hydra import compose  # noqa: E402
from sam2.build_sam import build_sam2, build_sam2_video_predictor  # noqa: E402
from sam2.modeling.backbones.hieradet import Hiera  # noqa: E402
from sam2.sam2_image_predictor import SAM2ImagePredictor  # noqa: E402

REFERENCE = {"package": "sam2 1.1.0", "commit": "facebookresearch/sam2@2b90b9f", "torch": torch.__version__}
SUFFIX = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
VARIANTS = list(SUFFIX)
VERSIONS = ["2.1", "2.0"]


def _narrow(embed, heads, stages, blocks, windows, background, image_size):
    """Overrides that shrink sam2*_hiera_t.yaml: 64 channels, memories of 16, two memory attention layers."""
    trunk, memory = "model.image_encoder.trunk", "model.memory_encoder"
    grid = image_size // 16
    layer = "model.memory_attention.layer"
    values = {
        f"{trunk}.embed_dim": embed,
        f"{trunk}.num_heads": heads,
        f"{trunk}.stages": stages,
        f"{trunk}.global_att_blocks": blocks,
        f"{trunk}.window_spec": windows,
        f"{trunk}.window_pos_embed_bkg_spatial_size": background,
        "model.image_encoder.neck.d_model": 64,
        "model.image_encoder.neck.position_encoding.num_pos_feats": 64,
        "model.image_encoder.neck.backbone_channel_list": [embed * 8, embed * 4, embed * 2, embed],
        "model.memory_attention.d_model": 64,
        "model.memory_attention.num_layers": 2,
        f"{layer}.d_model": 64,
        f"{layer}.dim_feedforward": 128,
        f"{layer}.self_attention.embedding_dim": 64,
        f"{layer}.self_attention.feat_sizes": [grid, grid],
        f"{layer}.cross_attention.embedding_dim": 64,
        f"{layer}.cross_attention.kv_in_dim": 16,
        f"{layer}.cross_attention.feat_sizes": [grid, grid],
        f"{memory}.in_dim": 64,
        f"{memory}.out_dim": 16,
        f"{memory}.position_encoding.num_pos_feats": 16,
        f"{memory}.mask_downsampler.embed_dim": 64,
        f"{memory}.fuser.layer.dim": 64,
        "model.image_size": image_size,
    }
    return [f"++{key}={value}".replace(" ", "") for key, value in values.items()]


# Stage 3 of small_a has an 8×8 grid and windows of 6: block 5 pads 8 → 12, block 6 pads and pools (12 → 6 of 4),
# block 7 pads 4 → 6 with windows of 3. small_b has two heads of 12, 14×14 background, windows that fit, as large has.
SMALL = {
    "small_a": ("2.1", _narrow(16, 1, [1, 2, 3, 2], [4], [8, 4, 6, 3], [7, 7], 128)),
    "small_b": ("2.0", _narrow(24, 2, [1, 2, 3, 1], [5], [8, 4, 16, 8], [14, 14], 256)),
}


# A full-size variant at other sizes than it was trained for: positions and RoPE are made for their grids.
SIZED = {f"tiny_{size}": ("tiny", size) for size in (256, 512, 640, 768)}


def yaml_name(variant: str, version: str) -> str:
    return f"configs/sam{'2.1/sam2.1' if version == '2.1' else '2/sam2'}_hiera_{SUFFIX[variant]}.yaml"


def recipe(name: str, version: str = "2.1", image_size: int = 1024):
    """(yaml file, overrides, version) of a full-size variant or a small configuration."""
    if name in SMALL:
        version, overrides = SMALL[name]
        return yaml_name("tiny", version), list(overrides), version
    name, image_size = SIZED.get(name, (name, image_size))
    grid = image_size // 16
    layer = "++model.memory_attention.layer"
    sizes = [f"{layer}.{kind}_attention.feat_sizes=[{grid},{grid}]" for kind in ("self", "cross")]
    return yaml_name(name, version), [f"++model.image_size={image_size}", *sizes], version


def build(name: str, version: str = "2.1", image_size: int = 1024, video: bool = False):
    """The reference model on the CPU with the builders' defaults (apply_postprocessing on) and no checkpoint.

    `name` is tiny, small, base_plus, large, one of SIZED, or one of SMALL (whose version and image size are fixed).
    """
    config, overrides, _ = recipe(name, version, image_size)
    builder = build_sam2_video_predictor if video else build_sam2
    return builder(config, ckpt_path=None, device="cpu", hydra_overrides_extra=overrides)


def describe(name: str, version: str = "2.1", image_size: int = 1024) -> dict:
    """What the manifest says of a model: the numbers its shapes do and do not tell."""
    config, overrides, version = recipe(name, version, image_size)
    model = OmegaConf.to_container(compose(config_name=config, overrides=overrides).model)
    encoder, attention, memory = model["image_encoder"], model["memory_attention"], model["memory_encoder"]
    defaults = {key: parameter.default for key, parameter in inspect.signature(Hiera).parameters.items()}
    trunk = {**defaults, **encoder["trunk"]}
    return {
        "name": name,
        "version": version,
        "imageSize": model["image_size"],
        "embedDim": trunk["embed_dim"],
        "numHeads": trunk["num_heads"],
        "stages": list(trunk["stages"]),
        "globalAttBlocks": list(trunk["global_att_blocks"]),
        "windowSpec": list(trunk["window_spec"]),
        "windowPosEmbedBkgSpatialSize": list(trunk["window_pos_embed_bkg_spatial_size"]),
        "dModel": encoder["neck"]["d_model"],
        "memDim": memory["out_dim"],
        "memoryAttentionLayers": attention["num_layers"],
        "dimFeedforward": attention["layer"]["dim_feedforward"],
        "decoderMlpDim": 2048,  # these two are written in SAM2Base._build_sam_heads
        "maskInChans": 16,
        "numMaskmem": model["num_maskmem"],
        "fuserLayers": memory["fuser"]["num_layers"],
    }


def image_predictor(model) -> SAM2ImagePredictor:
    """SAM2ImagePredictor, whose feature sizes are written for 1024 pixels, told the size of this model."""
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(model.image_size // s, model.image_size // s) for s in (4, 8, 16)]
    return predictor
