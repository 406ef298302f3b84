"""Numbers that are the same on every machine and in every version of Python: SHAKE-128 of a name, in integers, scaled once."""

import array
import hashlib
import math
import struct
import sys

BYTES = {"f32": 4, "f16": 2, "bf16": 2, "i32": 4, "u8": 1}
# Four uniform 16-bit numbers: their sum less 131070 is symmetric about 0, nearly a normal distribution of this deviation.
DEVIATION = math.sqrt((65536**2 - 1) / 3)


def little(values):
    """The bytes of an array, low byte first."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def from_hash(name, count):
    """`count` uniform integers below 65536."""
    values = array.array("H", hashlib.shake_128(name.encode()).digest(2 * count))
    if sys.byteorder == "big":
        values.byteswap()
    return values


def bell(name, count, deviation=1.0, mean=0.0):
    """`count` numbers of about a normal distribution, none beyond 3.5 deviations; doubles."""
    parts, scale = from_hash(name, 4 * count), deviation / DEVIATION
    return [(a + b + c + d - 131070) * scale + mean for a, b, c, d in zip(*(parts[i::4] for i in range(4)))]


def uniform(name, count, low, high):
    """Doubles in [low, high)."""
    return [low + (high - low) * (value / 65536) for value in from_hash(name, count)]


def integers(name, count, low, high):
    """Integers in [low, high), high - low at most 65536."""
    return [low + value * (high - low) // 65536 for value in from_hash(name, count)]


def as_f32(values):
    return little(array.array("f", values))


def as_f16(values):
    return struct.pack(f"<{len(values)}e", *values)


def as_bf16(values):
    """Rounded to f32, then to the nearest bf16, ties to even; finite numbers only."""
    bits = array.array("I", array.array("f", values).tobytes())
    return little(array.array("H", [(b + 0x7FFF + (b >> 16 & 1)) >> 16 for b in bits]))


STORED = {"f32": as_f32, "f16": as_f16, "bf16": as_bf16}
