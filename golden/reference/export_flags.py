"""The flags of SAM 2 as its builders set them, into golden/flags.json: what src/model/FLAGS.md is compared with.

    python golden/reference/export_flags.py

For each parameter of SAM2Base, and of the modules that its configuration names, the value of version 2.1 and of 2.0: the
constructor's default, changed by the yaml, changed by what `build_sam2_video_predictor` adds for inference.
"""

import inspect
import json
from pathlib import Path

import reference  # noqa: F401  the stand-in for torchvision
import sam2.build_sam
from hydra import compose
from hydra.utils import get_class
from omegaconf import OmegaConf

OUTPUT = Path(__file__).parents[1] / "flags.json"


class Composed(Exception):
    """Carries a configuration out of the builder before the model is made."""


def configuration(name: str) -> dict:
    """What the video predictor's builder makes of a yaml."""

    def stop(config_name, overrides):
        raise Composed(compose(config_name=config_name, overrides=overrides))

    sam2.build_sam.compose = stop
    try:
        sam2.build_sam.build_sam2_video_predictor(name)
    except Composed as composed:
        return OmegaConf.to_container(composed.args[0].model, resolve=True)
    raise AssertionError("the builder composed nothing")


def flags(config: dict, prefix: str = "") -> dict:
    """Name → value of a module and those inside of it; a module's own name is its path."""
    target = get_class(config["_target_"])
    base = target.__mro__[1] if target.__name__.startswith("SAM2VideoPredictor") else target
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    found = {}
    for name, value in {**defaults, **config}.items():
        if isinstance(value, dict) and "_target_" in value:
            found.update(flags(value, f"{prefix}{name}."))
        elif isinstance(value, dict):
            found.update({f"{prefix}{name}.{key}": one for key, one in value.items()})
        elif name != "_target_" and isinstance(value, (bool, int, float, str, list, tuple, type(None))):
            found[f"{prefix}{name}"] = value
    return found


if __name__ == "__main__":
    newer, older = [flags(configuration(name)) for name in ("configs/sam2.1/sam2.1_hiera_t.yaml", "configs/sam2/sam2_hiera_t.yaml")]
    table = {name: {"2.1": newer.get(name), "2.0": older.get(name)} for name in sorted({**newer, **older})}
    OUTPUT.write_text(json.dumps(table, indent=2) + "\n")
    print(f"{OUTPUT.name}: {len(table)} flags")
