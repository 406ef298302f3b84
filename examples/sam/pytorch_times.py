#!/usr/bin/env python3
"""Times of the miniature in PyTorch (eager, f32): encoding a picture, and the masks of one click.

    python3 examples/sam/pytorch_times.py PICTURE X,Y [--threads 2] [--repeats 20] > pytorch.json

For `tenon report --baseline PyTorch=pytorch.json`. Needs torch (1.13 will do) and Pillow.
"""
import argparse
import json
import os
import statistics
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

MINIATURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "miniatures", "sam")
sys.path.insert(0, MINIATURE)
from model import CONFIG, DEVIATION, MEAN, Sam  # noqa: E402


def pixels_of(image):
    """Resized so that the longer side fills the square, normalised, padded: [1, 3, side, side]."""
    side, longest = CONFIG["image"], max(image.size)
    size = [int(length * side / longest + 0.5) for length in image.size]
    pixels = torch.from_numpy(np.array(image.resize(size, Image.BILINEAR))).permute(2, 0, 1).float()
    mean, deviation = (torch.tensor(c)[:, None, None] for c in (MEAN, DEVIATION))
    pixels = (pixels - mean) / deviation
    return F.pad(pixels, (0, side - size[0], 0, side - size[1]))[None], size


def median_of(repeats, work):
    seconds = []
    for _ in range(repeats + 2):
        begin = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[2:]), result  # the first two warm up


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture")
    parser.add_argument("point")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = Sam().eval()
    weights = torch.load(os.path.join(MINIATURE, "sam.pth"), map_location="cpu")
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    image = Image.open(options.picture).convert("RGB")
    side = CONFIG["image"]
    place = torch.tensor([float(n) for n in options.point.split(",")]) * side / max(image.size)
    places = torch.stack([place, torch.zeros(2)])[None]
    labels = torch.tensor([[1, -1]])

    def encode():
        pixels, size = pixels_of(image)
        return model.image_encoder(pixels), size

    encode_seconds, (embedding, size) = median_of(options.repeats, encode)

    def decode():
        logits, predicted = model.decode(embedding, places, labels)
        best = logits[:, 1 + int(predicted[0, 1:].argmax())][:, None]
        large = F.interpolate(best, (side, side), mode="bilinear", align_corners=False)[..., :size[1], :size[0]]
        return F.interpolate(large, image.size[::-1], mode="bilinear", align_corners=False) > 0

    mask_seconds, mask = median_of(options.repeats, decode)
    print(json.dumps({"verb": "run", "torch": torch.__version__, "threads": options.threads, "image": {"path": options.picture},
                      "pixels": int(mask.sum()),
                      "speed": {"encode_seconds": encode_seconds, "mask_seconds": mask_seconds, "repeats": options.repeats}}))


if __name__ == "__main__":
    main()
