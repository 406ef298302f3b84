#!/usr/bin/env python3
"""Writes the tiny checkpoints of the tests: their numbers come from a hash, so that they are the same bits everywhere.

    python3 tests/golden/checkpoints.py FOLDER

CMake runs it when it configures; FOLDER is build/golden, unpacked from models.tar.xz and sam.tar.xz: models/index.json
and sam/checkpoint.json name the seeds, which tools/make_golden.py and make_golden_sam.py chose, and a digest of what is
to be made; the expected outputs lie beside them. Needs the standard library only.
"""

import decimal
import hashlib
import json
import math
import os
import struct
import sys
from dataclasses import dataclass, field

import numbers_by_hash as numbers
import sam_checkpoint

LENGTHS = (12, 1, 7, 33)  # of the sequences; the first one is the greedy prompt
LONG_NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


@dataclass
class Variant:
    path: str  # <arch>/<variant>
    note: str
    config: dict
    stored: str = "f32"
    shards: int = 1
    lengths: tuple = LENGTHS
    options: set = field(default_factory=set)  # 'noprefix', 'mask_buffers', 'inv_freq'


def gpt2(path, note, stored="f32", lengths=LENGTHS, options=(), **changes):
    config = {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 156, "embd_pdrop": 0.1, "eos_token_id": 156, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 272, "n_embd": 64, "n_head": 4, "n_layer": 2,
        "n_positions": 272, "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 157,
    }
    return Variant("gpt2/" + path, note, config | changes, stored, 1, lengths, set(options))


def decoder(arch, path, note, stored="f32", shards=1, lengths=LENGTHS, options=(), drop=(), **changes):
    """A llama, mistral or qwen2 variant in the config style of transformers 4."""
    class_name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}[arch]
    config = {
        "architectures": [class_name + "ForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 88, "max_position_embeddings": 512,
        "model_type": arch, "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 4,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "torch_dtype": LONG_NAMES[stored], "transformers_version": "4.37.0", "use_cache": True, "vocab_size": 160,
    }
    config = {k: v for k, v in (config | changes).items() if k not in drop}
    return Variant(f"{arch}/{path}", note, config, stored, shards, lengths, set(options))


OLD_ROPE = ("rope_theta", "rope_scaling", "torch_dtype")  # keys that the config style of transformers 5 dropped


def variants():
    yield gpt2("base", "keys with 'transformer.', n_inner absent", torch_dtype="float32")
    yield gpt2("noprefix", "the hub's original form: no 'transformer.' prefix, causal-mask buffers in the file, "
               "no torch_dtype", options=("noprefix", "mask_buffers"), n_embd=32, n_head=2)
    yield gpt2("inverse_layer_idx", "scale_attn_by_inverse_layer_idx, explicit n_inner, three layers", stored="f16",
               scale_attn_by_inverse_layer_idx=True, n_inner=176, n_layer=3, torch_dtype="float16")

    def llama(*args, **kwargs):
        return decoder("llama", *args, **kwargs)

    yield llama("base", "LLaMA-1: eps 1e-6, one kv head a query head, three layers", num_hidden_layers=3,
                rms_norm_eps=1e-06, rope_scaling=None, pad_token_id=0)
    yield llama("llama2", "LLaMA-2: eps 1e-5", "f16", pretraining_tp=1, rope_scaling=None, attention_bias=False)
    yield llama("gqa", "4 query heads over 2 kv heads; new config style", drop=OLD_ROPE, num_key_value_heads=2,
                dtype="float32", rope_parameters={"rope_theta": 500000.0, "rope_type": "default"}, head_dim=16,
                attention_bias=False, mlp_bias=False, transformers_version="5.0.0")
    yield llama("tied", "tie_word_embeddings, no lm_head in the file", "f16", tie_word_embeddings=True, intermediate_size=104)
    yield llama("bias", "attention_bias and mlp_bias, all non-zero", "bf16", attention_bias=True, mlp_bias=True,
                num_key_value_heads=2)
    yield llama("rope_llama3", "rope_type llama3: low, medium and high bands all occupied", "bf16",
                num_key_value_heads=2, rope_scaling={
                    "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                    "original_max_position_embeddings": 64, "rope_type": "llama3"})
    yield llama("rope_llama3_new", "the same scaling in the new config style", "bf16", drop=OLD_ROPE,
                num_key_value_heads=2, dtype="bfloat16", transformers_version="5.0.0", rope_parameters={
                    "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_theta": 20000.0,
                    "original_max_position_embeddings": 64, "rope_type": "llama3"})
    yield llama("rope_linear", "linear scaling with the oldest key, 'type'", "f16",
                rope_scaling={"factor": 2.5, "type": "linear"})
    yield llama("rope_yarn", "yarn: blended frequencies and scaled cos/sin", "bf16", rope_scaling={
        "factor": 4.0, "original_max_position_embeddings": 128, "rope_type": "yarn"})
    yield llama("head_dim", "head_dim 32 where hidden / heads is 16", "f16", head_dim=32, num_key_value_heads=2)
    yield llama("vicuna", "old config: no rope_theta, no num_key_value_heads; inv_freq buffers; odd vocabulary",
                "f16", options=("inv_freq",), drop=("rope_theta", "num_key_value_heads"), vocab_size=161,
                rms_norm_eps=1e-06, pad_token_id=0, transformers_version="4.28.1")
    yield llama("bf16", "weights stored bf16", "bf16", num_key_value_heads=1)
    yield llama("f16", "weights stored f16", "f16", num_key_value_heads=2, intermediate_size=172)
    yield llama("sharded", "three files and an index; one layer lies in two files", "f16", shards=3)
    yield decoder("mistral", "base", "sliding_window 16, shorter than two of the sequences",
                  lengths=LENGTHS + (50,), num_key_value_heads=2, sliding_window=16)
    yield decoder("mistral", "full", "sliding_window null", "bf16", num_key_value_heads=2, sliding_window=None,
                  rope_theta=1000000.0)
    yield decoder("qwen2", "base", "q, k, v biases; tied; sliding_window present but switched off",
                  num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-06, rope_theta=1000000.0,
                  sliding_window=8, use_sliding_window=False, max_window_layers=2, attention_dropout=0.0)
    yield decoder("qwen2", "untied", "new config style, separate lm_head", "bf16", drop=OLD_ROPE,
                  num_key_value_heads=2, rms_norm_eps=1e-06, sliding_window=None, use_sliding_window=False,
                  layer_types=["full_attention"] * 2, max_window_layers=2, dtype="bfloat16",
                  rope_parameters={"rope_theta": 1000000.0, "rope_type": "default"}, transformers_version="5.0.0")


class Maker:
    """Random numbers of each tensor. Layers outweigh embeddings, so that text depends on context, not on echo."""

    def __init__(self, seed):
        self.seed, self.tensors = seed, {}  # name: (shape, numbers)

    def add(self, name, shape, deviation, mean=0.0):
        count = math.prod(shape)
        self.tensors[name] = shape, numbers.bell(f"{self.seed}/{name}", count, deviation, mean)

    def linear(self, name, rows, cols, gain, bias):
        self.add(name + ".weight", (rows, cols), gain / math.sqrt(cols))  # [out, in]
        if bias:
            self.add(name + ".bias", (rows,), 0.2)


def gpt2_weights(c, seed):
    m, h = Maker(seed), c["n_embd"]
    f = c.get("n_inner") or 4 * h
    m.add("transformer.wte.weight", (c["vocab_size"], h), 0.3)
    m.add("transformer.wpe.weight", (c["n_positions"], h), 0.2)
    for i in range(c["n_layer"]):
        p = f"transformer.h.{i}."
        for name, rows, cols, gain in (
            ("ln_1", 0, 0, 0), ("attn.c_attn", h, 3 * h, 1.5), ("attn.c_proj", h, h, 1.5),
            ("ln_2", 0, 0, 0), ("mlp.c_fc", h, f, 1.5), ("mlp.c_proj", f, h, 1.5),
        ):
            if rows == 0:
                m.add(p + name + ".weight", (h,), 0.2, 1.0)
                m.add(p + name + ".bias", (h,), 0.2)
            else:  # Conv1D: [in, out]
                m.add(p + name + ".weight", (rows, cols), gain / math.sqrt(rows))
                m.add(p + name + ".bias", (cols,), 0.2)
    m.add("transformer.ln_f.weight", (h,), 0.2, 1.0)
    m.add("transformer.ln_f.bias", (h,), 0.2)
    return m.tensors


def decoder_weights(c, seed):
    m, h, f = Maker(seed), c["hidden_size"], c["intermediate_size"]
    heads = c["num_attention_heads"]
    d = c.get("head_dim") or h // heads
    q, kv = heads * d, c.get("num_key_value_heads", heads) * d
    qkv_bias = c["model_type"] == "qwen2" or c.get("attention_bias", False)
    o_bias, mlp_bias = c.get("attention_bias", False), c.get("mlp_bias", False)
    m.add("model.embed_tokens.weight", (c["vocab_size"], h), 0.3)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        m.add(p + "input_layernorm.weight", (h,), 0.2, 1.0)
        m.linear(p + "self_attn.q_proj", q, h, 1.5, qkv_bias)
        m.linear(p + "self_attn.k_proj", kv, h, 1.5, qkv_bias)
        m.linear(p + "self_attn.v_proj", kv, h, 1.0, qkv_bias)
        m.linear(p + "self_attn.o_proj", h, q, 1.5, o_bias)
        m.add(p + "post_attention_layernorm.weight", (h,), 0.2, 1.0)
        m.linear(p + "mlp.gate_proj", f, h, 1.5, mlp_bias)
        m.linear(p + "mlp.up_proj", f, h, 1.5, mlp_bias)
        m.linear(p + "mlp.down_proj", h, f, 1.5, mlp_bias)
    m.add("model.norm.weight", (h,), 0.2, 1.0)
    if not c["tie_word_embeddings"]:
        m.add("lm_head.weight", (c["vocab_size"], h), 1.5 / math.sqrt(h))
    return m.tensors


def make_weights(config, seed):
    """{name: (shape, numbers)} in the model's own names."""
    return (gpt2_weights if config["model_type"] == "gpt2" else decoder_weights)(config, seed)


def make_sequences(variant, seed):
    vocabulary = variant.config["vocab_size"]
    return [numbers.integers(f"{seed}/sequence {i}", n, 3, vocabulary - 1) for i, n in enumerate(variant.lengths)]


def name_in_file(variant, name):
    return name.removeprefix("transformer.") if "noprefix" in variant.options else name


def inverse_frequencies(dims):
    """1 / 10000^(i / dims), rounded once: pow of the C library may differ in the last bit."""
    with decimal.localcontext(decimal.Context(prec=40)):
        return [float(decimal.Decimal(10000) ** (-decimal.Decimal(i) / dims)) for i in range(0, dims, 2)]


def file_tensors(variant, seed):
    """{name: (type, shape, bytes)} as the file holds them: stored type, names of the variant, buffers to be ignored."""
    c, tensors = variant.config, {}
    for name, (shape, values) in make_weights(c, seed).items():
        tensors[name_in_file(variant, name)] = variant.stored, shape, numbers.STORED[variant.stored](values)
    if "mask_buffers" in variant.options:
        n = c["n_positions"]
        for i in range(c["n_layer"]):
            triangle = b"".join(b"\1" * (row + 1) + b"\0" * (n - row - 1) for row in range(n))
            tensors[f"h.{i}.attn.bias"] = "u8", (1, 1, n, n), triangle
            tensors[f"h.{i}.attn.masked_bias"] = "f32", (), numbers.as_f32([-1e4])
    if "inv_freq" in variant.options:
        d = c["hidden_size"] // c["num_attention_heads"]
        for i in range(c["num_hidden_layers"]):
            name = f"model.layers.{i}.self_attn.rotary_emb.inv_freq"
            tensors[name] = "f32", (d // 2,), numbers.as_f32(inverse_frequencies(d))
    return tensors


def to_json(value):
    return (json.dumps(value, indent=2) + "\n").encode()


def to_safetensors(tensors, metadata):
    """A file of {name: (type, shape, bytes)}: wide types first, then by name, as the original writer does."""
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors, key=lambda n: (-numbers.BYTES[tensors[n][0]], n)):
        dtype, shape, data = tensors[name]
        header[name] = {"dtype": dtype.upper(), "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def make_files(variant, seed):
    """{file name: bytes} of a checkpoint folder."""
    c = variant.config
    files = {"config.json": to_json(c), "generation_config.json": to_json({
        "_from_model_config": True, "bos_token_id": c["bos_token_id"], "eos_token_id": c["eos_token_id"],
        "transformers_version": c.get("transformers_version", "4.26.0")})}
    tensors = file_tensors(variant, seed)
    if variant.shards == 1:
        return files | {"model.safetensors": to_safetensors(tensors, {"format": "pt"})}
    names, weight_map = sorted(tensors), {}
    per_file = -(-len(names) // variant.shards)
    for k in range(variant.shards):
        file_name = f"model-{k + 1:05d}-of-{variant.shards:05d}.safetensors"
        part = names[k * per_file:(k + 1) * per_file]
        files[file_name] = to_safetensors({n: tensors[n] for n in part}, {"format": "pt"})
        weight_map |= {n: file_name for n in part}
    total = sum(len(data) for _, _, data in tensors.values())
    return files | {"model.safetensors.index.json": to_json({"metadata": {"total_size": total}, "weight_map": weight_map})}


def digest(files):
    sha = hashlib.sha256()
    for name in sorted(files):
        sha.update(name.encode() + b"\0" + struct.pack("<Q", len(files[name])) + files[name])
    return sha.hexdigest()


def write_files(files, folder):
    os.makedirs(folder, exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def sam_files(shapes, seed):
    return {"model.safetensors": to_safetensors(sam_checkpoint.file_tensors(shapes, seed), {"format": "pt"})}


def write_checked(files, expected, folder):
    """The files, if they are those whose outputs were computed."""
    if digest(files) != expected:
        sys.exit(f"{folder}: what was made has digest {digest(files)}, but the outputs beside it were computed for "
                 f"{expected}; make both again (tools/README.md)")
    write_files(files, folder)


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def main(argv):
    if len(argv) != 1:
        sys.exit("usage: checkpoints.py FOLDER")
    index = {entry["path"]: entry for entry in read_json(argv[0], "models", "index.json")}
    known = {variant.path: variant for variant in variants()}
    if set(index) != set(known):
        sys.exit(f"models/index.json and this script differ in {sorted(set(index) ^ set(known))}")
    for path, entry in index.items():
        write_checked(make_files(known[path], entry["seed"]), entry["sha256"], os.path.join(argv[0], "models", path))
    sam = read_json(argv[0], "sam", "checkpoint.json")
    write_checked(sam_files(sam["tensors"], sam["seed"]), sam["sha256"], os.path.join(argv[0], "sam"))


if __name__ == "__main__":
    main(sys.argv[1:])
