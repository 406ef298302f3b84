"""Segment Anything as PyTorch modules with the names of Meta's checkpoints, for training the miniature.

Written after the paper and the list of weights; sizes are small and given by `CONFIG`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {"image": 256, "patch": 8, "dim": 128, "depth": 4, "heads": 4, "window": 7, "global": (1, 3), "width": 128,
          "decoder_ffn": 512, "mask_channels": 16, "masks": 4}
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class LayerNorm2d(nn.Module):
    """Over the channels of [n, c, h, w]."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = x.float()
        x = x - x.mean(1, keepdim=True)
        x = x / torch.sqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class RelativeAttention(nn.Module):
    def __init__(self, dim, heads, side):
        super().__init__()
        self.heads, self.side = heads, side
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        steps = torch.arange(side)
        self.register_buffer("index", steps[:, None] - steps[None, :] + side - 1, persistent=False)

    def forward(self, x):  # [batch, side, side, dim]
        batch, side, _, dim = x.shape
        qkv = self.qkv(x).reshape(batch, side * side, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        grid = q.reshape(batch, self.heads, side, side, -1)
        by_row = torch.einsum("bhyxc,yic->bhyxi", grid, self.rel_pos_h[self.index].to(q.dtype))
        by_column = torch.einsum("bhyxc,xjc->bhyxj", grid, self.rel_pos_w[self.index].to(q.dtype))
        bias = (by_row[..., :, None] + by_column[..., None, :]).reshape(batch, self.heads, side * side, side * side)
        scores = q @ k.transpose(-1, -2) * (dim // self.heads) ** -0.5 + bias
        x = (scores.float().softmax(-1).to(v.dtype) @ v).transpose(1, 2)
        return self.proj(x.reshape(batch, side, side, dim))


class Mlp(nn.Module):
    def __init__(self, dim, inner, activation):
        super().__init__()
        self.lin1, self.lin2, self.activation = nn.Linear(dim, inner), nn.Linear(inner, dim), activation

    def forward(self, x):
        return self.lin2(self.activation(self.lin1(x)))


class EncoderBlock(nn.Module):
    def __init__(self, dim, heads, window, grid):
        super().__init__()
        self.window = window
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = RelativeAttention(dim, heads, window or grid)
        self.mlp = Mlp(dim, 4 * dim, F.gelu)

    def attend(self, x):
        if not self.window:
            return self.attn(x)
        batch, grid, _, dim = x.shape
        side, count = self.window, -(-grid // self.window)
        x = F.pad(x, (0, 0, 0, count * side - grid, 0, count * side - grid))
        x = x.reshape(batch, count, side, count, side, dim).transpose(2, 3).reshape(-1, side, side, dim)
        x = self.attn(x).reshape(batch, count, count, side, side, dim).transpose(2, 3)
        return x.reshape(batch, count * side, count * side, dim)[:, :grid, :grid]

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)


class ImageEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        grid = c["image"] // c["patch"]
        self.patch_embed = PatchEmbed(c["dim"], c["patch"])
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, c["dim"]))
        self.blocks = nn.ModuleList(EncoderBlock(c["dim"], c["heads"], 0 if i in c["global"] else c["window"], grid)
                                    for i in range(c["depth"]))
        self.neck = nn.Sequential(nn.Conv2d(c["dim"], c["width"], 1, bias=False), LayerNorm2d(c["width"]),
                                  nn.Conv2d(c["width"], c["width"], 3, padding=1, bias=False), LayerNorm2d(c["width"]))

    def forward(self, pixels):  # [batch, 3, image, image]
        x = self.patch_embed.proj(pixels).permute(0, 2, 3, 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


class Positions(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, places):  # in [0, 1]
        centred, matrix = 2 * places.float() - 1, self.positional_encoding_gaussian_matrix
        # No matrix product: autocast would round the phases to bf16.
        phases = 2 * math.pi * (centred[..., :1] * matrix[0] + centred[..., 1:] * matrix[1])
        return torch.cat([phases.sin(), phases.cos()], -1)


class PromptEncoder(nn.Module):
    """Labels: -1 padding, 0 beside the object, 1 on it, 2 and 3 corners of a box."""

    def __init__(self, c):
        super().__init__()
        width, channels = c["width"], c["mask_channels"]
        self.image, self.grid = c["image"], c["image"] // c["patch"]
        self.pe_layer = Positions(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed, self.no_mask_embed = nn.Embedding(1, width), nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, channels // 4, 2, 2), LayerNorm2d(channels // 4), nn.GELU(),
            nn.Conv2d(channels // 4, channels, 2, 2), LayerNorm2d(channels), nn.GELU(), nn.Conv2d(channels, width, 1))

    def points(self, places, labels):  # [prompts, points, 2] in pixels, [prompts, points]
        table = torch.cat([self.not_a_point_embed.weight] + [e.weight for e in self.point_embeddings])
        found = self.pe_layer((places + 0.5) / self.image) * (labels >= 0)[..., None]
        return found + table[labels + 1]

    def dense(self, masks, prompts):
        if masks is None:
            return self.no_mask_embed.weight[:, :, None, None].expand(prompts, -1, self.grid, self.grid)
        return self.mask_downscaling(masks)

    def cells(self):  # [1, grid * grid, width]
        steps = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self.pe_layer(torch.stack([x, y], -1)).flatten(0, 1)[None]


class Attention(nn.Module):
    def __init__(self, width, inner, heads=8):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q, k, v):
        q, k, v = (proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for proj, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v)))
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).float().softmax(-1).to(v.dtype)
        return self.out_proj((scores @ v).transpose(1, 2).flatten(2))


class TwoWayBlock(nn.Module):
    def __init__(self, width, ffn, first):
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, width)
        self.cross_attn_token_to_image = Attention(width, width // 2)
        self.cross_attn_image_to_token = Attention(width, width // 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(width) for _ in range(4))
        self.mlp = Mlp(width, ffn, F.relu)

    def forward(self, tokens, picture, original, cells):
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + original
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + original, picture + cells, picture))
        tokens = self.norm3(tokens + self.mlp(tokens))
        picture = self.norm4(picture + self.cross_attn_image_to_token(picture + cells, tokens + original, tokens))
        return tokens, picture


class Transformer(nn.Module):
    def __init__(self, width, ffn):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(width, ffn, i == 0) for i in range(2))
        self.final_attn_token_to_image = Attention(width, width // 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, picture, cells, original):
        tokens = original
        for layer in self.layers:
            tokens, picture = layer(tokens, picture, original, cells)
        seen = self.final_attn_token_to_image(tokens + original, picture + cells, picture)
        return self.norm_final_attn(tokens + seen), picture


class Perceptron(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MaskDecoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, masks = c["width"], c["masks"]
        self.masks = masks
        self.transformer = Transformer(width, c["decoder_ffn"])
        self.iou_token, self.mask_tokens = nn.Embedding(1, width), nn.Embedding(masks, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2), LayerNorm2d(width // 4), nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2), nn.GELU())
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron([width, width, width, width // 8]) for _ in range(masks))
        self.iou_prediction_head = Perceptron([width, width, width, masks])

    def forward(self, embedding, cells, sparse, dense):  # embedding [prompts, width, grid, grid]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], 1)
        picture = (embedding + dense).flatten(2).transpose(1, 2)
        tokens, picture = self.transformer(picture, cells, tokens)
        picture = picture.transpose(1, 2).reshape(embedding.shape)
        fine = self.output_upscaling(picture)
        weights = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1)
        return torch.einsum("pmc,pchw->pmhw", weights, fine), self.iou_prediction_head(tokens[:, 0])


class Sam(nn.Module):
    def __init__(self, config=None):
        super().__init__()
        c = config or CONFIG
        self.image_encoder, self.prompt_encoder, self.mask_decoder = ImageEncoder(c), PromptEncoder(c), MaskDecoder(c)

    def decode(self, embedding, places, labels, masks=None):
        """embedding [prompts, width, grid, grid] -> logits [prompts, masks, 4 grid, 4 grid], predicted IoU."""
        sparse = self.prompt_encoder.points(places, labels)
        dense = self.prompt_encoder.dense(masks, len(places))
        return self.mask_decoder(embedding, self.prompt_encoder.cells(), sparse, dense)
