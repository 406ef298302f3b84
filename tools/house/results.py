"""Adds up test results: a ctest test counts as one, unless it is a GoogleTest program of the same
name, which counts as its cases."""

import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skip_reasons: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.skip_reasons += other.skip_reasons

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def google_test(path):
    counts = Counts()
    for case in xml.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        reason = case.find("skipped")
        if case.find("failure") is not None:
            counts.failed += 1
        elif reason is not None or case.get("result") == "skipped" or case.get("status") == "notrun":
            counts.skipped += 1
            text = (reason.get("message") or reason.text or "") if reason is not None else "disabled"
            counts.skip_reasons.append(f"{name}: {' '.join(text.split()[1:] or text.split())}")
        else:
            counts.passed += 1
    return counts


def skip_lines(output):
    """What a program printed as `skip <reason>`: listed, but counted by nobody else."""
    return [line.removeprefix("skip ") for line in output.splitlines() if line.startswith("skip ")]


def collect(folder):
    """folder: ctest.xml (ctest --output-junit) and one XML file a GoogleTest program."""
    total = Counts()
    junit = folder / "ctest.xml"
    if not junit.exists():
        return total
    for case in xml.parse(junit).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        total.skip_reasons += skip_lines(case.findtext("system-out") or "")
        own = folder / f"{name}.xml"
        if own.exists() and name != "ctest":
            counts = google_test(own)
            if status == "fail" and not counts.failed:
                counts.failed += 1  # it passed its cases, then crashed or leaked
            total.add(counts)
        elif status == "run":
            total.passed += 1
        elif status == "fail":
            total.failed += 1
        else:
            reason = case.find("skipped")
            text = (reason.get("message") if reason is not None else None) or status
            missing = text.startswith(("Unable to find", "Required"))  # it was to run, and could not
            total.failed += missing
            total.skipped += not missing
            total.skip_reasons.append(f"{name}: {text}")
    return total


def last_line(text):
    """'N passed, ...' of a log's end -> Counts, or None."""
    words = text.strip().splitlines()[-1].replace(",", "").split() if text.strip() else []
    if len(words) == 6 and words[1::2] == ["passed", "failed", "skipped"]:
        return Counts(*(int(n) for n in words[::2]))
    return None


def main():
    """results.py LOG passed|failed: the log's last line with one more result, for .ci/run."""
    counts = last_line(open(sys.argv[1], encoding="utf-8", errors="replace").read()) or Counts(failed=1)
    setattr(counts, sys.argv[2], getattr(counts, sys.argv[2]) + 1)
    print(counts)


if __name__ == "__main__":
    main()
