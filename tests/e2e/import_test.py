"""Checkpoints in other layouts give the text of the miniatures they were made from."""
import json
import os
import struct
import zipfile

from checkpoints import Tensor, copy_without_weights, from_rows, weights_of, write_safetensors, write_torch
from tenon_case import TenonCase, main, miniature

PROMPTS = ["It was a", "Zoë went to the", "The baker"]


class Import(TenonCase):
    def texts(self, plan):
        prompts = self.write("prompts.txt", "\n".join(PROMPTS) + "\n")
        return self.tenon("run", plan, "--prompts", prompts, "--greedy", "--max-new-tokens", "24").stdout

    def wanted(self, name):
        return self.texts(self.build(miniature(name), "--no-gate", name="wanted.plan"))

    def test_pytorch_model_bin(self):
        for name in ("llama", "gpt2"):
            folder = copy_without_weights(name, self.path(name))
            write_torch(os.path.join(folder, "pytorch_model.bin"), weights_of(name))
            self.assertEqual(self.texts(self.build(folder)), self.wanted(name))

    def test_shards_and_a_state_dict_inside(self):
        folder = copy_without_weights("llama", self.path("llama"))
        weights = weights_of("llama")
        names = sorted(weights)
        shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
        for shard, own in shards.items():
            write_torch(os.path.join(folder, shard), {n: weights[n] for n in own}, under=["state_dict"])
        with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w", encoding="utf-8") as file:
            json.dump({"weight_map": {n: shard for shard, own in shards.items() for n in own}}, file)
        self.assertEqual(self.texts(self.build(folder, "--no-gate")), self.wanted("llama"))

    def meta_folder(self, ranks):
        """The llama miniature as Meta would have published it."""
        with open(os.path.join(miniature("llama"), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        head_dim = config["hidden_size"] // heads
        names = {"self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
                 "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
                 "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm",
                 "post_attention_layernorm": "ffn_norm", "model.embed_tokens": "tok_embeddings", "lm_head": "output"}
        by_columns = ("attention.wo", "feed_forward.w2", "tok_embeddings")
        shards = [{} for _ in range(ranks)]
        for name, tensor in weights_of("llama").items():
            for old, new in names.items():
                name = name.replace(old, new)
            name = name.removeprefix("model.")
            if len(tensor.shape) == 1:
                for shard in shards:
                    shard[name] = tensor
                continue
            rows = tensor.rows()
            count = {"attention.wq": heads, "attention.wk": kv_heads}.get(name.removesuffix(".weight")[-12:], 0)
            if count:  # rotate-half rows back to interleaved ones
                half = head_dim // 2
                order = [h * head_dim + part * half + pair for h in range(count) for pair in range(half)
                         for part in range(2)]
                rows = [rows[i] for i in order]
            for rank, shard in enumerate(shards):
                if any(part in name for part in by_columns):
                    size = len(rows[0]) // ranks
                    own = [row[rank * size:(rank + 1) * size] for row in rows]
                else:
                    own = rows[rank * len(rows) // ranks:(rank + 1) * len(rows) // ranks]
                shard[name] = from_rows(tensor.dtype, own)
        folder = copy_without_weights("llama", self.path(f"meta{ranks}"))
        os.remove(os.path.join(folder, "config.json"))
        for rank, shard in enumerate(shards):
            write_torch(os.path.join(folder, f"consolidated.{rank:02}.pth"), shard)
        params = {"dim": config["hidden_size"], "n_layers": config["num_hidden_layers"], "n_heads": heads,
                  "n_kv_heads": kv_heads, "norm_eps": config["rms_norm_eps"], "vocab_size": -1, "multiple_of": 256}
        with open(os.path.join(folder, "params.json"), "w", encoding="utf-8") as file:
            json.dump(params, file)
        return folder

    def test_meta_shards(self):
        wanted = self.wanted("llama")
        for ranks in (1, 2):
            folder = self.meta_folder(ranks)
            done = self.tenon("build", folder, "-o", "meta.plan", "--max-seq-len", "512")
            self.assertIn("params.json names no context", done.stderr)
            self.assertEqual(self.texts("meta.plan"), wanted)

    def delta(self):
        """The llama miniature as a base of halves, and a delta of the other halves that adds a token."""
        def halved(tensor):
            values = struct.unpack(f"<{len(tensor.data) // 2}H", tensor.data)
            # The exponent of a bf16 less one; numbers too small for that go to the delta whole.
            halves = [bits - 0x80 if bits & 0x7f80 > 0x80 else 0 for bits in values]
            rest = [half if half else bits for half, bits in zip(halves, values)]
            return [Tensor("BF16", tensor.shape, struct.pack(f"<{len(v)}H", *v)) for v in (halves, rest)]

        base, delta = {}, {}
        for name, tensor in weights_of("llama").items():
            base[name], delta[name] = halved(tensor)
            if name in ("model.embed_tokens.weight", "lm_head.weight"):
                base[name] = from_rows("BF16", base[name].rows()[:-1])
                delta[name] = from_rows("BF16", delta[name].rows()[:-1] + tensor.rows()[-1:])
        folders = [copy_without_weights("llama", self.path(name)) for name in ("base", "delta")]
        write_torch(os.path.join(folders[0], "pytorch_model.bin"), base)
        write_safetensors(os.path.join(folders[1], "model.safetensors"), delta)
        return folders

    def test_a_delta_is_added_to_its_base(self):
        base, delta = self.delta()
        plan = self.build(delta, "--base", base)
        self.assertEqual(self.texts(plan), self.wanted("llama"))
        self.assertNotEqual(self.texts(self.build(delta, "--no-gate", name="alone.plan")), self.texts(plan))

    def test_a_delta_refuses_another_base(self):
        _, delta = self.delta()
        error = self.json("build", delta, "--base", miniature("gpt2"), "-o", "x.plan", code=3)["error"]
        self.assertIn("the base is another model", error["message"])
        self.assertEqual(self.left(), ["base", "delta"])

    def test_hostile_archives_write_and_start_nothing(self):
        folder = copy_without_weights("llama", self.path("hostile"))
        with zipfile.ZipFile(os.path.join(folder, "pytorch_model.bin"), "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n(X\x0b\0\0\0touch pwnedtR.")
        for arguments in (["build", folder, "-o", "x.plan"], ["inspect", folder]):
            done = self.tenon(*arguments, code=3)
            self.assertIn("os.system", done.stdout + done.stderr)
            self.assertIn("nothing was run", done.stdout + done.stderr)
        self.assertEqual(self.left(), ["hostile"])


if __name__ == "__main__":
    main()
