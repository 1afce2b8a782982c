"""What PyTorch's interpolate and Pillow's resize make of small inputs.

    pip install torch numpy pillow
    python golden/reference/resize_fixtures.py        # writes golden/resize.json

torch 2.13.0 (CPU) and Pillow 13.0 made the ones that are stored.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

METHODS = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "bicubic": {"mode": "bicubic", "align_corners": False},
    "antialias": {"mode": "bilinear", "align_corners": False, "antialias": True},
}
LENGTHS = [(1, 1), (1, 5), (9, 1), (6, 6), (2, 3), (7, 20), (14, 23), (20, 7), (57, 10), (12, 31), (100, 3)]

# width, height → width, height
SIZES = [(1, 1, 3, 2), (5, 4, 1, 1), (6, 5, 6, 5), (7, 5, 7, 9), (20, 11, 9, 11), (31, 23, 8, 10), (9, 8, 17, 20),
         (18, 32, 24, 24), (40, 52, 33, 18), (32, 18, 24, 24), (90, 3, 4, 5)]  # fmt: skip

torch.set_num_threads(1)


def weights(method, n_in, n_out):
    """Output i as a sum of inputs: row i. The input is one channel for each of its values, with a 1 there."""
    one_hot = torch.eye(n_in)[None, :, None, :]
    resized = F.interpolate(one_hot, size=(1, n_out), **METHODS[method])
    return [float(f"{value:.9g}") for value in resized.reshape(n_in, n_out).T.flatten().tolist()]


def photo(width, height):
    """Bytes that jump between extremes, so that sums are clipped at both ends."""
    i = np.arange(width * height * 3)
    values = (i * i * 7 + i * 31) // 4 % 256
    return np.where(i % 5 < 2, values, (values > 127) * 255).astype(np.uint8).reshape(height, width, 3)


def pillow(width, height, new_width, new_height):
    resized = Image.fromarray(photo(width, height)).resize((new_width, new_height))
    pixels = base64.b64encode(np.asarray(resized).tobytes()).decode()
    return {"from": [width, height], "to": [new_width, new_height], "pixels": pixels}


torch_cases = [
    {"method": method, "nIn": n_in, "nOut": n_out, "weights": weights(method, n_in, n_out)}
    for method in METHODS
    for n_in, n_out in LENGTHS
]
fixture = {"torch": torch_cases, "pillow": [pillow(*sizes) for sizes in SIZES]}
(Path(__file__).parents[1] / "resize.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
