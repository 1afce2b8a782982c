"""Held-out figures of nano with the reference package.

    python evaluate.py [--weights nano.safetensors]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import model as nano
import scenes

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
    return scores
