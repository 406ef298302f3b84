#!/usr/bin/env python3
"""Writes small PyTorch archives of every kind, and what they hold, for the tests.

  make_torch_archives.py OUT    writes OUT/*.pth and OUT/expected.safetensors

OUT/expected.safetensors has each readable tensor as `<archive>/<name>`, contiguous; archives without tensors in it
must be refused. Needs torch: Debian 12 has 1.13 (python3-torch); the other set was written by 2.11. All values come
from a formula, not from a random generator, so that two versions write the same ones.
"""
import collections
import json
import os
import struct
import sys

import torch

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
for _name, _dtype in (("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"), ("U16", "uint16"), ("U32", "uint32"),
                      ("U64", "uint64")):
    if hasattr(torch, _dtype):
        NAMES[getattr(torch, _dtype)] = _name


def values(*shape):
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count, dtype=torch.float64) * 0.37 - count / 5).reshape(shape).float()


def types():
    """Every element type; tensors without axes and without elements."""
    tensors = {str(dtype).removeprefix("torch."): values(3, 2).to(dtype) for dtype in
               (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                torch.int8)}
    tensors["uint8"] = torch.arange(7, dtype=torch.uint8)
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["special"] = torch.tensor([float("inf"), float("-inf"), float("nan"), -0.0, 1e-40])
    return tensors


def views():
    """Views of one storage, strides of every kind, a storage that two names share, parameters."""
    base = values(6, 8)
    row = values(1, 5)
    tied = values(2, 2).to(torch.bfloat16)
    return {"base": base, "transposed": base.t(), "steps": base[1::2, 2:7:3], "column": base[:, 3], "row": base[4],
            "diagonal": base.diagonal(), "broadcast": row.expand(4, 5), "windows": values(7).unfold(0, 3, 1),
            "channels_last": values(1, 2, 3, 2).to(memory_format=torch.channels_last), "tied.a": tied, "tied.b": tied,
            "parameter": torch.nn.Parameter(values(2, 3)), "frozen": torch.nn.Parameter(values(2), requires_grad=False)}


def module():
    net = torch.nn.Sequential(collections.OrderedDict(
        linear=torch.nn.Linear(3, 2), norm=torch.nn.BatchNorm1d(2), embed=torch.nn.Embedding(4, 3)))
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.copy_(values(*tensor.shape) if tensor.dim() else tensor)
    return net


def trained():
    """A checkpoint of a training run: weights, optimizer, settings."""
    net = module()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net.norm(net.linear(values(4, 3))).sum().backward()
    optimizer.step()
    with torch.no_grad():  # a step is not the same to the last bit everywhere
        for tensor in net.state_dict().values():
            tensor.copy_(values(*tensor.shape) if tensor.dim() else tensor)
    return net, {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "lr": 1e-3,
                 "big": 2 ** 40, "config": {"name": "π", "sizes": [1, 2, (3,)], "flag": True, "none": None}}


def write_safetensors(path, tensors):
    header, parts, at = {}, [], 0
    for name, tensor in tensors.items():
        flat = tensor.detach().contiguous().reshape(-1)
        # Views as bytes need no numpy, which knows neither bfloat16 nor 8-bit floats.
        data = bytes(flat.untyped_storage() if hasattr(flat, "untyped_storage") else flat.storage().untyped())
        data = data[flat.storage_offset() * flat.element_size():][:flat.numel() * flat.element_size()]
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    expected = {}

    def save(name, content, tensors=None, **options):
        torch.save(content, os.path.join(out, name + ".pth"), **options)
        for key, tensor in (tensors or {}).items():
            expected[f"{name}/{key}"] = tensor

    save("types", types(), types())
    save("views", views(), views())
    net = module()
    save("module", net.state_dict(), net.state_dict())
    small = {"weight": values(2, 3).to(torch.bfloat16), "bias": values(3)}
    for protocol in (1, 3, 4, 5):  # torch writes no protocol 0: its ids of storages must be text
        save(f"protocol{protocol}", collections.OrderedDict(small), small, pickle_protocol=protocol)
    net, content = trained()
    save("trained", content, net.state_dict())
    save("meta", {"meta": {"epoch": 1, "classes": ("car", "truck")}, "state_dict": small}, small)
    save("parallel", {"module." + key: value for key, value in small.items()}, small)
    save("nested", {"encoder": small, "decoder": {"head": {"bias": values(2)}}, "scale": values(1)},
         {**{"encoder." + key: value for key, value in small.items()}, "decoder.head.bias": values(2),
          "scale": values(1)})
    if hasattr(torch, "float8_e4m3fn"):
        narrow = {"e4m3": values(5).to(torch.float8_e4m3fn), "e5m2": values(5).to(torch.float8_e5m2),
                  "u16": torch.arange(4).to(torch.uint16)}
        save("narrow", narrow, narrow)

    save("sparse", {"a": values(3, 3).to_sparse()})
    save("complex", {"a": values(2).to(torch.complex64)})
    save("legacy", small, _use_new_zipfile_serialization=False)
    save("whole_module", module())
    save("function", {"a": values(2), "hook": os.path.join})
    try:
        save("quantised", {"a": torch.quantize_per_tensor(values(4), 0.1, 3, torch.qint8)})
    except RuntimeError as error:  # builds without quantised operators
        print(f"quantised: {error}", file=sys.stderr)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), os.path.join(out, "script.pth"))
    write_safetensors(os.path.join(out, "expected.safetensors"), expected)
    print(torch.__version__, len(expected), "tensors")


if __name__ == "__main__":
    main()
