"""The ONNX graphs of Segment Anything's picture encoder (ViT-B) and of its decoder for one prompt, over a checkpoint's bytes.

What an export of Meta's code gives, with norms and GELU as the one node that onnxruntime has for them. Relative positions are
products with a broadcast operand in place of Einsum, and the mask prompt, which a click does not have, is left out: both make
the graph faster. Masks stay at 256 x 256, as in a plan's stage.
"""

import math

import onnx_file as onnx

DIM, HEADS, FFN, WIDTH, CROSS, GRID, WINDOW, MASKS = 768, 12, 3072, 256, 128, 64, 14, 4
DECODER_HEADS = 8
CLICK_TOKENS = 1 + MASKS + 2  # a click and its padding


class Graph:
    """Nodes over the weights of `places` (name -> extents, offset, bytes), used or not."""

    def __init__(self, places):
        self.places, self.nodes, self.constants, self.used = places, [], {}, set()

    def op(self, kind, *inputs, domain="", outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.used.update(name for name in inputs if name in self.places)
        self.nodes.append(onnx.node(kind, inputs, names, domain, **attributes))
        return names[0] if outputs == 1 else names

    def whole(self, *values, scalar=False):
        name = "i" + "_".join(map(str, values)) + ("s" if scalar else "")
        self.constants[name] = onnx.int64s(name, values, scalar)
        return name

    def floats(self, extents, values):
        name = f"f{len(self.constants)}"
        self.constants[name] = onnx.floats(name, extents, values)
        return name

    def reshape(self, x, *extents):
        return self.op("Reshape", x, self.whole(*extents))

    def transpose(self, x, *order):
        return self.op("Transpose", x, perm=order)

    def product(self, x, name):
        """x W^T + bias; the transposed weight is a constant to onnxruntime."""
        y = self.op("MatMul", x, self.transpose(name + ".weight", 1, 0))
        return self.op("Add", y, name + ".bias")

    def norm(self, x, name, epsilon):
        return self.op("LayerNormalization", x, name + ".weight", name + ".bias", axis=-1, epsilon=epsilon)

    def picture_norm(self, x, name):
        """Over the channels of [1, channels, height, width]."""
        x = self.norm(self.transpose(x, 0, 2, 3, 1), name, 1e-6)
        return self.transpose(x, 0, 3, 1, 2)

    def write(self, path, inputs, outputs):
        """outputs: {name: (value, extents)}"""
        nodes = self.nodes + [onnx.node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        weights = [onnx.external(name, self.places[name][0], "model.safetensors", *self.places[name][1:])
                   for name in sorted(self.used)]
        onnx.write_model(path, nodes, weights + list(self.constants.values()), inputs,
                         [onnx.value_info(name, onnx.FLOAT, extents) for name, (_, extents) in outputs.items()])


def relative_table(g, name, side):
    """[side, head_dim, side]: of each query's row (or column) the table's rows for all keys, transposed."""
    offsets = [q - k + side - 1 for q in range(side) for k in range(side)]
    rows = g.op("Gather", name, g.reshape(g.whole(*offsets), side, side), axis=0)
    return g.transpose(rows, 0, 2, 1)


def picture_attention(g, x, name, side):
    """x [windows, side, side, DIM] -> the same"""
    head, cells = DIM // HEADS, side * side
    qkv = g.reshape(g.product(x, name + ".qkv"), -1, cells, 3, HEADS, head)
    qkv = g.reshape(g.transpose(qkv, 2, 0, 3, 1, 4), 3, -1, cells, head)
    q, k, v = (g.op("Squeeze", part, g.whole(0)) for part in g.op("Split", qkv, outputs=3, axis=0))
    scaled = g.op("Mul", q, g.floats([], [head ** -0.5]))
    scores = g.op("MatMul", scaled, g.transpose(k, 0, 2, 1))
    places = g.reshape(q, -1, side, side, head)
    by_row = g.op("MatMul", places, relative_table(g, name + ".rel_pos_h", side))
    by_column = g.op("MatMul", g.transpose(places, 0, 2, 1, 3), relative_table(g, name + ".rel_pos_w", side))
    scores = g.op("Add", g.reshape(scores, -1, side, side, side, side), g.op("Unsqueeze", by_row, g.whole(4)))
    scores = g.op("Add", scores, g.op("Unsqueeze", g.transpose(by_column, 0, 2, 1, 3), g.whole(3)))
    weights = g.op("Softmax", g.reshape(scores, -1, cells, cells), axis=-1)
    seen = g.reshape(g.op("MatMul", weights, v), -1, HEADS, side, side, head)
    seen = g.reshape(g.transpose(seen, 0, 2, 3, 1, 4), -1, side, side, DIM)
    return g.product(seen, name + ".proj")


def windowed_attention(g, x, name, window):
    across = -(-GRID // window)
    padded = across * window
    x = g.op("Pad", x, g.whole(0, 0, 0, 0, 0, padded - GRID, padded - GRID, 0))
    x = g.transpose(g.reshape(x, 1, across, window, across, window, DIM), 0, 1, 3, 2, 4, 5)
    x = picture_attention(g, g.reshape(x, -1, window, window, DIM), name, window)
    x = g.transpose(g.reshape(x, 1, across, across, window, window, DIM), 0, 1, 3, 2, 4, 5)
    return g.op("Slice", g.reshape(x, 1, padded, padded, DIM), g.whole(0, 0), g.whole(GRID, GRID), g.whole(1, 2))


def write_encoder(path, places, windows):
    """windows: the side of each block's windows, 0 for attention over the whole picture"""
    g, root = Graph(places), "image_encoder."
    side = GRID * 16
    x = g.op("Conv", "pixels", root + "patch_embed.proj.weight", root + "patch_embed.proj.bias", strides=[16, 16])
    x = g.op("Add", g.transpose(x, 0, 2, 3, 1), root + "pos_embed")
    for i, window in enumerate(windows):
        block = f"{root}blocks.{i}."
        normed = g.norm(x, block + "norm1", 1e-6)
        seen = windowed_attention(g, normed, block + "attn", window) if window else \
            picture_attention(g, normed, block + "attn", GRID)
        x = g.op("Add", x, seen)
        inner = g.op("MatMul", g.norm(x, block + "norm2", 1e-6), g.transpose(block + "mlp.lin1.weight", 1, 0))
        inner = g.op("BiasGelu", inner, block + "mlp.lin1.bias", domain="com.microsoft")
        x = g.op("Add", x, g.product(inner, block + "mlp.lin2"))
    x = g.op("Conv", g.transpose(x, 0, 3, 1, 2), root + "neck.0.weight")
    x = g.op("Conv", g.picture_norm(x, root + "neck.1"), root + "neck.2.weight", pads=[1, 1, 1, 1])
    x = g.picture_norm(x, root + "neck.3")
    g.write(path, [onnx.value_info("pixels", onnx.FLOAT, [1, 3, side, side])], {"embedding": (x, [1, WIDTH, GRID, GRID])})


def features(g, places):
    """places [..., 2] in [0, 1] -> [..., WIDTH]"""
    centred = g.op("Sub", g.op("Mul", places, g.floats([], [2.0])), g.floats([], [1.0]))
    phases = g.op("MatMul", centred, "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")
    phases = g.op("Mul", phases, g.floats([], [2 * math.pi]))
    return g.op("Concat", g.op("Sin", phases), g.op("Cos", phases), axis=-1)


def attend(g, name, q, k, v, inside, queries, keys):
    head = inside // DECODER_HEADS

    def heads(x, part, rows):
        return g.transpose(g.reshape(g.product(x, f"{name}.{part}_proj"), 1, rows, DECODER_HEADS, head), 0, 2, 1, 3)

    scores = g.op("MatMul", heads(q, "q", queries), g.transpose(heads(k, "k", keys), 0, 1, 3, 2))
    weights = g.op("Softmax", g.op("Div", scores, g.floats([], [head ** 0.5])), axis=-1)
    seen = g.transpose(g.op("MatMul", weights, heads(v, "v", keys)), 0, 2, 1, 3)
    return g.product(g.reshape(seen, 1, queries, inside), name + ".out_proj")


def transform(g, tokens, picture, positions):
    """The two-way transformer: tokens [1, CLICK_TOKENS, WIDTH], picture [1, cells, WIDTH]."""
    root, cells, original = "mask_decoder.transformer.", GRID * GRID, tokens
    placed = g.op("Add", picture, positions)
    for i in range(2):
        layer = f"{root}layers.{i}."
        q = tokens if i == 0 else g.op("Add", tokens, original)
        seen = attend(g, layer + "self_attn", q, q, tokens, WIDTH, CLICK_TOKENS, CLICK_TOKENS)
        tokens = g.norm(seen if i == 0 else g.op("Add", tokens, seen), layer + "norm1", 1e-5)
        seen = attend(g, layer + "cross_attn_token_to_image", g.op("Add", tokens, original), placed, picture, CROSS,
                      CLICK_TOKENS, cells)
        tokens = g.norm(g.op("Add", tokens, seen), layer + "norm2", 1e-5)
        inner = g.product(g.op("Relu", g.product(tokens, layer + "mlp.lin1")), layer + "mlp.lin2")
        tokens = g.norm(g.op("Add", tokens, inner), layer + "norm3", 1e-5)
        seen = attend(g, layer + "cross_attn_image_to_token", placed, g.op("Add", tokens, original), tokens, CROSS, cells,
                      CLICK_TOKENS)
        picture = g.norm(g.op("Add", picture, seen), layer + "norm4", 1e-5)
        placed = g.op("Add", picture, positions)
    seen = attend(g, root + "final_attn_token_to_image", g.op("Add", tokens, original), placed, picture, CROSS, CLICK_TOKENS,
                  cells)
    return g.norm(g.op("Add", tokens, seen), root + "norm_final_attn", 1e-5), picture


def perceptron(g, tokens, index, name):
    x = g.reshape(g.op("Gather", tokens, g.whole(index), axis=1), 1, WIDTH)
    for i in range(3):
        x = g.op("Gemm", x, f"{name}.layers.{i}.weight", f"{name}.layers.{i}.bias", transB=1)
        x = g.op("Relu", x) if i < 2 else x
    return x


def write_decoder(path, places):
    g, cells, root = Graph(places), GRID * GRID, "mask_decoder."
    prompt = "prompt_encoder."
    # In the order of a plan's labels: padding, background, foreground, corners of a box.
    table = g.op("Concat", prompt + "not_a_point_embed.weight",
                 *(f"{prompt}point_embeddings.{i}.weight" for i in range(4)), axis=0)
    kept = g.op("Gather", g.floats([5, 1], [0, 1, 1, 1, 1]), "labels", axis=0)
    sparse = g.op("Add", g.op("Mul", features(g, "points"), kept), g.op("Gather", table, "labels", axis=0))
    learned = g.op("Concat", root + "iou_token.weight", root + "mask_tokens.weight", axis=0)
    tokens = g.op("Concat", g.op("Unsqueeze", learned, g.whole(0)), sparse, axis=1)
    centres = [(i + 0.5) / GRID for i in range(GRID)]
    positions = features(g, g.floats([1, cells, 2], [c for y in centres for x in centres for c in (x, y)]))
    picture = g.op("Add", "embedding", g.reshape(prompt + "no_mask_embed.weight", 1, WIDTH, 1, 1))
    picture = g.transpose(g.reshape(picture, 1, WIDTH, cells), 0, 2, 1)
    tokens, picture = transform(g, tokens, picture, positions)
    x = g.reshape(g.transpose(picture, 0, 2, 1), 1, WIDTH, GRID, GRID)
    up = root + "output_upscaling."
    x = g.op("ConvTranspose", x, up + "0.weight", up + "0.bias", strides=[2, 2])
    x = g.op("Gelu", g.picture_norm(x, up + "1"), domain="com.microsoft")
    x = g.op("ConvTranspose", x, up + "3.weight", up + "3.bias", strides=[2, 2])
    x = g.reshape(g.op("Gelu", x, domain="com.microsoft"), 1, WIDTH // 8, 16 * cells)
    rows = [perceptron(g, tokens, 1 + i, f"{root}output_hypernetworks_mlps.{i}") for i in range(MASKS)]
    masks = g.op("MatMul", g.reshape(g.op("Concat", *rows, axis=0), 1, MASKS, WIDTH // 8), x)
    iou = perceptron(g, tokens, 0, root + "iou_prediction_head")
    g.write(path, [onnx.value_info("embedding", onnx.FLOAT, [1, WIDTH, GRID, GRID]),
                   onnx.value_info("points", onnx.FLOAT, [1, 2, 2]), onnx.value_info("labels", onnx.INT64, [1, 2])],
            {"masks": (g.reshape(masks, 1, MASKS, 4 * GRID, 4 * GRID), [1, MASKS, 4 * GRID, 4 * GRID]),
             "iou": (iou, [1, MASKS])})
