"""Lint of the code that reads untrusted files: limits, sizes, opening and numbers go through one routine each.

A textual lint, so it cannot prove anything; it keeps the raw forms from coming back unseen. A size that is known to be
small enough may be multiplied where a comment on the line, or the line before, says `bounded: why`.
"""

import re

from cpp_text import line_of, without_literals
from house import Finding, is_test

# Rooms whose input comes from outside. Templates (text/jinja) evaluate text within limits of their own.
IMPORTERS = ("frontends", "data", "text", "plan", "models")
EXEMPT = ("src/text/jinja/", "src/plan/evidence_writer.cc")  # the latter rewrites a file of ours in place

RAW_NUMBER = re.compile(r"\b(sto(?:i|l|ll|ul|ull|f|d|ld)|strto(?:l|ll|ul|ull|f|d|ld|imax|umax)|ato(?:i|l|ll|f)|"
                        r"v?f?sscanf|from_chars)\b")
RAW_OPEN = re.compile(r"\b(?:(?:basic_)?i?fstream|f(?:d)?open|freopen|popen|dlopen|mmap|openat2?)\b\s*[({\w]|(?<![\w:.>])::open\s*\(")
OPENERS = re.compile(r"\b(?:MappedFile::open|read_text_file|read_json_file|open_weight_file)\s*\(")
# A product of sizes that a file names. `x * y` between expressions; not a declaration of a pointer.
SIZE = r"\b\w*(?:bytes|count|size|extent|offset|length|rows|columns|elements|stride)s?\w*(?:\(\))?(?:\[\w+\])?"
RAW_SIZE = re.compile(rf"{SIZE} \* [\w(]|[\w)\]] \* {SIZE}")
LIMIT = re.compile(r"\bconstexpr\s+(?:int64_t|int|size_t|uint64_t)\s+(kMax\w*|kLimit\w*)\b")


def argument_of(code, at):
    """The text between the parentheses of a call that opens at `at`."""
    depth, end = 1, at
    while end < len(code) and depth:
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        end += 1
    return code[at:end - 1]


def importer_findings(path, room, text):
    if room not in IMPORTERS or is_test(path) or path.startswith(EXEMPT) or path.endswith("_test_files.h"):
        return []
    code = without_literals(text)
    found = []

    def add(at, rule, message):
        found.append(Finding(path, line_of(code, at), rule, message))

    for match in RAW_NUMBER.finditer(code):
        add(match.start(), "raw-number", f"{match[1]}: parse_number of base/number.h reads numbers of files")
    for match in RAW_OPEN.finditer(code):
        add(match.start(), "raw-open", "files are opened by base/file.h, which refuses devices and never blocks")
    for match in OPENERS.finditer(code):
        if re.search(r'\+\s*"[^"]*/|/"\s*\+', argument_of(text, match.end())):
            add(match.start(), "raw-open", "a path inside a model folder comes from resolve_in_folder")
    for match in LIMIT.finditer(code):
        add(match.start(), "raw-limit", f"{match[1]}: limits on input stand in base/limits.h")
    if room == "frontends":
        lines = text.splitlines()
        for match in RAW_SIZE.finditer(code):
            line = line_of(code, match.start())
            nearby = lines[max(0, line - 2):line]
            if "bounded:" not in "\n".join(nearby) and "checked_" not in nearby[-1]:
                add(match.start(), "raw-size", "sizes from a file are multiplied by checked_mul (base/checked.h), or a "
                    "comment says `bounded: why`")
    return found


RULES = {"raw-number", "raw-open", "raw-size", "raw-limit"}
