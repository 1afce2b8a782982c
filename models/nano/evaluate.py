"""Held-out figures of nano with the reference package.

    python evaluate.py [--weights nano.safetensors] [--json FILE]

A still is scored on one of its targets: by one click (the mask is picked by predicted IoU), by its box, and after two
correction clicks. A clip is scored on its hero from one click on frame 0. No seed used here is ever trained on.
"""

import argparse
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import sam2.sam2_video_predictor as video
import torch

import model as nano
import scenes

STILLS, STILL_SEEDS = 200, 0  # that many stills with a target, from this seed on
CLIPS, CLIP_SEEDS = 50, 50_000
FLOOD_TOLERANCE = 0.2  # of 0 … 1 a channel; from 0.2 to 0.3 it does about equally well on validation seeds
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def erode(mask):
    """The pixels of a mask whose four neighbours are in it too; outside the picture counts as outside."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def innermost(mask):
    """The pixel (x, y) that survives the most erosions (first in reading order), and how many it takes."""
    depth = 0
    while True:
        smaller = erode(mask)
        if not smaller.any():
            break
        mask, depth = smaller, depth + 1
    y, x = np.unravel_index(int(mask.argmax()), mask.shape)
    return (float(x), float(y)), depth + int(mask.any())


def first_click(owner, code, mask):
    """Innermost pixel of the target; of what is not its part, where the target is a whole."""
    body = mask & (owner == code)
    return innermost(body if body.any() else mask)[0]


def correction(found, wanted):
    """Innermost pixel of the thicker of missed and extra, with label 1 or 0."""
    missed, extra = innermost(wanted & ~found), innermost(found & ~wanted)
    return (missed[0], 1) if missed[1] >= extra[1] else (extra[0], 0)


def iou(a, b):
    either = (a | b).sum()
    return (a & b).sum() / either if either else 1.0


def tensor(image):
    return torch.from_numpy(((image / 255.0 - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)[None]


class Predictor:
    """What SAM2ImagePredictor does at the model's own size, without its resizing."""

    def __init__(self, model):
        self.model = model

    @torch.no_grad()
    def set_image(self, image):
        out = self.model.forward_image(tensor(image))
        *high, low = out["backbone_fpn"]
        self.high, self.low = high, low + self.model.no_mem_embed.view(1, -1, 1, 1)

    @torch.no_grad()
    def predict(self, points, labels, multimask, logits=None):
        """Best mask by predicted IoU: boolean [S, S], its low-resolution logits, and the predicted IoU."""
        model = self.model
        coords = torch.tensor([points], dtype=torch.float32)
        sparse, dense = model.sam_prompt_encoder(
            points=(coords, torch.tensor([labels], dtype=torch.int32)), boxes=None, masks=logits
        )
        masks, ious, _, _ = model.sam_mask_decoder(
            image_embeddings=self.low,
            image_pe=model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=self.high,
        )
        best = int(ious[0].argmax())
        low = masks[:, best : best + 1]
        size = (model.image_size, model.image_size)
        full = torch.nn.functional.interpolate(low, size, mode="bilinear", align_corners=False)
        return full[0, 0].numpy() > 0, low.clamp(-32, 32), float(ious[0, best])


def still_scores(model, seeds, size, kinds):
    """IoU of one target of every seed: by one click, by box, after two corrections of the click."""
    predictor = Predictor(model)
    scores = {kind: [] for kind in kinds}
    for seed in seeds:
        image, owner = scenes.still(seed, size)
        found = scenes.targets(owner)
        if not found:
            continue
        code, mask = found[seed % len(found)]
        predictor.set_image(image)
        point = first_click(owner, code, mask)
        if "click" in kinds or "corrected" in kinds:
            result, logits, _ = predictor.predict([point], [1], True)
            if "click" in kinds:
                scores["click"].append(iou(result, mask))
        if "corrected" in kinds:
            points, labels = [point], [1]
            for _ in range(2):
                if (result == mask).all():
                    break
                extra, label = correction(result, mask)
                points, labels = [*points, extra], [*labels, label]
                result, logits, _ = predictor.predict(points, labels, False, logits)
            scores["corrected"].append(iou(result, mask))
        if "box" in kinds:
            y, x = np.nonzero(mask)
            corners = [(float(x.min()), float(y.min())), (float(x.max()), float(y.max()))]
            result, _, _ = predictor.predict(corners, [2, 3], False)
            scores["box"].append(iou(result, mask))
        if "flood" in kinds:
            scores["flood"].append(iou(flood(image, point, FLOOD_TOLERANCE), mask))
    return scores


def flood(image, point, tolerance):
    """What a flood fill from the click covers: pixels of the smoothed picture whose colour is near the click's."""
    padded = np.pad(image / 255.0, ((2, 2), (2, 2), (0, 0)), "edge")
    size = image.shape[0]
    shifts = itertools.product(range(5), range(5))
    smooth = sum(padded[y : y + size, x : x + size] for y, x in shifts) / 25.0
    x, y = int(point[0]), int(point[1])
    near = np.abs(smooth - smooth[y, x]).max(-1) <= tolerance
    filled = np.zeros(near.shape, bool)
    filled[y, x] = True
    while True:
        padded = np.pad(filled, 1)
        more = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:] | filled
        more &= near
        if (more == filled).all():
            return filled
        filled = more


def still_seeds(first, count, size):
    """The first `count` seeds from `first` on whose still has a target."""
    found = (seed for seed in itertools.count(first) if scenes.targets(scenes.still(seed, size)[1]))
    return list(itertools.islice(found, count))


def hero(owner):
    """The mask of the clip's hero on a frame."""
    return (owner & (scenes.PART - 1)) == 1


def clip_seeds(first, count, size):
    """The first `count` seeds from `first` on whose hero shows on at least 0.5 % of frame 0."""
    shown = (
        seed
        for seed in itertools.count(first)
        if hero(scenes.frame(scenes.describe(seed), 0, size)[1]).mean() >= 0.005
    )
    return list(itertools.islice(shown, count))


def clip_scores(model, seeds, size):
    """Per clip: J of frames 1 …, whether the hero shows there, and its object score. `model`: a SAM2VideoPredictor."""
    results = []
    video.tqdm = lambda frames, **_: frames  # no progress bars
    for seed in seeds:
        scene = scenes.describe(seed)
        frames = [scenes.frame(scene, t, size) for t in range(scenes.LENGTH)]
        tensors = torch.cat([tensor(image) for image, _ in frames])
        video.load_video_frames = lambda **_: (tensors, size, size)  # frames as they are, instead of from JPEG files
        state = model.init_state("")
        truth = [hero(owner) for _, owner in frames]
        click = first_click(frames[0][1], 1, truth[0])
        model.add_new_points_or_box(state, 0, 1, points=np.array([click], np.float32), labels=np.array([1], np.int32))
        j = [iou(logits[0, 0].numpy() > 0, truth[t]) for t, _, logits in model.propagate_in_video(state)]
        tracked = state["output_dict_per_obj"][0]["non_cond_frame_outputs"]
        results.append(
            {
                "seed": seed,
                "j": [round(float(x), 5) for x in j[1:]],
                "present": [bool(m.any()) for m in truth[1:]],
                "score": [round(float(tracked[t]["object_score_logits"]), 4) for t in range(1, scenes.LENGTH)],
            }
        )
    return results


def clip_summary(results):
    """Mean J over all frames, mean J over frames that show the hero after it was wholly gone, share of right signs."""
    every = [x for r in results for x in r["j"]]
    signs = [(s > 0) == p for r in results for s, p in zip(r["score"], r["present"])]
    after = []
    for r in results:
        gone = list(itertools.accumulate(not p for p in r["present"]))
        after += [j for j, p, g in zip(r["j"], r["present"], gone) if p and g]
    return {
        "clips": len(results),
        "j": float(np.mean(every)),
        "j_after_absence": float(np.mean(after)) if after else None,
        "frames_after_absence": len(after),
        "sign": float(np.mean(signs)),
    }


def video_model(weights):
    """The exported model as the reference's video predictor, with the flags that its builder sets by default."""
    return nano.load(weights, video.SAM2VideoPredictor, binarize_mask_from_pts_for_mem_enc=True, fill_hole_area=0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent / "nano.safetensors")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = nano.load(options.weights)
    size = model.image_size
    kinds = ("click", "box", "corrected", "flood")
    scores = still_scores(model, still_seeds(STILL_SEEDS, STILLS, size), size, kinds)
    for kind, values in scores.items():
        print(f"{kind:10} mean IoU {np.mean(values):.4f}  median {np.median(values):.4f}  of {len(values)} stills")
    results = clip_scores(video_model(options.weights), clip_seeds(CLIP_SEEDS, CLIPS, size), size)
    summary = clip_summary(results)
    print("  ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in summary.items()))
    if options.json:
        stills = {kind: [round(float(v), 5) for v in values] for kind, values in scores.items()}
        weights = hashlib.sha256(options.weights.read_bytes()).hexdigest()
        figures = {"weights": weights, "size": size, "stills": stills, "summary": summary, "clips": results}
        options.json.write_text(json.dumps(figures, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
