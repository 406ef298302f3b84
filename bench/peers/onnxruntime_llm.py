#!/usr/bin/env python3
"""The same child as onnxruntime_llm.mjs, for machines with onnxruntime's Python package: MODEL.onnx THREADS."""

import json
import sys
import time

import numpy
import onnxruntime


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[2]), 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

    def run(ids):
        ids = numpy.array([ids], dtype=numpy.int64)
        feeds = {"ids": ids, "positions": numpy.arange(ids.shape[1], dtype=numpy.int64)[None]}
        begin = time.perf_counter()
        logits = session.run(["logits"], feeds)[0]
        return {"seconds": time.perf_counter() - begin, "token": int(logits.argmax())}

    run([1, 2, 3])
    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run([int(word) for word in line.split(",")])), flush=True)


if __name__ == "__main__":
    main()
