#!/usr/bin/env python3
"""The same child as onnxruntime_run.mjs, for machines with onnxruntime's Python package: THREADS."""

import json
import sys
import time

import numpy
import onnxruntime


def open_session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[1]), 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main():
    sessions, tensors = {}, {}

    def run(model, inputs, outputs=None):
        if model not in sessions:
            sessions[model] = open_session(model)
        for file, kind, extents in inputs.values():
            if file not in tensors:
                tensors[file] = numpy.fromfile(file, dtype=kind).reshape(extents)
        feeds = {name: tensors[entry[0]] for name, entry in inputs.items()}
        names = [output.name for output in sessions[model].get_outputs()]
        begin = time.perf_counter()
        results = dict(zip(names, sessions[model].run(names, feeds)))
        seconds = time.perf_counter() - begin
        for name, file in (outputs or {}).items():
            results[name].tofile(file)
        return {"seconds": seconds}

    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
