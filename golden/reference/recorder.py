"""Records what the modules of the reference return, channels last, whole or as samples: one case of the goldens."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from hash_weights import sample_indices

CASES = Path(__file__).parents[1] / "cases"
SKIPPED_CLASSES = {"Identity", "Dropout"}  # they return their input
NCHW_CLASSES = {
    *("Conv2d", "ConvTranspose2d", "LayerNorm2d", "MaxPool2d", "Sequential"),
    *("PositionEmbeddingSine", "FpnNeck", "Hiera", "ImageEncoder"),
    *("MaskDownSampler", "CXBlock", "Fuser"),
    *("TimmBackbone", "RepVitStem", "RepVitStage", "RepVitDownsample", "RepViTBlock", "RepVggDw", "SEModule", "RepVitMlp", "ConvNorm"),
}
LAYOUTS = {1: "C", 2: "BC", 3: "BNC", 4: "BHWC"}


def is_nchw(path: str, cls: str, k: int) -> bool:
    """Whether output k of the module is [B, C, H, W] in PyTorch."""
    if path.startswith("spatial_perceiver"):
        return False
    between_convolutions = cls == "GELU" and ("mask_downscaling" in path or "output_upscaling" in path)
    between_convolutions |= cls in ("GELU", "ReLU", "Sigmoid") and "trunk.body" in path
    return cls in NCHW_CLASSES or between_convolutions or (cls == "PromptEncoder" and k == 1)


def is_masks(cls: str, k: int) -> bool:
    """Whether output k is [B, M, H, W], M masks, which stays as it is."""
    return cls == "MaskDecoder" and k == 0


def flatten(output) -> list:
    """The tensors of a module's output: ImageEncoder's dict and FpnNeck's two lists as features, then positions."""
    if isinstance(output, dict):
        return [*output["backbone_fpn"], *output["vision_pos_enc"]]
    return [t for part in output for t in (part if isinstance(part, list) else [part])]


class Case:
    """One file of tensors and its entry in the manifest."""

    def __init__(self, name: str, model: dict, max_values: int, **about):
        self.name, self.max_values = name, max_values
        self.tensors, self.calls, self.sha256, self.undo = {}, Counter(), {}, []
        self.entry = {"model": model, "weights": "hash", "maxValues": max_values, **about, "inputs": [], "layers": []}

    def input(self, name: str, values: np.ndarray) -> None:
        """An input that no formula gives, whole."""
        self.entry["inputs"].append(name)
        self.tensors[f"input.{name}"] = np.ascontiguousarray(values)

    def add(self, path: str, cls: str, value: torch.Tensor, nchw=False, masks=False) -> None:
        """One output, made channels last; of more than maxValues values so many samples are stored, of none nothing."""
        if value.numel() == 0:
            return
        value = value.detach().float().clone()  # RoPEAttention rotates its keys in place
        value = (value.permute(0, 2, 3, 1) if nchw else value).contiguous().numpy()
        flat, exact = value.reshape(-1), value.astype(np.float64)
        whole = flat.size <= self.max_values
        self.tensors[path] = value if whole else flat[sample_indices(path, flat.size, self.max_values)]
        self.sha256[path] = hashlib.sha256(flat.tobytes()).hexdigest()
        statistics = {"mean": exact.mean(), "std": exact.std(), "min": exact.min(), "max": exact.max()}
        self.entry["layers"].append(
            {
                "path": path,
                "class": cls,
                "shape": list(value.shape),
                "layout": "BMHW" if masks else LAYOUTS[value.ndim],
                "stored": "whole" if whole else "samples",
                **{name: float(f"{x:.9g}") for name, x in statistics.items()},
            }
        )

    def add_bits(self, path: str, logits: torch.Tensor) -> None:
        """logits > 0, eight pixels a byte, first pixel in the highest bit, every row padded to whole bytes."""
        self.entry.setdefault("bits", []).append({"path": f"{path}.bits", "shape": list(logits.shape)})
        self.tensors[f"{path}.bits"] = np.packbits((logits > 0).numpy(), axis=-1)

    def watch_modules(self, model: torch.nn.Module, wanted) -> None:
        """Store what modules with a wanted path return: `path`, `path#k` of several, `@n` from call 1 on."""
        for path, module in model.named_modules():
            cls = type(module).__name__
            if path and cls not in SKIPPED_CLASSES and wanted(path):
                hook = module.register_forward_hook(lambda _, args, y, path=path, cls=cls: self._store(path, cls, y))
                self.undo.append(hook.remove)

    def _store(self, path: str, cls: str, output) -> None:
        call = f"@{self.calls[path]}" if self.calls[path] else ""
        self.calls[path] += 1
        if torch.is_tensor(output):
            self.add(path + call, cls, output, is_nchw(path, cls, 0))
            return
        for k, tensor in enumerate(flatten(output)):
            self.add(f"{path}#{k}{call}", cls, tensor, is_nchw(path, cls, k), is_masks(cls, k))

    def watch_input(self, module: torch.nn.Module, path: str, cls: str) -> None:
        """Store the first argument of a module."""
        self.undo.append(module.register_forward_pre_hook(lambda _, args: self.add(path, cls, args[0])).remove)

    def watch_function(self, owner, name: str, paths: list, nchw=False) -> None:
        """Store what a method that is no module returns, output k as paths[k]; four axes are masks unless nchw."""
        original = getattr(owner, name)

        def watched(*args, **kwargs):
            output = original(*args, **kwargs)
            for path, tensor in zip(paths, [output] if torch.is_tensor(output) else output):
                self.add(path, name, tensor, nchw, masks=tensor.dim() == 4 and len(paths) > 1)
            return output

        setattr(owner, name, watched)
        self.undo.append(lambda: delattr(owner, name))

    def watch_image_encoder(self, model, wanted) -> None:
        trunk = model.image_encoder.trunk
        if hasattr(trunk, "blocks"):  # Hiera; RepViT has no positions
            self.watch_function(trunk, "_get_pos_embed", ["image_encoder.trunk.pos_embed"])
            self.watch_input(trunk.blocks[0], "image_encoder.trunk.pos_added", "patch_embed + pos_embed")
        self.watch_modules(model, lambda path: not path.startswith("sam_prompt") and wanted(path))

    def watch_heads(self, model, wanted) -> None:
        decoder, path = model.sam_mask_decoder, "sam_mask_decoder"
        self.watch_function(model.sam_prompt_encoder, "get_dense_pe", ["sam_prompt_encoder.dense_pe"], nchw=True)
        self.watch_function(decoder, "predict_masks", [f"{path}.predict_masks#{k}" for k in range(4)])
        self.watch_function(decoder, "_get_stability_scores", [f"{path}.stability_scores"])
        self.watch_modules(model, wanted)

    def done(self) -> None:
        """Take all watches away."""
        while self.undo:
            self.undo.pop()()

    def save(self, manifest: dict) -> None:
        save_file(self.tensors, CASES / f"{self.name}.safetensors")
        manifest["cases"][self.name] = self.entry
        size = (CASES / f"{self.name}.safetensors").stat().st_size
        print(f"{self.name:40s} {len(self.entry['layers']):4d} layers {size / 1024:8.1f} KiB", flush=True)


