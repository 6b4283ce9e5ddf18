"""Rotary position embedding: decoders, every rope type, and rotations alone at large positions."""

import json

import numpy as np
import torch
from common import (GOLDEN, apart, decoder, encoding, float64, fused_block, fused_per_head, fused_thirds, golden, heads, hf, noise, run,
                    save)

PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def scaled(d):
    return {"causal": True, "scale": d**-0.5}


# ------------------------------------------------------------------------------------------- plain rotary decoders


def llama():
    from transformers import LlamaConfig, LlamaModel

    def make(name, h, g, d, theta, batch, full=None, step=None):
        config = LlamaConfig(
            vocab_size=8, hidden_size=48, intermediate_size=16, num_hidden_layers=1, num_attention_heads=h,
            num_key_value_heads=g, head_dim=d, rope_parameters={"rope_type": "default", "rope_theta": theta},
            attn_implementation="eager",
        )
        decoder(name, hf("LlamaAttention"), lambda: LlamaModel(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
                (batch, h, g, 48), encoding("rotary", dim=d, theta=theta, layout="halves"), scaled(d), full, step)

    make("llama", 4, 2, 40, 500000.0, 1, 37, (3, 41))
    make("llama_wide", 2, 1, 64, 500000.0, 1, 65)
    make("llama_batch", 6, 2, 20, 10000.0, 2, 13, (1, 41))
    make("llama_mha", 3, 3, 24, 10000.0, 1, 37)


def llama_far():
    """Positions from 131000 on: the scores depend on differences only, which float32 angles do not know."""
    from transformers import LlamaConfig, LlamaModel

    h, g, d, n, first = 2, 1, 40, 13, 131000
    config = LlamaConfig(vocab_size=8, hidden_size=48, intermediate_size=16, num_hidden_layers=1, num_attention_heads=h,
                         num_key_value_heads=g, head_dim=d, max_position_embeddings=262144,
                         rope_parameters={"rope_type": "default", "rope_theta": 500000.0}, attn_implementation="eager")
    x, where = noise(101, 1, n, 48), torch.arange(first, first + n)[None]
    at = "layers.0.self_attn."
    r = run(lambda: LlamaModel(config), lambda m: m(inputs_embeds=x.to(m.dtype), position_ids=where, use_cache=False),
            [at + p for p in PROJECTIONS], [at + "o_proj"], gain=1.3)
    q, k, v = apart(h, g)([r.pins[at + p][0] for p in PROJECTIONS])
    golden("llama_far", hf("LlamaAttention"), q, k, v, heads(r.single[at + "o_proj"][0], h), heads(r.double[at + "o_proj"][0], h),
           encoding("rotary", dim=d, theta=500000.0, layout="halves", offset=first), scaled(d),
           note="naive_error is large because the original's angles are float32; angles in float64 give the usual 1e-6")


def gptj():
    from transformers import GPTJConfig, GPTJModel

    def make(name, h, d, dim, batch, full, step=None):
        config = GPTJConfig(vocab_size=8, n_positions=64, n_embd=h * d, n_layer=1, n_head=h, rotary_dim=dim, n_inner=16,
                            attn_implementation="eager")
        decoder(name, hf("GPTJAttention"), lambda: GPTJModel(config), "h.0.attn.", PROJECTIONS, "out_proj",
                (batch, h, h, h * d), encoding("rotary", dim=dim, theta=10000, layout="pairs"), scaled(d), full, step)

    make("gptj", 3, 40, 24, 1, 37, (1, 41))
    make("gptj_full", 2, 24, 24, 2, 13)


def gpt_neox():
    from transformers import GPTNeoXConfig, GPTNeoXModel

    h, d = 3, 40
    config = GPTNeoXConfig(
        vocab_size=8, hidden_size=h * d, num_hidden_layers=1, num_attention_heads=h, intermediate_size=16,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        attn_implementation="eager",
    )
    decoder("gpt_neox", hf("GPTNeoXAttention"), lambda: GPTNeoXModel(config), "layers.0.attention.", ("query_key_value",),
            "dense", (1, h, h, h * d), encoding("rotary", dim=10, theta=10000, layout="halves"), scaled(d), 37, (3, 41),
            split=fused_per_head)


def mistral():
    from transformers import MistralConfig, MistralModel

    h, g, d, window = 4, 2, 24, 8
    config = MistralConfig(
        vocab_size=8, hidden_size=48, intermediate_size=16, num_hidden_layers=1, num_attention_heads=h,
        num_key_value_heads=g, head_dim=d, sliding_window=window,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attn_implementation="eager",
    )
    decoder("mistral", hf("MistralAttention"), lambda: MistralModel(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (1, h, g, 48), encoding("rotary", dim=d, theta=10000, layout="halves"),
            {"causal": True, "scale": d**-0.5, "window": {"left": window - 1}}, 37, (3, 41),
            note="sliding_window 8 counts the query's own key: window.left is 7")


def gemma2():
    from transformers import Gemma2Config, Gemma2Model

    h, g, d, window = 4, 2, 24, 16
    config = Gemma2Config(
        vocab_size=8, hidden_size=48, intermediate_size=16, num_hidden_layers=2, num_attention_heads=h,
        num_key_value_heads=g, head_dim=d, query_pre_attn_scalar=32, attn_logit_softcapping=2.5, sliding_window=window,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attn_implementation="eager",
    )
    for layer, kind in enumerate(config.layer_types):
        attention = {"causal": True, "scale": 32**-0.5, "softcap": 2.5}
        if kind == "sliding_attention":
            attention["window"] = {"left": window - 1}
        decoder("gemma2_" + kind.split("_")[0], hf("Gemma2Attention"), lambda: Gemma2Model(config),
                f"layers.{layer}.self_attn.", PROJECTIONS, "o_proj", (1, h, g, 48),
                encoding("rotary", dim=d, theta=10000, layout="halves"), attention, 37, (1, 41))


def gpt_oss():
    from transformers import GptOssConfig, GptOssModel

    h, g, d, window = 4, 2, 24, 16
    rope = {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
            "truncate": False, "original_max_position_embeddings": 4096}
    config = GptOssConfig(
        vocab_size=8, hidden_size=48, intermediate_size=8, num_hidden_layers=2, num_attention_heads=h,
        num_key_value_heads=g, head_dim=d, num_local_experts=2, num_experts_per_tok=1, sliding_window=window,
        max_position_embeddings=131072, layer_types=["sliding_attention", "full_attention"], rope_parameters=dict(rope),
        attn_implementation="eager", experts_implementation="eager",
    )
    options = {"model_type": "gpt_oss", "head_dim": d, "hidden_size": 48, "num_attention_heads": h,
               "max_position_embeddings": 131072, "rope_parameters": rope}
    for layer, kind in enumerate(config.layer_types):
        at = f"layers.{layer}.self_attn."
        attention = {"causal": True, "scale": d**-0.5, "sinks": "@sinks"}
        if kind == "sliding_attention":
            attention["window"] = {"left": window - 1}
        decoder("gpt_oss_" + kind.split("_")[0], hf("GptOssAttention"), lambda: GptOssModel(config), at, PROJECTIONS, "o_proj",
                (1, h, g, 48), {"name": "rotaryFromConfig", "options": options}, attention, 37, (1, 41),
                tables=lambda m: {"sinks": m.get_submodule(at[:-1]).sinks}, gains={"sinks": 2.0})


# --------------------------------------------------------------------------------------- rope types of LLaMA, Phi-3

# Trained lengths are small, so that every branch of a scheme lies within a short golden.
ROPES = {
    "default_partial": (64, {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}),
    "linear": (64, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
    "linear_partial": (64, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5, "partial_rotary_factor": 0.5}),
    "dynamic": (16, {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}),
    "dynamic_short": (64, {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}),
    "yarn": (256, {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64,
                   "beta_fast": 6.0, "beta_slow": 1.0}),
    "yarn_no_truncate": (256, {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "truncate": False,
                               "original_max_position_embeddings": 64, "beta_fast": 6.0, "beta_slow": 1.0}),
    "yarn_mscale": (256, {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0.5,
                          "original_max_position_embeddings": 64, "beta_fast": 6.0, "beta_slow": 1.0}),
    "yarn_factor": (256, {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "attention_factor": 0.8,
                          "original_max_position_embeddings": 64}),
    "longrope_long": (128, {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 16,
                            "short_factor": [1.0 + 0.03 * i for i in range(20)],
                            "long_factor": [1.0 + 0.4 * i for i in range(20)], "factor": 8.0}),
    "longrope_short": (512, {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 64,
                             "short_factor": [1.0 + 0.03 * i for i in range(20)],
                             "long_factor": [1.0 + 0.4 * i for i in range(20)]}),
    "llama3": (512, {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                     "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
    "proportional": (512, {"rope_type": "proportional", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}),
    "proportional_factor": (512, {"rope_type": "proportional", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "factor": 2.0}),
}


def llama_config(name):
    """The model's config and the keys of it that a rotary encoding reads."""
    from transformers import LlamaConfig

    longest, rope = ROPES[name]
    keys = {"model_type": "llama", "head_dim": 40, "hidden_size": 48, "num_attention_heads": 2,
            "max_position_embeddings": longest, "rope_parameters": rope}
    given = {k: x for k, x in keys.items() if k not in ("model_type", "rope_parameters")}
    return LlamaConfig(vocab_size=8, intermediate_size=16, num_hidden_layers=1, num_key_value_heads=1,
                       rope_parameters=dict(rope), attn_implementation="eager", **given), keys


def ropes():
    from transformers import LlamaModel

    notes = {
        "default_partial": "transformers 5.18 ignores partial_rotary_factor in LLaMA's default rope: all of D is rotated",
        "dynamic": "the table is that of the sequence's full length",
    }
    for name in ROPES:
        if name == "linear_partial":
            continue  # LLaMA's attention cannot take a narrow table; phi and rotary_linear_partial hold it
        config, keys = llama_config(name)
        # a step of dynamic NTK mixes tables of two lengths in HF's cache; there is no one right answer to compare with
        step = (1, 41) if name in ("yarn", "longrope_long", "llama3", "proportional") else None
        decoder("llama_" + name, hf("LlamaAttention"), lambda: LlamaModel(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
                (1, 2, 1, 48), {"name": "rotaryFromConfig", "options": keys}, scaled(40), 37, step, note=notes.get(name, ""))


def phi():
    from transformers import PhiConfig, PhiModel

    h, d = 2, 40
    for name, rope in (("phi", {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}),
                       ("phi_linear", {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5, "partial_rotary_factor": 0.5})):
        keys = {"model_type": "phi", "hidden_size": h * d, "num_attention_heads": h, "max_position_embeddings": 64,
                "rope_parameters": rope}
        config = PhiConfig(vocab_size=8, intermediate_size=16, num_hidden_layers=1, hidden_size=h * d, num_attention_heads=h,
                           max_position_embeddings=64, rope_parameters=dict(rope), pad_token_id=0, bos_token_id=1,
                           eos_token_id=2, attn_implementation="eager")
        decoder(name, hf("PhiAttention"), lambda: PhiModel(config), "layers.0.self_attn.", PROJECTIONS, "dense",
                (1, h, h, h * d), {"name": "rotaryFromConfig", "options": keys}, scaled(d), 37)


def pairs():
    """Cohere, GLM: interleaved, read from a config."""
    from transformers import CohereConfig, CohereModel, GlmConfig, GlmModel

    h, g, d = 4, 2, 20
    ids = dict(vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, intermediate_size=16, num_hidden_layers=1,
               attn_implementation="eager", num_key_value_heads=g)
    keys = {"model_type": "cohere", "hidden_size": h * d, "num_attention_heads": h, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    config = CohereConfig(hidden_size=h * d, num_attention_heads=h, rope_parameters=dict(keys["rope_parameters"]), **ids)
    decoder("cohere", hf("CohereAttention"), lambda: CohereModel(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (1, h, g, h * d), {"name": "rotaryFromConfig", "options": keys}, scaled(d), 37)
    glm = {"model_type": "glm", "hidden_size": h * d, "head_dim": d, "num_attention_heads": h, "max_position_embeddings": 64,
           "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}
    second = GlmConfig(hidden_size=h * d, num_attention_heads=h, head_dim=d, rope_parameters=dict(glm["rope_parameters"]), **ids)
    decoder("glm", hf("GlmAttention"), lambda: GlmModel(second), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (1, h, g, h * d), {"name": "rotaryFromConfig", "options": glm}, scaled(d), 37)


def phi3():
    from transformers import Phi3Config, Phi3Model

    h, g, hidden = 2, 1, 80
    for name, first in (("phi3_short", 64), ("phi3_long", 16)):
        keys = {"model_type": "phi3", "hidden_size": hidden, "num_attention_heads": h, "max_position_embeddings": 8 * first,
                "original_max_position_embeddings": first,
                "rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
                                    "original_max_position_embeddings": first,
                                    "short_factor": [1.0 + 0.05 * i for i in range(10)],
                                    "long_factor": [1.0 + 0.5 * i for i in range(10)]}}
        given = {k: x for k, x in keys.items() if k not in ("model_type", "rope_parameters")}
        config = Phi3Config(vocab_size=8, intermediate_size=16, num_hidden_layers=1, num_key_value_heads=g, pad_token_id=0,
                            bos_token_id=1, eos_token_id=2, rope_parameters=dict(keys["rope_parameters"]),
                            attn_implementation="eager", **given)
        decoder(name, hf("Phi3Attention"), lambda: Phi3Model(config), "layers.0.self_attn.", ("qkv_proj",), "o_proj",
                (1, h, g, hidden), {"name": "rotaryFromConfig", "options": keys}, scaled(40), 37, (3, 41), split=fused_block)


def gemma3():
    from transformers import Gemma3TextConfig, Gemma3TextModel

    h, g, d, window = 4, 2, 24, 12
    keys = {"model_type": "gemma3_text", "head_dim": d, "hidden_size": 48, "num_attention_heads": h,
            "max_position_embeddings": 131072,
            "rope_parameters": {"full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 8.0},
                                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}}
    config = Gemma3TextConfig(
        vocab_size=8, intermediate_size=16, num_hidden_layers=2, num_key_value_heads=g, query_pre_attn_scalar=20,
        sliding_window=window, layer_types=["sliding_attention", "full_attention"], attn_implementation="eager",
        hidden_size=48, head_dim=d, num_attention_heads=h, max_position_embeddings=131072,
        rope_parameters=json.loads(json.dumps(keys["rope_parameters"])))
    for layer, kind in enumerate(config.layer_types):
        attention = {"causal": True, "scale": 20**-0.5}
        if kind == "sliding_attention":
            attention["window"] = {"left": window - 1}
        decoder("gemma3_" + kind.split("_")[0], hf("Gemma3Attention"), lambda: Gemma3TextModel(config),
                f"layers.{layer}.self_attn.", ("q_norm", "k_norm", "v_proj"), "o_proj", (1, h, g, 48),
                {"name": "rotaryFromConfig", "options": keys, "arguments": {"layerType": kind}}, attention, 37, (3, 41),
                note="q and k are taken after the layer's q_norm and k_norm")


# --------------------------------------------------------------------------------------------------- several axes


def walk(batch, rows, columns, before):
    """Positions (t, h, w) of `before` words, one image of rows x columns, then words to the end: [3, B, T]."""

    def positions(total):
        text = np.arange(before)
        y, x = np.divmod(np.arange(rows * columns), columns)
        image = np.stack([np.zeros_like(y), y, x]) + before
        rest = total - before - rows * columns
        tail = np.arange(rest) + before + max(rows, columns)
        one = np.concatenate([np.stack([text] * 3), image, np.stack([tail] * 3)], axis=1)
        return np.stack([one + 3 * b for b in range(batch)], axis=1)

    return positions


def qwen_vl():
    from transformers import Qwen2VLTextConfig, Qwen3VLTextConfig
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLTextModel
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

    h, g, d = 2, 1, 40
    common = dict(vocab_size=8, intermediate_size=16, num_hidden_layers=1, num_key_value_heads=g, attn_implementation="eager")

    def keys(kind, rope):
        return {"model_type": kind, "head_dim": d, "hidden_size": h * d, "num_attention_heads": h,
                "max_position_embeddings": 4096, "rope_parameters": rope}

    def arrive(o):
        return {"name": "rotaryFromConfig", "options": o, "arguments": {"positions": "@positions"}}

    o = keys("qwen2_vl_text", {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [6, 8, 6]})
    config = Qwen2VLTextConfig(hidden_size=h * d, num_attention_heads=h, max_position_embeddings=4096,
                               rope_parameters=dict(o["rope_parameters"]), **common)
    decoder("qwen2_vl", hf("Qwen2VLAttention"), lambda: Qwen2VLTextModel(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (2, h, g, h * d), arrive(o), scaled(d), 37, (3, 41), positions=walk(2, 3, 5, 7))

    o = keys("qwen3_vl_text", {"rope_type": "default", "rope_theta": 5000000.0, "mrope_section": [8, 6, 6], "mrope_interleaved": True})
    config3 = Qwen3VLTextConfig(hidden_size=h * d, num_attention_heads=h, head_dim=d, max_position_embeddings=4096,
                                rope_parameters=dict(o["rope_parameters"]), **common)
    decoder("qwen3_vl", hf("Qwen3VLTextAttention"), lambda: Qwen3VLTextModel(config3), "layers.0.self_attn.",
            ("q_norm", "k_norm", "v_proj"), "o_proj", (2, h, g, h * d), arrive(o), scaled(d), 37, (3, 41),
            positions=walk(2, 3, 5, 7), note="q and k are taken after the layer's q_norm and k_norm")


def query_scale():
    """Queries scaled by their position: Ministral 3, after the rotation, and Llama 4's layers without one."""
    from transformers import Llama4TextConfig, Llama4TextModel, Ministral3Config, Ministral3Model

    h, g, d, first, beta = 4, 2, 24, 8, 0.7
    keys = {"model_type": "ministral3", "head_dim": d, "hidden_size": 48, "num_attention_heads": h, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
                                "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": first,
                                "llama_4_scaling_beta": beta}}
    config = Ministral3Config(vocab_size=8, intermediate_size=16, num_hidden_layers=1, num_key_value_heads=g,
                              attn_implementation="eager", sliding_window=None, pad_token_id=0,
                              **json.loads(json.dumps({k: x for k, x in keys.items() if k != "model_type"})))
    decoder("ministral3", hf("Ministral3Attention"), lambda: Ministral3Model(config), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (1, h, g, 48), [{"name": "rotaryFromConfig", "options": keys}, encoding("queryScale", kind="steps", interval=first, factor=beta)],
            scaled(d), 37, (3, 41))

    llama4 = Llama4TextConfig(vocab_size=8, hidden_size=48, head_dim=d, intermediate_size=16, intermediate_size_mlp=16,
                              num_hidden_layers=1, num_attention_heads=h, num_key_value_heads=g, num_local_experts=1, moe_layers=[],
                              no_rope_layers=[0], layer_types=["full_attention"], attn_temperature_tuning=True, floor_scale=first,
                              attn_scale=0.5, use_qk_norm=False, attn_implementation="eager", pad_token_id=0)
    decoder("llama4_nope", hf("Llama4TextAttention"), lambda: Llama4TextModel(llama4), "layers.0.self_attn.", PROJECTIONS, "o_proj",
            (1, h, g, 48), encoding("queryScale", kind="steps", interval=first, factor=0.5, start=1), scaled(d), 37, (3, 41),
            note="a layer without rotation")


def hunyuan_vl():
    """Positions on four axes; the layer's norms, which come after the rotation, are left out."""
    from transformers import HunYuanVLTextConfig
    from transformers.models.hunyuan_vl.modeling_hunyuan_vl import HunYuanVLTextModel

    h, g, d = 2, 1, 40
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 7, 3]}
    config = HunYuanVLTextConfig(vocab_size=8, intermediate_size=16, num_hidden_layers=1, hidden_size=h * d, head_dim=d,
                                 num_attention_heads=h, num_key_value_heads=g, max_position_embeddings=4096, pad_token_id=0,
                                 rope_parameters=dict(rope), attn_implementation="eager")

    def build():
        model = HunYuanVLTextModel(config)
        model.layers[0].self_attn.query_layernorm = model.layers[0].self_attn.key_layernorm = torch.nn.Identity()
        return model

    def positions(total):
        # text, an image of 3 x 5 with a token more for each row (width, height, image), text
        at = np.tile(np.arange(total), (4, 1))
        y, x = np.divmod(np.arange(3 * 6), 6)
        at[1, 7:25], at[2, 7:25], at[3, 7:25] = x, y, 0
        return np.stack([at, at + 2], axis=1)

    decoder("hunyuan_vl", hf("HunYuanVLDenseV1Attention"), build, "layers.0.self_attn.", PROJECTIONS, "o_proj", (2, h, g, h * d),
            encoding("mrope", dim=d, theta=10000.0, layout="halves", sections=rope["mrope_section"], arrangement="channels",
                     positions="@positions"),
            scaled(d), 37, (3, 41), positions=positions, note="without the norms of q and k, which the layer applies after the rotation")


def rope_mixed():
    """timm's learned frequencies by head."""
    import timm
    from timm.layers import AttentionRope, RotaryEmbeddingMixed

    h, d, rows, columns = 2, 24, 4, 6
    for name, indexing, prefix in (("rope_mixed", "xy", 1), ("rope_mixed_ij", "ij", 0)):
        x = noise(9, 2, rows * columns + prefix, h * d)

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rope = RotaryEmbeddingMixed(h * d, depth=2, num_heads=h, feat_shape=[rows, columns], grid_indexing=indexing)
                self.attention = AttentionRope(h * d, num_heads=h, num_prefix_tokens=prefix)

        r = run(Layer, lambda m: m.attention(x.to(m.rope.freqs.dtype), rope=m.rope.get_embed()[1]), ["attention.qkv"],
                ["attention.proj"], gain=1.3, gains={"freqs": 1.0})
        q, k, v = fused_thirds(h, h)([r.pins["attention.qkv"][0]])
        order = {"axisOrder": [1, 0]} if indexing == "xy" else {}
        golden(name, f"timm {timm.__version__} AttentionRope with RotaryEmbeddingMixed", q, k, v,
               heads(r.single["attention.proj"][0], h), heads(r.double["attention.proj"][0], h),
               encoding("axialRotary", dim=d, layout="pairs", frequencies="@frequencies", grid=[rows, columns], prefix=prefix, **order),
               {"causal": False, "scale": d**-0.5}, {"frequencies": r.model32.rope.freqs[:, 1]},
               "frequencies [2, heads, d/2] of one layer, freqs[:, layer]; with grid_indexing xy its first line belongs to columns")


def encoder_layer(name, source, build, call, at, pin, out, h, enc, attention, tables=None, note="", seed=1, gain=1.3):
    r = run(build, call, [at + x for x in pin], [at + out], seed=seed, gain=gain)
    q, k, v = apart(h, h)([r.pins[at + x][0] for x in pin])
    golden(name, source, q, k, v, heads(r.single[at + out][0], h), heads(r.double[at + out][0], h), enc, attention, tables, note)


def pixtral():
    from transformers import PixtralVisionConfig, PixtralVisionModel

    h, d, rows, columns = 2, 40, 5, 7
    keys = {"model_type": "pixtral", "hidden_size": h * d, "num_attention_heads": h, "image_size": 64, "patch_size": 4,
            "rope_parameters": {"rope_type": "axial", "rope_theta": 10000.0}}
    config = PixtralVisionConfig(num_hidden_layers=1, intermediate_size=16, num_channels=3, attn_implementation="eager",
                                 **json.loads(json.dumps({k: x for k, x in keys.items() if k != "model_type"})))
    image = noise(7, 1, 3, rows * 4, columns * 4)
    y, x = np.divmod(np.arange(rows * columns), columns)
    encoder_layer("pixtral", hf("PixtralAttention"), lambda: PixtralVisionModel(config), lambda m: m(pixel_values=image.to(m.dtype)),
                  "transformer.layers.0.attention.", PROJECTIONS, "o_proj", h,
                  {"name": "rotaryFromConfig", "options": keys, "arguments": {"positions": "@positions"}},
                  {"causal": False, "scale": d**-0.5}, {"positions": np.stack([y, x])[:, None].astype(np.int32)})


def dinov3():
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    h, d, rows, columns, registers = 2, 40, 5, 7, 4
    keys = {"model_type": "dinov3_vit", "hidden_size": h * d, "num_attention_heads": h, "image_size": 64, "patch_size": 4,
            "num_register_tokens": registers, "rope_theta": 100.0}
    config = DINOv3ViTConfig(num_hidden_layers=1, intermediate_size=16, attn_implementation="eager",
                             **{k: x for k, x in keys.items() if k != "model_type"})
    image = noise(7, 2, 3, rows * 4, columns * 4)
    model = DINOv3ViTModel(config)
    at = next(n for n, m in model.named_modules() if type(m).__name__ == "DINOv3ViTAttention") + "."
    encoder_layer("dinov3", hf("DINOv3ViTAttention"), lambda: DINOv3ViTModel(config), lambda m: m(pixel_values=image.to(m.dtype)),
                  at, PROJECTIONS, "o_proj", h,
                  {"name": "rotaryFromConfig", "options": keys, "arguments": {"grid": [rows, columns]}},
                  {"causal": False, "scale": d**-0.5})


def sam2():
    from transformers import Sam2VideoConfig
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoRoPEAttention, Sam2VideoVisionRotaryEmbedding

    d, rows, columns = 40, 5, 7
    for name, repeat, exclude in (("sam2_self", 1, 0), ("sam2_memory", 2, 3)):
        rope = {"rope_type": "axial", "rope_theta": 10000.0}
        config = Sam2VideoConfig(memory_attention_hidden_size=d, memory_attention_downsample_rate=1,
                                 memory_attention_num_attention_heads=1, rope_parameters=dict(rope))
        config._attn_implementation = "eager"
        n = rows * columns
        keys_in = d if repeat == 1 else 24

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = Sam2VideoRoPEAttention(config, kv_in_dim=keys_in, rope_k_repeat=repeat > 1)
                self.rotary = Sam2VideoVisionRotaryEmbedding(config)

        def call(m):
            kind = m.attention.q_proj.weight.dtype
            x = noise(5, 1, 1, n, d).to(kind)
            y = x if repeat == 1 else noise(6, 1, 1, n * repeat + exclude, keys_in).to(kind)
            # Columns first, as Sam2VideoMemoryAttention.precompute_positions has them.
            where = torch.from_numpy(np.stack(np.divmod(np.arange(n), columns)[::-1], axis=1).copy())
            m.attention(x, y, y, m.rotary(x, where), num_k_exclude_rope=exclude)

        r = run(Layer, call, ["attention." + p for p in PROJECTIONS], ["attention.o_proj"], gain=1.5)
        q, k, v = (r.pins["attention." + p][0] for p in PROJECTIONS)
        golden(name, hf("Sam2VideoRoPEAttention"), q, k, v, r.single["attention.o_proj"][0], r.double["attention.o_proj"][0],
               {"name": "rotaryFromConfig",
                "options": {"model_type": "sam2_video", "memory_attention_hidden_size": d, "memory_attention_downsample_rate": 1,
                            "memory_attention_num_attention_heads": 1, "rope_parameters": rope},
                "arguments": {"grid": [rows, columns], "exclude": exclude}},
               {"causal": False, "scale": d**-0.5},
               note="keys repeat the grid's angles; the last `exclude` keys are not rotated")


# ------------------------------------------------------------------------------------------------ rotations alone

FAR = [0, 1, 2, 3, 7, 100, 511, 2047, 4096, 8191, 32767, 65535, 131071, 262143, 500000, 777777, 999999]


def rotation(name, source, d, build, apply, enc):
    """build() gives a module of (x, position_ids) -> (cos, sin); apply(x, cos, sin) rotates."""
    from reference import rotate

    x = noise(3, 1, 2, len(FAR), d)
    where = torch.tensor([FAR])
    single = apply(x, *build()(x, where))
    with float64():
        true = apply(x.double(), *build()(x.double(), where))
    case = {"encoding": enc}
    ours = rotate(case, x.double().numpy(), np.array(FAR))
    true = true.numpy()
    far, naive = np.abs(ours - true).max() / np.abs(true).max(), np.abs(single.double().numpy() - true).max()
    assert far < 1e-9, (name, far, naive)
    path = GOLDEN / f"rotary_{name}.safetensors"
    save(path, {"x": x, "positions": np.array(FAR, dtype=np.int32), "rotated": true.astype(np.float32)}, {
        "source": source, "case": json.dumps(case, separators=(",", ":")),
        "note": "angles in float64; naive_error is the original's own float32, whose angles are wrong at large positions",
        "naive_error": f"{naive:.3g}"})
    print(f"rotary_{name:27} {path.stat().st_size/1024:6.1f} KB  naive {naive:.2e}  formula {far:.1e}")


def rotations():
    from transformers import CohereConfig, GlmConfig, GPTNeoXConfig, LlamaConfig, NanoChatConfig
    from transformers.models.cohere import modeling_cohere
    from transformers.models.glm import modeling_glm
    from transformers.models.gpt_neox import modeling_gpt_neox
    from transformers.models.llama import modeling_llama
    from transformers.models.nanochat import modeling_nanochat

    def plain(theta, **more):
        return {"rope_type": "default", "rope_theta": theta, **more}

    def only(f):
        return lambda x, cos, sin: f(x, x, cos, sin)[0]

    for d, theta in ((64, 500000.0), (20, 10000.0)):
        config = LlamaConfig(head_dim=d, hidden_size=48, num_attention_heads=2, rope_parameters=plain(theta))
        rotation(f"halves_{d}", hf("LlamaRotaryEmbedding"), d, lambda: modeling_llama.LlamaRotaryEmbedding(config),
                 only(modeling_llama.apply_rotary_pos_emb), encoding("rotary", dim=d, theta=theta, layout="halves"))
    for d in (64, 20):
        config = CohereConfig(hidden_size=2 * d, num_attention_heads=2, rope_parameters=plain(10000.0))
        rotation(f"pairs_{d}", hf("CohereRotaryEmbedding"), d, lambda: modeling_cohere.CohereRotaryEmbedding(config),
                 only(modeling_cohere.apply_rotary_pos_emb), encoding("rotary", dim=d, theta=10000.0, layout="pairs"))
    config = NanoChatConfig(hidden_size=2 * 40, num_attention_heads=2, rope_parameters=plain(10000.0))
    rotation("backward", hf("NanoChatRotaryEmbedding"), 40, lambda: modeling_nanochat.NanoChatRotaryEmbedding(config),
             only(modeling_nanochat.apply_rotary_pos_emb), encoding("rotary", dim=40, theta=10000.0, layout="halves", sense="backward"))
    config = GPTNeoXConfig(hidden_size=80, num_attention_heads=2, rope_parameters=plain(10000.0, partial_rotary_factor=0.25))
    rotation("halves_partial", hf("GPTNeoXRotaryEmbedding"), 40, lambda: modeling_gpt_neox.GPTNeoXRotaryEmbedding(config),
             only(modeling_gpt_neox.apply_rotary_pos_emb), encoding("rotary", dim=10, theta=10000.0, layout="halves"))
    config = GlmConfig(hidden_size=80, num_attention_heads=2, head_dim=40, rope_parameters=plain(10000.0, partial_rotary_factor=0.5))
    rotation("pairs_partial", hf("GlmRotaryEmbedding"), 40, lambda: modeling_glm.GlmRotaryEmbedding(config),
             only(modeling_glm.apply_rotary_pos_emb), encoding("rotary", dim=20, theta=10000.0, layout="pairs"))
    for name in ROPES:
        if name.endswith("_short"):
            continue
        config, keys = llama_config(name)
        rotation(name, hf("LlamaRotaryEmbedding"), 40, lambda: modeling_llama.LlamaRotaryEmbedding(config),
                 only(lambda q, k, c, s: partly(modeling_llama.apply_rotary_pos_emb, q, k, c, s)),
                 {"name": "rotaryFromConfig", "options": keys})


def partly(apply, q, k, cos, sin):
    """LLaMA's own apply cannot take a table narrower than the head: the rest passes through."""
    r = cos.shape[-1]
    a, b = apply(q[..., :r], k[..., :r], cos, sin)
    return torch.cat([a, q[..., r:]], dim=-1), torch.cat([b, k[..., r:]], dim=-1)


ALL = {f.__name__: f for f in (llama, llama_far, gptj, gpt_neox, mistral, gemma2, gpt_oss, ropes, phi, pairs, phi3, gemma3, qwen_vl, query_scale, hunyuan_vl, rope_mixed, pixtral, dinov3, sam2, rotations)}
