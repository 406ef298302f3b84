#!/usr/bin/env python3
"""Documents that repeat what the code says: docs/architecture.md is generated, others are compared.

  documents.py --write   writes docs/architecture.md anew
"""

import re
import sys

from house import Finding, read, read_rooms, repository_root

PURPOSES = {
    "base": "`Error`, log, text helpers, mapped files, checked byte readers, thread pool, limits",
    "data": "JSON and CBOR (later protobuf, YAML) behind our own small types, with limits",
    "tensor": "DType, Dim, Shape, QuantSpec, TensorView (never owns), Tensor (always owns), recipes",
    "device": "Device, Stream, Event, Allocator, Arena, Communicator; no vendor type",
    "ops": "the catalogue: one header an op = attributes, shape rule, formula in words",
    "text": "Unicode, tokenizers, chat templates",
    "metrics": "error statistics, KL divergence, perplexity, ROUGE and others: pure functions",
    "imaging": "JPEG and PNG, resizing, masks and their encodings: pixels on the host, no models",
    "ir": "Graph, Node, Value, Region, verifier, the one text form, pattern rewriter",
    "quant": "quantisers: statistics and weights in, packed weights out",
    "plan": "the plan file: structs, reader, writer, versions, full verification",
    "plugins": "loads plug-ins through their C ABI",
    "backends/reference": "scalar C++ for every op: the oracle's oracle and everyone's fallback",
    "backends/cpu": "own SIMD kernels",
    "backends/cuda": "cuBLASLt, cuDNN and own kernels; a shared library of its own",
    "nn": "the C++ layer API; builds ir",
    "passes": "graph in, graph out: simplify, fuse, quantise, layout, memory",
    "runtime": "loads a plan, binds implementations per bucket, arenas, run loop",
    "frontends": "checkpoint formats in, weight sources and graphs out",
    "models": "one file an architecture: nn code and the map of weight names",
    "pipelines": "host logic around sessions: request, cache, schedule, engine; knows no ir",
    "compiler": "frontend, passes, choice, calibration, fidelity gate, plan",
    "capi": "the C ABI of `include/tenon/tenon.h` over runtime and pipelines",
    "prove": "compare, eval, bench, profile, conform",
    "report": "the HTML and Markdown report and its charts",
    "server": "HTTP",
    "cli": "one file a verb",
}

HEADER = """# Architecture

Generated from `cmake/rooms.cmake` by `tests/arch/documents.py --write`; the architecture test compares it.

    checkpoint ──frontends──▶ weights + config ──models (nn)──▶ ir graph ──passes──▶ graph'
        ──compiler (chooses implementations, checks fidelity)──▶ plan file
    plan file ──runtime──▶ session ──bound kernels──▶ tensors ──pipelines──▶ text ──cli, server──▶ people

Two halves share only the plan. The **build half** makes it (library `compiler`), the **run half** runs it (library
`runtime`). `core` is linked by everything, once. `cuda` is opened at run time, so a CPU install needs no CUDA.

A room is a folder of `src/`. It includes the rooms declared for it, all of a lower level; rooms of one level do not
see each other. `tests/arch/architecture.py` checks every include and prints the reason of each ban.

| level | room | library | what lives there | may include |
|---:|---|---|---|---|
"""

FOOTER = """
## Bans that outlive any declaration

- `runtime`, `pipelines`, `server` and `capi` never reach `ir`, `nn`, `passes`, `quant`, `frontends`, `models` or
  `compiler`, not even through others: a deployed binary stays small.
- `ops` does not know `ir`: attributes and shape rules are needed at run time, too.
- CUDA, cuBLAS and cuDNN headers stay in `backends/cuda`.
- A kernel file (`backends/*/kernels/`) includes `base`, `tensor`, `ops` and its own back end only.
- `include/tenon/*.h` is plain C over `<stddef.h>`, `<stdint.h>`, `<stdbool.h>`; other public headers use the standard
  library only. Examples include nothing but public headers.
- Third-party headers have one room each (the table `LIBRARIES` of the architecture test, with reasons).

## Four hops from entry to kernel

`Session::run` → step loop → bound `run(args)` → launch.
"""


def architecture_document(rooms):
    rows = []
    for room in rooms.values():
        uses = ", ".join(room.depends) or "the standard library"
        rows.append(f"| {room.level} | `{room.name}/` | {room.library} | {PURPOSES.get(room.name, '')} | "
                    f"{uses} |\n")
    return HEADER + "".join(rows) + FOOTER


def architecture_findings(root, rooms):
    path = "docs/architecture.md"
    found = [Finding("tests/arch/documents.py", 0, "document", f"PURPOSES does not describe {name}")
             for name in rooms if name not in PURPOSES]
    if not (root / path).exists() or read(root / path) != architecture_document(rooms):
        found.append(Finding(path, 0, "document", "is not what cmake/rooms.cmake says: run "
                             "tests/arch/documents.py --write"))
    return found


def row_findings(root, source, pattern, document, row):
    """Each match of `pattern` in `source` has its row in `document`, and each row its match."""
    if not (root / source).exists():
        return []
    text = read(root / document) if (root / document).exists() else ""
    wanted = [row(*match) for match in re.findall(pattern, re.sub(r"//.*", "", read(root / source)))]
    found = [Finding(document, 0, "document", f"no row starts with `{start}`, which {source} says")
             for start in wanted if not re.search("^" + re.escape(start), text, re.M)]
    for line in text.splitlines():
        if line.startswith("| `") and not line.startswith((*wanted, "| `0` |")):
            found.append(Finding(document, 0, "document", f"{source} does not say: {line}"))
    return found


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def package_findings(root):
    """Every dependency of cmake/dependencies.cmake has its package, and every package a need."""
    cmake, listed = root / "cmake/dependencies.cmake", "tools/house/packages.txt"
    if not cmake.exists() or not (root / listed).exists():
        return []
    text = re.sub(r"#.*", "", read(cmake))
    needs = set(re.findall(r"find_package\((\w+)", text)) - {"Threads"}
    needs |= set(re.findall(r"find_(?:library|path)\((\w+)", text))
    rows = [line.split() for line in read(root / listed).splitlines()
            if line.strip() and not line.startswith("#")]
    given = {row[1] for row in rows if len(row) > 1}
    found = [Finding(listed, 0, "document", f"no package for {need} of cmake/dependencies.cmake")
             for need in sorted(needs - given)]
    found += [Finding(listed, 0, "document", f"cmake/dependencies.cmake does not ask for {need}")
              for need in sorted(given - needs - {"build", "check", "fuzz", "browser", "aarch64"})]
    return found


def document_findings(root, rooms):
    return (architecture_findings(root, rooms) + package_findings(root)
            + row_findings(root, "src/base/error.h", r"(?m)^  ([A-Z]\w+) = (\d+),", "docs/exit_codes.md",
                           lambda name, code: f"| `{code}` | `{snake(name)}` |")
            + row_findings(root, "src/base/limits.h", r"(?m)^  \w+ (\w+) = ([^;]+);", "docs/limits.md",
                           lambda name, value: f"| `{name}` | `{value}` |"))


def main():
    root = repository_root()
    if sys.argv[1:] != ["--write"]:
        print(__doc__.strip())
        return 2
    (root / "docs/architecture.md").write_text(architecture_document(read_rooms(root)), encoding="utf-8")
    print("wrote docs/architecture.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
