#!/usr/bin/env python3
"""ROUGE-1, -2, -L and -Lsum of texts against references, as rouge_score defines them.

    python3 tools/rouge_oracle.py FILE.jsonl [--stem]        # lines with "text" and "reference"
    python3 tools/rouge_oracle.py --make build/golden/eval/rouge.json

An implementation of its own, to hold Tenon's against: stems come from NLTK's PorterStemmer (Debian's
python3-nltk; needed with --stem only), the common subsequences from a memo of suffixes, the bootstrap from
Python's own Mersenne twister, set to the state that numpy.random.seed gives it.
"""
import argparse
import functools
import json
import random
import re
import sys

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@functools.lru_cache(maxsize=None)
def stemmer():
    from nltk.stem.porter import PorterStemmer
    return PorterStemmer()


def tokens(text, stem):
    words = re.findall("[a-z0-9]+", text.lower())
    return [stemmer().stem(word) if stem and len(word) > 3 else word for word in words]


def score(hits, text, reference):
    precision = hits / text if text else 0.0
    recall = hits / reference if reference else 0.0
    both = precision + recall
    return [precision, recall, 2 * precision * recall / both if both else 0.0]


def ngram_score(text, reference, n):
    def grams(words):
        return [tuple(words[i:i + n]) for i in range(len(words) - n + 1)]
    left, hits = grams(text), 0
    for gram in grams(reference):
        if gram in left:
            left.remove(gram)
            hits += 1
    return score(hits, len(grams(text)), len(grams(reference)))


def prefix_lengths(reference, text):
    """-> length(i, j) of the longest common subsequence of reference[:i] and text[:j]"""
    rows = [[0] * (len(text) + 1)]
    for word in reference:
        row = [0]
        for j, other in enumerate(text):
            row.append(rows[-1][j] + 1 if word == other else max(rows[-1][j + 1], row[j]))
        rows.append(row)
    return lambda i, j: rows[i][j]


def common_places(reference, text):
    """Places in the reference of the subsequence that rouge_score reads out: from the end, upwards on ties."""
    length, places = prefix_lengths(reference, text), set()
    i, j = len(reference), len(text)
    while i and j:
        if reference[i - 1] == text[j - 1]:
            i, j = i - 1, j - 1
            places.add(i)
        elif length(i, j - 1) > length(i - 1, j):
            j -= 1
        else:
            i -= 1
    return places


def summary_score(text, reference):
    spare_text = [word for sentence in text for word in sentence]
    spare_reference = [word for sentence in reference for word in sentence]
    sizes, hits = (len(spare_text), len(spare_reference)), 0
    for sentence in reference:
        union = set().union(*(common_places(sentence, other) for other in text)) if text else set()
        for place in sorted(union):
            word = sentence[place]
            if word in spare_text and word in spare_reference:
                spare_text.remove(word)
                spare_reference.remove(word)
                hits += 1
    return score(hits, *sizes)


def rouge(text, reference, stem=False):
    """-> {kind: [precision, recall, f]}"""
    a, b = tokens(text, stem), tokens(reference, stem)

    def lines(whole):
        return [tokens(line, stem) for line in whole.split("\n") if line]
    return {
        "rouge1": ngram_score(a, b, 1),
        "rouge2": ngram_score(a, b, 2),
        "rougeL": score(prefix_lengths(b, a)(len(b), len(a)), len(a), len(b)),
        "rougeLsum": summary_score(lines(text), lines(reference)),
    }


def legacy_generator(seed):
    """Random bits as numpy.random.seed(seed) starts them: Knuth's line of 624 words."""
    words = [seed & 0xFFFFFFFF]
    for i in range(1, 624):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + i) & 0xFFFFFFFF)
    generator = random.Random()
    generator.setstate((3, tuple(words) + (624,), None))
    return generator


def choose(generator, count):
    mask = (1 << (count - 1).bit_length()) - 1
    while count > 1:
        value = generator.getrandbits(32) & mask
        if value < count:
            return value
    return 0


def percentile(values, fraction):
    values, place = sorted(values), fraction * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] * (1 - place + low) + values[high] * (place - low)


def bootstrap(scores, seed=0, samples=1000, confidence=0.95):
    """-> {kind: {"low", "mid", "high": [precision, recall, f]}}"""
    generator, result, tail = legacy_generator(seed), {}, (1 - confidence) / 2
    for kind in KINDS:
        means = []
        for _ in range(samples):
            drawn = [scores[choose(generator, len(scores))][kind] for _ in scores]
            means.append([sum(column) / len(drawn) for column in zip(*drawn)])
        result[kind] = {name: [percentile([mean[i] for mean in means], fraction) for i in range(3)]
                        for name, fraction in (("low", tail), ("mid", 0.5), ("high", 1 - tail))}
    return result


WORDS = """the a of to and was were running runs runner happily happiness national nationality rational
 conditional hopeful hopefulness generalizations oscillators relate relational adjustment replacement dying
 lying skies sky news innings proceed exceed agreed feed plastered motoring sized hopping falling hissing
 failing filing police policy universe university 3 12 2024 co2 caf\u00e9 na\u00efve Stra\u00dfe don't it's
 \u0130stanbul 5\u212a e-mail U.S.A. x1 I O""".split()


def random_text(generator):
    words = [generator.choice(WORDS) for _ in range(generator.choice((0, 1, 3, 8, 25, 60)))]
    joints = (" ", " ", " ", " ", ", ", ".\n", "\n", " - ", "\n\n")
    return "".join(word + generator.choice(joints) for word in words)


def changed(text, generator):
    """A text like it: words left out, repeated, replaced, turned round."""
    words = re.split("( |\n)", text)
    for _ in range(len(words) // 4):
        i = generator.randrange(len(words))
        words[i:i + 1] = generator.choice(([], [words[i]] * 3, [generator.choice(WORDS)], words[i:i + 1]))
        if not words:
            break
    if generator.random() < 0.3:
        half = len(words) // 2
        words = words[half:] + words[:half]
    return "".join(words)


HAND_MADE = [
    ("The cat sat on the mat.", "the cat was on a mat, today"),
    ("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"),
    ("", ""), ("", "a b"), ("a b", ""), ("...", "a"), ("\n\n", "\n"), ("a a a a", "a a b"),
    ("police killed the gunman", "police kill the gunman"), ("the gunman kill police", "police killed the gunman"),
    ("c d\na b", "a b\nc d"), ("a b", "a b\na b"), ("x" * 300, "x" * 300), ("a", "a"),
]


def make(path):
    generator = random.Random(20261121)
    pairs = list(HAND_MADE)
    while len(pairs) < 100:
        reference = random_text(generator)
        pairs.append((changed(reference, generator), reference))
    document = {"pairs": [{"text": a, "reference": b} for a, b in pairs]}
    for name, stem in (("plain", False), ("stemmed", True)):
        scores = [rouge(text, reference, stem) for text, reference in pairs]
        document[name] = {"scores": scores, "bootstrap": bootstrap(scores)}
    some = [rouge(text, reference) for text, reference in pairs[14:34]]
    document["twenty"] = {"first": 14, "count": 20, "seed": 7, "bootstrap": bootstrap(some, seed=7)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="JSONL with text and reference")
    parser.add_argument("--stem", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make", metavar="FILE", help="writes the vectors that the tests read")
    arguments = parser.parse_args()
    if arguments.make:
        return make(arguments.make)
    if not arguments.file:
        parser.error("give a file or --make")
    with open(arguments.file, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    scores = [rouge(row["text"], row["reference"], arguments.stem) for row in rows]
    means = {kind: 100 * sum(s[kind][2] for s in scores) / len(scores) for kind in KINDS}
    bounds = {kind: {name: 100 * triple[2] for name, triple in entry.items()}
              for kind, entry in bootstrap(scores, arguments.seed).items()}
    json.dump({"texts": len(rows), "mean": means, "bootstrap": bounds}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
