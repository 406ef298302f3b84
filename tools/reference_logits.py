#!/usr/bin/env python3
"""Full-size proof material: random checkpoints of real shapes, and what transformers computes from them.

    python3 tools/reference_logits.py --make gpt2-medium --dtype f16 --out DIR
    python3 tools/reference_logits.py --make llama-7b --dtype bf16 --outliers 6 --out DIR
    python3 tools/reference_logits.py --model DIR --logits random:4x64 --greedy 256 --out golden.safetensors

`--logits` takes a safetensors file with `ids` and `seq_offsets`, or random:SEQUENCESxTOKENS.
The result is the golden format of tests/golden/README.md. Everything is computed in float32 (TF32 off).
"""

import argparse
import json
import os
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch

import capture

SHARD_BYTES = 2 << 30
SAFETENSORS_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
# Planted outliers: this factor on the norm gains of the chosen channels, about what trained models show.
OUTLIER_GAIN = 20.0


def gpt2_medium(dtype):
    return {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 1024, "n_head": 16,
        "n_layer": 24, "n_positions": 1024, "resid_pdrop": 0.1, "torch_dtype": dtype, "vocab_size": 50257,
    }


def llama_7b(dtype):
    return {
        "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008,
        "max_position_embeddings": 4096, "model_type": "llama", "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 32, "pad_token_id": 0, "rms_norm_eps": 1e-06,
        "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": dtype,
        "use_cache": True, "vocab_size": 32000,
    }


def gpt2_tensors(c):
    """(name, shape, kind, std): kind is 'matrix', 'gain' (a norm weight) or 'bias'."""
    h, f, residual = c["n_embd"], 4 * c["n_embd"], (2 * c["n_layer"]) ** -0.5
    yield "transformer.wte.weight", (c["vocab_size"], h), "matrix", 1.5 * h**-0.5
    yield "transformer.wpe.weight", (c["n_positions"], h), "matrix", 1.5 * h**-0.5
    for i in range(c["n_layer"]):
        p = f"transformer.h.{i}."
        for norm in ("ln_1", "ln_2"):
            yield p + norm + ".weight", (h,), "gain", 0.1
            yield p + norm + ".bias", (h,), "bias", 0.02
        for name, rows, cols, std in (
            ("attn.c_attn", h, 3 * h, 1.2), ("attn.c_proj", h, h, 4 * residual),
            ("mlp.c_fc", h, f, 1.0), ("mlp.c_proj", f, h, 4 * residual),
        ):
            yield p + name + ".weight", (rows, cols), "matrix", std * rows**-0.5
            yield p + name + ".bias", (cols,), "bias", 0.02
    yield "transformer.ln_f.weight", (h,), "final_gain", 0.1
    yield "transformer.ln_f.bias", (h,), "bias", 0.02


def llama_tensors(c):
    h, f, residual = c["hidden_size"], c["intermediate_size"], (2 * c["num_hidden_layers"]) ** -0.5
    yield "model.embed_tokens.weight", (c["vocab_size"], h), "matrix", 0.5
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (h,), "gain", 0.1
        for name in ("q_proj", "k_proj", "v_proj"):
            yield f"{p}self_attn.{name}.weight", (h, h), "matrix", 1.2 * h**-0.5
        yield p + "self_attn.o_proj.weight", (h, h), "matrix", 4 * residual * h**-0.5
        yield p + "post_attention_layernorm.weight", (h,), "gain", 0.1
        yield p + "mlp.gate_proj.weight", (f, h), "matrix", h**-0.5
        yield p + "mlp.up_proj.weight", (f, h), "matrix", h**-0.5
        yield p + "mlp.down_proj.weight", (h, f), "matrix", 4 * residual * f**-0.5
    yield "model.norm.weight", (h,), "final_gain", 0.1
    yield "lm_head.weight", (c["vocab_size"], h), "matrix", 2 * h**-0.5


KINDS = {"gpt2-medium": (gpt2_medium, gpt2_tensors), "llama-7b": (llama_7b, llama_tensors)}


def make_tensor(shape, kind, std, index, args, device, outliers):
    generator = torch.Generator(device).manual_seed(args.seed * 1_000_003 + index)
    tensor = torch.randn(shape, generator=generator, device=device) * std
    if kind in ("gain", "final_gain"):
        tensor += 1.0
    if kind == "gain" and len(outliers):
        # What the norm hands on keeps its energy, as trained weights do: with more, attention would turn into a
        # choice of one position, and any rounding into another text.
        energy = tensor.square().sum()
        tensor[outliers] *= OUTLIER_GAIN
        tensor *= (energy / tensor.square().sum()).sqrt()
    return tensor.to(capture.DTYPES[args.dtype])


def make_checkpoint(args):
    """Writes a checkpoint folder and returns its tensors, where they were made (on the GPU if there is one)."""
    long_name = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[args.dtype]
    make_config, list_tensors = KINDS[args.make]
    config = make_config(long_name)
    if args.num_layers:
        config["n_layer" if "n_layer" in config else "num_hidden_layers"] = args.num_layers
    device = "cuda" if torch.cuda.is_available() else "cpu"
    hidden = config.get("hidden_size") or config["n_embd"]
    outliers = torch.randperm(hidden, generator=torch.Generator().manual_seed(args.seed))[: args.outliers].tolist()
    os.makedirs(args.out, exist_ok=True)
    shards, size = [{}], 0
    for index, (name, shape, kind, std) in enumerate(list_tensors(config)):
        tensor = make_tensor(shape, kind, std, index, args, device, outliers)
        if size + tensor.nbytes > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    write_shards(args.out, shards)
    write_json(args.out, "config.json", config | {"transformers_version": "4.31.0"})
    write_json(args.out, "generation_config.json",
               {"bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"]})
    write_json(args.out, "recipe.json", {"make": args.make, "dtype": args.dtype, "seed": args.seed,
                                         "generated_on": device, "outlier_channels": sorted(outliers),
                                         "outlier_gain": OUTLIER_GAIN})
    return {name: tensor for shard in shards for name, tensor in shard.items()}


def write_safetensors(path, tensors):
    """As safetensors.torch.save_file, without its copies of everything: one tensor at a time is in host memory."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": SAFETENSORS_NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().flatten().view(torch.uint8).cpu().numpy().data)


def write_shards(folder, shards):
    if len(shards) == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), shards[0])
        return
    weight_map, total = {}, 0
    with ThreadPoolExecutor(len(shards)) as pool:
        written = []
        for k, shard in enumerate(shards):
            file_name = f"model-{k + 1:05d}-of-{len(shards):05d}.safetensors"
            written.append(pool.submit(write_safetensors, os.path.join(folder, file_name), shard))
            weight_map |= {name: file_name for name in shard}
            total += sum(t.nbytes for t in shard.values())
        for one in written:
            one.result()
    write_json(folder, "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def make_sequences(spec, vocab, seed):
    if not spec.startswith("random:"):
        return capture.read_sequences(spec)
    count, length = (int(n) for n in spec.removeprefix("random:").split("x"))
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, vocab - 1, (count, length), generator=generator).tolist()


def compute(args):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = capture.load_causal_lm(args.model, "f32", device)
    sequences = make_sequences(args.logits, model.config.vocab_size, args.seed)
    tensors = capture.write_golden(model, sequences, args.layers, args.out, args.greedy)
    logits = tensors["logits"]
    print(f"logits {list(logits.shape)} rms {logits.pow(2).mean().sqrt():.4f}")
    if args.greedy:
        margin = tensors["greedy.margin"]
        print(f"greedy distinct {len(set(tensors['greedy.ids'].tolist()))} of {args.greedy}, "
              f"smallest margin {margin.min():.6f}")


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", choices=KINDS)
    parser.add_argument("--dtype", choices=capture.DTYPES, default="bf16", help="how --make stores the weights")
    parser.add_argument("--num-layers", type=int, default=0, help="of --make; 0: as many as the model has")
    parser.add_argument("--outliers", type=int, default=0, help="channels with planted outlier activations")
    parser.add_argument("--model", help="checkpoint folder for --logits")
    parser.add_argument("--logits", help="ids.safetensors, or random:SEQUENCESxTOKENS")
    parser.add_argument("--layers", action="append", default=[], help="module path pattern, may be repeated")
    parser.add_argument("--greedy", type=int, default=0, help="greedy tokens after the first sequence")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args(argv)
    started = time.perf_counter()
    if bool(args.make) == bool(args.logits):
        parser.error("give either --make or --logits")
    if args.logits and not args.model:
        parser.error("--logits needs --model DIR")
    if args.make:
        make_checkpoint(args)
    else:
        compute(args)
    print(f"done in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
