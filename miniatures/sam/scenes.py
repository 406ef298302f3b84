"""Generated scenes: shapes of one colour each before a shaded ground, with the visible part of every shape known."""

import math

import torch
import torch.nn.functional as F

SIDE, SHAPES = 256, 7
LEAST_AREA = 350  # pixels a shape must show to be asked for


def inside(kind, u, v, spikes):
    """Shapes of size 1: ellipse, box, diamond, triangle, star, ring."""
    radius, angle = torch.sqrt(u * u + v * v), torch.atan2(v, u)
    forms = [radius < 1, torch.maximum(u.abs(), v.abs()) < 0.9, u.abs() + v.abs() < 1.15,
             (v < 0.75) & (v > 2 * u.abs() - 1.1), radius < 0.75 + 0.25 * torch.cos(spikes * angle),
             (radius < 1) & (radius > 0.5)]
    chosen = torch.zeros_like(u, dtype=torch.bool)
    for i, form in enumerate(forms):
        chosen |= form & (kind == i)
    return chosen


def make_scenes(batch, generator, device):
    """Pictures [batch, 3, SIDE, SIDE] in 0 to 255 as whole numbers, visible masks [batch, SHAPES, SIDE, SIDE], and the
    sizes [batch, 2] (height, width) of what is no padding: beyond them pictures are zero and masks empty."""
    def rand(*shape):
        return torch.rand(*shape, generator=generator, device=device)

    steps = torch.arange(SIDE, device=device) + 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    column = (batch, SHAPES, 1, 1)
    size = 16 + 58 * rand(*column) ** 1.5
    stretch, turn = 0.55 + 0.9 * rand(*column), 2 * math.pi * rand(*column)
    dx, dy = x - SIDE * rand(*column), y - SIDE * rand(*column)
    u = (dx * torch.cos(turn) + dy * torch.sin(turn)) / size
    v = (dy * torch.cos(turn) - dx * torch.sin(turn)) / (size * stretch)
    kind = (rand(*column) * 6).long()
    masks = inside(kind, u, v, 3 + (rand(*column) * 4).long())
    masks &= torch.arange(SHAPES, device=device)[:, None, None] < 2 + (rand(batch, 1, 1, 1) * (SHAPES - 1)).long()

    height = torch.where(rand(batch) < 0.35, 144 + (rand(batch) * 100).long(), SIDE)
    width = torch.where((rand(batch) < 0.35) & (height == SIDE), 144 + (rand(batch) * 100).long(), SIDE)
    present = (y < height[:, None, None]) & (x < width[:, None, None])

    ground = 255 * rand(batch, 3, 1, 1)
    slope = 0.25 * (rand(batch, 3, 1, 1) - 0.5) * (x + y) + 18 * torch.sin(x * (0.02 + 0.15 * rand(batch, 1, 1, 1)) + 6 * rand(batch, 1, 1, 1))
    picture = ground + slope
    colours, shade = 255 * rand(batch, SHAPES, 3, 1, 1), 40 * (rand(batch, SHAPES, 1, 1, 1) - 0.5)
    visible = []
    for i in range(SHAPES):
        picture = torch.where(masks[:, i, None], colours[:, i] + shade[:, i] * v[:, i, None].clamp(-1, 1), picture)
        above = masks[:, i + 1:].any(1) if i + 1 < SHAPES else torch.zeros_like(present)
        visible.append(masks[:, i] & ~above & present)
    picture = picture + (4 + 10 * rand(batch, 1, 1, 1)) * torch.randn(picture.shape, generator=generator, device=device)
    picture = picture.clamp(0, 255).round() * present[:, None]
    return picture, torch.stack(visible, 1), torch.stack([height, width], 1)


def interior(masks, reach=2):
    """Pixels of masks [n, SIDE, SIDE] whose neighbourhood is inside, too; the whole mask where there are none."""
    eroded = -F.max_pool2d(-F.pad(masks[:, None].float(), (reach,) * 4), 2 * reach + 1, 1)[:, 0]
    return torch.where(eroded.flatten(1).any(1)[:, None, None], eroded, masks.float())


def sample_places(weights, count, generator):
    """Random pixels [n, count, 2] as (x, y), each where weights [n, SIDE, SIDE] are 1, or where all are small anywhere."""
    chances = torch.rand(len(weights), count, SIDE * SIDE, generator=generator, device=weights.device)
    index = (weights.flatten(1)[:, None] * chances).argmax(2)
    return torch.stack([index % SIDE, index // SIDE], -1).float()
