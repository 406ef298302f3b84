#!/usr/bin/env python3
"""Contract of the miniatures: python3 miniatures/test_miniatures.py. Needs numpy for the forward passes, nothing else."""
import hashlib
import json
import struct
import unittest

import micro_world
from micro_world import HERE, SEPARATOR, first_sentence, heldout_stories, story
from rouge import mean_rouge, rouge

try:
    import numpy as np
except ImportError:
    np = None

ARCHS = ("llama", "gpt2")


def heldout():
    return [json.loads(line) for line in (HERE / "heldout.jsonl").read_text(encoding="utf-8").splitlines()]


def reference(arch):
    return json.loads((HERE / arch / "reference.json").read_text(encoding="utf-8"))


def config(arch):
    return json.loads((HERE / arch / "config.json").read_text())


def load_weights(arch):
    """-> {name: f32 array}, bf16 widened exactly"""
    raw = (HERE / arch / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header, tensors = json.loads(raw[8:8 + size]), {}
    assert header.pop("__metadata__") == {"format": "pt"}
    for name, entry in header.items():
        assert entry["dtype"] == "BF16", name
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        wide = np.frombuffer(raw[begin:end], dtype="<u2").astype(np.uint32) << 16
        tensors[name] = wide.view(np.float32).reshape(entry["shape"])
    return tensors


def attend(q, k, v):
    """q k v [heads, tokens, head_dim] -> [tokens, heads * head_dim], causal"""
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones(scores.shape[1:], bool)), scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    out = (p / p.sum(-1, keepdims=True)) @ v
    return out.transpose(1, 0, 2).reshape(q.shape[1], -1)


def split_heads(x, heads):
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def rotate(x):
    """x [heads, tokens, head_dim]; pairs (i, i + head_dim / 2)"""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] * 10000.0 ** (-np.arange(half) / half)
    c, s, a, b = np.cos(angle), np.sin(angle), x[..., :half], x[..., half:]
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def llama_logits(w, c, ids):
    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * w[name + ".weight"]

    x = w["model.embed_tokens.weight"][ids].astype(np.float64)
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        h = norm(x, p + "input_layernorm")
        q, k, v = (h @ w[p + f"self_attn.{n}_proj.weight"].T for n in "qkv")
        k, v = (split_heads(t, kv_heads).repeat(heads // kv_heads, axis=0) for t in (k, v))
        q = rotate(split_heads(q, heads))
        x = x + attend(q, rotate(k), v) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm")
        gate = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    return norm(x, "model.norm") @ w["lm_head.weight"].T


def gpt2_logits(w, c, ids):
    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + c["layer_norm_epsilon"])
        return x * w[name + ".weight"] + w[name + ".bias"]

    def conv1d(x, name):  # stored [in, out]
        return x @ w[name + ".weight"] + w[name + ".bias"]

    x = w["transformer.wte.weight"][ids].astype(np.float64) + w["transformer.wpe.weight"][:len(ids)]
    for layer in range(c["n_layer"]):
        p = f"transformer.h.{layer}."
        q, k, v = np.split(conv1d(norm(x, p + "ln_1"), p + "attn.c_attn"), 3, axis=-1)
        x = x + conv1d(attend(*(split_heads(t, c["n_head"]) for t in (q, k, v))), p + "attn.c_proj")
        h = conv1d(norm(x, p + "ln_2"), p + "mlp.c_fc")
        x = x + conv1d(0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h ** 3))), p + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T


LOGITS = {"llama": llama_logits, "gpt2": gpt2_logits}


class MicroWorld(unittest.TestCase):
    def test_heldout_is_what_the_generator_writes(self):
        self.assertEqual(heldout(), heldout_stories())

    def test_no_seed_belongs_to_both_sides(self):
        for seed in range(5000):
            self.assertFalse(story(seed) and story(seed, heldout=True), seed)

    def test_no_heldout_text_is_drawn_for_training(self):
        texts = {row["article"] for row in heldout()}
        self.assertEqual(len(texts), micro_world.HELDOUT_STORIES)
        self.assertFalse(any(article in texts for article, _ in micro_world.training_stories(0, 5000)))

    def test_every_field_is_filled_and_every_story_has_5_to_9_sentences(self):
        for article, highlights in micro_world.training_stories(0, 5000):
            self.assertNotRegex(article + highlights, r"[{}]|  |\bNone\b")
            self.assertTrue(5 <= len([c for c in article.replace("?", ".") if c == "."]) <= 9, article)

    def test_copying_the_first_sentence_is_a_bad_summary(self):
        pairs = [(first_sentence(row["article"]), row["highlights"]) for row in heldout()]
        self.assertLess(mean_rouge(pairs)["rouge1"], 30)


class Rouge(unittest.TestCase):
    def test_by_hand(self):
        scores = rouge("the cat sat", "The cat, it sat!")  # 3 of 3 and 3 of 4; bigrams 1 of 2 and 1 of 3
        self.assertAlmostEqual(scores["rouge1"], 6 / 7)
        self.assertAlmostEqual(scores["rouge2"], 2 / 5)
        self.assertAlmostEqual(scores["rougeL"], 6 / 7)
        self.assertEqual(rouge("", "a b")["rouge1"], 0)
        self.assertAlmostEqual(rouge("b a", "a b")["rougeL"], 0.5)


class Checkpoints(unittest.TestCase):
    def test_reference_belongs_to_these_files(self):
        for arch in ARCHS:
            weights = (HERE / arch / "model.safetensors").read_bytes()
            self.assertLessEqual(len(weights), 4_000_000)
            self.assertEqual(reference(arch)["weights_sha256"], hashlib.sha256(weights).hexdigest())
            stories = (HERE / "heldout.jsonl").read_bytes()
            self.assertEqual(reference(arch)["heldout_sha256"], hashlib.sha256(stories).hexdigest())

    def test_bars(self):
        for arch in ARCHS:
            r = reference(arch)
            self.assertGreaterEqual(r["rouge"]["rouge1"], 50)
            self.assertGreaterEqual(r["rouge"]["rouge1"], r["lead1_rouge"]["rouge1"] + 20)
            self.assertLess(r["longest_document"], 256)

    def test_stated_rouge_follows_from_the_stated_texts(self):
        for arch in ARCHS:
            r = reference(arch)
            pairs = [(g["text"], row["highlights"]) for g, row in zip(r["generated_first_50"], heldout())]
            for name, value in mean_rouge(pairs).items():
                self.assertAlmostEqual(value, r["rouge_first_50"][name], places=9)

    @unittest.skipIf(np is None, "skip: numpy is not installed")
    def test_an_independent_forward_gives_the_stated_nll_and_summary(self):
        for arch in ARCHS:
            w, c, r = load_weights(arch), config(arch), reference(arch)
            for document in range(3):
                ids = np.array(r["ids_first_20"][document])
                logits = LOGITS[arch](w, c, ids)
                shifted = logits - logits.max(-1, keepdims=True)
                log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
                nll = -log_p[np.arange(len(ids) - 1), ids[1:]].sum()
                self.assertEqual(r["nll_tokens"][document], len(ids) - 1)
                # f64 here, f32 there: one rounding (6e-8) of a logit of size 20 or so is 1.2e-6 a token
                self.assertAlmostEqual(nll, r["nll"][document], delta=1.2e-6 * len(ids))
                summary = r["generated_first_50"][document]["ids"]  # these three are the reference summaries exactly
                self.assertEqual(logits[-len(summary) - 1:-1].argmax(-1).tolist(), summary)

    def test_a_prompt_is_one_line_and_its_continuation_ends_by_itself(self):
        lines = (HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()
        for arch in ARCHS:
            r = reference(arch)
            self.assertEqual([p["id"] for p in r["prompts"]], lines)
            self.assertTrue(all(len(p["ids"]) < 200 and SEPARATOR in p["text"] for p in r["prompts"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
