"""`tenon doctor`, and what `--device cuda` says on machines of every kind. The fake GPU back end
(tests/device_faults) plays the machines that this one is not."""
import os
import re
import subprocess
import unittest

import tenon_case
from tenon_case import TenonCase, main, miniature

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("TENON_")}


class Device(TenonCase):
    def machine(self, words=None, **variables):
        """The environment in which the fake GPU is what `words` say; None: no GPU back end."""
        lib = os.path.join(os.path.dirname(os.path.dirname(tenon_case.TENON)), "lib")
        library = os.path.join(lib, "libtenon_fake_gpu.so") if words is not None else "/nowhere/libtenon_cuda.so"
        if words is not None:
            self.assertTrue(os.path.exists(library), library)
        return ENVIRONMENT | {"TENON_CUDA_LIBRARY": library, "TENON_FAKE_GPU": words or "", "TENON_THREADS": "1"} | variables

    def run_on_gpu(self, words, code=0, tokens=4, **variables):
        return self.tenon("run", "model.plan", "--ids", "1,2,3", "--max-new-tokens", tokens, "--greedy", "--device",
                          "cuda", "--json", code=code, env=self.machine(words, **variables))


class ExitCodes(Device):
    def setUp(self):
        super().setUp()
        self.build(miniature("llama"), "--no-gate")

    def refusal(self, words, code, tokens=4):
        done = self.run_on_gpu(words, code, tokens)
        return done.stderr.splitlines()[-1]

    def test_a_gpu_gives_the_cpus_text(self):
        on_gpu = self.run_on_gpu("").stdout
        on_cpu = self.tenon("run", "model.plan", "--ids", "1,2,3", "--max-new-tokens", "4", "--greedy",
                            "--json").stdout
        ids = re.compile(r'"ids": \[[^\]]*\]')
        self.assertEqual(ids.findall(on_gpu), ids.findall(on_cpu))
        self.assertTrue(ids.findall(on_gpu))

    def test_4_no_back_end(self):
        self.assertIn("libtenon_cuda.so", self.refusal(None, 4))

    def test_4_no_driver(self):
        line = self.refusal("driver=absent", 4)
        self.assertIn("no NVIDIA driver", line)
        self.assertIn("--device cpu", line)

    def test_4_too_old_a_driver_names_found_and_needed(self):
        line = self.refusal("driver=12080", 4)
        self.assertIn("CUDA 12.8", line)
        self.assertIn("CUDA 13.0", line)

    def test_4_driver_fails(self):
        self.assertIn("planted failure", self.refusal("driver=failed", 4))

    def test_4_no_gpu(self):
        self.assertIn("no GPU", self.refusal("gpus=0", 4))
        self.assertIn("does not answer", self.refusal("broken", 4))

    def test_4_too_old_a_gpu(self):
        line = self.refusal("capability=75 architectures=80-virtual,90a", 4)
        self.assertIn("7.5", line)
        self.assertIn("8.0", line)

    def test_7_no_code_for_this_gpu(self):
        line = self.refusal("capability=86", 7)
        for word in ("8.6", "90a", "TENON_CUDA_ARCHITECTURES=86"):
            self.assertIn(word, line)
        self.run_on_gpu("capability=86 architectures=80-virtual,90a")

    def test_6_a_cache_or_plan_that_does_not_fit(self):
        self.run_on_gpu("memory=5000000")
        for memory, word in ((4096, "the plan does not fit"), (3_600_000, "the KV cache does not fit")):
            line = self.refusal(f"memory={memory}", 6, tokens=500)
            self.assertIn(word, line)
            self.assertIn("free", line)

    def test_6_any_failed_allocation_is_one_clear_error(self):
        for nth in range(1, 100):
            done = subprocess.run([tenon_case.TENON, "run", "model.plan", "--ids", "1,2", "--max-new-tokens", "2",
                                   "--device", "cuda"], cwd=self.folder, text=True, capture_output=True, check=False,
                                  env=self.machine("", TENON_FAIL_DEVICE_ALLOCATION=str(nth)))
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertEqual(done.stderr.count("error: "), 1)
        self.assertGreater(nth, 5)


class Doctor(Device):
    def doctor(self, words, **variables):
        return self.json("doctor", env=self.machine(words, **variables))

    def test_a_cpu_only_install_is_healthy(self):
        found = self.doctor(None)
        self.assertEqual(found["devices"], ["cpu"])
        self.assertEqual(found["gpus"], [])
        self.assertEqual(found["no_gpu"]["code"], 4)
        backend = [library for library in found["libraries"] if library["file"] == "libtenon_cuda.so"][0]
        self.assertFalse(backend["found"])
        self.assertIn("/nowhere", backend["problem"])
        self.assertEqual([f["name"] for f in found["cpu_features"]], ["avx2", "avx512", "avx512_bf16",
                                                                          "avx512_vnni", "amx"])

    def test_a_limit_on_instruction_sets(self):
        found = self.doctor(None, TENON_CPU_ISA="avx2")
        usable = {f["name"]: f["usable"] for f in found["cpu_features"]}
        self.assertFalse(any(usable[name] for name in ("avx512", "avx512_bf16", "avx512_vnni", "amx")), usable)
        done = subprocess.run([tenon_case.TENON, "doctor"], text=True, capture_output=True, check=False,
                              env=self.machine(None, TENON_CPU_ISA="sse2"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("TENON_CPU_ISA: unknown instruction set; got sse2, accepted avx2, avx512 or amx", done.stderr)

    def test_every_gpu_is_tried(self):
        found = self.doctor("gpus=2 memory=5000000")
        self.assertEqual(found["devices"], ["cpu", "cuda:0", "cuda:1"])
        gpu = found["gpus"][1]
        self.assertEqual((gpu["index"], gpu["compute_capability"], gpu["works"]), (1, "9.0", True))
        self.assertEqual(gpu["bytes"], 5000000)
        self.assertLessEqual(gpu["free_bytes"], 5000000)
        self.assertIsNone(found["no_gpu"])
        self.assertEqual(found["cuda_architectures"], ["90a"])
        self.assertEqual((found["driver_cuda"], found["needed_cuda"]), ("13.0", "13.0"))

    def test_a_gpu_that_cannot_be_used_is_listed_with_the_reason(self):
        gpu = self.doctor("capability=89")["gpus"][0]
        self.assertFalse(gpu["works"])
        self.assertEqual(gpu["problem"]["code"], 7)
        gpu = self.doctor("memory=100")["gpus"][0]
        self.assertEqual(gpu["problem"]["code"], 6)
        found = self.doctor("driver=12000")
        self.assertEqual(found["no_gpu"]["code"], 4)
        self.assertEqual(found["driver_cuda"], "12.0")

    def test_libraries_say_where_and_what_for(self):
        libraries = {library["file"]: library for library in self.doctor("")["libraries"]}
        self.assertEqual(libraries["libfake.so.1"]["path"], "/nowhere/libfake.so.1")
        self.assertFalse(libraries["libabsent.so.1"]["found"])
        for library in libraries.values():
            self.assertTrue(library["enables"])
            self.assertEqual(library["found"], not library["problem"])

    def test_the_text_says_the_same(self):
        text = self.tenon("doctor", env=self.machine("gpus=1")).stdout
        for word in ("cuda:0", "fake GPU", "compute capability 9.0", "works", "CPU and GPU", "libabsent.so.1"):
            self.assertIn(word, text)
        text = self.tenon("doctor", env=self.machine("driver=absent")).stdout
        self.assertIn("no NVIDIA driver", text)
        self.assertIn("Plans run on this machine's CPU.", text)

    def test_this_machine(self):
        """Whatever it has: the real back end, where there is one, answers."""
        found = self.json("doctor", env=ENVIRONMENT)
        self.assertEqual(found["devices"][0], "cpu")
        backend = [library for library in found["libraries"] if library["file"] == "libtenon_cuda.so"][0]
        if not backend["found"]:
            print("skip the real back end:", backend["problem"])
            return
        files = [library["file"] for library in found["libraries"]]
        self.assertIn("libcublasLt.so.13", files)
        self.assertIn("libnvrtc.so.13", files)
        if len(found["devices"]) == 1:
            self.assertIn(found["no_gpu"]["code"], (4, 7))


if __name__ == "__main__":
    main()
