#!/usr/bin/env python3
"""llama.cpp's prebuilt library as a child that answers one line of JSON for each job: PROMPT NEW BATCH (batch 1 alone).

    python3 bench/peers/llama_cpp.py --library DIR --model FILE.gguf --threads 2 [--variant zen4]

DIR is the folder of the npm package @node-llama-cpp/linux-x64 with libllama*.so. Its own default options are kept (mapped
file, repacked weights, flash attention where it chooses so); only context, threads and, with --variant, the build for
one kind of CPU are set. Tokens are fed without sampling, which flatters it a little.
"""

import argparse
import ctypes
import glob
import json
import os
import random
import statistics
import sys
import time

# What llama_context_default_params begins with: n_ctx, n_batch, n_ubatch, n_seq_max. Another start is another layout.
KNOWN_DEFAULTS = [512, 2048, 512, 1]


class Params(ctypes.Structure):
    """A structure handed over by value in memory; ours is larger than any version of it, and what lies behind is unread."""
    _fields_ = [("words", ctypes.c_uint32 * 128)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32)] + [(name, ctypes.c_void_p) for name in
                                                 ("token", "embd", "pos", "n_seq_id", "seq_id", "logits")]


def load_library(folder, variant):
    def one(pattern):
        found = sorted(glob.glob(os.path.join(folder, pattern)))
        if not found:
            sys.exit(f"llama_cpp.py: no {pattern} in {folder}; accepted: the folder bins/linux-x64 of @node-llama-cpp/linux-x64")
        return found[0]

    ctypes.CDLL(one("libggml-base*.so*"), mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(one("libggml.*so*"), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(one("libllama.*so*"), mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load.restype = ctypes.c_void_p
    if variant:
        if not ggml.ggml_backend_load(one(f"libggml-cpu-{variant}.so").encode()):
            sys.exit(f"llama_cpp.py: this CPU cannot run the build for {variant}")
    else:
        ggml.ggml_backend_load_all_from_path(folder.encode())
    for name, result, arguments in [
            ("llama_context_default_params", Params, []), ("llama_model_default_params", Params, []),
            ("llama_model_load_from_file", ctypes.c_void_p, [ctypes.c_char_p, Params]),
            ("llama_init_from_model", ctypes.c_void_p, [ctypes.c_void_p, Params]),
            ("llama_set_n_threads", None, [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]),
            ("llama_batch_get_one", Batch, [ctypes.c_void_p, ctypes.c_int32]),
            ("llama_decode", ctypes.c_int32, [ctypes.c_void_p, Batch]), ("llama_get_memory", ctypes.c_void_p, [ctypes.c_void_p]),
            ("llama_memory_clear", None, [ctypes.c_void_p, ctypes.c_bool]),
            ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]),
            ("llama_print_system_info", ctypes.c_char_p, [])]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Peer:
    def __init__(self, args):
        self.library = load_library(args.library, args.variant)
        begin = time.perf_counter()
        model = self.library.llama_model_load_from_file(args.model.encode(), self.library.llama_model_default_params())
        if not model:
            sys.exit(f"llama_cpp.py: {args.model} was not loaded")
        options = self.library.llama_context_default_params()
        if list(options.words[:4]) != KNOWN_DEFAULTS:
            sys.exit(f"llama_cpp.py: default options begin with {list(options.words[:4])}, wanted {KNOWN_DEFAULTS}")
        options.words[0] = args.context
        self.context = self.library.llama_init_from_model(model, options)
        if not self.context:
            sys.exit("llama_cpp.py: no context")
        self.library.llama_set_n_threads(self.context, args.threads, args.threads)
        self.load_seconds = time.perf_counter() - begin

    def decode(self, tokens):
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        code = self.library.llama_decode(self.context, self.library.llama_batch_get_one(ids, len(tokens)))
        if code != 0:
            sys.exit(f"llama_cpp.py: llama_decode returned {code}")
        value = self.library.llama_get_logits_ith(self.context, -1)[0]  # waits until they are there
        if value != value:
            sys.exit("llama_cpp.py: logits are no numbers")

    def run(self, prompt, fresh):
        """(seconds of the prompt, seconds of each further token)"""
        self.library.llama_memory_clear(self.library.llama_get_memory(self.context), True)
        tokens = [random.randrange(3, 30000) for _ in range(prompt + fresh)]
        begin = time.perf_counter()
        self.decode(tokens[:prompt])
        times = [time.perf_counter()]
        for token in tokens[prompt:prompt + fresh - 1]:
            self.decode([token])
            times.append(time.perf_counter())
        return times[0] - begin, [after - before for before, after in zip(times, times[1:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--variant", help="a build for one kind of CPU (zen4, sapphirerapids ...), not the one it chooses")
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=1024)
    args = parser.parse_args()
    peer = Peer(args)
    peer.run(8, 3)
    system = peer.library.llama_print_system_info().decode()
    print(json.dumps({"load_seconds": peer.load_seconds, "system": system}), flush=True)
    for line in sys.stdin:
        prompt, fresh, batch = map(int, line.split())
        if batch != 1:
            sys.exit("llama_cpp.py: one sequence only")
        first, gaps = peer.run(prompt, fresh)
        answer = {"first_token_seconds": first}
        if gaps:
            answer["decode_tokens_per_second"] = len(gaps) / sum(gaps)
            answer["token_seconds"] = {"p50": statistics.median(gaps)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
