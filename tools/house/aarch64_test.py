#!/usr/bin/env python3
"""What ./check --aarch64 reports: failures are seen, and a run that ran nothing is none."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path

import aarch64

TABLE = """implementation                                      run passed skipped  bound used
linear__f32__neon                                   173    173       0       18.5%
quantised_linear__i8__i8mm                            0      0      88        0.0%
linear__reference                                   173    173       0        0.0%
"""


class Kernels(unittest.TestCase):
    def test_only_those_with_a_case(self):
        self.assertEqual(aarch64.kernels_that_ran(TABLE), {"linear__f32__neon", "linear__reference"})

    def test_tools_that_are_missing_are_named(self):
        self.assertEqual(aarch64.missing_tools(lambda tool: "/bin/" + tool), "")
        self.assertIn("qemu-aarch64", aarch64.missing_tools(lambda tool: None if "qemu" in tool else tool))


class Jobs(unittest.TestCase):
    """A script stands for the program, and `env` for qemu."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name)
        (self.build / "bin").mkdir()
        kept = aarch64.QEMU
        aarch64.QEMU = ["env"]
        self.addCleanup(setattr, aarch64, "QEMU", kept)

    def outcome(self, script):
        program = self.build / "bin" / "test_x"
        program.write_text("#!/bin/sh\n" + script)
        os.chmod(program, 0o755)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = aarch64.run_tests(self.build, 2, [aarch64.Job("max", "test_x", most_elements=7)])
        return *result, printed.getvalue()

    def test_passes_with_kernels(self):
        outcome, note, _ = self.outcome(f"cat <<'E'\n{TABLE}E\n")
        self.assertEqual((outcome, note), ("passed", "1 kernels ran"))

    def test_without_kernels_fails(self):
        self.assertEqual(self.outcome("true\n")[0], "failed")

    def test_a_failure_names_job_and_shows_output(self):
        outcome, note, printed = self.outcome('echo "cpu $QEMU_CPU $TENON_CONFORMANCE_MOST_ELEMENTS"; exit 3\n')
        self.assertEqual(outcome, "failed")
        self.assertIn("test_x on max", note)
        self.assertIn("cpu max 7", printed)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
