"""Small image files and masks with what PIL, pycocotools and SciPy make of them.

    pip install numpy pillow pycocotools scipy
    python golden/reference/image_fixtures.py        # writes golden/images.json and golden/masks.json

Pillow 13.0 (libjpeg-turbo 3.2, libwebp 1.6), pycocotools 2.0, SciPy 1.17 made the ones that are stored.
"""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as coco
from scipy import ndimage

GOLDEN = Path(__file__).parents[1]
rng = np.random.default_rng(7)


def base64_of(data):
    return base64.b64encode(data).decode()


# ---- images ---------------------------------------------------------------------------------------------------------


def scene(width, height):
    """Waves, a ramp and noise: smooth and rough places in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 7 + y / 11), 128 + 100 * np.cos(x / 5 - y / 13), (x * 5 + y * 7) % 256]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 10, (height, width, 3)), 0, 255).astype(np.uint8)


def case(name, file, rgb=None, **more):
    """`rgb` is PIL's answer unless given; a still file that PIL reads."""
    if rgb is None:
        rgb = np.array(Image.open(io.BytesIO(file)).convert("RGB"))
    height, width, _ = rgb.shape
    return {"name": name, "file": base64_of(file), "width": width, "height": height, "rgb": base64_of(rgb.tobytes()), **more}


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpegs():
    image = Image.fromarray(scene(35, 27))
    for name, subsampling in [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2), ("4:1:1", "4:1:1")]:
        for progressive in [False, True]:
            file = saved(image, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
            yield case(f"JPEG {name} {'progressive' if progressive else 'baseline'}", file)
    yield case("JPEG grey baseline", saved(image.convert("L"), "JPEG"))
    yield case("JPEG grey progressive", saved(image.convert("L"), "JPEG", progressive=True))
    yield case("JPEG stored as RGB", saved(image, "JPEG", keep_rgb=True))
    yield case("JPEG with restart markers", saved(image, "JPEG", restart_marker_blocks=2))
    file = saved(image, "JPEG", quality=20, optimize=True)
    yield case("JPEG with optimised tables", file)
    tables = file.index(b"\xff\xdb")
    yield case("JPEG with stray bytes between segments", file[:tables] + b"\x00\x01\x02" + file[tables:])
    yield case("JPEG with bytes after its end", file + b"junk" * 5)

    # a 4:2:2 file whose sampling factors are swapped is a valid 4:4:0 file, if both have as many blocks
    swapped = bytearray(saved(Image.fromarray(scene(32, 32)), "JPEG", subsampling=1, quality=90))
    swapped[swapped.index(b"\xff\xc0") + 11] = 0x12
    yield case("JPEG 4:4:0", bytes(swapped), tolerance=2)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour_type, interlaced, palette=None, transparency=None):
    """samples [h, w, channels] → PNG with a random filter on every row, and its data in two IDAT chunks."""
    height, width, channels = samples.shape
    bpp = max(1, channels * depth // 8)
    raw = b""
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for x0, y0, dx, dy in adam7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        bits = (part.reshape(len(part), -1, 1).astype(np.int64) >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(len(part), -1).astype(np.uint8), axis=1).astype(np.int64)
        above = np.zeros_like(rows[0])
        for row in rows:
            left, corner = (np.concatenate([np.zeros(bpp, np.int64), line])[: len(line)] for line in (row, above))
            p = left + above - corner
            a, b, c = abs(p - left), abs(p - above), abs(p - corner)
            paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
            kind = rng.integers(5)
            guess = [0 * row, left, above, (left + above) // 2, paeth][kind]
            raw += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
            above = row
    data = zlib.compress(raw)
    file = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced))
    if palette is not None:
        file += png_chunk(b"PLTE", palette.tobytes())
    if transparency is not None:
        file += png_chunk(b"tRNS", transparency)
    for part in (data[: len(data) // 2], data[len(data) // 2 :]):
        file += png_chunk(b"IDAT", part)
    return file + png_chunk(b"IEND", b"")


def pngs():
    kinds = [("grey", 0, 1, [1, 2, 4, 8, 16]), ("RGB", 2, 3, [8, 16]), ("palette", 3, 1, [1, 2, 4, 8])]
    kinds += [("grey + alpha", 4, 2, [8, 16]), ("RGBA", 6, 4, [8, 16])]
    for name, colour_type, channels, depths in kinds:
        for depth in depths:
            for interlaced in [0, 1]:
                samples = rng.integers(0, 2**depth, (7, 11, channels))
                palette = rng.integers(0, 256, (2**depth, 3), dtype=np.uint8) if colour_type == 3 else None
                file = png(samples, depth, colour_type, interlaced, palette)
                # PIL clips 16-bit grey at 255 instead of scaling it: here the high byte is meant
                rgb = np.repeat(samples >> 8, 3, -1).astype(np.uint8) if (colour_type, depth) == (0, 16) else None
                yield case(f"PNG {name} {depth} bit{', interlaced' * interlaced}", file, rgb)
    for width, height in [(1, 1), (2, 1), (1, 5), (5, 9)]:
        samples = rng.integers(0, 256, (height, width, 3))
        yield case(f"PNG interlaced {width}×{height}", png(samples, 8, 2, 1))
    samples = rng.integers(0, 4, (7, 11, 1))
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    yield case("PNG palette with transparency", png(samples, 2, 3, 0, palette, b"\x00\x80\xff"))
    yield case("PNG palette shorter than its indices", png(samples, 2, 3, 0, palette[:2]))
    yield case("PNG RGB with a transparent colour", png(samples.repeat(3, -1), 8, 2, 0, None, bytes([0, 1, 0, 1, 0, 1])))
    whole = png(samples, 8, 0, 0)
    yield case("PNG without IEND", whole[:-12])


def webps():
    rgb = scene(35, 27)
    alpha = rng.integers(0, 256, (27, 35), dtype=np.uint8)
    alpha[:9, :9] = 0
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    for name, image in [("RGB", Image.fromarray(rgb)), ("RGBA", rgba)]:
        yield case(f"WebP lossy {name}", saved(image, "WEBP", quality=70))
        yield case(f"WebP lossless {name}", saved(image, "WEBP", lossless=True))


# what follows draws from a generator of its own, so that what comes later stays as it is
more = np.random.default_rng(8)


def four_waves(width=35, height=27):
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 7 + y / 11), 128 + 100 * np.cos(x / 5 - y / 13), (x * 5 + y * 7) % 256, x * 7 % 256]
    return np.clip(np.stack(waves, -1) + more.normal(0, 10, (height, width, 4)), 0, 255).astype(np.uint8)


def cmyks():
    image = Image.fromarray(four_waves(), "CMYK")
    kinds = [("4:4:4", {}), ("4:2:2", {"subsampling": 1}), ("4:2:0", {"subsampling": 2})]
    kinds += [("with restart markers", {"restart_marker_blocks": 3}), ("with optimised tables", {"optimize": True})]
    for name, options in kinds:
        for progressive in [False, True]:
            file = bytearray(saved(image, "JPEG", quality=80, progressive=progressive, **options))
            yield case(f"JPEG CMYK {name}{' progressive' * progressive}", bytes(file))
            file[file.index(b"Adobe") + 11] = 2  # the same numbers, meant as YCCK
            yield case(f"JPEG YCCK {name}{' progressive' * progressive}", bytes(file))
    bare = saved(image, "JPEG")
    adobe = bare.index(b"\xff\xee")
    yield case("JPEG CMYK without Adobe's segment", bare[:adobe] + bare[adobe + 16 :])
    whole = saved(Image.fromarray(four_waves()[:, :, :3]), "JPEG")
    rgb = np.array(Image.open(io.BytesIO(whole)).convert("RGB"))
    yield case("JPEG without its end marker", whole[:-2], rgb)
    yield case("JPEG without its end marker, with a trailer", whole[:-2] + bytes(40) + b"SEFT", rgb)


def bitmaps():
    rgba = Image.fromarray(four_waves(19, 13))
    image = rgba.convert("RGB")
    indexed = [image.convert("1"), image.quantize(13), image.quantize(200), image.convert("L")]
    for name, each in zip(["1 bit", "4 bits", "8 bits", "grey"], indexed):
        yield case(f"BMP {name}", saved(each, "BMP"))
        yield case(f"GIF {name}", saved(each, "GIF"))
    yield case("BMP RGB", saved(image, "BMP"))
    yield case("BMP RGBA", saved(rgba, "BMP"))
    yield case("GIF interlaced", saved(indexed[2], "GIF", interlace=True))
    plain = saved(image.quantize(200), "BMP")
    start, rows = int.from_bytes(plain[10:14], "little"), b""
    for y in range(13):  # runs of one, and a stretch as it is
        row = plain[start + 20 * y : start + 20 * y + 19]
        rows += b"".join(bytes([1, index]) for index in row[:8]) + b"\x00\x0b" + row[8:] + b"\x00" + b"\x00\x00"
    yield case("BMP RLE8", plain[:30] + struct.pack("<II", 1, len(rows)) + plain[38:start] + rows + b"\x00\x01")


def installed():
    """Kinds that packages read which users install beside."""
    rgba = Image.fromarray(four_waves(67, 41))
    image = rgba.convert("RGB")
    for name, compression in [("plain", None), ("LZW", "tiff_lzw"), ("deflate", "tiff_deflate"), ("packbits", "packbits")]:
        yield case(f"TIFF {name}", saved(image, "TIFF", compression=compression))
    yield case("TIFF in tiles", saved(image, "TIFF", compression="tiff_lzw", tiffinfo={322: 32, 323: 32}))
    yield case("TIFF palette", saved(image.quantize(200), "TIFF"))
    yield case("TIFF grey", saved(image.convert("L"), "TIFF"))
    yield case("TIFF CMYK", saved(rgba.convert("RGB").convert("CMYK"), "TIFF"))
    yield case("TIFF RGBA", saved(rgba, "TIFF"))
    yield case("TIFF JPEG", saved(image, "TIFF", compression="jpeg"), tolerance=1)
    yield case("TIFF orientation 6", saved(image, "TIFF", tiffinfo={274: 6}))
    grey = np.array(image.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 16)
    yield case("TIFF of 12 in 16 bits", saved(deep, "TIFF"), np.repeat(grey[..., None], 3, -1))
    yield case("AVIF 4:4:4", saved(image, "AVIF", quality=90, subsampling="4:4:4"), tolerance=1)


def oriented():
    """Files with an EXIF orientation: `rgb` as stored, `upright` as ImageOps.exif_transpose turns it."""
    image = Image.fromarray(scene(17, 11))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x010F] = "a maker"
        exif[0x0112] = orientation
        for kind in ["JPEG", "PNG", "WEBP"] if orientation in (3, 6) else ["JPEG"]:
            file = saved(image, kind, exif=exif)
            upright = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
            yield case(f"{kind} orientation {orientation}", file, upright=base64_of(upright.tobytes()))


def refused():
    """Files that are not decoded: their name is part of the error."""
    image = Image.fromarray(scene(16, 16))
    yield "animated WebP", saved(image, "WEBP", save_all=True, append_images=[image.rotate(90)], duration=99)
    yield "JPEG 2000", saved(image.resize((8, 8)), "JPEG2000")


# ---- masks ----------------------------------------------------------------------------------------------------------


def masks():
    y, x = np.mgrid[0:24, 0:33]
    yield "empty", np.zeros((5, 7), bool)
    yield "full", np.ones((5, 7), bool)
    yield "one pixel, set", np.ones((1, 1), bool)
    yield "one pixel, unset", np.zeros((1, 1), bool)
    yield "one row", np.arange(70)[None] % 13 < 5
    yield "one column", np.arange(70)[:, None] % 13 < 5
    yield "disc", (x - 16) ** 2 + (y - 12) ** 2 < 90
    yield "ring", abs((x - 16) ** 2 + (y - 12) ** 2 - 80) < 40
    yield "checkerboard", (x + y) % 2 == 0
    yield "long runs", (np.arange(4000)[:, None] + 900 * np.arange(3)) % 4000 < 3000
    for density in [0.1, 0.4, 0.6, 0.9]:
        yield f"noise {density}", rng.random((24, 33)) < density


def mask_case(name, mask):
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return {
        "name": name,
        "width": mask.shape[1],
        "height": mask.shape[0],
        "pixels": base64_of(np.packbits(mask).tobytes()),
        "counts": rle["counts"].decode(),
        "area": int(coco.area(rle)),
        "bbox": [int(v) for v in coco.toBbox(rle)],
        "components": np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist(),
    }


def areas_of(mask):
    """get_connected_components: the area of every pixel's component, 0 outside the mask."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    return np.where(mask, np.bincount(labels.ravel())[labels], 0)


def cleaned(logits, threshold, hole, sprinkle):
    """SAM2Transforms.postprocess_masks up to its interpolation, with SciPy's labels instead of the CUDA kernel's."""
    masks = logits
    if hole > 0:
        areas = areas_of(logits <= np.float32(threshold))
        masks = np.where((areas > 0) & (areas <= hole), np.float32(threshold + 10), masks)
    if sprinkle > 0:
        areas = areas_of(logits > np.float32(threshold))
        masks = np.where((areas > 0) & (areas <= sprinkle), np.float32(threshold - 10), masks)
    return masks


def logit_cases():
    for threshold, hole, sprinkle in [(0, 0, 0), (0, 8, 0), (0, 0, 8), (0, 3, 5), (0.3, 6, 4), (-0.7, 100, 100)]:
        logits = (rng.integers(-12, 13, (16, 21)) / 4).astype(np.float32)
        logits[rng.random(logits.shape) < 0.1] = threshold
        want = cleaned(logits, threshold, hole, sprinkle)
        yield {
            "options": {"maskThreshold": threshold, "maxHoleArea": hole, "maxSprinkleArea": sprinkle},
            "width": 21,
            "height": 16,
            "logits": base64_of(logits.tobytes()),
            "cleaned": base64_of(want.astype(np.float32).tobytes()),
        }


def write(name, value):
    (GOLDEN / name).write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")


write(
    "images.json",
    {
        "pil": [*jpegs(), *pngs(), *webps(), *cmyks(), *bitmaps()],
        "installed": [*installed()],
        "oriented": [*oriented()],
        "refused": [{"name": name, "file": base64_of(file)} for name, file in refused()],
    },
)
write("masks.json", {"masks": [mask_case(*each) for each in masks()], "logits": [*logit_cases()]})
