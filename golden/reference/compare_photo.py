"""One photo, one official-format checkpoint: `sam2 segment` against the official predictor, from the file to the mask.

    python golden/reference/export_checkpoint.py tiny /tmp/tiny.pt
    python golden/reference/compare_photo.py photo.jpg /tmp/tiny.pt
    python golden/reference/compare_photo.py photo.jpg /tmp/tiny.pt --point 500,375 --result photo.sam2 --logits l.safetensors

Without --result the command line is run for a point, a box, box + point and a mask input. With it, one result that
`sam2 segment --out … --save-logits …` has written is compared; the prompt is given as it was given to `segment`.
Exit code 1 if a mask's IoU is below 0.999 or a score differs by more than 0.001.
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
from safetensors.numpy import load_file

import reference

IOU_BAR, SCORE_BAR = 0.999, 1e-3
BLOCKS = {12: "tiny", 16: "small", 24: "base_plus", 48: "large"}


def load_predictor(checkpoint: Path):
    """SAM2ImagePredictor on a Meta .pt; its keys tell variant and version."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    variant = BLOCKS[sum(key.endswith(".attn.qkv.weight") for key in weights)]
    model = reference.build(variant, "2.1" if "no_obj_embed_spatial" in weights else "2.0")
    model.load_state_dict({key: x.float() for key, x in weights.items()})
    return reference.image_predictor(model)


class Prompt:
    """The prompt flags of `sam2 segment`."""

    @staticmethod
    def add_flags(parser) -> None:
        parser.add_argument("--point", action="append", default=[], metavar="x,y[,0]")
        parser.add_argument("--box", metavar="x0,y0,x1,y1")
        parser.add_argument("--mask-input", type=Path, metavar="FILE")
        parser.add_argument("--mask-index", type=int)
        parser.add_argument("--multimask", action=argparse.BooleanOptionalAction)

    def __init__(self, arguments: list):
        parser = argparse.ArgumentParser()
        self.add_flags(parser)
        self.arguments, flags = arguments, parser.parse_args(arguments)
        points = [[float(v) for v in text.split(",")] for text in flags.point]
        self.inputs = {"multimask_output": flags.multimask}
        if flags.multimask is None:  # upstream's advice: three masks for a single click
            self.inputs["multimask_output"] = len(points) == 1 and not flags.box and not flags.mask_input
        if points:
            self.inputs["point_coords"] = np.array([p[:2] for p in points])
            self.inputs["point_labels"] = np.array([int(p[2]) if len(p) > 2 else 1 for p in points])
        if flags.box:
            self.inputs["box"] = np.array([float(v) for v in flags.box.split(",")])
        if flags.mask_input:
            saved = load_file(flags.mask_input)
            index = saved["iou_predictions"].argmax() if flags.mask_index is None else flags.mask_index
            self.inputs["mask_input"] = saved["low_res_logits"][index][None]


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return 1.0 if union == 0 else float((a & b).sum() / union)


def compare(title: str, predictor, prompt: Prompt, result: Path, logits: Path) -> bool:
    """Print one line for every mask; whether all are within the bars."""
    masks, scores, low_res = predictor.predict(**prompt.inputs)
    ours = load_file(logits)
    if ours["low_res_logits"].shape != low_res.shape:
        print(f"{title}: {ours['low_res_logits'].shape} logits, the reference has {low_res.shape}")
        return False
    good = True
    for k, mask in enumerate(masks > 0):
        png = np.array(Image.open(result / f"mask_0_{k}.png"))
        assert png.shape == mask.shape and set(np.unique(png)) <= {0, 255}, f"mask_0_{k}.png is no mask of the photo"
        iou, score = mask_iou(png > 0, mask), abs(float(ours["iou_predictions"][k]) - float(scores[k]))
        delta = abs(ours["low_res_logits"][k] - low_res[k]).max()
        within = iou >= IOU_BAR and score <= SCORE_BAR
        good &= within
        verdict = "" if within else "   outside the bars"
        deltas = f"|Δ| score {score:.1e}  |Δ| logits {delta:.1e}"
        print(f"{title:12s} mask {k}  area {mask.mean():6.1%}  IoU {iou:.6f}  {deltas}{verdict}")
    return good


def segment(cli: list, photo: Path, checkpoint: Path, prompt: Prompt, folder: Path):
    """Run `sam2 segment`; where its masks and logits are."""
    logits = folder / "logits.safetensors"
    command = [*cli, "segment", photo, "--model", checkpoint, *prompt.arguments]
    command += ["--out", folder, "--save-logits", logits, "--json"]
    output = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    said = json.loads(output.stdout)["prompts"][0]["masks"]
    saved = load_file(logits)["iou_predictions"]
    assert np.allclose([mask["iou"] for mask in said], saved, atol=1e-3), "--json and --save-logits disagree"
    return folder, logits


def all_kinds(cli: list, photo: Path, checkpoint: Path, predictor, width: int, height: int) -> bool:
    """A point, a box, box + point, and the point's best mask as mask input."""

    def at(*fractions):
        return ",".join(str(round(f * (width, height)[i % 2])) for i, f in enumerate(fractions))

    box = ["--box", at(0.25, 0.3, 0.75, 0.8)]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "point": ["--point", at(0.4, 0.55)],
            "box": box,
            "box+point": [*box, "--point", at(0.6, 0.4) + ",0"],
            "mask input": ["--mask-input", str(Path(folder) / "point" / "logits.safetensors")],
        }
        for kind, arguments in kinds.items():
            prompt = Prompt(arguments)
            place = Path(folder) / kind
            place.mkdir()
            good &= compare(kind, predictor, prompt, *segment(cli, photo, checkpoint, prompt, place))
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("checkpoint", type=Path, help="a .pt with Meta's names")
    parser.add_argument("--cli", default="npx tsx src/cli/main.ts", help="how to call sam2")
    parser.add_argument("--result", type=Path, help="--out of a segment that has been run")
    parser.add_argument("--logits", type=Path, help="its --save-logits")
    args, prompt_arguments = parser.parse_known_args()
    if prompt_arguments and not args.result:
        parser.error("a prompt is compared with --result; without it all four kinds of prompt are run")

    torch.set_grad_enabled(False)
    predictor = load_predictor(args.checkpoint)
    image = Image.open(args.photo).convert("RGB")
    predictor.set_image(image)
    if args.result:
        good = compare("result", predictor, Prompt(prompt_arguments), args.result, args.logits)
    else:
        good = all_kinds(shlex.split(args.cli), args.photo, args.checkpoint, predictor, *image.size)
    print(f"{'all' if good else 'NOT all'} within IoU ≥ {IOU_BAR} and scores within {SCORE_BAR}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
