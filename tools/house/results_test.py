#!/usr/bin/env python3
"""The sums that ./check and CI print must not hide a failure."""

import sys
import tempfile
import unittest
from pathlib import Path

from results import Counts, collect, last_line

CTEST = """<testsuite>
<testcase name="test_base" status="run"/>
<testcase name="test_crashed" status="fail"/>
<testcase name="test_leaked" status="fail"/>
<testcase name="script" status="run"><system-out>ran
skip kernel_x: this CPU lacks AVX-512
</system-out></testcase>
<testcase name="unbuilt" status="notrun"><skipped message="Unable to find executable"/></testcase>
<testcase name="script_bad" status="fail"/>
<testcase name="script_skipped" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
</testsuite>"""
BASE = """<testsuites><testsuite>
<testcase name="A" classname="S" status="run" result="completed"/>
<testcase name="B" classname="S" status="run" result="completed"><failure message="no"/></testcase>
<testcase name="C" classname="S" status="run" result="skipped"><skipped message="a.cc:3&#x0A;no AVX-512 here"/></testcase>
<testcase name="DISABLED_D" classname="S" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""
LEAKED = '<testsuites><testsuite><testcase name="A" classname="S" status="run"/></testsuite></testsuites>'


class Results(unittest.TestCase):
    def test_cases_count_and_a_crash_after_them_does_too(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, text in (("ctest", CTEST), ("test_base", BASE), ("test_leaked", LEAKED)):
                (folder / f"{file}.xml").write_text(text)
            counts = collect(folder)
        # test_base 1/1/2, test_crashed 0/1/0, test_leaked 1/1/0, scripts 1/1/1, unbuilt 0/1/0
        self.assertEqual((counts.passed, counts.failed, counts.skipped), (3, 5, 3))
        self.assertEqual(counts.skip_reasons[0], "S.C: no AVX-512 here")
        self.assertIn("kernel_x: this CPU lacks AVX-512", counts.skip_reasons)

    def test_no_results_are_no_passes(self):
        with tempfile.TemporaryDirectory() as name:
            self.assertEqual(str(collect(Path(name))), "0 passed, 0 failed, 0 skipped")

    def test_the_last_line_is_read_or_refused(self):
        self.assertEqual(last_line("x\n12 passed, 3 failed, 4 skipped\n"), Counts(12, 3, 4))
        for text in ("", "12 passed, 3 failed, 4 skipped\nTraceback\n", "a b c d e f"):
            self.assertIsNone(last_line(text))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
