#!/usr/bin/env python3
"""Writes build/golden/chat_expected/expected.json: what Jinja renders for each template of
tests/golden/chat_templates. Committed packed, as tests/golden/chat_expected.tar.xz.

The environment is the one transformers builds for chat templates (`_compile_jinja_template` and
`_render_with_assistant_indices` in src/transformers/utils/chat_template_utils.py): jinja2's
ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls, `generation` blocks,
`raise_exception`, `strftime_now` and a `tojson` without HTML escapes. The clock stands still.

    tools/make_chat_template_vectors.py [--check]

Needs python3-jinja2. `--check` compares instead of writing. tools/check_chat_templates.mjs compares
the same vectors with npm's @huggingface/jinja, a second independent implementation.
"""
import argparse
import datetime
import json
import pathlib
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER, MADE = ROOT / "tests/golden/chat_templates", ROOT / "build/golden/chat_expected"
NOW = datetime.datetime(2026, 3, 7, 14, 5, 9)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
# Which conversations beside "plain", "system" and "edge" a family's format speaks of.
MORE = {
    "llama_3_1_tools": ["tools"], "llama_3_2": ["parts"], "llama_4": ["parts"],
    "mistral_v3": ["tools"], "mistral_tekken": ["parts"], "qwen_2_5_tools": ["tools"],
    "qwen_3_thinking": ["tools", "thinking"], "qwen_3_coder": ["tools"], "gemma_3": ["parts"],
    "falcon_3": ["tools"], "deepseek_v3": ["tools"], "deepseek_r1": ["thinking"],
    "command_r_tool_use": ["tools"], "granite_3": ["tools"], "granite_3_3": ["tools", "documents"],
    "smollm_3": ["tools", "thinking"], "hermes_tools": ["tools"], "gpt_oss": ["tools", "thinking"],
    "jamba": ["tools"], "xlam": ["tools"], "nemotron": ["tools"],
}


class Generation(Extension):
    """`{% generation %}` marks the assistant's text for training; it renders as its body."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                         extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(template, conversation):
    """One entry of a template's list: its text, or that it refuses."""
    try:
        text = template.render(
            messages=conversation["messages"], tools=conversation.get("tools"),
            documents=conversation.get("documents"),
            add_generation_prompt=conversation.get("add_generation_prompt", True),
            **TOKENS, **conversation.get("variables", {}))
    except jinja2.exceptions.UndefinedError:
        return {"error": ""}
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)}
    except TypeError:
        return {"error": ""}
    return {"text": text}


def vectors():
    conversations = json.loads((FOLDER / "conversations.json").read_text(encoding="utf-8"))
    made = environment()
    expected = {}
    for path in sorted(FOLDER.glob("*.jinja")):
        template = made.from_string(path.read_text(encoding="utf-8"))
        names = ["plain", "system", "edge", *MORE.get(path.stem, [])]
        expected[path.stem] = {name: render(template, conversations[name]) for name in names}
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    MADE.mkdir(parents=True, exist_ok=True)
    path = MADE / "expected.json"
    text = json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n"
    if check:
        same = text == path.read_text(encoding="utf-8")
        print("same" if same else f"{path} differs")
        return 0 if same else 1
    path.write_text(text, encoding="utf-8")
    entries = [entry for each in json.loads(text).values() for entry in each.values()]
    errors = sum("error" in entry for entry in entries)
    print(f"{len(json.loads(text))} templates, {len(entries)} conversations, {errors} refused, "
          f"{len(text.encode())} bytes, jinja2 {jinja2.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
