#!/usr/bin/env python3
"""Segment Anything (ViT-B) through Tenon and through onnxruntime, same weights, same CPU cores, in turns, in one run.

    npm install --prefix build/peers --no-save --ignore-scripts onnxruntime-node@1.30.0
    python3 bench/peers/random_sam.py --out build/peers/sam
    python3 bench/peers/cpu_sam.py --work build/peers/sam --bin build/release/bin --modules build/peers \\
        --cores 0,1 --out bench/results/cpu_sam_2_threads.json

Without --modules onnxruntime's Python package is taken. The picture encoder, and the decoder for one click whose masks stay at
256 x 256; onnxruntime has f32, Tenon's plans are f32 and bf16. Before anything is timed both sides answer one picture and one click,
and their embeddings and masks are compared.
"""

import argparse
import array
import json
import os
import random
import statistics
import subprocess
import sys

import onnx_sam
from cpu_llm import command_of, machine
from serving import Server

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = onnx_sam.GRID * 16
# Norm of the difference by the norm of onnxruntime's result: of the embedding, and of masks made of each side's own embedding.
LIMITS = {"f32": {"embedding": 1e-4, "masks": 1e-4}, "bf16": {"embedding": 3e-2, "masks": 6e-2}}
BARS = {("encoder", "f32"): 1.0, ("encoder", "bf16"): 1.5, ("decoder", "f32"): 1 / 0.6, ("decoder", "bf16"): 1 / 0.6}


def write_numbers(path, kind, values):
    with open(path, "wb") as file:
        array.array(kind, values).tofile(file)


def read_floats(path):
    values = array.array("f")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return values


def distance(ours, theirs):
    """Norm of the difference by the norm of `theirs`."""
    if len(ours) != len(theirs):
        sys.exit(f"cpu_sam.py: {len(ours)} numbers by Tenon, {len(theirs)} by onnxruntime")
    total = sum(b * b for b in theirs)
    return (sum((a - b) ** 2 for a, b in zip(ours, theirs)) / total) ** 0.5


class Files:
    """The inputs of both sides: one picture and one click, in the layout of each."""

    def __init__(self, folder):
        self.folder = folder
        noise = array.array("f", (random.uniform(-2, 2) for _ in range(1 << 16)))
        pixels = array.array("f")
        while len(pixels) < 3 * SIDE * SIDE:
            begin = random.randrange(len(noise) // 2)
            pixels.extend(noise[begin:begin + min(len(noise) // 2, 3 * SIDE * SIDE - len(pixels))])
        write_numbers(self.path("pixels"), "f", pixels)
        write_numbers(self.path("planes"), "f", pixels[0::3] + pixels[1::3] + pixels[2::3])
        write_numbers(self.path("points"), "f", [0.4, 0.6, 0.0, 0.0])
        write_numbers(self.path("labels"), "i", [2, 0])
        write_numbers(self.path("labels64"), "q", [2, 0])

    def path(self, name):
        return os.path.join(self.folder, name + ".raw")

    def encode_request(self, **outputs):
        return json.dumps({"model": os.path.join(self.folder, "encoder.onnx"), "outputs": outputs,
                           "inputs": {"pixels": [self.path("planes"), "float32", [1, 3, SIDE, SIDE]]}})

    def decode_request(self, **outputs):
        embedding = [self.path("their_embedding"), "float32", [1, onnx_sam.WIDTH, onnx_sam.GRID, onnx_sam.GRID]]
        return json.dumps({"model": os.path.join(self.folder, "decoder.onnx"), "outputs": outputs,
                           "inputs": {"embedding": embedding, "points": [self.path("points"), "float32", [1, 2, 2]],
                                      "labels": [self.path("labels64"), "int64", [1, 2]]}})


def check(files, plans, peer):
    """Runs a picture and a click on all sides; {type: {what: distance}}."""
    peer.ask_alone([files.encode_request(embedding=files.path("their_embedding"))])
    peer.ask_alone([files.decode_request(masks=files.path("their_masks"))])
    cells, width = onnx_sam.GRID ** 2, onnx_sam.WIDTH
    planes, masks = read_floats(files.path("their_embedding")), read_floats(files.path("their_masks"))
    embedding = array.array("f", bytes(4 * len(planes)))
    for channel in range(width):
        embedding[channel::width] = planes[channel * cells:(channel + 1) * cells]
    found = {}
    for dtype, plan in plans.items():
        names = [files.path(name) for name in ("points", "labels", "our_masks", "our_iou")]
        plan.ask_alone([f"encode {files.path('pixels')} {files.path('our_embedding')}", "decode 1 2 " + " ".join(names)])
        found[dtype] = {"embedding": distance(read_floats(files.path("our_embedding")), embedding),
                        "masks": distance(read_floats(files.path("our_masks")), masks)}
        for what, value in found[dtype].items():
            print(f"{dtype:4} {what}: {value:.2e} of the norm from onnxruntime's", flush=True)
            if not value <= LIMITS[dtype][what]:
                sys.exit(f"cpu_sam.py: {what} in {dtype}: {value:.3g} of the norm apart, accepted {LIMITS[dtype][what]}")
    return found


def measure(args, files, plans, peer, stage):
    rounds = args.rounds if stage == "encoder" else 5 * args.rounds
    ours = "time-encode 1 0" if stage == "encoder" else "time-decode 1 1 0"
    theirs = files.encode_request() if stage == "encoder" else files.decode_request()
    found = {side: [] for side in [*plans, "onnxruntime"]}
    for index in range(rounds + 1):
        for side in found:
            if side == "onnxruntime":
                seconds = peer.ask_alone([theirs])[0]["seconds"]
            else:
                seconds = plans[side].ask_alone([ours])[0]["median_seconds"]
            if index > 0:  # the first round warms up
                found[side].append(seconds)
    seconds = {side: statistics.median(samples) for side, samples in found.items()}
    ratios = {side: statistics.median(b / a for a, b in zip(found[side], found["onnxruntime"])) for side in plans}
    for side, ratio in ratios.items():
        print(f"{stage} {side:4}  tenon {seconds[side] * 1e3:8.1f} ms  onnxruntime f32 {seconds['onnxruntime'] * 1e3:8.1f} ms  "
              f"ratio {ratio:5.2f}, wanted {BARS[stage, side]:.2f}", flush=True)
    return {"stage": stage, "seconds": seconds, "ratios": ratios, "samples": found}


def write_report(args, report):
    if not args.out:
        return
    with open(args.out, "w") as file:
        json.dump(report, file, indent=1)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="the folder random_sam.py wrote; plans are put there")
    parser.add_argument("--bin", required=True, help="the folder of tenon and bench_sam")
    parser.add_argument("--modules", help="the folder with node_modules/onnxruntime-node")
    parser.add_argument("--cores", default="0,1", help="as taskset takes them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of the encoder; the decoder has five times as many")
    parser.add_argument("--types", nargs="*", default=["f32", "bf16"], choices=list(LIMITS))
    parser.add_argument("--stages", nargs="*", default=["decoder", "encoder"], choices=["encoder", "decoder"])
    parser.add_argument("--isa", help="TENON_CPU_ISA of our side")
    parser.add_argument("--out", help="JSON")
    args = parser.parse_args()
    random.seed(1)
    files, pin = Files(args.work), ["taskset", "-c", args.cores]
    environment = dict(os.environ, TENON_THREADS=str(args.threads), **({"TENON_CPU_ISA": args.isa} if args.isa else {}))
    node = ["node", os.path.join(HERE, "onnxruntime_run.mjs"), str(args.threads), args.modules]
    python = [sys.executable, os.path.join(HERE, "onnxruntime_run.py"), str(args.threads)]
    peer, plans = Server(pin + (node if args.modules else python)), {}
    for dtype in args.types:
        plan = os.path.join(args.work, dtype + ".plan")
        if not os.path.exists(plan):
            subprocess.run([os.path.join(args.bin, "tenon"), "build", args.work, "-o", plan, "--dtype", dtype, "--no-gate",
                            "--quiet"], check=True)
        plans[dtype] = Server(pin + [os.path.join(args.bin, "bench_sam"), plan, "--device", "cpu"], environment)
    servers = [peer, *plans.values()]
    try:
        for server in servers:
            server.stop()
        report = {"command": command_of(sys.argv[1:]), "machine": machine(), "onnxruntime": peer.greeting["version"],
                  "distances": check(files, plans, peer), "cases": []}
        for stage in args.stages:
            report["cases"].append(measure(args, files, plans, peer, stage))
            write_report(args, report)
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait()


if __name__ == "__main__":
    sys.exit(main())
