"""Annotations and masks of videos that golden/format_cases.ts writes, as the tools that own the formats read them.

    pip install numpy pillow pycocotools opencv-python-headless scikit-image tqdm torch pandas pyDeprecate requests psutil
    pip install --no-deps labelme ultralytics supervision
    python golden/reference/export_formats.py SAM2        # SAM2: a clone of facebookresearch/sam2; writes golden/formats.json

LabelMe's window, torchvision and what else the parsers import but do not use is replaced by nothing. labelme 6.3.1,
ultralytics 8.4.190, supervision 0.31.2, pycocotools 2.0.11, OpenCV 5.0 and SA-V's evaluator at 2b90b9f made what is stored.
"""

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

GOLDEN = Path(__file__).parents[1]
sys.path.insert(0, str(Path(sys.argv[1]) / "sav_dataset"))
for name in ("onnxruntime", "PyQt5", "PyQt5.QtCore", "PyQt5.QtGui", "PyQt5.QtWidgets", "cmap", "imgviz", "imgviz.io"):
    sys.modules[name] = MagicMock()
sys.modules["torchvision"] = MagicMock(__version__="0.28.0")
versions = importlib.metadata.version
importlib.metadata.version = lambda name: "0.28.0" if name == "torchvision" else versions(name)
folder = Path(tempfile.mkdtemp())
os.environ["YOLO_CONFIG_DIR"] = str(folder)

import numpy as np  # noqa: E402
import supervision  # noqa: E402
from labelme._label_file import read_label_file  # noqa: E402
from labelme.utils.shape import shape_to_mask  # noqa: E402
from pycocotools import mask as coco_mask  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from supervision.dataset.formats.coco import load_coco_annotations  # noqa: E402
from supervision.dataset.formats.yolo import yolo_annotations_to_detections  # noqa: E402
from ultralytics.data.utils import polygon2mask, verify_image_label  # noqa: E402
from utils.sav_benchmark import benchmark  # noqa: E402

IMAGES = ["all of them", "few", "none"]


def counts(mask):
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


def pycocotools_reads(file):
    coco = COCO(str(file))
    names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
    answer = {}
    for image in coco.loadImgs(coco.getImgIds()):
        anns = coco.loadAnns(coco.getAnnIds(image["id"], iscrowd=False))
        answer[Path(image["file_name"]).stem] = [[names[a["category_id"]], counts(coco.annToMask(a))] for a in anns]
    return answer


def supervision_reads_coco(file):
    classes, _, detections = load_coco_annotations(str(folder), str(file), force_masks=True)
    by_stem = {Path(path).stem: d for path, d in detections.items()}
    masks = {s: [] if by_stem[s].mask is None else by_stem[s].mask for s in IMAGES}
    return {s: [[classes[c], counts(m)] for c, m in zip(by_stem[s].class_id, masks[s])] for s in IMAGES}


def ultralytics_reads(stem, classes):
    args = (str(folder / f"{stem}.png"), str(folder / f"{stem}.txt"), "", False, len(classes), 0, 0, False)
    _, labels, (height, width), segments, _, _, _, _, corrupt, message = verify_image_label(args)
    assert not corrupt, message
    pixels = [(s * [width, height]).reshape(1, -1) for s in segments]
    return [[classes[int(l[0])], counts(polygon2mask((height, width), p))] for l, p in zip(labels, pixels)]


def supervision_reads_yolo(stem, size, classes):
    lines = (folder / f"{stem}.txt").read_text().splitlines()
    if not lines:
        return []
    found = yolo_annotations_to_detections(lines, size, with_masks=True)
    return [[classes[c], counts(m)] for c, m in zip(found.class_id, found.mask)]


def labelme_reads(stem, size):
    """The parts of an object are joined, as LabelMe's labelme2coco.py does."""
    data = read_label_file(str(folder / f"{stem}.json"))
    masks = {}
    for shape in data.shapes:
        part = shape_to_mask((size[1], size[0]), shape["points"], shape["shape_type"])
        key = (shape["group_id"], shape["label"])
        masks[key] = masks.get(key, False) | part
    return [[label, counts(mask)] for (_, label), mask in masks.items()]


def from_sam(stem):
    """Largest first, as supervision sorts them; then its boxes."""
    records = json.loads((folder / f"{stem}.sa1b.json").read_text())["annotations"]
    found = supervision.Detections.from_sam(records)
    masks = [] if found.mask is None else found.mask
    return [[counts(m), b.tolist()] for m, b in zip(masks, found.xyxy)]


def evaluated(layout, skip):
    roots = [[str(folder / layout / side)] for side in ("truth", "predicted")]
    jf, j, f, metrics = benchmark(*roots, True, 2, verbose=False, skip_first_and_last=skip)
    videos = {
        name: {str(int(i)): [float(js[i]), float(fs[i])] for i in js} for name, (js, fs) in sorted(metrics[0].items())
    }
    return {"jf": float(jf[0]), "j": float(j[0]), "f": float(f[0]), "videos": videos}


def main():
    subprocess.run(["npx", "tsx", str(GOLDEN / "format_cases.ts"), str(folder)], check=True, cwd=GOLDEN.parent)
    first = COCO(str(folder / "annotations.coco.json")).loadImgs(1)[0]
    size = (first["width"], first["height"])
    classes = (folder / "classes.txt").read_text().splitlines()
    files = [p for p in folder.rglob("*.*") if p.suffix in (".json", ".txt") and "Ultralytics" not in p.parts]
    digests = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}
    answers = {
        "pycocotools": pycocotools_reads(folder / "annotations.coco.json"),
        "pycocotools, rle": pycocotools_reads(folder / "rle" / "annotations.coco.json"),
        "supervision, coco": supervision_reads_coco(folder / "annotations.coco.json"),
        "ultralytics": {s: ultralytics_reads(s, classes) for s in IMAGES},
        "supervision, yolo": {s: supervision_reads_yolo(s, size, classes) for s in IMAGES},
        "labelme": {s: labelme_reads(s, size) for s in IMAGES},
        "from_sam": {s: from_sam(s) for s in IMAGES},
    }
    scores = {f"{layout}, {'inner' if skip else 'all'} frames": evaluated(layout, skip)
              for layout in ("palette", "objects") for skip in (True, False)}
    polygons = polygon_cases(size)
    content = {"files": digests, "answers": answers, "polygons": polygons, "scores": scores}
    (GOLDEN / "formats.json").write_text(json.dumps(content, ensure_ascii=False) + "\n")


def polygon_cases(size):
    """Polygons with corners anywhere, some outside, and run lengths before compression."""
    width, height = size
    rng = np.random.default_rng(3)
    cases = []
    for n in range(24):
        parts = []
        for _ in range(1 + n % 3):
            corners = rng.uniform(-0.3, 1.3, (3 + n % 7, 2)) * [width, height]
            parts.append([round(float(v), n % 4) for v in corners.ravel()])
        merged = coco_mask.merge(coco_mask.frPyObjects(parts, height, width))
        cases.append({"polygons": parts, "counts": merged["counts"].decode()})
    return {"width": width, "height": height, "cases": cases}


if __name__ == "__main__":
    main()
