"""Goldens: what every layer of the reference returns, as cases/*.safetensors and manifest.json (see README.md)."""

import argparse
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch

import reference
from hash_image import golden_image
from hash_weights import hash_tensor, hash_weights
from recorder import Case

MANIFEST = Path(__file__).parents[1] / "manifest.json"
ENCODER_VALUES, HEAD_VALUES = 512, 256  # larger tensors are stored as so many samples
HEAD_OUTPUTS = ["low_res_multimasks", "high_res_multimasks", "ious", "low_res_masks", "high_res_masks", "obj_ptr"]

torch.set_grad_enabled(False)


def hashed(name: str, version: str = "2.1"):
    model = reference.build(name, version)
    model.load_state_dict(hash_weights(model))
    return model


def everything(path: str) -> bool:
    return True


def channels_last(x: torch.Tensor) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()


# ---- small configurations: every module

# case: (configuration, image seed, point coordinates, labels, multimask, what the case must show)
SAM_HEADS = {
    "click": ("small_a", 3, [[[40.5, 30.25]]], [[1]], True, {}),
    "clicks": ("small_a", 7, [[[20.625, 83.375], [55, 11.25], [33.5, 83]]], [[1, 1, 1]], False, {"fallback": [False]}),
    "clicks_fallback": ("small_a", 3, [[[12, 46.25], [4.5, 69.875]]], [[0, 1]], False, {"fallback": [True]}),
    "box": ("small_a", 3, [[[20.5, 18], [101.25, 90]]], [[2, 3]], False, {}),
    "box_point": ("small_a", 3, [[[20.5, 18], [101.25, 90], [64, 52.5]]], [[2, 3, 1]], False, {}),
    "negative": ("small_a", 3, [[[88, 12], [31, 77]]], [[0, 0]], True, {}),
    "padding": ("small_a", 3, [[[40.5, 30.25], [0, 0], [90, 100]]], [[1, -1, 0]], True, {}),
    "batch": ("small_a", 2, [[[47, 64], [12, 100]], [[20.5, 18], [101.25, 90]], [[0, 0], [127.5, 127.5]]],
              [[1, 0], [2, 3], [1, 1]], True, {"appearing": [True, False, True]}),
    "absent": ("small_a", 2, [[[54.75, 21.25], [67.625, 14], [90.125, 100.375]]], [[2, 3, 1]], False,
               {"appearing": [False]}),
    "absent_multimask": ("small_a", 4, [[[45.75, 96.125], [16.5, 30.75]]], [[2, 3]], True, {"appearing": [False]}),
    "mask_point": ("small_a", 3, [[[40.5, 30.25]]], [[1]], False, {"mask": "low_res"}),
    "mask_image_size": ("small_a", 3, None, None, False, {"mask": "image_size"}),
    "click_20": ("small_b", 3, [[[172, 47.5]]], [[1]], True, {}),
}  # fmt: skip


class Small:
    """A small configuration with hash weights and the features of one golden image of the model's own size."""

    def __init__(self, name: str, seed: int):
        self.name, self.model = name, hashed(name)
        self.size = self.model.image_size
        self.image = {"seed": seed, "width": self.size, "height": self.size}
        self.photo = golden_image(seed, self.size, self.size)
        self.predictor = reference.image_predictor(self.model)

    def features(self):
        self.predictor.set_image(self.photo)
        features = self.predictor._features
        return features["image_embed"], features["high_res_feats"]

    def case(self, label: str, run: str, **about) -> Case:
        values = ENCODER_VALUES if run == "image_encoder" else HEAD_VALUES
        return Case(f"{self.name}.{label}", reference.describe(self.name), values, run=run, image=self.image, **about)

    def case_with_features(self, label: str, run: str, **about):
        case = self.case(label, run, **about)
        embed, (high0, high1) = self.features()
        for name, x in [("image_embed", embed), ("high_res_0", high0), ("high_res_1", high1)]:
            case.input(name, channels_last(x))
        return case, embed, [high0, high1]


def small_image_encoder(name: str, seed: int) -> Case:
    """Pixels to image embedding; the picture has the model's size, so nothing is resampled."""
    small = Small(name, seed)
    case = small.case("image_encoder", "image_encoder")
    case.add("pixels", "SAM2Transforms", small.predictor._transforms(small.photo)[None], nchw=True)
    case.watch_image_encoder(small.model, everything)
    embed, _ = small.features()
    case.add("output.image_embed", "set_image", embed, nchw=True)
    case.done()
    return case


def small_preprocess() -> Case:
    """SAM2Transforms on pictures of other sizes than the model's: ToTensor, Resize, Normalize."""
    small = Small("small_a", 5)
    case = small.case("preprocess", "preprocess")
    del case.entry["image"]
    case.entry["images"] = []
    for width, height in [(300, 200), (77, 130), (128, 200), (5, 300), (1, 1), (1201, 799)]:
        case.entry["images"].append({"seed": 5, "width": width, "height": height})
        pixels = small.predictor._transforms(golden_image(5, width, height))[None]
        case.add(f"pixels.{width}x{height}", "SAM2Transforms", pixels, nchw=True)
    return case


def sam_heads(label: str) -> Case:
    """SAM2Base._forward_sam_heads: prompt encoder, mask decoder, object score and object pointer."""
    name, seed, points, labels, multimask, shows = SAM_HEADS[label]
    small = Small(name, seed)
    case, embed, high_res = small.case_with_features(f"sam_heads.{label}", "sam_heads", multimask=multimask)
    prompt, mask = None, None
    if points is not None:
        prompt = {"point_coords": torch.tensor(points), "point_labels": torch.tensor(labels, dtype=torch.int32)}
        for key, value in prompt.items():
            case.input(key, value.numpy())
    if shows.get("mask") == "low_res":
        mask = small.model._forward_sam_heads(embed, prompt, None, high_res, True)[3].clamp(-32, 32)
    elif shows.get("mask") == "image_size":
        mask = torch.from_numpy(small.photo[None, None, :, :, 0] > 128).float()
    if mask is not None:
        case.input("mask", mask.numpy())

    B = len(points or [0])
    embed, *high_res = [x.expand(B, -1, -1, -1) for x in (embed, *high_res)]
    case.watch_heads(small.model, everything)
    outputs = small.model._forward_sam_heads(embed, prompt, mask, high_res, multimask)
    case.done()
    for name, tensor in zip([*HEAD_OUTPUTS, "object_score_logits"], outputs):
        case.add(f"output.{name}", "_forward_sam_heads", tensor, masks=tensor.dim() == 4)
    case.add_bits("output.low_res_multimasks", outputs[0])
    judge_masks(case, multimask)
    judge_scores(case)
    for name, wanted in {"appearing": [True], **shows}.items():
        assert name == "mask" or case.entry[name] == wanted, f"{case.name}: {name} is {case.entry[name]}"
    return case


def judge_masks(case: Case, multimask: bool) -> None:
    """No golden hangs on a tie: the choice of a mask keeps a margin, by predicted IoU or by stability."""
    best = np.sort(case.tensors["sam_mask_decoder.predict_masks#1"][:, 1:], axis=1)
    assert (best[:, -1] - best[:, -2]).min() > 1e-3, f"{case.name}: the best predicted IoUs {best} tie"
    if not multimask:
        stability = case.tensors["sam_mask_decoder.stability_scores"][:, 0]
        assert abs(stability - 0.98).min() > 5e-4, f"{case.name}: stability {stability} is close to the threshold"
        case.entry["fallback"] = (stability < 0.98).tolist()


def judge_scores(case: Case) -> None:
    """The same for the object score, whose sign decides about masks and pointer."""
    scores = case.tensors["sam_mask_decoder.predict_masks#3"][:, 0]
    assert abs(scores).min() > 0.05, f"{case.name}: object score {scores} is close to 0"
    case.entry["appearing"] = (scores > 0).tolist()


def mask_only() -> Case:
    """What SAM2ImagePredictor does with a mask and no point: no prompt token at all, not even the padding point."""
    small = Small("small_a", 3)
    case, embed, high_res = small.case_with_features("decoder.mask_only", "decoder", multimask=True)
    prompt = {"point_coords": torch.tensor([[[40.5, 30.25]]]), "point_labels": torch.ones(1, 1, dtype=torch.int32)}
    mask = small.model._forward_sam_heads(embed, prompt, None, high_res, True)[3].clamp(-32, 32)
    case.input("mask", mask.numpy())
    case.watch_heads(small.model, everything)
    logits, ious, _ = small.predictor._predict(None, None, None, mask, True, return_logits=True)
    case.done()
    case.add("output.masks", "SAM2ImagePredictor._predict", logits, masks=True)
    case.add("output.iou_predictions", "SAM2ImagePredictor._predict", ious)
    judge_masks(case, True)
    return case


# ---- the four sizes at 1024 × 1024: stage by stage, through SAM2ImagePredictor

PHOTO = {"seed": 11, "width": 1080, "height": 620}
POINT = {"point_coords": [[551.5, 297.25]], "point_labels": [1]}
BOX = {"box": [182.5, 116, 640, 465.75]}
PREDICTIONS = {
    # prompts in pixels of the photo; `mask` is the seed of mask_prompt
    "point": {**POINT, "multimask": True},
    "box": {**BOX, "multimask": False},
    "box_point": {"point_coords": [[412, 232.5]], "point_labels": [0], **BOX, "multimask": False},
    "mask_input": {"mask": 12, "multimask": False},
}
ENCODER_STAGES = re.compile(r"image_encoder(\.neck|\.trunk(\.patch_embed|\.blocks\.\d+)?)?$|.*\.conv_s[01]$")
HEAD_STAGES = re.compile(
    r"sam_prompt_encoder$|.*\.transformer(\.layers\.\d|\.final_attn_token_to_image)?$|.*\.output_upscaling\.\d$"
    r"|.*mask_downscaling\.\d$|.*\.(output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head)$"
)


def mask_prompt(seed: int, size: int) -> np.ndarray:
    """Logits [1, size, size] of a golden image's brightness: (r + g + b - 384) / 32, exact in f32."""
    rgb = golden_image(seed, size, size).astype(np.float32)
    return (rgb.sum(axis=2) - np.float32(384))[None] / np.float32(32)


def full_case(name: str, label: str, **about) -> Case:
    return Case(f"{name}.{label}", reference.describe(name), ENCODER_VALUES, image=PHOTO, **about)


def encode_full(name: str, version: str):
    """A predictor that holds the photo, and the case that saw it encode."""
    model = hashed(name, version)
    predictor = reference.image_predictor(model)
    case = full_case(name, "image_encoder", run="image_encoder")
    photo = golden_image(**PHOTO)
    case.add("pixels", "SAM2Transforms", predictor._transforms(photo)[None], nchw=True)
    case.watch_image_encoder(model, ENCODER_STAGES.match)
    predictor.set_image(photo)
    case.done()
    case.add("output.image_embed", "set_image", predictor._features["image_embed"], nchw=True)
    return predictor, case


def predict_full(name: str, predictor, label: str) -> Case:
    prompt = PREDICTIONS[label]
    case = full_case(name, label, run="predictor", prompt=prompt)
    model = predictor.model
    mask = mask_prompt(prompt["mask"], model.image_size // 4) if "mask" in prompt else None
    arrays = {key: np.array(prompt[key]) for key in ("point_coords", "point_labels", "box") if key in prompt}
    case.watch_heads(model, HEAD_STAGES.match)
    masks, ious, low_res = map(
        torch.from_numpy,
        predictor.predict(**arrays, mask_input=mask, multimask_output=prompt["multimask"], return_logits=True),
    )
    case.done()
    case.add("output.masks", "SAM2ImagePredictor", masks[None], masks=True)
    case.add("output.iou_predictions", "SAM2ImagePredictor", ious)
    case.add("output.low_res_masks", "SAM2ImagePredictor", low_res[None], masks=True)
    case.add_bits("output.low_res_masks", low_res[None])
    if "point_coords" in prompt:
        case.entry["best"] = int(ious.argmax())
        case.add_bits("output.masks.best", masks[None, [case.entry["best"]]])
    judge_masks(case, prompt["multimask"])
    if mask is None:
        judge_scores(case)
        add_pointer(case, predictor, arrays, prompt["multimask"])
    return case


def add_pointer(case: Case, predictor, arrays: dict, multimask: bool) -> None:
    """The prompt in the model's coordinates, and the object pointer that _forward_sam_heads makes of it."""
    coords, labels = torch.empty(1, 0, 2), torch.empty(1, 0, dtype=torch.int32)
    _, points, point_labels, box = predictor._prep_prompts(
        arrays.get("point_coords"), arrays.get("point_labels"), arrays.get("box"), None, True
    )
    if box is not None:
        coords, labels = torch.cat([coords, box], 1), torch.cat([labels, torch.tensor([[2, 3]], dtype=torch.int32)], 1)
    if points is not None:
        coords, labels = torch.cat([coords, points], 1), torch.cat([labels, point_labels], 1)
    case.input("point_coords", coords.numpy())
    case.input("point_labels", labels.numpy())
    embed, high_res = predictor._features["image_embed"], predictor._features["high_res_feats"]
    prompt = {"point_coords": coords, "point_labels": labels}
    outputs = predictor.model._forward_sam_heads(embed, prompt, None, high_res, multimask)
    case.add("output.obj_ptr", "_forward_sam_heads", outputs[5])
    case.add("output.object_score_logits", "_forward_sam_heads", outputs[6])


def digest(cases: list) -> str:
    """SHA-256 of the SHA-256 of every tensor of the image path, in order."""
    return hashlib.sha256("".join(d for case in cases for d in case.sha256.values()).encode()).hexdigest()


def full(name: str, version: str, labels=PREDICTIONS) -> list:
    predictor, encoder = encode_full(name, version)
    return [encoder, *(predict_full(name, predictor, label) for label in labels)]


def full_both_versions(name: str) -> list:
    """2.0 and 2.1 share the image path: with equal weights every tensor has the same bits, so one case serves both."""
    cases = full(name, "2.1")
    digests = {"2.1": digest(cases), "2.0": digest(full(name, "2.0"))}
    assert digests["2.1"] == digests["2.0"], f"{name}: the versions differ"
    for case in cases:
        case.entry["versions"] = ["2.1", "2.0"]
    cases[0].entry["sha256"] = digests
    return cases


# Keys that use every rule of hash_rules.json, and images of several forms: what hash_weights.test.ts checks.
FORMULA_KEYS = [
    ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", [2, 128]),
    ("memory_encoder.fuser.layers.0.gamma", [256]),
    ("image_encoder.trunk.blocks.3.attn.qkv.bias", [1152]),
    ("memory_attention.norm.weight", [256]),
    ("image_encoder.trunk.blocks.0.norm1.weight", [96]),
    ("image_encoder.trunk.pos_embed", [1, 96, 7, 7]),
    ("sam_mask_decoder.mask_tokens.weight", [4, 256]),
    ("sam_mask_decoder.output_hypernetworks_mlps.2.layers.2.weight", [32, 256]),
    ("memory_attention.layers.1.cross_attn_image.out_proj.weight", [256, 256]),
    ("sam_mask_decoder.transformer.layers.0.self_attn.q_proj.weight", [256, 256]),
    ("sam_mask_decoder.output_upscaling.0.weight", [256, 64, 2, 2]),
    ("sam_mask_decoder.output_upscaling.3.weight", [64, 32, 2, 2]),
    ("image_encoder.trunk.patch_embed.proj.weight", [96, 3, 7, 7]),
    ("maskmem_tpos_enc", [7, 1, 1, 64]),
    ("image_encoder.trunk.body.stem.conv1.bn.running_var", [24]),
    ("image_encoder.trunk.body.stem.conv1.bn.running_mean", [24]),
    ("image_encoder.trunk.body.stages_1.blocks.0.token_mixer.conv.c.weight", [96, 1, 3, 3]),
    ("image_encoder.trunk.body.stages_1.blocks.0.channel_mixer.conv2.c.weight", [96, 192, 1, 1]),
    ("image_encoder.trunk.body.stages_1.blocks.0.se.fc2.bias", [96]),
    ("spatial_perceiver.latents_2d", [256, 64]),
    ("spatial_perceiver.layers.1.attn.to_kv.weight", [128, 64]),
]
FORMULA_IMAGES = [(1, 320, 200), (2, 75, 133), (3, 5, 300), (4, 1, 1)]

GROUPS = {
    "small_a.image_encoder": lambda: [small_image_encoder("small_a", 2)],
    "small_b.image_encoder": lambda: [small_image_encoder("small_b", 4)],
    "small_a.preprocess": lambda: [small_preprocess()],
    **{f"sam_heads.{label}": (lambda label=label: [sam_heads(label)]) for label in SAM_HEADS},
    "small_a.decoder.mask_only": lambda: [mask_only()],
    **{name: (lambda name=name: full_both_versions(name)) for name in reference.VARIANTS},
    **{name: (lambda name=name: full(name, "2.1", ["box"])) for name in reference.SIZED},
}


def formula() -> dict:
    """SHA-256 of bytes that the hash formula gives, for those who write it again in another language."""

    def digest_of(array):
        return hashlib.sha256(array.tobytes()).hexdigest()

    tensors = [{"key": k, "shape": shape, "sha256": digest_of(hash_tensor(k, shape))} for k, shape in FORMULA_KEYS]
    images = [
        {"seed": seed, "width": w, "height": h, "sha256": digest_of(golden_image(seed, w, h))}
        for seed, w, h in FORMULA_IMAGES
    ]
    return {"tensors": tensors, "images": images}


def write_manifest(manifest: dict) -> None:
    """JSON with one line for every layer, so that a change shows in a diff."""
    cases = []
    for name, entry in sorted(manifest["cases"].items()):
        lines = []
        for key, value in entry.items():
            if key in ("layers", "bits"):
                rows = ",\n".join(f"        {json.dumps(row)}" for row in value)
                lines.append(f'      "{key}": [\n{rows}\n      ]')
            else:
                lines.append(f'      "{key}": {json.dumps(value)}')
        cases.append(f'    "{name}": {{\n' + ",\n".join(lines) + "\n    }")
    about = {"reference": reference.REFERENCE, "formula": formula()}
    head = "".join(f'  "{key}": {json.dumps(value)},\n' for key, value in about.items())
    MANIFEST.write_text("{\n" + head + '  "cases": {\n' + ",\n".join(cases) + "\n  }\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="default: all")
    chosen = parser.parse_args().groups or list(GROUPS)
    manifest = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {"cases": {}}
    for group in chosen:
        for case in GROUPS[group]():
            case.save(manifest)
        write_manifest(manifest)


if __name__ == "__main__":
    main()
