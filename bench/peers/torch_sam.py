#!/usr/bin/env python3
"""Segment Anything beside PyTorch: encoders, the decoder and "everything", measured in one run on one card.

    python3 bench/peers/torch_sam.py --tenon build/release/bin/tenon --bench-sam build/release/bin/bench_sam \\
        --work /dev/shm/sam --out bench/results/sam_cuda.json

Random weights of the real shapes in f16. The encoder's peer is torch.compile of transformers' SamVisionEncoder (each mode
named by --modes, the faster one counts), the decoder's is transformers without compiling. Medians; pixels and embeddings
lie on the device. Ours counts with the tactics of `tenon tune` on that card, beside which the same plan without them stands.
For "everything" the scores' bias is set so that about 500 of 3072 masks are above the threshold, and all of those
are kept: every one is made at the size of the picture and written as runs.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "sam")]
import sam_models  # noqa: E402

REPEATS, WIDTH, HEIGHT = 20, 1500, 1000
SURVIVE = (400, 600)  # masks of 3072
BARS = {"vit-h": 14e-3, "vit-b": 3.5e-3, "decoder 1": 0.6e-3, "decoder 64": 3e-3, "everything": 120e-3}
AIMS = {"vit-h": 9.5e-3, "vit-b": 2.1e-3, "decoder 1": 0.3e-3, "decoder 64": 1.5e-3, "everything": 60e-3}


def time_calls(work, repeats=REPEATS):
    """Median seconds of a call, each awaited."""
    import torch

    for _ in range(4):
        work()
    samples = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        samples.append(time.perf_counter() - started)
    return statistics.median(samples)


def write_png(path, pixels):
    """pixels uint8 [height, width, 3]"""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[row].tobytes() for row in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def make_photo():
    """uint8 [HEIGHT, WIDTH, 3] of shapes and grain."""
    import torch

    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(HEIGHT) / HEIGHT, torch.arange(WIDTH) / WIDTH, indexing="ij")
    photo = torch.zeros(HEIGHT, WIDTH, 3)
    for _ in range(30):
        u, v, a, b = torch.rand(4, generator=generator)
        photo[((x - u) / (0.02 + a / 6)) ** 2 + ((y - v) / (0.02 + b / 6)) ** 2 < 1] = torch.rand(3, generator=generator)
    return ((photo + 0.05 * torch.randn(photo.shape, generator=generator)).clamp(0, 1) * 255).to(torch.uint8)


def time_encoder(model, modes):
    """{mode: seconds}, "eager" among them."""
    import torch

    encoder = model.vision_encoder
    pixels = torch.randn(1, 3, sam_models.IMAGE, sam_models.IMAGE, device="cuda", dtype=torch.float16)
    found = {"eager": time_calls(lambda: encoder(pixels), 5)}
    for mode in modes:
        torch._dynamo.reset()
        started = time.time()
        compiled = torch.compile(encoder, mode=mode)
        found[mode] = time_calls(lambda: compiled(pixels))
        print(f"torch.compile {mode}: {found[mode] * 1e3:.3f} ms, {time.time() - started:.0f} s to compile and time", flush=True)
    return found


def time_decoder(model, prompts):
    import torch

    embedding = torch.randn(1, 256, 64, 64, device="cuda", dtype=torch.float16)
    points = torch.rand(1, prompts, 1, 2, device="cuda").half() * sam_models.IMAGE
    labels = torch.ones(1, prompts, 1, device="cuda", dtype=torch.int64)
    return time_calls(lambda: model(image_embeddings=embedding, input_points=points, input_labels=labels))


def set_everything_bias(model, photo):
    """Shifts the scores so that about 500 of the 3072 masks of a 32 x 32 grid are above 0.88, and makes masks certain."""
    import torch

    side, scale = 32, sam_models.IMAGE / WIDTH
    small = torch.nn.functional.interpolate(photo.permute(2, 0, 1)[None].cuda().float(), scale_factor=scale, mode="bilinear",
                                            antialias=True)
    mean = torch.tensor([123.675, 116.28, 103.53], device="cuda")[:, None, None]
    deviation = torch.tensor([58.395, 57.12, 57.375], device="cuda")[:, None, None]
    square = torch.zeros(1, 3, sam_models.IMAGE, sam_models.IMAGE, device="cuda")
    square[:, :, :small.shape[2], :small.shape[3]] = (small - mean) / deviation
    embedding = model.get_image_embeddings(square)
    grid = (torch.arange(side, device="cuda") + 0.5) / side
    points = torch.stack(torch.meshgrid(grid * WIDTH * scale, grid * HEIGHT * scale, indexing="xy"), -1).reshape(1, -1, 1, 2)
    labels = torch.ones(1, side * side, 1, device="cuda", dtype=torch.int64)
    scores = torch.cat([model(image_embeddings=embedding, input_points=points[:, i:i + 64],
                              input_labels=labels[:, i:i + 64]).iou_scores[0] for i in range(0, side * side, 64)])
    threshold = scores.flatten().sort(descending=True).values[500]
    model.mask_decoder.iou_prediction_head.proj_out.bias += 0.88 - threshold
    for perceptron in model.mask_decoder.output_hypernetworks_mlps:
        perceptron.proj_out.weight *= 100
        perceptron.proj_out.bias *= 100


def tune(tenon, plan):
    """Writes the plan's tactics; what the gate saw of them."""
    started = time.time()
    done = subprocess.run([tenon, "tune", plan, "--device", "cuda", "--json", "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"tenon tune {plan}: {done.stdout[-1500:]} {done.stderr[-1500:]}")
    report = json.loads(done.stdout)["report"]
    gate = report["gate"]
    return {"seconds": round(time.time() - started, 1), "measured": len(report["measurements"]), "tactics": report["tactics"],
            "gate": {name: gate[name] for name in ("passed", "held_against", "against_oracle", "without_tactics")},
            "faster": [{name: m[name] for name in ("step", "steps", "standard", "chosen", "candidates")}
                       for m in report["measurements"] if m["chosen"] != m["standard"]]}


def measure(args, kind, report):
    import torch

    folder, plan_path = os.path.join(args.work, kind), os.path.join(args.work, kind + ".plan")
    plain_path = os.path.join(args.work, kind + ".plain.plan")
    photo = make_photo()
    write_png(os.path.join(args.work, "photo.png"), photo.numpy())
    with torch.no_grad():
        model = sam_models.make_model(kind)
        set_everything_bias(model, photo)
        sam_models.save(model, folder)
        sam_models.build(args.tenon, folder, plan_path, "f16")
        shutil.rmtree(folder)
        # The same file under a name beside which there are no tactics.
        os.link(plan_path, plain_path)
        tuned = tune(args.tenon, plan_path)
        plan = sam_models.Plan(args.bench_sam, plan_path)
        # Ours before and after the peer: a card that slows down shows.
        first = plan.ask("time-encode", REPEATS)["median_seconds"]
        memory = plan.ask("memory")
        plain = sam_models.Plan(args.bench_sam, plain_path)
        assert plan.opened["tactics"] == tuned["tactics"] and plain.opened["tactics"] == 0, (plan.opened, plain.opened)
        untuned = [plain.ask("time-encode", REPEATS)["median_seconds"]]
        model.half()
        peers = time_encoder(model, args.modes)
        untuned.append(plain.ask("time-encode", REPEATS)["median_seconds"])
        again = plan.ask("time-encode", REPEATS)["median_seconds"]
        entry = {"model": kind, "tune": tuned, "encoder": {"seconds": min(first, again), "first": first, "again": again,
                                                           "untuned": min(untuned), "torch": peers}}
        entry["memory"] = memory
        entry["decoder"] = {}
        for prompts in (1, 64):
            entry["decoder"][str(prompts)] = {
                "seconds": plan.ask("time-decode", prompts, REPEATS)["median_seconds"],
                "untuned": plain.ask("time-decode", prompts, REPEATS)["median_seconds"], "torch": time_decoder(model, prompts)}
        # Masks of random weights are noise, and all alike: what the scores let through survives the rest.
        everything = plan.ask("time-everything", os.path.join(args.work, "photo.png"), 32, 5, 0.88, -1, 1)
        entry["everything"] = {"seconds": everything["median_seconds"], "masks": everything["masks"],
                               "samples": everything["samples"], "picture": [WIDTH, HEIGHT], "points": 1024}
        assert SURVIVE[0] <= everything["masks"] <= SURVIVE[1], everything
        plan.close()
        plain.close()
    for path in (plan_path, plain_path, plan_path + ".tactics"):
        os.remove(path)
    reached = {kind: entry["encoder"]["seconds"]}
    if kind == "vit-b":
        reached |= {f"decoder {n}": entry["decoder"][n]["seconds"] for n in ("1", "64")}
        reached["everything"] = entry["everything"]["seconds"]
    entry["bars"] = {name: {"seconds": seconds, "bar": BARS[name], "aim": AIMS[name], "met": seconds <= BARS[name]}
                     for name, seconds in reached.items()}
    report["models"].append(entry)
    print(json.dumps(entry["bars"]), flush=True)
    print(json.dumps({k: v for k, v in entry.items() if k != "bars"}), flush=True)


def main():
    import torch
    from torch_timing import versions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="vit-b and vit-h where none is named")
    parser.add_argument("--tenon", required=True)
    parser.add_argument("--bench-sam", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", required=True, help="JSON")
    parser.add_argument("--modes", nargs="*", default=["reduce-overhead", "max-autotune"])
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    report = {"versions": versions(), "models": []}
    for kind in args.models or ["vit-b", "vit-h"]:
        measure(args, kind, report)
        torch.cuda.empty_cache()
        sam_models.write_report(report, args.out)
    return 0 if all(bar["met"] for model in report["models"] for bar in model["bars"].values()) else 5


if __name__ == "__main__":
    sys.exit(main())
