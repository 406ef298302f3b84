"""Compiles each changed header alone, so that no header leans on what its reader included before."""

import hashlib
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMMAND = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-maybe-uninitialized"]
# Headers of sources that are compiled once per instruction set.
SIMD = ["-DTENON_ISA=header_check", "-mavx2", "-mfma", "-mf16c", "-mbmi2"]
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
NEON_COMPILER = "aarch64-linux-gnu-g++"  # of *_neon.h; installed for ./check --aarch64
NEON = ["-DTENON_ISA=header_check", "-march=armv8.2-a+dotprod+i8mm"]


def is_neon(path):
    return path.endswith("_neon.h")


def flags(path, text):
    if is_neon(path):
        return NEON
    extra = SIMD if "/simd/" in path else []
    if path.endswith("_test_support.h"):
        extra = ['-DTENON_SOURCE_DIR=""', '-DTENON_GOLDEN_TOKENIZERS=""', '-DTENON_GOLDEN_MODELS=""', '-DTENON_GOLDEN_SAM=""']  # as the build gives it to tests
    # Where the instruction set is asked for, the narrow half is checked.
    wide = "512" in os.path.basename(path) or ("_mm512_" in text and "__AVX512" not in text)
    return extra + (AVX512 if wide else [])


def digest(root, path, known):
    """Of a header with all headers of ours that it reaches."""
    if path not in known:
        known[path] = ""
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        total = hashlib.sha256(" ".join(COMMAND + flags(path, text)).encode() + text.encode())
        for used in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M):
            for folder in ("src/", "include/"):
                if (root / folder / used).exists():
                    total.update(digest(root, folder + used, known).encode())
        known[path] = total.hexdigest()
    return known[path]


def compiles(root, path):
    language = "c" if path.startswith("include/") and path.endswith(".h") else "c++"
    command = ["gcc", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"] if language == "c" else COMMAND
    if is_neon(path):
        command = [NEON_COMPILER, *COMMAND[1:]]
    run = subprocess.run([*command, *flags(path, (root / path).read_text(encoding="utf-8")), "-Isrc", "-Iinclude", "-x", language, "-"],
                         input=f'#include "{path.split("/", 1)[1]}"\n', cwd=root, capture_output=True, text=True)
    return path, run.returncode == 0, run.stderr


def check(root, build, cores):
    """(headers that fail, headers compiled, headers known to be good)"""
    stamps = Path(build) / "headers_checked.txt"
    good = set(stamps.read_text().split()) if stamps.exists() else set()
    paths = sorted(str(p.relative_to(root)) for folder in ("src", "include")
                   for suffix in ("*.h", "*.hpp") for p in (root / folder).rglob(suffix)
                   if "backends/cuda" not in str(p))
    if not shutil.which(NEON_COMPILER):
        for path in filter(is_neon, paths):
            print(f"skip {path}: no {NEON_COMPILER}")
        paths = [path for path in paths if not is_neon(path)]
    known = {}
    now = {path: digest(root, path, known) for path in paths}
    todo = [path for path in paths if now[path] not in good]
    bad = set()
    with ThreadPoolExecutor(cores) as pool:
        for path, ok, errors in pool.map(lambda path: compiles(root, path), todo):
            if not ok:
                bad.add(path)
                print(f"{path} does not compile alone:\n{errors}")
    stamps.parent.mkdir(parents=True, exist_ok=True)
    stamps.write_text("\n".join(now[path] for path in paths if path not in bad) + "\n")
    return len(bad), len(todo), len(paths) - len(todo)
