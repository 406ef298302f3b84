#!/usr/bin/env python3
"""Records what a torch module really computes, as one golden safetensors file.

In your own code:

    from capture import capture
    with capture(model, ["model.layers.*"], "golden.safetensors"):
        model(input_ids)

From the command line, for a Hugging Face causal language model folder:

    python3 tools/capture.py --model DIR --prompt-ids "1,2,3;4,5" --out golden.safetensors --layers "model.layers.*"

The file format is described in tests/golden/README.md. `tenon build --golden FILE` reads it.
"""

import argparse
import fnmatch
import json
import sys
import time

import torch
from safetensors import safe_open
from safetensors.torch import save_file

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def stored(tensor):
    """A contiguous host copy: floats as f32, integers as i32, so that a reader needs two types only."""
    tensor = tensor.detach()
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float32)
    elif not tensor.is_complex():
        if tensor.numel() and tensor.dtype == torch.int64:
            low, high = int(tensor.min()), int(tensor.max())
            if low < -(2**31) or high >= 2**31:
                raise ValueError(f"integers {low}..{high} do not fit in i32")
        tensor = tensor.to(torch.int32)
    else:
        raise ValueError("complex tensors have no golden form; capture their real and imaginary parts")
    return tensor.cpu().contiguous().clone()


def tensors_in(value, prefix=""):
    """(name, tensor) pairs of a nested result; the names are field names and positions joined by '.'."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, dict):  # also transformers' ModelOutput
        for key, item in value.items():
            yield from tensors_in(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from tensors_in(item, f"{prefix}.{index}" if prefix else str(index))


def base_metadata(module):
    parameter = next(module.parameters(), None)
    return {
        "format": "tenon-golden-1",
        "torch_version": torch.__version__,
        "model_class": type(module).__module__ + "." + type(module).__qualname__,
        "dtype": str(parameter.dtype).removeprefix("torch.") if parameter is not None else "none",
        "device": str(parameter.device) if parameter is not None else "none",
    }


class capture:
    """Context manager: every call of `module` inside it is recorded; the file is written at the end.

    Call 0 writes `input/<name>`, `output/<name>` and `layer/<module path>`; call k > 0 appends `#k` to each name.
    A module with several output tensors writes `layer/<path>` (the first) and `layer/<path>.<n>` (the others).
    With path None nothing is written and the tensors stay in `.tensors`, the timings in `.times_ms`.
    """

    def __init__(self, module, patterns=("*",), path=None, metadata=None):
        self.module, self.path = module, path
        self.patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        self.metadata = dict(metadata or {})
        self.tensors, self.times_ms = {}, {}
        self.calls, self.depth, self.handles, self.started = 0, 0, [], {}

    def __enter__(self):
        named = [(n, m) for n, m in self.module.named_modules() if n]
        matched = [(n, m) for n, m in named if any(fnmatch.fnmatchcase(n, p) for p in self.patterns)]
        if self.patterns and not matched:
            raise ValueError(f"no module path matches {self.patterns}; there is for example {[n for n, _ in named[:5]]}")
        hooks = [("", self.module)] + matched
        for name, module in hooks:
            self.handles.append(module.register_forward_pre_hook(self._before(name), with_kwargs=True))
            self.handles.append(module.register_forward_hook(self._after(name), with_kwargs=True))
        return self

    def __exit__(self, kind, value, trace):
        for handle in self.handles:
            handle.remove()
        if kind is None and self.path is not None:
            self.save(self.path)

    def save(self, path):
        metadata = base_metadata(self.module) | self.metadata
        metadata |= {f"time_ms/{name}": f"{ms:.4f}" for name, ms in self.times_ms.items()}
        save_file(self.tensors, path, metadata={k: str(v) for k, v in metadata.items()})

    def _now(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() * 1e3

    def _key(self, name):
        return name if self.calls == 0 else f"{name}#{self.calls}"

    def _before(self, name):
        def hook(module, args, kwargs):
            if name == "":
                for key, tensor in [*tensors_in(args), *tensors_in(kwargs)]:
                    self.tensors[self._key(f"input/{key}")] = stored(tensor)
            self.started[name] = self._now()

        return hook

    def _after(self, name):
        def hook(module, args, kwargs, output):
            elapsed = self._now() - self.started[name]
            self.times_ms[self._key(name or "total")] = elapsed
            for index, (key, tensor) in enumerate(tensors_in(output)):
                if name == "":
                    label = f"output/{key}" if key else "output/0"
                else:
                    label = f"layer/{name}" if index == 0 else f"layer/{name}.{index}"
                self.tensors[self._key(label)] = stored(tensor)
            if name == "":
                self.calls += 1

        return hook


def run_sequences(model, sequences, patterns=(), keep_logits=True):
    """Teacher-forced pass over each sequence alone (no padding), results joined along the token axis."""
    device = next(model.parameters()).device
    offsets, logits, layers, times = [0], [], {}, {}
    for sequence in sequences:
        offsets.append(offsets[-1] + len(sequence))
        with torch.no_grad(), capture(model, list(patterns)) as record:
            out = model(input_ids=torch.tensor([sequence], device=device), use_cache=False)
        if keep_logits:
            logits.append(stored(out.logits[0]))
        for name, tensor in record.tensors.items():
            if name.startswith("layer/"):
                if tensor.dim() < 2 or tuple(tensor.shape[:2]) != (1, len(sequence)):
                    continue  # not [1, tokens, ...]: cannot be joined along the token axis
                layers.setdefault(name, []).append(tensor[0])
        for name, ms in record.times_ms.items():
            times[name] = times.get(name, 0.0) + ms
    tensors = {
        "ids": torch.tensor([t for s in sequences for t in s], dtype=torch.int32),
        "seq_offsets": torch.tensor(offsets, dtype=torch.int32),
    }
    if keep_logits:
        tensors["logits"] = torch.cat(logits)
    tensors |= {name: torch.cat(parts) for name, parts in layers.items() if len(parts) == len(sequences)}
    return tensors, times


def greedy(model, prompt, count):
    """`count` greedy tokens after `prompt`, end-of-sequence ignored: (ids i32 [count], margin f32 [count]).

    margin is the distance between the two highest logits, so a reader knows which steps a small error may flip.
    """
    device = next(model.parameters()).device
    step, past, ids, margins = torch.tensor([prompt], device=device), None, [], []
    with torch.no_grad():
        for _ in range(count):
            out = model(input_ids=step, past_key_values=past, use_cache=True)
            past = out.past_key_values
            top = torch.topk(out.logits[0, -1].float(), 2)
            ids.append(int(top.indices[0]))
            margins.append(float(top.values[0] - top.values[1]))
            step = torch.tensor([[ids[-1]]], device=device)
    return torch.tensor(ids, dtype=torch.int32), torch.tensor(margins, dtype=torch.float32)


def read_sequences(path):
    """The sequences of any file that holds `ids` and `seq_offsets`."""
    with safe_open(path, framework="pt") as file:
        ids, offsets = file.get_tensor("ids").tolist(), file.get_tensor("seq_offsets").tolist()
    return [ids[a:b] for a, b in zip(offsets, offsets[1:])]


def parse_prompts(text):
    """'1,2,3;4,5', or the name of a .json file with a list of lists, or of a .safetensors file."""
    if text.endswith(".safetensors"):
        return read_sequences(text)
    if text.endswith(".json"):
        with open(text, encoding="utf-8") as file:
            return json.load(file)
    return [[int(t) for t in part.replace(",", " ").split()] for part in text.split(";")]


def load_causal_lm(path, dtype="f32", device="cpu"):
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=DTYPES[dtype], attn_implementation="eager")
    return model.to(device).eval()


def write_golden(model, sequences, patterns, path, greedy_tokens=0, extra=None):
    """The whole golden file of a causal language model."""
    import transformers

    tensors, times = run_sequences(model, sequences, patterns)
    metadata = base_metadata(model) | {"transformers_version": transformers.__version__} | (extra or {})
    if greedy_tokens:
        started = time.perf_counter()
        tensors["greedy.ids"], tensors["greedy.margin"] = greedy(model, sequences[0], greedy_tokens)
        times["greedy"] = (time.perf_counter() - started) * 1e3
    metadata |= {f"time_ms/{name}": f"{ms:.4f}" for name, ms in times.items()}
    save_file(tensors, path, metadata=metadata)
    return tensors


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a Hugging Face causal language model")
    parser.add_argument("--prompt-ids", required=True, help="'1,2,3;4,5', or FILE.json, or FILE.safetensors")
    parser.add_argument("--out", required=True)
    parser.add_argument("--layers", action="append", default=[], help="module path pattern, may be repeated")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--greedy", type=int, default=0, help="greedy tokens after the first sequence")
    args = parser.parse_args(argv)
    model = load_causal_lm(args.model, args.dtype, args.device)
    tensors = write_golden(model, parse_prompts(args.prompt_ids), args.layers, args.out, args.greedy)
    for name, tensor in tensors.items():
        print(f"{name:40} {str(tensor.dtype).removeprefix('torch.'):8} {list(tensor.shape)}")


if __name__ == "__main__":
    main(sys.argv[1:])
