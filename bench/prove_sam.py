#!/usr/bin/env python3
"""Proves Segment Anything at full size: plans of random ViT-B and ViT-H checkpoints against transformers' SamModel.

    python3 bench/prove_sam.py --tenon build/release/bin/tenon --bench-sam build/release/bin/bench_sam --work /dev/shm/sam \\
        --out bench/results/full_size_sam.json

Runs on a machine with a GPU, PyTorch and transformers. Embeddings, small masks and predicted IoU of pictures of several
sizes and of every form of prompt are compared with transformers in float64 (whose softmax is float32). Held: f32 the
largest error over the RMS <= 1e-3, f16 the relative norm of the error of embeddings <= 3e-3, and the memory ViT-H takes in
f16 for one picture and one prompt <= 2.2 GB.
"""

import argparse
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "sam"))
import sam_models  # noqa: E402
from sam_models import BACKGROUND, BOX_FIRST, BOX_LAST, FOREGROUND, IMAGE, PADDING  # noqa: E402

SIZES = [(1024, 1024), (1024, 683), (576, 1024)]  # width and height of what the padding leaves of the square
PRECISIONS = ["f32", "f16", "bf16"]
MOST_F32_ERROR, MOST_F16_NORM, MOST_BYTES = 1e-3, 3e-3, 2.2e9


def make_picture(width, height, seed):
    """[1, 3, IMAGE, IMAGE], normalised and padded: flat shapes, gradients and grain."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    picture = torch.zeros(3, height, width)
    for channel in range(3):
        a, b, c = torch.rand(3, generator=generator) * 2 - 1
        picture[channel] = a * x + b * y + c
    for _ in range(8):
        u, v, r = torch.rand(3, generator=generator)
        inside = ((x - u) / (0.05 + 0.3 * r)) ** 2 + ((y - v) / (0.05 + 0.2 * r)) ** 2 < 1
        picture[:, inside] = (torch.rand(3, generator=generator) * 4 - 2)[:, None]
    picture += 0.15 * torch.randn(picture.shape, generator=generator)
    square = torch.zeros(1, 3, IMAGE, IMAGE)
    square[0, :, :height, :width] = picture
    return square.cuda()


def make_prompts(width, height, seed):
    """(name, points [prompts, n, 2] in pixels of the square, labels of one prompt, boxes [prompts, 4], mask)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([width, height], dtype=torch.float32)

    def places(prompts, count):
        return torch.rand(prompts, count, 2, generator=generator) * scale

    def boxes(prompts):
        corners = places(prompts, 2).sort(dim=1).values
        return corners.reshape(prompts, 4)

    mask = torch.randn(1, 1, 16, 16, generator=generator) * 6
    mask = torch.nn.functional.interpolate(mask, (IMAGE // 4, IMAGE // 4), mode="bilinear", align_corners=False)
    return [("one click", places(3, 1), [1], None, None), ("three points", places(4, 3), [1, 0, 1], None, None),
            ("a box", None, [], boxes(3), None), ("two points in a box", places(2, 2), [1, 0], boxes(2), None),
            ("64 clicks", places(64, 1), [1], None, None), ("a click and a mask", places(1, 1), [1], None, mask)]


def reference(model, embedding, prompt):
    """All four small masks [prompts, 4, 256, 256] and their scores [prompts, 4]."""
    import torch

    _, points, labels, boxes, mask = prompt
    options = {"image_embeddings": embedding}
    dtype = embedding.dtype
    if points is not None:
        options["input_points"] = points[None].cuda().to(dtype)
        options["input_labels"] = torch.tensor(labels).repeat(1, points.shape[0], 1).cuda()
    if boxes is not None:
        options["input_boxes"] = boxes[None].cuda().to(dtype)
    if mask is not None:
        options["input_masks"] = mask.cuda().to(dtype)
    parts = [model(multimask_output=several, **options) for several in (False, True)]
    return (torch.cat([part.pred_masks[0] for part in parts], 1), torch.cat([part.iou_scores[0] for part in parts], 1))


def compare(got, expected):
    import torch

    got, expected = got.double(), expected.double()
    error = got - expected
    return {"max_error_over_rms": float(error.abs().max() / expected.pow(2).mean().sqrt()),
            "relative_norm": float(error.norm() / expected.norm()), "nonfinite": int((~torch.isfinite(got)).sum())}


class Files:
    """Raw tensors in the work folder, as bench_sam reads and writes them."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, tensor):
        tensor.contiguous().cpu().numpy().tofile(self.path(name))
        return self.path(name)

    def read(self, name, shape):
        import numpy
        import torch

        return torch.from_numpy(numpy.fromfile(self.path(name), dtype=numpy.float32).reshape(shape)).cuda()


def decode(plan, files, prompt):
    import torch

    _, points, labels, boxes, mask = prompt
    parts, kinds = [], []
    if points is not None:
        parts.append(points)
        kinds += [FOREGROUND if label == 1 else BACKGROUND for label in labels]
    if boxes is not None:
        parts.append(boxes.reshape(-1, 2, 2))
        kinds += [BOX_FIRST, BOX_LAST]
    else:
        parts.append(torch.zeros(points.shape[0], 1, 2))
        kinds.append(PADDING)
    places = (torch.cat(parts, 1) + 0.5) / IMAGE
    count = places.shape[0]
    words = ["decode", count, len(kinds), files.write("points", places),
             files.write("labels", torch.tensor(kinds, dtype=torch.int32).repeat(count)), files.path("masks"),
             files.path("iou")]
    if mask is not None:
        words.append(files.write("mask", mask))
    plan.ask(*words)
    side = IMAGE // 4
    return files.read("masks", (count, 4, side, side)), files.read("iou", (count, 4))


def prove_plan(args, files, plan_path, pictures):
    plan = sam_models.Plan(args.bench_sam, plan_path)
    entry = {"pictures": []}
    for index, picture in enumerate(pictures):
        plan.ask("encode", files.write("pixels", picture["pixels"][0].permute(1, 2, 0)), files.path("embedding"))
        found = {"size": picture["size"],
                 "embedding": compare(files.read("embedding", (64, 64, 256)), picture["embedding"]), "prompts": []}
        if index == 0:
            # One picture, one prompt: what that takes of the device.
            decode(plan, files, picture["prompts"][0][:1] + tuple(
                part[:1] if hasattr(part, "shape") else part for part in picture["prompts"][0][1:]))
            entry["memory"] = plan.ask("memory")
        for prompt, (masks, scores) in zip(picture["prompts"], picture["expected"]):
            got_masks, got_scores = decode(plan, files, prompt)
            both, either = (got_masks > 0) & (masks > 0), (got_masks > 0) | (masks > 0)
            iou = both.flatten(2).sum(-1).double() / either.flatten(2).sum(-1).clamp(min=1)
            found["prompts"].append({"form": prompt[0], "masks": compare(got_masks, masks),
                                     "iou": compare(got_scores, scores), "least_mask_iou": float(iou.min())})
        entry["pictures"].append(found)
    plan.close()
    return entry


def worst(entry, part, measure):
    if part == "embedding":
        return max(picture[part][measure] for picture in entry["pictures"])
    return max(prompt[part][measure] for picture in entry["pictures"] for prompt in picture["prompts"])


def prove_model(args, files, kind, report):
    import torch

    started = time.time()
    folder = files.path(kind)
    model = sam_models.make_model(kind)
    sam_models.save(model, folder)
    model = model.double()
    pictures = []
    with torch.no_grad():
        for index, (width, height) in enumerate(SIZES):
            pixels = make_picture(width, height, 10 + index)
            embedding = model.get_image_embeddings(pixels.double())
            prompts = make_prompts(width, height, 20 + index)
            pictures.append({"size": [width, height], "pixels": pixels, "embedding": embedding[0].permute(1, 2, 0),
                             "prompts": prompts, "expected": [reference(model, embedding, p) for p in prompts]})
    del model
    torch.cuda.empty_cache()
    result = {"model": kind, "reference_seconds": round(time.time() - started, 1), "plans": []}
    report["models"].append(result)
    for precision in args.precisions:
        plan = files.path(f"{kind}.{precision}.plan")
        seconds = sam_models.build(args.tenon, folder, plan, precision)
        entry = {"precision": precision, "build_seconds": round(seconds, 2)} | prove_plan(args, files, plan, pictures)
        entry["worst"] = {part: {measure: worst(entry, part, measure) for measure in ("max_error_over_rms", "relative_norm")}
                          for part in ("embedding", "masks", "iou")}
        checks = {"finite": worst(entry, "embedding", "nonfinite") + worst(entry, "masks", "nonfinite") == 0}
        if precision == "f32":
            checks["f32_error"] = all(w["max_error_over_rms"] <= MOST_F32_ERROR for w in entry["worst"].values())
        if precision == "f16":
            checks["f16_embedding"] = entry["worst"]["embedding"]["relative_norm"] <= MOST_F16_NORM
            checks["memory"] = entry["memory"]["since_opening_bytes"] <= MOST_BYTES
        entry["checks"], entry["passed"] = checks, all(checks.values())
        result["plans"].append(entry)
        print(json.dumps({"model": kind, "precision": precision, "checks": checks, "memory": entry["memory"], **entry["worst"]}),
              flush=True)
        os.remove(plan)
        sam_models.write_report(report, args.out)
    shutil.rmtree(folder)


def main():
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(sam_models.KINDS)}; vit-b and vit-h where none is named")
    parser.add_argument("--tenon", required=True)
    parser.add_argument("--bench-sam", required=True)
    parser.add_argument("--work", required=True, help="a folder with room for a checkpoint and a plan, best in memory")
    parser.add_argument("--out", required=True, help="JSON")
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS, choices=PRECISIONS)
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    report = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                           "device": torch.cuda.get_device_name(0)}, "models": []}
    for kind in args.models or ["vit-b", "vit-h"]:
        prove_model(args, Files(args.work), kind, report)
    return 0 if all(plan["passed"] for model in report["models"] for plan in model["plans"]) else 5


if __name__ == "__main__":
    sys.exit(main())
