#!/usr/bin/env python3
"""The micro-world: short English stories with summaries, from a seed. Standard library only.

    python3 miniatures/micro_world.py --show 5          print five training stories
    python3 miniatures/micro_world.py --heldout         write heldout.jsonl again, byte for byte
    python3 miniatures/micro_world.py --check           word statistics and the copy-the-first-sentence baseline

A story is drawn from one integer seed. Its combination (plot, hero, role, town, helper, object) is hashed: one combination
in 64 belongs to the held-out side and is never drawn for training, so no held-out story can be seen while training.
Only random.random() is used, whose sequence Python promises to keep.
"""
import argparse
import json
import pathlib
import random
import re
import zlib
from collections import Counter

import world_words as w
from world_plots import CLOSINGS, DISTRACTORS, OPENINGS, PLOTS

HERE = pathlib.Path(__file__).resolve().parent
SEPARATOR = " TL;DR:"
HELDOUT_FIRST_SEED = 1_000_000_000
HELDOUT_STORIES = 200
HELDOUT_SHARE = 64
MAX_SENTENCES = 9
MAX_CHARACTERS = 640  # story and summary together; keeps a document under 256 tokens of either tokenizer
PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself", "He": "She", "His": "Her"},
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself", "He": "He", "His": "His"},
}


class Dice:
    """Draws from sequences; two draws of one kind can be asked to differ."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def pick(self, items, *taken):
        while True:
            item = items[int(self.random() * len(items))]
            if item not in taken:
                return item

    def chance(self, share):
        return self.random() < share


def with_article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def capital(text):
    return text[0].upper() + text[1:]


def draw_people(dice, facts):
    taken = []
    for key in ("N", "H", "O", "A"):
        kind = dice.pick(("she", "he"))
        name = dice.pick(w.WOMEN if kind == "she" else w.MEN, *taken)
        taken.append(name)
        facts[key] = name
        if key == "N":
            facts.update(PRONOUNS[kind])
        if key == "H":
            facts.update({"h" + word: form for word, form in PRONOUNS[kind].items()})
    roles = []
    for key in ("R", "HR", "OR"):
        roles.append(dice.pick(w.ROLES, *roles))
        facts[key], facts["a" + key] = roles[-1], with_article(roles[-1])


def draw_places_and_things(dice, facts):
    for key in ("T", "T2"):
        facts[key] = dice.pick(w.TOWN_HEADS) + dice.pick(w.TOWN_TAILS)
    facts["S"] = dice.pick(w.SPOTS)
    facts["S2"] = dice.pick(w.SPOTS, facts["S"])
    noun = dice.pick(w.OBJECTS)
    facts["X"] = dice.pick(w.ADJECTIVES) + " " + noun
    facts["Y"] = dice.pick(w.ADJECTIVES) + " " + dice.pick(w.OBJECTS, noun)
    for key in "XY":
        facts["a" + key] = with_article(facts[key])
    for first, second, items in (
        ("n", "n2", w.NUMBERS), ("day", "day0", w.DAYS), ("hide", "hide2", w.HIDES), ("gear", "gear2", w.TOOLS),
        ("food", "food2", w.FOODS), ("animal", "animal2", w.ANIMALS),
    ):
        facts[first] = dice.pick(items)
        facts[second] = dice.pick(items, facts[first])


SINGLES = {
    "kin": w.KIN, "deadline": w.DEADLINES, "searcher": w.SEARCH_TOOLS, "thief": w.THIEVES, "ride": w.RIDES,
    "cause": w.CAUSES, "prize": w.PRIZES, "machine": w.MACHINES, "part": w.PARTS, "makeshift": w.MAKESHIFTS,
    "event": w.EVENTS, "crop": w.CROPS, "cure": w.CURES, "vehicle": w.VEHICLES, "occasion": w.OCCASIONS,
    "shelter": w.SHELTERS, "weather": w.WEATHERS, "scene": w.SCENES, "mayors": ("his", "her"),
}
PAIRS = {
    ("road", "road_short"): w.ROAD_TROUBLES, ("contest", "tool"): w.CONTESTS, ("job", "jobs"): w.JOBS,
    ("skill", "fail"): w.SKILLS, ("trap", "trap_short"): w.TRAPS, ("pest", "pest_short"): w.PESTS,
}


def draw_facts(dice):
    facts = {}
    draw_people(dice, facts)
    draw_places_and_things(dice, facts)
    for key, items in SINGLES.items():
        facts[key] = dice.pick(items)
    for (first, second), items in PAIRS.items():
        facts[first], facts[second] = dice.pick(items)
    facts["road"] = facts["road"].format_map(facts)
    for key in ("cause", "part", "pest_short"):
        facts[capital(key)] = capital(facts[key])
    return facts


def is_heldout(plot, facts):
    combination = "|".join((plot["name"], facts["N"], facts["R"], facts["T"], facts["H"], facts["HR"], facts["X"]))
    return zlib.crc32(combination.encode()) % HELDOUT_SHARE == 0


def choose_beats(dice, plot, outcome_beats):
    """The wordings of one story in order, as (template, may be left out)."""
    beats = [(dice.pick(choices), False) for choices in plot["beats"] + outcome_beats]
    opening = dice.pick(OPENINGS)
    length = len(beats) + opening.count(". ") + 1
    extras = min(1 + int(dice.random() * 3), MAX_SENTENCES - length)
    used = []
    if extras > 1 and dice.chance(0.5):
        beats.append((dice.pick(CLOSINGS), True))
        extras -= 1
    for _ in range(extras):
        used.append(dice.pick(DISTRACTORS, *used))
        beats.insert(int(dice.random() * 4), (used[-1], True))
    return [(opening, False)] + beats


def tell(beats, facts):
    named = dict(facts, He=facts["N"], His=facts["N"] + "'s")  # after a distractor a pronoun would be ambiguous
    sentences, after_distractor = [], False
    for template, distractor in beats:
        subject = next((key for key in ("{He}", "{His}") if template.startswith(key)), None)
        if after_distractor and subject:
            sentences.append(subject.format_map(named) + template[len(subject):].format_map(facts))
        else:
            sentences.append(template.format_map(facts))
        after_distractor = distractor
    return " ".join(sentences)


def story(seed, heldout=False):
    """-> (article, highlights) of this seed; None if it is on the other side of the split or too long."""
    dice = Dice(seed)
    plot = dice.pick(PLOTS)
    facts = draw_facts(dice)
    if is_heldout(plot, facts) != heldout:
        return None
    outcome_beats, summary = dice.pick(plot["outcomes"])
    highlights = summary.format_map(facts)
    beats = choose_beats(dice, plot, outcome_beats)
    article = tell(beats, facts)
    while len(article) + len(SEPARATOR) + 1 + len(highlights) > MAX_CHARACTERS:
        extra = next((beat for beat in beats if beat[1]), None)
        if extra is None:
            return None
        beats.remove(extra)
        article = tell(beats, facts)
    return article, highlights


def training_stories(first_seed, count):
    """`count` consecutive seeds; about one in 60 gives nothing."""
    for seed in range(first_seed, first_seed + count):
        drawn = story(seed)
        if drawn:
            yield drawn


def heldout_stories():
    rows, seed = [], HELDOUT_FIRST_SEED
    while len(rows) < HELDOUT_STORIES:
        drawn = story(seed, heldout=True)
        if drawn:
            rows.append({"id": f"heldout-{len(rows):03d}", "article": drawn[0], "highlights": drawn[1]})
        seed += 1
    return rows


def first_sentence(article):
    return re.split(r"(?<=[.!?]) ", article, maxsplit=1)[0]


def show_statistics(count):
    from rouge import rouge
    words, lead, sizes, sentences = Counter(), 0.0, [], []
    for article, highlights in training_stories(1, count):
        words.update(re.findall(r"\w+", article + " " + highlights))
        sizes.append(len(article) + len(SEPARATOR) + 1 + len(highlights))
        sentences.append(len(re.findall(r"[.!?](?: |$)", article.replace('"', ""))))
        lead += rouge(first_sentence(article), highlights)["rouge1"]
    print(f"{len(sizes)} stories, {len(words)} different words, characters {min(sizes)}..{max(sizes)}, "
          f"mean {sum(sizes) / len(sizes):.0f}, sentences {min(sentences)}..{max(sentences)}")
    print(f"ROUGE-1 of the first sentence: {100 * lead / len(sizes):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heldout", action="store_true", help="write heldout.jsonl")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "heldout.jsonl")
    parser.add_argument("--show", type=int, default=0, metavar="N")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.heldout:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in heldout_stories())
        arguments.out.write_text("".join(lines), encoding="utf-8")
    for article, highlights in training_stories(1, arguments.show):
        print(article + SEPARATOR + " " + highlights + "\n")
    if arguments.check:
        show_statistics(10_000)


if __name__ == "__main__":
    main()
