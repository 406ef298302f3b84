"""`tenon build --quant`: what it costs, what it saves, what the plan says of it, and what is refused."""
import os
import shutil
import unittest

from tenon_case import TenonCase, main, miniature

FORMATS = {
    "f32": ["--dtype", "f32"],
    "bf16": ["--dtype", "bf16"],
    "w8a8": ["--dtype", "bf16", "--quant", "w8a8"],
    "w4a16": ["--dtype", "bf16", "--quant", "w4a16"],
    "w4a8": ["--dtype", "bf16", "--quant", "w4a8"],
}


class Quantise(TenonCase):
    def report(self, *arguments, name="model.plan"):
        return self.json("build", miniature("llama"), *self.check(), "-o", name, *arguments)["report"]

    def check(self):
        """The miniatures know one small world: of other text they say anything, and rounded weights something else."""
        return ["--check", miniature("prompts.txt")]

    def test_error_grows_and_size_shrinks_with_every_format(self):
        reports = {name: self.report(*options, name=name + ".plan") for name, options in FORMATS.items()}
        klds = [reports[name]["gate"]["against_oracle"]["mean_kld"] for name in FORMATS]
        sizes = [reports[name]["weights_bytes"] for name in FORMATS]
        self.assertEqual(klds[:4], sorted(klds[:4]))
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        # The bars; the budgets of the formats are the same numbers.
        self.assertLessEqual(klds[2], 0.01)
        self.assertLessEqual(klds[3], 0.08)
        self.assertLessEqual(klds[4], 0.09)
        for name, kld in (("w8a8", 0.01), ("w4a16", 0.08), ("w4a8", 0.09)):
            self.assertEqual(reports[name]["gate"]["budget"]["max_mean_kld"], kld)
            self.assertFalse(reports[name]["gate"]["budget"]["loosened"])

    def test_a_folder_brings_the_text_that_rounded_weights_are_judged_by(self):
        for model in ("llama", "gpt2"):
            for quant in ("w8a8", "w4a16", "w4a8"):
                gate = self.json("build", miniature(model), "-o", quant + ".plan", "--quant", quant)["report"]["gate"]
                self.assertEqual((gate["check_data"], gate["budget"]["loosened"]), ("tenon_check.txt", False))
        document = self.json("compare", "w4a16.plan", "--against", miniature("gpt2"))
        self.assertEqual((document["check_data"], document["passed"]), ("tenon_check.txt", True))
        # Weights as they are know more than that.
        gate = self.json("build", miniature("llama"), "-o", "model.plan")["report"]["gate"]
        self.assertEqual(gate["check_data"], "built-in prompts")
        bare = self.path("bare")
        shutil.copytree(miniature("llama"), bare, ignore=shutil.ignore_patterns("tenon_check.txt"))
        done = self.tenon("build", bare, "-o", "no.plan", "--quant", "w4a16", code=5)
        self.assertIn("tenon_check.txt", done.stderr)
        self.write("bare/tenon_check.txt", '{"prompt": 7}\n')
        self.assertIn("tenon_check.txt: line 1", self.tenon("build", bare, "-o", "no.plan", "--quant", "w4a16", code=3).stderr)

    def test_a_repair_takes_codes_to_the_plans_own_type(self):
        plan = self.build(miniature("llama"), "--quant", "w4a16")
        done = self.tenon("compare", plan, "--against", miniature("llama"), "--max-kld", 1e-4, "--write-repair", "r.json", code=5)
        self.assertIn("in bf16 instead of u4", done.stdout)
        report = self.json("build", miniature("llama"), "-o", "better.plan", "--quant", "w4a16", "--repair", "r.json")["report"]
        self.assertLess(report["weights_bytes"], self.json("build", miniature("llama"), "-o", "whole.plan")["report"]["weights_bytes"])
        self.assertLess(report["gate"]["against_oracle"]["mean_kld"],
                        self.json("compare", plan, "--against", miniature("llama"))["outputs"][0]["kld"]["mean"] / 3)

    def test_the_cost_of_each_weight_is_kept_in_the_plan(self):
        report = self.report("--quant", "w4a16", "--group-size", "64")
        quantisation = report["quantisation"]
        self.assertEqual(quantisation["format"], "w4a16 g64 symmetric")
        self.assertEqual(quantisation["weights"], 24)
        self.assertEqual(len(quantisation["layers"]), 24)
        self.assertAlmostEqual(quantisation["bits_per_weight"], 4.25, places=2)
        self.assertLess(quantisation["bytes"], quantisation["source_bytes"] / 3)
        errors = [layer["relative_norm"] for layer in quantisation["layers"]]
        self.assertEqual(errors, sorted(errors, reverse=True))
        self.assertTrue(all(0.03 < error < 0.2 for error in errors), errors)
        self.assertFalse(any("lm_head" in layer["weight"] for layer in quantisation["layers"]))
        inspected = self.json("inspect", "model.plan")
        self.assertEqual(inspected["precision"]["quantisation"], "w4a16 g64 symmetric")
        kept = [entry["result"] for entry in inspected["evidence"] if entry["kind"] == "quantisation"]
        self.assertEqual(kept, [quantisation])
        shown = self.tenon("inspect", "model.plan").stdout
        self.assertIn("w4a16 g64 symmetric", shown)

    def test_every_format_gives_text(self):
        for options in (["w8a8"], ["w8a8", "--asymmetric"], ["w4a16", "--asymmetric"],
                        ["w4a16", "--group-size", "128"], ["w4a8"]):
            plan = self.build(miniature("gpt2"), *self.check(), "--quant", *options)
            document = self.json("run", plan, "--prompt", "It was", "--max-new-tokens", "12", "--greedy")
            self.assertIn("ids", str(document))

    def test_no_step_falls_to_the_reference_on_x86(self):
        for quant in ("w8a8", "w4a16", "w4a8"):
            report = self.report("--quant", quant)
            self.assertEqual(report["reference_steps"], [])

    def test_two_builds_are_the_same_bytes(self):
        first = self.build(miniature("llama"), *self.check(), "--quant", "w4a16", "--asymmetric", name="a.plan")
        second = self.build(miniature("llama"), *self.check(), "--quant", "w4a16", "--asymmetric", name="b.plan")
        self.assertEqual(self.json("inspect", first)["identity"], self.json("inspect", second)["identity"])

    def test_a_budget_that_is_missed_stops_the_build(self):
        done = self.tenon("build", miniature("llama"), "-o", "model.plan", "--quant", "w4a16", "--max-kld", "1e-6",
                          code=5)
        self.assertIn("mean KL divergence", done.stderr)
        self.assertIn("--check FILE", done.stderr)
        self.assertEqual(self.left(), [])

    def test_wrong_options_are_refused(self):
        for options, word in ((["--quant", "w3a3"], "w8a8, w4a16, w4a8"), (["--quant", "w8a8", "--group-size", "32"], "--group-size"),
                              (["--quant", "w4a16", "--group-size", "48"], "32, 64, 128"), (["--asymmetric"], "--asymmetric"),
                              (["--group-size", "32"], "--group-size"), (["--check", "a", "--golden", "b"], "--golden")):
            done = self.tenon("build", miniature("llama"), "-o", "model.plan", *options, code=2)
            self.assertIn(word, done.stderr)
            self.assertEqual(self.left(), [])

    def test_gpus_are_refused_and_told_what_to_do(self):
        done = self.tenon("build", miniature("llama"), "-o", "a.plan", "--quant", "w8a8", "--device", "cuda", code=4)
        self.assertIn("--quant none", done.stderr)
        plan = self.build(miniature("llama"), *self.check(), "--quant", "w4a16")
        done = self.tenon("run", plan, "--ids", "1", "--max-new-tokens", "1", "--device", "cuda", code=4)
        self.assertIn("--device cpu", done.stderr)


if __name__ == "__main__":
    main()
