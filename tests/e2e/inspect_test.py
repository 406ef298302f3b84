"""`tenon inspect`: each view of a plan and of a model folder, in both forms."""
import json
import os
import shutil
import unittest

from tenon_case import TenonCase, main, miniature


class Inspect(TenonCase):
    def setUp(self):
        super().setUp()
        self.plan = self.build(miniature("llama"), "--dtype", "f32")

    def test_summary(self):
        text = self.tenon("inspect", self.plan).stdout
        self.assertIn("1.74 M parameters", text)
        self.assertIn("layers 6", text)
        document = self.json("inspect", self.plan)
        self.assertEqual(document["parameters"], 1738368)
        self.assertEqual(document["model"]["kv_heads"], 2)
        self.assertEqual(document["precision"]["dtype"], "f32")
        self.assertEqual([stage["name"] for stage in document["stages"]], ["decoder", "sample"])
        folder = self.json("inspect", miniature("llama"))
        self.assertEqual(folder["parameters"], 1738368)
        self.assertEqual(folder["model"]["context"], 512)

    def test_layers(self):
        text = self.tenon("inspect", self.plan, "--layers").stdout
        self.assertRegex(text, r"0-5 \(6 alike, one below\) +1\.48 M")
        self.assertRegex(text, r"lm_head +131\.1 K +512\.0 KiB +f32")
        for source, dtype in ((self.plan, "f32"), (miniature("llama"), "bf16")):
            document = self.json("inspect", source, "--layers")
            self.assertEqual(document["parameters"], 1738368)
            head = [l for l in document["layers"] if l["name"] == "lm_head.weight"]
            self.assertEqual((head[0]["dtype"], head[0]["extents"]), (dtype, [1024, 128]))

    def test_graphs(self):
        before = self.json("inspect", self.plan, "--graph", "before")["graph"]
        self.assertTrue(before.startswith("graph decoder\n"))
        self.assertEqual(before, self.json("inspect", miniature("llama"), "--graph",
                                           "before")["graph"])
        after = self.tenon("inspect", self.plan, "--graph", "after").stdout
        self.assertIn("rope_kv_append(", after)
        self.assertLess(after.count(" = linear("), before.count(" = linear("))

    def test_sections(self):
        names = [s["name"] for s in self.json("inspect", self.plan, "--sections")["sections"]]
        self.assertEqual(names[0], "weights")
        self.assertEqual(names[-1], "evidence")

    def test_why(self):
        choices = self.json("inspect", self.plan, "--why", "--tokens", "64")["choices"]
        self.assertTrue(all(choice["implementation"] for choice in choices))
        linear = [choice for choice in choices if choice["op"] == "linear"]
        self.assertTrue(any("bf16" in r for choice in linear for r in choice["refused"]) or
                        all("f32" in choice["implementation"] for choice in linear))
        text = self.tenon("inspect", self.plan, "--why").stdout
        self.assertIn("stage decoder", text)

    def test_diff(self):
        other = self.build(miniature("llama"), "--dtype", "bf16", name="other.plan")
        found = self.json("inspect", self.plan, "--diff", other)
        self.assertFalse(found["same_identity"])
        places = {d["place"]: (d["before"], d["after"]) for d in found["differences"]}
        self.assertEqual(places["precision.dtype"], ('"f32"', '"bf16"'))
        self.assertIn("constant lm_head.weight", places)
        self.assertIn("section weights", places)
        self.assertNotIn("section tokenizer", places)
        self.assertIn("the plans differ", self.tenon("inspect", self.plan, "--diff", other).stdout)
        same = self.tenon("inspect", self.plan, "--diff", self.plan).stdout
        self.assertEqual(same, "the plans are the same\n")

    def test_ops_and_ledger(self):
        ops = {op["name"]: op for op in self.json("inspect", "--ops")["ops"]}
        self.assertIn("linear", ops)
        self.assertTrue(ops["linear"]["formula"])
        ledger = self.json("inspect", miniature("llama"), "--ledger")["ledger"]
        self.assertEqual({entry["state"] for entry in ledger}, {"used"})
        recipes = self.json("inspect", self.plan, "--ledger")["ledger"]
        used = {source for entry in recipes for source in entry["sources"]}
        self.assertEqual(used, {entry["name"] for entry in ledger})

    def test_version(self):
        self.assertIn("llama", self.json("version")["architectures"])
        self.assertTrue(self.tenon("version").stdout.startswith("tenon "))


class Folders(TenonCase):
    """What `inspect DIR` says of a folder, whole or not."""

    def copy(self, **changes):
        """The LLaMA miniature with files changed: new text, or None to leave one out."""
        folder = self.path("model")
        os.mkdir(folder)
        for name in os.listdir(miniature("llama")):
            if name not in changes:
                shutil.copy(os.path.join(miniature("llama"), name), folder)
        for name, text in changes.items():
            if text is not None:
                self.write(os.path.join("model", name), text)
        return folder

    def config(self, **changes):
        with open(os.path.join(miniature("llama"), "config.json"), encoding="utf-8") as file:
            return json.dumps({**json.load(file), **changes})

    def test_what_can_be_built(self):
        found = self.json("inspect", miniature("llama"))
        self.assertTrue(found["buildable"])
        self.assertEqual((found["problems"], found["architecture"]), ([], "llama"))
        self.assertTrue(found["ledger"].startswith("used "))
        self.assertEqual((found["has_tokenizer"], found["tokens"]), (True, 1024))
        estimates = found["estimates"]
        self.assertGreater(estimates["build"]["plan_bytes"], found["weights_bytes"])
        cpu = estimates["devices"][0]
        self.assertEqual(cpu["device"], "cpu")
        self.assertGreater(cpu["memory_bytes"], found["weights_bytes"])
        self.assertGreater(cpu["token_seconds_at_best"], 0)
        text = self.tenon("inspect", miniature("llama")).stdout
        self.assertRegex(text, r"can be built +yes")
        self.assertRegex(text, r"on cpu +.*a token")

    def test_all_problems_in_one_pass(self):
        folder = self.copy(**{"config.json": self.config(architectures=["NobodyForCausalLM"],
                                                         model_type="nobody"),
                              "tokenizer.json": "{", "model.safetensors": "short"})
        found = self.json("inspect", folder, code=4)
        self.assertFalse(found["buildable"])
        messages = " ".join(problem["message"] for problem in found["problems"])
        self.assertGreaterEqual(len(found["problems"]), 3, messages)
        for word in ("nobody", "tokenizer.json", "model.safetensors"):
            self.assertIn(word, messages.lower())
        done = self.tenon("inspect", folder, code=4)
        self.assertRegex(done.stdout, r"can be built +no: \d problems")

    def test_templates(self):
        named = json.dumps({"chat_template": [
            {"name": "default", "template": "{{ messages }}"},
            {"name": "tool_use", "template": "{% include 'x' %}"}]})
        found = self.json("inspect", self.copy(**{"chat_template.json": named}))
        self.assertTrue(found["buildable"])
        templates = {entry["name"]: entry["problem"] for entry in found["chat_templates"]}
        self.assertEqual(templates["default"], "")
        self.assertIn("include", templates["tool_use"])

    def test_a_folder_without_a_tokenizer(self):
        folder = self.copy(**{name: None for name in ("tokenizer.json", "tokenizer.model")})
        found = self.json("inspect", folder)
        self.assertEqual((found["buildable"], found["has_tokenizer"]), (True, False))


if __name__ == "__main__":
    main()
