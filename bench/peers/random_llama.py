#!/usr/bin/env python3
"""Writes one language model of random weights for both sides: a checkpoint for `tenon build`, and GGUF files for llama.cpp.

    python3 bench/peers/random_llama.py --shape 1.1b --out DIR [--layers N] [checkpoint bf16.gguf f16.gguf q8_0.gguf q4_0.gguf]

The values differ from side to side, the sizes do not: only time is compared. Embeddings and head are bf16 in every
file, as they are in a plan built with --quant --dtype bf16, so that 8 and 4 bits are of the same tensors. Standard library
only; numbers come from a pool of 2 MiB, read from random places.
"""

import argparse
import array
import json
import os
import random
import struct
import sys

SHAPES = {
    "7b": {"hidden": 4096, "layers": 32, "heads": 32, "kv_heads": 32, "inner": 11008, "vocab": 32000, "positions": 2048},
    "1.1b": {"hidden": 2048, "layers": 22, "heads": 32, "kv_heads": 4, "inner": 5632, "vocab": 32000, "positions": 2048},
}
POOL = 1 << 21
# name -> (type number of GGUF, elements of a block, bytes of a block)
GGUF_TYPES = {"f32": (0, 1, 4), "f16": (1, 1, 2), "q4_0": (2, 32, 18), "q8_0": (8, 32, 34), "bf16": (30, 1, 2)}
STD = 0.02


def matrices(shape):
    """(name in Hugging Face's files, name in GGUF, rows, columns) of every weight; one row: a norm."""
    hidden, inner, kv = shape["hidden"], shape["inner"], shape["hidden"] // shape["heads"] * shape["kv_heads"]
    yield "model.embed_tokens", "token_embd", shape["vocab"], hidden
    for i in range(shape["layers"]):
        ours, theirs = f"model.layers.{i}.", f"blk.{i}."
        yield ours + "input_layernorm", theirs + "attn_norm", 1, hidden
        yield ours + "self_attn.q_proj", theirs + "attn_q", hidden, hidden
        yield ours + "self_attn.k_proj", theirs + "attn_k", kv, hidden
        yield ours + "self_attn.v_proj", theirs + "attn_v", kv, hidden
        yield ours + "self_attn.o_proj", theirs + "attn_output", hidden, hidden
        yield ours + "post_attention_layernorm", theirs + "ffn_norm", 1, hidden
        yield ours + "mlp.gate_proj", theirs + "ffn_gate", inner, hidden
        yield ours + "mlp.up_proj", theirs + "ffn_up", inner, hidden
        yield ours + "mlp.down_proj", theirs + "ffn_down", hidden, inner
    yield "model.norm", "output_norm", 1, hidden
    yield "lm_head", "output", shape["vocab"], hidden


def pool_of(kind):
    """2 MiB (whole blocks) of numbers of spread STD in a type's bytes."""
    block = GGUF_TYPES[kind][2]
    count = POOL // block
    if kind in ("q8_0", "q4_0"):
        scale = struct.pack("<e", STD / (64 if kind == "q8_0" else 4))
        return b"".join(scale + random.randbytes(block - 2) for _ in range(count))
    values = [random.gauss(0, STD) for _ in range(count)]
    if kind == "f16":
        return struct.pack(f"<{count}e", *values)
    words = array.array("H", array.array("f", values).tobytes())
    return words[1::2].tobytes()  # bf16: the upper halves


def write_numbers(file, pool, block, size):
    while size > 0:
        begin = random.randrange(0, len(pool) // block // 2) * block
        part = pool[begin:begin + size]
        file.write(part)
        size -= len(part)


def ones(kind, count):
    return (b"\x80\x3f" if kind == "bf16" else b"\x00\x00\x80\x3f") * count


def write_checkpoint(folder, shape):
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape["hidden"],
              "num_hidden_layers": shape["layers"], "num_attention_heads": shape["heads"],
              "num_key_value_heads": shape["kv_heads"], "intermediate_size": shape["inner"], "vocab_size": shape["vocab"],
              "max_position_embeddings": shape["positions"], "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 1,
              "eos_token_id": 2}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    header, at = {}, 0
    for name, _, rows, columns in matrices(shape):
        size = rows * columns * 2
        extents = [columns] if rows == 1 else [rows, columns]
        header[name + ".weight"] = {"dtype": "BF16", "shape": extents, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pool = pool_of("bf16")
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, rows, columns in matrices(shape):
            if rows == 1:
                file.write(ones("bf16", columns))
            else:
                write_numbers(file, pool, 2, rows * columns * 2)


def gguf_string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf_metadata(shape):
    """Keys and values as GGUF stores them: 4 is a u32, 6 an f32, 8 a string."""
    head_dim = shape["hidden"] // shape["heads"]
    words = {"general.architecture": "llama", "tokenizer.ggml.model": "no_vocab"}
    numbers = {"context_length": shape["positions"], "embedding_length": shape["hidden"], "block_count": shape["layers"],
               "feed_forward_length": shape["inner"], "attention.head_count": shape["heads"],
               "attention.head_count_kv": shape["kv_heads"], "rope.dimension_count": head_dim, "vocab_size": shape["vocab"]}
    entries = [gguf_string(key) + struct.pack("<I", 8) + gguf_string(value) for key, value in words.items()]
    entries += [gguf_string("llama." + key) + struct.pack("<II", 4, value) for key, value in numbers.items()]
    entries.append(gguf_string("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", 6, 1e-5))
    return entries


def write_gguf(path, shape, kind):
    def kind_of(name, rows):
        return "f32" if rows == 1 else "bf16" if name in ("token_embd", "output") else kind

    infos, sizes, at = [], [], 0
    for _, name, rows, columns in matrices(shape):
        number, elements, block = GGUF_TYPES[kind_of(name, rows)]
        extents = [columns] if rows == 1 else [columns, rows]
        infos.append(gguf_string(name + ".weight") + struct.pack("<I", len(extents)) +
                     struct.pack(f"<{len(extents)}Q", *extents) + struct.pack("<IQ", number, at))
        sizes.append(rows * columns // elements * block)
        at += sizes[-1] + -sizes[-1] % 32
    metadata = gguf_metadata(shape)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(metadata)) + b"".join(metadata) + b"".join(infos)
    pools = {wanted: pool_of(wanted) for wanted in {kind, "bf16"}}
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32))
        for (_, name, rows, columns), size in zip(matrices(shape), sizes):
            wanted = kind_of(name, rows)
            if wanted == "f32":
                file.write(ones("f32", columns))
            else:
                write_numbers(file, pools[wanted], GGUF_TYPES[wanted][2], size)
            file.write(b"\0" * (-size % 32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="1.1b")
    parser.add_argument("--layers", type=int, help="fewer than the shape has, for a trial")
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("files", nargs="*", help="which; all where none is named")
    args = parser.parse_args()
    files = ["checkpoint"] + [f"{kind}.gguf" for kind in ("bf16", "f16", "q8_0", "q4_0")]
    unknown = set(args.files) - set(files)
    if unknown:
        parser.error(f"no such file: {', '.join(sorted(unknown))}; accepted: {', '.join(files)}")
    shape = dict(SHAPES[args.shape])
    shape["layers"] = args.layers or shape["layers"]
    os.makedirs(args.out, exist_ok=True)
    random.seed(1)
    for name in args.files or files:
        path = os.path.join(args.out, name)
        if name == "checkpoint":
            write_checkpoint(path, shape)
        else:
            write_gguf(path, shape, name.split(".")[0])


if __name__ == "__main__":
    sys.exit(main())
