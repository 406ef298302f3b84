#!/usr/bin/env python3
"""Our kernels beside PyTorch's on the same GPU, in turns, in one run.

    python3 bench/peers/torch_ops.py --bench build/release/bin/bench_kernels \
        --shapes bench/shapes/llama-7b.json --out bench/results/ops_cuda.json

Each case of the shapes file is measured by bench_kernels and then by PyTorch, `--rounds` times in turns; the medians
are compared with the fastest PyTorch candidate (bench/peers/torch_peers.py). Both sides replay a CUDA graph over
operands that are in no cache.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time

import torch

from serving import Server
from torch_peers import make_peers
from torch_timing import median, record, replay_seconds, versions


def list_cases(args):
    command = [args.bench, "--list", "--filter", args.filter]
    for shapes in args.shapes:
        command += ["--shapes", shapes]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in text.splitlines()]


class Peers:
    """The candidates of one case, recorded."""

    def __init__(self, case, with_compile):
        self.graphs, self.refused, self.samples = {}, {}, {}
        work, self.calls = make_peers(case)
        for name, run in work.items():
            if name == "torch.compile" and not with_compile:
                continue
            try:
                self.graphs[name] = record(run)
            except Exception as error:  # what PyTorch cannot do differs from version to version
                self.refused[name] = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
                torch.cuda.synchronize()
        self.samples = {name: [] for name in self.graphs}

    def measure(self):
        for name, graph in self.graphs.items():
            self.samples[name] += [seconds / self.calls for seconds in replay_seconds(graph)]

    def result(self):
        found = {name: median(samples) for name, samples in self.samples.items()}
        best = min(found, key=found.get) if found else None
        return {"seconds": found, "best": best, "refused": self.refused}


def measure(case, server, args):
    entry = {"case": case}
    try:
        peers = Peers(case, args.compile)
    except torch.cuda.OutOfMemoryError as error:
        return entry | {"error": str(error).splitlines()[0]}
    rounds = []
    for _ in range(args.rounds):
        answer = server.ask(json.dumps(case))
        if "error" in answer:
            return entry | {"error": answer["error"]}
        rounds.append(answer)
        peers.measure()
    entry["name"] = rounds[0]["name"]
    entry["ours"] = []
    for index, result in enumerate(rounds[0]["results"]):
        seconds = median([r["results"][index]["seconds"] for r in rounds])
        result = {key: value for key, value in result.items() if key != "ceilings"}
        result |= {"seconds": seconds, "share_of_floor": result["floor_seconds"] / seconds,
                   "round_seconds": [r["results"][index]["seconds"] for r in rounds]}
        entry["ours"].append(result)
    entry["peer"] = peers.result()
    if entry["peer"]["best"]:
        entry["speedup"] = entry["peer"]["seconds"][entry["peer"]["best"]] / entry["ours"][0]["seconds"]
    entry["ceilings"] = rounds[0]["results"][0]["ceilings"]
    return entry


def describe(entry):
    if "error" in entry:
        return f"{json.dumps(entry['case'])}: {entry['error']}"
    ours, peer = entry["ours"][0], entry["peer"]
    text = (f"{entry['name']}: {ours['seconds'] * 1e6:.2f} us, {100 * ours['share_of_floor']:.0f} % of the floor, "
            f"{ours['implementation']}")
    if peer["best"]:
        text += f"; {peer['best']} {peer['seconds'][peer['best']] * 1e6:.2f} us: {entry['speedup']:.2f} x"
    return text


def prepare(cases):
    """Compiles what torch.compile needs, so that a later run finds it in PyTorch's cache."""
    for case in cases:
        try:
            Peers(case, True)
        except torch.cuda.OutOfMemoryError as error:
            print(f"{json.dumps(case)}: {str(error).splitlines()[0]}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="the bench_kernels program")
    parser.add_argument("--shapes", action="append", required=True, help="a file of bench/shapes; may be repeated")
    parser.add_argument("--filter", default="", help="only cases whose name holds this text")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="every implementation of ours, not only the chosen one")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    parser.add_argument("--prepare", action="store_true", help="only compile; measure nothing")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after this time; those left are named")
    parser.add_argument("--out", help="JSON")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(1)
    started, cases = time.time(), list_cases(args)
    if args.prepare:
        return prepare(cases)
    if not args.out:
        parser.error("--out is missing")
    report = {"command": " ".join([os.path.basename(sys.argv[0])] + sys.argv[1:]), "versions": versions(), "cases": []}
    command = [args.bench, "--device", "cuda", "--serve"] + (["--all"] if args.all else [])
    with Server(command) as server:
        report["machine"] = server.greeting
        for index, case in enumerate(cases):
            if time.time() - started > args.seconds:
                report["left_out"] = [json.dumps(c) for c in cases[index:]]
                print(f"out of time: {len(cases) - index} cases left out", flush=True)
                break
            report["cases"].append(measure(case, server, args))
            print(describe(report["cases"][-1]), flush=True)
            gc.collect()
            torch.cuda.empty_cache()
            with open(args.out, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=1)
    return 1 if any("error" in entry for entry in report["cases"]) else 0


if __name__ == "__main__":
    sys.exit(main())
