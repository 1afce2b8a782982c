"""What every layer of nano returns in PyTorch for the demo's scene and its first click: writes nano_layers.json and
cases/nano.layers.safetensors (a few seconds). The report of `npm run demo` compares its trace with them.

    python golden/reference/export_nano_layers.py
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import torch

import reference
from recorder import Case

GOLDEN = pathlib.Path(__file__).parents[1]
NANO = GOLDEN.parent / "models" / "nano"
sys.path.insert(0, str(NANO))

import evaluate  # noqa: E402
import model as nano  # noqa: E402
import scenes  # noqa: E402

SEED, SIZE, TARGET = 13, 512, 3  # as in models/nano/demo.ts
VALUES = 64  # larger tensors are stored as so many samples


def main():
    torch.set_grad_enabled(False)
    weights = NANO / "nano.safetensors"
    model = nano.load(weights)
    predictor = reference.image_predictor(model)
    image, owner = scenes.still(SEED, SIZE)
    mask = dict(scenes.targets(owner))[TARGET]
    click = np.array([evaluate.first_click(owner, TARGET, mask)], np.float32)
    labels = np.ones(1, np.int32)

    about = {"seed": SEED, "size": SIZE, "click": click[0].tolist()}
    case = Case("nano.layers", {"name": "nano"}, VALUES, run="scene", scene=about, multimask=True)
    case.watch_image_encoder(model, lambda path: True)
    predictor.set_image(image)
    case.done()
    _, coords, point_labels, _ = predictor._prep_prompts(click, labels, None, None, True)
    case.input("point_coords", coords.numpy())
    case.input("point_labels", point_labels.numpy())
    case.watch_heads(model, lambda path: True)
    predictor.predict(click, labels, multimask_output=True)
    case.done()

    manifest = {"cases": {}}
    case.save(manifest)
    entry = {**manifest["cases"]["nano.layers"], "weights": hashlib.sha256(weights.read_bytes()).hexdigest()}
    (GOLDEN / "nano_layers.json").write_text(json.dumps(entry, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
