"""Small checkpoint files written by PyTorch and safetensors themselves, and transformers' names, for the tests of src/io.

    pip install torch==2.13.0 safetensors==0.8.0 transformers==5.23.0
    python golden/reference/export_fixtures.py        # writes golden/cases/checkpoints/, 26 KB

Values follow from the index alone, so the tests know them: 0, 1/8, 2/8, … unless said otherwise.
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig

FOLDER = pathlib.Path(__file__).parents[1] / "cases" / "checkpoints"


def ramp(*shape):
    count = torch.Size(shape).numel()
    return (torch.arange(count, dtype=torch.float32) / 8).reshape(shape)


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)

    # A state_dict is an OrderedDict with an attribute _metadata.
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    for values in model.state_dict().values():
        values.copy_(ramp(*values.shape))
    save("state_dict.pt", {"model": model.state_dict(), "epoch": 3, "lr": 1e-3, "note": "text", "big": 2**70, "none": None})

    # The same six values in every type; halves also at their limits.
    whole = torch.tensor([[0, 1, 2], [3, 4, 127]])
    limits = torch.tensor([5.960464477539063e-08, -6.097555160522461e-05, 65504.0, float("inf"), float("-inf"), float("nan"), -0.0])
    types = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64}
    types |= {"i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}
    save("dtypes.pt", {name: whole.to(dtype) for name, dtype in types.items()} | {"f16_limits": limits.half(), "bf16_limits": limits.bfloat16()})

    # One storage seen in several ways.
    base = ramp(3, 4)
    views = {
        "whole": base,
        "transposed": base.t(),
        "rows": base[1:],
        "columns": base[:, 1:3],
        "parameter": torch.nn.Parameter(base),
        "expanded": base[0, 1].expand(2, 3),
        "scalar": base[2, 3],
        "empty": torch.zeros(0, 3),
        "channels_last": ramp(1, 2, 2, 3).to(memory_format=torch.channels_last),
    }
    save("views.pt", views)

    # Files that are refused by name.
    save("legacy.pt", {"model": {"w": ramp(2)}}, _use_new_zipfile_serialization=False)
    save("protocol4.pt", {"model": {"w": ramp(2)}}, pickle_protocol=4)
    save("foreign.pt", {"model": {"w": ramp(2)}, "args": argparse.Namespace(lr=1)})
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), str(FOLDER / "script.pt"))

    tensors = {"b.weight": ramp(2, 3), "a": ramp(4), "scalar": ramp(), "empty": torch.zeros(0, 2)}
    save_file(tensors, FOLDER / "f32.safetensors", {"format": "pt", "config": '{"name": "x"}'})
    save_file({"h": limits.half(), "b": limits.bfloat16(), "d": ramp(3).double(), "i": whole}, FOLDER / "mixed.safetensors")

    write_transformers_names()


def write_transformers_names():
    """Names and shapes of a Sam2VideoModel with one block in each stage and one of each layer, as a tree."""
    trunk = Sam2HieraDetConfig(blocks_per_stage=[1, 1, 1, 1], global_attention_blocks=[2])
    vision = Sam2VisionConfig(backbone_config=trunk)
    with torch.device("meta"):
        model = Sam2VideoModel(Sam2VideoConfig(vision_config=vision, memory_attention_num_layers=1, memory_fuser_num_layers=1))
    tree = {}
    for name, values in model.state_dict().items():
        *folders, leaf = name.split(".")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[leaf] = list(values.shape)
    (FOLDER / "transformers_names.json").write_text(json.dumps(tree, separators=(",", ":")) + "\n")


main()
