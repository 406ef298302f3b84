"""Timing PyTorch on a GPU the way our own kernels are timed: calls recorded once as a CUDA graph, replayed between events."""

import statistics

import torch

WARM_UP, REPEATS = 3, 25
LEAST_CALLS = 32
ROTATED_BYTES = 512 << 20  # as bench/kernels: operands of this size in turns are in no cache


def turns_of(bytes_a_turn):
    return max(2, min(64, ROTATED_BYTES // max(1, bytes_a_turn) + 1))


def calls_of(turns, bytes_a_call):
    return turns if turns >= LEAST_CALLS or bytes_a_call > 1e8 else LEAST_CALLS


def record(work):
    """A CUDA graph of work(), which is called before on the recording stream so that libraries load and choose."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def replay_seconds(graph, repeats=REPEATS, warm_up=WARM_UP):
    """Seconds of each replay."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    samples = []
    for index in range(warm_up + repeats):
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        if index >= warm_up:
            samples.append(begin.elapsed_time(end) * 1e-3)
    return samples


def median(values):
    return statistics.median(values)


def versions():
    found = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name(0)
        found["cudnn"] = torch.backends.cudnn.version()
    try:
        import transformers

        found["transformers"] = transformers.__version__
    except ImportError:
        pass
    return found
