"""What the house checks share: the declared rooms, the files of the tree, waivers and findings."""

import fnmatch
import os
import re
from dataclasses import dataclass
from pathlib import Path

CPP_SUFFIXES = (".cc", ".h", ".hpp", ".cu", ".cuh")
HEADER_SUFFIXES = (".h", ".hpp", ".cuh")


@dataclass(frozen=True)
class Room:
    name: str
    level: int
    library: str
    depends: tuple


@dataclass(frozen=True)
class Finding:
    path: str
    line: int  # 0: the file as a whole
    rule: str
    text: str

    def __str__(self):
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.text} [{self.rule}]"


def repository_root():
    return Path(__file__).resolve().parent.parent.parent


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def read_rooms(root):
    """The rooms of cmake/rooms.cmake, in its order: name -> Room."""
    text = re.sub(r"#.*", "", read(root / "cmake" / "rooms.cmake"))
    pattern = r'tenon_declare_room\(\s*(\S+)\s+(\d+)\s+(\w+)\s+"([^"]*)"\s*\)'
    rooms = {}
    for name, level, library, depends in re.findall(pattern, text):
        rooms[name] = Room(name, int(level), library, tuple(d for d in depends.split(";") if d))
    if len(rooms) != len(re.findall(r"tenon_declare_room\(", text)):
        raise SystemExit("cmake/rooms.cmake: a declaration is repeated or has a form that "
                         "tests/arch/house.py does not read")
    return rooms


def room_of(path, rooms):
    """The room a path below src/ lies in: the longest declared name that is a prefix, or None."""
    parts = path.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if name in rooms:
            return name
    return None


def files(root, folders, suffixes):
    """Paths relative to root, sorted. Hidden folders, caches and build trees are left out."""
    found = []
    for folder in folders:
        for at, subfolders, names in os.walk(root / folder):
            subfolders[:] = [s for s in subfolders
                             if not s.startswith(".") and s not in ("__pycache__", "node_modules")]
            found += [os.path.relpath(os.path.join(at, n), root) for n in names
                      if n.endswith(tuple(suffixes))]
    return sorted(found)


def is_test(path):
    return path.startswith("tests/") or re.search(r"_test\.(cc|cu)$", path) is not None


class Waivers:
    """tests/arch/waivers.txt: `path | rule | reason`, one a line. A path may hold `*`."""

    def __init__(self, root, rules):
        self.entries = []
        self.findings = []
        self.used = set()
        name = "tests/arch/waivers.txt"
        path = root / name
        lines = read(path).splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 3 or not all(fields):
                self.findings.append(Finding(name, number, "waiver", "want `path | rule | reason`"))
            elif fields[1] in rules:
                self.entries.append((number, fields[0], fields[1]))

    def waives(self, path, rule):
        hit = False
        for entry in self.entries:
            if entry[2] == rule and fnmatch.fnmatch(path, entry[1]):
                self.used.add(entry)
                hit = True
        return hit

    def unused(self):
        return self.findings + [
            Finding("tests/arch/waivers.txt", number, "waiver",
                    f"nothing breaks '{rule}' in {path} any more: delete the line")
            for number, path, rule in self.entries if (number, path, rule) not in self.used]

    def filter(self, findings):
        return [f for f in findings if not self.waives(f.path, f.rule)] + self.unused()
