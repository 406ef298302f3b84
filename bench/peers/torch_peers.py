"""What PyTorch offers for each op of bench/kernels: candidates that do the same work on operands of the same sizes.

make_peers(case) -> {name: work}, where work() makes `calls` calls in turns over operands that are in no cache. A candidate that
PyTorch cannot run is left out by torch_ops.py, with PyTorch's reason.
"""

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from torch_timing import calls_of, turns_of

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
COMPILED = {}


def compiled(function):
    """torch.compile, once a function: a new shape is compiled anew (no dynamic shapes, which would be slower)."""
    if function not in COMPILED:
        torch._dynamo.config.cache_size_limit = 256
        COMPILED[function] = torch.compile(function, dynamic=False)
    return COMPILED[function]


def randn(*shape, dtype="f32", scale=1.0):
    return (torch.randn(shape, device="cuda", dtype=torch.float32) * scale).to(DTYPES[dtype])


def in_turns(function, turns, calls):
    def work():
        for index in range(calls):
            function(*turns[index % len(turns)])

    return work


def peers_of(functions, turns, bytes_a_call):
    calls = calls_of(len(turns), bytes_a_call)
    return {name: in_turns(function, turns, calls) for name, function in functions.items()}, calls


def linear_peers(case):
    m, n, k, dtype = case["m"], case["n"], case["k"], case["dtype"]
    x = randn(m, k, dtype=dtype)
    # PyTorch wants a bias in the type of x.
    bias = randn(n, dtype=dtype) if "bias" in case else None
    residual = randn(m, n, dtype=case["residual"]) if "residual" in case else None
    y_type = DTYPES[case.get("y", dtype)]
    gelu = case.get("activation") == "gelu_tanh"

    def product(weight):
        y = F.linear(x, weight, bias)
        if gelu:
            y = F.gelu(y, approximate="tanh")
        if residual is not None:
            return residual + y
        return y.to(y_type)

    weight_bytes = n * k * x.element_size()
    turns = [(randn(n, k, dtype=dtype, scale=k**-0.5),) for _ in range(turns_of(weight_bytes))]
    functions = {"F.linear": lambda weight: F.linear(x, weight, bias)}
    if gelu or residual is not None or y_type != x.dtype:
        functions = {"eager": product, "torch.compile": compiled(product)}
    peers, calls = peers_of(functions, turns, weight_bytes)
    return peers, calls


def attention_peers(case):
    seqs, before, tokens = case["seqs"], case["before"], case["tokens"]
    heads, kv_heads, dim, dtype = case["heads"], case["kv_heads"], case["head_dim"], case["dtype"]
    if before > 0 and tokens > 1:
        return {}, 1  # PyTorch's causal flag stands for no cached positions
    length = before + tokens
    q = randn(seqs, heads, tokens, dim, dtype=dtype)
    cache_bytes = 2 * seqs * kv_heads * length * dim * q.element_size()
    turns = [(randn(seqs, kv_heads, length, dim, dtype=dtype), randn(seqs, kv_heads, length, dim, dtype=dtype))
             for _ in range(turns_of(cache_bytes))]

    def with_backend(backend):
        def attend(k, v):
            with sdpa_kernel(backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=tokens > 1, enable_gqa=heads != kv_heads)

        return attend

    functions = {f"sdpa {name}": with_backend(backend) for name, backend in
                 (("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION),
                  ("efficient", SDPBackend.EFFICIENT_ATTENTION))}
    return peers_of(functions, turns, cache_bytes)


def norm_peers(case):
    rows, columns, dtype = case["rows"], case["columns"], DTYPES[case["dtype"]]
    x_type, with_residual = case.get("x", "f32"), "residual" in case
    weight, bias = randn(columns), randn(columns)
    rms = case["op"] == "rms_norm"

    def norm(x):
        y = F.rms_norm(x, (columns,), weight, 1e-6) if rms else F.layer_norm(x, (columns,), weight, bias, 1e-5)
        return y.to(dtype)

    def add_norm(x, residual):
        x = x + residual
        return norm(x), x

    size = rows * columns * 4
    total = size * (3 if with_residual else 1) + size // 2
    operands = 2 if with_residual else 1
    turns = [tuple(randn(rows, columns, dtype=x_type) for _ in range(operands)) for _ in range(turns_of(total))]
    function = add_norm if with_residual else norm
    return peers_of({"eager": function, "torch.compile": compiled(function)}, turns, total)


def glu_peers(case):
    rows, columns, dtype = case["rows"], case["columns"], case["dtype"]

    def glu(x):
        gate, up = x.chunk(2, -1)
        return F.silu(gate) * up

    total = 3 * rows * columns * 2
    turns = [(randn(rows, 2 * columns, dtype=dtype),) for _ in range(turns_of(total))]
    return peers_of({"eager": glu, "torch.compile": compiled(glu)}, turns, total)


def rope_peers(case):
    seqs, tokens, before = case["seqs"], case["tokens"], case["before"]
    heads, kv_heads, dim, dtype = case["heads"], case["kv_heads"], case["head_dim"], case["dtype"]
    angles = torch.arange(before, before + tokens, device="cuda")[:, None] * randn(dim // 2).abs() * 0.01
    cos, sin = (torch.cat((t, t), -1).to(DTYPES[dtype])[:, None, :] for t in (angles.cos(), angles.sin()))
    positions = torch.arange(before, before + tokens, device="cuda")

    def rotate(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat((-b, a), -1) * sin

    def rope(qkv, keys, values):
        q, k, v = qkv.view(seqs, tokens, heads + 2 * kv_heads, dim).split((heads, kv_heads, kv_heads), 2)
        keys.index_copy_(1, positions, rotate(k))
        values.index_copy_(1, positions, v)
        return rotate(q)

    total = 2 * seqs * tokens * (heads + 2 * kv_heads) * dim * 2
    cache = 2 * seqs * (before + tokens) * kv_heads * dim * 2
    turns = [(randn(seqs * tokens, (heads + 2 * kv_heads) * dim, dtype=dtype),
              *(randn(seqs, before + tokens, kv_heads, dim, dtype=dtype) for _ in range(2)))
             for _ in range(turns_of(total + cache))]
    return peers_of({"eager": rope, "torch.compile": compiled(rope)}, turns, total)


def sample_peers(case):
    rows, vocab, temperature = case["rows"], case["vocab"], case.get("temperature", 0)
    top_k, top_p = case.get("top_k", 0), case.get("top_p", 1)

    def logprob_of(logits, ids):
        return torch.log_softmax(logits, -1).gather(1, ids)

    def greedy(logits):
        ids = logits.argmax(-1, keepdim=True)
        return ids, logprob_of(logits, ids)

    # As transformers' logits processors do it: sort, cut, draw.
    def draw(logits):
        scores = logits / temperature
        if top_k:
            least = torch.topk(scores, top_k).values[:, -1:]
            scores = scores.masked_fill(scores < least, float("-inf"))
        if top_p < 1:
            ordered, order = torch.sort(scores)
            cut = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
            scores = scores.masked_fill(cut.scatter(1, order, cut), float("-inf"))
        ids = torch.multinomial(scores.softmax(-1), 1)
        return ids, logprob_of(logits, ids)

    total = rows * vocab * 4
    turns = [(randn(rows, vocab, scale=4.0),) for _ in range(turns_of(total))]
    function = draw if temperature > 0 else greedy
    return peers_of({"eager": function, "torch.compile": compiled(function)}, turns, total)


MAKERS = {"linear": linear_peers, "paged_attention": attention_peers, "rms_norm": norm_peers, "layer_norm": norm_peers,
          "glu": glu_peers, "rope_kv_append": rope_peers, "sample": sample_peers}


def make_peers(case):
    """({name: work}, calls): work() makes `calls` calls of the case."""
    return MAKERS[case["op"]](case)
