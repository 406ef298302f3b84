#!/usr/bin/env python3
"""GPT-2's prefill in f32 through Tenon and through onnxruntime, same weights, same CPU cores, in turns, in one run.

    npm install --prefix build/peers --no-save --ignore-scripts onnxruntime-node@1.30.0
    python3 bench/peers/random_gpt2.py --out build/peers/gpt2
    python3 bench/peers/cpu_gpt2.py --work build/peers/gpt2 --bin build/release/bin --modules build/peers \
        --cores 0,1 --out bench/results/cpu_gpt2_2_threads.json

Without --modules onnxruntime's Python package is taken. Before anything is timed both must name the same next token.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys

from cpu_llm import command_of, machine
from serving import Server

HERE = os.path.dirname(os.path.abspath(__file__))


def make_plan(args):
    plan = os.path.join(args.work, "f32.plan")
    if not os.path.exists(plan):
        subprocess.run([os.path.join(args.bin, "tenon"), "build", args.work, "-o", plan, "--dtype", "f32", "--no-gate",
                        "--quiet"], check=True)
    return plan


def peer_command(args):
    model = os.path.join(args.work, "model.onnx")
    if args.modules:
        return ["node", os.path.join(HERE, "onnxruntime_llm.mjs"), model, str(args.threads), args.modules]
    return [sys.executable, os.path.join(HERE, "onnxruntime_llm.py"), model, str(args.threads)]


def random_ids(count):
    return ",".join(str(random.randrange(50000)) for _ in range(count))


def check_token(args, plan, peer):
    """Both sides must do the same work: the same greedy token after one prompt."""
    ids = random_ids(40)
    text = subprocess.run([os.path.join(args.bin, "tenon"), "run", plan, "--ids", ids, "--greedy", "--max-new-tokens", "1",
                           "--ignore-eos", "--json", "--quiet"], check=True, capture_output=True, text=True).stdout
    ours, theirs = json.loads(text)["results"][0]["ids"][0], peer.ask(ids)["token"]
    if ours != theirs:
        sys.exit(f"cpu_gpt2.py: next token {ours} by Tenon, {theirs} by onnxruntime")


def measure(args, ours, peer, tokens):
    found = {"tenon": [], "onnxruntime": []}
    for index in range(args.rounds + 1):
        mine = ours.ask_alone([f"{tokens} 1 1"])[0]["first_token_seconds"]
        other = peer.ask_alone([random_ids(tokens)])[0]["seconds"]
        if index > 0:  # the first round warms up
            found["tenon"].append(mine)
            found["onnxruntime"].append(other)
    ratio = statistics.median(b / a for a, b in zip(found["tenon"], found["onnxruntime"]))
    seconds = {side: statistics.median(samples) for side, samples in found.items()}
    print(f"{tokens:5} tokens  tenon {seconds['tenon'] * 1e3:8.1f} ms  onnxruntime {seconds['onnxruntime'] * 1e3:8.1f} ms  "
          f"ratio {ratio:5.2f}", flush=True)
    return {"prompt_tokens": tokens, "seconds": seconds, "ratio": ratio, "samples": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="the folder random_gpt2.py wrote; the plan is put there")
    parser.add_argument("--bin", required=True, help="the folder of tenon and bench_llm")
    parser.add_argument("--modules", help="the folder with node_modules/onnxruntime-node")
    parser.add_argument("--cores", default="0,1", help="as taskset takes them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompt-tokens", type=int, nargs="*", default=[128, 512])
    parser.add_argument("--out", help="JSON")
    args = parser.parse_args()
    random.seed(1)
    plan, pin = make_plan(args), ["taskset", "-c", args.cores]
    environment = dict(os.environ, TENON_THREADS=str(args.threads))
    ours_command = pin + [os.path.join(args.bin, "bench_llm"), plan, "--serve", "--repeats", "1", "--warm-up", "0",
                          "--max-batch-size", "1", "--max-num-tokens", "1024", "--max-seq-len", "1024"]
    with Server(ours_command, environment) as ours, Server(pin + peer_command(args)) as peer:
        check_token(args, plan, peer)
        ours.stop()
        peer.stop()
        cases = [measure(args, ours, peer, tokens) for tokens in args.prompt_tokens]
        ours.resume()
        peer.resume()
        version = peer.greeting["version"]
    if args.out:
        report = {"command": command_of(sys.argv[1:]), "machine": machine(), "onnxruntime": version, "cases": cases}
        with open(args.out, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
