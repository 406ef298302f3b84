#!/usr/bin/env python3
"""Tests of the benchmarks' Python that need no GPU and no PyTorch."""

import json
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers")]

import cpu_llm
import cpu_sam
import full_size_cuda
import make_tables
import onnx_file
import onnx_sam
import random_gpt2
import random_llama
import random_sam
from serving import Server

CEILINGS = {"read_bytes_per_second": 4.6e12, "f16_operations_per_second": 8e14, "bf16_operations_per_second": 0,
            "f32_operations_per_second": 5e13}


def ops_entry(**more):
    return {"case": {"op": "linear"}, "name": "M linear", "ceilings": CEILINGS, "speedup": 1.25,
            "ours": [{"seconds": 8e-6, "share_of_floor": 0.9, "bound": "read", "implementation": "linear__a"}],
            "peer": {"best": "F.linear", "seconds": {"F.linear": 1e-5, "eager": 2e-5}, "refused": {}}} | more


class Tables(unittest.TestCase):
    def test_figures_keep_their_size(self):
        self.assertEqual(make_tables.significant(1.34e-5), "1.3e-5")
        self.assertEqual(make_tables.significant(0.0), "0")
        self.assertEqual([make_tables.microseconds(s) for s in (1.234e-6, 1.234e-5, 1.234e-4)], ["1.23", "12.3", "123"])

    def test_ops(self):
        report = {"command": "torch_ops.py", "machine": {"device": "D", "date": "2026-11-21T00:00:00Z"},
                  "versions": {"torch": "2.11"}, "left_out": ["{}"],
                  "cases": [ops_entry(), {"case": {"op": "glu"}, "error": "no memory"}]}
        text = make_tables.ops_section("T", report)
        self.assertIn("| M linear | 8.00 | 90 % | reading | `linear__a` | F.linear 10.0 | 1.25 |", text)
        self.assertIn("no memory", text)
        self.assertIn("1 cases were not measured", text)
        self.assertIn("reading 4.60 TB/s; products f16 800 TFLOP/s, f32 50 TFLOP/s", text)

    def test_a_case_without_peer(self):
        entry = ops_entry(peer={"best": None, "seconds": {}, "refused": {"flash": "no"}})
        text = make_tables.ops_section("T", {"command": "c", "cases": [entry]})
        self.assertIn("| `linear__a` | - | - |", text)

    def test_llm(self):
        decode = {"what": "decode", "prompt_tokens": 128, "new_tokens": 128, "batch": 2, "tokens_per_second": 400,
                  "floor_seconds": 0.003, "peers": {"p": 200}, "speedup": 2}
        prefill = {"what": "prefill", "prompt_tokens": 2048, "batch": 1, "seconds": 0.04, "peers": {"p": 0.06}, "speedup": 1.5}
        rows = list(make_tables.llm_rows({"model": "M", "dtype": "f16", "jobs": [decode, prefill]}))
        self.assertEqual(rows[0][2:], ["400 tok/s", "60 %", "p 200 tok/s", "2.00"])
        self.assertEqual(rows[1][2:], ["40.0 ms", "-", "p 60.0 ms", "1.50"])

    def test_the_committed_page_is_current(self):
        code = subprocess.run([sys.executable, HERE / "make_tables.py", "--check"], capture_output=True, text=True)
        self.assertEqual(code.returncode, 0, code.stdout)

    def test_a_stale_page_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            check = [sys.executable, HERE / "make_tables.py", "--results", folder]
            self.assertEqual(subprocess.run(check + ["--check"], capture_output=True).returncode, 1)
            self.assertEqual(subprocess.run(check).returncode, 0)
            self.assertEqual(subprocess.run(check + ["--check"]).returncode, 0)


def proof_entry():
    good = {"nonfinite": 0, "max_error_over_rms": 1e-5, "mean_kld": 1e-6, "decided_rows": 4096, "same_top": 1.0}
    return {"cuda": {"against_transformers": good, "mix": {"identical_texts": 4, "sequences": 4, "max_error_over_rms": 1e-6,
                                                           "mean_kld": 1e-7},
                     "repeat": {"runs": 100, "forced_digests": 1, "generation_digests": 1}},
            "cpu": {"against_transformers": good}, "cpu_against_cuda": good, "greedy_identical": 256, "greedy_tokens": 256}


class Proof(unittest.TestCase):
    def test_everything_in_order(self):
        for precision in ("f32", "f16", "bf16"):
            self.assertTrue(all(full_size_cuda.Proof.checks(proof_entry(), precision).values()), precision)

    def failed(self, precision, change):
        entry = json.loads(json.dumps(proof_entry()))
        change(entry)
        return [name for name, ok in full_size_cuda.Proof.checks(entry, precision).items() if not ok]

    def test_each_fault_fails_its_own_check(self):
        self.assertEqual(self.failed("f32", lambda e: e.update(greedy_identical=255)), ["greedy_text"])
        self.assertEqual(self.failed("f16", lambda e: e["cuda"]["repeat"].update(forced_digests=2)), ["same_bits_every_time"])
        self.assertEqual(self.failed("f16", lambda e: e["cuda"]["mix"].update(mean_kld=2e-4)), ["mixed_batch"])
        self.assertEqual(self.failed("bf16", lambda e: e["cuda"]["mix"].update(mean_kld=2e-4)), [])
        self.assertEqual(self.failed("f32", lambda e: e["cuda"]["mix"].update(identical_texts=3)), ["mixed_batch"])
        self.assertEqual(self.failed("f16", lambda e: e["cpu_against_cuda"].update(same_top=0.99)),
                         ["cuda_against_transformers", "cpu_against_transformers", "cpu_against_cuda"][2:])

    def test_numbers_that_are_none_never_pass(self):
        figures = {"nonfinite": 1, "max_error_over_rms": 0.0, "mean_kld": 0.0, "same_top": 1.0}
        self.assertFalse(full_size_cuda.within(figures, "f16"))
        figures = {"nonfinite": 0, "max_error_over_rms": float("nan"), "mean_kld": float("nan"), "same_top": 1.0}
        self.assertFalse(full_size_cuda.within(figures, "f16"))
        self.assertFalse(full_size_cuda.within(figures, "f32"))

    def test_first_difference(self):
        self.assertEqual(full_size_cuda.first_difference([1, 2, 3], [1, 2, 4]), 2)
        self.assertEqual(full_size_cuda.first_difference([1, 2], [1, 2, 4]), 2)
        self.assertEqual(full_size_cuda.first_difference([1], [1]), 1)


ECHO = "import sys, json\nprint(json.dumps({'hello': 1}), flush=True)\nfor line in sys.stdin:\n    print(json.dumps({'got': line.strip()}), flush=True)\n"


class Serving(unittest.TestCase):
    def test_a_line_for_a_line(self):
        with Server([sys.executable, "-c", ECHO]) as server:
            self.assertEqual(server.greeting, {"hello": 1})
            self.assertEqual(server.ask("1 2 3"), {"got": "1 2 3"})

    def test_a_program_that_ends_is_an_error(self):
        with self.assertRaisesRegex(RuntimeError, "exit code 4"):
            Server([sys.executable, "-c", "raise SystemExit(4)"])

    def test_a_child_works_only_when_asked_alone(self):
        with Server([sys.executable, "-c", ECHO]) as server:
            server.stop()
            self.assertEqual(server.ask_alone(["1", "2"]), [{"got": "1"}, {"got": "2"}])
            state = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            self.assertEqual(state, "T")
            server.resume()


TINY = {"hidden": 64, "layers": 1, "heads": 4, "kv_heads": 2, "inner": 96, "vocab": 32, "positions": 16}


def read_gguf(data):
    """{name: (type, extents, offset)}, where data begins; a reader of its own."""
    at = 24
    magic, version, tensors, values = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3)

    def take(form):
        nonlocal at
        result = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return result[0]

    def text():
        return "".join(chr(take("B")) for _ in range(take("Q")))

    metadata, infos = {}, {}
    for _ in range(values):
        key, kind = text(), take("I")
        metadata[key] = {4: lambda: take("I"), 6: lambda: take("f"), 8: text}[kind]()
    for _ in range(tensors):
        name = text()
        extents = [take("Q") for _ in range(take("I"))]
        infos[name] = (take("I"), extents, take("Q"))
    return metadata, infos, (at + 31) // 32 * 32


class PeerFiles(unittest.TestCase):
    def test_gguf_has_every_tensor_in_its_place(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "q4_0.gguf"
            random_llama.write_gguf(path, TINY, "q4_0")
            data = path.read_bytes()
        metadata, infos, begin = read_gguf(data)
        self.assertEqual(metadata["llama.attention.head_count_kv"], 2)
        self.assertEqual(len(infos), 12)
        self.assertEqual(infos["blk.0.attn_k.weight"][:2], (2, [64, 32]))
        self.assertEqual(infos["output.weight"][0], 30)
        end = 0
        for kind, extents, offset in infos.values():
            self.assertEqual((offset % 32, offset - end < 32), (0, True))
            elements, block = {0: (1, 4), 2: (32, 18), 30: (1, 2)}[kind]
            end = offset + extents[0] * (extents[1] if len(extents) > 1 else 1) // elements * block
        self.assertEqual(len(data), (begin + end + 31) // 32 * 32)

    def test_checkpoint_and_onnx_share_bytes(self):
        pairs = {"a": [2, 3], "b": [5]}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            fill = {"a": b"\1", "b": b"\2"}
            places = onnx_file.write_safetensors(path, pairs, lambda file, name, size: file.write(fill[name] * size))
            data = path.read_bytes()
        for name, (extents, offset, size) in places.items():
            self.assertEqual((extents, data[offset:offset + size]), (pairs[name], fill[name] * size))

    def test_protobuf(self):
        self.assertEqual(onnx_file.varint(300), b"\xac\x02")
        self.assertEqual(onnx_file.varint(-1), b"\xff" * 9 + b"\x01")
        self.assertEqual(onnx_file.chunk(3, "ab"), b"\x1a\x02ab")
        self.assertEqual(onnx_file.attribute("n", 5), b"\x0a\x01n\x18\x05\xa0\x01\x02")

    def test_every_weight_of_a_graph_is_stored(self):
        stored = set(random_gpt2.tensors_of(1))
        text = b"".join(random_gpt2.layer_nodes(0)).decode("latin-1")
        for name in stored - {"wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"}:
            self.assertIn(name, text)

    def test_graphs_of_segment_anything_use_every_weight_but_those_of_masks_as_prompts(self):
        tensors = {}
        random_sam.encoder_tensors(tensors, 3)
        random_sam.prompt_tensors(tensors)
        random_sam.decoder_tensors(tensors)
        places = {name: (extents, 0, 0) for name, extents in tensors.items()}
        with tempfile.TemporaryDirectory() as folder:
            onnx_sam.write_encoder(Path(folder) / "encoder.onnx", places, [14, 14, 0])
            onnx_sam.write_decoder(Path(folder) / "decoder.onnx", places)
            text = b"".join((Path(folder) / name).read_bytes() for name in ("encoder.onnx", "decoder.onnx")).decode("latin-1")
        unused = sorted(name for name in places if name not in text)
        self.assertTrue(all("mask_downscaling" in name for name in unused), unused)
        self.assertEqual(len(unused), 10)

    def test_weights_of_segment_anything_all_matter(self):
        tensors = {}
        random_sam.encoder_tensors(tensors, 3)
        random_sam.decoder_tensors(tensors)
        for name, shape in tensors.items():
            mean, deviation = random_sam.spread_of(name, shape)
            self.assertGreater(deviation, 0, name)
            is_norm = len(shape) == 1 and name.endswith("weight")
            self.assertEqual(mean, 1 if is_norm else 0, name)

    def test_distances_of_segment_anything(self):
        self.assertEqual(cpu_sam.distance([3.0, 4.0], [3.0, 4.0]), 0)
        self.assertAlmostEqual(cpu_sam.distance([3.0, 4.5], [3.0, 4.0]), 0.1)
        with self.assertRaises(SystemExit):
            cpu_sam.distance([1.0], [1.0, 2.0])

    def test_commands_are_kept_without_places(self):
        words = ["--work", "/a", "--pairs", "w4a8", "bf16", "--out", "b", "--rounds", "3"]
        self.assertTrue(cpu_llm.command_of(words).endswith(".py --pairs w4a8 bf16 --rounds 3"), cpu_llm.command_of(words))

    def test_cpu_tables(self):
        machine = {"cpu": "C", "flags": ["amx_int8"]}
        side = {"prefill_tokens_per_second": 100, "decode_tokens_per_second": 10, "share_of_read_rate": 0.5}
        pair = {"pair": "w4a8", "theirs": "q4_0.gguf", "tenon": side, "llama.cpp": side, "prefill_ratio": 1, "decode_ratio": 2}
        text = make_tables.cpu_llama_section("T", {"machine": machine, "command": "c", "pairs": [pair]})
        self.assertIn("C with AMX. `c`", text)
        self.assertIn("| w4a8 / q4_0.gguf | 100 | 100 | 1.00 | 10.0 | 10.0 | 2.00 | 50 % | 50 % |", text)
        case = {"prompt_tokens": 128, "seconds": {"tenon": 0.25, "onnxruntime": 0.5}, "ratio": 2}
        text = make_tables.cpu_gpt2_section("T", {"machine": machine, "command": "c", "onnxruntime": "1", "cases": [case]})
        self.assertIn("| 128 | 250.0 | 500.0 | 2.00 |", text)

    def test_cpu_table_of_tenon_bench(self):
        row = {"new_tokens_per_second": 25.41, "token_share_of_bandwidth": 0.905}
        report = {"command": "c", "device_description": "D", "ceilings": {"bytes_per_second": 3.08e10}, "rows": [row]}
        text = make_tables.cpu_bench_section([("w8a8", report)])
        self.assertIn("D. `c`", text)
        self.assertIn("| w8a8 | 25.4 | 30.8 | 90 % |", text)

    def test_cpu_table_of_segment_anything(self):
        case = {"stage": "encoder", "seconds": {"bf16": 0.25, "onnxruntime": 0.5}, "ratios": {"bf16": 2.0}}
        report = {"machine": {"cpu": "C", "flags": []}, "command": "c", "onnxruntime": "1", "cases": [case],
                  "distances": {"bf16": {"embedding": 5e-3, "masks": 1e-2}}}
        text = make_tables.cpu_sam_section("T", report)
        self.assertIn("| encoder | bf16 | 250.0 | 500.0 | 2.00 |", text)
        self.assertIn("bf16: embedding 0.005, masks 0.01", text)


if __name__ == "__main__":
    unittest.main()
