"""`tenon build`: what is written, that it is the same twice, and that the gate is recorded."""
import json
import os
import unittest

from tenon_case import TenonCase, golden_model, main, miniature


class Build(TenonCase):
    def sections(self, plan):
        return {s["name"]: s for s in self.json("inspect", plan, "--sections")["sections"]}

    def bytes_of(self, plan, section):
        with open(plan, "rb") as file:
            file.seek(section["offset"])
            return file.read(section["bytes"])

    def test_two_builds_are_equal_outside_the_evidence(self):
        first = self.build(miniature("gpt2"), name="first.plan")
        os.mkdir(self.path("elsewhere"))
        second = self.build(miniature("gpt2") + "/", name="elsewhere/second.plan")
        a, b = self.sections(first), self.sections(second)
        self.assertEqual(list(a), list(b))
        for name in a:
            if name == "evidence":
                continue
            self.assertEqual(a[name], b[name])
            self.assertEqual(self.bytes_of(first, a[name]), self.bytes_of(second, b[name]), name)
        self.assertEqual(self.json("inspect", first)["identity"],
                         self.json("inspect", second)["identity"])
        self.assertTrue(self.json("inspect", first, "--diff", second)["same_identity"])

    def test_the_report_tells_what_was_done(self):
        document = self.json("build", miniature("llama"), "-o", "model.plan")
        report = document["report"]
        self.assertEqual(report["dtype"], "bf16")
        self.assertEqual(report["architecture"], "llama")
        self.assertEqual(report["ledger"]["unused"], [])
        self.assertTrue(report["gate"]["passed"])
        self.assertGreater(report["gate"]["against_oracle"]["decided_rows"], 50)
        self.assertLess(report["gate"]["against_oracle"]["mean_kld"], 1e-3)
        self.assertEqual(report["identity"], self.json("inspect", "model.plan")["identity"])
        size = os.path.getsize(self.path("model.plan"))
        self.assertLess(abs(document["estimate"]["plan_bytes"] - size) / size, 0.1)

    def test_the_summary_names_the_gate_and_the_plan(self):
        done = self.tenon("build", miniature("llama"), "-o", "model.plan", "--dtype", "f32")
        self.assertIn("gate     passed, proof level self", done.stdout)
        self.assertIn("57 used", done.stdout)
        self.assertIn("model.plan", done.stdout)
        self.assertIn("estimate: plan ", done.stderr)

    def test_a_skipped_gate_is_recorded(self):
        plan = self.build(miniature("llama"), "--no-gate")
        document = self.json("inspect", plan)
        self.assertIn("skipped", document["budgets"]["gate"])
        self.assertEqual(document["evidence"], [])
        self.assertIn("no fidelity proof", document["proof_note"])
        self.assertIn("no fidelity proof",
                      self.tenon("run", plan, "--ids", "1", "--max-new-tokens", "1").stderr)

    def test_a_loosened_budget_is_recorded(self):
        plan = self.build(miniature("llama"), "--max-kld", "0.5", name="loose.plan")
        self.assertTrue(self.json("inspect", plan)["budgets"]["loosened"])
        plan = self.build(miniature("llama"), name="plain.plan")
        self.assertFalse(self.json("inspect", plan)["budgets"]["loosened"])

    def test_check_file_and_golden_file(self):
        lines = ["Edgar the clockmaker was polishing boots.", json.dumps({"ids": [1, 5, 9]}),
                 json.dumps({"article": "It was a stormy night."})]
        self.write("check.txt", "\n".join(lines))
        gate = self.json("build", miniature("llama"), "-o", "a.plan", "--check",
                         "check.txt")["report"]["gate"]
        self.assertEqual((gate["check_data"], gate["sequences"]), ("check.txt", 3))
        model = golden_model("llama/base")
        gate = self.json("build", model, "-o", "b.plan", "--dtype", "f32", "--golden",
                         os.path.join(model, "expected.safetensors"))["report"]["gate"]
        self.assertEqual(gate["proof"], "golden")
        self.assertLess(gate["against_golden"]["max_error_over_rms"], 1e-4)

    def test_nothing_else_is_written(self):
        self.build(miniature("llama"), "--name", "Ours")
        self.assertEqual(self.left(), ["model.plan"])
        self.assertEqual(self.json("inspect", "model.plan")["name"], "Ours")
        # An existing plan is replaced whole.
        self.build(miniature("gpt2"))
        self.assertEqual(self.json("inspect", "model.plan")["architecture"], "gpt2")
        self.assertEqual(self.left(), ["model.plan"])

    def test_check_finite(self):
        self.build(miniature("llama"), "--check-finite")


if __name__ == "__main__":
    main()
