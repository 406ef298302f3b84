#!/usr/bin/env python3
"""Trains one miniature language model on the micro-world.

    python3 miniatures/train.py --arch llama --out miniatures/llama
    python3 miniatures/train.py --arch gpt2 --out miniatures/gpt2

Needs PyTorch with a CUDA device, transformers, tokenizers, safetensors. The tokenizer is trained first, then the stories
are made and tokenised in several processes, then the model is trained in bf16 autocast and saved in bf16.
"""
import argparse
import json
import math
import multiprocessing
import os
import pathlib
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, GPT2LMHeadModel, LlamaForCausalLM

from build_tokenizers import CONTEXT, write_json, write_tokenizer
from micro_world import SEPARATOR, training_stories

FIRST_SEED = 1_000_000  # the tokenizers were trained on lower seeds
CHUNK = 2_000
LONGEST_DOCUMENT = 256

CONFIGS = {
    "llama": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 128,
        "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
        "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.04, "pretraining_tp": 1,
        "vocab_size": 1024, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False, "use_cache": True,
        "torch_dtype": "bfloat16",
    },
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "n_embd": 128,
        "n_inner": None, "n_layer": 8, "n_head": 4, "n_positions": CONTEXT, "n_ctx": CONTEXT, "layer_norm_epsilon": 1e-5,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "initializer_range": 0.04, "vocab_size": 1025,
        "bos_token_id": 1024, "eos_token_id": 1024, "tie_word_embeddings": True, "use_cache": True,
        "torch_dtype": "bfloat16",
    },
}
CLASSES = {"llama": LlamaForCausalLM, "gpt2": GPT2LMHeadModel}


def packed_rows(job):
    """One chunk of seeds -> uint16 [rows, CONTEXT]. A row starts with a whole document; its last one may be cut."""
    tokenizer_path, end_id, first_seed = job
    tokenizer = Tokenizer.from_file(tokenizer_path)
    texts = [f"{article}{SEPARATOR} {summary}" for article, summary in training_stories(first_seed, CHUNK)]
    rows, row, longest = [], [], 0
    for encoding in tokenizer.encode_batch(texts):
        document = encoding.ids + [end_id]  # the llama tokenizer adds <s> by itself
        if len(document) > LONGEST_DOCUMENT:
            continue
        row += document
        longest = max(longest, len(document))
        if len(row) >= CONTEXT:
            rows.append(row[:CONTEXT])
            row = []
    return np.array(rows, dtype=np.uint16), longest


def make_rows(tokenizer_path, end_id, stories, processes):
    jobs = [(str(tokenizer_path), end_id, FIRST_SEED + i * CHUNK) for i in range(math.ceil(stories / CHUNK))]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        chunks = pool.map(packed_rows, jobs)
    rows = np.concatenate([rows for rows, _ in chunks])
    print(f"{len(jobs) * CHUNK} seeds, {rows.size} tokens, longest document {max(n for _, n in chunks)} tokens", flush=True)
    return rows


def learning_rate(step, steps, peak):
    warmup = min(200, steps // 10 + 1)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)


def batches(rows, batch):
    while True:
        order = torch.randperm(len(rows), device=rows.device)
        for start in range(0, len(rows) - batch + 1, batch):
            yield rows[order[start:start + batch]].long()


def train(model, rows, arguments):
    def loss_of(ids):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())

    if not arguments.no_compile:
        loss_of = torch.compile(loss_of)
    optimizer = make_optimizer(model)
    supply = batches(torch.from_numpy(rows.astype(np.int16)).cuda(), arguments.batch)
    started = timed = time.time()
    for step in range(arguments.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, arguments.steps, arguments.peak)
        loss = loss_of(next(supply))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step == 10:
            torch.cuda.synchronize()
            timed = time.time()
        if step % 200 == 0 or step == arguments.steps - 1:
            print(f"step {step} loss {loss.item():.4f} {time.time() - started:.1f} s", flush=True)
    print(f"ms_per_step {1000 * (time.time() - timed) / max(1, arguments.steps - 11):.2f}", flush=True)


def save(model, directory):
    state = {name: value.detach().to(torch.bfloat16).cpu().contiguous() for name, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    count = sum(value.numel() for value in state.values())
    print(f"{count} parameters, {(directory / 'model.safetensors').stat().st_size} bytes", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", choices=sorted(CONFIGS), required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=96, help=f"rows of {CONTEXT} tokens")
    parser.add_argument("--peak", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--stories", type=int, default=600_000)
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    config = CONFIGS[arguments.arch]
    write_tokenizer(arguments.arch, arguments.out)
    write_json(arguments.out / "config.json", config)
    write_json(arguments.out / "generation_config.json", {
        "bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"], "do_sample": False,
        "max_new_tokens": 60,
    })
    rows = make_rows(arguments.out / "tokenizer.json", config["eos_token_id"], arguments.stories, arguments.processes)
    torch.manual_seed(arguments.seed)
    model = CLASSES[arguments.arch](AutoConfig.from_pretrained(arguments.out)).float().cuda().train()
    train(model, rows, arguments)
    save(model, arguments.out)


if __name__ == "__main__":
    main()
