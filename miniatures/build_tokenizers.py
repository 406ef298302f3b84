"""Trains the two tokenizers on stories of the micro-world and writes them under their Hugging Face file names.

llama: the pipeline of Llama 2: BPE over the whole text with "▁" for spaces, unknown characters as bytes <0x..>.
gpt2:  byte-level BPE. As in the real model <|endoftext|> is the last id and the vocabulary size is odd (1025).
"""
import json
import string

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from micro_world import SEPARATOR, training_stories

CORPUS_SEEDS = 20_000
LLAMA_VOCABULARY = 1024
GPT2_MERGED_VOCABULARY = 1024
CONTEXT = 512


def corpus():
    return [f"{article}{SEPARATOR} {summary}" for article, summary in training_stories(1, CORPUS_SEEDS)]


def trained_bpe(texts, vocabulary, alphabet, pre_tokenizer):
    """-> (tokens in id order, merges as pairs)"""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    return sorted(model["vocab"], key=model["vocab"].get), merges


def special(text):
    return AddedToken(text, normalized=False, special=True)


def build_llama():
    specials = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
    alphabet = list(string.ascii_letters + string.digits + string.punctuation + "▁")
    # Only ASCII is learnt, so that other letters take the byte path; pieces stay inside words, as in SentencePiece.
    split = pre_tokenizers.Sequence([
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        pre_tokenizers.Punctuation(),
        pre_tokenizers.Digits(individual_digits=True),
    ])
    texts = [text for text in corpus() if text.isascii()]
    learnt, merges = trained_bpe(texts, LLAMA_VOCABULARY - len(specials) - len(byte_tokens), alphabet, split)
    pieces = [t for t in learnt if len(t) > 1] + [t for t in learnt if len(t) == 1]
    vocabulary = {token: i for i, token in enumerate(specials + byte_tokens + pieces)}
    assert len(vocabulary) == LLAMA_VOCABULARY
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.add_special_tokens([special(text) for text in specials])
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return tokenizer


def build_gpt2():
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt, merges = trained_bpe(corpus(), GPT2_MERGED_VOCABULARY, sorted(pre_tokenizers.ByteLevel.alphabet()), pre_tokenizer)
    vocabulary = {token: i for i, token in enumerate(learnt + ["<|endoftext|>"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.add_special_tokens([special("<|endoftext|>")])
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_tokenizer(path, value):
    """One line: indented, half of the file would be blanks."""
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_llama(directory):
    tokenizer = json.loads(build_llama().to_str())
    # Llama 2's own file spells a merge as one string; the GPT-2 file keeps the newer pairs. Readers must take both.
    tokenizer["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    write_tokenizer(directory / "tokenizer.json", tokenizer)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    write_json(directory / "special_tokens_map.json", names)
    write_json(directory / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, **names, "clean_up_tokenization_spaces": False, "legacy": False,
        "model_max_length": CONTEXT, "tokenizer_class": "LlamaTokenizer",
    })


def write_gpt2(directory):
    tokenizer = json.loads(build_gpt2().to_str())
    merges = tokenizer["model"]["merges"]
    write_tokenizer(directory / "tokenizer.json", tokenizer)
    (directory / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"], ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ["#version: 0.2"] + [m if isinstance(m, str) else " ".join(m) for m in merges]
    (directory / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    write_json(directory / "special_tokens_map.json", names)
    write_json(directory / "tokenizer_config.json", {
        "add_prefix_space": False, **names, "model_max_length": CONTEXT, "tokenizer_class": "GPT2Tokenizer",
    })


def write_tokenizer(arch, directory):
    {"llama": write_llama, "gpt2": write_gpt2}[arch](directory)
    return Tokenizer.from_file(str(directory / "tokenizer.json"))
