"""Writes the miniatures again in other layouts: PyTorch archives, Meta's shards, deltas. Standard library only."""
import io
import json
import os
import shutil
import struct
import zipfile

from tenon_case import miniature

STORAGES = {"BF16": ("BFloat16Storage", 2), "F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2)}


class Tensor:
    """Contiguous: element type by its safetensors name, shape, bytes."""

    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), data

    def rows(self):
        size = len(self.data) // self.shape[0]
        return [self.data[i * size:(i + 1) * size] for i in range(self.shape[0])]


def from_rows(dtype, rows):
    width = len(rows[0]) // STORAGES[dtype][1]
    return Tensor(dtype, [len(rows), width], b"".join(rows))


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: Tensor(entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, at + len(tensor.data)]}
        at += len(tensor.data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(t.data for t in tensors.values()))


def torch_pickle(tensors, under):
    """data.pkl of a state dict inside dicts of these keys, opcode by opcode, and its storages."""
    out, storages = io.BytesIO(), []

    def text(value):
        data = value.encode()
        out.write(b"X" + struct.pack("<I", len(data)) + data)

    def numbers(values):
        out.write(b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t")

    out.write(b"\x80\x02")
    for key in under:
        out.write(b"}")
        text(key)
    out.write(b"ccollections\nOrderedDict\n)R(")
    for name, tensor in tensors.items():
        kind, size = STORAGES[tensor.dtype]
        text(name)
        out.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        text("storage")
        out.write(b"ctorch\n" + kind.encode() + b"\n")
        text(str(len(storages)))
        text("cpu")
        out.write(b"J" + struct.pack("<i", len(tensor.data) // size) + b"tQK\x00")
        numbers(tensor.shape)
        strides = [1] * len(tensor.shape)
        for axis in range(len(tensor.shape) - 1, 0, -1):
            strides[axis - 1] = strides[axis] * tensor.shape[axis]
        numbers(strides)
        out.write(b"\x89ccollections\nOrderedDict\n)RtR")
        storages.append(tensor.data)
    out.write(b"u" + b"s" * len(under) + b".")
    return out.getvalue(), storages


def write_torch(path, tensors, under=()):
    """A checkpoint as torch.save writes it; `under`: keys of dicts around the state dict."""
    data, storages = torch_pickle(tensors, under)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage)
        archive.writestr("archive/version", "3\n")


def copy_without_weights(name, folder):
    os.makedirs(folder)
    for entry in os.listdir(miniature(name)):
        if not entry.startswith("model.") and entry != "reference.json":
            shutil.copy(os.path.join(miniature(name), entry), folder)
    return folder


def weights_of(name):
    return read_safetensors(os.path.join(miniature(name), "model.safetensors"))
