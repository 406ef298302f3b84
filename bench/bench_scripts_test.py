#!/usr/bin/env python3
"""Tests of the benchmarks' Python that need no GPU and no PyTorch."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers")]

import full_size_cuda
import make_tables
from serving import Server

CEILINGS = {"read_bytes_per_second": 4.6e12, "f16_operations_per_second": 8e14, "bf16_operations_per_second": 0,
            "f32_operations_per_second": 5e13}


def ops_entry(**more):
    return {"case": {"op": "linear"}, "name": "M linear", "ceilings": CEILINGS, "speedup": 1.25,
            "ours": [{"seconds": 8e-6, "share_of_floor": 0.9, "bound": "read", "implementation": "linear__a"}],
            "peer": {"best": "F.linear", "seconds": {"F.linear": 1e-5, "eager": 2e-5}, "refused": {}}} | more


class Tables(unittest.TestCase):
    def test_figures_keep_their_size(self):
        self.assertEqual(make_tables.significant(1.34e-5), "1.3e-5")
        self.assertEqual(make_tables.significant(0.0), "0")
        self.assertEqual([make_tables.microseconds(s) for s in (1.234e-6, 1.234e-5, 1.234e-4)], ["1.23", "12.3", "123"])

    def test_ops(self):
        report = {"command": "torch_ops.py", "machine": {"device": "D", "date": "2026-11-21T00:00:00Z"},
                  "versions": {"torch": "2.11"}, "left_out": ["{}"],
                  "cases": [ops_entry(), {"case": {"op": "glu"}, "error": "no memory"}]}
        text = make_tables.ops_section("T", report)
        self.assertIn("| M linear | 8.00 | 90 % | reading | `linear__a` | F.linear 10.0 | 1.25 |", text)
        self.assertIn("no memory", text)
        self.assertIn("1 cases were not measured", text)
        self.assertIn("reading 4.60 TB/s; products f16 800 TFLOP/s, f32 50 TFLOP/s", text)

    def test_a_case_without_peer(self):
        entry = ops_entry(peer={"best": None, "seconds": {}, "refused": {"flash": "no"}})
        text = make_tables.ops_section("T", {"command": "c", "cases": [entry]})
        self.assertIn("| `linear__a` | - | - |", text)

    def test_llm(self):
        decode = {"what": "decode", "prompt_tokens": 128, "new_tokens": 128, "batch": 2, "tokens_per_second": 400,
                  "floor_seconds": 0.003, "peers": {"p": 200}, "speedup": 2}
        prefill = {"what": "prefill", "prompt_tokens": 2048, "batch": 1, "seconds": 0.04, "peers": {"p": 0.06}, "speedup": 1.5}
        rows = list(make_tables.llm_rows({"model": "M", "dtype": "f16", "jobs": [decode, prefill]}))
        self.assertEqual(rows[0][2:], ["400 tok/s", "60 %", "p 200 tok/s", "2.00"])
        self.assertEqual(rows[1][2:], ["40.0 ms", "-", "p 60.0 ms", "1.50"])

    def test_the_committed_page_is_current(self):
        code = subprocess.run([sys.executable, HERE / "make_tables.py", "--check"], capture_output=True, text=True)
        self.assertEqual(code.returncode, 0, code.stdout)

    def test_a_stale_page_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            check = [sys.executable, HERE / "make_tables.py", "--results", folder]
            self.assertEqual(subprocess.run(check + ["--check"], capture_output=True).returncode, 1)
            self.assertEqual(subprocess.run(check).returncode, 0)
            self.assertEqual(subprocess.run(check + ["--check"]).returncode, 0)


def proof_entry():
    good = {"nonfinite": 0, "max_error_over_rms": 1e-5, "mean_kld": 1e-6, "decided_rows": 4096, "same_top": 1.0}
    return {"cuda": {"against_transformers": good, "mix": {"identical_texts": 4, "sequences": 4, "max_error_over_rms": 1e-6,
                                                           "mean_kld": 1e-7},
                     "repeat": {"runs": 100, "forced_digests": 1, "generation_digests": 1}},
            "cpu": {"against_transformers": good}, "cpu_against_cuda": good, "greedy_identical": 256, "greedy_tokens": 256}


class Proof(unittest.TestCase):
    def test_everything_in_order(self):
        for precision in ("f32", "f16", "bf16"):
            self.assertTrue(all(full_size_cuda.Proof.checks(proof_entry(), precision).values()), precision)

    def failed(self, precision, change):
        entry = json.loads(json.dumps(proof_entry()))
        change(entry)
        return [name for name, ok in full_size_cuda.Proof.checks(entry, precision).items() if not ok]

    def test_each_fault_fails_its_own_check(self):
        self.assertEqual(self.failed("f32", lambda e: e.update(greedy_identical=255)), ["greedy_text"])
        self.assertEqual(self.failed("f16", lambda e: e["cuda"]["repeat"].update(forced_digests=2)), ["same_bits_every_time"])
        self.assertEqual(self.failed("f16", lambda e: e["cuda"]["mix"].update(mean_kld=2e-4)), ["mixed_batch"])
        self.assertEqual(self.failed("bf16", lambda e: e["cuda"]["mix"].update(mean_kld=2e-4)), [])
        self.assertEqual(self.failed("f32", lambda e: e["cuda"]["mix"].update(identical_texts=3)), ["mixed_batch"])
        self.assertEqual(self.failed("f16", lambda e: e["cpu_against_cuda"].update(same_top=0.99)),
                         ["cuda_against_transformers", "cpu_against_transformers", "cpu_against_cuda"][2:])

    def test_numbers_that_are_none_never_pass(self):
        figures = {"nonfinite": 1, "max_error_over_rms": 0.0, "mean_kld": 0.0, "same_top": 1.0}
        self.assertFalse(full_size_cuda.within(figures, "f16"))
        figures = {"nonfinite": 0, "max_error_over_rms": float("nan"), "mean_kld": float("nan"), "same_top": 1.0}
        self.assertFalse(full_size_cuda.within(figures, "f16"))
        self.assertFalse(full_size_cuda.within(figures, "f32"))

    def test_first_difference(self):
        self.assertEqual(full_size_cuda.first_difference([1, 2, 3], [1, 2, 4]), 2)
        self.assertEqual(full_size_cuda.first_difference([1, 2], [1, 2, 4]), 2)
        self.assertEqual(full_size_cuda.first_difference([1], [1]), 1)


ECHO = "import sys, json\nprint(json.dumps({'hello': 1}), flush=True)\nfor line in sys.stdin:\n    print(json.dumps({'got': line.strip()}), flush=True)\n"


class Serving(unittest.TestCase):
    def test_a_line_for_a_line(self):
        with Server([sys.executable, "-c", ECHO]) as server:
            self.assertEqual(server.greeting, {"hello": 1})
            self.assertEqual(server.ask("1 2 3"), {"got": "1 2 3"})

    def test_a_program_that_ends_is_an_error(self):
        with self.assertRaisesRegex(RuntimeError, "exit code 4"):
            Server([sys.executable, "-c", "raise SystemExit(4)"])


if __name__ == "__main__":
    unittest.main()
