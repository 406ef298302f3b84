"""Just enough C++ to measure it: comments and literals blanked, includes, functions and their length."""

import re
from bisect import bisect_right
from dataclasses import dataclass

_LITERALS = re.compile(
    r'(?P<raw>(?:u8|u|U|L)?R"(?P<delimiter>[^\s()\\]{0,16})\(.*?\)(?P=delimiter)")'
    r'|(?P<line>//(?:[^\n\\]|\\\n|\\)*)'
    r'|(?P<block>/\*.*?\*/)'
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<character>(?<![0-9A-Za-z_])(?:u8|u|U|L)?'(?:[^'\\\n]|\\.)+')", re.S)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?P<mark>[<"])(?P<path>[^>"\n]+)[>"]', re.M)


def _spaces(match):
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text):
    return _LITERALS.sub(
        lambda m: _spaces(m) if m.lastgroup in ("line", "block") else m.group(), text)


def without_literals(text):
    """Comments, strings and character literals become spaces; line numbers stay."""
    return _LITERALS.sub(_spaces, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def includes(text):
    """[(line, '<' or '"', path)]"""
    plain = without_comments(text)
    return [(line_of(plain, m.start()), m["mark"], m["path"]) for m in _INCLUDE.finditer(plain)]


def _without_preprocessor(text):
    """Blanks directives and every #elif/#else branch, so that braces balance."""
    out, depth_hidden, continued = [], [], False
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w*)", line)
        if directive or continued:
            if directive and not continued:
                word = directive[1]
                if word in ("if", "ifdef", "ifndef"):
                    depth_hidden.append(False)
                elif word in ("elif", "else") and depth_hidden:
                    depth_hidden[-1] = True
                elif word == "endif" and depth_hidden:
                    depth_hidden.pop()
            continued = line.rstrip().endswith("\\")
            out.append("")
        else:
            out.append("" if any(depth_hidden) else line)
    return "\n".join(out)


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    lines: int
    is_device: bool  # runs on a GPU


def _matching(text, open_brace):
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, open_brace):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(text) - 1


def _without_templates(head):
    """Drops leading template<...> lists; their `class` and `=` say nothing about the statement."""
    while True:
        match = re.match(r"\s*template\s*<", head)
        if not match:
            return head
        depth, at = 1, match.end()
        while at < len(head) and depth:
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            at += 1
        head = head[at:]


_ATTRIBUTE = re.compile(r"\[\[.*?\]\]|\b(?:alignas|__attribute__|__launch_bounds__|__declspec)\s*"
                        r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", re.S)
_ENDS_LIKE_BODY = re.compile(r"\b(?:const|noexcept|override|final|try|mutable)$|[)}&]$")


def _kind(head):
    """What a brace after `head` opens: 'scope' (namespace, class), 'function' or 'initialiser'."""
    if head.count("(") != head.count(")"):
        return "initialiser"
    head = _ATTRIBUTE.sub(" ", _without_templates(head)).strip()
    head = re.sub(r"^(?:(?:public|private|protected)\s*:\s*)+", "", head)
    head = _without_templates(head).strip()
    head = re.sub(r"\boperator\s*(?:\(\s*\)|\[\s*\]|[^\s\w(]+)", "operator_", head)
    if re.match(r"(?:inline\s+)?namespace\b|extern$", head):
        return "scope"
    if "(" not in head:
        return "scope" if re.search(r"\b(?:class|struct|union|enum)\b", head) else "initialiser"
    outside, previous = head, None
    while outside != previous:  # parentheses and their contents, innermost first
        previous, outside = outside, re.sub(r"\([^()]*\)", "@", outside)
    if re.search(r"(?<![=<>!+\-*/%&|^])=(?!=)", re.sub(r"@\s*=\s*default", "@", outside)):
        return "initialiser"
    if re.search(r"@[^:]*(?<!:):(?!:)", outside) and not _ENDS_LIKE_BODY.search(head):
        return "initialiser"  # a member initialised with braces before the constructor's body
    return "function"


def _name(head):
    match = re.search(r"(operator\s*(?:\(\s*\)|[^\s(]+)|~?[\w:]+)\s*\(", _without_templates(head))
    return match[1].strip() if match else "?"


def functions(text):
    """The functions with a body, as Function. A lambda belongs to the function around it."""
    text = _without_preprocessor(without_literals(text))
    starts = [0] + [m.end() for m in re.finditer("\n", text)]
    found, head_start, position = [], 0, 0
    marks = re.compile(r"[{};]")
    while True:
        mark = marks.search(text, position)
        if not mark:
            return found
        position = mark.end()
        if mark.group() != "{":
            head_start = position
            continue
        head = text[head_start:mark.start()]
        kind = _kind(head)
        if kind == "scope":
            head_start = position
            continue
        end = _matching(text, mark.start())
        position = end + 1
        if kind == "initialiser":
            continue
        label = re.match(r"\s*(?:(?:public|private|protected)\s*:\s*)*", head)
        begin = head_start + label.end()
        first, last = bisect_right(starts, begin), bisect_right(starts, end)
        is_device = "__global__" in head or "__device__" in head
        found.append(Function(_name(head[label.end():]), first, last - first + 1, is_device))
        head_start = position
