#!/usr/bin/env python3
"""Writes build/golden/sam: a tiny random Segment Anything checkpoint and what Meta's code computes from it.

    python3 tools/make_golden_sam.py --segment-anything CLONE [--out build/golden/sam]

Needs torch (1.13 will do) and a clone of facebookresearch/segment-anything, which is run and not copied. The weights are
stored in f16 and evaluated in f32; the file has no dependency on the safetensors package.
"""

import argparse
import json
import struct
import sys
import types
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "golden"))
import checkpoints  # noqa: E402

GRID, PATCH, WIDTH, WINDOW = 6, 8, 32, 4  # windows that do not divide the grid: 6 is padded to 8


def import_modeling(clone):
    """Meta's package imports torchvision for its file utilities, which nothing here uses."""
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms",
                 "torchvision.transforms.functional"):
        module = types.ModuleType(name)
        module.__getattr__ = lambda attribute: None
        sys.modules[name] = module
    sys.path.insert(0, str(clone))
    from segment_anything import modeling
    return modeling


def make_model(modeling):
    encoder = modeling.ImageEncoderViT(
        img_size=GRID * PATCH, patch_size=PATCH, embed_dim=32, depth=3, num_heads=2, mlp_ratio=2, out_chans=WIDTH,
        norm_layer=lambda size: torch.nn.LayerNorm(size, eps=1e-6), qkv_bias=True, use_rel_pos=True, window_size=WINDOW,
        global_attn_indexes=[1])
    prompt = modeling.PromptEncoder(embed_dim=WIDTH, image_embedding_size=(GRID, GRID),
                                    input_image_size=(GRID * PATCH,) * 2, mask_in_chans=8)
    decoder = modeling.MaskDecoder(
        transformer_dim=WIDTH, num_multimask_outputs=3, iou_head_depth=3, iou_head_hidden_dim=24,
        transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=40, num_heads=8))
    return modeling.Sam(encoder, prompt, decoder)


def write_checkpoint(model, seed, folder):
    """Weights from a hash, as f16 holds them, into the file and into the model; their names and shapes for the tests."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    files = checkpoints.sam_files(shapes, seed)
    checkpoints.write_files(files | {"checkpoint.json": checkpoints.to_json(
        {"seed": seed, "sha256": checkpoints.digest(files), "tensors": shapes})}, folder)
    model.load_state_dict({name: value.float() for name, value in
                           read_safetensors(folder / "model.safetensors").items()}, strict=False)


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    types_of = {"F16": torch.float16, "F32": torch.float32}
    return {name: torch.frombuffer(bytearray(data[8 + length + begin:8 + length + end]), dtype=types_of[info["dtype"]])
            .reshape(info["shape"]) for name, info in header.items() if name != "__metadata__"
            for begin, end in [info["data_offsets"]]}


def write_safetensors(path, tensors, metadata):
    names = {torch.float16: "F16", torch.float32: "F32", torch.int32: "I32"}
    header, offset = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        size = value.numel() * value.element_size()
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.contiguous().numpy().tobytes())


def run_prompt(model, embedding, points=None, labels=None, boxes=None, masks=None):
    sparse, dense = model.prompt_encoder(points=None if points is None else (points, labels), boxes=boxes, masks=masks)
    return model.mask_decoder.predict_masks(image_embeddings=embedding, image_pe=model.prompt_encoder.get_dense_pe(),
                                            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segment-anything", required=True, type=Path, help="a clone of Meta's repository")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "build/golden/sam")
    parser.add_argument("--seed", type=int, default=29, help="29 finds 4 to 51 masks in each way of make_golden_sam_pipeline.py")
    options = parser.parse_args()

    torch.set_grad_enabled(False)
    model = make_model(import_modeling(options.segment_anything)).eval()
    options.out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(model, options.seed, options.out)
    generator = torch.Generator().manual_seed(options.seed + 1)
    side = GRID * PATCH
    pixels = torch.randn(1, 3, side, side, generator=generator)
    points = (torch.rand(3, 2, 2, generator=generator) * side)
    labels = torch.tensor([[1, 0], [1, 1], [0, 1]])
    boxes = (torch.rand(2, 4, generator=generator) * side)
    masks = torch.randn(2, 1, 4 * GRID, 4 * GRID, generator=generator)

    embedding = model.image_encoder(pixels)
    expected = {"pixels": pixels[0].permute(1, 2, 0), "embedding": embedding[0].flatten(1).T,
                "points": points, "labels": labels, "boxes": boxes, "mask_logits": masks[:, 0]}
    cases = {"points": run_prompt(model, embedding, points, labels),
             "boxes": run_prompt(model, embedding, boxes=boxes),
             "both": run_prompt(model, embedding, points[:2], labels[:2], boxes),
             "masked": run_prompt(model, embedding, points[:2], labels[:2], masks=masks)}
    for name, (logits, scores) in cases.items():
        expected[name + ".masks"], expected[name + ".iou"] = logits, scores

    stored = {name: value.int() if value.dtype == torch.int64 else value.float() for name, value in expected.items()}
    write_safetensors(options.out / "expected.safetensors", stored,
                      {"model": "segment-anything, tiny", "torch": torch.__version__, "computed_in": "f32"})


if __name__ == "__main__":
    main()
