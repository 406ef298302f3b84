"""What ./check --aarch64 does: the CPU back end compiled for 64-bit Arm, its tests under qemu.

qemu says whether the kernels are right, not how fast they are. It knows CPUs by name, so that every choice of kernels
is made once: cortex-a72 has plain NEON, neoverse-n1 `sdot` as well, `max` also `smmla`.
"""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
TOOLS = ("aarch64-linux-gnu-g++", "qemu-aarch64", "apt-get", "dpkg-deb")
TARGETS = ["test_conformance", "test_backends_cpu", "greedy_ids"]
LIMIT_S = 600


@dataclass
class Job:
    cpu: str
    program: str
    arguments: list = field(default_factory=list)
    most_elements: int = 0  # of a conformance case's inputs: qemu takes minutes for the largest; see conformance.cc

    def name(self):
        limit = f", cases up to {self.most_elements} elements" if self.most_elements else ""
        return " ".join([self.program, *self.arguments, f"on {self.cpu}{limit}"])


# The longest first, so that two cores end together.
JOBS = [
    Job("max", "test_conformance", most_elements=16000),
    Job("max", "test_backends_cpu"),
    Job("cortex-a72", "test_conformance", most_elements=4000),
    Job("cortex-a72", "test_backends_cpu", ["--gtest_filter=All/Quantised*:Rows.*:Isa*:Cpu*"]),
    Job("neoverse-n1", "test_conformance", ["--gtest_filter=Conformance.Quantised*"], most_elements=16000),
    Job("neoverse-n1", "test_backends_cpu", ["--gtest_filter=All/Quantised*:Isa*:Cpu*"]),
]


def missing_tools(which=shutil.which):
    """Why this machine cannot; '' when it can."""
    absent = [tool for tool in TOOLS if not which(tool)]
    return f"no {', '.join(absent)} (tools/house/packages.txt)" if absent else ""


def make_sysroot(root):
    """Skipped where Debian's arm64 packages cannot be had: that is a machine's network, and no finding."""
    command = [root / "tools" / "house" / "sysroot.sh"]
    print("$", command[0], flush=True)
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    print(done.stdout, end="", flush=True)
    if done.returncode == 0:
        return "passed", ""
    lines = done.stdout.strip().splitlines() or ["no reason given"]
    return "skipped", f"no arm64 packages: {lines[-1]}"


def run_job(job, build):
    environment = os.environ | {"QEMU_CPU": job.cpu, "GTEST_BRIEF": "1", "GTEST_COLOR": "no"}
    environment.pop("TENON_CPU_ISA", None)
    if job.most_elements:
        environment["TENON_CONFORMANCE_MOST_ELEMENTS"] = str(job.most_elements)
    start = time.monotonic()
    try:
        done = subprocess.run([*QEMU, build / "bin" / job.program, *job.arguments], cwd=build, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=LIMIT_S)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as stopped:
        code, output = 124, (stopped.stdout or b"").decode(errors="replace") + f"\nstopped after {LIMIT_S} s"
    print(f"{job.name()}: exit code {code}, {time.monotonic() - start:.1f} s", flush=True)
    if code:
        print(output, flush=True)
    return code, output


def kernels_that_ran(output):
    """Names in the table that conformance prints, of kernels with a case that ran."""
    rows = [line.split() for line in output.splitlines()]
    return {row[0] for row in rows if len(row) == 5 and "__" in row[0] and row[1].isdigit() and int(row[1]) > 0}


def run_tests(build, cores, jobs=None):
    jobs = JOBS if jobs is None else jobs
    with ThreadPoolExecutor(cores) as pool:
        results = list(pool.map(lambda job: run_job(job, build), jobs))
    bad = [job.name() for job, (code, _) in zip(jobs, results) if code]
    if bad:
        return "failed", "; ".join(bad)
    ran = set().union(*(kernels_that_ran(output) for _, output in results))
    arm = sorted(name for name in ran if name.rsplit("__", 1)[-1] in ("neon", "dotprod", "i8mm"))
    return ("passed", f"{len(arm)} kernels ran") if arm else ("failed", "no kernel for Arm ran")


def run_plans(root, host, build):
    """Plans built by this machine's `tenon`, run under qemu."""
    test = root / "tests" / "aarch64" / "plan_test.py"
    command = [sys.executable, "-B", test, host / "bin" / "tenon", build / "bin" / "greedy_ids", root, *QEMU]
    print("$", *command, flush=True)
    code = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL).returncode
    return ("passed", "") if code == 0 else ("failed", f"exit code {code}")
