"""Goldens of the video path: memory encoder, memory attention, and whole scenarios frame by frame (see README.md)."""

import argparse
import json

import numpy as np
import torch

import reference
from export_golden import HEAD_VALUES, MANIFEST, channels_last, mask_prompt, write_manifest
from hash_image import golden_image
from hash_weights import hash_weights, hash_words
from recorder import Case

torch.set_grad_enabled(False)


def hashed_video(name: str, version: str = "2.1"):
    model = reference.build(name, version, video=True)
    model.load_state_dict(hash_weights(model))
    model.fill_hole_area = 0  # upstream without CUDA skips it, with a warning
    return model


class Stage:
    """A small configuration and the backbone features of one golden image."""

    def __init__(self, name: str, label: str, run: str, seed: int, **about):
        self.model = hashed_video(name)
        S = self.model.image_size
        photo = torch.from_numpy(golden_image(seed, S, S)).permute(2, 0, 1)[None].float()
        backbone = self.model.forward_image((photo - 128) / 64)
        _, self.feats, self.positions, self.sizes = self.model._prepare_backbone_features(backbone)
        self.case = Case(f"{name}.{label}", reference.describe(name), HEAD_VALUES, run=run, **about)
        self.case.input("vision_features", channels_last(backbone["backbone_fpn"][-1]))


# ---- memory encoder: features + mask → memory

# case: (configuration, mask seed, the mask comes from clicks, object score)
MEMORY_ENCODER = {
    "sigmoid": ("small_a", 3, False, 2.5),
    "binarized": ("small_a", 4, True, 2.5),
    "absent": ("small_a", 5, False, -1.5),
    "sigmoid_20": ("small_b", 3, False, 2.5),
    "absent_20": ("small_b", 5, True, -1.5),
}


def memory_encoder(label: str) -> Case:
    name, seed, from_points, score = MEMORY_ENCODER[label]
    stage = Stage(name, f"memory_encoder.{label}", "memory_encoder", 2, mask=seed, binarize=from_points, score=score)
    model, case = stage.model, stage.case
    logits = torch.from_numpy(mask_prompt(seed, model.image_size))[None]
    case.watch_modules(
        model, lambda path: path.startswith("memory_encoder.") and not path.endswith("position_encoding")
    )
    memory, _ = model._encode_new_memory(stage.feats, stage.sizes, logits, torch.tensor([[score]]), from_points)
    case.done()
    case.add("output.maskmem_features", "_encode_new_memory", memory, nchw=True)
    return case


# ---- memory attention: features + memories of one object → features

# case: (configuration, frame, frames of the video, reverse, conditioning frames, tracked frames)
MEMORY_ATTENTION = {
    "one_map": ("small_a", 1, 12, False, [0], []),
    "full": ("small_a", 20, 40, False, [0], list(range(1, 20))),
    "several": ("small_a", 9, 12, False, [7, 0, 11], [1, 2, 3, 4, 5, 6, 8, 10]),
    "reverse": ("small_a", 3, 14, True, [5, 0], [1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13]),
    "no_pointer": ("small_a", 2, 30, False, [9], []),
    "full_20": ("small_b", 20, 40, False, [0], list(range(1, 20))),
}


def memory_attention(label: str) -> Case:
    name, frame, frames, reverse, cond, tracked = MEMORY_ATTENTION[label]
    bank = {"frame": frame, "numFrames": frames, "reverse": reverse, "cond": cond, "nonCond": tracked}
    stage = Stage(name, f"memory_attention.{label}", "memory_attention", 3, bank=bank)
    model, case = stage.model, stage.case
    E, D, M = stage.sizes[-1][0], model.hidden_dim, model.mem_dim
    count = len(cond) + len(tracked)
    maps = torch.from_numpy(uniform(21, (count, M, E, E))).to(torch.bfloat16).float()
    pointers = torch.from_numpy(uniform(22, (count, D)))
    case.input("maskmem_features", channels_last(maps))
    case.input("obj_ptr", pointers.numpy())
    position = [model.memory_encoder.position_encoding(maps[:1])]
    outputs = [
        # f32: without pointers to promote them, bfloat16 maps alone do not pass through v_proj on a CPU
        {"maskmem_features": maps[[i]], "maskmem_pos_enc": position, "obj_ptr": pointers[[i]]}
        for i in range(count)
    ]
    output_dict = {
        "cond_frame_outputs": dict(zip(cond, outputs)),
        "non_cond_frame_outputs": dict(zip(tracked, outputs[len(cond) :])),
    }
    case.watch_modules(model, lambda path: path.startswith(("memory_attention", "obj_ptr_tpos_proj")))
    features = model._prepare_memory_conditioned_features(
        frame, False, stage.feats[-1:], stage.positions[-1:], stage.sizes[-1:], output_dict, frames, reverse
    )
    case.done()
    case.add("output.pix_feat", "_prepare_memory_conditioned_features", features, nchw=True)
    return case


def uniform(seed: int, shape) -> np.ndarray:
    """Values in [-2, 2) from the hash formula."""
    words = hash_words(seed, 0, int(np.prod(shape)))
    return ((words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-22) - np.float32(2)).reshape(shape)


GROUPS = {
    **{f"memory_encoder.{label}": (lambda label=label: [memory_encoder(label)]) for label in MEMORY_ENCODER},
    **{f"memory_attention.{label}": (lambda label=label: [memory_attention(label)]) for label in MEMORY_ATTENTION},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="default: all")
    chosen = parser.parse_args().groups or list(GROUPS)
    for group in chosen:
        cases = GROUPS[group]()
        manifest = json.loads(MANIFEST.read_text())
        for case in cases:
            case.save(manifest)
        write_manifest(manifest)


if __name__ == "__main__":
    main()
