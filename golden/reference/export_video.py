"""Goldens of the video path: memory encoder, memory attention, and whole scenarios frame by frame (see README.md)."""

import argparse
import json

import numpy as np
import torch
from PIL import Image

import reference
from export_golden import HEAD_VALUES, MANIFEST, channels_last, mask_prompt, write_manifest
from hash_image import golden_frame, golden_image
from hash_weights import hash_weights, hash_words, sample_indices
from recorder import Case
from sam2 import sam2_video_predictor

torch.set_grad_enabled(False)

FEATURES = 23  # seed of `uniform`


def hashed_video(name: str, version: str = "2.1"):
    model = reference.build(name, version, video=True)
    model.load_state_dict(hash_weights(model))
    model.fill_hole_area = 0  # upstream without CUDA skips it, with a warning
    model.memory_attention.register_forward_pre_hook(memory_as_f32, with_kwargs=True)
    return model


def memory_as_f32(_, args, kwargs):
    """bfloat16 maps become f32 beside pointers; where a frame sees no pointer, v_proj refuses them on a CPU."""
    return args, {**kwargs, "memory": kwargs["memory"].float()}


class Stage:
    """A model and the features of a frame: a small configuration's of one golden image, a larger one's by formula."""

    def __init__(self, name: str, label: str, run: str, seed: int, **about):
        self.model = hashed_video(name)
        self.case = Case(f"{name}.{label}", reference.describe(name), HEAD_VALUES, run=run, **about)
        if name not in reference.SMALL:
            self.case.entry["features"] = FEATURES
            self.feats, self.positions, self.sizes = features_by_formula(self.model)
            return
        S = self.model.image_size
        photo = torch.from_numpy(golden_image(seed, S, S)).permute(2, 0, 1)[None].float()
        backbone = self.model.forward_image((photo - 128) / 64)
        _, self.feats, self.positions, self.sizes = self.model._prepare_backbone_features(backbone)
        self.case.input("vision_features", channels_last(backbone["backbone_fpn"][-1]))


def features_by_formula(model):
    """Features of stride 16 and their positions, as _prepare_backbone_features lists them."""
    E, D = model.image_size // 16, model.hidden_dim
    x = torch.from_numpy(uniform(FEATURES, (1, E, E, D)))
    positions = model.image_encoder.neck.position_encoding(x.permute(0, 3, 1, 2))
    return [x.reshape(1, E * E, D).transpose(0, 1)], [positions.flatten(2).permute(2, 0, 1)], [(E, E)]


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
    "full_1024": ("tiny", 20, 40, False, [0], list(range(1, 20))),
}


def memory_attention(label: str) -> Case:
    name, frame, frames, reverse, cond, tracked = MEMORY_ATTENTION[label]
    bank = {"frame": frame, "numFrames": frames, "reverse": reverse, "cond": cond, "nonCond": tracked}
    stage = Stage(name, f"memory_attention.{label}", "memory_attention", 3, bank=bank)
    model, case = stage.model, stage.case
    E, D, M = stage.sizes[-1][0], model.hidden_dim, model.mem_dim
    count = len(cond) + len(tracked)
    maps = torch.from_numpy(uniform(21, (count, E, E, M))).permute(0, 3, 1, 2).to(torch.bfloat16)
    pointers = torch.from_numpy(uniform(22, (count, D)))
    position = [model.memory_encoder.position_encoding(maps[:1].float())]
    outputs = [
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


# ---- whole scenarios: prompts, propagation, corrections

VALUES = 64  # values kept of a mask or a memory map
SCORE_SHIFT = 0.25  # with hash weights alone, object scores lie about 0


def click(frame, obj, *points, labels=None, **more):
    return {"do": "points", "frame": frame, "object": obj, "points": points, "labels": labels or [1] * len(points), **more}


def box(frame, obj, corners, **more):
    return {"do": "points", "frame": frame, "object": obj, "box": corners, **more}


def disc(frame, obj, cx, cy, r):
    return {"do": "mask", "frame": frame, "object": obj, "disc": [cx, cy, r]}


def propagate(start, frames, reverse=False):
    return {"do": "propagate", "start": start, "frames": frames, "reverse": reverse}


LONG = [
    click(0, 1, [30.5, 22.25]),
    box(0, 2, [50, 20, 84.5, 60]),
    disc(2, 3, 24, 50, 14),
    propagate(None, 14),
    click(10, 1, [40, 30], [12.5, 60], labels=[1, 0]),
    click(12, 4, [70.25, 40]),
    propagate(10, 12),
    {"do": "remove", "object": 2},
    click(22, 3, [30, 48], clear_old_points=False),
    click(22, 3, [60, 10], labels=[0], clear_old_points=False),
    propagate(22, 19),
    disc(43, 4, 60, 30, 12),
    disc(30, 1, 0, 0, -1),
    propagate(38, None),
    {"do": "clear", "frame": 12, "object": 4},
    box(20, 4, [10, 10, 50, 50]),
    propagate(20, None, reverse=True),
]
SHORT = [
    click(3, 7, [30.5, 22.25]),
    box(5, 2, [50, 20, 84.5, 60], points=[[60, 30]], labels=[1]),
    propagate(None, 9),
    click(9, 7, [40, 30], [12.5, 60], labels=[1, 0]),
    disc(8, 2, 50, 40, 15),
    propagate(8, 6),
    propagate(9, None, reverse=True),
]
# Full size: one object that is clicked on frame 1, corrected, and followed both ways.
FULL = [
    click(1, 1, [100.5, 70.25]),
    propagate(None, 6),
    click(7, 1, [130, 90], [20, 15], labels=[1, 0]),
    propagate(8, None),
    propagate(1, None, reverse=True),
]
# At other sizes: a click, and frames that see it and each other.
SIZED = [click(1, 1, [100.5, 70.25]), propagate(None, 3)]
# case: (configuration, version, clip seed, frames, width, height, options of the predictor, steps)
CLIPS = {
    "small_a.video": ("small_a", "2.1", 31, 44, 96, 72, {}, LONG),
    "small_a.video_options": (
        "small_a", "2.1", 38, 16, 96, 72,
        {"non_overlap_masks": True, "add_all_frames_to_correct_as_cond": True, "clear_non_cond_mem_around_input": True},
        SHORT,
    ),
    "tiny.video": ("tiny", "2.1", 41, 11, 200, 140, {}, FULL),
    "tiny.video_20": ("tiny", "2.0", 41, 11, 200, 140, {}, FULL),
    **{f"{name}.video": (name, "2.1", 41, 5, 200, 140, {}, SIZED) for name in reference.SIZED},
    "small_b.video": ("small_b", "2.0", 34, 16, 96, 72, {}, SHORT),
}  # fmt: skip


def clear_around(self, state, frame, obj_idx):
    """What SAM2VideoPredictor calls but does not have: _clear_non_cond_mem_around_input for one object."""
    outputs = state["output_dict_per_obj"][obj_idx]["non_cond_frame_outputs"]
    for t in range(frame - self.num_maskmem, frame + self.num_maskmem + 1):
        outputs.pop(t, None)


sam2_video_predictor.SAM2VideoPredictor._clear_obj_non_cond_mem_around_input = clear_around


def load_clip(frames: list, image_size: int):
    """sam2.utils.misc.load_video_frames for frames that are no files."""
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    images = torch.zeros(len(frames), 3, image_size, image_size)
    for n, frame in enumerate(frames):
        resized = np.array(Image.fromarray(frame).convert("RGB").resize((image_size, image_size)))
        images[n] = torch.from_numpy(resized / 255.0).permute(2, 0, 1)
    images -= mean
    images /= std
    return images, *frames[0].shape[:2]


class Clip:
    """One run of the official video predictor: every answer and every stored output, step by step."""

    def __init__(self, label: str):
        name, version, seed, count, width, height, options, steps = CLIPS[label]
        self.model = hashed_video(name, version)
        self.model.sam_mask_decoder.pred_obj_score_head.layers[2].bias += SCORE_SHIFT
        for option, value in options.items():
            setattr(self.model, option, value)
        frames = [golden_frame(seed, t, width, height) for t in range(count)]
        sam2_video_predictor.load_video_frames = lambda **_: load_clip(frames, self.model.image_size)
        self.state = self.model.init_state("clip")
        self.size = (width, height)
        video = {"scoreShift": SCORE_SHIFT, "seed": seed, "frames": count, "width": width, "height": height, "options": options, "steps": []}
        self.case = Case(label, reference.describe(name, version), HEAD_VALUES, run="video", video=video)
        self.case.add("pixels", "load_video_frames", self.state["images"][[count - 1]], nchw=True)
        for k, step in enumerate(steps):
            answers = getattr(self, step["do"])(**{key: x for key, x in step.items() if key != "do"})
            self.case.entry["video"]["steps"].append({**step, **self.keep(k, step, answers)})
        scores = np.concatenate([abs(x).ravel() for key, x in self.case.tensors.items() if key.endswith(".score")])
        assert scores.min() > 0.005, f"{label}: the object score {scores.min()} is close to 0"

    def points(self, frame, object, points=None, labels=None, box=None, clear_old_points=True):
        arrays = {key: np.array(x) for key, x in [("points", points), ("labels", labels), ("box", box)] if x is not None}
        return [self.model.add_new_points_or_box(self.state, frame, object, clear_old_points=clear_old_points, **arrays)]

    def mask(self, frame, object, disc):
        (cx, cy, r), (width, height) = disc, self.size
        y, x = np.mgrid[0:height, 0:width]
        inside = (x - cx) ** 2 + (y - cy) ** 2 <= r * abs(r)
        return [self.model.add_new_mask(self.state, frame, object, inside)]

    def clear(self, frame, object):
        return [self.model.clear_all_prompts_in_frame(self.state, frame, object)]

    def remove(self, object):
        ids, frames = self.model.remove_object(self.state, object)
        return [(frame, ids, masks) for frame, masks in frames]

    def propagate(self, start, frames, reverse):
        answers, self.outputs = [], {}
        for frame, ids, masks in self.model.propagate_in_video(self.state, start, frames, reverse):
            answers.append((frame, list(ids), masks.clone()))
            for obj in ids:  # at once: later frames may clear it
                outputs = self.state["output_dict_per_obj"][self.state["obj_id_to_idx"][obj]]
                output = outputs["cond_frame_outputs"].get(frame) or outputs["non_cond_frame_outputs"][frame]
                self.outputs.setdefault(obj, []).append(output)
        return answers

    def keep(self, k: int, step: dict, answers: list) -> dict:
        """Bits of all answered masks; after a propagation also what is stored of every object on every frame."""
        for frame, _, masks in answers:
            self.case.tensors[f"step{k}.frame{frame}.bits"] = np.packbits((masks[:, 0] > 0).numpy(), axis=-1)
        said = {"frames_answered": [frame for frame, _, _ in answers], "objects": list(answers[0][1]) if answers else []}
        if step["do"] != "propagate":
            return said
        for i, obj in enumerate(said["objects"]):
            kept = self.outputs[obj]
            self.case.tensors[f"step{k}.object{obj}.pred_masks"] = np.stack([sampled("pred_masks", x) for x in kept])
            self.case.tensors[f"step{k}.object{obj}.maskmem_features"] = np.stack(
                [sampled("maskmem_features", x, nchw=True) for x in kept]
            )
            self.case.tensors[f"step{k}.object{obj}.obj_ptr"] = np.stack([x["obj_ptr"][0].numpy() for x in kept])
            scores = np.stack([x["object_score_logits"][0].numpy() for x in kept])
            self.case.tensors[f"step{k}.object{obj}.score"] = scores
            areas = [int((m[i, 0] > 0).sum()) for _, _, m in answers]
            print(f"  step {k} object {obj} scores {[round(float(x), 1) for x in scores[:, 0]]} areas {areas}")
        return said


def sampled(key: str, output: dict, nchw=False) -> np.ndarray:
    value = output[key].float()
    flat = (value.permute(0, 2, 3, 1) if value.dim() == 4 and nchw else value).contiguous().numpy().reshape(-1)
    return flat[sample_indices(key, flat.size, VALUES)]


def video(label: str) -> Case:
    return Clip(label).case


GROUPS = {
    **{f"memory_encoder.{label}": (lambda label=label: [memory_encoder(label)]) for label in MEMORY_ENCODER},
    **{f"memory_attention.{label}": (lambda label=label: [memory_attention(label)]) for label in MEMORY_ATTENTION},
    **{label: (lambda label=label: [video(label)]) for label in CLIPS},
}


def main(groups: dict = GROUPS, about: str = __doc__) -> None:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("groups", nargs="*", choices=[*groups, []], help="default: all")
    chosen = parser.parse_args().groups or list(groups)
    for group in chosen:
        cases = groups[group]()
        manifest = json.loads(MANIFEST.read_text())
        for case in cases:
            case.save(manifest)
        write_manifest(manifest)


if __name__ == "__main__":
    main()
