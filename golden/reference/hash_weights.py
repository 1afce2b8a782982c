"""Weights and images from a hash formula, the same bits here and in hash_weights.ts and hash_image.ts."""

import json
import math
import re
from pathlib import Path

import numpy as np

RULES = json.loads((Path(__file__).parents[1] / "hash_rules.json").read_text())


def fnv1a(text: str) -> int:
    """32-bit FNV-1a of the UTF-8 bytes."""
    h = 0x811C9DC5
    for byte in text.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def mix32(x: np.ndarray) -> np.ndarray:
    """A bijection of 32-bit integers in which every input bit moves about half of the output bits (lowbias32)."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def hash_words(seed: int, start: int, stop: int) -> np.ndarray:
    """mix32(mix32(i) ^ seed) for i = start … stop - 1."""
    return mix32(mix32(np.arange(start, stop, dtype=np.uint32)) ^ np.uint32(seed))


def scale_and_offset(key: str, shape) -> tuple:
    """(scale, offset) as f32: first rule of hash_rules.json that fits; `fanIn` divides by √(inputs of an output)."""
    for rule in RULES:
        if re.search(rule["key"], key) and rule.get("rank", len(shape)) == len(shape):
            scale = rule["scale"]
            if "fanIn" in rule:
                scale = scale / math.sqrt(shape[0] if rule["fanIn"] == "first" else math.prod(shape[1:]))
            return np.float32(scale), np.float32(rule.get("offset", 0))
    raise KeyError(key)


def hash_tensor(key: str, shape) -> np.ndarray:
    """value_i = v·scale + offset in f32, v uniform in [-1, 1) from the upper 24 bits of the hash of (key, i)."""
    scale, offset = scale_and_offset(key, shape)
    seed, size = fnv1a(key), math.prod(shape)
    out = np.empty(size, np.float32)
    for start in range(0, size, 1 << 16):
        stop = min(start + (1 << 16), size)
        u = (hash_words(seed, start, stop) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
        out[start:stop] = (u * np.float32(2) - np.float32(1)) * scale + offset
    return out.reshape(shape)


def hash_weights(model) -> dict:
    """Every tensor of the model's state dict, by its checkpoint key."""
    import torch

    return {key: torch.from_numpy(hash_tensor(key, tuple(t.shape))) for key, t in model.state_dict().items()}


def sample_indices(key: str, size: int, count: int) -> np.ndarray:
    """Which values of a large tensor are stored: hash(key, j) mod size for j = 0 … count - 1."""
    return hash_words(fnv1a(key), 0, count) % np.uint32(size)
