"""Random Segment Anything checkpoints of the real shapes, made with transformers, and a child that runs a plan of them."""

import json
import os
import subprocess

# Fields of SamVisionConfig that differ from its defaults, which are those of ViT-B.
KINDS = {
    "vit-b": {},
    "vit-l": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, global_attn_indexes=[5, 11, 17, 23],
                  mlp_dim=4096),
    "vit-h": dict(hidden_size=1280, num_hidden_layers=32, num_attention_heads=16, global_attn_indexes=[7, 15, 23, 31],
                  mlp_dim=5120),
}
IMAGE = 1024
PADDING, BACKGROUND, FOREGROUND, BOX_FIRST, BOX_LAST = range(5)


def make_model(kind, seed=1, device="cuda"):
    """A SamModel in float32 whose every weight matters: norms, biases and positions are random, too."""
    import torch
    from transformers import SamConfig, SamModel, SamVisionConfig

    config = SamConfig(vision_config=SamVisionConfig(**KINDS[kind]).to_dict())
    torch.manual_seed(seed)
    with torch.device(device):
        model = SamModel(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn_like(value)
            if value.ndim == 1:
                value.copy_(1 + 0.1 * noise if name.endswith("weight") else 0.05 * noise)
            elif "rel_pos" in name or "pos_embed" in name:
                value.copy_(0.1 * noise)
            elif "embed" not in name:
                value.copy_(noise / value[0].numel() ** 0.5)
        # Of scale 1, as Meta's: transformers draws frequencies of hundreds of turns, where the f32 of a place already
        # costs 1e-4.
        frequencies = model.shared_image_embedding.positional_embedding
        frequencies.copy_(torch.randn_like(frequencies))
    return model


def save(model, folder):
    model.save_pretrained(folder)
    path = os.path.join(folder, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    if "architectures" not in config:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config | {"architectures": ["SamModel"]}, file)


class Plan:
    """A bench_sam process: one request a line, one JSON object back."""

    def __init__(self, program, plan, device="cuda"):
        self.process = subprocess.Popen([program, plan, "--device", device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.opened = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench_sam ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def to_text(value, depth=5, indent="\n"):
    """JSON that is broken into lines down to `depth` only: below it are rows of figures."""
    if depth == 0 or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    inner = indent + " "
    if isinstance(value, list):
        return "[" + inner + ("," + inner).join(to_text(item, depth - 1, inner) for item in value) + indent + "]"
    return "{" + inner + ("," + inner).join(
        json.dumps(key) + ": " + to_text(item, depth - 1, inner) for key, item in value.items()) + indent + "}"


def write_report(report, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(to_text(report) + "\n")


def build(tenon, folder, plan, dtype):
    """Seconds it took. The gate is left out: these scripts are stricter."""
    import time

    started = time.time()
    result = subprocess.run([tenon, "build", folder, "-o", plan, "--dtype", dtype, "--no-gate", "--quiet"],
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"tenon build {folder} --dtype {dtype}: {result.stderr[-1500:]}")
    return time.time() - started
