"""`tenon compare`, `eval`, `bench`, `profile` and `report`, as a user meets them."""
import html.parser
import json
import math
import os
import struct
import unittest

import tenon_case
from tenon_case import TenonCase, main, miniature, reference

KINDS = {"embedding", "rms_norm", "linear", "rope_kv_append", "paged_attention", "glu"}


def heldout(count):
    with open(os.path.join(tenon_case.SOURCE, "miniatures", "heldout.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(count), file)]


def with_layers(path):
    """A golden file whose `hidden.N` are named as the module whose output they are, for all its tokens."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(size)), file.read()
    for name in [name for name in header if name.startswith("hidden.")]:
        header["layer/model.layers." + name[7:]] = header.pop(name)
    ordered, packed = {}, b""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        ordered[name] = {**entry, "data_offsets": [len(packed), len(packed) + end - begin]}
        packed += data[begin:end]
    text = json.dumps(ordered).encode()
    return struct.pack("<Q", len(text)) + text + packed


class ProveCase(TenonCase):
    def write_lines(self, name, rows):
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))


class Rouge(ProveCase):
    def check(self, name, dtype, count):
        plan = self.build(miniature(name), "--dtype", dtype)
        articles = heldout(count)
        data = self.write_lines("data.jsonl", articles)
        original = self.write_lines("original.jsonl", reference(name)["generated_first_50"][:count])
        document = self.json("eval", "rouge", plan, "--data", data, "--original", original,
                             "--max-new-tokens", 60, "--batch-size", 4, "-o", "texts.jsonl")
        scores = document["rouge"]
        self.assertTrue(scores["passed"])
        self.assertEqual(document["articles"], count)
        wanted = reference(name)["rouge_first_50"]
        for kind in ("rouge1", "rouge2", "rougeL"):
            self.assertAlmostEqual(scores["plan"][kind]["mean"], wanted[kind], delta=0.1)
            self.assertAlmostEqual(scores["plan"][kind]["mid"], wanted[kind], delta=0.1)
        self.assertEqual(scores["identical"], count)
        with open(self.path("texts.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([line["id"] for line in lines], [row["id"] for row in articles])
        return plan, data

    def test_llama_in_f32_and_its_budgets(self):
        plan, data = self.check("llama", "f32", 12)
        # An original that wrote the gold; a plan that may write only 4 tokens is far below it.
        gold = self.write_lines("gold.jsonl", [{"id": row["id"], "text": row["highlights"]} for row in heldout(12)])
        document = self.json("eval", "rouge", plan, "--data", data, "--original", gold, "--first", 3,
                             "--max-new-tokens", 4, code=5)
        self.assertFalse(document["rouge"]["passed"])
        self.assertGreater(document["rouge"]["rouge1_drop"], 1)
        done = self.tenon("eval", "rouge", plan, "--data", data, "--first", 2, "--max-new-tokens", 4,
                          "--min-rouge1", 99, code=5)
        self.assertIn("ROUGE-Lsum", done.stdout)
        self.assertIn("total latency", done.stdout)
        self.assertIn("budget above 99", done.stderr)
        self.tenon("eval", "rouge", plan, "--data", data, "--max-new-tokens", 4000, code=2)
        self.tenon("eval", "rouge", plan, "--data", self.write("bad.jsonl", "{}\n"), code=3)
        self.tenon("eval", "rouge", plan, "--data", "absent.jsonl", code=3)
        self.tenon("eval", plan, code=2)
        for option, bad in (("--max-drop", "nan"), ("--min-rouge1", "nan"), ("--min-rouge1", 101), ("--batch-size", 99)):
            done = self.tenon("eval", "rouge", plan, "--data", data, option, bad, code=2)
            self.assertIn(f"{option}: ", done.stderr)
            self.assertEqual(done.stdout, "")
        # Before any summary is written.
        done = self.tenon("eval", "rouge", plan, "--data", data, "-o", "absent/x.jsonl", code=8)
        self.assertNotIn("summar", done.stderr)
        self.assertEqual([name for name in self.left() if "tmp" in name], [])

    def test_gpt2_in_bf16_beside_its_own_original(self):
        plan, data = self.check("gpt2", "bf16", 4)
        document = self.json("eval", "rouge", plan, "--data", data, "--first", 2, "--max-new-tokens", 60,
                             "--original-model", miniature("gpt2"), "--stem")
        self.assertEqual(document["rouge"]["identical"], 2)
        self.assertEqual(document["original_from"]["kind"], "oracle")


class Perplexity(ProveCase):
    def test_documents_as_transformers_measured_them(self):
        plan = self.build(miniature("llama"), "--dtype", "f32")
        count = 10
        texts = self.write_lines("texts.jsonl", [
            {"text": f"{row['article']} TL;DR: {row['highlights']}"} for row in heldout(count)])
        document = self.json("eval", "ppl", plan, "--data", texts, "--convention", "document")
        wanted = reference("llama")
        nll, tokens = sum(wanted["nll"][:count]), sum(wanted["nll_tokens"][:count])
        figures = document["perplexity"]
        self.assertEqual(figures["tokens"], tokens)
        self.assertAlmostEqual(figures["negative_log_likelihood"] / nll, 1, delta=1e-4)
        self.assertAlmostEqual(figures["perplexity"], math.exp(nll / tokens), delta=1e-4)
        self.assertEqual(figures["convention"], "document")
        gptq = self.json("eval", "ppl", plan, "--data", texts, "--window", 128)["perplexity"]
        self.assertEqual((gptq["convention"], gptq["window"]), ("gptq", 128))
        self.assertEqual(gptq["tokens"], gptq["windows"] * 127)
        harness = self.json("eval", "ppl", plan, "--data", texts, "--convention", "lm-eval")["perplexity"]
        self.assertEqual(harness["tokens"], tokens)  # all tokens after <s>: as many as above
        self.assertAlmostEqual(harness["negative_log_likelihood"], figures["negative_log_likelihood"], delta=0.05)
        self.assertAlmostEqual(harness["bits_per_byte"] * harness["bytes"] * math.log(2),
                               harness["negative_log_likelihood"], delta=1e-6)
        self.tenon("eval", "ppl", plan, "--data", texts, "--convention", "document", "--max-perplexity", 1.01,
                   code=5)
        self.tenon("eval", "ppl", plan, "--data", texts, "--window", 4096, code=2)

    def test_divergence_from_f32(self):
        plan = self.build(miniature("gpt2"), "--dtype", "bf16")
        texts = self.write_lines("texts.jsonl", [{"text": row["article"]} for row in heldout(3)])
        document = self.json("eval", "kld", plan, "--data", texts, "--against", miniature("gpt2"))
        figures = document["kld"]
        self.assertGreater(figures["mean"], 0)
        self.assertLess(figures["mean"], 1e-3)
        self.assertLessEqual(figures["median"], figures["p90"])
        self.assertLessEqual(figures["p99"], figures["max"])
        self.assertGreaterEqual(figures["same_top"], 0.99)
        same = self.json("eval", "kld", plan, "--data", texts, "--against", plan)["kld"]
        self.assertEqual((same["mean"], same["max"], same["same_top"]), (0, 0, 1))
        self.assertEqual(same["perplexity_ratio"], 1)
        done = self.tenon("eval", "kld", plan, "--data", texts, "--against", miniature("gpt2"), "--max-kld", 1e-9,
                          code=5)
        self.assertIn("mean KL divergence", done.stderr)
        for option, bad in (("--max-kld", "nan"), ("--max-kld", 0), ("--min-same-top", 1.5), ("--window", 1), ("--window", 9999)):
            done = self.tenon("eval", "kld", plan, "--data", texts, "--against", plan, option, bad, code=2)
            self.assertIn(f"{option}: ", done.stderr)
        one = self.write("one.txt", "a")
        self.assertNotIn("perplexity", self.tenon("eval", "kld", plan, "--data", one, "--against", plan).stdout)
        self.tenon("eval", "ppl", plan, "--data", texts, "--max-perplexity", "nan", code=2)


class Compare(ProveCase):
    def test_layers_and_repair(self):
        plan = self.build(miniature("llama"), "--dtype", "bf16")
        document = self.json("compare", plan, "--against", miniature("llama"), "--layers")
        self.assertTrue(document["passed"])
        layers = document["layers"]
        self.assertTrue(layers["fusion_unchanged"])
        self.assertIsNone(layers["first_offender"])
        self.assertTrue(layers["not_observable"])
        self.assertTrue(KINDS <= {entry["op"] for entry in layers["ranked"]})
        excess = [entry["excess"] for entry in layers["ranked"]]
        self.assertEqual(excess, sorted(excess, reverse=True))
        for entry in layers["ranked"]:
            for statistic in ("max_abs", "mean_abs", "median_abs", "p99_abs", "max_rel", "mean_rel", "median_rel",
                              "p99_rel"):
                self.assertIn(statistic, entry["own"])
        before = document["outputs"][0]["kld"]["mean"]
        self.tenon("compare", plan, "--against", miniature("llama"), "--max-kld", before / 3, "--write-repair",
                   "repair.json", code=5)
        with open(self.path("repair.json"), encoding="utf-8") as file:
            repair = json.load(file)
        self.assertTrue(repair["types"])
        repaired = self.build(miniature("llama"), "--dtype", "bf16", "--repair", "repair.json", name="better.plan")
        after = self.json("compare", repaired, "--against", miniature("llama"))["outputs"][0]["kld"]["mean"]
        self.assertLess(after, before)
        repair["types"][0]["name"] += "x"
        wrong = self.write("wrong.json", json.dumps(repair))
        done = self.tenon("build", miniature("llama"), "-o", "no.plan", "--repair", wrong, code=3)
        self.assertIn(repair["types"][0]["name"][:-1], done.stderr)
        self.assertNotIn("no.plan", self.left())

    def test_against_golden_tensors(self):
        folder = tenon_case.golden_model("llama/base")
        plan = self.build(folder, "--dtype", "f32")
        golden = self.write("golden.safetensors", with_layers(os.path.join(folder, "expected.safetensors")))
        document = self.json("compare", plan, "--against", golden, "--layers")
        self.assertTrue(document["passed"])
        self.assertEqual(document["against"]["kind"], "golden")
        names = [entry["tensor"] for entry in document["layers"]["ranked"]]
        self.assertEqual(sorted(names), ["model.layers.0", "model.layers.1", "model.layers.2"])
        text = self.tenon("compare", plan, "--against", golden, "--layers").stdout
        self.assertIn("no step stands out", text)
        self.assertIn("same implementations, same output bits", text)
        self.tenon("compare", plan, "--against", "absent.safetensors", code=3)
        self.tenon("compare", plan, "--against", golden, "--max-error", 1e-12, code=5)


class Speed(ProveCase):
    def test_bench(self):
        plan = self.build(miniature("llama"), "--dtype", "f32")
        document = self.json("bench", plan, "--batch", "1,2", "--prompt-tokens", 16, "--new-tokens", 8,
                             "--repeats", 2)
        self.assertEqual([(row["batch"], row["prompt_tokens"]) for row in document["rows"]], [(1, 16), (2, 16)])
        for row in document["rows"]:
            self.assertEqual(row["first_token_seconds"]["count"], 2 * row["batch"])
            self.assertEqual(row["per_token_seconds"]["count"], 2 * row["batch"] * 7)
            for times in ("first_token_seconds", "per_token_seconds", "total_seconds"):
                self.assertGreater(row[times]["p50"], 0)
                self.assertLessEqual(row[times]["p50"], row[times]["p99"])
            self.assertGreater(row["token_share_of_roofline"], 0)
        self.assertGreater(document["ceilings"]["bytes_per_second"], 1e6)
        self.assertGreater(document["ceilings"]["flops_per_second"], 1e6)
        done = self.tenon("bench", plan, "--batch", 99, "--prompt-tokens", "16,5000", code=2)
        self.assertIn("2 problems", done.stderr)
        row = self.tenon("bench", plan, "--batch", 1, "--prompt-tokens", 8, "--new-tokens", 1, "--repeats", 1).stdout.splitlines()[2]
        self.assertEqual(row.split()[6:9], ["-"] * 3)  # a second token was never made
        document = self.json("bench", plan, "--batch", 1, "--prompt-tokens", 8, "--new-tokens", 1, "--repeats", 1)
        self.assertIsNone(document["rows"][0]["new_tokens_per_second"])
        one = self.write("one.json", json.dumps(document))
        self.tenon("report", plan, "--no-measure", "--results", one, "-o", "one.md")
        with open(self.path("one.md"), encoding="utf-8") as file:
            row = next(line for line in file if line.startswith("| this plan | 1 | 8 | 1 |"))
        cells = [cell.strip() for cell in row.split("|")[6:13]]
        self.assertEqual([cell == "" for cell in cells], [True, True, True, False, False, True, True], row)

    def test_profile_and_trace(self):
        plan = self.build(miniature("gpt2"), "--dtype", "f32")
        document = self.json("profile", plan, "--repeats", 3, "--prompt-tokens", 16, "--trace", "trace.json")
        self.assertEqual([phase["name"] for phase in document["phases"]], ["prompt", "token"])
        for phase in document["phases"]:
            self.assertAlmostEqual(sum(step["seconds"] for step in phase["steps"]), phase["seconds"], delta=1e-9)
            for groups in ("by_kind", "by_layer"):
                self.assertAlmostEqual(sum(group["seconds"] for group in phase[groups]), phase["seconds"], delta=1e-9)
                self.assertEqual(sum(group["steps"] for group in phase[groups]), len(phase["steps"]))
            self.assertGreaterEqual(len(phase["by_layer"]), 8)
            self.assertAlmostEqual(sum(entry["share"] for entry in phase["forecast"]), 1, delta=1e-6)
            # A linear reads its weight once.
            weights = sum(step["bytes"] for step in phase["steps"] if step["op"] == "linear")
            self.assertGreater(weights, 4 * 1.7e6 * 0.9)
        with open(self.path("trace.json"), encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        steps = [event for event in events if event["ph"] == "X"]
        self.assertEqual(len(steps), sum(len(phase["steps"]) for phase in document["phases"]))
        for one, two in zip(steps, steps[1:]):
            if one["pid"] == two["pid"]:
                self.assertAlmostEqual(one["ts"] + one["dur"], two["ts"], delta=1e-3)
        text = self.tenon("profile", plan, "--repeats", 2, "--phase", "token", "--forecast").stdout
        self.assertIn("a perfect kernel saves", text)
        self.tenon("profile", plan, "--trace", "absent/trace.json", code=8)
        self.assertIn("--rows: out of range; got -1, accepted whole numbers from 0", self.tenon("profile", plan, "--rows", -1, code=2).stderr)


class Nesting(html.parser.HTMLParser):
    """Every element is closed in its turn, and nothing runs or is fetched."""
    VOID = {"meta", "link", "line", "circle", "rect", "path", "polyline"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on") and "http" not in (value or ""), (tag, name, value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


class Report(ProveCase):
    def test_page(self):
        plan = self.build(miniature("llama"), "--dtype", "bf16")
        bench = self.json("bench", plan, "--batch", "1,2", "--prompt-tokens", "8,16", "--new-tokens", 4, "--repeats", 1)
        results = self.write("bench.json", json.dumps(bench))
        for row in bench["rows"]:
            row["per_token_seconds"]["p50"] *= 3
        self.write("slow.json", json.dumps(bench))
        self.tenon("report", plan, "-o", "report.html", "-o", "report.md", "--results", results, "--baseline",
                   "another=slow.json", "--against", miniature("llama"))
        with open(self.path("report.html"), encoding="utf-8") as file:
            page = file.read()
        parser = Nesting()
        parser.feed(page)
        self.assertEqual(parser.open, [])
        self.assertNotIn("script", parser.seen)
        self.assertTrue({"svg", "table", "style"} <= parser.seen)
        with open(self.path("report.md"), encoding="utf-8") as file:
            text = file.read()
        for what in ("What it is", "How to make it again", "Environment", "max abs", "median", "another", "3.00 x",
                     "Tensor by tensor", "Where the time goes", "fidelity gate", "tenon build MODEL"):
            self.assertIn(what, text)
            self.assertIn(what, page)
        self.tenon("report", plan, "-o", "report.pdf", code=2)
        self.tenon("report", plan, "-o", "r.md", "--results", self.write("x.json", "{}"), code=3)


if __name__ == "__main__":
    main()
