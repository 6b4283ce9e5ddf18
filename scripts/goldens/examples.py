"""The data of examples/: one LLaMA layer and one T5 encoder layer at work on a page of English. `expected` is what
the model itself computed, in float32."""

import json

import numpy as np
import torch
from common import EXAMPLES, array, cat, encoding, heads, hf, run, save
from reference import evaluate

TEXT = EXAMPLES / "text.txt"


def tokens(n):
    raw = TEXT.read_bytes()[:n]
    return torch.tensor([list(raw)], dtype=torch.long)


def example(name, source, ids, q, k, v, single, enc, attention, tables=None):
    tensors = {"tokens": array(ids[0], np.int32), "q": array(q), "k": array(k), "v": array(v)}
    tensors.update({key: array(x, np.float32) for key, x in (tables or {}).items()})
    case = {"encoding": enc, "attention": attention}
    true = evaluate(case, tensors)
    tensors["expected"] = array(single)
    error = np.abs(tensors["expected"] - true).max()
    peak = np.abs(true).max()
    save(EXAMPLES / f"{name}.safetensors", tensors, {
        "source": source,
        "case": json.dumps(case, separators=(",", ":")),
        "note": "expected is the layer's own float32 output; naive_error is its distance from float64. tokens: bytes of text.txt",
        "naive_error": f"{error:.3g}",
    })
    size = (EXAMPLES / f"{name}.safetensors").stat().st_size
    print(f"examples/data/{name}: {size/1024:.0f} KB, float32 model to float64 formula {error/peak:.2e} of the largest value {peak:.2f}")
    assert error < 1e-6 * peak, name


def llama():
    from transformers import LlamaConfig, LlamaModel

    n, h, g, d, theta = 160, 8, 2, 64, 500000.0
    config = LlamaConfig(
        vocab_size=256, hidden_size=h * d, intermediate_size=256, num_hidden_layers=2, num_attention_heads=h,
        num_key_value_heads=g, head_dim=d, max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": theta}, attn_implementation="eager",
    )
    ids = tokens(n)
    at = "layers.1.self_attn."
    r = run(lambda: LlamaModel(config), lambda m: m(input_ids=ids, use_cache=False),
            [at + x for x in ("q_proj", "k_proj", "v_proj")], [at + "o_proj"], seed=11, gain=1.25)
    q, k, v = (cat(r.pins[at + x]) for x in ("q_proj", "k_proj", "v_proj"))
    example("llama", hf("LlamaAttention"), ids, heads(q, h), heads(k, g), heads(v, g), heads(cat(r.single[at + "o_proj"]), h),
            encoding("rotary", dim=d, theta=theta, layout="halves"), {"causal": True, "scale": d**-0.5})


def t5():
    from transformers import T5Config, T5EncoderModel

    n, h, d = 128, 8, 64
    config = T5Config(vocab_size=256, d_model=h * d, d_kv=d, d_ff=256, num_layers=1, num_heads=h,
                      relative_attention_num_buckets=32, relative_attention_max_distance=128)
    ids = tokens(n)
    at = "encoder.block.0.layer.0.SelfAttention."
    r = run(lambda: T5EncoderModel(config), lambda m: m(input_ids=ids),
            [at + x for x in "qkv"], [at + "o"], seed=12, gain=1.0, gains={"SelfAttention.q": 0.1})
    q, k, v = (heads(cat(r.pins[at + x]), h) for x in "qkv")
    table = r.model32.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    example("t5", hf("T5Attention"), ids, q, k, v, heads(cat(r.single[at + "o"]), h),
            encoding("t5", heads=h, buckets=32, maxDistance=128, bidirectional=True, table="@table"),
            {"causal": False, "scale": 1}, {"table": table})


ALL = {"examples_llama": llama, "examples_t5": t5}
