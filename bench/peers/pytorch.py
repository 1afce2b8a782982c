"""One stage in native PyTorch, timed; stages and inputs are those of job.ts. Prints a line of JSON."""

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "golden" / "reference"))
import reference  # noqa: E402

if "edgetam" in sys.argv[1]:
    import edgetam  # noqa: E402, F401  before sam2, which is another package then
from hash_image import golden_image  # noqa: E402
from hash_weights import fnv1a, hash_weights, hash_words, sample_indices  # noqa: E402
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator  # noqa: E402

SIZE, GRID, FRAME = 1024, 64, 40
SAMPLES, WARM_UP_S, FEWEST_S, MOST_S, FEWEST_RUNS = 4096, 0.5, 1, 20, 3


def build(variant: str, video: bool = False):
    model = reference.build(variant, video=video)
    model.load_state_dict(hash_weights(model))
    return model


def values(name: str, shape) -> torch.Tensor:
    """Multiples of 1/64 in [-2, 2), which bfloat16 holds exactly, from the hash formula."""
    words = hash_words(fnv1a(name), 0, int(np.prod(shape)))
    return torch.from_numpy(((words >> np.uint32(24)).astype(np.float32) - 128) / 64).reshape(shape)


def pixels() -> torch.Tensor:
    """The photo as the encoder sees it [1, 3, S, S]."""
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    photo = torch.from_numpy(golden_image(11, SIZE, SIZE)).float() / 255
    return ((photo - mean) / std).permute(2, 0, 1)[None].contiguous()


def bank(model, maps, pointers) -> dict:
    """Seven maps and sixteen pointers: of the first frame, of which a click is known, then of those before this one."""
    if perceiver := getattr(model, "spatial_perceiver", None):
        empty = torch.zeros(1, model.mem_dim, GRID, GRID)
        position = [perceiver(empty, model.memory_encoder.position_encoding(empty))[1]]
    else:
        position = [model.memory_encoder.position_encoding(maps[:1])]

    def output(pointer: int, memory: int) -> dict:
        return {"obj_ptr": pointers[[pointer]], "maskmem_features": maps[[memory]], "maskmem_pos_enc": position}

    before = range(1, len(pointers))  # this many frames ago; only the maps of the last six are seen
    tracked = {FRAME - t: output(t, max(len(maps) - t, 0)) for t in before}
    return {"cond_frame_outputs": {0: output(0, 0)}, "non_cond_frame_outputs": tracked}


def attend(model, features, maps, pointers) -> torch.Tensor:
    """Memory attention over the full bank, [1, 256, 64, 64] → the same."""
    flat = [features.flatten(2).permute(2, 0, 1)]
    position = model.image_encoder.neck.position_encoding(features).flatten(2).permute(2, 0, 1)
    return model._prepare_memory_conditioned_features(
        FRAME, False, flat, [position], [(GRID, GRID)], bank(model, maps, pointers), 2 * FRAME
    )


BANK = {"features": (1, 256, GRID, GRID), "maps": (7, 64, GRID, GRID), "pointers": (16, 256)}
MAPS_OF_EDGETAM = (7, 512, 64)


def bank_inputs(variant: str = "tiny") -> list:
    shapes = BANK | ({"maps": MAPS_OF_EDGETAM} if variant == "edgetam" else {})
    return [values(name, shape) for name, shape in shapes.items()]


def encoder(variant: str):
    model, image = build(variant), pixels()

    def run() -> dict:
        fpn = model.forward_image(image)["backbone_fpn"]
        return {"features": fpn[2], "high_res_0": fpn[0], "high_res_1": fpn[1]}

    return run


def decoder():
    predictor = reference.image_predictor(build("tiny"))
    predictor.set_image(golden_image(11, SIZE, SIZE))

    def run() -> dict:
        masks, iou, low_res = predictor.predict(np.array([[500, 375]]), np.array([1]))
        return {"low_res": low_res, "iou": iou, "area": lambda: masks.sum(axis=(1, 2))}

    return run


def memory_attention(variant: str = "tiny"):
    model, inputs = build(variant, video=True), bank_inputs(variant)
    return lambda: {"conditioned": attend(model, *inputs)}


def frame(variant: str = "tiny"):
    model, image = build(variant, video=True), pixels()
    _, maps, pointers = bank_inputs(variant)
    past = bank(model, maps, pointers)

    def run() -> dict:
        _, features, positions, sizes = model._prepare_backbone_features(model.forward_image(image))
        out = model.track_step(FRAME, False, features, positions, sizes, None, None, past, 2 * FRAME)
        return {
            "low_res": out["pred_masks"],
            "obj_ptr": out["obj_ptr"],
            "score": out["object_score_logits"],
            "memory": out["maskmem_features"],
        }

    return run


def everything(points_per_side: int, pred_iou_thresh: float):
    options = {"stability_score_thresh": 0, "box_nms_thresh": 1, "output_mode": "coco_rle"}
    generator = SAM2AutomaticMaskGenerator(
        build("tiny"), points_per_side=points_per_side, pred_iou_thresh=pred_iou_thresh, **options
    )
    photo = golden_image(11, 1800, 1200)

    def run() -> dict:
        records = generator.generate(photo)
        return {
            "iou": [record["predicted_iou"] for record in records],
            "area": [record["area"] for record in records],
            "box": [record["bbox"] for record in records],
        }

    return run


STAGES = {
    "decoder.point": decoder,
    "memory_attention.full": memory_attention,
    "frame.full": frame,
    "everything.tiny": lambda: everything(8, 0.4915),
    "everything.full": lambda: everything(32, 0.50668),
    **{f"encoder.{variant}": (lambda variant=variant: encoder(variant)) for variant in (*reference.VARIANTS, "edgetam")},
    "memory_attention.edgetam": lambda: memory_attention("edgetam"),
    "frame.edgetam": lambda: frame("edgetam"),
}


def sample(name: str, value) -> list:
    flat = np.asarray(value() if callable(value) else value, np.float32).reshape(-1)
    picked = flat if flat.size <= SAMPLES else flat[sample_indices(name, flat.size, SAMPLES)]
    return picked.tolist()


def timed(run, repeat: int) -> list:
    """Milliseconds of each run, as `carryOut` of job.ts."""
    times, begin = [], time.perf_counter()
    while True:
        start = time.perf_counter()
        run()
        end = time.perf_counter()
        times.append(1000 * (end - start))
        if end - begin > (FEWEST_S if len(times) >= repeat else MOST_S) and len(times) >= min(FEWEST_RUNS, repeat):
            return times


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_grad_enabled(False)
    torch.set_num_threads(job["threads"])
    with contextlib.redirect_stdout(sys.stderr):  # EdgeTAM's predictor prints as it goes
        run = STAGES[job["stage"]]()
        warm = time.perf_counter()
        outputs = {name: sample(name, value) for name, value in run().items()}
        while time.perf_counter() - warm < WARM_UP_S:
            run()
        times = timed(run, job["repeat"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    version = f"PyTorch {torch.__version__}"
    print(json.dumps({"version": version, "outputs": outputs, "times": times, "peakBytes": peak}))


if __name__ == "__main__":
    main()
