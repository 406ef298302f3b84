#!/usr/bin/env python3
"""What ./check says about CUDA kernels must not call unproven what ran, nor proven what did not."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

import cuda

KERNEL = """#include "backends/cuda/kernels/shared.cuh"
const ops::Implementation kRelu = {.name = "relu__any__sm80", .op = "unary"};
"""


class Kernels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("src/backends/cuda/kernels/relu.cu", KERNEL)
        self.write("src/backends/cuda/kernels/shared.cuh", "// one")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def record(self, **entry):
        path = cuda.kernel_files(self.root)["relu__any__sm80"]
        entry = {"run": 3, "passed": 3, "sources": cuda.digest(self.root, path)} | entry
        self.write("bench/results/conformance_x.json", json.dumps({"implementations": {"relu__any__sm80": entry}}))

    def check(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            outcome, note = cuda.check_results(self.root)
        self.assertEqual(outcome, "passed")
        return printed.getvalue(), note

    def test_a_kernel_that_passed_is_not_listed(self):
        self.record()
        self.assertEqual(self.check(), ("", "1 CUDA kernels, 0 ran nowhere, 0 changed since"))

    def test_a_kernel_without_results_or_with_failures_is_listed(self):
        self.assertIn("skip relu__any__sm80: ran nowhere", self.check()[0])
        self.record(passed=2)
        self.assertIn("skip relu__any__sm80: ran nowhere", self.check()[0])
        self.record(run=0, passed=0)
        self.assertIn("skip relu__any__sm80: ran nowhere", self.check()[0])

    def test_a_changed_header_is_a_changed_kernel(self):
        self.record()
        self.write("src/backends/cuda/kernels/shared.cuh", "// two")
        self.assertIn("skip relu__any__sm80: its sources changed", self.check()[0])

    def test_a_tree_without_kernels_is_a_failure(self):
        self.write("src/backends/cuda/kernels/relu.cu", "")
        self.assertEqual(cuda.check_results(self.root)[0], "failed")


class Sanitizer(unittest.TestCase):
    def test_reports_are_counted_or_unknown(self):
        self.assertEqual(cuda.reports("== ERROR SUMMARY: 0 errors\n"), 0)
        self.assertEqual(cuda.reports("== ERROR SUMMARY: 1 error\n"), 1)
        self.assertEqual(cuda.reports("== RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)\n"), 2)
        self.assertIsNone(cuda.reports("== COMPUTE-SANITIZER\n== Error: no device\n"))

    def test_results_stay_whole(self):
        content = {"format": 1, "gpu": "x", "implementations": {"a": {"op": "b", "run": 1, "cases": {"c": 0.5}}}}
        copy = json.loads(json.dumps(content))
        self.assertEqual(json.loads(cuda.compact(content)), copy)


class ThisRepository(unittest.TestCase):
    def test_every_listed_kernel_is_found(self):
        root = Path(__file__).resolve().parent.parent.parent
        listed = (root / "src/backends/cuda/impl_list.cc").read_text(encoding="utf-8").count("      &k")
        self.assertEqual(len(cuda.kernel_files(root)), listed)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
