#!/usr/bin/env python3
"""A language model through Tenon and through llama.cpp on the same CPU cores, in turns, in one run.

    npm install --prefix build/peers --no-save --ignore-scripts @node-llama-cpp/linux-x64@3.22.1
    python3 bench/peers/random_llama.py --out build/peers/1.1b
    python3 bench/peers/cpu_llm.py --work build/peers/1.1b --bin build/release/bin --cores 0,1 \
        --library build/peers/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64 --out bench/results/cpu_llama_2_threads.json

Pairs have equal bits a weight: bf16 beside BF16, 8 bits (w8a8) beside Q8_0, 4 bits in groups of 32 beside Q4_0; head and embeddings
are bf16 in all. In each round both sides answer the same jobs, and the read rate is measured between them. Plans are
built where they are missing, without the gate: weights are random.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from random_llama import SHAPES
from serving import Server

# name -> (--quant of the plan, file of llama.cpp)
PAIRS = {"bf16": ("none", "bf16.gguf"), "w8a8": ("w8a8", "q8_0.gguf"), "w4a8": ("w4a8", "q4_0.gguf"),
         "w4a16": ("w4a16", "q4_0.gguf")}
# Touches every weight.
WARM_UP = "64 4 1"
# Reading one large matrix once: the answer holds the read rate of that moment.
READ_CASE = json.dumps({"op": "linear", "layer": "head", "dtype": "bf16", "m": 1, "n": 32000, "k": 2048})


def median(values):
    return statistics.median(values)


def make_plan(args, quant):
    plan = os.path.join(args.work, quant + ".plan")
    if not os.path.exists(plan):
        subprocess.run([os.path.join(args.bin, "tenon"), "build", os.path.join(args.work, "checkpoint"), "-o", plan, "--dtype",
                        "bf16", "--quant", quant, "--no-gate", "--quiet"], check=True)
    return plan


def bytes_of_step(path, shape, tokens):
    """What one step reads: the file without its table of embeddings, and a 16-bit cache of `tokens` positions."""
    width = shape["hidden"] // shape["heads"] * shape["kv_heads"]
    return os.path.getsize(path) - shape["vocab"] * shape["hidden"] * 2 + 2 * 2 * width * tokens * shape["layers"]


def measure_pair(args, name, environment):
    quant, gguf = PAIRS[name]
    plan, theirs = make_plan(args, quant), os.path.join(args.work, gguf)
    pin = ["taskset", "-c", args.cores]
    ours_command = pin + [os.path.join(args.bin, "bench_llm"), plan, "--serve", "--repeats", "1", "--warm-up", "0",
                          "--max-batch-size", "1", "--max-num-tokens", "512", "--max-seq-len", "1024"]
    peer_command = pin + [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_cpp.py"),
                          "--library", args.library, "--model", theirs, "--threads", str(args.threads)]
    if args.variant:
        peer_command += ["--variant", args.variant]
    prefill, decode = f"{args.prompt_tokens} 1 1", f"{args.context} {args.new_tokens} 1"
    found = {side: {"prefill": [], "decode": []} for side in ("tenon", "llama.cpp")}
    reads = []
    with Server(ours_command, environment) as ours, Server(peer_command, environment) as peer, \
            Server(pin + [os.path.join(args.bin, "bench_kernels"), "--serve"], environment) as kernels:
        for child in (ours, peer, kernels):
            child.stop()
        for child in (ours, peer):
            child.ask_alone([WARM_UP])
        for _ in range(args.rounds):
            answers = {side: child.ask_alone([prefill, decode]) for side, child in (("tenon", ours), ("llama.cpp", peer))}
            reads.append(kernels.ask_alone([READ_CASE])[0]["results"][0]["ceilings"]["read_bytes_per_second"])
            for side, (first, steps) in answers.items():
                found[side]["prefill"].append(args.prompt_tokens / first["first_token_seconds"])
                found[side]["decode"].append(1 / steps["token_seconds"]["p50"])
        for child in (ours, peer, kernels):
            child.resume()
        system = peer.greeting["system"]
    shape, tokens = SHAPES[args.shape], args.context + args.new_tokens // 2
    result = {"pair": name, "ours": quant, "theirs": gguf, "system": system, "read_bytes_per_second": median(reads)}
    for side, path in (("tenon", plan), ("llama.cpp", theirs)):
        size = bytes_of_step(path, shape, tokens)
        rate = median(found[side]["decode"])
        result[side] = {"prefill_tokens_per_second": median(found[side]["prefill"]), "decode_tokens_per_second": rate,
                        "bytes_of_step": size, "share_of_read_rate": rate * size / median(reads), "samples": found[side]}
    for what in ("prefill", "decode"):
        pairs = zip(found["tenon"][what], found["llama.cpp"][what])
        result[what + "_ratio"] = median([mine / other for mine, other in pairs])
    return result


def machine():
    with open("/proc/cpuinfo") as file:
        lines = [line.split(":", 1) for line in file if ":" in line]
    values = {key.strip(): value.strip() for key, value in lines}
    flags = [flag for flag in values.get("flags", "").split() if flag.startswith(("avx512", "avx_vnni", "amx"))]
    return {"cpu": values.get("model name"), "flags": flags, "cores": os.cpu_count()}


def command_of(words):
    """The command without what is only a place on one machine."""
    places = {"--work", "--bin", "--library", "--modules", "--out"}
    kept = [word for before, word in zip([""] + words, words) if word not in places and before not in places]
    return " ".join([os.path.basename(sys.argv[0])] + kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="the folder random_llama.py wrote; plans are put there")
    parser.add_argument("--bin", required=True, help="the folder of tenon, bench_llm and bench_kernels")
    parser.add_argument("--library", required=True, help="the folder of libllama")
    parser.add_argument("--variant", help="llama.cpp's build for one kind of CPU, as zen4")
    parser.add_argument("--shape", default="1.1b", choices=sorted(SHAPES))
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--cores", default="0,1", help="as taskset takes them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--context", type=int, default=64, help="tokens before the decoded ones")
    parser.add_argument("--new-tokens", type=int, default=33)
    parser.add_argument("--isa", help="TENON_CPU_ISA for our side")
    parser.add_argument("--out", help="JSON")
    args = parser.parse_args()
    environment = dict(os.environ, TENON_THREADS=str(args.threads))
    if args.isa:
        environment["TENON_CPU_ISA"] = args.isa
    report = {"command": command_of(sys.argv[1:]), "machine": machine(), "pairs": []}
    for name in args.pairs:
        result = measure_pair(args, name, environment)
        report["pairs"].append(result)
        for side in ("tenon", "llama.cpp"):
            figures = result[side]
            print(f"{name:6} {side:10} prefill {figures['prefill_tokens_per_second']:8.1f}/s  decode "
                  f"{figures['decode_tokens_per_second']:7.2f}/s  {figures['share_of_read_rate']:5.1%} of the read rate", flush=True)
        print(f"{name:6} ratio      prefill {result['prefill_ratio']:8.2f}    decode {result['decode_ratio']:7.2f}", flush=True)
        if args.out:
            with open(args.out, "w") as file:
                json.dump(report, file, indent=1)
                file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
