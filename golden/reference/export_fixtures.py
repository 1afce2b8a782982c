"""Small checkpoint files written by PyTorch and safetensors themselves, and transformers' names, for the tests of src/io.

    pip install torch==2.13.0 safetensors==0.8.0 transformers==5.23.0
    python golden/reference/export_fixtures.py        # writes golden/cases/checkpoints/, 60 KB

Values follow from the index alone, so the tests know them: 0, 1/8, 2/8, … unless said otherwise.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import json
import pathlib
import uuid

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig

ANCHOR = "image_encoder.trunk.patch_embed.proj.weight"
FOLDER = pathlib.Path(__file__).parents[1] / "cases" / "checkpoints"


def ramp(*shape):
    count = torch.Size(shape).numel()
    return (torch.arange(count, dtype=torch.float32) / 8).reshape(shape)


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)


class Own:
    """A class that nobody else has."""


class OwnTensor(torch.Tensor):
    """A tensor of another type."""


def trainer_state():
    """What people keep beside their weights; the file must be read without any of it."""
    model = collections.OrderedDict({ANCHOR: ramp(2, 3), "maskmem_tpos_enc": ramp(4)})
    weight = torch.nn.Parameter(ramp(2, 3))
    optimizer = torch.optim.AdamW([weight], lr=1e-4)
    weight.sum().backward()
    optimizer.step()
    args = argparse.Namespace(lr=1e-4, out=pathlib.PurePosixPath("runs/1"), here=pathlib.Path("x"), device=torch.device("cpu"))
    args.dtype, args.size = torch.bfloat16, torch.Size([2, 3])
    numbers = {
        "scalar": np.float64(0.5),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "text": np.array(["a", "b"]),
        "dtype": np.dtype("float16"),
        "class": np.float32,
        "bool": np.bool_(True),
        "generator": np.random.default_rng(1).bit_generator.state,
    }
    losses = collections.defaultdict(list, {"loss": [1.0, 2.0]})
    nested = collections.defaultdict(dict, {"a": collections.Counter("aab")})
    return {
        "epoch": 3,
        "args": args,
        "numbers": numbers,
        "losses": losses,
        "nested": nested,
        "recent": collections.deque([1, 2], maxlen=5),
        "when": [datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), datetime.date(2026, 1, 2), datetime.timedelta(1)],
        "odd": [{1, 2}, frozenset("ab"), b"bytes", bytearray(b"x"), 1j, decimal.Decimal("0.1"), fractions.Fraction(1, 3), slice(1, 2)],
        "id": uuid.UUID(int=1),
        "rng": torch.arange(8, dtype=torch.uint8),
        "optimizer": optimizer.state_dict(),
        "big": -(2**200),
        "itself": recursive(),
        "model": collections.OrderedDict({f"module.{name}": values for name, values in model.items()}),
        "ema": {f"module.{name}": values + 1 for name, values in model.items()},
    }


def recursive():
    outer = []
    outer.append((outer, {"back": outer}))
    return outer


def rebuilt():
    """Weights that are more than plain tensors; two of them share a storage."""
    base = ramp(3, 4)
    tagged = torch.nn.Parameter(base.clone())
    tagged.note = "text"
    own = base.clone().as_subclass(OwnTensor)
    own.note = {"a": 1}
    buffer = torch.nn.Buffer(base.clone())
    return {
        "parameter": torch.nn.Parameter(base),
        "transposed": base.t(),
        "tagged": tagged,
        "own": own,
        "buffer": buffer,
        "half": base.half(),
        "bfloat": base.bfloat16()[1:],
        "double": base.double().t(),
    }


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

    # What training leaves beside the weights, in every protocol and in the format before PyTorch 1.6.
    for protocol in (2, 3, 4, 5):
        save(f"trainer_{protocol}.pt", trainer_state(), pickle_protocol=protocol)
    save("trainer_legacy_2.pt", trainer_state(), _use_new_zipfile_serialization=False)
    save("trainer_legacy_5.pt", trainer_state(), _use_new_zipfile_serialization=False, pickle_protocol=5)
    save("rebuilt.pt", rebuilt())
    save("rebuilt_legacy.pt", rebuilt(), _use_new_zipfile_serialization=False)

    # Files that are refused by name.
    save("foreign.pt", {"model": {"w": ramp(2)}, "trainer": Own()})
    save("module.pt", torch.nn.Linear(2, 1))
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
