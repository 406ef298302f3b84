#!/usr/bin/env python3
"""Writes build/golden/tokenizers: small real tokenizers, hard strings, and what Hugging Face tokenizers makes of them.

    python3 tools/make_tokenizer_vectors.py [--out build/golden/tokenizers]

Needs the `tokenizers` package. The vocabularies are trained here on generated multilingual text and the source of
Python's standard library; the pipelines (normaliser, pre-tokeniser, decoder, template, file style) are those of the
published GPT-2, Llama-2, Llama-3 and Qwen2 tokenizer.json files. tests/golden/README.md describes the files.
"""

import argparse
import array
import glob
import json
import os
import random
import re
import struct
import sys
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import tokenizer_text

VOCAB = 8192
STRINGS = 10240
SPECIAL_EVERY = STRINGS // 200
BLOCK = 32   # strings a digest
SHOWN = 384  # strings whose ids are stored
BYTE_LEVEL_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
# What SentencePiece keeps apart while it trains: letters, single digits, the rest.
SENTENCEPIECE_WORDS = r"▁?[\p{L}\p{M}]+|\p{N}|▁?[^\s\p{L}\p{M}\p{N}▁]+|▁"
# Words in the Llama-3 vocabulary that no merge leads to: only ignore_merges finds them.
UNREACHABLE = [word.replace(" ", "Ġ") for word in tokenizer_text.UNREACHABLE]


def byte_level(add_prefix_space, trim_offsets, use_regex):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets,
            "use_regex": use_regex}


def added(first_id, contents, not_special=()):
    return [{"id": first_id + i, "content": c, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": c not in not_special} for i, c in enumerate(contents)]


def trained_model(pre_tokenizer, normalizer, alphabet, corpus, size, **options):
    """(pieces by id, merges as pairs) of a BPE trained with the given pipeline."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False, **options)
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    return [p for p, _ in sorted(model["vocab"].items(), key=lambda item: item[1])], merges


def as_vocab(pieces):
    return {piece: index for index, piece in enumerate(pieces)}


def as_strings(merges):
    return [a + " " + b for a, b in merges]


def gpt2(corpus):
    pieces, merges = trained_model(pre_tokenizers.ByteLevel(add_prefix_space=False), None, BYTE_LEVEL_ALPHABET,
                                   corpus, VOCAB - 1)
    pieces.append("<|endoftext|>")
    special = added(len(pieces) - 1, ["<|endoftext|>"])
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        "model": {"dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "vocab": as_vocab(pieces), "merges": as_strings(merges)},
    }


def sentencepiece_model(corpus):
    """Llama-2's layout: unk, bos, eos, 256 bytes, merged pieces, single characters; the first merges join spaces."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True),
                                   pre_tokenizers.Split(Regex(SENTENCEPIECE_WORDS), "isolated")])
    # Line ends and tabs are not in Llama-2's vocabulary either: they become bytes.
    text = (re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", line) for line in corpus)
    pieces, merges = trained_model(pre, None, [], text, VOCAB - 3 - 256 - 6, limit_alphabet=1100)
    merges = [m for m in merges if m != ("▁", "▁")]
    spaces = [("▁", "▁"), ("▁▁", "▁▁"), ("▁▁", "▁"), ("▁▁▁▁", "▁▁▁▁"), ("▁▁▁▁", "▁▁▁"), ("▁" * 8, "▁" * 8)]
    merges = spaces[:1] + merges[:40] + spaces[1:4] + merges[40:200] + spaces[4:] + merges[200:]
    joined = list(dict.fromkeys(a + b for a, b in merges))
    single = [p for p in pieces if len(p) == 1]
    head = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    # A character missing from a merge would make the file invalid; all are in `single`.
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
            "vocab": as_vocab(head + joined + single), "merges": as_strings(merges)}


def llama2(model, metaspace):
    """The legacy form (Prepend and Replace normalisers, no pre-tokeniser) or the newer one (Metaspace)."""
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    normalizer = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    pre_tokenizer = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added(0, ["<unk>", "<s>", "</s>"]),
        "normalizer": None if metaspace else normalizer, "pre_tokenizer": pre_tokenizer if metaspace else None,
        "post_processor": {
            "type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 1}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": model,
    }


def split_pre_tokenizer(pattern, trim_offsets):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        byte_level(False, trim_offsets, False)]}


def train_split(pattern, normalizer, corpus, size):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return trained_model(pre, normalizer, BYTE_LEVEL_ALPHABET, corpus, size)


def llama3(corpus):
    special = tokenizer_text.LLAMA3_SPECIAL
    pieces, merges = train_split(LLAMA3_SPLIT, None, corpus, VOCAB - len(special) - len(UNREACHABLE))
    assert not set(UNREACHABLE) & set(pieces)
    pieces += UNREACHABLE
    start, bos = len(pieces), "<|begin_of_text|>"
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                         {"SpecialToken": {"id": bos, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {bos: {"id": bos, "ids": [start], "tokens": [bos]}}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added(start, special),
        "normalizer": None, "pre_tokenizer": split_pre_tokenizer(LLAMA3_SPLIT, True),
        "post_processor": {"type": "Sequence", "processors": [byte_level(True, False, True), template]},
        "decoder": byte_level(True, True, True),
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": as_vocab(pieces), "merges": as_strings(merges)},
    }


def qwen2(corpus):
    special = tokenizer_text.QWEN2_SPECIAL
    pieces, merges = train_split(QWEN2_SPLIT, normalizers.NFC(), corpus, VOCAB)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added(len(pieces), special, tokenizer_text.QWEN2_NOT_SPECIAL), "normalizer": {"type": "NFC"},
        "pre_tokenizer": split_pre_tokenizer(QWEN2_SPLIT, False),
        "post_processor": byte_level(False, False, False), "decoder": byte_level(False, False, False),
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": as_vocab(pieces), "merges": [list(m) for m in merges]},  # the newer file style: pairs
    }


def training_text(rng, files=260):
    """Lines of the standard library, Unicode names, real sentences and invented words in every script."""
    lines = []
    library = os.path.dirname(os.__file__)
    for path in sorted(glob.glob(os.path.join(library, "*.py")))[:files]:
        with open(path, encoding="utf-8", errors="ignore") as file:
            lines += [file.read(12000)]
    lines += [unicodedata.name(chr(c), "").title() for c in range(0x20, 0x3000, 3)]
    for _ in range(40):
        lines += tokenizer_text.SENTENCES
    for script in tokenizer_text.SCRIPTS:
        words = tokenizer_text.lexicon(script)
        for _ in range(120):
            lines.append(" ".join(words[min(int(rng.paretovariate(0.7)) - 1, len(words) - 1)] for _ in range(24)))
    lines += [tokenizer_text.make_string(rng) for _ in range(6000)]
    return [line for line in lines if not any(word.strip() in line for word in tokenizer_text.UNREACHABLE)]


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def u32(values):
    return array.array("I", values).tobytes()


def ragged(items):
    """u32 count, u32 offsets[count + 1]; then the items joined. Little-endian; an item is bytes or a list of ids."""
    offsets = [0]
    for item in items:
        offsets.append(offsets[-1] + len(item))
    body = b"".join(i if isinstance(i, bytes) else array.array("H", i).tobytes() for i in items)
    return u32([len(items), *offsets]) + body


def fnv(data):
    """FNV-1a of 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return digest


def digests(items):
    """One digest for each block; each item is bytes and counts with its length before it."""
    out = []
    for start in range(0, len(items), BLOCK):
        out.append(fnv(b"".join(struct.pack("<I", len(i)) + i for i in items[start:start + BLOCK])))
    return struct.pack(f"<{len(out)}Q", *out)


def id_bytes(ids):
    return struct.pack(f"<{len(ids)}I", *ids)


def write_ids(folder, ids):
    """The ids of the first strings, and one digest for each block of all."""
    write(folder, "ids.digests.bin", digests([id_bytes(i) for i in ids]))
    write(folder, "ids.bin", ragged(ids[:SHOWN]))


def write_vectors(folder, tokenizer, strings):
    ids = [e.ids for e in tokenizer.encode_batch(strings, add_special_tokens=False)]
    write_ids(folder, ids)
    chosen = list(range(0, len(strings), SPECIAL_EVERY))[:200]
    special = [tokenizer.encode(strings[i], add_special_tokens=True).ids for i in chosen]
    write(folder, "special.index.bin", u32([len(chosen), *chosen]))
    write(folder, "special.bin", ragged(special))
    decoded = [tokenizer.decode(i, skip_special_tokens=False) for i in ids]
    differs = [i for i, (a, b) in enumerate(zip(strings, decoded)) if a != b]
    write(folder, "decoded.index.bin", u32([len(differs), *differs]))
    write(folder, "decoded.bin", ragged([decoded[i].encode("utf-8") for i in differs]))
    return {"vocab": tokenizer.get_vocab_size(), "ids": sum(map(len, ids)),
            "distinct_ids": len({t for i in ids for t in i}), "decoded_differs": len(differs)}


def write_kind(root, kind, spec, strings):
    folder = os.path.join(root, kind)
    os.makedirs(folder, exist_ok=True)
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    write(folder, "tokenizer.json", text.encode("utf-8"))
    facts = write_vectors(folder, Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), strings)
    print(kind, json.dumps(facts), flush=True)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--out", default=os.path.join(root, "build", "golden", "tokenizers"))
    args = parser.parse_args(argv)
    assert sys.byteorder == "little", "the files are little-endian"
    os.makedirs(args.out, exist_ok=True)
    corpus = training_text(random.Random(7))
    rng = random.Random(11)
    strings = dict.fromkeys(tokenizer_text.fixed_strings())
    while len(strings) < STRINGS:
        strings[tokenizer_text.make_string(rng)] = None
    strings = list(strings)
    write(args.out, "strings.bin", ragged([s.encode("utf-8") for s in strings]))
    model = sentencepiece_model(corpus)
    kinds = {"gpt2": lambda: gpt2(corpus), "llama2": lambda: llama2(model, False),
             "llama2_metaspace": lambda: llama2(model, True), "llama3": lambda: llama3(corpus),
             "qwen2": lambda: qwen2(corpus)}
    failed = 0
    for kind, make in kinds.items():
        try:
            write_kind(args.out, kind, make(), strings)
        except Exception as error:
            failed += 1
            print(f"FAILED {kind}: {error!r}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
