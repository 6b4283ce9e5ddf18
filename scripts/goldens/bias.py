"""Biases added to the scores: ALiBi, the T5 buckets and what grew out of them."""

import numpy as np
import torch
from common import decoder, encoding, fused_per_head, fused_thirds, golden, heads, hf, noise, run, seed_weights


def bloom():
    from transformers import BloomConfig, BloomModel

    for name, h, d, full, step in (("bloom", 12, 20, 37, (1, 41)), ("bloom_eight", 8, 24, 13, (3, 41))):
        config = BloomConfig(vocab_size=8, hidden_size=h * d, n_layer=1, n_head=h, attn_implementation="eager")
        decoder(name, hf("BloomAttention"), lambda: BloomModel(config), "h.0.self_attention.", ("query_key_value",), "dense",
                (1, h, h, h * d), encoding("alibi", heads=h), {"causal": True, "scale": d**-0.5}, full, step,
                split=fused_per_head, note="the model adds slope * j, which differs from -slope * (i - j) by a constant of the row")


def mpt():
    from transformers import MptConfig, MptModel

    h, d = 6, 24
    config = MptConfig(vocab_size=8, d_model=h * d, n_layers=1, n_heads=h, expansion_ratio=1, max_seq_len=64,
                       attn_implementation="eager")
    decoder("mpt", hf("MptAttention"), lambda: MptModel(config), "blocks.0.attn.", ("Wqkv",), "out_proj", (1, h, h, h * d),
            encoding("alibi", heads=h), {"causal": True, "scale": d**-0.5}, 37, (3, 41), split=fused_thirds,
            note="transformers ignores attn_config.alibi_bias_max: 8 is always in force")


def t5():
    from transformers import T5Config, T5EncoderModel

    for name, b, h, d, n, buckets, distance in (("t5_encoder", 1, 4, 24, 65, 32, 128), ("t5_encoder_batch", 2, 3, 20, 37, 32, 128),
                                                ("t5_encoder_short", 1, 2, 40, 65, 12, 20)):
        config = T5Config(vocab_size=8, d_model=48, d_kv=d, d_ff=16, num_layers=1, num_heads=h,
                          relative_attention_num_buckets=buckets, relative_attention_max_distance=distance)
        x = noise(100, b, n, 48)
        at = "encoder.block.0.layer.0.SelfAttention."
        r = run(lambda: T5EncoderModel(config), lambda m: m(inputs_embeds=x.to(m.dtype)), [at + p for p in "qkv"], [at + "o"],
                gains={"SelfAttention.q": 0.3})
        q, k, v = (heads(r.pins[at + p][0], h) for p in "qkv")
        golden(name, hf("T5Attention"), q, k, v, heads(r.single[at + "o"][0], h), heads(r.double[at + "o"][0], h),
               encoding("t5", heads=h, buckets=buckets, maxDistance=distance, bidirectional=True, table="@table"),
               {"causal": False, "scale": 1},
               {"table": r.model32.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight})


def t5_decoder():
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Stack

    h, d = 4, 24
    config = T5Config(vocab_size=8, d_model=48, d_kv=d, d_ff=16, num_layers=1, num_heads=h, is_decoder=True,
                      is_encoder_decoder=False, use_cache=True)
    decoder("t5_decoder", hf("T5Attention"), lambda: T5Stack(config), "block.0.layer.0.SelfAttention.",
            ("q", "k", "v"), "o", (1, h, h, 48),
            encoding("t5", heads=h, buckets=32, maxDistance=128, bidirectional=False, table="@table"),
            {"causal": True, "scale": 1}, 65, (3, 41), gains={"SelfAttention.q": 0.3},
            tables=lambda m: {"table": m.block[0].layer[0].SelfAttention.relative_attention_bias.weight})


def falcon():
    from transformers import FalconConfig, FalconModel

    from reference import slopes

    h, d = 8, 20
    config = FalconConfig(vocab_size=8, hidden_size=h * d, num_hidden_layers=1, num_attention_heads=h, alibi=True,
                          multi_query=True, new_decoder_architecture=False, parallel_attn=True, bias=False,
                          attn_implementation="sdpa")

    def split(h, _g):
        def parts(x):
            y = heads(x[0], h + 2)
            return y[:, :h], y[:, h : h + 1], y[:, h + 1 :]

        return parts

    decoder("falcon", hf("FalconAttention"), lambda: FalconModel(config), "h.0.self_attention.", ("query_key_value",), "dense",
            (1, h, 1, h * d), encoding("alibi", heads=h, slopes=[float(m) for m in slopes(h) / d**0.5]),
            {"causal": True, "scale": d**-0.5}, 37, (1, 41), split=split,
            note="sdpa: the slopes are divided by sqrt(D) with q.k. The original rounds slope * j to bfloat16, without effect "
                 "for these slopes and lengths; its eager path in 5.18 adds the bias to the mask a second time")


def mpnet():
    from transformers import MPNetConfig, MPNetModel

    h, d, n, lengths = 3, 20, 65, [65, 41]
    config = MPNetConfig(vocab_size=8, hidden_size=h * d, num_hidden_layers=1, num_attention_heads=h, intermediate_size=16,
                         max_position_embeddings=128)
    x = noise(100, 2, n, h * d)
    keep = torch.arange(n)[None] < torch.tensor(lengths)[:, None]
    at = "encoder.layer.0.attention.attn."
    for name, b, mask in (("mpnet", 1, None), ("mpnet_lengths", 2, keep.long())):
        r = run(lambda: MPNetModel(config), lambda m: m(inputs_embeds=x[:b].to(m.dtype), attention_mask=mask),
                [at + p for p in "qkv"], [at + "o"], gains={"attn.q": 1.5, "attn.k": 1.5})
        q, k, v = (heads(r.pins[at + p][0], h) for p in "qkv")
        attention, tables = {"causal": False, "scale": d**-0.5}, {"table": r.model32.encoder.relative_attention_bias.weight}
        if mask is not None:
            attention["keyLengths"] = "@keyLengths"
            tables["keyLengths"] = np.array(lengths, dtype=np.int32)
        golden(name, hf("MPNetSelfAttention"), q, k, v, heads(r.single[at + "o"][0], h), heads(r.double[at + "o"][0], h),
               encoding("mpnet", heads=h, table="@table"), attention, tables,
               "32 buckets and distance 128 are fixed in the model's code; offsets are of token indices, not position_ids")


def layoutlmv3():
    from transformers import LayoutLMv3Config
    from transformers.models.layoutlmv3.modeling_layoutlmv3 import LayoutLMv3Encoder

    h, d, words, patches, b = 2, 24, 29, 12, 1
    n = words + patches
    config = LayoutLMv3Config(vocab_size=8, hidden_size=h * d, num_hidden_layers=1, num_attention_heads=h, intermediate_size=16,
                              hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    rng = np.random.Generator(np.random.PCG64(5))
    corner = rng.integers(0, 900, (b, words, 2))
    boxes = np.concatenate([corner, corner + rng.integers(10, 90, (b, words, 2))], axis=-1)
    y, x = np.divmod(np.arange(patches), 4)
    grid = np.broadcast_to(np.stack([x * 250, y * 333, x * 250 + 250, y * 333 + 333], axis=-1), (b, patches, 4))
    boxes = np.concatenate([boxes, grid], axis=1)
    where = np.broadcast_to(np.concatenate([np.arange(words), np.arange(patches)]), (b, n))
    states = noise(100, b, n, h * d)
    at, out = "layer.0.attention.self.", "layer.0.attention.output.dense"
    r = run(lambda: LayoutLMv3Encoder(config),
            lambda m: m(states.to(m.rel_pos_bias.weight.dtype), bbox=torch.from_numpy(boxes.copy()), position_ids=torch.from_numpy(where.copy())),
            [at + p for p in ("query", "key", "value")], [out], gains={"rel_pos": 9.0})
    q, k, v = (heads(r.pins[at + p][0], h) for p in ("query", "key", "value"))
    m = r.model32
    golden("layoutlmv3", hf("LayoutLMv3SelfAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
           encoding("layoutLMv3", heads=h, relPosBins=32, maxRelPos=128, rel2dPosBins=64, maxRel2dPos=256, positions="@positions",
                    bbox="@bbox", relPosBias="@relPosBias", relPosXBias="@relPosXBias", relPosYBias="@relPosYBias"),
           {"causal": False, "scale": d**-0.5},
           {"positions": where.astype(np.int32), "bbox": boxes.astype(np.int32), "relPosBias": m.rel_pos_bias.weight.T,
            "relPosXBias": m.rel_pos_x_bias.weight.T, "relPosYBias": m.rel_pos_y_bias.weight.T},
           "the sum of the three biases is multiplied by the scale; x is a box's left (column 0), y its bottom (column 3)")


def cpmant():
    from transformers import CpmAntConfig
    from transformers.models.cpmant.modeling_cpmant import CpmAntAttention, CpmAntSegmentPositionEmbedding

    h, d, n, b = 3, 20, 37, 2
    config = CpmAntConfig(vocab_size=8, hidden_size=48, num_attention_heads=h, dim_head=d, segment_types=4,
                          position_bias_num_buckets=24, position_bias_max_distance=40)
    segments = torch.tensor([[0] * 5 + [2] * 20 + [3] * 12, [2] * 17 + [1] * 20])
    where = torch.arange(n).repeat(b, 1)
    x = noise(100, b, n, 48)
    names = ("project_q", "project_k", "project_v")

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.position_bias = CpmAntSegmentPositionEmbedding(config)
            self.attention = CpmAntAttention(config, layer_idx=0)

    for name, lengths in (("cpmant", None), ("cpmant_empty", [29, 0])):
        keep = torch.ones(b, n, n, dtype=torch.bool)
        if lengths:
            keep = (torch.arange(n)[None, None] < torch.tensor(lengths)[:, None, None]).expand(b, n, n).contiguous()

        def call(m):
            y = x.to(m.attention.project_q.weight.dtype)
            m.attention(y, y, keep, m.position_bias(where, where, segments, segments))

        r = run(Layer, call, ["attention." + p for p in names], ["attention.attention_out"], gains={"relative_attention_bias": 2.0})
        q, k, v = (heads(r.pins["attention." + p][0], h) for p in names)
        attention, tables = {"causal": False, "scale": d**-0.5}, {"table": r.model32.position_bias.relative_attention_bias,
                                                                  "segments": segments.int()}
        if lengths:
            attention["keyLengths"] = "@keyLengths"
            tables["keyLengths"] = np.array(lengths, dtype=np.int32)
        out = "attention.attention_out"
        golden(name, hf("CpmAntAttention"), q, k, v, heads(r.single[out][0], h), heads(r.double[out][0], h),
               encoding("cpmAnt", heads=h, positionBiasNumBuckets=24, positionBiasMaxDistance=40, segmentTypes=4, table="@table",
                        segments="@segments"), attention, tables,
               "a row without visible keys is 0" if lengths else "")


def wavlm():
    from transformers.models.wavlm.modeling_wavlm import WavLMAttention

    h, d, n, b = 2, 20, 37, 2
    for name, buckets, distance in (("wavlm", 320, 800), ("wavlm_short", 20, 30)):
        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = WavLMAttention(h * d, h, num_buckets=buckets, max_distance=distance)
                self.out = torch.nn.Identity()

        # The projections run inside torch's own function and cannot be pinned: inputs and weights with few bits make
        # them exact in float32, and out_proj is the identity.
        x = torch.round(noise(100, b, n, h * d) * 16) / 16

        def call(m):
            a = m.attention
            for p in (a.q_proj, a.k_proj, a.v_proj):
                p.weight.copy_(torch.round(p.weight * 64) / 64)
                p.bias.copy_(torch.round(p.bias * 64) / 64)
            a.out_proj.weight.copy_(torch.eye(h * d))
            a.out_proj.bias.zero_()
            m.out(a(x.to(a.q_proj.weight.dtype))[0])

        r = run(Layer, call, [], ["out"], gain=1.3, gains={"gru_rel_pos_const": 1.0, "gru_rel_pos_linear": 1.5})
        a = r.model32.attention
        q, k, v = (heads(p(x), h) for p in (a.q_proj, a.k_proj, a.v_proj))
        twin = r.model.attention.q_proj(x.double())
        assert (heads(twin, h) == q.double()).all()
        golden(name, hf("WavLMAttention"), q, k, v, heads(r.single["out"][0], h), heads(r.double["out"][0], h),
               encoding("wavlm", heads=h, numBuckets=buckets, maxDistance=distance, table="@table", input="@input",
                        gateWeight="@gateWeight", gateBias="@gateBias", gateConst="@gateConst"),
               {"causal": False, "scale": d**-0.5},
               {"table": a.rel_attn_embed.weight, "input": x, "gateWeight": a.gru_rel_pos_linear.weight,
                "gateBias": a.gru_rel_pos_linear.bias, "gateConst": a.gru_rel_pos_const.reshape(h)},
               "the gate reads the layer's input, not q")


def longt5():
    from transformers import LongT5Config, LongT5EncoderModel

    h, d, n, radius = 3, 24, 37, 7
    config = LongT5Config(vocab_size=8, d_model=48, d_kv=d, d_ff=16, num_layers=1, num_heads=h, local_radius=radius,
                          encoder_attention_type="local", relative_attention_num_buckets=8, relative_attention_max_distance=10)
    x = noise(100, 1, n, 48)
    at = "encoder.block.0.layer.0.LocalSelfAttention."
    r = run(lambda: LongT5EncoderModel(config), lambda m: m(inputs_embeds=x.to(m.dtype)), [at + p for p in "qkv"], [at + "o"],
            gains={"Attention.q": 0.3})
    q, k, v = (heads(r.pins[at + p][0], h) for p in "qkv")
    table = r.model32.get_submodule(at + "relative_attention_bias").weight
    golden("longt5_local", hf("LongT5LocalAttention"), q, k, v, heads(r.single[at + "o"][0], h), heads(r.double[at + "o"][0], h),
           encoding("t5", heads=h, buckets=8, maxDistance=10, bidirectional=True, table="@table"),
           {"causal": False, "scale": 1, "window": {"left": radius, "right": radius}}, {"table": table},
           "local_radius counts keys on each side; the model computes three blocks and masks the rest")


def longt5_global():
    from transformers import LongT5Config, LongT5EncoderModel

    from reference import t5_bucket

    h, d, n, radius, block = 2, 20, 37, 7, 8
    config = LongT5Config(vocab_size=8, d_model=48, d_kv=d, d_ff=16, num_layers=1, num_heads=h, local_radius=radius,
                          global_block_size=block, encoder_attention_type="transient-global", relative_attention_num_buckets=8,
                          relative_attention_max_distance=10)
    x = noise(100, 1, n, 48)
    at = "encoder.block.0.layer.0.TransientGlobalSelfAttention."
    r = run(lambda: LongT5EncoderModel(config), lambda m: m(inputs_embeds=x.to(m.dtype)), [at + p for p in "qkv"], [at + "o"],
            gains={"Attention.q": 0.3})
    q = heads(r.pins[at + "q"][0], h)
    k, v = (torch.cat([heads(y, h) for y in r.pins[at + p]], dim=2) for p in "kv")
    layer = r.model32.get_submodule(at[:-1])
    offset = np.arange(n)[None] - np.arange(n)[:, None]
    near = layer.relative_attention_bias.weight.numpy()[t5_bucket(offset, 8, 10, True)].transpose(2, 0, 1)
    near = np.where(np.abs(offset) <= radius, near, -1e10)[None]
    side = layer.compute_side_bias(torch.ones(1, n), torch.ones(1, n // block, dtype=torch.int)).numpy()
    golden("longt5_global", hf("LongT5TransientGlobalAttention"), q, k, v, heads(r.single[at + "o"][0], h),
           heads(r.double[at + "o"][0], h), encoding("bias") | {"options": "@bias"}, {"causal": False, "scale": 1},
           {"bias": np.concatenate([near, side], axis=-1)},
           "keys: 37 tokens, then 4 global tokens; bias: T5 within local_radius, -1e10 beyond, then the side bias of the global tokens")


def dynamic_position_bias():
    """The network is torch's own, in both precisions; the attention around it is torch's scaled_dot_product_attention."""
    h, d, n, width = 3, 20, 37, 16
    net = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU(),
                              torch.nn.Linear(width, h))
    seed_weights(net, 7, gain=3.0)
    q, k, v = (noise(seed, 1, h, n, d) for seed in (1, 2, 3))
    x = torch.arange(n)[:, None] - torch.arange(n)[None, :]

    def attend(dtype):
        at = x.to(dtype)
        signed = torch.sign(at) * torch.log(at.abs() + 1)
        with torch.no_grad():
            bias = net.to(dtype)(signed[..., None]).permute(2, 0, 1)
            return torch.nn.functional.scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype), attn_mask=bias)

    single, double = attend(torch.float32), attend(torch.float64)
    tables = {f"{part}{m}": getattr(net[2 * m], part).float() for m in range(3) for part in ("weight", "bias")}
    golden("dynamic_position_bias", "torch.nn.Sequential and scaled_dot_product_attention", q, k, v, single, double,
           encoding("dynamicPositionBias", heads=h, logDistance=True,
                    layers=[{"weight": f"@weight{m}", "bias": f"@bias{m}"} for m in range(3)]),
           {"causal": False, "scale": d**-0.5}, tables)


ALL = {f.__name__: f for f in (bloom, mpt, t5, t5_decoder, falcon, mpnet, layoutlmv3, cpmant, wavlm, longt5, longt5_global,
                                      dynamic_position_bias)}
