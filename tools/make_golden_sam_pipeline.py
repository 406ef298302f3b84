#!/usr/bin/env python3
"""Writes build/golden/sam/{picture.png,predictions.safetensors,everything.json}: what Meta's SamPredictor and
SamAutomaticMaskGenerator make of a small picture with the tiny checkpoint of make_golden_sam.py.

    python3 tools/make_golden_sam_pipeline.py --segment-anything CLONE

With --miniature: miniatures/sam/heldout/everything.json, all masks of two held-out scenes by Meta's generator.

Needs torch (1.13 will do), Pillow and a clone of facebookresearch/segment-anything, which is run and not copied. What its
package takes from torchvision and OpenCV is written here anew, after their documentation.
"""

import argparse
import json
import random
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import make_golden_sam

WIDTH, HEIGHT = 75, 50


def batched_nms(boxes, scores, classes, iou_threshold):
    order = torch.sort(scores, stable=True, descending=True)[1].tolist()
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for i in order:
        left, right = torch.maximum(boxes[i, :2], boxes[kept, :2]), torch.minimum(boxes[i, 2:], boxes[kept, 2:])
        both = (right - left).clamp(min=0).prod(1)
        if not (both / (area[i] + area[kept] - both) > iou_threshold).any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def connected_components(mask, connectivity):
    """cv2.connectedComponentsWithStats: labels in the order of first pixels; the last column of stats is the area."""
    assert connectivity == 8
    labels, areas = np.zeros(mask.shape, np.int32), [int((mask == 0).sum())]
    for y, x in zip(*np.nonzero(mask)):
        if labels[y, x]:
            continue
        areas.append(0)
        labels[y, x] = len(areas) - 1
        todo = [(y, x)]
        while todo:
            v, u = todo.pop()
            areas[-1] += 1
            for b in range(max(v - 1, 0), min(v + 2, mask.shape[0])):
                for a in range(max(u - 1, 0), min(u + 2, mask.shape[1])):
                    if mask[b, a] and not labels[b, a]:
                        labels[b, a] = len(areas) - 1
                        todo.append((b, a))
    return len(areas), labels, np.array(areas)[:, None], None


def stand_ins():
    def module(name, **members):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)

    module("torchvision"), module("torchvision.ops"), module("torchvision.transforms")
    module("torchvision.ops.boxes", batched_nms=batched_nms,
           box_area=lambda boxes: (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    module("torchvision.transforms.functional", to_pil_image=Image.fromarray,
           resize=lambda image, size: image.resize((size[1], size[0]), Image.BILINEAR))
    module("cv2", connectedComponentsWithStats=connected_components)


def picture():
    source = random.Random(3)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = (90, 120, 60)
    for colour, (x, y, r) in (((220, 40, 30), (20, 18, 12)), ((30, 60, 210), (52, 30, 15)), ((240, 230, 90), (56, 10, 6))):
        for v in range(HEIGHT):
            for u in range(WIDTH):
                if (u - x) ** 2 + (v - y) ** 2 < r * r:
                    pixels[v, u] = colour
    grain = np.array([source.randrange(-12, 13) for _ in range(pixels.size)]).reshape(pixels.shape)
    return np.clip(pixels.astype(int) + grain, 0, 255).astype(np.uint8)


def predictions(predictor):
    """Every prompt form of the original: logits at the picture's size, scores and small masks."""
    stored = {}

    def keep(name, **prompt):
        masks, scores, low = predictor.predict(return_logits=True, **prompt)
        for key, value in (("masks", masks), ("iou", scores), ("low", low)):
            stored[f"{name}.{key}"] = torch.from_numpy(np.ascontiguousarray(value)).float()
        return low

    point, label = np.array([[20.0, 18.0]]), np.array([1])
    low = keep("point", point_coords=point, point_labels=label)
    keep("point_single", point_coords=point, point_labels=label, multimask_output=False)
    keep("points", point_coords=np.array([[52.0, 30.5], [3.25, 47.0]]), point_labels=np.array([1, 0]))
    keep("box", box=np.array([40.0, 14.0, 68.0, 46.5]), multimask_output=False)
    keep("both", point_coords=np.array([[52.0, 30.0]]), point_labels=np.array([0]), box=np.array([30.0, 2.0, 70.0, 48.0]))
    keep("mask", mask_input=low[1:2])
    keep("refined", point_coords=point, point_labels=label, mask_input=low[2:3], multimask_output=False)
    return stored


# Random weights give masks all over the picture; above this threshold they are small and many.
MASK_THRESHOLD = 1.3
SETS = [
    {"points_per_side": 5, "points_per_batch": 7, "pred_iou_thresh": -1.0, "stability_score_thresh": 0.4,
     "stability_score_offset": 0.1, "box_nms_thresh": 1.0},
    {"points_per_side": 8, "points_per_batch": 10, "pred_iou_thresh": -1.0, "stability_score_thresh": 0.5,
     "stability_score_offset": 0.1},
    {"points_per_side": 6, "pred_iou_thresh": -10.0, "stability_score_thresh": 0.3, "stability_score_offset": 0.1,
     "box_nms_thresh": 0.8, "crop_n_layers": 1, "crop_n_points_downscale_factor": 2, "crop_nms_thresh": 0.6},
    {"points_per_side": 6, "pred_iou_thresh": -10.0, "stability_score_thresh": 0.4, "stability_score_offset": 0.1,
     "box_nms_thresh": 0.8, "crop_nms_thresh": 0.7, "min_mask_region_area": 12},
]


def everything(model, generator_class, pixels):
    found = []
    model.mask_threshold = MASK_THRESHOLD
    for options in SETS:
        masks = generator_class(model, output_mode="uncompressed_rle", **options).generate(pixels)
        found.append({"options": options, "mask_threshold": MASK_THRESHOLD, "masks": masks})
        print(options, len(masks), "masks")
    return found


def miniature_model(modeling):
    encoder = modeling.ImageEncoderViT(
        img_size=256, patch_size=8, embed_dim=128, depth=4, num_heads=4, mlp_ratio=4, out_chans=128, qkv_bias=True,
        norm_layer=lambda size: torch.nn.LayerNorm(size, eps=1e-6), use_rel_pos=True, window_size=7, global_attn_indexes=[1, 3])
    prompt = modeling.PromptEncoder(embed_dim=128, image_embedding_size=(32, 32), input_image_size=(256, 256), mask_in_chans=16)
    decoder = modeling.MaskDecoder(
        transformer_dim=128, num_multimask_outputs=3, iou_head_depth=3, iou_head_hidden_dim=128,
        transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=128, mlp_dim=512, num_heads=8))
    return modeling.Sam(encoder, prompt, decoder)


def write_miniature(modeling, generator_class, folder):
    """Scenes whose masks are few and clear, with thresholds that a small model passes."""
    model = miniature_model(modeling).eval()
    model.load_state_dict({name: value.float() for name, value in torch.load(folder / "sam.pth").items()}, strict=False)
    options = {"points_per_side": 16, "pred_iou_thresh": 0.8, "stability_score_thresh": 0.9, "stability_score_offset": 1.0}
    found = []
    for name in ("scene_00.png", "scene_01.png"):
        pixels = np.array(Image.open(folder / "heldout" / name))
        masks = generator_class(model, output_mode="uncompressed_rle", **options).generate(pixels)
        found.append({"picture": name, "options": options, "masks": masks})
        print(name, len(masks), "masks")
    (folder / "heldout/everything.json").write_text(json.dumps(found) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segment-anything", required=True, type=Path, help="a clone of Meta's repository")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "build/golden/sam")
    parser.add_argument("--miniature", action="store_true", help="the miniature's scenes instead of the tiny checkpoint")
    options = parser.parse_args()
    stand_ins()
    sys.path.insert(0, str(options.segment_anything))
    from segment_anything import SamAutomaticMaskGenerator, SamPredictor, modeling

    torch.set_grad_enabled(False)
    if options.miniature:
        write_miniature(modeling, SamAutomaticMaskGenerator, Path(__file__).parent.parent / "miniatures/sam")
        return
    model = make_golden_sam.make_model(modeling).eval()
    model.load_state_dict({name: value.float() for name, value in
                           make_golden_sam.read_safetensors(options.out / "model.safetensors").items()}, strict=False)
    pixels = picture()
    Image.fromarray(pixels).save(options.out / "picture.png")
    predictor = SamPredictor(model)
    predictor.set_image(pixels)
    stored = predictions(predictor)
    stored["pixels"] = model.preprocess(torch.as_tensor(predictor.transform.apply_image(pixels)).permute(2, 0, 1)[None].float())[0] \
        .permute(1, 2, 0)
    make_golden_sam.write_safetensors(options.out / "predictions.safetensors", stored, {"torch": torch.__version__})
    (options.out / "everything.json").write_text(json.dumps(everything(model, SamAutomaticMaskGenerator, pixels)) + "\n")


if __name__ == "__main__":
    main()
