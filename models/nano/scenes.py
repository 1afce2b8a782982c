"""Procedural scenes and clips with exact masks, from one integer seed.

A clip is a handful of shaded, textured shapes that move over a textured ground under a moving camera, painted back to
front with soft shadows, then noise. A still is one frame of a clip. Everything is 32-bit integer hashing and + - * / sqrt
on doubles, so that another language can repeat it bit for bit; no sine, no library random numbers.

Coordinates: the image is the unit square, x right, y down, and pixel (i, j) has its centre at ((j + 0.5) / size,
(i + 0.5) / size), so one seed gives the same scene at every size.
"""

import numpy as np

LENGTH = 40  # frames of a clip
SHAPES = ("ellipse", "blob", "star", "box", "ring", "crescent", "triangle", "pentagon")
PART = 128  # bit of the owner map: the pixel belongs to the object's part (a differently coloured piece of it)
# Unit normals of the edges of a triangle and a pentagon.
NORMALS = {
    "triangle": ((0.0, 1.0), (0.8660254037844386, -0.5), (-0.8660254037844386, -0.5)),
    "pentagon": (
        (0.0, 1.0),
        (0.9510565162951535, 0.3090169943749474),
        (0.5877852522924731, -0.8090169943749475),
        (-0.5877852522924731, -0.8090169943749475),
        (-0.9510565162951535, 0.3090169943749474),
    ),
}


def mix(x):
    """A 32-bit integer hash (xor-shift-multiply, constants by C. Wellons' "lowbias32" search)."""
    x ^= x >> 16
    x = x * 0x21F0AAAD & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0xD35A2D97 & 0xFFFFFFFF
    return x ^ (x >> 15)


def mix_array(x):
    """`mix` for an array of uint32; the array is overwritten."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


class Random:
    """Draw n of seed s is mix(mix(s) + n · 0x9E3779B9): no hidden state beyond a counter."""

    def __init__(self, seed):
        self.state = mix(seed & 0xFFFFFFFF)

    def integer(self):
        self.state = (self.state + 0x9E3779B9) & 0xFFFFFFFF
        return mix(self.state)

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * (self.integer() / 4294967296.0)

    def below(self, n):
        return self.integer() % n

    def chance(self, p):
        return self.uniform() < p

    def colour(self):
        return [self.uniform(0.05, 0.95) for _ in range(3)]


def wave(turns):
    """A smooth periodic curve like sin(2π·turns), made of parabolas: −1 … 1, period 1."""
    x = 2.0 * (turns - np.floor(turns)) - 1.0
    return -4.0 * x * (1.0 - np.abs(x))


def direction(turns):
    """A unit vector that goes round once while `turns` grows by 1 (not quite at constant speed)."""
    x, y = float(wave(turns + 0.25)), float(wave(turns))
    length = np.sqrt(x * x + y * y)
    return x / length, y / length


def far(a, b, distance):
    return sum((p - q) * (p - q) for p, q in zip(a, b)) >= distance * distance


def texture(random):
    """Value noise of one lattice, or stripes, that multiplies a colour."""
    return {
        "lattice": np.array([random.uniform(-1.0, 1.0) for _ in range(64)]).reshape(8, 8),
        "frequency": random.uniform(1.5, 5.0),
        "amplitude": random.uniform(0.05, 0.3),
        "stripes": random.uniform(0.15, 0.4) if random.chance(0.45) else 0.0,
        "stripe_frequency": random.uniform(0.7, 2.5),
    }


def describe(seed):
    """All that a seed decides, before anything is drawn."""
    random = Random(seed)
    ground = {
        "colour": random.colour(),
        "slope": (random.uniform(-0.3, 0.3), random.uniform(-0.3, 0.3)),
        "texture": texture(random),
    }
    camera = {
        "amplitude": (random.uniform(0.0, 0.12), random.uniform(0.0, 0.12)),
        "frequency": (random.uniform(0.005, 0.025), random.uniform(0.005, 0.025)),
        "phase": (random.uniform(), random.uniform()),
    }
    objects = []
    for k in range(3 + random.below(4)):
        size = random.uniform(0.08, 0.24)
        for _ in range(20):
            centre = (random.uniform(0.1, 0.9), random.uniform(0.1, 0.9))
            if all(far(centre, o["centre"], 0.7 * (size + o["size"])) for o in objects):
                break
        twin = objects[random.below(k)] if k and random.chance(0.2) else None
        if twin:
            colour = [min(0.98, max(0.02, c + random.uniform(-0.06, 0.06))) for c in twin["colour"]]
        else:
            for _ in range(20):
                colour = random.colour()
                if far(colour, ground["colour"], 0.3) and all(far(colour, o["colour"], 0.25) for o in objects):
                    break
        shape = SHAPES[random.below(len(SHAPES))]
        item = {
            "centre": centre,
            "size": size,
            "aspect": random.uniform(0.6, 1.0),
            "turn": random.uniform(),
            "spin": random.uniform(-0.01, 0.01),
            "shape": twin["shape"] if twin and random.chance(0.7) else shape,
            "lobes": 3 + random.below(4),
            "depth": random.uniform(0.12, 0.3),
            "colour": colour,
            "texture": texture(random),
            "shade": (random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2), random.uniform(0.0, 0.25)),
            "amplitude": (random.uniform(0.0, 0.25), random.uniform(0.0, 0.25)),
            "frequency": (random.uniform(0.008, 0.025), random.uniform(0.008, 0.025)),
            "phase": (random.uniform(), random.uniform()),
            "part": None,
        }
        if random.chance(0.3) and item["shape"] not in ("ring", "crescent"):
            for _ in range(20):
                tint = random.colour()
                if far(tint, colour, 0.35):
                    break
            item["part"] = {
                "centre": (random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2)),
                "size": random.uniform(0.25, 0.42),
                "box": random.chance(0.5),
                "colour": tint,
            }
        objects.append(item)
    # Object 0 is the hero of the clip: it roams, leaves the picture and returns, or is covered by the last object.
    hero, cover = objects[0], objects[-1]
    story = ("roam", "leave", "cover")[random.below(3)]
    peak = random.uniform(14.0, 24.0)
    if story == "leave":
        axis = random.below(2)
        sign = 1.0 if hero["centre"][axis] > 0.5 else -1.0
        edge = 1.0 - hero["centre"][axis] if sign > 0 else hero["centre"][axis]
        reach = sign * (edge + 1.3 * hero["size"] + random.uniform(0.08, 0.16))
        hero["leave"] = {"axis": axis, "reach": reach, "peak": peak, "half": random.uniform(11.0, 14.0)}
    if story == "cover":
        x, y = direction(random.uniform())
        speed = random.uniform(0.03, 0.06)
        cover["cover"] = {"peak": peak, "velocity": (x * speed, y * speed)}
        cover["size"] = min(0.34, hero["size"] * random.uniform(1.25, 1.6))
        cover["shape"], cover["aspect"] = ("ellipse", "box")[random.below(2)], 0.95
    return {
        "seed": seed,
        "still": random.below(LENGTH),
        "ground": ground,
        "camera": camera,
        "objects": objects,
        "story": story,
        "light": {
            "offset": (random.uniform(-0.04, 0.04), random.uniform(-0.04, 0.04)),
            "softness": random.uniform(0.02, 0.08),
            "strength": random.uniform(0.0, 0.45),
        },
        "blur": random.uniform(0.8, 2.2),
        "noise": random.uniform(0.0, 0.12),
    }


def place(item, hero, t):
    """Centre of an object at time t, before the camera."""
    if "cover" in item:
        x, y = place(hero, hero, t)
        c = item["cover"]
        return x + c["velocity"][0] * (t - c["peak"]), y + c["velocity"][1] * (t - c["peak"])
    position = [
        item["centre"][a]
        + item["amplitude"][a] * float(wave(item["frequency"][a] * t + item["phase"][a]) - wave(item["phase"][a]))
        for a in (0, 1)
    ]
    if "leave" in item:
        leave = item["leave"]
        s = (t - leave["peak"]) / leave["half"]
        position[leave["axis"]] += leave["reach"] * max(0.0, 1.0 - s * s)
    return position[0], position[1]


def level(item, u, v):
    """Implicit function of the shape in its own coordinates: negative inside, about the distance near the outline."""
    shape = item["shape"]
    if shape == "box":
        p, q = np.abs(u) - 0.6, np.abs(v) - 0.6
        outside = np.sqrt(np.maximum(p, 0.0) * np.maximum(p, 0.0) + np.maximum(q, 0.0) * np.maximum(q, 0.0))
        return outside + np.minimum(np.maximum(p, q), 0.0) - 0.25
    if shape in NORMALS:
        first, *rest = NORMALS[shape]
        edge = first[0] * u + first[1] * v
        for x, y in rest:
            edge = np.maximum(edge, x * u + y * v)
        return edge - (0.55 if shape == "triangle" else 0.8)
    r = np.sqrt(u * u + v * v)
    if shape == "ellipse":
        return r - 1.0
    if shape == "ring":
        return np.abs(r - 0.7) - 0.3
    if shape == "crescent":
        d = u - 0.55
        return np.maximum(r - 1.0, 0.75 - np.sqrt(d * d + v * v))
    # blob and star: r = 1 − depth + depth · cos(lobes · θ), by cos(kθ) = 2 cos θ cos((k−1)θ) − cos((k−2)θ)
    c = u / (r + 1e-9)
    before, cosine = 1.0, c
    for _ in range((2 if shape == "blob" else item["lobes"]) - 1):
        before, cosine = cosine, 2.0 * c * cosine - before
    return r - (1.0 - item["depth"]) - item["depth"] * cosine


def paint(pattern, u, v):
    """The factor that a texture puts on a colour at (u, v)."""
    x, y = u * pattern["frequency"] + 100.0, v * pattern["frequency"] + 100.0
    i, j = x.astype(np.int32), y.astype(np.int32)
    x, y = x - i, y - j
    x, y = x * x * (3.0 - 2.0 * x), y * y * (3.0 - 2.0 * y)
    i, j = i & 7, j & 7
    near, far_ = (j << 3) + i, (j << 3) + (i + 1 & 7)
    below = (j + 1 & 7) << 3
    lattice = pattern["lattice"].ravel()
    top = lattice[near] + x * (lattice[far_] - lattice[near])
    a, b = lattice[below + i], lattice[below + (i + 1 & 7)]
    bottom = a + x * (b - a)
    factor = 1.0 + pattern["amplitude"] * (top + y * (bottom - top))
    if pattern["stripes"]:
        factor = factor + pattern["stripes"] * wave(u * pattern["stripe_frequency"])
    return factor


def frame(scene, t, size):
    """Draws time t: image [size, size, 3] uint8 and owner map [size, size] uint8 (0 ground, k+1 object k, | PART)."""
    camera = scene["camera"]
    pan = [camera["amplitude"][a] * float(wave(camera["frequency"][a] * t + camera["phase"][a])) for a in (0, 1)]
    axis = (np.arange(size) + 0.5) / size
    ground, light = scene["ground"], scene["light"]
    gx, gy = np.broadcast_arrays(axis[None, :] + pan[0], axis[:, None] + pan[1])
    shade = paint(ground["texture"], gx * 2.0, gy * 2.0)
    shade = shade + ground["slope"][0] * (axis[None, :] - 0.5) + ground["slope"][1] * (axis[:, None] - 0.5)
    image = shade[:, :, None] * np.array(ground["colour"])
    owner = np.zeros((size, size), np.uint8)
    soft = scene["blur"] / 256.0  # width of an edge: blurred alike at every size
    for k, item in enumerate(scene["objects"]):
        x, y = place(item, scene["objects"][0], t)
        x, y = x - pan[0], y - pan[1]
        reach = 1.3 * item["size"] + light["softness"]
        x0, x1 = (min(size, max(0, int(np.floor((x + s * reach) * size)))) for s in (-1, 1))
        y0, y1 = (min(size, max(0, int(np.floor((y + s * reach) * size)))) for s in (-1, 1))
        if x0 == x1 or y0 == y1:
            continue
        c, s = direction(item["turn"] + item["spin"] * t)
        dx, dy = (axis[None, x0:x1] - x) / item["size"], (axis[y0:y1, None] - y) / item["size"]
        u, v = c * dx + s * dy, (c * dy - s * dx) / item["aspect"]
        distance = level(item, u, v) * (item["size"] * item["aspect"])
        # The shadow falls on what is already there, a whole number of pixels away.
        ox, oy = (int(np.floor(light["offset"][a] * size)) for a in (0, 1))
        sx0, sx1, sy0, sy1 = max(0, x0 + ox), min(size, x1 + ox), max(0, y0 + oy), min(size, y1 + oy)
        if sx0 < sx1 and sy0 < sy1:
            cast = distance[sy0 - oy - y0 : sy1 - oy - y0, sx0 - ox - x0 : sx1 - ox - x0]
            dark = np.minimum(1.0, np.maximum(0.0, 0.5 - cast / light["softness"]))
            image[sy0:sy1, sx0:sx1] *= (1.0 - light["strength"] * dark)[:, :, None]
        cover = np.minimum(1.0, np.maximum(0.0, 0.5 - distance / soft))
        factor = paint(item["texture"], u, v) + item["shade"][0] * u + item["shade"][1] * v
        factor = factor - item["shade"][2] * (u * u + v * v)
        colour = np.array(item["colour"]) * np.ones(u.shape + (1,))
        inside = distance < 0.0
        owner[y0:y1, x0:x1][inside] = k + 1
        part = item["part"]
        if part:
            p, q = (u - part["centre"][0]) / part["size"], (v - part["centre"][1]) / part["size"]
            edge = np.maximum(np.abs(p), np.abs(q)) - 1.0 if part["box"] else np.sqrt(p * p + q * q) - 1.0
            edge = edge * (part["size"] * item["size"] * item["aspect"])
            tint = np.minimum(1.0, np.maximum(0.0, 0.5 - edge / soft))[:, :, None]
            colour = colour + tint * (np.array(part["colour"]) - colour)
            owner[y0:y1, x0:x1][inside & (edge < 0.0)] |= PART
        patch = image[y0:y1, x0:x1]
        patch += cover[:, :, None] * (colour * factor[:, :, None] - patch)
    index = np.arange(size * size, dtype=np.uint32) + np.uint32(mix((scene["seed"] * LENGTH + int(t)) & 0xFFFFFFFF))
    bits = mix_array(index)
    for channel in range(3):
        grain = (bits >> np.uint32(10 * channel) & np.uint32(1023)).reshape(size, size) / 511.5 - 1.0
        image[:, :, channel] += scene["noise"] * grain
    return np.minimum(255.0, np.maximum(0.0, np.floor(image * 255.0 + 0.5))).astype(np.uint8), owner


def still(seed, size):
    """One frame of the seed's clip: image and owner map."""
    scene = describe(seed)
    return frame(scene, scene["still"], size)


def targets(owner, smallest=0.005):
    """Masks of all objects and parts that show on at least `smallest` of the picture: [(name, mask), …]."""
    found = []
    for k in range(1, int((owner & (PART - 1)).max()) + 1):
        whole = (owner & (PART - 1)) == k
        if whole.sum() < smallest * owner.size:
            continue
        found.append((k, whole))
        part = owner == (k | PART)
        if part.sum() >= smallest * owner.size and part.sum() < 0.8 * whole.sum():
            found.append((k | PART, part))
    return found
