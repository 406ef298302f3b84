#!/usr/bin/env python3
"""Trains the Segment Anything miniature on generated scenes and writes DIR/sam.pth (f16), DIR/report.json and held-out
scenes with the answers of this code (DIR/heldout).

    python3 miniatures/sam/train.py --out DIR [--seconds 200] [--batch 32] [--device cuda]

Needs PyTorch alone. A run of about four minutes on one GPU is enough; on a CPU it shows only that it runs.
"""

import argparse
import json
import math
import struct
import time
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F

from model import CONFIG, DEVIATION, MEAN, Sam
from scenes import LEAST_AREA, SIDE, interior, make_scenes, sample_places

LOW = 4 * CONFIG["image"] // CONFIG["patch"]  # pixels on a side of the decoder's masks


def normalised(pictures, sizes):
    steps = torch.arange(SIDE, device=pictures.device)
    present = (steps[:, None] < sizes[:, 0, None, None]) & (steps < sizes[:, 1, None, None])
    # Channel by channel: a tensor of the constants would be copied to the GPU, which a recorded step may not do.
    channels = [(pictures[:, i] - MEAN[i]) / DEVIATION[i] * present for i in range(3)]
    return torch.stack(channels, 1)


def choose_objects(visible, most, generator):
    """Masks [batch * most, SIDE, SIDE] of `most` random shapes a scene, and which of them show enough of themselves to
    count: as many of either as there are places, so that a step can be recorded."""
    large = visible.flatten(2).sum(2) >= LEAST_AREA
    order = torch.rand(large.shape, generator=generator, device=large.device).masked_fill(~large, 2)
    chosen = order.argsort(1)[:, :most]
    places = chosen[..., None, None].expand(-1, -1, SIDE, SIDE)
    return visible.gather(1, places).flatten(0, 1), (order.gather(1, chosen) < 2).flatten()


def boxes_of(masks, generator):
    """Boxes [n, 2, 2] around masks [n, SIDE, SIDE], a few pixels off."""
    steps = torch.arange(SIDE, device=masks.device).float()
    corners = []
    for axis in (1, 2):
        on = masks.any(axis)  # by column, then by row
        low = torch.where(on, steps, torch.full_like(steps, SIDE)).amin(1)
        corners += [low, torch.where(on, steps, torch.full_like(steps, -1)).amax(1)]
    box = torch.stack([torch.stack([corners[0], corners[2]], -1), torch.stack([corners[1], corners[3]], -1)], 1)
    return (box + 6 * (torch.rand(box.shape, generator=generator, device=box.device) - 0.5)).clamp(0, SIDE - 1)


def make_prompts(masks, kind, generator):
    """Places and labels for all objects of one kind of prompt: "click", "points" or "box"."""
    inner = interior(masks)
    click = sample_places(inner, 1, generator)
    padding = torch.zeros_like(click)
    ones = torch.ones(len(masks), 1, dtype=torch.long, device=masks.device)
    if kind == "click":
        return torch.cat([click, padding], 1), torch.cat([ones, -ones], 1)
    if kind == "box":
        return boxes_of(masks, generator), torch.cat([2 * ones, 3 * ones], 1)
    wide = F.max_pool2d(masks[:, None].float(), (1, 41), 1, (0, 20))
    near = F.max_pool2d(wide, (41, 1), 1, (20, 0))[:, 0] - masks.float() + 1e-6
    beside = sample_places(near, 1, generator)
    return torch.cat([click, sample_places(inner, 1, generator), beside, padding], 1), \
        torch.cat([ones, ones, 0 * ones, -ones], 1)


def mask_losses(logits, target):
    """Cross entropy and dice of logits [n, masks, LOW, LOW] against target [n, LOW, LOW]: [n, masks]."""
    target = target[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focus = (logits.sigmoid() - target).abs().detach()
    chance = logits.sigmoid()
    dice = 1 - (2 * (chance * target).sum((2, 3)) + 1) / (chance.sum((2, 3)) + target.sum((2, 3)) + 1)
    return (entropy * (0.25 + focus)).mean((2, 3)) * 8 + dice


def true_iou(logits, target):
    got, wanted = logits > 0, (target > 0.5)[:, None]
    return (got & wanted).sum((2, 3)) / (got | wanted).sum((2, 3)).clamp(min=1)


def low_resolution(masks):
    return F.avg_pool2d(masks[:, None].float(), SIDE // LOW)[:, 0]


def coarse_logits(target, generator):
    """What an earlier, rough answer may have looked like: [n, 1, LOW, LOW]."""
    noise = torch.randn(target.shape, generator=generator, device=target.device)
    blurred = F.avg_pool2d(F.pad(target[:, None], (5,) * 4, mode="replicate"), 11, 1)
    return 16 * (blurred - 0.5) + 2 * F.avg_pool2d(F.pad(noise[:, None], (2,) * 4), 5, 1)


# Kinds of prompt, the share of each, and whether a rough earlier mask comes with it.
KINDS = (("click", 0.55, False), ("points", 0.20, False), ("box", 0.15, False), ("click", 0.10, True))


def divide(count, seed):
    """Places 0 to count - 1 divided among KINDS; as every step's scenes are new, the division may stay."""
    order, begin, parts = torch.randperm(count, generator=torch.Generator().manual_seed(seed)), 0, []
    for i, (_, share, _) in enumerate(KINDS):
        end = count if i + 1 == len(KINDS) else begin + round(share * count)
        parts.append(order[begin:end])
        begin = end
    return parts


def step_loss(model, scenes, generator, objects, parts):
    pictures, visible, sizes = scenes
    embedding = model.image_encoder(normalised(pictures, sizes))
    masks, counts = choose_objects(visible, objects, generator)
    target = low_resolution(masks)
    total = 0
    for (kind, _, prompted), chosen in zip(KINDS, parts):
        wanted = target[chosen]
        places, labels = make_prompts(masks[chosen], kind, generator)
        earlier = coarse_logits(wanted, generator) if prompted else None
        logits, predicted = model.decode(embedding[chosen // objects], places, labels, earlier)
        logits, predicted = logits.float(), predicted.float()
        losses = mask_losses(logits, wanted)
        # The best of several learns, and the others a little; the single mask always.
        several = losses[:, 1:]
        loss = several.min(1)[0] + 0.1 * several.mean(1) + losses[:, 0]
        loss = loss + F.mse_loss(predicted, true_iou(logits, wanted).detach(), reduction="none").mean(1) * 4
        total = total + (loss * counts[chosen]).sum()
    return total / counts.sum().clamp(min=1)


class Step:
    """One step of training. On a GPU it is recorded once as a CUDA graph and replayed: some 3000 small kernels, whose
    launches take longer than they do."""

    def __init__(self, options, model, optimiser, device, generator):
        parts = [part.to(device) for part in divide(options.batch * options.objects, options.seed)]

        def work():
            with torch.no_grad():
                scenes = make_scenes(options.batch, generator, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = step_loss(model, scenes, generator, options.objects, parts)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            return loss.detach()

        self.run = work
        if device.type != "cuda" or options.eager:
            return
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            loss = work()

        def replay():
            graph.replay()
            return loss

        self.run = replay


def train(options, model, device):
    generator = torch.Generator(device).manual_seed(options.seed)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    rate = torch.zeros((), device=device)
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0}],
                                  lr=rate, betas=(0.9, 0.98), **({"capturable": True} if device.type == "cuda" else {}))
    step = Step(options, model, optimiser, device, generator)
    begun = shown = time.monotonic()
    count = 0
    while True:
        share = (time.monotonic() - begun) / options.seconds
        if share >= 1 or (options.steps and count >= options.steps):
            break
        rate.fill_(options.rate * min(1, (count + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))))
        loss = step.run()
        count += 1
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{shown - begun:6.0f} s, step {count}, loss {loss.item():.4f}", flush=True)
        elif count % 20 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # the time is that of steps done, not of steps asked for
    return count


@torch.no_grad()
def masks_of_clicks(model, picture, size, places):
    """The original's postprocessing for one scene: of the three masks of each click the one predicted best."""
    height, width = int(size[0]), int(size[1])
    embedding = model.image_encoder(normalised(picture[None], size[None])).float()
    places = torch.cat([places[:, None], torch.zeros_like(places[:, None])], 1)
    labels = torch.tensor([[1, -1]], device=picture.device).expand(len(places), -1)
    logits, predicted = model.decode(embedding.expand(len(places), -1, -1, -1), places, labels)
    best = 1 + predicted[:, 1:].argmax(1)
    rows = torch.arange(len(places))
    large = F.interpolate(logits[rows, best][:, None].float(), (SIDE, SIDE), mode="bilinear", align_corners=False)
    return large[:, 0, :height, :width] > 0, predicted[rows, best]


def run_lengths(mask):
    flat = mask.T.flatten().to(torch.int8)
    edges = [0] + ((flat[1:] != flat[:-1]).nonzero()[:, 0] + 1).tolist() + [flat.numel()]
    counts = [b - a for a, b in zip(edges, edges[1:])]
    return ([] if flat[0] == 0 else [0]) + counts


def write_png(path, pixels):
    """pixels [height, width, 3], uint8."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


@torch.no_grad()
def evaluate(model, device, scenes, keep, out):
    """One click in each shape of held-out scenes: mean IoU with what is visible of it. Keeps the first `keep` scenes."""
    generator = torch.Generator(device).manual_seed(987654321)
    ious, kept = [], []
    while len(kept) < keep or len(ious) < 4 * scenes:
        pictures, visible, sizes = make_scenes(8, generator, device)
        for picture, shapes, size in zip(pictures, visible, sizes):
            shapes = shapes[shapes.flatten(1).sum(1) >= LEAST_AREA]
            if len(shapes) == 0:
                continue
            places = sample_places(interior(shapes), 1, generator)[:, 0]
            got, predicted = masks_of_clicks(model, picture, size, places)
            truth = shapes[:, :int(size[0]), :int(size[1])]
            iou = (got & truth).sum((1, 2)) / (got | truth).sum((1, 2))
            ious += iou.tolist()
            if len(kept) < keep:
                name = f"scene_{len(kept):02d}.png"
                write_png(out / name, picture[:, :int(size[0]), :int(size[1])].permute(1, 2, 0).to(torch.uint8).cpu())
                kept.append({"picture": name, "size": size.tolist(), "clicks": [
                    {"point": place.tolist(), "truth": run_lengths(t.cpu()), "mask": run_lengths(m.cpu()),
                     "predicted_iou": p.item(), "iou": i.item()} for place, t, m, p, i in zip(places, truth, got, predicted, iou)]})
        if len(ious) >= 4 * scenes and len(kept) >= keep:
            break
    return ious, kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--seconds", type=float, default=200, help="of training; the rate falls to its end")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps; 0: when the time is over")
    parser.add_argument("--batch", type=int, default=32, help="scenes a step")
    parser.add_argument("--objects", type=int, default=5, help="prompts a scene")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=200, help="held-out scenes, four clicks each on average")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--eager", action="store_true", help="launch every kernel by itself: four times slower")
    parser.add_argument("--resume", type=Path, help="go on from another run's DIR/sam_f32.pth")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    model = Sam()
    for name, p in model.named_parameters():
        if p.ndim > 1 and ("pos" in name or "token" in name or "embed" in name) and "patch" not in name:
            torch.nn.init.normal_(p, std=0.02)
    if options.resume:
        model.load_state_dict(torch.load(options.resume, map_location="cpu"))
    # The features of places must not change when they are stored in 16 bits.
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(buffer.half().float())
    model = model.to(device).train()
    steps = train(options, model, device)
    (options.out / "heldout").mkdir(parents=True, exist_ok=True)
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, options.out / "sam_f32.pth")
    half = {k: v.detach().cpu().half() for k, v in model.state_dict().items()}
    torch.save(half, options.out / "sam.pth")
    model.load_state_dict({k: v.float() for k, v in half.items()})  # judged as it is stored
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    ious, kept = evaluate(model.eval(), device, options.scenes, 5, options.out / "heldout")
    (options.out / "heldout/scenes.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n")
    report = {"steps": steps, "clicks": len(ious), "mean_iou": sum(ious) / len(ious),
              "share_above_0.5": sum(i > 0.5 for i in ious) / len(ious), "parameters": sum(p.numel() for p in model.parameters()),
              "torch": torch.__version__, "seconds": options.seconds, "batch": options.batch, "seed": options.seed}
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
