"""Frames and one official-format checkpoint: `sam2 track` against the official propagate_in_video, frame by frame.

    python golden/reference/export_checkpoint.py tiny /tmp/tiny.pt
    python golden/reference/compare_video.py frames /tmp/tiny.pt

Two objects, a click and a box on frame 0. How stable the checkpoint is by itself, conditioning.py --frames tells. Exit
code 1 if a mask's IoU is below 0.999 or an object score differs by more than 0.01.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import reference
from compare_photo import BLOCKS, mask_iou

IOU_BAR, SCORE_BAR = 0.999, 1e-2


def load_predictor(checkpoint: Path):
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    variant = BLOCKS[sum(key.startswith("image_encoder.trunk.blocks") and key.endswith("qkv.weight") for key in weights)]
    model = reference.build(variant, "2.1" if "no_obj_embed_spatial" in weights else "2.0", video=True)
    model.load_state_dict({key: x.float() for key, x in weights.items()})
    model.fill_hole_area = 0  # upstream without CUDA skips it, with a warning
    return model


def official(model, frames: str, click: list, box: list) -> dict:
    """Frame → for each object its mask and its score."""
    state = model.init_state(frames)
    model.add_new_points_or_box(state, 0, 1, points=np.array([click]), labels=np.array([1]))
    model.add_new_points_or_box(state, 0, 2, box=np.array(box))
    results = {}
    for frame, ids, logits in model.propagate_in_video(state):
        results[frame] = []
        for k in range(len(ids)):
            outputs = state["output_dict_per_obj"][k]
            output = outputs["cond_frame_outputs"].get(frame) or outputs["non_cond_frame_outputs"][frame]
            results[frame].append(((logits[k, 0] > 0).numpy(), float(output["object_score_logits"])))
    return results


def decode_rle(rle: dict) -> np.ndarray:
    """COCO's compressed run lengths: base-32 digits with a sign, from the third on as differences to two before."""
    runs, digits = [], iter(rle["counts"])
    for character in digits:
        value, shift, digit = 0, 0, ord(character) - 48
        while True:
            value |= (digit & 31) << shift
            shift += 5
            if not digit & 32:
                break
            digit = ord(next(digits)) - 48
        if digit & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return mask.reshape(rle["size"][::-1]).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="folder of numbered JPEG frames")
    parser.add_argument("checkpoint", type=Path, help="a .pt with Meta's names")
    parser.add_argument("--cli", default="npx tsx src/cli/main.ts", help="how to call sam2")
    args = parser.parse_args()
    torch.set_grad_enabled(False)

    width, height = Image.open(sorted(args.frames.glob("*.jpg"))[0]).size
    click = [round(width * 0.3), round(height * 0.4)]
    box = [round(v) for v in (width * 0.5, height * 0.4, width * 0.8, height * 0.8)]
    prompts = ["--object", "1", "--point", ",".join(map(str, click)), "--object", "2", "--box", ",".join(map(str, box))]
    with tempfile.TemporaryDirectory() as folder:
        command = [*shlex.split(args.cli), "track", str(args.frames), "--model", str(args.checkpoint), *prompts]
        output = subprocess.run([*command, "--json", "--out", folder], check=True, capture_output=True, text=True)
        ours = {line["frame"]: line["objects"] for line in map(json.loads, output.stdout.splitlines())}
        for frame, objects in ours.items():
            painted = np.zeros((height, width), np.uint8)
            for said in objects:  # later objects lie over earlier ones
                painted[decode_rle(said["rle"])] = said["id"]
            assert (np.array(Image.open(Path(folder) / "masks" / f"{frame:05d}.png")) == painted).all(), f"PNG of {frame}"

    good = True
    for frame, objects in official(load_predictor(args.checkpoint), str(args.frames), click, box).items():
        for k, (mask, score) in enumerate(objects):
            said = ours[frame][k]
            iou, delta = mask_iou(decode_rle(said["rle"]), mask), abs(said["score"] - score)
            within = iou >= IOU_BAR and delta <= SCORE_BAR and (said["score"] > 0) == (score > 0)
            good &= within
            text = f"frame {frame:2d} object {k + 1}  area {mask.mean():6.1%}  IoU {iou:.6f}  score {score:7.3f}  |Δ| {delta:.1e}"
            print(text + ("" if within else "   outside the bars"))
    print(("all" if good else "NOT all") + f" within IoU ≥ {IOU_BAR} and scores within {SCORE_BAR}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
