#!/usr/bin/env python3
"""Writes build/golden/imaging: small pictures in every form that is decoded, and what Pillow makes of them. Committed packed.

    python3 tools/make_golden_imaging.py [--out build/golden/imaging]

Needs Pillow (python3-pil; 9.4.0 made the present files). Results stand as PNG, which keeps every bit.
"""

import argparse
import random
from pathlib import Path

from PIL import Image

SIZES = {"smaller": (16, 9), "narrow": (5, 40), "larger": (64, 48), "wide": (90, 23), "one": (1, 1), "same_width": (37, 11)}


def picture(width, height, seed):
    """Waves, an edge and grain: every rounding of a filter shows."""
    source = random.Random(seed)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(3):
                value = 120 + 90 * ((x * (c + 1) // 5 + y // 3) % 2) - 80 * (x > y) + source.randrange(-30, 31)
                pixels.append(max(0, min(255, value)))
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def exif(orientation, little):
    order, mark = ("little", b"II") if little else ("big", b"MM")
    entry = b"".join(n.to_bytes(size, order) for n, size in ((0x0112, 2), (3, 2), (1, 4), (orientation, 2), (0, 2)))
    return b"Exif\0\0" + mark + (42).to_bytes(2, order) + (8).to_bytes(4, order) + (1).to_bytes(2, order) + entry + bytes(4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "build/golden/imaging")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    source = picture(37, 23, 1)
    source.save(out / "source.png")
    for name, size in SIZES.items():
        source.resize(size, Image.BILINEAR).save(out / f"resized_{name}.png")

    def keep(name, image=None, **options):
        (image or source).save(out / name, **options)
        with Image.open(out / name) as opened:
            from PIL import ImageOps
            ImageOps.exif_transpose(opened).convert("RGB").save(out / (name + ".expected.png"))

    keep("baseline.jpg", quality=85)
    keep("progressive.jpg", quality=70, progressive=True, subsampling=0)
    keep("grey.jpg", source.convert("L"), quality=90)
    keep("cmyk.jpg", source.convert("CMYK"), quality=90)
    for orientation in range(2, 9):
        keep(f"turned_{orientation}.jpg", quality=90, exif=exif(orientation, orientation % 2 == 0))
    keep("palette.png", source.quantize(16))
    keep("grey.png", source.convert("L"))
    keep("bits.png", source.convert("1"))
    rgba = source.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(source.size))
    keep("alpha.png", rgba)
    keep("one.png", source.crop((3, 3, 4, 4)))
    write_16_bit(out)


def write_16_bit(out):
    """Pillow writes no 16-bit RGB; the file is put together by hand. The high bytes are the source's."""
    import struct
    import zlib
    source = picture(37, 23, 1)
    rows = b""
    for y in range(23):
        rows += b"\0" + b"".join(bytes((value, 255 - value)) for x in range(37) for value in source.getpixel((x, y)))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 37, 23, 16, 2, 0, 0, 0)
    (out / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9))
                                   + chunk(b"IEND", b""))
    source.save(out / "deep.png.expected.png")


if __name__ == "__main__":
    main()
