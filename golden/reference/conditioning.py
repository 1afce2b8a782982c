"""How much a relative noise of 1e-6 on every hash weight changes masks in PyTorch alone: no port can be closer.

    python golden/reference/conditioning.py tiny                       # one image, point and box
    python golden/reference/conditioning.py tiny --frames FOLDER       # a video too: a click and a box on frame 0, then tracking
"""

import argparse

import numpy as np
import torch

import reference
from compare_photo import mask_iou
from export_golden import PHOTO, PREDICTIONS
from hash_image import golden_image
from hash_weights import hash_weights

NOISE = 1e-6


def model_with_noise(name: str, noise: float, video: bool):
    model = reference.build(name, video=video)
    generator = torch.Generator().manual_seed(1)
    weights = hash_weights(model)
    noisy = {key: x * (1 + noise * torch.randn(x.shape, generator=generator)) for key, x in weights.items()}
    model.load_state_dict(noisy)
    return model


def image_masks(name: str, noise: float) -> dict:
    predictor = reference.image_predictor(model_with_noise(name, noise, video=False))
    predictor.set_image(golden_image(**PHOTO))
    masks = {}
    for label in ("point", "box"):
        prompt = {key: np.array(x) for key, x in PREDICTIONS[label].items() if key != "multimask"}
        masks[label] = predictor.predict(**prompt, multimask_output=True)[0] > 0
    return masks


def video_masks(name: str, noise: float, frames: str) -> dict:
    predictor = model_with_noise(name, noise, video=True)
    predictor.fill_hole_area = 0
    state = predictor.init_state(frames)
    w, h = state["video_width"], state["video_height"]
    predictor.add_new_points_or_box(state, 0, 1, points=np.array([[w * 0.3, h * 0.4]]), labels=np.array([1]))
    predictor.add_new_points_or_box(state, 0, 2, box=np.array([w * 0.5, h * 0.4, w * 0.8, h * 0.8]))
    return {f"frame {f}": (logits[:, 0] > 0).numpy() for f, _, logits in predictor.propagate_in_video(state)}


def report(clean: dict, noisy: dict) -> None:
    for label in clean:
        pairs = zip(clean[label], noisy[label])
        print(f"{label:9s} IoU under noise  " + "  ".join(f"{mask_iou(a, b):.6f}" for a, b in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*reference.VARIANTS, *reference.SMALL])
    parser.add_argument("--frames", help="folder of numbered JPEG frames")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    report(image_masks(args.model, 0), image_masks(args.model, NOISE))
    if args.frames:
        report(video_masks(args.model, 0, args.frames), video_masks(args.model, NOISE, args.frames))


if __name__ == "__main__":
    main()
