#!/usr/bin/env python3
"""PyTorch over batch and length, in the form of `tenon bench --json`: a baseline for `tenon report --baseline NAME=FILE`.

    python3 bench/peers/torch_bench.py --model DIR --device cuda --batch 1 8 --prompt-tokens 128 512 --out torch.json
    tenon report DIR.plan --against DIR --baseline torch.compile=torch.json -o report.html

On cuda: static_llm.py, whose layers go through torch.compile and whose steps are CUDA graphs; their time is the graph's, no host work is in
it. On the CPU, or with --generate: transformers' generate as its users call it.
"""

import argparse
import json
import sys
import time

import torch

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}


def load(path, device, dtype):
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(path, dtype=DTYPES[dtype], attn_implementation="sdpa")
    model.generation_config.pad_token_id = 0
    return model.to(device).eval()


def prompts(model, batch, tokens):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(3, model.config.vocab_size - 1, (batch, tokens), generator=generator).to(model.device)


def seconds_of(work, device):
    if device == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


class Generate:
    def __init__(self, model, batch, prompt, fresh):
        self.model, self.ids, self.fresh = model, prompts(model, batch, prompt), fresh

    def run(self, count):
        self.model.generate(self.ids, attention_mask=torch.ones_like(self.ids), max_new_tokens=count, min_new_tokens=count,
                            do_sample=False)

    def measure(self):
        """Seconds of the first token and of all."""
        device = self.model.device.type
        return seconds_of(lambda: self.run(1), device), seconds_of(lambda: self.run(self.fresh), device)


class Compiled:
    def __init__(self, model, batch, prompt, fresh):
        from static_llm import StaticLlm

        self.fresh = fresh
        self.llm = StaticLlm(model, batch, prompt + fresh)
        self.prefill = self.llm.record_prefill(prompts(model, batch, prompt))
        self.step = self.llm.record_step()

    def measure(self):
        first = seconds_of(self.prefill.replay, "cuda")

        def rest():
            for _ in range(self.fresh - 1):
                self.step.replay()

        return first, first + seconds_of(rest, "cuda")


def quantiles(samples):
    ordered = sorted(samples)
    at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in
          (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}
    return {"count": len(ordered), "mean": sum(ordered) / len(ordered), "min": ordered[0], "max": ordered[-1]} | at


def row(kind, model, batch, prompt, args):
    job = kind(model, batch, prompt, args.new_tokens)
    job.measure()
    samples = [job.measure() for _ in range(args.repeats)]
    first, total = [s[0] for s in samples], [s[1] for s in samples]
    each = [(t - f) / (args.new_tokens - 1) for f, t in samples]
    return {"batch": batch, "prompt_tokens": prompt, "new_tokens": args.new_tokens, "first_token_seconds": quantiles(first),
            "per_token_seconds": {"p50": quantiles(each)["p50"]}, "total_seconds": quantiles(total),
            "tokens_per_second": batch * args.new_tokens / quantiles(total)["p50"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face's layout")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--dtype", choices=DTYPES, default="f16")
    parser.add_argument("--generate", action="store_true", help="transformers' generate on cuda, too")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--prompt-tokens", type=int, nargs="+", default=[128])
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", required=True, help="JSON")
    args = parser.parse_args()
    if args.new_tokens < 2:
        parser.error("--new-tokens must be 2 or more")
    kind = Generate if args.generate or args.device == "cpu" else Compiled
    document = {"verb": "bench", "command": " ".join(sys.argv), "device": args.device, "dtype": args.dtype,
                "torch": torch.__version__, "rows": []}
    with torch.no_grad():
        model = load(args.model, args.device, args.dtype)
        for batch in args.batch:
            for prompt in args.prompt_tokens:
                document["rows"].append(row(kind, model, batch, prompt, args))
                print(json.dumps(document["rows"][-1]), flush=True)
                with open(args.out, "w", encoding="utf-8") as file:
                    json.dump(document, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
