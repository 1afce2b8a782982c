"""What Label Studio's SDK makes of brushes and of boxes of a video: brush.json, keyframes.json.

    python -m venv venv && venv/bin/pip install label-studio-sdk numpy
    venv/bin/python golden/label_studio/export_label_studio.py

requests.json was recorded between Label Studio 1.23.2 and `sam2 serve`: what its `interactive-annotating` and "retrieve
predictions" send. soft.json is a brush with a soft edge, written by the front end's encoder (@thi.ng/rle-pack 3), with the
alpha that the SDK reads out of it.
"""

import base64
import json
from pathlib import Path

import numpy as np
from label_studio_sdk._extensions.label_studio_tools.postprocessing.video import extract_key_frames
from label_studio_sdk.converter import brush

HERE = Path(__file__).parent


def write(name: str, value: object) -> None:
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


def masks():
    """Runs of every length that the four kinds end at, and masks as people draw them."""
    for n in [1, 2, 3, 4, 5, 63, 64, 65, 16383, 16384, 16385, 32768, 40000]:
        yield f"run of {n}", np.concatenate([np.zeros(7), np.ones(n), np.zeros(5)]).reshape(1, -1)
    yield "empty", np.zeros((5, 7))
    yield "full", np.ones((200, 300))
    y, x = np.mgrid[:40, :60]
    yield "disc", (x - 30) ** 2 + (y - 20) ** 2 < 200
    yield "chequers", (x + y) % 2


def runs(mask: np.ndarray) -> list[int]:
    """Lengths of runs along the rows, the first of them unset."""
    flat = np.concatenate([[0], mask.ravel().astype(int), [2]])
    ends = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], ends])).tolist()


def export_brush() -> None:
    cases = []
    for name, mask in masks():
        height, width = mask.shape
        rle = brush.mask2rle((mask * 255).astype(np.uint8))
        read = brush.decode_rle(rle).reshape(height, width, 4)
        assert all((read[..., c] == mask * 255).all() for c in range(4)), name
        cases.append(
            {
                "name": name,
                "width": width,
                "height": height,
                "runs": runs(mask),
                "rle": base64.b64encode(bytes(rle)).decode(),
            }
        )
    write("brush.json", cases)


def export_keyframes() -> None:
    """Sequences as the server answers them → the frames on which the SDK sees the object."""

    def box(frame: int, enabled: bool) -> dict:
        return {"frame": frame, "enabled": enabled, "rotation": 0, "x": frame, "y": 2, "width": 3, "height": 4, "time": frame / 10}

    cases = []
    for name, frames in [
        ("to the end", [(f, f < 12) for f in range(3, 13)]),
        ("gone from 6 to 8", [(3, True), (4, True), (5, False), (9, True), (10, True), (11, True), (12, False)]),
        ("seen once", [(3, False)]),
    ]:
        sequence = [box(frame, enabled) for frame, enabled in frames]
        result = {"type": "videorectangle", "value": {"framesCount": 20, "duration": 2.0, "sequence": sequence}}
        read = extract_key_frames([result])[0]["value"]["sequence"]
        cases.append({"name": name, "sequence": frames, "seen": sorted({frame["frame"] for frame in read})})
    write("keyframes.json", cases)


if __name__ == "__main__":
    export_brush()
    export_keyframes()
