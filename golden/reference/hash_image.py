"""A deterministic picture: discs and bars of hashed colours on a gradient, shaded, with noise. Integers only."""

import numpy as np

from hash_weights import hash_words

SHAPES = 32  # odd ones are discs, even ones bars
WORDS = 8  # hash words of a shape
NOISE_SEED = 0x5EED


def golden_image(seed: int, width: int, height: int) -> np.ndarray:
    """RGB bytes [height, width, 3], the same bytes as goldenImage in hash_image.ts."""
    word = [int(w) for w in hash_words(seed, 0, (SHAPES + 1) * WORDS)]
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    image = np.empty((height, width, 3), np.int64)
    for c in range(3):
        top, bottom = word[c] & 255, word[3 + c] & 255
        image[..., c] = (top * (height - y) + bottom * y) // height
    size = min(width, height)
    for s in range(1, SHAPES + 1):
        a = word[s * WORDS : (s + 1) * WORDS]
        cx, cy, r = a[0] % width, a[1] % height, size // 24 + a[2] % max(size // 4, 1)
        dx, dy = x - cx, y - cy
        if s % 2:
            inside = dx * dx + dy * dy <= r * r
            light = 256 - (dx * dx + dy * dy) * 112 // max(r * r, 1)
        else:
            inside = (abs(dx) <= r) & (abs(dy) * 3 <= r)
            light = 144 + (dx + r) * 56 // max(r, 1)
        for c in range(3):
            colour = a[3 + c] & 255
            image[..., c] = np.where(inside, colour * light // 256, image[..., c])
    noise = hash_words(seed ^ NOISE_SEED, 0, height * width * 3).reshape(image.shape).astype(np.int64) & 15
    return np.clip(image + noise - 8, 0, 255).astype(np.uint8)


MOVERS = 4
MOVER_SEED = 0x3013


def golden_frame(seed: int, t: int, width: int, height: int) -> np.ndarray:
    """Frame t of a clip: discs that move to and fro over a golden image, later ones in front. As in hash_image.ts."""
    image = golden_image(seed, width, height).astype(np.int64)
    word = [int(w) for w in hash_words(seed ^ MOVER_SEED, 0, MOVERS * WORDS)]
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    size = min(width, height)
    for m in range(MOVERS):
        a = word[m * WORDS : (m + 1) * WORDS]
        r = size // 8 + a[2] % (size // 8)
        cx = to_and_fro(a[0] % 4096 + t * (a[6] % 4 + 1), width)
        cy = to_and_fro(a[1] % 4096 + t * (a[7] % 3 + 1), height)
        square = (x - cx) ** 2 + (y - cy) ** 2
        light = 256 - square * 112 // (r * r)
        for c in range(3):
            image[..., c] = np.where(square <= r * r, (a[3 + c] & 255) * light // 256, image[..., c])
    return image.astype(np.uint8)


def to_and_fro(position: int, length: int) -> int:
    """0, 1, … length - 1, length, length - 1, … 1, 0, 1 …"""
    position %= 2 * length
    return min(position, 2 * length - position)
