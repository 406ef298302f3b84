"""Builds that are killed, disks that are full, models that change under the reader.

TENON_KILLS: how many builds are killed (default 200).
"""
import os
import random
import resource
import signal
import subprocess
import time
import unittest

import tenon_case
from checkpoints import copy_without_weights, weights_of, write_torch
from tenon_case import TenonCase, main, miniature

KILLS = int(os.environ.get("TENON_KILLS", "200"))
DTYPES = ["f32", "bf16"]


class Killed(TenonCase):
    def start(self, *arguments, name="model.plan"):
        return subprocess.Popen([tenon_case.TENON, "build", miniature("llama"), "-o", name, "--no-gate",
                                 "--quiet", *arguments], cwd=self.folder, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def content(self, name="model.plan"):
        with open(self.path(name), "rb") as file:
            return file.read()

    def wholes(self):
        """The two plans that the killed builds would have made, by their bytes, and how long one takes."""
        plans, start = [], time.monotonic()
        for dtype in DTYPES:
            self.assertEqual(self.start("--dtype", dtype, name="whole.plan").wait(), 0)
            plans.append(self.content("whole.plan"))
            os.remove(self.path("whole.plan"))
        self.assertNotEqual(plans[0], plans[1])
        return plans, (time.monotonic() - start) / len(DTYPES)

    def kill_one(self, moments, seconds):
        """Whether the build was still running at a random moment."""
        process = self.start("--dtype", moments.choice(DTYPES))
        time.sleep(moments.uniform(0, 1.1 * seconds))
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def test_a_killed_build_leaves_the_old_plan_or_nothing(self):
        plans, seconds = self.wholes()
        seed = random.randrange(2 ** 32)
        moments = random.Random(seed)
        killed = builds = temporaries = 0
        old = False
        while killed < KILLS:
            killed += self.kill_one(moments, seconds)
            builds += 1
            self.assertLess(builds, 20 * KILLS + 20, "builds end before they can be killed")
            names = self.left()
            left_over = sum(".tenon-tmp-" in name for name in names)
            temporaries += left_over
            self.assertLessEqual(left_over, 1, f"seed {seed}")
            if "model.plan" in names:
                self.assertIn(self.content(), plans, f"seed {seed}")
            self.assertTrue("model.plan" in names or not old, f"the old plan is gone, seed {seed}")
            old = "model.plan" in names
        self.assertEqual(self.start("--dtype", DTYPES[0]).wait(), 0)
        self.assertEqual(self.left(), ["model.plan"], f"temporaries are left, seed {seed}")
        self.assertEqual(self.content(), plans[0])
        print(f"{killed} of {builds} builds killed, {temporaries} temporaries seen, seed {seed}")

    def test_eight_builders_of_one_plan(self):
        builders = [self.start("--dtype", "bf16") for _ in range(8)]
        codes = [builder.wait() for builder in builders]
        self.assertEqual(codes, [0] * 8)
        self.tenon("inspect", "model.plan")
        self.assertEqual(self.left(), ["model.plan"])


class Full(TenonCase):
    def test_a_file_size_limit_is_a_full_disk(self):
        for most in (0, 1000, 2_000_000):
            def limit(size=most):
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

            self.write("model.plan", "the old plan")
            error = self.json("build", miniature("llama"), "-o", "model.plan", "--no-gate", code=8,
                              preexec_fn=limit)["error"]
            self.assertIn("model.plan", error["message"])
            self.assertEqual(self.left(), ["model.plan"])
            with open(self.path("model.plan"), encoding="utf-8") as file:
                self.assertEqual(file.read(), "the old plan")

    def test_output_to_a_full_device(self):
        self.build(miniature("llama"), "--no-gate")
        for arguments in (["inspect", "model.plan"], ["run", "model.plan", "--ids", "1", "--max-new-tokens", "2"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([tenon_case.TENON, *arguments], cwd=self.folder, stdout=full,
                                      stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 8, done.stderr)

    def test_too_little_memory_is_an_error(self):
        """Every size of address space from hopeless to ample ends in success or an exit code of ours."""
        if os.environ.get("TENON_SANITIZE"):
            self.skipTest("a sanitizer needs its own terabytes of address space")
        self.build(miniature("llama"), "--no-gate")
        codes = set()
        for megabytes in (8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 64, 96, 128, 256, 1024):
            def limit(size=megabytes << 20):
                resource.setrlimit(resource.RLIMIT_AS, (size, size))

            done = subprocess.run([tenon_case.TENON, "run", "model.plan", "--ids", "1", "--max-new-tokens", "2"],
                                  cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
            # 127: the loader of the system could not map the libraries.
            self.assertIn(done.returncode, (0, 6, 8, 127), f"{megabytes} MiB: {done.stderr.decode()}")
            codes.add(done.returncode)
        self.assertIn(0, codes)
        self.assertGreater(len(codes), 1)


class Changing(TenonCase):
    def test_a_checkpoint_that_changes_while_it_is_built(self):
        """Whatever moment is hit: a whole plan, or an error of ours and no plan."""
        folder = copy_without_weights("llama", self.path("model"))
        weights = os.path.join(folder, "pytorch_model.bin")
        write_torch(weights, weights_of("llama"))
        with open(weights, "rb") as file:
            whole = file.read()
        moments = random.Random(7)
        codes = set()
        for _ in range(6):
            with open(weights, "wb") as file:
                file.write(whole)
            process = subprocess.Popen([tenon_case.TENON, "build", folder, "-o", "x.plan", "--no-gate"],
                                       cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(moments.uniform(0, 0.4))
            os.truncate(weights, moments.randrange(len(whole)))
            errors = process.communicate()[1].decode()
            codes.add(process.returncode)
            self.assertIn(process.returncode, (0, 3), errors)
            if process.returncode == 0:
                os.remove(self.path("x.plan"))
            self.assertEqual(self.left(), ["model"])
        self.assertTrue(codes)


if __name__ == "__main__":
    main()
