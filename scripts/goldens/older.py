"""Layers that left transformers with version 5: Transformer-XL, and BERT's relative_key and relative_key_query.

Needs the source of transformers 4.57.6 beside the installed version:

    pip install --no-deps --target <folder> transformers==4.57.6
    RELPOS_TRANSFORMERS_4=<folder> python scripts/goldens/make.py transformer_xl bert

Without the variable these goldens are left alone. Single classes are taken out of the source, since the package as a
whole does not run beside the libraries of version 5."""

import ast
import math
import os
from pathlib import Path
from typing import Optional

import torch
from common import encoding, golden, heads, noise, run

FOLDER = os.environ.get("RELPOS_TRANSFORMERS_4")
SOURCE = "transformers 4.57.6 "


def classes(path, names):
    """The named classes of one file, alone."""
    tree = ast.parse((Path(FOLDER) / "transformers" / "models" / path).read_text())
    body = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in names]
    scope = {"torch": torch, "nn": torch.nn, "math": math, "Optional": Optional, "Cache": object, "EncoderDecoderCache": (),
             "deprecate_kwarg": lambda *_, **__: lambda f: f}
    exec(compile(ast.Module(body=body, type_ignores=[]), path, "exec"), scope)
    return [scope[name] for name in names]


def transformer_xl():
    attention, positions = classes("deprecated/transfo_xl/modeling_transfo_xl.py", ["RelPartialLearnableMultiHeadAttn", "PositionalEmbedding"])
    for name, b, h, d, n, memory in (("transformer_xl", 1, 2, 24, 37, 0), ("transformer_xl_memory", 2, 2, 20, 13, 24),
                                     ("transformer_xl_step", 1, 2, 24, 1, 40)):
        x = noise(100, n, b, h * d)
        past = noise(101, memory, b, h * d) if memory else None

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.positions = positions(h * d)
                self.attention = attention(h, h * d, d, 0.0)

        def call(m):
            kind = m.attention.r_net.weight.dtype
            s = n + memory
            mask = torch.triu(torch.ones(n, s, dtype=torch.bool), diagonal=1 + memory)[:, :, None]
            r = m.positions(torch.arange(s - 1, -1, -1.0).to(kind))
            m.attention(x.to(kind), r, attn_mask=mask, mems=past.to(kind) if memory else None)

        r = run(Layer, call, ["attention.qkv_net", "attention.r_net"], ["attention.o_net"], gain=1.3,
                gains={"r_w_bias": 4.0, "r_r_bias": 4.0})
        q, k, v = (heads(y.transpose(0, 1), h) for y in r.pins["attention.qkv_net"][0].chunk(3, dim=-1))
        a = r.model32.attention
        table = r.pins["attention.r_net"][0].reshape(n + memory, h, d)
        single, double = (heads(y["attention.o_net"][0].transpose(0, 1), h) for y in (r.single, r.double))
        golden(name, SOURCE + "RelPartialLearnableMultiHeadAttn", q[:, :, memory:], k, v, single, double,
               encoding("transformerXL", u="@rWBias", v="@rRBias", r="@r"), {"causal": True, "scale": d**-0.5},
               {"rWBias": a.r_w_bias, "rRBias": a.r_r_bias, "r": table}, "r: projected sinusoids, S rows, row t at distance i-j = S-1-t")


def bert():
    (attention,) = classes("bert/modeling_bert.py", ["BertSelfAttention"])
    b, h, d, n, longest = 1, 2, 20, 37, 48

    class Config:
        hidden_size, num_attention_heads, attention_probs_dropout_prob = h * d, h, 0.0
        max_position_embeddings, is_decoder = longest, False

    x = noise(100, b, n, h * d)
    for kind in ("relative_key", "relative_key_query"):
        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = attention(Config, position_embedding_type=kind)
                self.out = torch.nn.Identity()

        names = ["attention." + p for p in ("query", "key", "value")]
        r = run(Layer, lambda m: m.out(m.attention(x.to(m.attention.query.weight.dtype))[0]), names, ["out"], gain=1.3)
        q, k, v = (heads(r.pins[p][0], h) for p in names)
        table = r.model32.attention.distance_embedding.weight
        options = {"left": longest - 1, "right": longest - 1, "keys": "@keys"}
        if kind == "relative_key_query":
            options["queries"] = "@keys"
        golden("bert_" + kind, SOURCE + "BertSelfAttention", q, k, v, heads(r.single["out"][0], h), heads(r.double["out"][0], h),
               encoding("shaw", **options), {"causal": False, "scale": d**-0.5}, {"keys": table.flip(0), "distanceEmbedding": table},
               "the checkpoint's distance_embedding runs over i-j; keys is that table turned round, over j-i. queries: a table read with the key")


ALL = {f.__name__: f for f in (transformer_xl, bert)} if FOLDER else {}
