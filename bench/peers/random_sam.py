#!/usr/bin/env python3
"""Writes a Segment Anything (ViT-B) of random f32 weights as a checkpoint for `tenon build` and as two ONNX files over the same
bytes: encoder.onnx and decoder.onnx.

    python3 bench/peers/random_sam.py --out DIR [--layers N]

Shapes and names are those of Meta's sam_vit_b_01ec64.pth, and every weight matters: norms, biases and positions are random,
too. Standard library only.
"""

import argparse
import array
import json
import os
import random
import sys

import onnx_file as onnx
import onnx_sam
from onnx_sam import CROSS, DIM, FFN, GRID, HEADS, MASKS, WIDTH, WINDOW

LAYERS, GLOBAL, PATCH, DECODER_FFN = 12, (2, 5, 8, 11), 16, 2048
POOL = 1 << 19  # numbers


def linear(tensors, name, rows, columns):
    tensors[name + ".weight"], tensors[name + ".bias"] = [rows, columns], [rows]


def norm(tensors, name, width):
    tensors[name + ".weight"] = tensors[name + ".bias"] = [width]


def encoder_tensors(tensors, layers):
    root = "image_encoder."
    tensors[root + "pos_embed"] = [1, GRID, GRID, DIM]
    tensors[root + "patch_embed.proj.weight"], tensors[root + "patch_embed.proj.bias"] = [DIM, 3, PATCH, PATCH], [DIM]
    for i in range(layers):
        block, side = f"{root}blocks.{i}.", GRID if i in GLOBAL else WINDOW
        norm(tensors, block + "norm1", DIM)
        norm(tensors, block + "norm2", DIM)
        tensors[block + "attn.rel_pos_h"] = tensors[block + "attn.rel_pos_w"] = [2 * side - 1, DIM // HEADS]
        linear(tensors, block + "attn.qkv", 3 * DIM, DIM)
        linear(tensors, block + "attn.proj", DIM, DIM)
        linear(tensors, block + "mlp.lin1", FFN, DIM)
        linear(tensors, block + "mlp.lin2", DIM, FFN)
    tensors[root + "neck.0.weight"], tensors[root + "neck.2.weight"] = [WIDTH, DIM, 1, 1], [WIDTH, WIDTH, 3, 3]
    norm(tensors, root + "neck.1", WIDTH)
    norm(tensors, root + "neck.3", WIDTH)


def prompt_tensors(tensors):
    root = "prompt_encoder."
    tensors[root + "pe_layer.positional_encoding_gaussian_matrix"] = [2, WIDTH // 2]
    for name in [f"point_embeddings.{i}" for i in range(4)] + ["not_a_point_embed", "no_mask_embed"]:
        tensors[root + name + ".weight"] = [1, WIDTH]
    for index, shape in ((0, [4, 1, 2, 2]), (3, [16, 4, 2, 2]), (6, [WIDTH, 16, 1, 1])):
        tensors[f"{root}mask_downscaling.{index}.weight"] = shape
        tensors[f"{root}mask_downscaling.{index}.bias"] = shape[:1]
    norm(tensors, root + "mask_downscaling.1", 4)
    norm(tensors, root + "mask_downscaling.4", 16)


def attention(tensors, name, inside):
    for part in ("q_proj", "k_proj", "v_proj"):
        linear(tensors, f"{name}.{part}", inside, WIDTH)
    linear(tensors, name + ".out_proj", WIDTH, inside)


def decoder_tensors(tensors):
    root = "mask_decoder."
    tensors[root + "iou_token.weight"], tensors[root + "mask_tokens.weight"] = [1, WIDTH], [MASKS, WIDTH]
    for i in range(2):
        layer = f"{root}transformer.layers.{i}."
        attention(tensors, layer + "self_attn", WIDTH)
        attention(tensors, layer + "cross_attn_token_to_image", CROSS)
        attention(tensors, layer + "cross_attn_image_to_token", CROSS)
        for k in range(1, 5):
            norm(tensors, f"{layer}norm{k}", WIDTH)
        linear(tensors, layer + "mlp.lin1", DECODER_FFN, WIDTH)
        linear(tensors, layer + "mlp.lin2", WIDTH, DECODER_FFN)
    attention(tensors, root + "transformer.final_attn_token_to_image", CROSS)
    norm(tensors, root + "transformer.norm_final_attn", WIDTH)
    for index, shape in ((0, [WIDTH, WIDTH // 4, 2, 2]), (3, [WIDTH // 4, WIDTH // 8, 2, 2])):
        tensors[f"{root}output_upscaling.{index}.weight"] = shape
        tensors[f"{root}output_upscaling.{index}.bias"] = shape[1:2]
    norm(tensors, root + "output_upscaling.1", WIDTH // 4)
    heads = [(f"output_hypernetworks_mlps.{i}", WIDTH // 8) for i in range(MASKS)] + [("iou_prediction_head", MASKS)]
    for name, out in heads:
        for k, rows in enumerate((WIDTH, WIDTH, out)):
            linear(tensors, f"{root}{name}.layers.{k}", rows, WIDTH)


def spread_of(name, shape):
    """Mean and standard deviation of a weight."""
    if len(shape) == 1:
        is_norm = any(part in name for part in ("norm", "neck.", "output_upscaling.1.", "downscaling.1.", "downscaling.4."))
        return (1, 0.1) if is_norm and name.endswith("weight") else (0, 0.05)
    if "gaussian" in name:
        return 0, 1
    if any(part in name for part in ("embed.", "embeddings.", "pos_embed", "rel_pos", "token")) and "patch" not in name:
        return 0, 0.1
    inputs = 1
    for extent in shape[1:]:
        inputs *= extent
    return 0, inputs ** -0.5


def write_checkpoint(folder, layers):
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"architectures": ["SamModel"], "model_type": "sam"}, file)
    tensors, pools = {}, {}
    encoder_tensors(tensors, layers)
    prompt_tensors(tensors)
    decoder_tensors(tensors)

    def write_numbers(file, name, size):
        mean, deviation = spread = spread_of(name, tensors[name])
        if spread not in pools:
            pools[spread] = array.array("f", (random.gauss(mean, deviation) for _ in range(POOL))).tobytes()
        while size > 0:
            begin = random.randrange(0, POOL // 2) * 4
            size -= file.write(pools[spread][begin:begin + min(size, POOL * 2)])

    return onnx.write_safetensors(os.path.join(folder, "model.safetensors"), tensors, write_numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--layers", type=int, default=LAYERS)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    random.seed(1)
    places = write_checkpoint(args.out, args.layers)
    windows = [0 if i in GLOBAL else WINDOW for i in range(args.layers)]
    onnx_sam.write_encoder(os.path.join(args.out, "encoder.onnx"), places, windows)
    onnx_sam.write_decoder(os.path.join(args.out, "decoder.onnx"), places)


if __name__ == "__main__":
    sys.exit(main())
