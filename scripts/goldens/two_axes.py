"""Biases over two axes: Swin, Swin v2, BEiT, LeViT, MaxViT, and the decomposed tables of SAM."""

from functools import partial

import numpy as np
import torch
from common import encoding, fused_per_head, fused_thirds, golden, heads, hf, noise, run

QKV = ("q_proj", "k_proj", "v_proj")


def timm_version(cls):
    import timm

    return f"timm {timm.__version__} {cls}"


def shifted(rows, columns, window, shift):
    """Swin's mask of a shifted image: 0 inside a region, -100 between regions, [windows, 1, N, N]."""
    def region(n):
        i = np.arange(n)
        return (i >= n - window).astype(int) + (i >= n - shift)

    image = region(rows)[:, None] * 3 + region(columns)[None]
    w = image.reshape(rows // window, window, columns // window, window).transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(w[:, :, None] == w[:, None, :], 0.0, -100.0)[:, None].astype(np.float32)


def swin():
    from transformers import SwinConfig
    from transformers.models.swin.modeling_swin import SwinAttention, SwinRelativePositionBias

    h, d = 2, 20
    for name, b, window, mask in (("swin", 1, (7, 7), None), ("swin_rectangle", 2, (3, 5), None),
                                  ("swin_shifted", 4, (4, 4), shifted(8, 8, 4, 2))):
        config = SwinConfig(embed_dim=h * d, attn_implementation="eager")
        n = window[0] * window[1]
        x = noise(100, b, n, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = SwinAttention(config, h * d, h, window[0])
                self.attention.relative_position_bias = SwinRelativePositionBias(h, window)

        def call(m):
            kind = m.attention.q_proj.weight.dtype
            m.attention(x.to(kind), None if mask is None else torch.from_numpy(mask[:, 0]).to(kind))

        r = run(Layer, call, ["attention." + p for p in QKV], ["attention.o_proj"], gain=1.3, gains={"bias_table": 2.0})
        q, k, v = (heads(r.pins["attention." + p][0], h) for p in QKV)
        enc = encoding("swin", windowSize=list(window), table="@table")
        tables = {"table": r.model32.attention.relative_position_bias.relative_position_bias_table}
        if mask is not None:
            enc = [enc, {"name": "bias", "options": "@mask"}]
            tables["mask"] = mask
        out = "attention.o_proj"
        golden(name, hf("SwinAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h), enc,
               {"causal": False, "scale": d**-0.5}, tables,
               "B counts windows; mask: 0 inside a region of the shifted image, -100 between regions" if mask is not None else "")


def swinv2():
    from transformers import Swinv2Config
    from transformers.models.swinv2.modeling_swinv2 import Swinv2SelfAttention

    h, d = 2, 20
    for name, b, window, trained, logit, mask in (
        ("swinv2", 1, (5, 5), (0, 0), (2.3, 2.9), None), ("swinv2_pretrained", 1, (3, 5), (8, 8), (1.5, 2.3), None),
        ("swinv2_clamped", 1, (5, 5), (0, 0), (2.3, 5.0), None), ("swinv2_shifted", 4, (4, 4), (0, 0), (2.3, 2.0), shifted(8, 8, 4, 2)),
    ):
        config = Swinv2Config(embed_dim=h * d)
        n = window[0] * window[1]
        x = noise(100, b, n, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = Swinv2SelfAttention(config, h * d, h, window, trained)
                self.out = torch.nn.Identity()

        def prepare(m):
            m.attention.logit_scale.copy_(torch.tensor(logit).reshape(h, 1, 1))

        def call(m):
            kind = m.attention.query.weight.dtype
            m.out(m.attention(x.to(kind), None if mask is None else torch.from_numpy(mask[:, 0]).to(kind))[0])

        names = ["attention." + p for p in ("query", "key", "value")]
        r = run(Layer, call, names, ["out"], gain=1.3, prepare=prepare)
        q, k, v = (heads(r.pins[p][0], h) for p in names)
        mlp = r.model32.attention.continuous_position_bias_mlp
        enc = encoding("swinV2", windowSize=list(window), pretrainedWindowSize=list(trained), logitScale="@logitScale",
                       weight1="@weight1", bias1="@bias1", weight2="@weight2")
        twin = r.model.attention
        table = 16 * torch.sigmoid(twin.continuous_position_bias_mlp(twin.relative_coords_table).reshape(-1, h))
        tables = {"logitScale": r.model32.attention.logit_scale.reshape(h), "weight1": mlp[0].weight, "bias1": mlp[0].bias,
                  "weight2": mlp[2].weight, "table": table}
        if mask is not None:
            enc = [enc, {"name": "bias", "options": "@mask"}]
            tables["mask"] = mask
        golden(name, hf("Swinv2SelfAttention"), q, k, v, heads(r.single["out"][0], h), heads(r.double["out"][0], h), enc,
               {"causal": False, "scale": 1}, tables,
               "cosine attention: the encoding scales, scale is 1. table: 16*sigmoid(MLP(coordinates)), rounded, for those who "
               "start from it; coordinates divide by log2(8)"
               + ("; transformers adds the shift mask twice, the paper once (both hide the key)" if mask is not None else ""))


def beit():
    from transformers import BeitConfig
    from transformers.models.beit.modeling_beit import BeitAttention, BeitRelativePositionBias

    h, d, side = 2, 20, 6
    config = BeitConfig(hidden_size=h * d, num_attention_heads=h, image_size=side * 4, patch_size=4, attn_implementation="eager")
    x = noise(100, 1, side * side + 1, h * d)

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = BeitRelativePositionBias(config)
            self.attention = BeitAttention(config)

    r = run(Layer, lambda m: m.attention(x.to(m.attention.q_proj.weight.dtype), m.bias((side, side))),
            ["attention." + p for p in QKV], ["attention.o_proj"], gain=1.3, gains={"bias_table": 2.0})
    q, k, v = (heads(r.pins["attention." + p][0], h) for p in QKV)
    out = "attention.o_proj"
    golden("beit", hf("BeitAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
           encoding("beit", windowSize=[side, side], table="@table"), {"causal": False, "scale": d**-0.5},
           {"table": r.model32.bias.relative_position_bias_table},
           "transformers reshapes the table as width x height: right for square windows only; see beit_rectangle")

    from timm.models.beit import Attention

    window = (4, 6)
    y = noise(100, 2, 25, h * d)

    class Timm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attention(h * d, num_heads=h, qkv_bias=False, window_size=window)

    r = run(Timm, lambda m: m.attention(y.to(m.attention.qkv.weight.dtype)), ["attention.qkv"], ["attention.proj"], gain=1.3,
            gains={"bias_table": 2.0})
    q, k, v = fused_thirds(h, h)([r.pins["attention.qkv"][0]])
    golden("beit_rectangle", timm_version("beit.Attention"), q, k, v, heads(r.single["attention.proj"][0], h),
           heads(r.double["attention.proj"][0], h), encoding("beit", windowSize=list(window), table="@table"),
           {"causal": False, "scale": d**-0.5}, {"table": r.model32.attention.relative_position_bias_table})


def levit():
    from transformers.models.levit.modeling_levit import LevitAttention, LevitAttentionSubsample

    h, d, ratio, side, stride = 2, 20, 2, 6, 2
    x = noise(100, 1, side * side, 48)

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = LevitAttention(48, d, h, ratio, side)

    class Sub(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = LevitAttentionSubsample(48, 48, d, h, ratio, stride, side, (side - 1) // stride + 1)

    for name, layer, names in (("levit", Whole, ["queries_keys_values"]), ("levit_subsample", Sub, ["keys_values", "queries"])):
        pins = ["attention." + p for p in names]
        r = run(layer, lambda m: m.attention(x.to(m.attention.attention_biases.dtype)), pins, ["attention.activation"], gain=1.3,
                gains={"attention_biases": 5.0})
        first = heads(r.pins[pins[0]][0], h)
        if layer is Whole:
            q, k, v = first.split([d, d, ratio * d], dim=-1)
            options = {"resolution": side}
        else:
            k, v = first.split([d, ratio * d], dim=-1)
            q = heads(r.pins[pins[1]][0], h)
            options = {"resolution": side, "stride": stride}
        out = "attention.activation"
        golden(name, hf(type(r.model32.attention).__name__), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
               encoding("levit", attentionBiases="@attentionBiases", **options), {"causal": False, "scale": d**-0.5},
               {"attentionBiases": r.model32.attention.attention_biases},
               "before the layer's Hardswish; attentionBiases [H, offsets], numbered as (|dy|, |dx|) first appear, scanning queries, then keys")


def sam():
    from transformers import SamVisionConfig
    from transformers.models.sam.modeling_sam import SamVisionAttention

    h, d = 2, 20
    for name, b, grid, table in (("sam", 1, (6, 6), (6, 6)), ("sam_rectangle", 1, (5, 7), (5, 7)), ("sam_interpolated", 1, (5, 7), (9, 4))):
        config = SamVisionConfig(hidden_size=h * d, num_attention_heads=h, use_rel_pos=True)
        x = noise(100, b, *grid, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = SamVisionAttention(config, window_size=grid[0])
                self.attention.rel_pos_h = torch.nn.Parameter(torch.zeros(2 * table[0] - 1, d))
                self.attention.rel_pos_w = torch.nn.Parameter(torch.zeros(2 * table[1] - 1, d))

        r = run(Layer, lambda m: m.attention(x.to(m.attention.qkv.weight.dtype)), ["attention.qkv"], ["attention.proj"], gain=1.3,
                gains={"rel_pos": 1.5})
        n = grid[0] * grid[1]
        q, k, v = fused_thirds(h, h)([r.pins["attention.qkv"][0].reshape(b, n, -1)])
        single, double = (y["attention.proj"][0].reshape(b, n, -1) for y in (r.single, r.double))
        a = r.model32.attention
        golden(name, hf("SamVisionAttention"), q, k, v, heads(single, h), heads(double, h),
               encoding("decomposed", querySize=list(grid), keySize=list(grid), relPosH="@relPosH", relPosW="@relPosW"),
               {"causal": False, "scale": d**-0.5}, {"relPosH": a.rel_pos_h, "relPosW": a.rel_pos_w},
               "q enters the position terms unscaled; row y_q - y_k + size - 1"
               + ("; tables of another length are resized linearly (half-pixel centres) to 2*size - 1 rows" if table != grid else ""))


def decomposed():
    """MViTv2's case, queries and keys of different sizes, through the functions SAM took from it."""
    from transformers import SamVisionConfig
    from transformers.models.sam.modeling_sam import SamVisionAttention

    h, d = 2, 20
    for name, queries, keys in (("decomposed_pooled_keys", (6, 8), (3, 4)), ("decomposed_pooled_queries", (3, 4), (6, 8))):
        n, m_ = queries[0] * queries[1], keys[0] * keys[1]
        config = SamVisionConfig(hidden_size=h * d, num_attention_heads=h, use_rel_pos=True)
        xq, xk = noise(100, 1, n, h * d), noise(101, 1, m_, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = SamVisionAttention(config, window_size=6)
                a = self.attention
                for axis, key in enumerate(("rel_pos_h", "rel_pos_w")):
                    setattr(a, key, torch.nn.Parameter(torch.zeros(2 * max(queries[axis], keys[axis]) - 1, d)))
                self.q, self.k, self.v = (torch.nn.Linear(h * d, h * d) for _ in range(3))
                self.out = torch.nn.Identity()

            def forward(self):
                kind = self.q.weight.dtype
                q, k, v = heads(self.q(xq.to(kind)), h), heads(self.k(xk.to(kind)), h), heads(self.v(xk.to(kind)), h)
                a = self.attention
                s = (q * a.scale) @ k.transpose(-1, -2)
                s = s + a.get_decomposed_rel_pos(q.reshape(h, n, d), a.rel_pos_h, a.rel_pos_w, queries, keys).reshape(1, h, n, m_)
                self.out((s.softmax(-1) @ v).transpose(1, 2).reshape(1, n, h * d))

        r = run(Layer, lambda m: m(), ["q", "k", "v"], ["out"], gain=1.3, gains={"rel_pos": 1.5})
        q, k, v = (heads(r.pins[p][0], h) for p in "qkv")
        a = r.model32.attention
        golden(name, hf("SamVisionAttention.get_decomposed_rel_pos"), q, k, v, heads(r.single["out"][0], h), heads(r.double["out"][0], h),
               encoding("decomposed", querySize=list(queries), keySize=list(keys), relPosH="@relPosH", relPosW="@relPosW"),
               {"causal": False, "scale": d**-0.5}, {"relPosH": a.rel_pos_h, "relPosW": a.rel_pos_w},
               "coordinates of the smaller side are stretched to the larger; softmax and values are this script's")


def maxvit():
    from timm.layers import RelPosBiasTf
    from timm.models.maxxvit import AttentionCl

    h, d = 2, 24
    for name, b, window in (("maxvit", 1, (6, 6)), ("maxvit_rectangle", 2, (3, 5))):
        x = noise(100, b, *window, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = AttentionCl(h * d, dim_head=d, head_first=True, rel_pos_cls=partial(RelPosBiasTf, window_size=window))

        r = run(Layer, lambda m: m.attention(x.to(m.attention.qkv.weight.dtype)), ["attention.qkv"], ["attention.proj"], gain=1.3,
                gains={"bias_table": 3.0})
        n = window[0] * window[1]
        q, k, v = fused_per_head(h, h)([r.pins["attention.qkv"][0].reshape(b, n, -1)])
        single, double = (y["attention.proj"][0].reshape(b, n, -1) for y in (r.single, r.double))
        golden(name, timm_version("maxxvit.AttentionCl with RelPosBiasTf"), q, k, v, heads(single, h), heads(double, h),
               encoding("maxvit", windowSize=list(window), table="@table"), {"causal": False, "scale": d**-0.5},
               {"table": r.model32.attention.rel_pos.relative_position_bias_table},
               "table [H, 2Wh-1, 2Ww-1], index key minus query: Swin's table turned round on both axes")


def mvitv2():
    """MViTv2 with a class token, queries and keys pooled by its own convolutions."""
    from timm.models.mvitv2 import MultiScaleAttention

    h, d = 2, 20
    for name, side, stride_q, stride_kv in (("mvitv2", 8, 1, 2), ("mvitv2_queries", 8, 2, 1), ("mvitv2_odd", 9, 1, 2)):
        x = noise(100, 2, side * side + 1, h * d)

        def build():
            # the class resets has_cls_token only through its argument; residual pooling adds q to the output, after the attention
            return MultiScaleAttention(h * d, h * d, (side, side), num_heads=h, kernel_q=(3, 3), kernel_kv=(3, 3),
                                       stride_q=(stride_q,) * 2, stride_kv=(stride_kv,) * 2, has_cls_token=True, residual_pooling=False)

        r = run(build, lambda m: m(x.to(m.qkv.weight.dtype), [side, side]), ["norm_q", "norm_k", "norm_v"], ["proj"], gain=1.3,
                gains={"rel_pos": 1.5})
        q, k, v = (r.pins[p][0] for p in ("norm_q", "norm_k", "norm_v"))
        queries, keys = (round((y.shape[2] - 1) ** 0.5) for y in (q, k))
        m = r.model32
        golden(name, timm_version("mvitv2.MultiScaleAttention"), q, k, v, heads(r.single["proj"][0], h), heads(r.double["proj"][0], h),
               encoding("decomposed", querySize=[queries] * 2, keySize=[keys] * 2, prefixTokens=1, relPosH="@relPosH", relPosW="@relPosW"),
               {"causal": False, "scale": d**-0.5}, {"relPosH": m.rel_pos_h, "relPosW": m.rel_pos_w},
               "row 0 is the class token; without residual pooling, which adds q to the output afterwards")


def relposmlp():
    from timm.layers import RelPosMlp
    from timm.models.maxxvit import AttentionCl
    from timm.models.vision_transformer_relpos import RelPosAttention

    h, d = 2, 24
    for name, mode, window, trained, prefix in (("relposmlp", "cr", (3, 5), (0, 0), 0), ("relposmlp_swin", "swin", (5, 5), (0, 0), 0),
                                                ("relposmlp_swin_pretrained", "swin", (3, 5), (8, 8), 0),
                                                ("relposmlp_swin_prefix", "swin", (4, 6), (0, 0), 1)):
        n = window[0] * window[1]
        rel = partial(RelPosMlp, window_size=window, hidden_dim=32, mode=mode, pretrained_window_size=trained, prefix_tokens=prefix)
        x = noise(100, 1, n + prefix, h * d) if prefix else noise(100, 1, *window, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = (RelPosAttention(h * d, num_heads=h, rel_pos_cls=rel) if prefix else
                                  AttentionCl(h * d, dim_head=d, head_first=True, rel_pos_cls=rel))

        r = run(Layer, lambda m: m.attention(x.to(m.attention.qkv.weight.dtype)), ["attention.qkv"], ["attention.proj"], gain=1.3,
                gains={"mlp": 2.0})
        split = fused_thirds if prefix else fused_per_head
        q, k, v = split(h, h)([r.pins["attention.qkv"][0].reshape(1, n + prefix, -1)])
        single, double = (y["attention.proj"][0].reshape(1, n + prefix, -1) for y in (r.single, r.double))
        mlp = r.model32.attention.rel_pos.mlp
        options = {"windowSize": list(window), "weight1": "@weight1", "bias1": "@bias1", "weight2": "@weight2"}
        tables = {"weight1": mlp.fc1.weight, "bias1": mlp.fc1.bias, "weight2": mlp.fc2.weight}
        if mode == "swin":
            options.update(mode="swin", pretrainedWindowSize=list(trained))
        else:
            options["bias2"], tables["bias2"] = "@bias2", mlp.fc2.bias
        if prefix:
            options["prefixTokens"] = prefix
        golden(name, timm_version(f"{type(r.model32.attention).__name__} with RelPosMlp"), q, k, v, heads(single, h), heads(double, h),
               encoding("relPosMlp", **options), {"causal": False, "scale": d**-0.5}, tables)


ALL = {f.__name__: f for f in (swin, swinv2, beit, levit, sam, decomposed, mvitv2, maxvit, relposmlp)}
