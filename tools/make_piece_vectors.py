#!/usr/bin/env python3
"""Writes build/golden/tokenizers/{bert,t5,sentencepiece_bpe,sentencepiece_unigram}: small tokenizers of the kinds that
are no byte-level BPE, and what the originals make of strings.bin there.

    python3 tools/make_piece_vectors.py [--out build/golden/tokenizers]

Needs the `tokenizers` and `sentencepiece` packages. Run tools/make_tokenizer_vectors.py before it, for strings.bin.
Ids of the first kinds come from Hugging Face tokenizers, those of the last two from SentencePiece. To keep the files
small most results are stored as one digest for a block of strings; tests/golden/README.md describes them.
"""

import argparse
import io
import json
import os
import random
import struct
import sys
import unicodedata

import sentencepiece
from tokenizers import Tokenizer

import make_tokenizer_vectors as common
import tokenizer_text

VOCAB = 8000
SPECIAL_EVERY = 256


def read_strings(path):
    with open(path, "rb") as file:
        data = file.read()
    count = struct.unpack_from("<I", data)[0]
    offsets = struct.unpack_from(f"<{count + 1}I", data, 4)
    body = data[4 * (count + 2):]
    return [body[a:b].decode("utf-8") for a, b in zip(offsets, offsets[1:])]


def write_vectors(folder, ids, decoded, special):
    """`special`: the ids of each SPECIAL_EVERY-th string with the tokens that are added around it."""
    common.write_ids(folder, ids)
    common.write(folder, "decoded.digests.bin", common.digests([d.encode("utf-8") for d in decoded]))
    common.write(folder, "special.bin", common.ragged(special))
    return {"ids": sum(map(len, ids)), "distinct_ids": len({t for i in ids for t in i})}


# The parts of a SentencePiece file that are needed here. Its format is protobuf: key, value, key, value ...


def fields(data):
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        size = varint() if size is None else size
        yield key >> 3, data[at:at + size]
        at += size


def read_model(data):
    """([(text, score, type)], charsmap)"""
    pieces, charsmap = [], b""
    for number, value in fields(data):
        if number == 1:
            piece = dict(fields(value))
            pieces.append((piece[1].decode("utf-8"), struct.unpack("<f", piece.get(2, bytes(4)))[0], piece.get(3, 1)))
        if number == 3:
            charsmap = dict(fields(value)).get(2, b"")
    return pieces, charsmap


def train(corpus, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, vocab_size=VOCAB, num_threads=1, minloglevel=2,
        hard_vocab_limit=False, max_sentence_length=8192, **options)
    return model.getvalue()


def rules():
    """A small set of normalisation rules of every form that nmt_nfkc has: [(characters, replacement)]."""
    out = [(chr(c), "") for c in (*range(1, 9), 0x0B, *range(0x0E, 0x20), 0x7F, 0x8F, 0x9F, 0xAD, 0x200B, 0xFEFF)]
    out += [(c, " ") for c in "\t\n\x0c\r\u00a0\u1680\u2003\u2009\u2028\u2029\u202f\u3000\ufffd"]
    wide = [*range(0xFF01, 0xFF5F), *range(0xFF66, 0xFF9E), *range(0x2460, 0x2474), *range(0x2160, 0x2170)]
    wide += [0xBD, 0xBC, 0xB2, 0xB3, 0xAA, 0xBA, 0x2126, 0x212A, 0x212B, 0xFB01, 0xFB02, 0xFDFA, 0x3262, 0x2026]
    for c in wide:
        out.append((chr(c), unicodedata.normalize("NFKC", chr(c))))
    for base in "aceinouyAEIOUs":
        for mark in "\u0300\u0301\u0302\u0303\u0308\u0323":
            whole = unicodedata.normalize("NFC", base + mark)
            if len(whole) == 1:
                out.append((base + mark, whole))
    for lead in range(0x1100, 0x1113):
        for vowel in (0x1161, 0x1165, 0x1169, 0x1173):
            out.append((chr(lead) + chr(vowel), unicodedata.normalize("NFC", chr(lead) + chr(vowel))))
    return out


def write_rules(path):
    def hexes(text):
        return " ".join(f"{ord(c):X}" for c in text)
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{hexes(a)}\t{hexes(b)}\n" for a, b in rules())


def bert_words(line):
    """As BertNormalizer and BertPreTokenizer cut it, nearly: good enough to train on."""
    line = unicodedata.normalize("NFD", line)
    out = []
    for c in line:
        category = unicodedata.category(c)
        if category == "Mn" or (category[0] == "C" and c not in "\t\n\r"):
            continue
        alone = category[0] in "PS" or 0x4E00 <= ord(c) <= 0x9FFF
        out.append(f" {c} " if alone else c)
    return " ".join("".join(out).lower().split())


def bert(corpus):
    data = train([bert_words(line) for line in corpus], model_type="bpe", character_coverage=0.9995,
                 normalization_rule_name="identity", split_by_unicode_script=False, split_digits=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [text for text, _, kind in read_model(data)[0] if kind == 1 and text != "\u2581"]
    words = [p[1:] for p in pieces if p[0] == "\u2581"]
    rest = [p for p in pieces if p[0] != "\u2581"]
    single = [p for p in rest if len(p) == 1]
    vocab = dict.fromkeys(special + words + single + ["##" + p for p in rest])
    added = common.added(0, special)
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [special.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": common.as_vocab(list(vocab))},
    }


def t5(model):
    import base64
    pieces, charsmap = read_model(model)
    # Four digits keep the file small; the originals' own scores have more.
    vocab = [[text, round(score, 3)] for text, score, kind in pieces]
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    special = [i for i, (_, _, kind) in enumerate(pieces) if kind in (2, 3)]
    added = [common.added(i, [pieces[i][0]])[0] for i in special]
    end = next(i for i in special if pieces[i][0] == "</s>")
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode("ascii")},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [end], "tokens": ["</s>"]}}},
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": next(i for i, p in enumerate(pieces) if p[2] == 2), "vocab": vocab,
                  "byte_fallback": False},
    }


def write_json_kind(root, kind, spec, strings):
    folder = os.path.join(root, kind)
    os.makedirs(folder, exist_ok=True)
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    common.write(folder, "tokenizer.json", text.encode("utf-8"))
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    ids = [e.ids for e in tokenizer.encode_batch(strings, add_special_tokens=False)]
    decoded = tokenizer.decode_batch(ids, skip_special_tokens=False)
    special = [e.ids for e in tokenizer.encode_batch(strings[::SPECIAL_EVERY], add_special_tokens=True)]
    print(kind, json.dumps(write_vectors(folder, ids, decoded, special)), flush=True)


def write_model_kind(root, kind, data, config, frame, strings):
    folder = os.path.join(root, kind)
    os.makedirs(folder, exist_ok=True)
    common.write(folder, "tokenizer.model", data)
    common.write(folder, "tokenizer_config.json", json.dumps(config).encode("ascii"))
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    ids = [processor.encode(s) for s in strings]
    decoded = [processor.decode(i) for i in ids]
    special = [frame(processor, s) for s in strings[::SPECIAL_EVERY]]
    print(kind, json.dumps(write_vectors(folder, ids, decoded, special)), flush=True)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--out", default=os.path.join(root, "build", "golden", "tokenizers"))
    args = parser.parse_args(argv)
    strings = read_strings(os.path.join(args.out, "strings.bin"))
    corpus = [line.replace("\x00", " ") for text in common.training_text(random.Random(7)) for line in text.split("\n")]
    tsv = os.path.join(args.out, "rules.tsv")
    write_rules(tsv)
    unigram = train(corpus, model_type="unigram", character_coverage=0.998, normalization_rule_tsv=tsv, pad_id=0,
                    eos_id=1, unk_id=2, bos_id=-1, control_symbols=["<ctl>"],
                    user_defined_symbols=["<sep>", "[INST]", "##"])
    os.remove(tsv)
    bpe = train(corpus, model_type="bpe", character_coverage=0.998, normalization_rule_name="identity",
                byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True,
                remove_extra_whitespaces=False, user_defined_symbols=["<|im_start|>", "<|"])
    write_json_kind(args.out, "bert", bert(corpus), strings)
    write_json_kind(args.out, "t5", t5(unigram), strings)
    write_model_kind(args.out, "sentencepiece_bpe", bpe, {"tokenizer_class": "LlamaTokenizer"},
                     lambda p, s: [p.bos_id()] + p.encode(s), strings)
    write_model_kind(args.out, "sentencepiece_unigram", unigram, {"tokenizer_class": "T5Tokenizer", "extra_ids": 0},
                     lambda p, s: p.encode(s) + [p.eos_id()], strings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
