#!/usr/bin/env python3
"""Measures one miniature on the held-out stories and writes MODEL/reference.json.

    python3 miniatures/evaluate.py --model miniatures/llama

Everything in f32: the stored bf16 weights are widened, TF32 stays off. Needs PyTorch, transformers, tokenizers.
"""
import argparse
import hashlib
import importlib.metadata
import json
import math
import pathlib

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from micro_world import HERE, SEPARATOR, first_sentence
from rouge import mean_rouge

MAX_NEW_TOKENS = 60
PROMPT_NEW_TOKENS = 200
PROTOCOL = {
    "prompt": "article + ' TL;DR:' through the tokenizer (llama adds <s>, gpt2 adds nothing)",
    "generation": f"greedy, f32, at most {MAX_NEW_TOKENS} new tokens, ends before eos; text = decoded new tokens, stripped",
    "rouge": "F-measure x 100, mean over documents; tokens are [a-z0-9]+ of the lower-cased text; no stemming",
    "lead1": "the article's first sentence taken as the summary",
    "nll": "text = article + ' TL;DR: ' + highlights; sum of -ln p(ids[i] | ids[:i]) for i >= 1, no eos; f32",
    "perplexity": "exp(sum of all nll / sum of all nll_tokens)",
    "min_margin": "smallest difference between the best and second logit over the generated tokens and eos",
    "prompts": f"greedy continuation of each line of prompts.txt, at most {PROMPT_NEW_TOKENS} new tokens",
}


def padded(sequences, device):
    """Right padding is harmless under causal attention. -> [documents, longest]"""
    longest = max(map(len, sequences))
    return torch.tensor([ids + [0] * (longest - len(ids)) for ids in sequences], device=device)


@torch.no_grad()
def nll_sums(model, sequences):
    ids = padded(sequences, model.device)
    log_p = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[:, :-1], dim=-1)
    picked = log_p.gather(-1, ids[:, 1:, None])[..., 0].double()
    return [-picked[i, :len(s) - 1].sum().item() for i, s in enumerate(sequences)]


@torch.no_grad()
def greedy(model, prompts, eos, limit):
    """Recomputes the whole prefix for every token: slow, and nothing can go wrong. -> [(new ids, min margin)]"""
    sequences = [list(p) for p in prompts]
    margins, open_rows = [math.inf] * len(prompts), set(range(len(prompts)))
    for _ in range(limit):
        rows = sorted(open_rows)
        if not rows:
            break
        ids = padded([sequences[r] for r in rows], model.device)
        logits = model(input_ids=ids, use_cache=False).logits
        last = torch.tensor([len(sequences[r]) - 1 for r in rows], device=model.device)
        best = logits[torch.arange(len(rows), device=model.device), last].topk(2)
        for r, values, indices in zip(rows, best.values.tolist(), best.indices.tolist()):
            margins[r] = min(margins[r], values[0] - values[1])
            if indices[0] == eos:
                open_rows.discard(r)
            else:
                sequences[r].append(indices[0])
    return [(s[len(p):], m) for s, p, m in zip(sequences, prompts, margins)]


def generated_entries(tokenizer, names, results):
    return [{"id": name, "ids": ids, "text": tokenizer.decode(ids).strip(), "min_margin": round(margin, 5)}
            for name, (ids, margin) in zip(names, results)]


def check_auto_tokenizer(directory, documents, encoded):
    """transformers must agree with the plain tokenizer.json; else the files are not what they say."""
    auto = AutoTokenizer.from_pretrained(directory)
    wrong = sum(auto(text)["input_ids"] != ids for text, ids in zip(documents, encoded))
    print(f"AutoTokenizer disagrees on {wrong} of {len(documents)} documents")
    return wrong


def measure(model, tokenizer, directory, rows):
    eos = model.config.eos_token_id
    documents = [f"{r['article']}{SEPARATOR} {r['highlights']}" for r in rows]
    encoded = [tokenizer.encode(text).ids for text in documents]
    prompts = [tokenizer.encode(r["article"] + SEPARATOR).ids for r in rows]
    assert all(ids[:len(prompt)] == prompt for ids, prompt in zip(encoded, prompts)), "a prompt is not a prefix"
    nll = nll_sums(model, encoded)
    tokens = [len(ids) - 1 for ids in encoded]
    results = greedy(model, prompts, eos, MAX_NEW_TOKENS)
    summaries = generated_entries(tokenizer, [r["id"] for r in rows], results)
    lines = (HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()
    continued = greedy(model, [tokenizer.encode(line).ids for line in lines], eos, PROMPT_NEW_TOKENS)
    return {
        "rouge": mean_rouge([(s["text"], r["highlights"]) for s, r in zip(summaries, rows)]),
        "rouge_first_50": mean_rouge([(s["text"], r["highlights"]) for s, r in zip(summaries[:50], rows)]),
        "exact_summaries": sum(s["text"] == r["highlights"] for s, r in zip(summaries, rows)),
        "lead1_rouge": mean_rouge([(first_sentence(r["article"]), r["highlights"]) for r in rows]),
        "perplexity": math.exp(sum(nll) / sum(tokens)),
        "longest_document": max(map(len, encoded)),
        "longest_summary": max(len(ids) - len(prompt) for ids, prompt in zip(encoded, prompts)),
        "auto_tokenizer_disagreements": check_auto_tokenizer(directory, documents, encoded),
        "nll": nll,
        "nll_tokens": tokens,
        "ids_first_20": encoded[:20],
        "generated_first_50": summaries[:50],
        "prompts": generated_entries(tokenizer, lines, continued),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    heldout = (HERE / "heldout.jsonl").read_bytes()
    rows = [json.loads(line) for line in heldout.decode().splitlines()]
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).to(arguments.device).eval()
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else arguments.device
    packages = ("torch", "transformers", "tokenizers", "safetensors")
    reference = {
        "architecture": model.config.architectures[0],
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_sha256": hashlib.sha256((arguments.model / "model.safetensors").read_bytes()).hexdigest(),
        "heldout_sha256": hashlib.sha256(heldout).hexdigest(),
        "documents": len(rows),
        "protocol": PROTOCOL,
        "made_with": {"device": device, **{name: importlib.metadata.version(name) for name in packages}},
        **measure(model, tokenizer, arguments.model, rows),
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in reference.items())
    (arguments.model / "reference.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print({key: reference[key] for key in (
        "parameters", "rouge", "exact_summaries", "lead1_rouge", "perplexity", "longest_document", "longest_summary", "made_with")})
    for entry in reference["generated_first_50"][:5] + reference["prompts"]:
        print(entry["id"], "->", entry["text"])


if __name__ == "__main__":
    main()
