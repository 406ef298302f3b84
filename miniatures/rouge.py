"""ROUGE-1, ROUGE-2 and ROUGE-L of one pair of texts, as F-measures. No stemming.

Tokens are the runs of [a-z0-9] in the lower-cased text, so that any implementation can agree to the last digit.
"""
import re
from collections import Counter


def tokens(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def f_measure(hits, candidate, reference):
    if hits == 0:
        return 0.0
    precision, recall = hits / candidate, hits / reference
    return 2 * precision * recall / (precision + recall)


def ngram_f(candidate, reference, n):
    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))
    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))
    return f_measure(sum((a & b).values()), sum(a.values()), sum(b.values()))


def longest_common_subsequence(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], previous + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def rouge(candidate, reference):
    a, b = tokens(candidate), tokens(reference)
    return {
        "rouge1": ngram_f(a, b, 1),
        "rouge2": ngram_f(a, b, 2),
        "rougeL": f_measure(longest_common_subsequence(a, b), len(a), len(b)),
    }


def mean_rouge(pairs):
    """-> mean over (candidate, reference) pairs, times 100"""
    scores = [rouge(candidate, reference) for candidate, reference in pairs]
    return {name: 100 * sum(s[name] for s in scores) / len(scores) for name in ("rouge1", "rouge2", "rougeL")}
