"""Goldens of EdgeTAM: every layer of a small configuration, stages of the published size, memories, and films (see README.md).

Runs where edgetam-dimos is installed, not sam2: see edgetam.py.
"""

import re

import numpy as np
import torch

import edgetam
import export_video
import reference
from export_golden import PHOTO, PREDICTIONS, hashed, mask_prompt, predict_full
from export_video import FEATURES, box, click, features_by_formula, hashed_video, propagate, uniform
from hash_image import golden_image
from recorder import Case

torch.set_grad_enabled(False)

SMALL, FULL, SIZED = "edge_small", "edgetam", list(edgetam.SIZED)
VALUES = 64  # larger tensors are stored as so many samples
MAPS, POINTERS = 21, 22  # seeds of `uniform`

# What no layer of ours returns: what a batch norm or an activation joins, containers, positions.
JOINED = re.compile(
    r"\.(c|bn)$|token_mixer\.conv1?$|(stem|channel_mixer|ffn)\.conv1$|\.se\.(fc1|gate)$|ff\.1$|pwconv1$"
    r"|trunk\.body$|\.blocks$|neck\.convs\.\d$|downsampler\.encoder(\.(2|5|8|11))?$|position_encoding$"
)
STAGES = re.compile(
    r"image_encoder(\.neck|\.trunk)?$|.*\.conv_s[01]$"
    r"|image_encoder\.trunk\.body\.(stem|stages_\d(\.downsample(\.pre_block)?|\.blocks\.\d+(\.se)?)?)$"
)


def every_layer(path: str) -> bool:
    return not JOINED.search(path)


def case_of(name: str, label: str, **about) -> Case:
    return Case(f"{name}.{label}", reference.describe(name), VALUES, reference=edgetam.REFERENCE, **about)


# ---- image path


def small_image_encoder() -> list:
    model = hashed(SMALL)
    size = model.image_size
    case = case_of(SMALL, "image_encoder", run="image_encoder", image={"seed": 2, "width": size, "height": size})
    return [encode(model, case, golden_image(2, size, size), every_layer)[1]]


PREDICTIONS["box"] = {"box": [500, 200, 1000, 600], "multimask": False}  # what the other sizes have comes out as a tie


def full_image(name: str) -> list:
    """The photo of the other sizes, and a box on it."""
    case = case_of(name, "image_encoder", run="image_encoder", image=PHOTO)
    predictor, case = encode(hashed(name), case, golden_image(**PHOTO), STAGES.match)
    answered = predict_full(name, predictor, "box")
    answered.entry["reference"] = edgetam.REFERENCE
    return [case, answered]


def encode(model, case: Case, photo: np.ndarray, wanted):
    predictor = reference.image_predictor(model)
    case.add("pixels", "SAM2Transforms", predictor._transforms(photo)[None], nchw=True)
    case.watch_modules(model, lambda path: not path.startswith("sam_prompt") and wanted(path))
    predictor.set_image(photo)
    case.done()
    case.add("output.image_embed", "set_image", predictor._features["image_embed"], nchw=True)
    return predictor, case


# ---- memory


class Stage:
    """A model and the features of a frame, by formula."""

    def __init__(self, name: str):
        self.model = hashed_video(name)
        self.feats, self.positions, self.sizes = features_by_formula(self.model)


def memory_encoder(name: str, label: str, seed: int, from_points: bool, score: float) -> Case:
    stage = Stage(name)
    about = {"mask": seed, "binarize": from_points, "score": score, "features": FEATURES}
    case = case_of(name, f"memory_encoder.{label}", run="memory_encoder", **about)
    logits = torch.from_numpy(mask_prompt(seed, stage.model.image_size))[None]
    watched = ("memory_encoder.", "spatial_perceiver") if score > 0 else ()  # an absent object goes the same way
    case.watch_modules(stage.model, lambda path: path.startswith(watched) and every_layer(path))
    memory, _ = stage.model._encode_new_memory(stage.feats, stage.sizes, logits, torch.tensor([[score]]), from_points)
    case.done()
    case.add("output.maskmem_features", "_encode_new_memory", memory)
    return case


def memory_attention(
    name: str, label: str, frame: int, frames: int, reverse: bool, cond: list, tracked: list, layers: bool = True
) -> Case:
    stage = Stage(name)
    model, [(E, _)] = stage.model, stage.sizes
    bank = {"frame": frame, "numFrames": frames, "reverse": reverse, "cond": cond, "nonCond": tracked}
    case = case_of(name, f"memory_attention.{label}", run="memory_attention", bank=bank, features=FEATURES)
    perceiver, M, count = model.spatial_perceiver, model.mem_dim, len(cond) + len(tracked)
    tokens = perceiver.num_latents + perceiver.num_latents_2d
    maps = torch.from_numpy(uniform(MAPS, (count, tokens, M))).to(torch.bfloat16)
    pointers = torch.from_numpy(uniform(POINTERS, (count, model.hidden_dim)))
    empty = torch.zeros(1, M, E, E)
    positions = perceiver(empty, model.memory_encoder.position_encoding(empty))[1]
    outputs = [
        {"maskmem_features": maps[[i]], "maskmem_pos_enc": [positions], "obj_ptr": pointers[[i]]} for i in range(count)
    ]
    output_dict = {
        "cond_frame_outputs": dict(zip(cond, outputs)),
        "non_cond_frame_outputs": dict(zip(tracked, outputs[len(cond) :])),
    }
    case.watch_modules(model, lambda path: layers and path.startswith("memory_attention"))
    features = model._prepare_memory_conditioned_features(
        frame, False, stage.feats, stage.positions, stage.sizes, output_dict, frames, reverse
    )
    case.done()
    case.add("output.pix_feat", "_prepare_memory_conditioned_features", features, nchw=True)
    return case


# ---- films. EdgeTAM's predictor is older than sam2's, where another object or a tracked frame would be treated otherwise: so
# both objects are prompted on the same frames, which were not tracked before (see README.md).

FILM = [
    click(3, 1, [20.5, 14.75]),
    box(3, 2, [33, 13, 56.25, 40]),
    propagate(3, None),
    propagate(3, None, reverse=True),
]
TWO_FRAMES = [
    *FILM[:2],
    propagate(3, 3),
    click(9, 1, [27, 20], [8.5, 40], labels=[1, 0]),
    click(9, 2, [40, 30], [7, 7], labels=[1, 0]),
    click(9, 2, [47, 20], clear_old_points=False),
    propagate(3, None),
    propagate(9, None, reverse=True),
]
export_video.SCORE_SHIFT = 1.75  # with these weights objects are there on most frames, but not on all
export_video.CLIPS = {
    "edge_small.video": (SMALL, "2.0", 31, 12, 64, 48, {}, FILM),
    "edge_small.video_two_frames": (SMALL, "2.0", 34, 12, 64, 48, {}, TWO_FRAMES),
    "edgetam.video": (FULL, "2.0", 41, 12, 64, 48, {}, FILM),
    **{f"{name}.video": (name, "2.0", 41, 12, 64, 48, {}, FILM) for name in SIZED},
}


def film(label: str) -> Case:
    case = export_video.video(label)
    case.entry["reference"] = edgetam.REFERENCE
    return case


def groups_of(name: str) -> dict:
    """An image, its memory, and a frame that sees a full bank."""
    return {
        f"{name}.image": lambda: full_image(name),
        f"{name}.memory_encoder.sigmoid": lambda: [memory_encoder(name, "sigmoid", 3, False, 2.5)],
        f"{name}.memory_attention.full": lambda: [
            memory_attention(name, "full", 20, 40, False, [0], list(range(1, 20)))
        ],
    }


GROUPS = {
    "edge_small.image_encoder": small_image_encoder,
    "edge_small.memory_encoder.sigmoid": lambda: [memory_encoder(SMALL, "sigmoid", 3, False, 2.5)],
    "edge_small.memory_encoder.absent": lambda: [memory_encoder(SMALL, "absent", 5, True, -1.5)],
    "edge_small.memory_attention.one_map": lambda: [memory_attention(SMALL, "one_map", 1, 12, False, [0], [])],
    "edge_small.memory_attention.full": lambda: [
        memory_attention(SMALL, "full", 20, 40, False, [0], list(range(1, 20)))
    ],
    "edge_small.memory_attention.reverse": lambda: [
        memory_attention(SMALL, "reverse", 3, 14, True, [5, 0], [1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13], layers=False)
    ],
    "edge_small.memory_attention.no_pointer": lambda: [
        memory_attention(SMALL, "no_pointer", 2, 30, False, [9], [], layers=False)
    ],
    **{key: group for name in [FULL, *SIZED] for key, group in groups_of(name).items()},
    **{label: (lambda label=label: [film(label)]) for label in export_video.CLIPS},
}


if __name__ == "__main__":
    export_video.main(GROUPS, __doc__)
