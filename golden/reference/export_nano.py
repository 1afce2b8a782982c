"""What the reference makes of nano on held-out stills, and what scenes.py draws: writes nano.json (half a minute).

    python golden/reference/export_nano.py

A still is clicked, corrected twice (each time with the logits before), and boxed, all through SAM2ImagePredictor. Every
third one is drawn larger than the model's input, so that it is resized. Masks are packed bits, deflated, in base64.
"""

import base64
import hashlib
import itertools
import json
import pathlib
import sys
import zlib

import numpy as np

import reference

GOLDEN = pathlib.Path(__file__).parents[1]
NANO = GOLDEN.parent / "models" / "nano"
sys.path.insert(0, str(NANO))

import evaluate  # noqa: E402
import model as nano  # noqa: E402
import scenes  # noqa: E402

STILLS = 24
LARGER = 400
TIE = 0.001  # a still whose best two predicted IoUs are nearer than this proves nothing
FRAMES = [  # seed, frame, size; the last seed overflows 32 bits when it is multiplied
    *((seed, None, 96) for seed in range(12)),
    (12, 0, 256),
    (13, 39, 97),
    (50_000, 0, 64),
    (50_001, 20, 64),
    (50_002, 39, 64),
    (500_000_123, 17, 64),
]


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def drawn(seed, t, size):
    scene = scenes.describe(seed)
    t = scene["still"] if t is None else t
    image, owner = scenes.frame(scene, t, size)
    return {"seed": seed, "frame": t, "size": size, "image": sha256(image), "owner": sha256(owner)}


def asked(predictor, prompt, multimask, logits=None):
    """One prompt and its answer: for the file, the best mask, and its logits; None on a tie."""
    box = prompt.get("box")
    masks, ious, low = predictor.predict(
        point_coords=np.array(prompt["points"], np.float32) if "points" in prompt else None,
        point_labels=np.array(prompt["labels"], np.int32) if "points" in prompt else None,
        box=None if box is None else np.array(box, np.float32),
        mask_input=logits,
        multimask_output=multimask,
    )
    ranked = np.sort(ious)
    if len(ious) > 1 and ranked[-1] - ranked[-2] < TIE:
        return None
    best = int(ious.argmax())
    bits = [base64.b64encode(zlib.compress(np.packbits(mask > 0).tobytes(), 9)).decode() for mask in masks]
    answer = {**prompt, "multimask": multimask, "ious": [float(x) for x in ious], "masks": bits}
    return answer, masks[best] > 0, low[best : best + 1]


def questions(predictor, seed, size):
    """The answers for one still: click, first correction, second correction, box; None on a tie."""
    image, owner = scenes.still(seed, size)
    found = scenes.targets(owner)
    code, mask = found[seed % len(found)]
    predictor.set_image(image)
    prompt = {"points": [evaluate.first_click(owner, code, mask)], "labels": [1]}
    result = asked(predictor, prompt, True)
    if result is None:
        return None
    answers = [result[0]]
    for _ in range(2):
        point, label = evaluate.correction(result[1], mask)
        prompt = {"points": [*prompt["points"], point], "labels": [*prompt["labels"], label]}
        result = asked(predictor, prompt, False, result[2])
        answers.append(result[0])
    y, x = np.nonzero(mask)
    box = [float(v) for v in (x.min(), y.min(), x.max(), y.max())]
    answers.append(asked(predictor, {"box": box}, False)[0])
    return {"seed": seed, "size": size, "answers": answers}


def main():
    weights = NANO / "nano.safetensors"
    model = nano.load(weights)
    predictor = reference.image_predictor(model)
    seeds = evaluate.still_seeds(evaluate.STILL_SEEDS, 2 * STILLS, model.image_size)
    sizes = itertools.cycle([model.image_size, model.image_size, LARGER])
    stills = [found for seed, size in zip(seeds, sizes) if (found := questions(predictor, seed, size))][:STILLS]
    result = {
        "reference": reference.REFERENCE,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "frames": [drawn(*what) for what in FRAMES],
        "stills": stills,
    }
    (GOLDEN / "nano.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"nano.json: {len(stills)} stills, {(GOLDEN / 'nano.json').stat().st_size} bytes")


if __name__ == "__main__":
    main()
