"""Schemes whose scores read a table with the query or the key: Shaw, XLNet, Conformer, DeBERTa."""

import contextlib

import numpy as np
import torch
from common import cat, encoding, golden, heads, hf, noise, run


def rows(x, h):
    """A projected table [1 or nothing, P, H*D] as [P, H, D]."""
    x = x.reshape(x.shape[-2], h, -1)
    return x.contiguous()


# ----------------------------------------------------------------------------------------------------------- speech


def shaw():
    from transformers import Wav2Vec2BertConfig
    from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import Wav2Vec2BertSelfAttention

    for name, b, h, d, n, left, right in (("wav2vec2_bert", 2, 2, 20, 37, 16, 5), ("wav2vec2_bert_wide", 1, 2, 40, 37, 64, 8)):
        config = Wav2Vec2BertConfig(hidden_size=h * d, num_attention_heads=h, position_embeddings_type="relative_key",
                                    left_max_position_embeddings=left, right_max_position_embeddings=right)
        config._attn_implementation = "eager"
        x = noise(100, b, n, h * d)
        names = ("linear_q", "linear_k", "linear_v")

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = Wav2Vec2BertSelfAttention(config)

        r = run(Layer, lambda m: m.attention(x.to(m.attention.linear_q.weight.dtype)), ["attention." + p for p in names],
                ["attention.linear_out"], gain=1.3)
        q, k, v = (heads(r.pins["attention." + p][0], h) for p in names)
        out = "attention.linear_out"
        golden(name, hf("Wav2Vec2BertSelfAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
               encoding("shaw", left=left, right=right, keys="@keys"), {"causal": False, "scale": d**-0.5},
               {"keys": r.model32.attention.distance_embedding.weight})


def conformer():
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
        Wav2Vec2ConformerRelPositionalEmbedding, Wav2Vec2ConformerSelfAttention)

    for name, b, h, d, n in (("conformer", 1, 2, 24, 37), ("conformer_batch", 2, 3, 20, 13)):
        config = Wav2Vec2ConformerConfig(hidden_size=h * d, num_attention_heads=h, position_embeddings_type="relative",
                                         max_source_positions=50)
        config._attn_implementation = "eager"
        x = noise(100, b, n, h * d)
        names = ("linear_q", "linear_k", "linear_v", "linear_pos")

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.positions = Wav2Vec2ConformerRelPositionalEmbedding(config)
                self.attention = Wav2Vec2ConformerSelfAttention(config)

        def call(m):
            y = x.to(m.attention.linear_q.weight.dtype)
            m.attention(y, relative_position_embeddings=m.positions(y))

        r = run(Layer, call, ["attention." + p for p in names], ["attention.linear_out"], gain=1.3, gains={"pos_bias": 0.7})
        q, k, v = (heads(r.pins["attention." + p][0], h) for p in names[:3])
        a = r.model32.attention
        golden(name, hf("Wav2Vec2ConformerSelfAttention"), q, k, v, heads(r.single["attention.linear_out"][0], h),
               heads(r.double["attention.linear_out"][0], h),
               encoding("conformer", posBiasU="@posBiasU", posBiasV="@posBiasV", r="@r"), {"causal": False, "scale": d**-0.5},
               {"posBiasU": a.pos_bias_u, "posBiasV": a.pos_bias_v, "r": rows(r.pins["attention.linear_pos"][0], h)},
               "r: linear_pos of the sinusoids, 2T-1 rows from i-j = T-1 down to -(T-1)")


# ------------------------------------------------------------------------------------------------------------ XLNet


def xlnet():
    from transformers import XLNetConfig, XLNetModel

    for name, b, h, d, n, memory, kind, segments in (
        ("xlnet", 1, 2, 24, 37, 0, "bi", True), ("xlnet_memory", 2, 2, 20, 13, 24, "bi", True),
        ("xlnet_uni", 1, 2, 24, 37, 0, "uni", False), ("xlnet_uni_memory", 1, 2, 24, 3, 38, "uni", False),
    ):
        config = XLNetConfig(vocab_size=8, d_model=h * d, n_layer=1, n_head=h, d_inner=16, attn_type=kind, dropout=0)
        x = noise(100, b, n, h * d)
        past = noise(101, memory, b, h * d) if memory else None
        types = torch.tensor([[0] * (n // 3) + [1] * (n - n // 3)] * b) if segments else None

        def call(m):
            more = {"mems": [past.to(m.dtype)], "use_mems": True} if memory else {}
            m(inputs_embeds=x.to(m.dtype), token_type_ids=types, **more)

        r = run(lambda: XLNetModel(config), call, [], [], gain=1.3, einsum=("ibh,hnd->ibnd", "ibnd,hnd->ibh"),
                gains={"r_w_bias": 4.0, "r_r_bias": 4.0, "r_s_bias": 4.0, "seg_embed": 4.0})
        q, k, v, table = (p.permute(1, 2, 0, 3) for p in r.pins["einsum"])
        a = r.model32.layer[0].rel_attn
        options = {"rWBias": "@rWBias", "rRBias": "@rRBias", "r": "@r", "attnType": kind}
        tables = {"rWBias": a.r_w_bias, "rRBias": a.r_r_bias, "r": table[0].permute(1, 0, 2).contiguous()}
        if segments:
            # memories belong to segment 0
            every = torch.cat([torch.zeros(b, memory, dtype=torch.long), types], dim=1)
            options |= {"rSBias": "@rSBias", "segEmbed": "@segEmbed", "segments": "@segments"}
            tables |= {"rSBias": a.r_s_bias, "segEmbed": a.seg_embed, "segments": every.int()}
        single, double = (run["einsum"][0].permute(1, 2, 0, 3) for run in (r.single, r.double))
        golden(name, hf("XLNetRelativeAttention"), q, k, v, single, double, encoding("xlnet", **options),
               {"causal": kind == "uni", "scale": d**-0.5}, tables,
               f"r: projected sinusoids, {'L+S' if kind == 'bi' else 'S+1'} rows, row t at distance i-j = S-t")


# ---------------------------------------------------------------------------------------------------------- DeBERTa


@contextlib.contextmanager
def plain_sqrt(module):
    """The scale of DeBERTa is compiled for float32; the same line in Python follows the run's precision."""
    original = module.scaled_size_sqrt
    module.scaled_size_sqrt = lambda x, n: torch.sqrt(torch.tensor(x.size(-1) * n, dtype=torch.float))
    try:
        yield
    finally:
        module.scaled_size_sqrt = original


def deberta():
    from transformers import DebertaConfig
    from transformers.models.deberta import modeling_deberta

    b, h, d = 1, 2, 20
    for name, n, longest, terms in (("deberta", 37, 16, ["c2p", "p2c"]), ("deberta_short", 13, 24, ["c2p", "p2c"]),
                                    ("deberta_short_rows", 13, 24, ["c2p", "p2c"]), ("deberta_short_rows_p2c", 13, 24, ["p2c"]),
                                    ("deberta_c2p", 37, 16, ["c2p"]), ("deberta_p2c", 37, 16, ["p2c"])):
        config = DebertaConfig(vocab_size=8, hidden_size=h * d, num_attention_heads=h, num_hidden_layers=1, intermediate_size=16,
                               relative_attention=True, max_relative_positions=longest, pos_att_type=terms,
                               hidden_dropout_prob=0, attention_probs_dropout_prob=0)
        x = noise(100, b, n, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = modeling_deberta.DebertaEncoder(config)

        def prepare(m):
            a = m.encoder.layer[0].attention.self
            for p in (a.q_bias, a.v_bias):
                p.copy_(torch.round(p * 4096) / 4096)

        at = "encoder.layer.0.attention."
        names = ["self.in_proj"] + ["self.pos_proj"] * ("c2p" in terms) + ["self.pos_q_proj"] * ("p2c" in terms)

        def call(m):
            y = x.to(m.encoder.rel_embeddings.weight.dtype)
            m.encoder(y, torch.ones(b, n, dtype=torch.long))

        with plain_sqrt(modeling_deberta):
            r = run(Layer, call, [at + p for p in names], [at + "output.dense"], gain=1.3, prepare=prepare, quantum=1 / 4096,
                    gains={"in_proj": 1.8, "pos_proj": 1.8, "pos_q_proj": 1.8})
        own = r.model32.get_submodule(at + "self")
        x3 = heads(r.pins[at + "self.in_proj"][0], h)
        q, k, v = x3.chunk(3, dim=-1)
        q, v = (y + heads(bias[None, None], h) for y, bias in ((q, own.q_bias), (v, own.v_bias)))
        tables, options = {}, {"maxRelativePositions": longest, "posAttType": terms}
        for part, projection, key in (("c2p", "pos_proj", "posKey"), ("p2c", "pos_q_proj", "posQuery")):
            if part in terms:
                span = min(n, longest)
                options[key] = "@" + key
                own_rows = r.pins[at + "self." + projection][0].reshape(2 * span, -1)
                if "rows" in name:  # what the module projects, and no more
                    tables[key] = rows(own_rows, h)
                    continue
                whole = own.get_submodule(projection)(r.model32.encoder.rel_embeddings.weight)
                whole = whole[-2 * longest :] if whole.dim() == 2 else whole[0]
                whole[longest - span : longest + span] = own_rows
                tables[key] = rows(whole, h)
        out = at + "output.dense"
        golden(name, hf("deberta DisentangledSelfAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
               encoding("deberta", **options), {"causal": False, "scale": (d * (1 + len(terms))) ** -0.5}, tables,
               ("posKey, posQuery: the 2L rows that the module projects, row i-j + L; " if "rows" in name else
                "posKey, posQuery: projected tables, row i-j + maxRelativePositions; ") + "q and v include q_bias and v_bias")


def deberta_v2():
    from transformers import DebertaV2Config
    from transformers.models.deberta_v2 import modeling_deberta_v2

    h, d = 2, 20
    for name, b, n, buckets, longest, terms, shared in (
        ("deberta_v2", 1, 65, 16, 48, ["p2c", "c2p"], True), ("deberta_v2_own", 2, 37, 8, 24, ["p2c", "c2p"], False),
        ("deberta_v2_plain", 1, 37, -1, 24, ["p2c", "c2p"], True),
    ):
        config = DebertaV2Config(vocab_size=8, hidden_size=h * d, num_attention_heads=h, num_hidden_layers=1, intermediate_size=16,
                                 relative_attention=True, position_buckets=buckets, max_relative_positions=longest,
                                 pos_att_type=terms, share_att_key=shared, norm_rel_ebd="layer_norm",
                                 hidden_dropout_prob=0, attention_probs_dropout_prob=0)
        x = noise(100, b, n, h * d)
        at = "encoder.layer.0.attention."

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = modeling_deberta_v2.DebertaV2Encoder(config)

        names = ["query_proj", "key_proj", "value_proj"] + ([] if shared else ["pos_key_proj", "pos_query_proj"])

        def call(m):
            y = x.to(m.encoder.rel_embeddings.weight.dtype)
            m.encoder(y, torch.ones(b, n, dtype=torch.long))

        with plain_sqrt(modeling_deberta_v2):
            r = run(Layer, call, [at + "self." + p for p in names], [at + "output.dense"], gain=1.3,
                    gains={"query_proj": 1.8, "key_proj": 1.8})
        pins = {p: r.pins[at + "self." + p] for p in names}
        q, k, v = (heads(pins[p][0], h) for p in names[:3])
        table = {"posKey": pins["key_proj"][1] if shared else pins["pos_key_proj"][0],
                 "posQuery": pins["query_proj"][1] if shared else pins["pos_query_proj"][0]}
        out = at + "output.dense"
        golden(name, hf("deberta_v2 DisentangledSelfAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
               encoding("deberta", maxRelativePositions=longest, positionBuckets=buckets, posAttType=terms,
                        posKey="@posKey", posQuery="@posQuery"),
               {"causal": False, "scale": (d * 3) ** -0.5}, {key: rows(y, h) for key, y in table.items()},
               "posKey, posQuery: projected (layer-normed) tables, row bucket(i-j) + span, span = positionBuckets or, "
               "without buckets, maxRelativePositions")


ALL = {f.__name__: f for f in (shaw, conformer, xlnet, deberta, deberta_v2)}
