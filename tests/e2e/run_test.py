"""`tenon run`: the texts that transformers wrote, and what the sampling flags do."""
import json
import os
import shutil
import subprocess
import unittest

import tenon_case
from tenon_case import TenonCase, main, miniature, one_line, reference


class Texts(TenonCase):
    def check_continuations(self, name):
        plan = self.build(miniature(name), "--dtype", "f32")
        wanted = reference(name)["prompts"]
        prompts = os.path.join(tenon_case.SOURCE, "miniatures", "prompts.txt")
        document = self.json("run", plan, "--prompts", prompts, "--max-new-tokens", 200)
        self.assertEqual(len(document["results"]), len(wanted))
        for got, want in zip(document["results"], wanted):
            self.assertEqual(got["text"].strip(), want["text"])
            ids = got["ids"][:-1] if got["finish_reason"] == "stop" else got["ids"]
            self.assertEqual(ids, want["ids"])
        lines = self.tenon("run", plan, "--prompts", prompts, "--max-new-tokens", 200).stdout
        self.assertEqual([line.strip() for line in lines.splitlines()],
                         [one_line(want["text"]) for want in wanted])
        alone = self.tenon("run", plan, "--prompt", wanted[0]["id"], "--max-new-tokens", 200)
        self.assertEqual(alone.stdout.strip(), wanted[0]["text"])
        self.assertTrue(alone.stdout.endswith("\n"))
        self.assertRegex(alone.stderr, r"prompt tokens at .* /s, .* new tokens at .* /s, first")

    def test_llama_continues_as_the_original(self):
        self.check_continuations("llama")

    def test_gpt2_continues_as_the_original(self):
        self.check_continuations("gpt2")

    def check_summaries(self, name, dtype):
        plan = self.build(miniature(name), "--dtype", dtype)
        wanted = reference(name)["generated_first_50"][:10]
        with open(os.path.join(tenon_case.SOURCE, "miniatures", "heldout.jsonl"),
                  encoding="utf-8") as file:
            self.write("ten.jsonl", "".join(file.readline() for _ in wanted))
        document = self.json("run", plan, "--prompts", "ten.jsonl", "--prompt-suffix", " TL;DR:",
                             "--max-new-tokens", 60, "--batch-size", 4)
        self.assertEqual([result["text"].strip() for result in document["results"]],
                         [want["text"] for want in wanted])

    # Their margins are wide (miniatures/README.md), so 16-bit weights must write them too.
    def test_summaries(self):
        for name in ("llama", "gpt2"):
            for dtype in ("f32", "bf16", "f16"):
                with self.subTest(name=name, dtype=dtype):
                    self.check_summaries(name, dtype)


class Flags(TenonCase):
    PROMPT = "It was a stormy night in Ravenford,"

    def setUp(self):
        super().setUp()
        self.build(miniature("llama"), "--dtype", "f32")

    def run_json(self, *arguments, prompt=PROMPT):
        document = self.json("run", "model.plan", "--prompt", prompt, *arguments)
        self.assertEqual(len(document["results"]), 1)
        return document["results"][0]

    def test_ids_are_the_prompt_after_the_tokenizer(self):
        with open(os.path.join(miniature("llama"), "reference.json"), encoding="utf-8") as file:
            ids = json.load(file)["ids_first_20"][0][:20]
        text = ",".join(map(str, ids))
        result = self.json("run", "model.plan", "--ids", text, "--max-new-tokens", 8)["results"][0]
        self.assertEqual(result["prompt_tokens"], 20)
        self.assertEqual(len(result["ids"]), 8)

    def test_a_plan_without_a_tokenizer_prints_ids(self):
        folder = self.path("bare")
        shutil.copytree(miniature("llama"), folder, ignore=shutil.ignore_patterns("token*", "special*"))
        plan = self.build(folder, "--no-gate", name="bare.plan")
        options = ["--max-new-tokens", "4", "--ignore-eos"]
        wanted = ",".join(map(str, self.json("run", plan, "--ids", "1,9", *options)["results"][0]["ids"]))
        self.assertEqual(self.tenon("run", plan, "--ids", "1,9", *options).stdout, wanted + "\n")
        lines = self.write("ids.jsonl", json.dumps({"ids": [1, 9]}) + "\n")
        self.assertEqual(self.tenon("run", plan, "--prompts", lines, *options).stdout, wanted + "\n")

    def test_a_seed_repeats_alone_and_in_a_batch(self):
        flags = ["--temperature", "1.2", "--seed", "7", "--max-new-tokens", "24", "--ignore-eos"]
        first, second = self.run_json(*flags), self.run_json(*flags)
        self.assertEqual(first["ids"], second["ids"])
        other = self.run_json(*flags[:2], "--seed", "8", *flags[4:])
        self.assertNotEqual(first["ids"], other["ids"])
        self.write("three.txt", f"{self.PROMPT}\nOnce\n{self.PROMPT}\n")
        batch = self.json("run", "model.plan", "--prompts", "three.txt", *flags)["results"]
        self.assertEqual([batch[0]["ids"], batch[2]["ids"]], [first["ids"]] * 2)

    def test_threads_do_not_change_the_text(self):
        texts = [self.json("run", "model.plan", "--prompt", self.PROMPT, "--max-new-tokens", "12",
                           env={**os.environ, "TENON_THREADS": threads})["results"][0]["ids"]
                 for threads in ("1", "3")]
        self.assertEqual(*texts)

    def test_greedy_and_top_k_1_agree(self):
        greedy = self.run_json("--greedy", "--max-new-tokens", "20")
        top = self.run_json("--temperature", "1", "--top-k", "1", "--max-new-tokens", "20")
        self.assertEqual(greedy["ids"], top["ids"])
        self.assertEqual(greedy["ids"], self.run_json("--max-new-tokens", "20")["ids"])

    def test_stops(self):
        whole = self.run_json("--max-new-tokens", "40")
        word = whole["text"].split()[5]
        cut = self.run_json("--max-new-tokens", "40", "--stop", word, "--stop", "never there")
        self.assertEqual(cut["finish_reason"], "stop_string")
        self.assertEqual(cut["text"], whole["text"][:whole["text"].index(word)])
        stopped = self.run_json("--max-new-tokens", "40", "--stop-id", whole["ids"][3])
        self.assertEqual(stopped["finish_reason"], "stop")
        self.assertEqual(stopped["ids"], whole["ids"][:whole["ids"].index(whole["ids"][3]) + 1])

    def test_end_of_sequence(self):
        ended = self.run_json("--max-new-tokens", "400")
        self.assertEqual(ended["finish_reason"], "stop")
        on = self.run_json("--max-new-tokens", "400", "--ignore-eos")
        self.assertEqual((on["finish_reason"], on["new_tokens"]), ("length", 400))
        self.assertEqual(on["ids"][:len(ended["ids"])], ended["ids"])

    def test_repetition_penalty_changes_the_text(self):
        self.assertNotEqual(
            self.run_json("--max-new-tokens", "60", "--repetition-penalty", "3")["ids"],
            self.run_json("--max-new-tokens", "60")["ids"])

    def test_prompts_from_standard_input_and_jsonl(self):
        lines = [self.PROMPT, "", json.dumps({"prompt": self.PROMPT}),
                 json.dumps({"ids": [1, 386, 300]})]
        done = self.tenon("run", "model.plan", "--prompts", self.write("p", "\r\n".join(lines)),
                          "--max-new-tokens", 12)
        got = done.stdout.splitlines()
        self.assertEqual(len(got), 3)
        self.assertEqual(got[0], got[1])
        with open(self.path("p"), "rb") as file:
            again = self.tenon_with_input(file)
        self.assertEqual(again, done.stdout)

    def tenon_with_input(self, file):
        return subprocess.run([tenon_case.TENON, "run", "model.plan", "--prompts", "-",
                               "--max-new-tokens", "12", "--quiet"], cwd=self.folder, stdin=file,
                              stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout

    def test_the_default_length_fits_a_long_prompt(self):
        ids = ",".join(["300"] * 510)
        result = self.json("run", "model.plan", "--ids", ids, "--ignore-eos")["results"][0]
        self.assertLessEqual(result["new_tokens"], 2)
        self.assertEqual(result["finish_reason"], "length")


if __name__ == "__main__":
    main()
