#!/usr/bin/env python3
"""A language model through Tenon and through PyTorch on the same GPU and the same weights, in turns, in one run.

    python3 bench/peers/torch_llm.py --model DIR --plan DIR.plan --bench build/release/bin/bench_llm \
        --out bench/results/llm_cuda.json

Peers: transformers generate (SDPA, dynamic cache), and static_llm.py: static cache, torch.compile, each step one CUDA
graph. Measured: tokens a second after the first (128 new after 128), and the time of a prompt of 2048 tokens up to its first token.
The time of Tenon is that of the C interface, host work and the download of every token included; the peers' steps are
replayed without any host work in between, as if a perfect server ran them.
"""

import argparse
import json
import os
import sys
import time

import torch

from serving import Server
from static_llm import StaticLlm
from torch_timing import median, record, replay_seconds, versions

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}


def load(path, dtype):
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(path, dtype=DTYPES[dtype], attn_implementation="sdpa")
    return model.to("cuda").eval()


def random_ids(model, batch, tokens, seed=1):
    generator = torch.Generator("cuda").manual_seed(seed)
    return torch.randint(3, model.config.vocab_size - 1, (batch, tokens), device="cuda", generator=generator)


def seconds_of(work):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


class Transformers:
    """model.generate as its users call it."""

    name = "transformers generate"

    def __init__(self, model):
        self.model = model
        model.generation_config.pad_token_id = 0

    def generate(self, prompt, count):
        return self.model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count,
                                   min_new_tokens=count, do_sample=False)

    def decode_rate(self, prompt, count):
        first = seconds_of(lambda: self.generate(prompt, 1))
        return prompt.shape[0] * (count - 1) / (seconds_of(lambda: self.generate(prompt, count)) - first)

    def first_token_seconds(self, prompt):
        return seconds_of(lambda: self.generate(prompt, 1))


class Compiled:
    """StaticLlm with its graphs for one size."""

    def __init__(self, model, batch, prompt_tokens, new_tokens, tuned):
        self.name = "torch.compile + CUDA graph" + (" (tuned)" if tuned else "")
        self.llm = StaticLlm(model, batch, prompt_tokens + max(new_tokens, 1), tuned=tuned)
        self.prompt = random_ids(model, batch, prompt_tokens)
        self.prefill = self.llm.record_prefill(self.prompt)
        self.step = self.llm.record_step() if new_tokens > 1 else None

    def first_token_seconds(self):
        return seconds_of(self.prefill.replay)

    def decode_rate(self, count):
        self.prefill.replay()

        def steps():
            for _ in range(count - 1):
                self.step.replay()

        return self.llm.batch * (count - 1) / seconds_of(steps)

    def error_against(self, model):
        """Largest logit error over the RMS of transformers' logits: it must do the same work."""
        with torch.no_grad():
            positions = torch.arange(self.prompt.shape[1], device="cuda")
            got = self.llm.forward(self.prompt, positions)[:, -1].float()
            wanted = model(input_ids=self.prompt, use_cache=False).logits[:, -1].float()
            self.prefill.replay()
            self.step.replay() if self.step else None
            return float((got - wanted).abs().max() / wanted.pow(2).mean().sqrt())


def read_rate():
    """Bytes a second of adding up 4 GiB: the ceiling of a step that reads every weight once."""
    data = torch.randn(1 << 30, device="cuda")
    graph = record(lambda: data.sum())
    return data.nbytes / median(replay_seconds(graph))


def floor_seconds(model, args, batch):
    """Reading the weights of one step, and the cache in the middle of the new tokens."""
    config = model.config
    tied = config.tie_word_embeddings
    embedding = model.get_input_embeddings().weight.nbytes
    weights = sum(p.nbytes for p in model.parameters()) - (0 if tied else embedding)
    layers = config.num_hidden_layers
    kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = 2 * kv_heads * (config.hidden_size // config.num_attention_heads) * DTYPES[args.dtype].itemsize
    cache = batch * layers * width * (args.prompt_tokens + args.new_tokens / 2)
    return (weights + cache) / args.read_rate


def measure_decode(model, server, args, batch):
    prompt, fresh = args.prompt_tokens, args.new_tokens
    peers = [Compiled(model, batch, prompt, fresh, tuned) for tuned in args.tunings]
    errors = {peer.name: peer.error_against(model) for peer in peers}
    ours, found = [], {peer.name: [] for peer in peers}
    for _ in range(args.rounds):
        ours.append(server.ask(f"{prompt} {fresh} {batch}"))
        for peer in peers:
            found[peer.name].append(peer.decode_rate(fresh))
    if args.eager_tokens:
        eager = Transformers(model)
        ids = random_ids(model, batch, prompt)
        eager.generate(ids, 3)
        found[eager.name] = [eager.decode_rate(ids, args.eager_tokens)]
    best = max(median(rates) for rates in found.values())
    rate = median([answer["decode_tokens_per_second"] for answer in ours])
    return {"what": "decode", "batch": batch, "prompt_tokens": prompt, "new_tokens": fresh,
            "tokens_per_second": rate, "peers": {name: median(rates) for name, rates in found.items()},
            "samples": found, "peer_logit_error_over_rms": errors, "speedup": rate / best,
            "floor_seconds": floor_seconds(model, args, batch), "seconds_a_token": ours[-1]["token_seconds"], "ours": ours}


def measure_prefill(model, server, args, tokens):
    peer = Compiled(model, 1, tokens, 1, False)
    error = peer.error_against(model)
    eager, ids = Transformers(model), random_ids(model, 1, tokens)
    eager.generate(ids, 1)
    ours, found = [], {peer.name: [], eager.name: []}
    for _ in range(args.rounds):
        ours.append(server.ask(f"{tokens} 1 1"))
        found[peer.name] += [peer.first_token_seconds() for _ in range(3)]
        found[eager.name] += [eager.first_token_seconds(ids) for _ in range(3)]
    seconds = median([answer["first_token_seconds"] for answer in ours])
    best = min(median(samples) for samples in found.values())
    return {"what": "prefill", "batch": 1, "prompt_tokens": tokens, "seconds": seconds,
            "peers": {name: median(samples) for name, samples in found.items()}, "samples": found,
            "peer_logit_error_over_rms": {peer.name: error}, "speedup": best / seconds, "ours": ours}


def prepare(args):
    """Compiles one layer of these sizes for every job, so that a later run finds it in PyTorch's cache."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
    import reference_logits
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = reference_logits.KINDS[args.prepare][0](args.dtype)
    fields["num_hidden_layers" if "num_hidden_layers" in fields else "n_layer"] = 1
    config = AutoConfig.for_model(**{k: v for k, v in fields.items() if k not in ("architectures", "torch_dtype")})
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[args.dtype], attn_implementation="sdpa").eval()
    with torch.no_grad():
        for batch in args.batches:
            for tuned in args.tunings:
                Compiled(model, batch, args.prompt_tokens, args.new_tokens, tuned)
        for tokens in args.prefill:
            Compiled(model, 1, tokens, 1, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the checkpoint folder")
    parser.add_argument("--plan", help="the plan made from it")
    parser.add_argument("--bench", help="the bench_llm program")
    parser.add_argument("--name", help="how the report calls the model; else the folder's name")
    parser.add_argument("--dtype", choices=DTYPES, default="f16")
    parser.add_argument("--batches", type=int, nargs="*", default=[1])
    parser.add_argument("--prefill", type=int, nargs="*", default=[2048])
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--eager-tokens", type=int, default=32, help="new tokens of transformers generate; 0: left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuned", dest="tunings", action="store_const", const=[False, True], default=[False],
                        help="also torch.compile with coordinate descent tuning")
    parser.add_argument("--prepare", choices=["gpt2-medium", "llama-7b"], help="only compile for this model's sizes")
    parser.add_argument("--out", help="JSON")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    if args.prepare:
        return prepare(args)
    if not (args.model and args.plan and args.bench and args.out):
        parser.error("--model, --plan, --bench and --out are needed")
    name = args.name or os.path.basename(os.path.normpath(args.model))
    report = {"command": " ".join([os.path.basename(sys.argv[0])] + sys.argv[1:]), "versions": versions(),
              "model": name, "dtype": args.dtype, "jobs": []}
    most = max([args.prompt_tokens + args.new_tokens] + [tokens + 1 for tokens in args.prefill])
    command = [args.bench, args.plan, "--device", "cuda", "--serve", "--max-seq-len", most, "--max-batch-size",
               max(args.batches), "--max-num-tokens", max([args.prompt_tokens] + args.prefill), "--repeats", 3]
    with Server(command) as server, torch.no_grad():
        report["loaded"] = server.greeting
        args.read_rate = report["read_bytes_per_second"] = read_rate()
        model = load(args.model, args.dtype)
        jobs = [(measure_decode, batch) for batch in args.batches] + [(measure_prefill, n) for n in args.prefill]
        for measure, size in jobs:
            report["jobs"].append(measure(model, server, args, size))
            job = report["jobs"][-1]
            print(json.dumps({k: v for k, v in job.items() if k not in ("ours", "samples")}), flush=True)
            with open(args.out, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
