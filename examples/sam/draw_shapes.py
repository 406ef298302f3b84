#!/usr/bin/env python3
"""Draws examples/sam/shapes.png, 256 x 192: plain shapes, some over others. Needs Python alone."""
import math
import os
import struct
import zlib

WIDTH, HEIGHT = 256, 192


def inside(corners, x, y):
    """Even-odd rule for a polygon."""
    odd = False
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
    return odd


STAR = [(196 + (38 if i % 2 == 0 else 16) * math.sin(i * math.pi / 5), 60 - (38 if i % 2 == 0 else 16) * math.cos(i * math.pi / 5))
        for i in range(10)]
SHAPES = [
    ((214, 158, 46), lambda x, y: 20 < x < 118 and 96 < y < 172),
    ((44, 122, 123), lambda x, y: 21 < math.hypot(x - 70, y - 62) < 44),
    ((197, 48, 48), lambda x, y: inside([(88, 178), (176, 170), (134, 98)], x, y)),
    ((213, 219, 229), lambda x, y: inside(STAR, x, y)),
    ((107, 70, 193), lambda x, y: ((x - 208) / 34) ** 2 + ((y - 146) / 24) ** 2 < 1),
]


def colour_at(x, y):
    colour = (60, 80 + y // 8, 110)
    for shape, covers in SHAPES:
        if covers(x + 0.5, y + 0.5):
            colour = shape
    return bytes(colour)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


rows = b"".join(b"\0" + b"".join(colour_at(x, y) for x in range(WIDTH)) for y in range(HEIGHT))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "shapes.png"), "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)) +
               chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))
