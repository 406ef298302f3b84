"""`tenon inspect`: each view of a plan and of a model folder, in both forms."""
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


if __name__ == "__main__":
    main()
