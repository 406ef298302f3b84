#!/usr/bin/env python3
"""Compiles every CUDA kernel of a build folder again and fails where ptxas spills registers.

    tools/cuda_spills.py build/release [part of a file name ...]

A spill moves a kernel's registers to local memory: right results, and a kernel that is slower for
no reason its source shows. A stack frame without spills is no failure: sincosf has one for its
reduction of large angles.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path


def compile_commands(build, parts):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        name = Path(entry["file"]).name
        if name.endswith(".cu") and "backends/cuda" in entry["file"]:
            if not parts or any(part in name for part in parts):
                yield name, entry


def spills(entry):
    """(kernels, lines that name a spill) of one file."""
    command = shlex.split(entry["command"])
    command = [c for c in command if not c.endswith("ccache")]
    at = command.index("-o")
    command[at + 1] = "/dev/null"
    command += ["-Xptxas", "-v"]
    done = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    kernels, found, kernel = 0, [], ""
    for line in done.stderr.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            kernel = match[1]
            kernels += 1
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if match[1] != "0" or match[2] != "0":
                found.append(f"{kernel}: {match[0]}")
    return kernels, found


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    bad = 0
    for name, entry in compile_commands(Path(sys.argv[1]), sys.argv[2:]):
        kernels, found = spills(entry)
        print(f"{name}: {kernels} kernels, {len(found)} spill")
        for line in found:
            print(f"  {line}")
        bad += len(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
