#!/usr/bin/env python3
"""The architecture test: every include of src/ and include/ against cmake/rooms.cmake.

Prints each finding as `file:line: what, and why it is forbidden [rule]`; exit 1 when there is one.
"""

import fnmatch
import re
import sys
from pathlib import Path

import importers
from cpp_text import includes, line_of, without_literals
from documents import document_findings
from house import (CPP_SUFFIXES, HEADER_SUFFIXES, Finding, Waivers, files, is_test, read,
                   read_rooms, repository_root, room_of)

# Which shared library may use which: libtenon_core is linked by everything, once; the run half and
# the CUDA library must load without the build half.
LIBRARY_USES = {
    "core": {"core"},
    "runtime": {"core", "runtime"},
    "cuda": {"core"},
    "compiler": {"core", "runtime", "compiler"},
    "cli": {"core", "runtime", "compiler"},
}

# (rooms, rooms they must never reach, even through others, reason)
BANS = [
    (("runtime", "pipelines", "server", "capi"),
     ("ir", "nn", "passes", "quant", "frontends", "models", "compiler"),
     "the run half shares only the plan with the build half, so that a deployed binary stays small"),
    (("ops",), ("ir",), "attributes and shape rules are needed at run time, where there is no ir"),
]

# (header pattern, rooms, kinds of file, reason). The first match decides.
ANY_ROOM = ("*",)
CUDA = "CUDA types stay inside one back end, so that a CPU install neither links nor needs CUDA"
LIBRARIES = [
    ("nlohmann/*", ("data",), (".cc",), "it costs 4.6 s a file; use data/json.h"),
    ("CLI/*", ("cli",), (".cc", ".h"), "the command line is the business of src/cli alone"),
    ("spdlog/*", ("base",), (".cc",), "it is slow to compile; use base/log.h"),
    ("fmt/*", ANY_ROOM, (".cc",), "headers stay cheap and device code never sees it; use base/text.h"),
    ("xxhash.h", ("base",), (".cc",), "use base/hash.h"),
    ("pcre2.h", ("text",), (".cc",), "regular expressions on outside text have limits set in src/text"),
    ("utf8proc.h", ("text",), (".cc",), "Unicode is the business of src/text"),
    ("jpeglib.h", ("imaging",), (".cc",), "decoding of pictures from outside has limits set in src/imaging"),
    ("jerror.h", ("imaging",), (".cc",), "decoding of pictures from outside has limits set in src/imaging"),
    ("png.h", ("imaging",), (".cc",), "decoding of pictures from outside has limits set in src/imaging"),
    ("boost/*", ("server",), (".cc", ".h"), "only the HTTP server stands on Boost"),
    ("protozero/*", ("data", "frontends"), (".cc", ".h"), "protobuf is an import format"),
    ("yaml-cpp/*", ("data",), (".cc",), "use the small types of src/data, which have limits"),
    ("cub/cub.cuh", (), (), "it costs 7-10 s a file; include the one CUB header you need"),
    ("cub/*", ("backends/cuda",), (".cu", ".cuh"), CUDA),
    ("thrust/*", (), (), "it synchronises and allocates behind your back; use CUB"),
    ("cuda*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("cublas*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("cudnn*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("cupti*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("curand*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("cooperative_groups*", ("backends/cuda",), (".cu", ".cuh"), CUDA),
    ("mma.h", ("backends/cuda",), (".cu", ".cuh"), CUDA),
    ("nccl.h", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("nvrtc.h", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("nvtx3/*", ("backends/cuda",), CPP_SUFFIXES, CUDA),
    ("*intrin.h", ("backends/cpu", "base"), (".cc", ".h"),
     "one translation unit per instruction set, chosen at run time, in backends/cpu"),
    ("arm_neon.h", ("backends/cpu",), (".cc", ".h"),
     "one translation unit per instruction set, chosen at run time, in backends/cpu"),
    ("format", (), (), "gcc 12 has no <format>; use base/text.h"),
    ("expected", (), (), "gcc 12 has no <expected>; throw tenon::Error"),
]

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert ccomplex cctype cerrno cfenv cfloat charconv
chrono cinttypes climits clocale cmath codecvt compare complex concepts condition_variable coroutine
csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque
exception execution experimental/simd filesystem forward_list fstream functional future
initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex
scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token
streambuf string string_view strstream syncstream system_error thread tuple type_traits typeindex
typeinfo unordered_map unordered_set utility valarray variant vector version
assert.h ctype.h errno.h float.h inttypes.h limits.h math.h signal.h stdalign.h stdarg.h stdbool.h
stddef.h stdint.h stdio.h stdlib.h string.h time.h
""".split())
C_STANDARD = {"stdbool.h", "stddef.h", "stdint.h"}
POSIX = ("unistd.h", "fcntl.h", "dirent.h", "sched.h", "dlfcn.h", "glob.h", "poll.h", "pthread.h", "cpuid.h",
         "link.h", "elf.h", "termios.h", "spawn.h", "pwd.h", "malloc.h", "ucontext.h", "execinfo.h",
         "sys/*", "linux/*", "netinet/*", "arpa/*", "asm/*")

PUBLIC_USERS = ("capi", "plugins")
HANDLERS = ("capi", "cli", "server")


def suffix(path):
    return "." + path.rsplit(".", 1)[-1]


def reaches(room, rooms):
    seen, todo = set(), list(rooms[room].depends)
    while todo:
        name = todo.pop()
        if name in rooms and name not in seen:
            seen.add(name)
            todo += rooms[name].depends
    return seen


def declaration_findings(rooms):
    """The declarations themselves: levels go down, libraries link one way, bans hold."""
    def finding(rule, text):
        return Finding("cmake/rooms.cmake", 0, rule, text)

    found = []
    for room in rooms.values():
        for name in room.depends:
            if name not in rooms:
                found.append(finding("declaration", f"{room.name} depends on unknown room {name}"))
                continue
            other = rooms[name]
            if other.level >= room.level:
                found.append(finding("level", f"{room.name} (level {room.level}) depends on {name} "
                                     f"(level {other.level}): a room depends on lower levels only"))
            if other.library not in LIBRARY_USES.get(room.library, ()):
                found.append(finding("library", f"{room.name} (libtenon_{room.library}) depends on "
                                     f"{name} (libtenon_{other.library}): that library stands above it"))
    for users, banned, reason in BANS:
        for user in users:
            for name in sorted(reaches(user, rooms) & set(banned) if user in rooms else ()):
                found.append(finding("ban", f"{user} reaches {name}: {reason}"))
    return found


def cycle_findings(edges):
    """edges: {(room, room): 'file:line'} of real includes."""
    targets = {}
    for user, used in edges:
        targets.setdefault(user, set()).add(used)
    found, state = [], {}

    def visit(room, trail):
        state[room] = "open"
        for used in sorted(targets.get(room, ())):
            if state.get(used) == "open":
                loop = trail[trail.index(used):] + [used]
                places = ", ".join(edges[pair] for pair in zip(loop, loop[1:]))
                found.append(Finding("src", 0, "cycle", f"rooms include each other: "
                                     f"{' -> '.join(loop)} ({places})"))
            elif used not in state:
                visit(used, trail + [used])
        state[room] = "done"

    for room in sorted(targets):
        if room not in state:
            visit(room, [room])
    return found


def room_include_problem(path, room, used, rooms):
    """Why `path` in `room` must not include a header of room `used`; None when it may."""
    if used == room:
        return None
    kernels = re.match(r"(backends/\w+)/kernels/", path)
    if kernels and used not in ("base", "tensor", "ops"):
        return ("kernel-include", f"a kernel file includes {used}: it is read alone, so it knows base, "
                "tensor, op attributes and its own device/ helpers only")
    if used in rooms[room].depends:
        return None
    for users, banned, reason in BANS:
        if room in users and used in banned:
            return ("ban", f"{room} includes {used}: {reason}")
    if rooms[used].level == rooms[room].level:
        return ("room-include", f"{room} includes {used}, a room of its own level "
                f"({rooms[room].level}); a forward declaration may do")
    if rooms[used].level > rooms[room].level:
        return ("room-include", f"{room} (level {rooms[room].level}) includes {used} "
                f"(level {rooms[used].level}): includes go down only")
    return ("room-include", f"{room} includes {used}, which cmake/rooms.cmake does not declare for it")


def library_problem(header, path, room):
    """Why the third-party or system header is wrong here; None when it is fine."""
    if header.startswith(("gtest/", "gmock/")):
        return None if is_test(path) else "GoogleTest belongs in tests only"
    for pattern, allowed, kinds, reason in LIBRARIES:
        if fnmatch.fnmatch(header, pattern):
            fits = allowed == ANY_ROOM or room in allowed
            return None if fits and suffix(path) in kinds else reason
    if header in STANDARD:
        return None
    if any(fnmatch.fnmatch(header, pattern) for pattern in POSIX):
        ok = suffix(path) not in HEADER_SUFFIXES
        return None if ok else "headers include the standard library only; keep the system in a .cc"
    return ("no such library is declared: a new one needs an ADR, a line in cmake/dependencies.cmake "
            "and one in tests/arch/architecture.py")


def source_findings(root, path, rooms, edges):
    """One file of src/."""
    text = read(root / path)
    inside = path[len("src/"):]
    room = room_of(inside, rooms)
    if room is None:
        return [Finding(path, 0, "room", "lies in no room of cmake/rooms.cmake")]
    found = []
    for line, mark, header in includes(text):
        if mark == "<":
            problem = library_problem(header, inside, room)
            if problem:
                found.append(Finding(path, line, "library-include", f"<{header}>: {problem}"))
            continue
        if header.startswith("tenon/"):
            if room not in PUBLIC_USERS and not is_test(path):
                found.append(Finding(path, line, "public-include", f'"{header}": the C ABI is a layer '
                                     f"over the rooms; only {', '.join(PUBLIC_USERS)} implement it"))
            continue
        used = room_of(header, rooms)
        if used is None or not (root / "src" / header).exists():
            found.append(Finding(path, line, "include-path", f'"{header}" names no file of src/: write '
                                 "the path from src/, as in \"base/error.h\""))
            continue
        problem = room_include_problem(inside, room, used, rooms)
        if problem:
            found.append(Finding(path, line, *problem))
        if used != room:
            edges.setdefault((room, used), f"{path}:{line}")
    return found + text_findings(path, room, text)


def text_findings(path, room, text):
    """Rules on what a file says, apart from includes."""
    found = []
    code = without_literals(text)
    if suffix(path) in HEADER_SUFFIXES and "#pragma once" not in text:
        found.append(Finding(path, 0, "pragma-once", "header without #pragma once"))
    # Sources of backends/cpu/simd are compiled once per instruction set, each in its own namespace; code that runs on
    # a GPU stands in tenon::cuda::device, so that a call across the border shows.
    for match in re.finditer(r"\bnamespace\s+tenon::\w+::(?!detail\b|TENON_ISA\b)\w+", code):
        if re.search(r"tenon::cuda::device$", match.group(0)):
            continue
        found.append(Finding(path, line_of(code, match.start()), "namespace",
                             "namespaces are tenon::<room>, never deeper"))
    if suffix(path) in HEADER_SUFFIXES:
        for match in re.finditer(r"^using\s+namespace\b", code, re.M):
            found.append(Finding(path, line_of(code, match.start()), "namespace",
                                 "a header imports no namespace into its readers"))
    if suffix(path) in (".cu", ".cuh") and room != "backends/cuda":
        found.append(Finding(path, 0, "device-code", CUDA))
    if not is_test(path) and room not in HANDLERS:
        found += swallowed_errors(path, code)
    found += importers.importer_findings(path, room, text)
    return found


def swallowed_errors(path, code):
    """catch blocks that neither rethrow nor look at the exception."""
    found = []
    for match in re.finditer(r"\bcatch\s*\(([^)]*?)(\w*)\s*\)\s*\{", code):
        depth, at = 1, match.end()
        while at < len(code) and depth:
            depth += {"{": 1, "}": -1}.get(code[at], 0)
            at += 1
        names = ["throw", "current_exception"] + ([match[2]] if match[2] else [])
        if not re.search(rf"\b(?:{'|'.join(names)})\b", code[match.end():at]):
            found.append(Finding(path, line_of(code, match.start()), "swallowed-error", "an error ends "
                                 f"here unseen; only {', '.join(HANDLERS)} may drop one"))
    return found


def public_findings(root, path):
    """One file of include/ or examples/: what users compile."""
    found = []
    allowed = C_STANDARD if path.endswith((".h", ".c")) and path.startswith("include/") else STANDARD
    for line, mark, header in includes(read(root / path)):
        if header.startswith("tenon/") or header in allowed:
            continue
        found.append(Finding(path, line, "public-include", f"{header}: public headers and examples "
                             "stand on the standard library and tenon/ only (a .h is plain C)"))
    return found


def lists_source(text, inside):
    """Whether a CMakeLists.txt names or globs the source, as a path from its own folder."""
    words = {word.removeprefix("${CMAKE_CURRENT_SOURCE_DIR}/")
             for word in re.findall(r'[^\s()"]+', re.sub(r"#.*", "", text))}
    for variable, items in re.findall(r"foreach\s*\(\s*(\w+)\s+([^)]*)\)", text):
        words |= {word.replace("${%s}" % variable, item) for word in words for item in items.split()}
    globs = [word for word in words if "*" in word and word.count("/") == inside.count("/")]
    if inside.startswith("simd/"):  # compiled once per instruction set, listed by stem
        words |= {f"simd/{word}.cc" for word in words}
    return inside in words or any(fnmatch.fnmatch(inside, glob) for glob in globs)


def unbuilt_findings(root, rooms):
    """Sources that no CMakeLists.txt lists: a test that never runs looks like a test that passes."""
    found = []
    for path in files(root, ["src", "tests"], (".cc", ".cu")):
        room = room_of(path[len("src/"):], rooms) if path.startswith("src/") else None
        folder = f"src/{room}" if room else "/".join(path.split("/")[:2])
        if path.startswith("src/") and room is None:
            continue  # has a finding of its own
        lists = root / folder / "CMakeLists.txt"
        text = read(lists) if lists.exists() else ""
        # Globs of a room leave out its tests, which are named, or picked from the glob by a filter.
        if room and is_test(path) and "INCLUDE REGEX \"_test" not in text:
            text = re.sub(r"\S*\*(?!_test)\S*", "", text)
        if not lists_source(text, path[len(folder) + 1:]):
            found.append(Finding(path, 0, "unbuilt", f"{folder}/CMakeLists.txt does not list it"))
    return found


RULES = {"room", "level", "library", "declaration", "ban", "cycle", "room-include", "kernel-include",
         "library-include", "public-include", "include-path", "pragma-once", "namespace", "device-code",
         "swallowed-error", "unbuilt", "document"} | importers.RULES


def check(root):
    rooms = read_rooms(root)
    found, edges = declaration_findings(rooms), {}
    for path in files(root, ["src"], CPP_SUFFIXES):
        found += source_findings(root, path, rooms, edges)
    for path in files(root, ["include", "examples"], CPP_SUFFIXES + (".c",)):
        found += public_findings(root, path)
    found += cycle_findings(edges)
    found += unbuilt_findings(root, rooms)
    found += document_findings(root, rooms)
    return Waivers(root, RULES).filter(found), len(edges)


def main():
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else repository_root()
    found, edges = check(root)
    for finding in found:
        print(finding)
    sources = len(files(root, ["src", "include"], CPP_SUFFIXES))
    print(f"architecture: {sources} files, {edges} edges between rooms, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
