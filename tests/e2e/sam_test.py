"""Segment Anything from the command line: build from a file of weights, masks of a picture, clear refusals."""
import json
import os
import struct
import zlib

import checkpoints
import tenon_case
from tenon_case import TenonCase, golden, main


def picture():
    return ("--image", golden("sam", "picture.png"))


def png(width, height, rows=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# From Meta's names to those of transformers' SamModel, as its conversion script maps them.
HF_NAMES = [("image_encoder.blocks.", "vision_encoder.layers."), ("image_encoder.neck.0", "vision_encoder.neck.conv1"),
            ("image_encoder.neck.1", "vision_encoder.neck.layer_norm1"), ("image_encoder.neck.2", "vision_encoder.neck.conv2"),
            ("image_encoder.neck.3", "vision_encoder.neck.layer_norm2"), ("patch_embed.proj", "patch_embed.projection"),
            ("image_encoder.", "vision_encoder."), (".norm_final_attn", ".layer_norm_final_attn"), (".norm", ".layer_norm"),
            ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
            (".point_embeddings.", ".point_embed."), ("mask_downscaling.0", "mask_embed.conv1"),
            ("mask_downscaling.1", "mask_embed.layer_norm1"), ("mask_downscaling.3", "mask_embed.conv2"),
            ("mask_downscaling.4", "mask_embed.layer_norm2"), ("mask_downscaling.6", "mask_embed.conv3"),
            ("output_upscaling.0", "upscale_conv1"), ("output_upscaling.1", "upscale_layer_norm"),
            ("output_upscaling.3", "upscale_conv2")]


def hf_name(name):
    if "hypernetworks" in name or "iou_prediction" in name:
        for part, new in ((".layers.0.", ".proj_in."), (".layers.1.", ".layers.0."), (".layers.2.", ".proj_out.")):
            if part in name:
                return name.replace(part, new)
    for part, new in HF_NAMES:
        name = name.replace(part, new)
    return name


class Sam(TenonCase):
    def setUp(self):
        super().setUp()
        self.plan = self.build(golden("sam", "model.safetensors"), "--dtype", "f32")

    def exists(self, name):
        return os.path.exists(self.path(name))

    def test_a_click_gives_a_mask(self):
        document = self.json("run", "--log-level", "warn", "--point", "20,18", self.plan, *picture(), "-o", "mask.png", "--overlay", "drawn.png",
                             "--rle", "masks.json")
        (mask,) = document["masks"]
        self.assertGreater(mask["area"], 0)
        self.assertEqual(mask["segmentation"]["size"], [50, 75])
        self.assertTrue(self.exists("mask.png") and self.exists("drawn.png"))
        printed = self.tenon("run", self.plan, *picture(), "--point", "20,18", "--sketch").stdout.splitlines()
        self.assertEqual({len(line) for line in printed[1:]}, {64})
        share = "".join(printed[1:]).count("#") / sum(map(len, printed[1:]))
        self.assertAlmostEqual(share, mask["area"] / (50 * 75), delta=0.1)
        with open(self.path("masks.json"), encoding="utf-8") as file:
            (record,) = json.load(file)
        self.assertEqual(record["segmentation"], mask["segmentation"])
        self.assertTrue(record["polygons"]["outer"])

    def test_three_masks_and_several_objects(self):
        document = self.json("run", self.plan, *picture(), "--point", "20,18", "--point", "3,3,0", "--multimask", "-o", "m.png")
        self.assertEqual(len(document["masks"]), 3)
        again = self.json("run", self.plan, *picture(), "--point", "20,18", "--point", "3,3,0", "--multimask", "--repeats", 3)
        self.assertEqual((again["masks"], again["speed"]["repeats"]), (document["masks"], 3))
        self.assertTrue(all(self.exists(f"m_{i}.png") for i in (1, 2, 3)))
        document = self.json("run", self.plan, *picture(), "--box", "10,5,30,30", "--box", "40,14,68,46")
        self.assertEqual([mask["object"] for mask in document["masks"]], [0, 1])

    def test_a_mask_is_a_prompt(self):
        prompt = ("--point", "20,18")
        (first,) = self.json("run", self.plan, *picture(), *prompt, "--logits", "first.f32")["masks"]
        (same,) = self.json("run", self.plan, *picture(), *prompt, "--mask-input", "first.f32", "--logits", "next.f32")["masks"]
        self.assertNotEqual(first["predicted_iou"], same["predicted_iou"])
        size = os.path.getsize(self.path("first.f32"))
        self.assertEqual(size, os.path.getsize(self.path("next.f32")))
        alone = self.json("run", self.plan, *picture(), "--mask-input", "first.f32", "--multimask", "--logits", "m.f32")["masks"]
        self.assertEqual(len(alone), 3)
        self.assertTrue(self.exists("m_3.f32"))
        self.write("short.f32", b"\0" * (size - 4))
        self.write("nan.f32", struct.pack("<f", float("nan")) * (size // 4))
        for name, code, message in (("short.f32", 3, f"{size - 4} bytes"), ("nan.f32", 3, "not finite"), ("none.f32", 3, "none.f32")):
            self.assertIn(message, self.tenon("run", self.plan, *picture(), *prompt, "--mask-input", name, code=code).stderr)
        boxes = ("--box", "1,1,9,9", "--box", "20,20,40,40")
        self.assertIn("--mask-input", self.tenon("run", self.plan, *picture(), *boxes, "--mask-input", "first.f32", code=2).stderr)
        self.assertIn("--logits", self.tenon("run", self.plan, *picture(), "--everything", "--logits", "x.f32", code=2).stderr)

    def test_forty_megapixels(self):
        # A grey picture with a white square, 40 megapixels in 120 KB.
        row, lit = b"\0" + b"\x50" * 24000, b"\0" + b"\x50" * 9000 + b"\xff" * 6000 + b"\x50" * 9000
        self.write("large.png", png(8000, 5000, row * 1500 + lit * 2000 + row * 1500))
        document = self.json("run", self.plan, "--image", "large.png", "--point", "4000,2500", "-o", "mask.png", "--rle", "mask.json")
        self.assertEqual((document["image"]["width"], document["image"]["height"]), (8000, 5000))
        self.assertEqual(document["masks"][0]["segmentation"]["size"], [5000, 8000])
        self.assertTrue(self.exists("mask.png"))

    def test_a_hugging_face_folder_is_the_same_model(self):
        tensors = checkpoints.read_safetensors(golden("sam", "model.safetensors"))
        renamed = {hf_name(name): tensor for name, tensor in tensors.items()}
        renamed["prompt_encoder.shared_embedding.positional_embedding"] = renamed["shared_image_embedding.positional_embedding"]
        os.mkdir(self.path("hf"))
        checkpoints.write_safetensors(self.path("hf/model.safetensors"), renamed)
        config = {"architectures": ["SamModel"], "model_type": "sam", "vision_config": {"hidden_act": "gelu"},
                  "mask_decoder_config": {"num_attention_heads": 8, "layer_norm_eps": 1e-5}, "prompt_encoder_config": {}, "initializer_range": 0.02}
        self.write("hf/config.json", json.dumps(config))
        plan = self.build("hf", "--dtype", "f32", name="hf.plan")
        arguments = [*picture(), "--point", "20,18", "--multimask"]
        self.assertEqual(self.json("run", plan, *arguments)["masks"], self.json("run", self.plan, *arguments)["masks"])
        # Left out it is what transformers' class says, not what Meta's does.
        del config["mask_decoder_config"]["layer_norm_eps"]
        self.write("hf/config.json", json.dumps(config))
        other = self.build("hf", "--dtype", "f32", name="other.plan")
        masks = [self.json("run", p, *arguments)["masks"] for p in (plan, other)]
        self.assertNotEqual(masks[0][0]["predicted_iou"], masks[1][0]["predicted_iou"])
        self.assertAlmostEqual(masks[0][0]["predicted_iou"], masks[1][0]["predicted_iou"], delta=1e-3)
        config["vision_config"]["hidden_act"] = "relu"
        self.write("hf/config.json", json.dumps(config))
        self.assertIn("hidden_act", self.tenon("build", "hf", "-o", "no.plan", code=4).stderr)

    def test_everything(self):
        with open(golden("sam", "everything.json"), encoding="utf-8") as file:
            options = json.load(file)[0]["options"]
        document = self.json("run", self.plan, *picture(), "--everything", "--points-per-side", options["points_per_side"],
                             "--pred-iou-thresh", -1, "--stability-score-thresh", 0, "--box-nms-thresh", 1)
        scores = [mask["predicted_iou"] for mask in document["masks"]]
        self.assertGreater(len(scores), 3)
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_pictures_that_are_none(self):
        source = golden("imaging", "baseline.jpg")
        with open(source, "rb") as file:
            whole = file.read()
        cases = {"cut.jpg": (whole[:-40], "truncated"), "text.png": (b"hello", "known format"),
                 "bomb.png": (png(60000, 60000), "60000 x 60000"), "short.png": (png(40, 40, b"\0" * 50), "truncated")}
        for name, (data, message) in cases.items():
            with self.subTest(name):
                self.write(name, data)
                result = self.tenon("run", self.plan, "--image", name, "--point", "1,1", "-o", "no.png", code=3)
                self.assertIn(message, result.stderr)
                self.assertIn(name, result.stderr)
                self.assertFalse(self.exists("no.png"))

    def test_small_and_odd_pictures(self):
        for name in ("one.png", "cmyk.jpg", "turned_6.jpg", "deep.png", "palette.png", "alpha.png"):
            with self.subTest(name):
                # The same mask as of the picture that Pillow makes of it.
                got, wanted = (self.json("run", self.plan, "--image", golden("imaging", name + end), "--point", "0,0", *options)
                               for end, options in (("", ("--overlay", "drawn.png")), (".expected.png", ())))
                self.assertEqual(got["masks"], wanted["masks"])
                self.assertTrue(self.exists("drawn.png"))
        self.assertEqual(got["image"]["format"], "png")

    def test_misuse(self):
        cases = [(["--point", "1,1"], "nothing to run on"), ([*picture()], "what to look for"),
                 ([*picture(), "--point", "1"], "--point"), ([*picture(), "--everything", "--box", "1,2,3,4"], "what to look for"),
                 (["--prompt", "a dog"], "takes pictures"), ([*picture(), "--point", "1,1", "--top-k", "4"], "--top-k"),
                 ([*picture(), "--everything", "--box-nms-thresh", "2"], "box-nms-thresh"),
                 ([*picture(), "--point", "1,1", "--points-per-side", "4"], "--everything")]
        for arguments, message in cases:
            with self.subTest(arguments):
                self.assertIn(message, self.tenon("run", self.plan, *arguments, code=2).stderr)
        self.assertIn("no language model", self.tenon("chat", self.plan, code=7).stderr)

    def test_places_outside_the_picture(self):
        with open(picture()[1], "rb") as file:
            width, height = struct.unpack(">II", file.read(24)[16:])
        size = f"{width} x {height}"
        for arguments in (["--point", f"{width + 1},5"], ["--point=-1,5"], ["--point", "nan,1"], ["--point", "1e308,1,0"],
                          ["--box", "30,30,10,40"], [f"--box={width + 1},0,{width + 9},9"], ["--box=1e9,1,2e9,2"],
                          ["--box", "1,1,nan,9"]):
            with self.subTest(arguments):
                error = self.tenon("run", self.plan, *picture(), *arguments, "-o", "no.png", code=3).stderr
                self.assertIn(size, error)
                self.assertFalse(self.exists("no.png"))
        for arguments in (["--point", f"{width},{height}"], ["--box=-9,-9,20,20"], ["--box", "5,5,5,9"]):
            self.tenon("run", self.plan, *picture(), *arguments)

    def test_language_plans_take_no_pictures(self):
        plan = self.build(tenon_case.miniature("llama"), "--no-gate", name="llama.plan")
        self.assertIn("--image", self.tenon("run", plan, "--prompt", "a", *picture(), code=2).stderr)
        self.assertIn("--prompt", self.tenon("run", plan, code=2).stderr)


if __name__ == "__main__":
    main()
