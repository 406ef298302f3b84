"""What ./check does about CUDA: which kernels the committed results cover, and the runs on a GPU.

On a machine with a GPU: conformance with its results kept, the tests of failing memory, and
compute-sanitizer over both, after it has found the faults that are planted in planted_faults.cu.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

KERNELS = Path("src/backends/cuda")
RESULTS = Path("bench/results")
SUPPRESSIONS = Path("tools/house/sanitizer_suppressions.xml")
# Of the conformance cases under the sanitizer, which uses the host more than the GPU; so many run at a time.
SHARDS, AT_A_TIME = {"memcheck": 16, "racecheck": 48}, 16
RACECHECK_MOST_ELEMENTS = 1_200_000  # of a case's inputs; see tests/conformance/conformance.cc
# What racecheck leaves out, and why; memcheck runs over all. Implementations are left out, not kernels by name: where
# racecheck passes over one of cuBLASLt's kernels, the next call fails with an illegal address.
NOT_RACECHECKED = {
    "linear_cublaslt__any": "not ours to mend; kernels that hand over by mbarriers are reported",
    "linear_gemv__f16_bf16__8x1024__sm80":
        "mbarriers and bar.arrive are not followed: bulk copies into the ring are reported against reads of the phase "
        "before (ordered by `empty`), sums against the finishing warp (ordered by bar.arrive and bar.sync)",
}
LIMIT_S = int(os.environ.get("TENON_SANITIZER_LIMIT_S", "900"))


# ---- Which kernels ran ---------------------------------------------------------------------------


def kernel_files(root):
    """{kernel name: file} of every implementation in the CUDA back end's sources."""
    found = {}
    for path in sorted((root / KERNELS).rglob("*.c[uc]")):
        text = path.read_text(encoding="utf-8")
        if "ops::Implementation" not in text:
            continue
        for name in re.findall(r'(?:\.name\s*=\s*|implementation\w*(?:<[^>]*>)?\()\s*"(\w+__\w+)"', text):
            found[name] = path.relative_to(root)
    return found


def included(root, path, seen):
    """The file and the back end's own files that it includes, and those include; not the list of all kernels."""
    if path in seen or path == KERNELS / "impl_list.h" or not (root / path).exists():
        return
    seen.add(path)
    for name in re.findall(r'#include "(backends/cuda/[^"]+)"', (root / path).read_text(encoding="utf-8")):
        included(root, Path("src") / name, seen)


def digest(root, path):
    """Of all that a kernel's file is made of."""
    seen = set()
    included(root, path, seen)
    sha = hashlib.sha256()
    for name in sorted(seen):
        sha.update(str(name).encode() + b"\0" + (root / name).read_bytes())
    return sha.hexdigest()[:16]


def read_results(root):
    """{kernel: digest of its sources when it last passed} over all committed results."""
    passed = {}
    for path in sorted((root / RESULTS).glob("conformance_*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        for name, entry in results["implementations"].items():
            if entry["run"] > 0 and entry["run"] == entry["passed"]:
                passed.setdefault(name, set()).add(entry.get("sources", ""))
    return passed


def check_results(root):
    """Lists kernels that ran nowhere, or ran before they were changed. Not a failure: this machine
    cannot run them."""
    kernels, passed = kernel_files(root), read_results(root)
    if not kernels:
        return "failed", "found no kernel in src/backends/cuda"
    missing = [name for name in kernels if name not in passed]
    changed = [name for name, path in kernels.items()
               if name in passed and digest(root, path) not in passed[name]]
    for name in missing:
        print(f"skip {name}: ran nowhere in bench/results/conformance_*.json")
    for name in changed:
        print(f"skip {name}: its sources changed since it ran in bench/results/conformance_*.json")
    return "passed", f"{len(kernels)} CUDA kernels, {len(missing)} ran nowhere, {len(changed)} changed since"


# ---- On a GPU ------------------------------------------------------------------------------------


def has_gpu():
    return Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia/version").exists()


def run(command, log, limit=LIMIT_S, **variables):
    """The exit code; output goes to the file."""
    print("$", " ".join(str(word) for word in command), flush=True)
    environment = os.environ | {"GTEST_BRIEF": "1", "GTEST_COLOR": "no"} | variables
    with open(log, "w", encoding="utf-8") as file:
        try:
            return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment,
                                  stdin=subprocess.DEVNULL, timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"stopped after {limit} s", file=file)
            return 124


def tail(log, lines=15):
    text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    print("\n".join(text[-lines:]))


def conformance(root, binaries, results):
    """Every CUDA kernel on every case; writes the results with the sources they stand for."""
    results.parent.mkdir(parents=True, exist_ok=True)
    log = results.with_suffix(".log")
    code = run([binaries / "test_conformance"], log, TENON_CONFORMANCE="cuda",
               TENON_CONFORMANCE_RESULTS=str(results))
    tail(log, 40)
    if not results.exists():
        return "failed", f"no results, exit code {code}"
    content = json.loads(results.read_text(encoding="utf-8"))
    kernels = kernel_files(root)
    for name, entry in content["implementations"].items():
        if name in kernels:
            entry["sources"] = digest(root, kernels[name])
    results.write_text(compact(content) + "\n", encoding="utf-8")
    total = sum(entry["run"] for entry in content["implementations"].values())
    passed = sum(entry["passed"] for entry in content["implementations"].values())
    note = f"{passed} of {total} cases of {len(content['implementations'])} kernels"
    return ("passed" if code == 0 and total > 0 else "failed"), note


def compact(content):
    """One line a kernel's figures, one a kernel's cases."""
    lines = []
    for name, entry in content["implementations"].items():
        cases = json.dumps(entry.pop("cases", {}), separators=(",", ":"))
        head = json.dumps(entry)[1:-1]
        lines.append(f"  {json.dumps(name)}: {{{head},\n   \"cases\": {cases}}}")
    rest = {key: value for key, value in content.items() if key != "implementations"}
    return json.dumps(rest)[:-1] + ',\n "implementations": {\n' + ",\n".join(lines) + "}}"


def reports(text):
    """What compute-sanitizer counted, None where it did not come to its end."""
    counts = [int(n) for n in re.findall(r"ERROR SUMMARY: (\d+) error", text)]
    counts += [int(n) for n in re.findall(r"RACECHECK SUMMARY: (\d+) hazard", text)]
    return sum(counts) if counts else None


def sanitize(root, tool, command, log, limit=LIMIT_S, options=(), **variables):
    """(reports or None, exit code) of one program under one tool."""
    if tool == "racecheck":
        variables["TENON_CONFORMANCE_WITHOUT"] = " ".join(NOT_RACECHECKED)
        variables["TENON_CONFORMANCE_MOST_ELEMENTS"] = str(RACECHECK_MOST_ELEMENTS)
    code = run([sanitizer(), "--tool", tool, "--suppressions", root / SUPPRESSIONS, *options, *command], log, limit,
               **variables)
    return reports(Path(log).read_text(encoding="utf-8", errors="replace")), code


def sanitizer():
    found = shutil.which("compute-sanitizer")
    for path in ("/usr/local/cuda/bin/compute-sanitizer", "/usr/local/cuda/compute-sanitizer/compute-sanitizer"):
        found = found or (path if Path(path).exists() else None)
    return found


def planted(root, binaries, logs):
    """The tools must find what is planted, and nothing in the same program without it."""
    program, wrong = binaries / "planted_faults", []
    for tool, fault, expected in (("memcheck", "bounds", True), ("racecheck", "race", True),
                                  ("memcheck", "none", False), ("racecheck", "none", False)):
        found, _ = sanitize(root, tool, [program, fault], logs / f"planted_{tool}_{fault}.log", 120)
        print(f"{tool} on planted fault '{fault}': {found} reports")
        if found is None or (found > 0) != expected:
            wrong.append(f"{tool} {fault}")
    return ("failed", "not as planted: " + ", ".join(wrong)) if wrong else ("passed", "2 found, 2 clean")


def sanitized(root, binaries, logs, tool, results):
    """The conformance suite in shards side by side, then the tests that make calls fail: they take all
    memory, and what fails is what they ask for. What each found goes into `results`."""
    suites = [binaries / "test_conformance", "--gtest_filter=-OnDevice.*"]
    jobs = [(f"shard {i}", suites,
             {"TENON_CONFORMANCE_SHARD": f"{i}/{SHARDS[tool]}", "TENON_CONFORMANCE": "cuda"})
            for i in range(SHARDS[tool])]
    bad, counts = [], {}

    def judge(name, found, code):
        counts[name] = {"reports": found, "exit_code": code}
        if found != 0 or code != 0:
            bad.append(f"{name}: {found} reports, exit code {code}")
            tail(logs / f"{tool}_{name.replace(' ', '_')}.log", 30)

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        done = [(name, pool.submit(sanitize, root, tool, command, logs / f"{tool}_{name.replace(' ', '_')}.log",
                                   LIMIT_S, **variables)) for name, command, variables in jobs]
        for name, future in done:
            judge(name, *future.result())
    if tool == "memcheck":
        for name, command in (("memory", [binaries / "test_device_memory"]),
                              ("device", [binaries / "test_conformance", "--gtest_filter=OnDevice.*"])):
            judge(name, *sanitize(root, tool, command, logs / f"{tool}_{name}.log", LIMIT_S,
                                  ("--report-api-errors", "no")))
    known = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    left_out = {"implementations": NOT_RACECHECKED, "inputs_above": RACECHECK_MOST_ELEMENTS} if tool == "racecheck" else {}
    known[tool] = {"left_out": left_out, "runs": counts}
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in known.items())
    results.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return ("failed", "; ".join(bad)) if bad else ("passed", f"0 reports in {len(jobs)} shards")


def gpu_phases(root, build, results):
    """(name, work) of what a machine with a GPU runs over the binaries of `build`."""
    binaries, logs = build / "bin", build / "sanitizer"
    if not has_gpu():
        return [("cuda on a GPU", lambda: ("skipped", "no NVIDIA GPU on this machine"))]
    logs.mkdir(parents=True, exist_ok=True)
    found = results.with_name("sanitizers.json")
    found.unlink(missing_ok=True)
    phases = [("cuda conformance", lambda: conformance(root, binaries, results)),
              ("cuda memory", lambda: memory(binaries, logs))]
    if not sanitizer():
        return phases + [("cuda sanitizer", lambda: ("skipped", "no compute-sanitizer on this machine"))]
    return phases + [("cuda planted", lambda: planted(root, binaries, logs)),
                     ("cuda memcheck", lambda: sanitized(root, binaries, logs, "memcheck", found)),
                     ("cuda racecheck", lambda: sanitized(root, binaries, logs, "racecheck", found))]


def memory(binaries, logs):
    code = run([binaries / "test_device_memory"], logs / "memory.log")
    tail(logs / "memory.log")
    return ("passed", "") if code == 0 else ("failed", f"exit code {code}")
