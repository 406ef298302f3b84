#!/usr/bin/env python3
"""The phases of ./check. Started by the script of that name, which installs the packages first."""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import aarch64
import cuda
import headers
import results

ROOT = Path(__file__).resolve().parent.parent.parent
CORES = len(os.sched_getaffinity(0))
FORMATTED = ("*.cc", "*.h", "*.hpp", "*.cu", "*.cuh")
FUZZ_SECONDS = 20


@dataclass
class Phase:
    name: str
    outcome: str  # passed, failed, skipped
    seconds: float
    note: str = ""


@dataclass
class Run:
    build: Path
    built: Path = None  # binaries of the CUDA build that were made elsewhere
    phases: list = field(default_factory=list)
    counts: results.Counts = field(default_factory=results.Counts)

    def phase(self, name, work):
        """Runs work() -> (outcome, note) and records it."""
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        outcome, note = work()
        self.phases.append(Phase(name, outcome, time.monotonic() - start, note))
        if outcome == "skipped":
            print(f"skip {name}: {note}")
        return outcome

    def passed(self, name):
        return any(p.name == name and p.outcome == "passed" for p in self.phases)


def call(command, **options):
    print("$", " ".join(str(word) for word in command), flush=True)
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, **options).returncode


def outcome_of(code, note=""):
    return ("passed", note) if code == 0 else ("failed", note or f"exit code {code}")


def tracked_cpp():
    listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--", *FORMATTED],
                            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    if listed.returncode != 0:  # a source archive: everything in it
        names = [str(p.relative_to(ROOT)) for folder in ("src", "include", "tests", "bench", "fuzz")
                 for pattern in FORMATTED for p in (ROOT / folder).rglob(pattern)]
    return sorted(name for name in names if (ROOT / name).exists())


def check_format():
    names = tracked_cpp()
    if not names:
        return "failed", "found no C++ file"
    half = -(-len(names) // CORES)
    batches = [names[i:i + half] for i in range(0, len(names), half)]
    running = [subprocess.Popen(["clang-format-14", "--dry-run", "-Werror", "--ferror-limit=1", *batch],
                                cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for batch in batches]
    output = [process.communicate()[1] for process in running]
    if not any(process.returncode for process in running):
        return "passed", f"{len(names)} files"
    bad = sorted({line.split(":")[0] for text in output for line in text.splitlines()
                  if ": error:" in line or ": warning:" in line})
    if not bad:
        print("".join(output))
        return "failed", "clang-format-14 did not run"
    print("not formatted:", *bad, sep="\n  ")
    print("fix: clang-format-14 -i", *bad)
    return "failed", f"{len(bad)} of {len(names)} files"


def check_script(*command):
    return outcome_of(call([sys.executable, *command]))


def check_architecture():
    scripts = ("tests/arch/architecture.py", "tests/arch/self_test.py", "tools/house/results_test.py",
               "tools/house/cuda_test.py", "tools/house/aarch64_test.py")
    codes = [call([sys.executable, script]) for script in scripts]
    return outcome_of(max(codes), "" if any(codes) else "rooms, libraries, documents, self-tests")


def check_headers(run):
    bad, compiled, known = headers.check(ROOT, run.build, CORES)
    note = f"{compiled} compiled alone, {known} unchanged"
    return ("failed", f"{bad} do not compile alone") if bad else ("passed", note)


def configure(preset, build):
    return outcome_of(call(["cmake", "--preset", preset, "-B", str(build)], stdout=subprocess.DEVNULL))


def build_all(build):
    # -k 0: go on after an error, so that one run shows them all.
    return outcome_of(call(["cmake", "--build", str(build), "-j", str(CORES), "--target", "all", "all_tests",
                            "--", "-k", "0"]))


def run_tests(run, build, prefix=()):
    folder = build / "results"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Brief: only failures are printed; the XML has every case.
    environment = os.environ | {"GTEST_OUTPUT": f"xml:{folder}/", "GTEST_COLOR": "no", "GTEST_BRIEF": "1"}
    code = call([*prefix, "ctest", "--test-dir", str(build), "-j", "2", "--output-on-failure", "--timeout", "900",
                 "--no-tests=error", "-LE", "house", "--test-output-size-passed", "100000",
                 "--output-junit", str(folder / "ctest.xml")], env=environment)
    counts = results.collect(folder)
    for reason in counts.skip_reasons:
        print("skip", reason)
    if code and not counts.failed:
        counts.failed += 1  # ctest itself failed: that must show in the sum
    run.counts.add(counts)
    return outcome_of(code, str(counts))


def phases_of_a_build(run, preset, name, prefix=(), build=None):
    build = build or run.build.parent / preset
    if run.phase(f"configure{name}", lambda: configure(preset, build)) == "passed":
        run.phase(f"build{name}", lambda: build_all(build))
        if run.passed(f"build{name}"):
            run.phase(f"tests{name}", lambda: run_tests(run, build, prefix))
            return build
    run.phase(f"tests{name}", lambda: ("failed", "not run: the build failed"))
    return None


def presets():
    return {p["name"] for p in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}


def extra_reason(run, kind):
    """Why this machine or tree cannot run the extra build; '' when it can."""
    if kind == "cuda" and run.built:
        return "" if (run.built / "bin" / "test_conformance").exists() else f"no binaries in {run.built}"
    if kind == "cuda" and not shutil.which("nvcc") and not Path("/usr/local/cuda/bin/nvcc").exists():
        return "no CUDA toolkit"
    if kind == "aarch64":
        return aarch64.missing_tools()
    if kind == "fuzz" and not shutil.which("clang++"):
        return "no clang++ (libFuzzer)"
    if kind == "browser":
        absent = [command for command in ("chromium", "node", "npm") if not shutil.which(command)]
        built = (run.build / "bin" / "tenon").exists()
        return f"no {', '.join(absent)}" if absent else "" if built else f"no {run.build}/bin/tenon"
    if kind not in presets():
        return f"no preset {kind} in CMakePresets.json yet"
    return ""


def run_fuzzer(target, build):
    """One fuzzer from its committed inputs; what it finds on its way stays in the build folder."""
    name = target.name.removeprefix("fuzz_")
    seeds, corpus = ROOT / "fuzz" / "corpus" / name, build / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([target, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048",
                           "-verbosity=0", "-print_funcs=0", "-print_final_stats=1", f"-artifact_prefix={build}/found-{target.name}-",
                           corpus, seeds], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    runs = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("stat::number_of_executed_units")]
    print(f"{target.name}: {runs[0] if runs else 'no'} inputs in {FUZZ_SECONDS} s, exit code {done.returncode}", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode != 0 or not runs


def run_fuzzers(build):
    targets = sorted((build / "bin").glob("fuzz_*"))
    if not targets:
        return "failed", "no fuzz targets were built"
    with ThreadPoolExecutor(CORES) as pool:
        bad = sum(pool.map(lambda target: run_fuzzer(target, build), targets))
    return ("failed", f"{bad} found something: {build}/found-*") if bad else ("passed", f"{len(targets)} fuzzers")


def fuzz(run):
    """Only the fuzz targets are built: the tests run in the other builds."""
    build = run.build.parent / "fuzz"
    if run.phase("configure fuzz", lambda: configure("fuzz", build)) != "passed":
        return
    targets = ["cmake", "--build", str(build), "-j", str(CORES), "--target", "all_fuzzers"]
    if run.phase("build fuzz", lambda: outcome_of(call(targets))) == "passed":
        run.phase("fuzz", lambda: run_fuzzers(build))


def gpu_phases(run, build):
    for name, work in cuda.gpu_phases(ROOT, build, run.build.parent / "conformance.json"):
        run.phase(name, work)


def architectures(run):
    """One source tree for all cards: compiled here, run where such a card is."""
    name = "cuda architectures"
    if "tenon_cuda_architectures" not in (run.build / "build.ninja").read_text():
        run.phase(name, lambda: ("skipped", extra_reason(run, "cuda") or "this build has no CUDA back end"))
        return
    targets = ["cmake", "--build", str(run.build), "-j", str(CORES), "--target", "tenon_cuda_architectures"]
    run.phase(name, lambda: outcome_of(call(targets), "80 (code and PTX), 86, 89; 90a is in the build"))


# What npm says where its registry cannot be reached: that is a machine's network, and no finding.
NO_REGISTRY = re.compile(r"code (E(?:NOTFOUND|AI_AGAIN|CONN\w+|TIMEDOUT|NETUNREACH|SOCKETTIMEDOUT|403|407|5\d\d)|\w*CERT\w*)")


def npm_install(modules):
    """The locked packages; skipped, with npm's reason, where there is no registry."""
    command = ["npm", "--prefix", str(modules), "ci", "--ignore-scripts", "--no-audit", "--no-fund",
               "--fetch-retries=1", "--fetch-timeout=60000"]
    print("$", " ".join(command), flush=True)
    environment = dict(os.environ)
    store = "/etc/ssl/certs/ca-certificates.crt"  # node has a list of its own, which knows no proxy
    if os.path.exists(store):
        environment.setdefault("NODE_EXTRA_CA_CERTS", store)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    print(done.stdout, flush=True)
    unreachable = NO_REGISTRY.search(done.stdout)
    if done.returncode and unreachable:
        return "skipped", f"npm's registry cannot be reached: {unreachable[1]}"
    return outcome_of(done.returncode)


def browser(run):
    """The page and the reports in Chromium. playwright-core comes from npm, pinned by its lock file."""
    modules, source = run.build.parent / "browser", ROOT / "tests" / "browser"
    modules.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, modules)
    if run.phase("browser modules", lambda: npm_install(modules)) != "passed":
        return
    test = [sys.executable, "-B", str(source / "browser_test.py"), str(run.build / "bin" / "tenon"), str(ROOT), str(modules)]
    run.phase("browser", lambda: outcome_of(call(test)))


def arm(run):
    """The CPU back end for 64-bit Arm, under qemu; plans that this build makes, run there."""
    build = run.build.parent / "aarch64"
    if run.phase("aarch64 sysroot", lambda: aarch64.make_sysroot(ROOT)) != "passed":
        return
    targets = ["cmake", "--build", str(build), "-j", str(CORES), "--target", *aarch64.TARGETS]
    if run.phase("configure aarch64", lambda: configure("aarch64", build)) == "passed":
        if run.phase("build aarch64", lambda: outcome_of(call(targets))) == "passed":
            run.phase("qemu aarch64", lambda: aarch64.run_tests(build, CORES))
            run.phase("plans aarch64", lambda: aarch64.run_plans(ROOT, run.build, build)
                      if (run.build / "bin" / "tenon").exists() else ("skipped", f"no {run.build}/bin/tenon"))


def extra(run, kind):
    reason = extra_reason(run, kind)
    if reason:
        run.phase(kind, lambda: ("skipped", reason))
        print(f"skipped: {reason}")
        return
    # gcc 12's thread sanitizer does not know the address layout of newer kernels.
    fixed_layout = ("setarch", platform.machine(), "-R")
    prefix = fixed_layout if kind == "tsan" and shutil.which("setarch") else ()
    if kind == "fuzz":
        fuzz(run)
    elif kind == "browser":
        browser(run)
    elif kind == "aarch64":
        arm(run)
    elif kind == "cuda" and run.built:
        gpu_phases(run, run.built)
    elif kind == "cuda":
        build = phases_of_a_build(run, kind, f" {kind}")
        if build:
            gpu_phases(run, build)
    else:
        phases_of_a_build(run, kind, f" {kind}", prefix)


def summary(run):
    print("\n" + "-" * 78)
    for phase in run.phases:
        minutes, seconds = divmod(phase.seconds, 60)
        print(f"{phase.name:18} {phase.outcome:8} {minutes:3.0f}:{seconds:04.1f}  {phase.note}")
    total = sum(p.seconds for p in run.phases)
    print(f"{'total':27} {total // 60:3.0f}:{total % 60:04.1f}")
    print("-" * 78)
    # A tests phase counts through its tests; every other phase counts as one.
    for phase in run.phases:
        if not phase.name.startswith("tests") or phase.note.startswith("not run"):
            setattr(run.counts, phase.outcome, getattr(run.counts, phase.outcome) + 1)
    print(run.counts)
    return 1 if run.counts.failed or any(p.outcome == "failed" for p in run.phases) else 0


def parse():
    parser = argparse.ArgumentParser(
        prog="check", description="Format, architecture, budgets, headers, build, all CPU tests.")
    for kind, text in (("asan", "address and undefined-behaviour sanitizers"), ("tsan", "thread sanitizer"),
                       ("fuzz", f"each fuzzer for {FUZZ_SECONDS} s"), ("cuda", "the CUDA build and tests"),
                       ("browser", "the page and the reports in Chromium"),
                       ("aarch64", "the CPU back end for 64-bit Arm, under qemu")):
        parser.add_argument(f"--{kind}", action="store_true", help=f"add: {text}")
    parser.add_argument("--only", choices=["format", "arch", "budgets", "headers", "kernels", "tests", "none"],
                        help="run this phase alone (tests: configure and build, too); none: what --cuda and the like add")
    parser.add_argument("--strict", action="store_true", help="enforce the test ratio in budgets")
    parser.add_argument("--no-install", action="store_true", help="do not look at the Debian packages")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build" / "release",
                        help="where to build (default: build/release)")
    parser.add_argument("--built", type=Path, help="with --cuda: a folder with bin/ and lib/ built elsewhere, "
                        "for a machine with a GPU and no compiler")
    return parser.parse_args()


def main():
    options = parse()
    run = Run(build=options.build_dir.resolve(), built=options.built and options.built.resolve())
    wanted = [options.only] if options.only else ["format", "arch", "budgets", "headers", "kernels", "tests"]
    cheap = {
        "format": check_format,
        "arch": check_architecture,
        "budgets": lambda: check_script("tests/arch/budgets.py", *(["--strict"] if options.strict else [])),
        "headers": lambda: check_headers(run),
        "kernels": lambda: cuda.check_results(ROOT),
    }
    for name, work in cheap.items():
        if name in wanted:
            run.phase(name, work)
    if "tests" in wanted:
        if phases_of_a_build(run, "release", "", build=run.build):
            architectures(run)
    for kind in ("browser", "aarch64", "asan", "tsan", "fuzz", "cuda"):
        if getattr(options, kind):
            extra(run, kind)
    return summary(run)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
