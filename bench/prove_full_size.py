#!/usr/bin/env python3
"""Proves full-size models: builds plans from random checkpoints of the real shapes and holds them against transformers.

    python3 bench/prove_full_size.py --tenon build/release/bin/tenon --work /dev/shm/proof \
        --out bench/results/full_size_cpu.json gpt2-medium-f16 llama-7b-bf16

With --device cuda the plans run on the GPU beside transformers' float32 (bench/full_size_cuda.py):

    python3 bench/prove_full_size.py --device cuda --tenon build/release/bin/tenon --prove-llm build/release/bin/prove_llm \
        --work /dev/shm/proof --out bench/results/full_size_cuda.json gpt2-medium-f16 llama-7b-f16

Runs where PyTorch and transformers are (the checkpoints and golden files come from tools/reference_logits.py). For each
model and precision it records the gate's figures against the golden logits, whether the greedy f32 text is identical, the
time, and the build's largest anonymous memory beside the bound (largest weight + 512 MiB).
"""

import argparse
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import time

import full_size_cuda

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "..", "tools", "reference_logits.py")
# name -> (arguments of --make, greedy tokens compared in f32, precisions). 16-bit plans are made from checkpoints stored
# in that type, as published ones are.
MODELS = {
    "gpt2-medium-f16": (["gpt2-medium", "--dtype", "f16", "--seed", "2"], 256, ["f32", "f16"]),
    "gpt2-medium-bf16": (["gpt2-medium", "--dtype", "bf16", "--seed", "2"], 0, ["bf16"]),
    "llama-7b-bf16": (["llama-7b", "--dtype", "bf16"], 32, ["bf16", "f32"]),
    "llama-7b-bf16-outliers": (["llama-7b", "--dtype", "bf16", "--outliers", "6"], 0, ["bf16"]),
}


def run(command):
    started = time.time()
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
    return result.stdout, time.time() - started


def run_watching_memory(command):
    """Runs a command; returns its JSON, seconds, exit code and the peak of its anonymous resident memory."""
    started, peak = time.time(), 0
    with open(os.path.join("/tmp", f"proof-{os.getpid()}.json"), "w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    for line in status:
                        if line.startswith("RssAnon"):
                            peak = max(peak, int(line.split()[1]) * 1024)
            except OSError:
                pass
            time.sleep(0.02)
        errors = process.stderr.read()
        out.seek(0)
        text = out.read()
    try:
        document = json.loads(text)
    except ValueError:
        document = {"unreadable": text[-500:]}
    if process.returncode != 0:
        document["stderr"] = errors[-1000:]
    return document, time.time() - started, process.returncode, peak


def read_i32(path, name):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        entry = json.loads(file.read(length))[name]
        file.seek(8 + length + entry["data_offsets"][0])
        count = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 4
        return list(struct.unpack(f"<{count}i", file.read(4 * count)))


def largest_constant(tenon, plan):
    document = json.loads(run([tenon, "inspect", plan, "--layers", "--json"])[0])
    return max(layer["bytes"] for layer in document["layers"])


def prove_precision(args, model, checkpoint, golden, precision, greedy):
    plan = os.path.join(args.work, f"{model}.{precision}.plan")
    # The gate reports; what is held is decided below.
    document, seconds, code, peak = run_watching_memory(
        [args.tenon, "build", checkpoint, "-o", plan, "--dtype", precision, "--golden", golden, "--json", "--quiet",
         "--max-kld", "1", "--max-error", "1", "--min-same-top", "0.01"])
    entry = {"precision": precision, "exit_code": code, "build_seconds": round(seconds, 2), "peak_anonymous_bytes": peak}
    if code != 0:
        entry["error"] = document
        return entry
    gate = document["report"]["gate"]
    entry["against_golden"], entry["against_oracle"] = gate["against_golden"], gate["against_oracle"]
    entry["anonymous_bound_bytes"] = largest_constant(args.tenon, plan) + (512 << 20)
    entry["within_memory_bound"] = peak <= entry["anonymous_bound_bytes"]
    if precision == "f32" and greedy:
        entry["passed"] = entry["against_golden"]["max_error_over_rms"] <= 1e-4
        prompt = read_i32(golden, "ids")[: read_i32(golden, "seq_offsets")[1]]
        expected = read_i32(golden, "greedy.ids")[:greedy]
        started = time.time()
        text, _ = run([args.tenon, "run", plan, "--ids", ",".join(map(str, prompt)), "--max-new-tokens", str(greedy),
                       "--greedy", "--ignore-eos", "--json", "--quiet"])
        got = json.loads(text)["results"][0]["ids"]
        same = next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), min(len(got), len(expected)))
        entry["greedy_tokens"], entry["greedy_identical"] = len(expected), same
        entry["greedy_seconds"] = round(time.time() - started, 2)
        entry["passed"] = entry["passed"] and same == len(expected)
    else:
        entry["passed"] = entry["against_golden"]["mean_kld"] <= (1e-4 if precision == "f16" else 1e-3)
    os.remove(plan)
    return entry


def prove_on_cpu(args, report):
    for model in args.models:
        make, greedy, precisions = MODELS[model]
        checkpoint, golden = os.path.join(args.work, model), os.path.join(args.work, model + ".golden.safetensors")
        _, make_seconds = run([sys.executable, REFERENCE, "--out", checkpoint, "--make"] + make)
        text = ["--greedy", str(greedy)] if greedy else []
        _, golden_seconds = run([sys.executable, REFERENCE, "--model", checkpoint, "--logits", "random:4x64",
                                 "--out", golden] + text)
        result = {"model": model, "make_seconds": round(make_seconds, 1), "golden_seconds": round(golden_seconds, 1),
                  "plans": []}
        report["models"].append(result)
        for precision in precisions:
            entry = prove_precision(args, model, checkpoint, golden, precision, greedy)
            result["plans"].append(entry)
            print(json.dumps({"model": model, **{k: v for k, v in entry.items() if not isinstance(v, dict)}}), flush=True)
            with open(args.out, "w") as file:
                json.dump(report, file, indent=1)
        shutil.rmtree(checkpoint)
    return all(p.get("passed") for m in report["models"] for p in m["plans"])


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor() or platform.machine(), "cores": os.cpu_count()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="all of the device where none is named: "
                        f"cpu {sorted(MODELS)}; cuda {list(full_size_cuda.MODELS)}")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--tenon", required=True, help="the tenon program")
    parser.add_argument("--prove-llm", help="the prove_llm program, for cuda")
    parser.add_argument("--work", required=True, help="a folder with room for a checkpoint and its plans, best in memory")
    parser.add_argument("--out", required=True, help="JSON")
    parser.add_argument("--repeats", type=int, default=100, help="cuda: runs that must give the same bits")
    parser.add_argument("--num-layers", type=int, default=0, help="cuda: a trial with fewer layers than the models have")
    parser.add_argument("--keep", nargs="*", default=[], help="cuda: models whose checkpoint and plan stay in the work folder")
    args = parser.parse_args()
    known = full_size_cuda.MODELS if args.device == "cuda" else MODELS
    unknown = [name for name in args.models + args.keep if name not in known]
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; accepted: {', '.join(known)}")
    if args.device == "cuda" and not args.prove_llm:
        parser.error("--device cuda needs --prove-llm")
    args.models = args.models or list(known)
    os.makedirs(args.work, exist_ok=True)
    report = {"command": " ".join(sys.argv), "machine": machine(), "models": []}
    prove = full_size_cuda.prove if args.device == "cuda" else prove_on_cpu
    return 0 if prove(args, report) else 5


if __name__ == "__main__":
    sys.exit(main())
