#!/usr/bin/env python3
"""Plans that this machine builds, run by a 64-bit Arm under qemu: the same greedy ids as here, and as the original's.

    plan_test.py TENON GREEDY_IDS SOURCE QEMU...
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TENON = GREEDY_IDS = SOURCE = ""
QEMU = []
NEW_TOKENS = 24
# The smallest miniature in every format of its weights; the last CPU has smmla, the first neither that nor sdot.
FORMATS = {"f32": ("--dtype", "f32"), "w8a8": ("--quant", "w8a8"), "w4a8": ("--quant", "w4a8", "--group-size", "32"),
           "w4a16": ("--quant", "w4a16")}
CPUS = ("cortex-a72", "neoverse-n1", "max")


def call(command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, **options)
    if done.returncode:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


class PlansOfX86(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        model = os.path.join(SOURCE, "miniatures", "llama")
        with open(os.path.join(model, "reference.json"), encoding="utf-8") as file:
            cls.prompts = json.load(file)["prompts"][:2]
        cls.plans = {}
        for name, options in FORMATS.items():
            cls.plans[name] = os.path.join(cls.folder, f"{name}.plan")
            call([TENON, "build", model, *options, "--quiet", "--no-gate", "-o", cls.plans[name]])

    def ids_here(self, name):
        prompts = os.path.join(self.folder, "prompts.txt")
        with open(prompts, "w", encoding="utf-8") as file:
            file.writelines(prompt["id"] + "\n" for prompt in self.prompts)
        document = json.loads(call([TENON, "run", self.plans[name], "--prompts", prompts, "--json", "--max-new-tokens",
                                    NEW_TOKENS]))
        return [result["ids"] for result in document["results"]]

    def ids_there(self, name, cpu):
        lines = call([*QEMU, GREEDY_IDS, self.plans[name], NEW_TOKENS, *(prompt["id"] for prompt in self.prompts)],
                     env=os.environ | {"QEMU_CPU": cpu}).splitlines()
        return [[int(word) for word in line.split()] for line in lines]

    def test_same_ids_in_every_format_and_on_every_cpu(self):
        for name in FORMATS:
            here = self.ids_here(name)
            self.assertEqual([len(ids) for ids in here], [NEW_TOKENS] * len(self.prompts))
            for cpu in CPUS:
                with self.subTest(format=name, cpu=cpu):
                    self.assertEqual(self.ids_there(name, cpu), here)

    def test_f32_writes_what_the_original_wrote(self):
        wanted = [prompt["ids"][:NEW_TOKENS] for prompt in self.prompts]
        self.assertEqual(self.ids_there("f32", CPUS[0]), wanted)

    def test_a_cpu_without_the_limit_named_is_told_the_words(self):
        done = subprocess.run([*QEMU, GREEDY_IDS, self.plans["f32"], "1", "x"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=300, env=os.environ | {"TENON_CPU_ISA": "avx2"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("neon, dotprod or i8mm", done.stderr)


if __name__ == "__main__":
    TENON, GREEDY_IDS, SOURCE, *QEMU = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
