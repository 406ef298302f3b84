#!/usr/bin/env python3
"""Writes a GPT-2 of random f32 weights as a checkpoint for `tenon build` and as an ONNX file over the same bytes.

    python3 bench/peers/random_gpt2.py --out DIR [--layers N]

The ONNX graph is the one onnxruntime's own optimiser makes of GPT-2: its fused Attention and FastGelu, and logits of the last
position alone, as in a plan. Standard library only.
"""

import argparse
import array
import json
import os
import random
import sys

import onnx_file as onnx

HIDDEN, HEADS, VOCAB, POSITIONS = 768, 12, 50257, 1024
POOL = 1 << 20  # numbers


def tensors_of(layers):
    tensors = {"wte.weight": [VOCAB, HIDDEN], "wpe.weight": [POSITIONS, HIDDEN]}
    for i in range(layers):
        for norm in ("ln_1", "ln_2"):
            tensors[f"h.{i}.{norm}.weight"] = tensors[f"h.{i}.{norm}.bias"] = [HIDDEN]
        for name, rows, columns in (("attn.c_attn", HIDDEN, 3 * HIDDEN), ("attn.c_proj", HIDDEN, HIDDEN),
                                    ("mlp.c_fc", HIDDEN, 4 * HIDDEN), ("mlp.c_proj", 4 * HIDDEN, HIDDEN)):
            tensors[f"h.{i}.{name}.weight"], tensors[f"h.{i}.{name}.bias"] = [rows, columns], [columns]
    tensors["ln_f.weight"] = tensors["ln_f.bias"] = [HIDDEN]
    return tensors


def write_checkpoint(folder, layers):
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": HIDDEN, "n_layer": layers, "n_head": HEADS,
              "n_positions": POSITIONS, "n_ctx": POSITIONS, "vocab_size": VOCAB, "layer_norm_epsilon": 1e-5,
              "activation_function": "gelu_new", "bos_token_id": 50256, "eos_token_id": 50256}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    pool = array.array("f", (random.gauss(0, 0.02) for _ in range(POOL))).tobytes()
    ones = array.array("f", [1.0] * HIDDEN).tobytes()

    def write_numbers(file, name, size):
        if "ln_" in name and name.endswith("weight"):
            return file.write(ones)
        while size > 0:
            begin = random.randrange(0, POOL // 2) * 4
            size -= file.write(pool[begin:begin + min(size, POOL * 2)])

    return onnx.write_safetensors(os.path.join(folder, "model.safetensors"), tensors_of(layers), write_numbers)


def layer_nodes(i):
    """x{i} -> x{i + 1}"""
    w = f"h.{i}."

    def norm(name, x, y):
        return onnx.node("LayerNormalization", [x, w + name + ".weight", w + name + ".bias"], [y], axis=-1, epsilon=1e-5)

    def product(name, x, y):
        return onnx.node("MatMul", [x, w + name + ".weight"], [y])

    a = f"l{i}_"
    return [norm("ln_1", f"x{i}", a + "n1"),
            onnx.node("Attention", [a + "n1", w + "attn.c_attn.weight", w + "attn.c_attn.bias"], [a + "a"], "com.microsoft",
                      num_heads=HEADS, unidirectional=1),
            product("attn.c_proj", a + "a", a + "p"), onnx.node("Add", [a + "p", w + "attn.c_proj.bias"], [a + "pb"]),
            onnx.node("Add", [f"x{i}", a + "pb"], [a + "x"]),
            norm("ln_2", a + "x", a + "n2"), product("mlp.c_fc", a + "n2", a + "f"),
            onnx.node("FastGelu", [a + "f", w + "mlp.c_fc.bias"], [a + "g"], "com.microsoft"),
            product("mlp.c_proj", a + "g", a + "m"), onnx.node("Add", [a + "m", w + "mlp.c_proj.bias"], [a + "mb"]),
            onnx.node("Add", [a + "x", a + "mb"], [f"x{i + 1}"])]


def write_onnx(path, places, layers):
    nodes = [onnx.node("Gather", ["wte.weight", "ids"], ["tokens"]), onnx.node("Gather", ["wpe.weight", "positions"], ["places"]),
             onnx.node("Add", ["tokens", "places"], ["x0"])]
    for i in range(layers):
        nodes += layer_nodes(i)
    nodes += [onnx.node("Gather", [f"x{layers}", "last"], ["xl"], axis=1),
              onnx.node("LayerNormalization", ["xl", "ln_f.weight", "ln_f.bias"], ["nl"], axis=-1, epsilon=1e-5),
              onnx.node("Gemm", ["nl", "wte.weight"], ["logits"], transB=1)]
    weights = [onnx.external(name, extents, "model.safetensors", offset, size)
               for name, (extents, offset, size) in places.items()]
    onnx.write_model(path, nodes, weights + [onnx.int64s("last", [-1], scalar=True)],
                     [onnx.value_info("ids", onnx.INT64, [1, "n"]), onnx.value_info("positions", onnx.INT64, [1, "n"])],
                     [onnx.value_info("logits", onnx.FLOAT, [1, VOCAB])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--layers", type=int, default=12)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    random.seed(1)
    places = write_checkpoint(args.out, args.layers)
    write_onnx(os.path.join(args.out, "model.onnx"), places, args.layers)


if __name__ == "__main__":
    sys.exit(main())
