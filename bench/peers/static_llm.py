"""The fastest plain PyTorch form of LLaMA and GPT-2 that we know: static KV cache, layers through torch.compile, a whole step as one
CUDA graph. It shares the weights of a transformers model, and torch_llm.py compares its logits with that model's.

`tuned` also lets inductor search the launch shapes of its kernels (coordinate descent), with which products of one row become kernels
of its own: the best setting known for decoding at batch 1.
"""

import torch
import torch.nn.functional as F

from torch_timing import record


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def attend(q, k, v, keys, values, positions, mask):
    """q [batch, heads, tokens, dim]. With a mask over the whole cache for one token; causal over the fresh ones else."""
    keys.index_copy_(2, positions, k)
    values.index_copy_(2, positions, v)
    grouped = q.shape[1] != k.shape[1]
    if mask is None:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    else:
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=grouped)
    return out.transpose(1, 2).flatten(2)


def llama_layer(x, residual, w, cache, at, sizes):
    """`x` is what the layer before adds to the residual stream: sums and norms then fuse across layers."""
    heads, kv_heads, dim, eps = sizes
    positions, mask, cos, sin = at
    residual = residual + x
    h = F.rms_norm(residual, residual.shape[-1:], w["norm1"], eps)
    batch, tokens = x.shape[:2]
    qkv = F.linear(h, w["qkv"]).view(batch, tokens, heads + 2 * kv_heads, dim).transpose(1, 2)
    q, k, v = qkv.split((heads, kv_heads, kv_heads), 1)
    out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, *cache, positions, mask)
    residual = residual + F.linear(out, w["o"])
    h = F.rms_norm(residual, residual.shape[-1:], w["norm2"], eps)
    gate, up = F.linear(h, w["gate_up"]).chunk(2, -1)
    return F.linear(F.silu(gate) * up, w["down"]), residual


def gpt2_layer(x, residual, w, cache, at, sizes):
    heads, _, dim, eps = sizes
    positions, mask = at[:2]
    residual = residual + x
    width = residual.shape[-1:]
    h = F.layer_norm(residual, width, w["norm1"], w["norm1_bias"], eps)
    batch, tokens = x.shape[:2]
    qkv = F.linear(h, w["qkv"], w["qkv_bias"]).view(batch, tokens, 3 * heads, dim).transpose(1, 2)
    q, k, v = qkv.split(heads, 1)
    out = attend(q, k, v, *cache, positions, mask)
    residual = residual + F.linear(out, w["o"], w["o_bias"])
    h = F.layer_norm(residual, width, w["norm2"], w["norm2_bias"], eps)
    h = F.gelu(F.linear(h, w["fc"], w["fc_bias"]), approximate="tanh")
    return F.linear(h, w["proj"], w["proj_bias"]), residual


def llama_weights(model):
    layers = []
    for layer in model.model.layers:
        a, m = layer.self_attn, layer.mlp
        layers.append({
            "norm1": layer.input_layernorm.weight, "norm2": layer.post_attention_layernorm.weight,
            "qkv": torch.cat((a.q_proj.weight, a.k_proj.weight, a.v_proj.weight)), "o": a.o_proj.weight,
            "gate_up": torch.cat((m.gate_proj.weight, m.up_proj.weight)), "down": m.down_proj.weight})
    return layers


def gpt2_weights(model):
    layers = []
    for layer in model.transformer.h:
        w = {"norm1": layer.ln_1.weight, "norm1_bias": layer.ln_1.bias, "norm2": layer.ln_2.weight,
             "norm2_bias": layer.ln_2.bias}
        for name, module in (("qkv", layer.attn.c_attn), ("o", layer.attn.c_proj), ("fc", layer.mlp.c_fc),
                             ("proj", layer.mlp.c_proj)):
            w |= {name: module.weight.t().contiguous(), name + "_bias": module.bias}
        layers.append(w)
    return layers


def shared_weights(model):
    """Joined once a model: several sizes use them."""
    if not hasattr(model, "static_llm_weights"):
        model.static_llm_weights = (llama_weights if model.config.model_type == "llama" else gpt2_weights)(model)
    return model.static_llm_weights


class StaticLlm:
    def __init__(self, model, batch, length, compile=True, tuned=False):
        config = model.config
        self.batch, self.length = batch, length
        self.is_llama = config.model_type == "llama"
        layer = llama_layer if self.is_llama else gpt2_layer
        self.weights, self.head = shared_weights(model), model.lm_head.weight
        if self.is_llama:
            self.embed = model.model.embed_tokens.weight
            self.final = lambda x: F.rms_norm(x, x.shape[-1:], model.model.norm.weight, config.rms_norm_eps)
            heads, kv_heads, hidden, eps = (config.num_attention_heads, config.num_key_value_heads,
                                            config.hidden_size, config.rms_norm_eps)
        else:
            self.embed, self.wpe = model.transformer.wte.weight, model.transformer.wpe.weight
            norm = model.transformer.ln_f
            self.final = lambda x: F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
            heads = kv_heads = config.n_head
            hidden, eps = config.n_embd, config.layer_norm_epsilon
        self.sizes = (heads, kv_heads, hidden // heads, eps)
        device, dtype = self.head.device, self.head.dtype
        shape = (batch, kv_heads, length, hidden // heads)
        self.caches = [(torch.zeros(shape, device=device, dtype=dtype), torch.zeros(shape, device=device, dtype=dtype))
                       for _ in self.weights]
        self.slots = torch.arange(length, device=device)
        if self.is_llama:
            theta = getattr(config, "rope_theta", None) or config.rope_parameters["rope_theta"]
            dim = hidden // heads
            angles = self.slots[:, None] / theta ** (torch.arange(0, dim, 2, device=device) / dim)
            self.cos, self.sin = (torch.cat((t, t), -1).to(dtype) for t in (angles.cos(), angles.sin()))
        options = {"coordinate_descent_tuning": True} if tuned else None
        self.layer = torch.compile(layer, dynamic=False, options=options) if compile else layer

    def forward(self, ids, positions, last_only=True):
        """ids [batch, tokens], positions [tokens] -> logits [batch, 1 or tokens, vocabulary]."""
        x = F.embedding(ids, self.embed)
        mask = None
        if ids.shape[1] == 1:
            mask = (self.slots <= positions)[None, None, None, :]
        at = (positions, mask)
        if self.is_llama:
            at += (self.cos[positions], self.sin[positions])
        else:
            x = x + self.wpe[positions]
        residual = torch.zeros_like(x)
        for weights, cache in zip(self.weights, self.caches):
            x, residual = self.layer(x, residual, weights, cache, at, self.sizes)
        x = x + residual
        if last_only:
            x = x[:, -1:]
        return F.linear(self.final(x), self.head)

    def record_prefill(self, prompt):
        """A graph that reads prompt [batch, tokens], fills the cache and leaves the next token in `ids`."""
        # Kept: the graph reads it wherever it lies.
        self.prompt_positions = positions = torch.arange(prompt.shape[1], device=prompt.device)
        self.ids = torch.zeros((self.batch, 1), device=prompt.device, dtype=torch.long)
        self.position = torch.full((1,), prompt.shape[1], device=prompt.device)

        def prefill():
            self.ids.copy_(self.forward(prompt, positions)[:, -1:].argmax(-1))
            self.position.fill_(prompt.shape[1])

        return record(prefill)

    def record_step(self):
        """A graph that draws the token after `ids` at `position` greedily, and moves on."""
        def step():
            self.ids.copy_(self.forward(self.ids, self.position)[:, -1:].argmax(-1))
            self.position.add_(1).clamp_(max=self.length - 1)

        return record(step)
