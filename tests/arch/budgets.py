#!/usr/bin/env python3
"""Budgets of size: files, functions, tests per source line, TODOs. Exit 1 when one is broken.

  budgets.py [--strict] [--list N] [ROOT]

--strict also enforces the test ratio; --list N names the N longest files and functions.
"""

import argparse
import re
import statistics
import sys
from pathlib import Path

from cpp_text import functions
from house import CPP_SUFFIXES, Finding, Waivers, files, is_test, read, repository_root

FILE_MEDIAN = 120
FILE_MOST = 400  # for 90 % of the files
FILE_STOP = 800
FUNCTION_MOST = 40  # for 90 % of the functions
FUNCTION_LONG = 100  # at most 1 % are longer
KERNEL_STOP = 250
TEST_RATIO = 0.6

RULES = {"file-lines", "function-lines", "kernel-lines", "file-median", "file-90", "function-90",
         "function-100", "test-ratio", "todo"}
# Split, so that this file does not trip over itself.
OPEN_WORK = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
LINK = re.compile(r"\bADR[- ]?\d{4}\b|\bdocs/\S+")


def lines_of(root, path):
    return read(root / path).count("\n")


def text_lines(root, path):
    return sum(1 for line in read(root / path).splitlines() if line.strip())


def file_findings(root, paths):
    found = []
    for path in paths:
        count = lines_of(root, path)
        if count > FILE_STOP:
            found.append(Finding(path, 0, "file-lines", f"{count} lines; a file stops at {FILE_STOP}"))
    return found


def function_list(root, paths):
    return [(path, function) for path in paths for function in functions(read(root / path))]


def function_findings(measured):
    found = []
    for path, function in measured:
        if function.is_device and function.lines > KERNEL_STOP:
            found.append(Finding(path, function.line, "kernel-lines", f"{function.name}: "
                                 f"{function.lines} lines; a device function stops at {KERNEL_STOP}"))
    return found


def share(count, total):
    return count / total if total else 0.0


def spread_findings(group, file_lines, function_lines):
    """The distribution budgets of one group of files, and the line that is printed for it."""
    if not file_lines:
        return [], f"{group}: no files"
    median = statistics.median(file_lines)
    big_files = share(sum(n > FILE_MOST for n in file_lines), len(file_lines))
    over_40 = share(sum(n > FUNCTION_MOST for n in function_lines), len(function_lines))
    over_100 = share(sum(n > FUNCTION_LONG for n in function_lines), len(function_lines))
    rows = [
        ("file-median", median <= FILE_MEDIAN, f"the median file has {median:.0f} lines, budget "
         f"{FILE_MEDIAN}"),
        ("file-90", big_files <= 0.10, f"{big_files:.1%} of files are over {FILE_MOST} lines, budget "
         "10 %"),
        ("function-90", over_40 <= 0.10, f"{over_40:.1%} of functions are over {FUNCTION_MOST} lines, "
         "budget 10 %"),
        ("function-100", over_100 <= 0.01, f"{over_100:.1%} of functions are over {FUNCTION_LONG} "
         "lines, budget 1 %"),
    ]
    line = (f"{group}: {len(file_lines)} files, median {median:.0f} lines (<= {FILE_MEDIAN}), "
            f"{1 - big_files:.0%} within {FILE_MOST} (>= 90 %), longest {max(file_lines)} (<= {FILE_STOP}); "
            f"{len(function_lines)} functions, {1 - over_40:.0%} within {FUNCTION_MOST} (>= 90 %), "
            f"{over_100:.1%} over {FUNCTION_LONG} (<= 1 %)")
    return [Finding(group, 0, rule, text) for rule, ok, text in rows if not ok], line


def todo_findings(root, paths):
    found = []
    for path in paths:
        for number, line in enumerate(read(root / path).splitlines(), 1):
            if OPEN_WORK.search(line) and not LINK.search(line):
                found.append(Finding(path, number, "todo", "open work without an ADR or docs/ link"))
    return found


def measured_paths(root):
    cpp = files(root, ["src", "include", "tests", "bench", "fuzz"], CPP_SUFFIXES)
    scripts = files(root, ["tools", "tests", "bench", "python", "miniatures"], (".py", ".sh", ".js"))
    return cpp, scripts


def check(root, strict=False):
    cpp, scripts = measured_paths(root)
    everything = cpp + scripts + files(root, ["cmake", "src"], (".cmake", "CMakeLists.txt"))
    waivers = Waivers(root, RULES)
    found, report = file_findings(root, cpp + scripts), []
    for group, paths in (("src", [p for p in cpp if not is_test(p)]),
                         ("tests", [p for p in cpp if is_test(p)])):
        measured = function_list(root, paths)
        found += function_findings(measured)
        counted = [p for p in paths if not waivers.waives(p, "file-lines")]
        lengths = [f.lines for p, f in measured
                   if not f.is_device and not waivers.waives(p, "function-lines")]
        broken, line = spread_findings(group, [lines_of(root, p) for p in counted], lengths)
        found += broken
        report.append(line)
    source = sum(text_lines(root, p) for p in cpp if not is_test(p))
    tests = sum(text_lines(root, p)
                for p in cpp + files(root, ["tests"], (".py", ".sh", ".irtest")) if is_test(p))
    ratio = share(tests, source)
    report.append(f"test lines: {tests} for {source} source lines, {ratio:.2f} (>= {TEST_RATIO}"
                  f"{'' if strict else ', enforced by --strict'})")
    if strict and ratio < TEST_RATIO:
        found.append(Finding("tests", 0, "test-ratio", f"{ratio:.2f} test lines a source line, budget "
                             f"{TEST_RATIO}"))
    found += todo_findings(root, everything)
    return waivers.filter(found), report


def print_longest(root, count):
    cpp, _ = measured_paths(root)
    print("longest files:")
    for lines, path in sorted(((lines_of(root, p), p) for p in cpp), reverse=True)[:count]:
        print(f"  {lines:5} {path}")
    print("longest functions:")
    measured = sorted(function_list(root, cpp), key=lambda entry: -entry[1].lines)
    for path, function in measured[:count]:
        print(f"  {function.lines:5} {path}:{function.line} {function.name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=repository_root())
    parser.add_argument("--strict", action="store_true", help="enforce the test ratio, too")
    parser.add_argument("--list", type=int, default=0, metavar="N", help="name the N longest")
    options = parser.parse_args()
    found, report = check(options.root, options.strict)
    print("\n".join(report))
    if options.list:
        print_longest(options.root, options.list)
    for finding in found:
        print(finding)
    print(f"budgets: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
