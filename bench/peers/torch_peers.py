"""What PyTorch offers for each op of bench/kernels: candidates that do the same work on operands of the same sizes.

make_peers(case) -> ({name: work}, calls), where work() makes `calls` calls in turns over operands that are in no cache. A candidate that
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


def peers_of(functions, turns, bytes_a_call):
    """({name: work}, calls): work() makes so many calls over the operands in turns."""
    calls = calls_of(len(turns), bytes_a_call)

    def in_turns(function):
        def work():
            for index in range(calls):
                function(*turns[index % len(turns)])

        return work

    return {name: in_turns(function) for name, function in functions.items()}, calls


def both(function):
    return {"eager": function, "torch.compile": compiled(function)}


# The functions take everything as arguments, so that torch.compile sees the same one in every case.
def product(x, weight, bias, residual, gelu, y_type):
    y = F.linear(x, weight, bias)
    if gelu:
        y = F.gelu(y, approximate="tanh")
    return y.to(y_type) if residual is None else residual + y


def plain_product(x, weight, bias, residual, gelu, y_type):
    return F.linear(x, weight, bias)


def linear_peers(case):
    m, n, k, dtype = case["m"], case["n"], case["k"], case["dtype"]
    x = randn(m, k, dtype=dtype)
    # PyTorch wants a bias in the type of x.
    bias = randn(n, dtype=dtype) if "bias" in case else None
    residual = randn(m, n, dtype=case["residual"]) if "residual" in case else None
    y_type, gelu = DTYPES[case.get("y", dtype)], case.get("activation") == "gelu_tanh"
    weight_bytes = n * k * x.element_size()
    turns = [(x, randn(n, k, dtype=dtype, scale=k**-0.5), bias, residual, gelu, y_type)
             for _ in range(turns_of(weight_bytes))]
    plain = not gelu and residual is None and y_type == x.dtype
    return peers_of({"F.linear": plain_product} if plain else both(product), turns, weight_bytes)


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


def rms_norm(x, residual, weight, bias, y_type):
    x = x if residual is None else x + residual
    return F.rms_norm(x, weight.shape, weight, 1e-6).to(y_type), x


def layer_norm(x, residual, weight, bias, y_type):
    x = x if residual is None else x + residual
    return F.layer_norm(x, weight.shape, weight, bias, 1e-5).to(y_type), x


def norm_peers(case):
    rows, columns, x_type = case["rows"], case["columns"], case.get("x", "f32")
    weight, bias, residual_type = randn(columns), randn(columns), case.get("residual")
    element = DTYPES[x_type].itemsize
    total = rows * columns * (element * (3 if residual_type else 1) + DTYPES[case["dtype"]].itemsize)
    turns = [(randn(rows, columns, dtype=x_type), randn(rows, columns, dtype=residual_type) if residual_type else None,
              weight, bias, DTYPES[case["dtype"]]) for _ in range(turns_of(total))]
    return peers_of(both(rms_norm if case["op"] == "rms_norm" else layer_norm), turns, total)


def glu(x):
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


def glu_peers(case):
    rows, columns, dtype = case["rows"], case["columns"], case["dtype"]
    total = 3 * rows * columns * DTYPES[dtype].itemsize
    turns = [(randn(rows, 2 * columns, dtype=dtype),) for _ in range(turns_of(total))]
    return peers_of(both(glu), turns, total)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def rope_and_append(qkv, keys, values, cos, sin, positions, heads):
    """qkv [seqs, tokens, heads + 2 kv_heads, dim]; keys, values [seqs, length, kv_heads, dim]."""
    kv_heads = keys.shape[2]
    q, k, v = qkv.split((heads, kv_heads, kv_heads), 2)
    keys.index_copy_(1, positions, rotate(k, cos, sin))
    values.index_copy_(1, positions, v)
    return rotate(q, cos, sin)


def rope_peers(case):
    seqs, tokens, before = case["seqs"], case["tokens"], case["before"]
    heads, kv_heads, dim, dtype = case["heads"], case["kv_heads"], case["head_dim"], case["dtype"]
    positions = torch.arange(before, before + tokens, device="cuda")
    angles = positions[:, None] * randn(dim // 2).abs() * 0.01
    cos, sin = (torch.cat((t, t), -1).to(DTYPES[dtype])[:, None, :] for t in (angles.cos(), angles.sin()))
    element = DTYPES[dtype].itemsize
    total = 2 * seqs * tokens * (heads + 2 * kv_heads) * dim * element
    cache = 2 * seqs * (before + tokens) * kv_heads * dim * element
    turns = [(randn(seqs, tokens, heads + 2 * kv_heads, dim, dtype=dtype),
              *(randn(seqs, before + tokens, kv_heads, dim, dtype=dtype) for _ in range(2)), cos, sin, positions, heads)
             for _ in range(turns_of(total + cache))]
    return peers_of(both(rope_and_append), turns, total)


def logprob_of(logits, ids):
    return torch.log_softmax(logits, -1).gather(1, ids)


def draw_greedily(logits, temperature, top_k, top_p):
    ids = logits.argmax(-1, keepdim=True)
    return ids, logprob_of(logits, ids)


def draw(logits, temperature, top_k, top_p):
    """As transformers' logits processors do it: sort, cut, draw."""
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


def sample_peers(case):
    rows, vocab, temperature = case["rows"], case["vocab"], case.get("temperature", 0)
    total = rows * vocab * 4
    turns = [(randn(rows, vocab, scale=4.0), temperature, case.get("top_k", 0), case.get("top_p", 1))
             for _ in range(turns_of(total))]
    return peers_of(both(draw if temperature > 0 else draw_greedily), turns, total)


MAKERS = {"linear": linear_peers, "paged_attention": attention_peers, "rms_norm": norm_peers, "layer_norm": norm_peers,
          "glu": glu_peers, "rope_kv_append": rope_peers, "sample": sample_peers}


def make_peers(case):
    """({name: work}, calls): work() makes `calls` calls of the case."""
    return MAKERS[case["op"]](case)
