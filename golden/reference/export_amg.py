"""What the reference's automatic mask generator finds: writes amg.json (some minutes).

    python golden/reference/export_amg.py

nano looks at drawn scenes with every option, a small configuration with hash weights at pictures of which little or nothing
is found, and tiny at a photo by formula. A threshold is moved to the middle of the widest gap between scores near it, so
that rounding decides nothing. `min_mask_region_area` needs CUDA upstream: its connected components are found here.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import torch
from pycocotools import mask as mask_utils

import reference
from export_golden import hashed
from hash_image import golden_image

GOLDEN = pathlib.Path(__file__).parents[1]
NANO = GOLDEN.parent / "models" / "nano"
sys.path.insert(0, str(NANO))

import model as nano  # noqa: E402
import sam2.automatic_mask_generator as amg  # noqa: E402
import sam2.utils.misc as misc  # noqa: E402
import scenes  # noqa: E402

SCENE = {"scene": 50_003, "size": 400}
THRESHOLDS = {"predIouThresh": 0.75, "stabilityScoreThresh": 0.8}
LOOSE = {"predIouThresh": 0.4, "stabilityScoreThresh": 0.3, "boxNmsThresh": 1}
CASES = [  # name, model, image, options
    ("plain", "nano", SCENE, {**THRESHOLDS, "pointsPerSide": 12}),
    ("defaults", "nano", {"scene": 50_004, "size": 256}, {}),
    ("one layer of crops", "nano", SCENE, {**THRESHOLDS, "pointsPerSide": 8, "cropNLayers": 1}),
    ("two layers of crops, fewer points in each", "nano", {"scene": 50_006, "size": 520},
     {**THRESHOLDS, "pointsPerSide": 8, "cropNLayers": 2, "cropNPointsDownscaleFactor": 2, "cropOverlapRatio": 0.5, "cropNmsThresh": 0.6}),
    ("refined", "nano", SCENE, {**THRESHOLDS, "pointsPerSide": 8, "useM2m": True}),
    ("one mask a point", "nano", SCENE, {**THRESHOLDS, "pointsPerSide": 12, "multimaskOutput": False}),
    ("one mask a point, refined, in crops", "nano", SCENE,
     {**THRESHOLDS, "pointsPerSide": 6, "multimaskOutput": False, "useM2m": True, "cropNLayers": 1}),
    ("small regions", "nano", SCENE, {**THRESHOLDS, "pointsPerSide": 8, "minMaskRegionArea": 60}),
    ("other thresholds of logits", "nano", SCENE,
     {"predIouThresh": 0.7, "stabilityScoreThresh": 0.6, "pointsPerSide": 8, "maskThreshold": 0.5, "stabilityScoreOffset": 2,
      "boxNmsThresh": 0.4}),
    ("grids of one's own", "nano", SCENE,
     {**THRESHOLDS, "pointsPerSide": None, "cropNLayers": 1, "pointGrids": [[[0.25, 0.75], [0.5, 0.5], [0.7, 0.3]], [[0.5, 0.5], [0.2, 0.6]]]}),
    ("no filter", "nano", {"scene": 50_007, "size": 96},
     {"predIouThresh": 0, "stabilityScoreThresh": 0, "pointsPerSide": 4, "boxNmsThresh": 0.9}),
    ("nothing found", "small_a", {"seed": 2, "width": 150, "height": 100}, {"predIouThresh": 0.99, "pointsPerSide": 4}),
    ("crops with nothing in them", "small_a", {"seed": 2, "width": 150, "height": 100},
     {**LOOSE, "pointsPerSide": 4, "cropNLayers": 1}),
    ("narrow", "small_a", {"seed": 3, "width": 5, "height": 300}, {**LOOSE, "stabilityScoreThresh": 0.1, "pointsPerSide": 4}),
    ("tiny", "tiny", {"seed": 11, "width": 1080, "height": 620}, {"predIouThresh": 0.5, "stabilityScoreThresh": 0.7, "boxNmsThresh": 1,
                                                               "pointsPerSide": 4}),
]  # fmt: skip
SCENES = list(range(50_010, 50_018))  # drawn at the model's size, for `quality`
IOU_GAP, STABILITY_GAP = 2e-5, 2e-4  # of the scores on either side of a threshold, at least
ORDER_GAP = 2e-6  # of the predicted IoUs of any two records of a crop, at least


def connected_components(mask):
    """Labels of 8-connected regions, from 1, and at each pixel the area of its region; [N, 1, H, W] of bool."""
    labels, areas = torch.zeros(mask.shape, dtype=torch.int32), torch.zeros(mask.shape, dtype=torch.int32)
    H, W = mask.shape[-2:]
    for plane, label_of, area_of in zip(mask[:, 0].numpy(), labels[:, 0].numpy(), areas[:, 0].numpy()):
        label = 0
        for start in zip(*np.nonzero(plane)):
            if label_of[start]:
                continue
            label += 1
            label_of[start] = label
            region = [start]
            for y, x in region:
                for v in range(max(0, y - 1), min(H, y + 2)):
                    for u in range(max(0, x - 1), min(W, x + 2)):
                        if plane[v, u] and not label_of[v, u]:
                            label_of[v, u] = label
                            region.append((v, u))
            area_of[tuple(np.array(region).T)] = len(region)
    return labels, areas


misc.get_connected_components = connected_components


def picture(image):
    if "scene" in image:
        return scenes.still(image["scene"], image["size"])[0]
    return golden_image(image["seed"], image["width"], image["height"])


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


class Watched:
    """The reference's generator, with the scores that it sees."""

    def __init__(self, model, options):
        arguments = {snake(name): value for name, value in options.items()}
        if "point_grids" in arguments:
            arguments["point_grids"] = [np.array(grid) for grid in arguments["point_grids"]]
        self.generator = amg.SAM2AutomaticMaskGenerator(model, output_mode="coco_rle", **arguments)
        self.generator.predictor._bb_feat_sizes = reference.image_predictor(model)._bb_feat_sizes
        self.ious, self.stabilities = [], []

    def run(self, image):
        predict, score = self.generator.predictor._predict, amg.calculate_stability_score

        def watched_predict(*arguments, **keywords):
            result = predict(*arguments, **keywords)
            if self.generator.use_m2m == ("mask_input" in keywords):
                self.ious += result[1].flatten().tolist()
            return result

        def watched_score(*arguments):
            result = score(*arguments)
            self.stabilities += result.tolist()
            return result

        self.generator.predictor._predict, amg.calculate_stability_score = watched_predict, watched_score
        try:
            return self.generator.generate(image)
        finally:
            amg.calculate_stability_score = score


def in_gap(scores, threshold, reach):
    """The middle of the widest gap between scores within `reach` of the threshold, and the gap's half width."""
    if threshold <= 0:
        return threshold, np.inf
    near = np.sort([s for s in scores if abs(s - threshold) < reach] + [threshold - reach, threshold + reach])
    at = int(np.argmax(np.diff(near)))
    return round(float(near[at] + near[at + 1]) / 2, 6), float(near[at + 1] - near[at]) / 2


def case(name, model, weights, image, options):
    rgb = picture(image)
    options = dict(options)
    for key, kind, least in [("predIouThresh", "ious", IOU_GAP), ("stabilityScoreThresh", "stabilities", STABILITY_GAP)]:
        if options.get(key, 1) <= 0 or len(options) == 0:
            continue
        watched = Watched(model, {**options, "stabilityScoreThresh": 0} if kind == "ious" else options)
        watched.run(rgb)
        wanted = options.get(key, {"predIouThresh": 0.8, "stabilityScoreThresh": 0.95}[key])
        options[key], gap = in_gap(getattr(watched, kind), wanted, 0.02)
        assert gap > least, f"{name}: {key} {wanted} lies in a gap of {gap}"
    found = Watched(model, options).run(rgb)
    scores = np.sort([record["predicted_iou"] for record in found])
    if len(scores) > 1:
        assert np.diff(scores).min() > ORDER_GAP, f"{name}: predicted IoUs differ by {np.diff(scores).min()}"
    print(f"{name}: {len(found)} records, {options}", flush=True)
    return {
        "name": name,
        "model": weights,
        "image": image,
        "options": {key: value for key, value in options.items() if value is not None},
        "records": [
            {
                "counts": record["segmentation"]["counts"],
                "area": record["area"],
                "bbox": record["bbox"],
                "predictedIou": record["predicted_iou"],
                "pointCoords": record["point_coords"],
                "stabilityScore": None if np.isnan(record["stability_score"]) else record["stability_score"],
                "cropBox": record["crop_box"],
            }
            for record in found
        ],
    }


def quality(model):
    """Over the objects of some scenes: the mean IoU of the best mask, and how many have one of at least 0.5."""
    options = {"predIouThresh": 0.6, "stabilityScoreThresh": 0.7, "pointsPerSide": 10}
    best = []
    for seed in SCENES:
        image, owner = scenes.still(seed, model.image_size)
        found = Watched(model, options).run(image)
        masks = [mask_utils.decode(record["segmentation"]) > 0 for record in found]
        for _, truth in scenes.targets(owner):
            best.append(max(((mask & truth).sum() / (mask | truth).sum() for mask in masks), default=0))
    print(f"{len(best)} objects, IoU {np.mean(best)}, {sum(b >= 0.5 for b in best)} found", flush=True)
    return {"scenes": SCENES, "options": options, "best": [round(float(b), 6) for b in best]}


def main():
    weights = NANO / "nano.safetensors"
    models = {"nano": nano.load(weights)}
    cases = []
    for name, model, image, options in CASES:
        models[model] = models.get(model) or hashed(model).eval()
        cases.append(case(name, models[model], model, image, options))
    result = {
        "reference": reference.REFERENCE,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "configs": {name: reference.describe(name) for name in models if name != "nano"},
        "quality": quality(models["nano"]),
        "cases": cases,
    }
    (GOLDEN / "amg.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"amg.json: {(GOLDEN / 'amg.json').stat().st_size} bytes")


if __name__ == "__main__":
    main()
