"""The proof of full-size models on a GPU, for prove_full_size.py --device cuda.

For each random checkpoint: transformers computes float32 logits and greedy text from the tensors in GPU memory, while plans are built
from the files; then `prove_llm` runs each plan on the GPU (and the same plan file on the CPU), and everything is compared in float64.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))

# name -> how the checkpoint is made, its plans, and greedy tokens compared in f32. 16-bit plans are made from checkpoints
# stored in that type, as published ones are.
MODELS = {
    "gpt2-medium-f16": dict(make="gpt2-medium", dtype="f16", seed=2, outliers=0, precisions=["f16", "f32"], greedy=256),
    "gpt2-medium-f16-outliers": dict(make="gpt2-medium", dtype="f16", seed=2, outliers=6, precisions=["f16"], greedy=0),
    "gpt2-medium-bf16": dict(make="gpt2-medium", dtype="bf16", seed=2, outliers=0, precisions=["bf16"], greedy=0),
    "gpt2-medium-bf16-outliers": dict(make="gpt2-medium", dtype="bf16", seed=2, outliers=6, precisions=["bf16"], greedy=0),
    "llama-7b-f16": dict(make="llama-7b", dtype="f16", seed=1, outliers=0, precisions=["f16", "f32"], greedy=256),
    "llama-7b-f16-outliers": dict(make="llama-7b", dtype="f16", seed=1, outliers=6, precisions=["f16"], greedy=0),
    "llama-7b-bf16": dict(make="llama-7b", dtype="bf16", seed=1, outliers=0, precisions=["bf16"], greedy=0),
    "llama-7b-bf16-outliers": dict(make="llama-7b", dtype="bf16", seed=1, outliers=6, precisions=["bf16"], greedy=0),
}
LENGTHS = (64, 17, 130, 45)  # of the sequences: together they mix prompts and single tokens in many ways
MIXED_TOKENS = 24
# Steps of the mixed batch take at most this many tokens, so that prompts come in pieces beside drawn tokens.
STEP_TOKENS = 96
MOST_KLD = {"f16": 1e-4, "bf16": 1e-3}
MOST_F32_ERROR = 1e-4  # of the RMS of the logits
LEAST_SAME_TOP = 0.995
LEAST_CHANCE = 1e-3  # docs/adr/0005: what counts as fewer than that share, of so few rows


def make_sequences(vocabulary):
    import torch

    generator = torch.Generator().manual_seed(7)
    return [torch.randint(3, vocabulary - 1, (length,), generator=generator).tolist() for length in LENGTHS]


def reference_model(folder, tensors):
    """The transformers model in float32 with exactly these tensors."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    config = AutoConfig.from_pretrained(folder)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    state, tied = model.state_dict(), {"lm_head.weight"}
    unset = set(state) - set(tensors) - (tied if config.tie_word_embeddings else set())
    if unset or set(tensors) - set(state):
        raise RuntimeError(f"transformers names other tensors: {sorted(unset)[:3]}, {sorted(set(tensors) - set(state))[:3]}")
    for name, tensor in tensors.items():
        state[name].copy_(tensor)
    return model


def compare(got, reference):
    """Of logits [rows, vocabulary]; the measures of src/metrics, in float64."""
    import torch

    got, reference = got.double(), reference.double()
    rms = reference.pow(2).mean().sqrt()
    p = torch.log_softmax(reference, -1)
    kld = (p.exp() * (p - torch.log_softmax(got, -1))).sum(-1)
    top = reference.topk(2, -1)
    row_rms = reference.pow(2).mean(-1).sqrt()
    decided = top.values[:, 0] - top.values[:, 1] >= 0.01 * row_rms
    same = got.argmax(-1) == top.indices[:, 0]
    return {"rows": got.shape[0], "nonfinite": int((~got.isfinite()).sum()), "logits_rms": float(rms),
            "max_error_over_rms": float((got - reference).abs().max() / rms), "mean_kld": float(kld.mean()),
            "max_kld": float(kld.max()), "decided_rows": int(decided.sum()),
            "same_top": int(same[decided].sum()) / int(decided.sum()) if int(decided.sum()) else 1.0}


def within(figures, precision):
    if figures["nonfinite"]:
        return False
    if precision == "f32":
        return figures["max_error_over_rms"] <= MOST_F32_ERROR
    return figures["mean_kld"] <= MOST_KLD[precision] and chance_of(figures) >= LEAST_CHANCE


def chance_of(figures):
    """Of as many other top tokens or more, were the true share LEAST_SAME_TOP."""
    rows, p = figures["decided_rows"], 1 - LEAST_SAME_TOP
    others = round(rows * (1 - figures["same_top"]))
    return 1 - sum(math.comb(rows, i) * p**i * (1 - p) ** (rows - i) for i in range(others))


def first_difference(got, expected):
    return next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), min(len(got), len(expected)))


def run_json(command):
    started = time.time()
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {result.returncode}: {result.stderr[-1500:]}")
    return json.loads(result.stdout), time.time() - started


class Proof:
    def __init__(self, args, report):
        self.args, self.report = args, report
        self.lock, self.failures = threading.Lock(), []

    def save(self):
        with self.lock, open(self.args.out, "w", encoding="utf-8") as file:
            json.dump(self.report, file, indent=1)

    def make(self, name):
        """Writes the checkpoint and keeps its tensors on the GPU."""
        import reference_logits

        recipe = MODELS[name]
        folder = os.path.join(self.args.work, name)
        started = time.time()
        tensors = reference_logits.make_checkpoint(SimpleNamespace(
            make=recipe["make"], dtype=recipe["dtype"], seed=recipe["seed"], outliers=recipe["outliers"], out=folder,
            num_layers=self.args.num_layers))
        return folder, tensors, time.time() - started

    def reference(self, name, folder, tensors):
        import capture
        import torch

        started = time.time()
        model = reference_model(folder, tensors)
        sequences = make_sequences(model.config.vocab_size)
        with torch.no_grad():
            logits = torch.cat([model(input_ids=torch.tensor([ids], device="cuda"), use_cache=False).logits[0]
                                for ids in sequences])
            found = SimpleNamespace(logits=logits, sequences=sequences, greedy=[], margins=[])
            if MODELS[name]["greedy"]:
                ids, margins = capture.greedy(model, sequences[0], MODELS[name]["greedy"])
                found.greedy, found.margins = ids.tolist(), margins.tolist()
            # What transformers itself makes of it in the plan's type: the yardstick for what that type can do.
            model.to(tensors[next(iter(tensors))].dtype)
            own = torch.cat([model(input_ids=torch.tensor([ids], device="cuda"), use_cache=False).logits[0]
                             for ids in sequences])
        found.own = compare(own, logits)
        found.seconds = time.time() - started
        return found

    def build(self, folder, name, precision):
        plan = os.path.join(self.args.work, f"{name}.{precision}.plan")
        _, seconds = run_json([self.args.tenon, "build", folder, "-o", plan, "--dtype", precision, "--no-gate", "--json",
                               "--quiet", "--max-batch-size", "8"])
        return plan, seconds

    def prove_plan(self, plan, precision, ids, reference):
        """What the plan answers on the GPU and on the CPU, against the reference and each other."""
        import numpy
        import torch

        logits, entry = {}, {"precision": precision}
        for device in ("cuda", "cpu"):
            path = f"{plan}.{device}.logits"
            command = [self.args.prove_llm, plan, "--ids", ids, "--device", device, "--logits", path,
                       "--max-num-tokens", STEP_TOKENS]
            if device == "cuda":
                command += ["--mix", MIXED_TOKENS, "--repeat", self.args.repeats]
                command += ["--greedy", len(reference.greedy)] if precision == "f32" else []
            document, seconds = run_json(command)
            values = torch.from_numpy(numpy.fromfile(path, dtype=numpy.float32)).cuda()
            logits[device] = values.view(-1, reference.logits.shape[1])
            os.remove(path)
            entry[device] = {"against_transformers": compare(logits[device], reference.logits), "seconds": round(seconds, 2)}
            entry[device] |= {k: v for k, v in document.items() if k not in ("greedy_ids", "forced_digest")}
            if "greedy_ids" in document:
                entry["greedy_tokens"] = len(reference.greedy)
                entry["greedy_identical"] = first_difference(document["greedy_ids"], reference.greedy)
                entry["smallest_reference_margin"] = min(reference.margins)
        entry["cpu_against_cuda"] = compare(logits["cuda"], logits["cpu"])
        entry["checks"] = self.checks(entry, precision)
        entry["passed"] = all(entry["checks"].values())
        return entry

    @staticmethod
    def checks(entry, precision):
        cuda = entry["cuda"]
        mix, repeat = cuda["mix"], cuda["repeat"]
        checks = {
            "cuda_against_transformers": within(cuda["against_transformers"], precision),
            "cpu_against_transformers": within(entry["cpu"]["against_transformers"], precision),
            "cpu_against_cuda": within(entry["cpu_against_cuda"], precision),
            "same_bits_every_time": repeat["forced_digests"] == 1 and repeat["generation_digests"] == 1,
        }
        if precision == "f32":
            checks["greedy_text"] = entry.get("greedy_identical", 0) == entry.get("greedy_tokens", 0)
            checks["mixed_batch"] = mix["identical_texts"] == mix["sequences"] and mix["max_error_over_rms"] <= MOST_F32_ERROR
        else:
            checks["mixed_batch"] = mix["mean_kld"] <= MOST_KLD[precision]
        return checks

    def finish(self, name, folder, result, reference_box):
        """In a thread: builds while the reference is computed, then proves."""
        try:
            recipe = MODELS[name]
            plans = {p: self.build(folder, name, p) for p in recipe["precisions"]}
            reference = reference_box.get()
            ids = os.path.join(self.args.work, name + ".ids.json")
            with open(ids, "w", encoding="utf-8") as file:
                json.dump({"sequences": reference.sequences}, file)
            for precision, (plan, seconds) in plans.items():
                entry = {"build_seconds": round(seconds, 2)} | self.prove_plan(plan, precision, ids, reference)
                result["plans"].append(entry)
                print(json.dumps({"model": name, "precision": precision, "passed": entry["passed"], **entry["checks"],
                                  "mean_kld": entry["cuda"]["against_transformers"]["mean_kld"],
                                  "max_error_over_rms": entry["cuda"]["against_transformers"]["max_error_over_rms"],
                                  "greedy_identical": entry.get("greedy_identical")}), flush=True)
                self.save()
                if name not in self.args.keep or precision != recipe["dtype"]:
                    os.remove(plan)
            if name not in self.args.keep:
                shutil.rmtree(folder)
        except Exception as error:  # reported, and the other models go on
            self.failures.append(f"{name}: {error}")
            result["error"] = str(error)
            print(f"{name}: FAILED: {error}", flush=True)
            self.save()


class Box:
    """One value, handed from one thread to another."""

    def __init__(self):
        self.ready, self.value = threading.Event(), None

    def put(self, value):
        self.value = value
        self.ready.set()

    def get(self):
        self.ready.wait()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def prove(args, report):
    """Fills report["models"]; returns whether everything held."""
    import torch

    report["versions"] = {"torch": torch.__version__, "device": torch.cuda.get_device_name(0)}
    report["num_layers"] = args.num_layers or "all"
    report["models"] = []
    proof, before = Proof(args, report), None
    for name in args.models:
        folder, tensors, seconds = proof.make(name)
        result = {"model": name, "make_seconds": round(seconds, 1), "plans": []}
        report["models"].append(result)
        if before:
            before.join()  # two models at once are all that fits
        box = Box()
        before = threading.Thread(target=proof.finish, args=(name, folder, result, box))
        before.start()
        try:
            reference = proof.reference(name, folder, tensors)
            result["reference_seconds"] = round(reference.seconds, 1)
            result["transformers_in_that_type"] = reference.own
            box.put(reference)
        except Exception as error:
            box.put(error)
        del tensors
        torch.cuda.empty_cache()
    if before:
        before.join()
    proof.save()
    return not proof.failures and all(p["passed"] for m in report["models"] for p in m["plans"])
