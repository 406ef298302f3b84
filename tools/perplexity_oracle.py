#!/usr/bin/env python3
"""Perplexity in the conventions Tenon names, computed from a closed formula instead of a model.

    python3 tools/perplexity_oracle.py --make build/golden/eval/perplexity.json

The "model" gives token n after position i of a window, ids[i] and the token before it, the logit
3 sin(12.9898 ids[i] + 78.233 n + 0.37 i + 0.11 before), rounded to float32. It depends on where a window begins, so a
window in the wrong place gives another figure. Also WikiText's detokenisation, with Python's own `re`.
Python's standard library only.
"""
import argparse
import json
import math
import random
import re
import struct

VOCABULARY = 41


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def log_probability(window, i, target):
    before = window[i - 1] if i else 0
    logits = [f32(3 * math.sin(12.9898 * window[i] + 78.233 * n + 0.37 * i + 0.11 * before)) for n in range(VOCABULARY)]
    highest = max(logits)
    return logits[target] - highest - math.log(math.fsum(math.exp(x - highest) for x in logits))


def gptq(ids, seqlen):
    """Mean loss of each window times its length, summed; exp of that over all positions."""
    samples, nlls = len(ids) // seqlen, []
    for i in range(samples):
        batch = ids[i * seqlen:(i + 1) * seqlen]
        losses = [-log_probability(batch, at, batch[at + 1]) for at in range(seqlen - 1)]
        nlls.append(math.fsum(losses) / len(losses) * seqlen)
    return {"windows": samples, "perplexity": math.exp(math.fsum(nlls) / (samples * seqlen))}


def rolling(ids, prefix, most):
    """Sum of the log-probabilities of all ids. The history of ids[k] in its window follows from k alone."""
    total, end = 0.0, 0
    line = [prefix] + ids  # line[k] predicts ids[k]
    while end < len(ids):
        done, end = end, min(end + most, len(ids))
        begin = max(0, end - most) if done else 0
        window = line[begin:end]
        total += math.fsum(log_probability(window, k - begin, ids[k]) for k in range(done, end))
    return total


def lm_eval(pages, prefix, most):
    total = math.fsum(rolling(page["ids"], prefix, most) for page in pages)
    words = sum(len(re.split(r"\s+", page["text"])) for page in pages)
    size = sum(len(page["text"].encode()) for page in pages)
    tokens = sum(len(page["ids"]) for page in pages)
    return {"tokens": tokens, "words": words, "bytes": size, "perplexity": math.exp(-total / tokens),
            "word_perplexity": math.exp(-total / words), "byte_perplexity": math.exp(-total / size),
            "bits_per_byte": -total / size / math.log(2)}


def document(texts):
    losses = [-log_probability(ids, i, ids[i + 1]) for ids in texts for i in range(len(ids) - 1)]
    return {"tokens": len(losses), "perplexity": math.exp(math.fsum(losses) / len(losses))}


def detokenise(page):
    """The rules of lm-evaluation-harness's wikitext task, in their order."""
    page = page.replace("s '", "s'")
    page = re.sub(r"/' [0-9]/", lambda match: "/'[0-9]/", page)
    for sign in "-,.":
        page = page.replace(f" @{sign}@ ", sign)
    for sign in ":;.!?,":
        page = page.replace(f" {sign} ", f"{sign} ")
    for opened, closed in ("()", "[]", "{}", '""', "''"):
        a, b = re.escape(opened), re.escape(closed)
        page = re.sub(a + r"\s*([^" + b + r"]*?)\s*" + b, lambda match: opened + match.group(1) + closed, page)
    for many in (4, 3, 2):
        page = page.replace(" ".join("=" * many), "=" * many)
    for old, new in ((" \u00b0 ", "\u00b0"), (" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s")):
        page = page.replace(old, new)
    return page


PAGES = [
    " \n = Robert <unk> = \n \n Robert <unk> is an English film , television and theatre actor . He had a guest @-@"
    " starring role on the series The Bill in 2000 . \n",
    "The Tower 's keepers ' keys ( 1 @,@ 234 of them ) weighed 3 @.@ 5 kg ; who knew ? \" Nobody ! \" he said : so"
    " [ they say ] it was 5 \u00b0 C , { or less } at N o'clock . \n = = = = End = = = = \n = = = x = = = \n = = y = =",
    "no closing ( bracket , and ' one' quote 'more ' of ' them", "", "   ", "a", "/' 7/ and /' 77/ and /' 8/' 9/",
    "( a ( b ) c ) ( ) [] ' '", "caf\u00e9\u00a0au\u3000lait\u2028\x1cend\x85", "( \u2009spaced\u00a0)",
    "= = = = =", "s 's 's '", " , , ,  . . N N N", "' a ' b ' c '", "\" ( \" ) \"",
]


def make(path):
    generator = random.Random(3)

    def some(count):
        return [generator.randrange(VOCABULARY) for _ in range(count)]
    ids = some(200)
    pages = [{"text": "word " * n + "end\n", "ids": some(n)} for n in (1, 15, 16, 17, 40, 64)]
    texts = [some(n) for n in (1, 2, 30, 11)]
    result = {
        "vocabulary": VOCABULARY, "ids": ids, "pages": pages, "texts": texts,
        "gptq": [{"window": window, **gptq(ids, window)} for window in (2, 16, 64, 200)],
        "lm_eval": [{"window": window, "prefix": 7, **lm_eval(pages, 7, window)} for window in (2, 16, 100)],
        "document": document(texts),
        "wikitext": [{"page": page, "detokenised": detokenise(page), "words": len(re.split(r"\s+", page))}
                     for page in PAGES],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", metavar="FILE", required=True, help="writes the vectors that the tests read")
    make(parser.parse_args().make)


if __name__ == "__main__":
    main()
