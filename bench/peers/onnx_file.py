"""Writes ONNX files whose weights lie in a safetensors file beside them. Protobuf by hand: standard library only."""

import os
import struct

FLOAT, INT64 = 1, 7


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def chunk(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    """AttributeProto of a whole number, a float or a list of whole numbers."""
    body = chunk(1, name)
    if isinstance(value, float):
        return body + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return body + number(3, value) + number(20, 2)
    return body + b"".join(number(8, one) for one in value) + number(20, 7)


def node(op, inputs, outputs, domain="", **attributes):
    body = b"".join(chunk(1, name) for name in inputs) + b"".join(chunk(2, name) for name in outputs) + chunk(4, op)
    body += b"".join(chunk(5, attribute(name, value)) for name, value in attributes.items())
    return body + (chunk(7, domain) if domain else b"")


def int64s(name, values, scalar=False):
    """TensorProto of a few whole numbers; `scalar`: without an axis."""
    return (b"" if scalar else number(1, len(values))) + number(2, INT64) + chunk(8, name) + \
        chunk(9, struct.pack(f"<{len(values)}q", *values))


def floats(name, extents, values):
    """TensorProto of a few f32."""
    return b"".join(number(1, extent) for extent in extents) + number(2, FLOAT) + chunk(8, name) + \
        chunk(9, struct.pack(f"<{len(values)}f", *values))


def external(name, extents, location, offset, length):
    """TensorProto of f32 whose bytes lie in another file."""
    entries = {"location": location, "offset": str(offset), "length": str(length)}
    body = b"".join(number(1, extent) for extent in extents) + number(2, FLOAT) + chunk(8, name)
    return body + b"".join(chunk(13, chunk(1, key) + chunk(2, value)) for key, value in entries.items()) + number(14, 1)


def value_info(name, kind, extents):
    """ValueInfoProto; an extent is a number or a name."""
    dims = b"".join(chunk(1, number(1, e) if isinstance(e, int) else chunk(2, e)) for e in extents)
    return chunk(1, name) + chunk(2, chunk(1, number(1, kind) + chunk(2, dims)))


def write_model(path, nodes, initializers, inputs, outputs):
    graph = b"".join(chunk(1, one) for one in nodes) + chunk(2, "graph") + b"".join(chunk(5, one) for one in initializers)
    graph += b"".join(chunk(11, one) for one in inputs) + b"".join(chunk(12, one) for one in outputs)
    opsets = chunk(8, chunk(1, "") + number(2, 17)) + chunk(8, chunk(1, "com.microsoft") + number(2, 1))
    with open(path, "wb") as file:
        file.write(number(1, 8) + chunk(7, graph) + opsets)


def write_safetensors(path, tensors, write_numbers):
    """tensors: name -> extents, all f32. Returns name -> (extents, offset in the file, bytes)."""
    import json

    header, at = {}, 0
    for name, extents in tensors.items():
        size = 4
        for extent in extents:
            size *= extent
        header[name] = {"dtype": "F32", "shape": extents, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 4096)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, extents in tensors.items():
            begin, end = header[name]["data_offsets"]
            write_numbers(file, name, end - begin)
    assert os.path.getsize(path) == 8 + len(text) + at
    return {name: (entry["shape"], 8 + len(text) + entry["data_offsets"][0],
                   entry["data_offsets"][1] - entry["data_offsets"][0]) for name, entry in header.items()}
