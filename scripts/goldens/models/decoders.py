"""Causal language models."""

import tokens
from checkpoint import decoder, encoder
from encoders import LONG, SHORT, transformers

ALL = []


def family(make):
    ALL.append(make)
    return make


@family
def llama():
    """Grouped keys, no biases, output of its own; and one with biases, tied output, wide heads and LLaMA 3's frequencies."""
    t = tokens.byte_pairs("llama", kind="begin")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": t.get_vocab_size(), "hidden_size": 40, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 68, "hidden_act": "silu", "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "float16",
    }
    gains = {"q_proj.weight": 1.8, "k_proj.weight": 1.8}
    hf = transformers()
    stack = ("model", "model.layers")
    decoder("llama", hf.LlamaForCausalLM, config, [SHORT, LONG], stack, t, gains, ends=[1])
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
    decoder("llama-3", hf.LlamaForCausalLM, config | {"rope_theta": 500.0, "rope_scaling": scaling, "attention_bias": True, "mlp_bias": True,
            "tie_word_embeddings": True, "head_dim": 16, "num_hidden_layers": 2}, [SHORT, LONG], stack, t, gains, ends=[1])


def llama_like(kind, model_type, t, **more):
    """The keys that most of today's configs share."""
    return {
        "architectures": [kind], "model_type": model_type, "vocab_size": t.get_vocab_size(), "hidden_size": 36, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12, "intermediate_size": 52, "hidden_act": "silu", "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
    } | more


SHARP = {"q_proj.weight": 1.8, "k_proj.weight": 1.8}
STACK = ("model", "model.layers")
TEXTS = [SHORT, LONG]


@family
def mistral():
    t = tokens.fallback_pairs("mistral")
    decoder("mistral", transformers().MistralForCausalLM, llama_like("MistralForCausalLM", "mistral", t, sliding_window=8, attention_dropout=0.0), TEXTS, STACK,
            t, SHARP, ends=[2], note="every layer sees 8 positions, itself the last")
    page = tokens.PAGE.split("\n")[2]
    c = decoder("mistral-long", transformers().MistralForCausalLM,
                llama_like("MistralForCausalLM", "mistral", t, sliding_window=50, num_hidden_layers=2, max_position_embeddings=512), [page], STACK, t, SHARP, ends=[2],
                note="a prompt of more than 128 tokens; every layer sees 50 positions")
    assert len(c.encode(page).ids) > 128


@family
def qwen():
    """Biases of queries, keys and values alone (2); norms of queries and keys (3)."""
    t = tokens.byte_pairs("qwen2", words=("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    hf = transformers()
    config = dict(use_sliding_window=False, sliding_window=32768, max_window_layers=2, rope_theta=1000000.0, bos_token_id=0, eos_token_id=0)
    without = {"head_dim": None}
    two = {k: v for k, v in (llama_like("Qwen2ForCausalLM", "qwen2", t, **config) | {"num_hidden_layers": 2, "tie_word_embeddings": True, "hidden_size": 40} | without).items()
           if v is not None}
    decoder("qwen2", hf.Qwen2ForCausalLM, two, TEXTS, STACK, t, SHARP, ends=[0, 2])
    decoder("qwen2-window", hf.Qwen2ForCausalLM, two | {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}, TEXTS, STACK, t, SHARP,
            ends=[0, 2], note="layers.1 sees 7 positions")
    decoder("qwen3", hf.Qwen3ForCausalLM, llama_like("Qwen3ForCausalLM", "qwen3", t, attention_bias=False, rope_scaling=None, **config), TEXTS, STACK, t,
            {"q_norm": 2.0, "k_norm": 2.0}, ends=[0, 2])


@family
def smollm():
    """2 is a LLaMA with its own keys; 3 leaves out the rotation in every fourth layer."""
    t = tokens.byte_pairs("smollm2", words=("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    hf = transformers()
    config = llama_like("LlamaForCausalLM", "llama", t, hidden_size=36, num_attention_heads=3, num_key_value_heads=1, rope_theta=100000, rope_interleaved=False,
                        rope_scaling=None, tie_word_embeddings=True, is_llama_config=True, bos_token_id=1, eos_token_id=2, pad_token_id=2, pretraining_tp=1,
                        num_hidden_layers=2)
    del config["head_dim"]
    decoder("smollm2", hf.LlamaForCausalLM, config, TEXTS, STACK, t, SHARP, ends=[0, 2])
    config = llama_like("SmolLM3ForCausalLM", "smollm3", t, rope_theta=5000000.0, no_rope_layers=[1, 1, 0, 1], no_rope_layer_interval=3, num_hidden_layers=4,
                        use_sliding_window=False, sliding_window=None, attention_bias=False, mlp_bias=False, tie_word_embeddings=True, bos_token_id=0,
                        eos_token_id=2, pad_token_id=2, layer_types=["full_attention"] * 4, intermediate_size=40, hidden_size=40)
    del config["head_dim"]
    decoder("smollm3", hf.SmolLM3ForCausalLM, config, TEXTS, STACK, t, SHARP, ends=[0, 2], note="no rotation in layers.2")


@family
def gemma():
    """Embeddings times the root of the width, norms times 1 + weight. From 2 on, norms before and after each part. 2: scores and logits through tanh, every other
    layer a window. 3: norms of queries and keys, two of three layers a window and a rotation of their own."""
    t = tokens.fallback_pairs("gemma2", words=("<pad>", "<eos>", "<bos>", "<unk>"), begin="<bos>")
    hf = transformers()
    config = llama_like("GemmaForCausalLM", "gemma", t, hidden_act="gelu_pytorch_tanh", num_key_value_heads=1, num_hidden_layers=2, attention_bias=False,
                        bos_token_id=2, eos_token_id=1, pad_token_id=0, tie_word_embeddings=True)
    decoder("gemma", hf.GemmaForCausalLM, config, TEXTS, STACK, t, SHARP | {"embed_tokens": 0.05}, ends=[0, 1])
    config = llama_like("Gemma2ForCausalLM", "gemma2", t, hidden_activation="gelu_pytorch_tanh", hidden_act="gelu_pytorch_tanh", attn_logit_softcapping=4.0,
                        final_logit_softcapping=9.0, query_pre_attn_scalar=10, sliding_window=7, num_hidden_layers=2, cache_implementation="hybrid",
                        attention_bias=False, bos_token_id=2, eos_token_id=1, pad_token_id=0, tie_word_embeddings=True)
    decoder("gemma2", hf.Gemma2ForCausalLM, config, TEXTS, STACK, t, SHARP | {"embed_tokens": 0.1}, ends=[0, 1],
            note="layers.0 sees 7 positions")
    config = llama_like("Gemma3ForCausalLM", "gemma3_text", t, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=10, sliding_window=7,
                        sliding_window_pattern=3, rope_local_base_freq=100.0, rope_theta=10000, rope_scaling=None, num_hidden_layers=4, intermediate_size=44,
                        num_key_value_heads=1, attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=False, bos_token_id=2, eos_token_id=1,
                        pad_token_id=0, cache_implementation="hybrid", tie_word_embeddings=True)
    del config["hidden_act"]
    decoder("gemma3", hf.Gemma3ForCausalLM, config, TEXTS, STACK, t, {"q_norm": 2.0, "k_norm": 2.0, "embed_tokens": 0.1}, ends=[0, 1],
            note="layers.2 sees everything, the others 7 positions")
    # As transformers 5 writes a config, and with the rotation of the larger models: positions of the global layers divided.
    for key in ("rope_theta", "rope_local_base_freq", "rope_scaling", "sliding_window_pattern", "torch_dtype"):
        del config[key]
    config |= {"num_hidden_layers": 3, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "dtype": "bfloat16",
               "rope_parameters": {"full_attention": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 8.0},
                                   "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}
    decoder("gemma3-linear", hf.Gemma3ForCausalLM, config, TEXTS, STACK, t, {"q_norm": 2.0, "k_norm": 2.0, "embed_tokens": 0.1}, ends=[0, 1],
            note="layers.1 sees everything, the others 7 positions; a config of transformers 5")


    # EmbeddingGemma: an encoder with the same layers. Its window counts the keys on both sides.
    both = config | {"architectures": ["Gemma3TextModel"], "use_bidirectional_attention": True, "sliding_window": 12}
    encoder("embeddinggemma", hf.Gemma3TextModel, both, TEXTS, ("", "layers"), t, {"q_norm": 2.0, "k_norm": 2.0}, seed=7,
            note="layers.1 sees everything, the others 6 positions to each side")


@family
def granite():
    """LLaMA's layers with four multipliers: of embeddings, scores, residuals and (as a divisor) logits."""
    t = tokens.byte_pairs("granite", words=("<|end_of_text|>",))
    config = llama_like("GraniteForCausalLM", "granite", t, hidden_size=40, attention_bias=False, mlp_bias=False, attention_multiplier=0.2, num_hidden_layers=2,
                        embedding_multiplier=3.0, residual_multiplier=0.6, logits_scaling=2.5, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0)
    del config["head_dim"]
    decoder("granite", transformers().GraniteForCausalLM, config, TEXTS, STACK, t,
            SHARP | {"embed_tokens": 0.1, "o_proj": 2.0, "down_proj": 2.0}, ends=[0])


@family
def olmo2():
    """Norms after attention and MLP alone, and over all channels of queries and of keys at once."""
    t = tokens.byte_pairs("olmo2", words=("<|endoftext|>",))
    config = llama_like("Olmo2ForCausalLM", "olmo2", t, hidden_size=40, attention_bias=False, num_hidden_layers=2, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    del config["head_dim"]
    decoder("olmo2", transformers().Olmo2ForCausalLM, config, TEXTS, STACK, t, {"q_norm": 2.0, "k_norm": 2.0}, ends=[0])


@family
def phi3():
    """Queries, keys and values in one matrix, gate and up in another. The second has LongRoPE on three quarters of each head: the short prompt
    and its continuation stay within the trained length, the long one begins beyond it."""
    t = tokens.fallback_pairs("phi3", words=("<unk>", "<s>", "</s>", "<|endoftext|>"))
    hf = transformers()
    config = llama_like("Phi3ForCausalLM", "phi3", t, hidden_size=48, num_key_value_heads=4, num_hidden_layers=2, intermediate_size=52, sliding_window=9,
                        original_max_position_embeddings=256, rope_scaling=None, attention_bias=False, bos_token_id=1, eos_token_id=3, pad_token_id=3)
    del config["head_dim"]
    gains = {"qkv_proj": 1.6}
    decoder("phi3", hf.Phi3ForCausalLM, config, TEXTS, STACK, t, gains, ends=[2, 3], note="every layer sees 9 positions")
    width = 64
    pairs = width // 4 * 3 // 4 // 2
    scaling = {"type": "longrope", "short_factor": [1 + n / 16 for n in range(pairs)], "long_factor": [1.5 + n / 2 for n in range(pairs)]}
    config |= {"hidden_size": width, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 40, "partial_rotary_factor": 0.75, "rope_scaling": scaling,
               "original_max_position_embeddings": 48, "max_position_embeddings": 192, "sliding_window": None, "tie_word_embeddings": True}
    c = decoder("phi3-long", hf.Phi3ForCausalLM, config, TEXTS, STACK, t, gains, ends=[2, 3],
                note="trained length 48: the first case stays within it, the second begins beyond it")
    lengths = [len(c.encode(text).ids) for text in TEXTS]
    assert lengths[0] + 20 <= 48 < lengths[1], lengths


@family
def gpt2():
    """Weights [in, out] (Conv1D), names without the prefix of the language model and with its masks, as on the hub."""
    t = tokens.byte_pairs("gpt2", words=("<|endoftext|>",), size=280)
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1, "bos_token_id": 0, "embd_pdrop": 0.1,
        "eos_token_id": 0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "n_ctx": 128, "n_embd": 36, "n_head": 3, "n_layer": 3, "n_positions": 128,
        "resid_pdrop": 0.1, "vocab_size": t.get_vocab_size(),
    }
    import torch

    mask = torch.ones(1, 1, 128, 128, dtype=torch.uint8).tril()
    decoder("gpt2", transformers().GPT2LMHeadModel, config, TEXTS, ("transformer", "transformer.h"), t, {"c_attn.weight": 1.5}, ends=[0],
            strip="transformer.", also={"h.0.attn.bias": mask})


@family
def gpt_neox():
    """Queries, keys and values of a head side by side in one matrix; a quarter of each head turned; both parts from the same input (Pythia), and
    one after the other."""
    t = tokens.byte_pairs("gpt-neox", words=("<|endoftext|>", "<|padding|>"), size=280)
    config = {
        "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 48,
        "initializer_range": 0.02, "intermediate_size": 60, "layer_norm_eps": 1e-5, "max_position_embeddings": 128, "num_attention_heads": 3,
        "num_hidden_layers": 2, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False, "use_cache": True,
        "use_parallel_residual": True, "vocab_size": t.get_vocab_size(),
    }
    import torch

    hf = transformers()
    also = {"gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9), "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2),
            "gpt_neox.layers.0.attention.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool).tril()}
    stack = ("gpt_neox", "gpt_neox.layers")
    decoder("gpt-neox", hf.GPTNeoXForCausalLM, config, TEXTS, stack, t, {"query_key_value.weight": 1.6}, ends=[0], also=also)
    decoder("gpt-neox-serial", hf.GPTNeoXForCausalLM, config | {"use_parallel_residual": False, "rotary_pct": 0.5, "hidden_act": "gelu_new"}, TEXTS, stack, t,
            {"query_key_value.weight": 1.6}, ends=[0])


@family
def gptj():
    t = tokens.byte_pairs("gptj", words=("<|endoftext|>",), size=280)
    config = {
        "architectures": ["GPTJForCausalLM"], "model_type": "gptj", "activation_function": "gelu_new", "attn_pdrop": 0.0, "bos_token_id": 0, "embd_pdrop": 0.0,
        "eos_token_id": 0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "n_embd": 36, "n_head": 3, "n_inner": None, "n_layer": 2,
        "n_positions": 128, "resid_pdrop": 0.0, "rotary": True, "rotary_dim": 8, "tie_word_embeddings": False, "vocab_size": t.get_vocab_size(),
    }
    decoder("gptj", transformers().GPTJForCausalLM, config, TEXTS, ("transformer", "transformer.h"), t, SHARP, ends=[0],
            note="attention and MLP from one norm; neighbours are turned, 8 channels of 12; the output has a bias")


@family
def falcon():
    """7b: one key head, both parts from one norm. 40b: groups of heads with their key and value, two norms. rw: ALiBi, one part after the
    other, biases. The eager code adds ALiBi twice, so torch's own attention is taken."""
    t = tokens.byte_pairs("falcon-7b", words=("<|endoftext|>",), size=280)
    config = {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "alibi": False, "attention_dropout": 0.0, "bias": False, "bos_token_id": 0,
        "eos_token_id": 0, "hidden_dropout": 0.0, "hidden_size": 40, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "multi_query": True,
        "new_decoder_architecture": False, "num_attention_heads": 4, "num_hidden_layers": 2, "parallel_attn": True, "vocab_size": t.get_vocab_size(),
        "ffn_hidden_size": 72,
    }
    hf = transformers()
    stack, gains = ("transformer", "transformer.h"), {"query_key_value.weight": 1.7}
    decoder("falcon-7b", hf.FalconForCausalLM, config, TEXTS, stack, t, gains, ends=[0], attention="sdpa")
    decoder("falcon-40b", hf.FalconForCausalLM, config | {"new_decoder_architecture": True, "num_kv_heads": 2}, TEXTS, stack, t, gains, ends=[0],
            attention="sdpa")
    decoder("falcon-11b", hf.FalconForCausalLM, config | {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1}, TEXTS, stack, t,
            gains, ends=[0], attention="sdpa", note="groups of heads, but one norm")
    decoder("falcon-rw", hf.FalconForCausalLM, config | {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}, TEXTS, stack, t, gains,
            ends=[0], attention="sdpa")


@family
def bloom():
    """A norm after the embeddings, ALiBi, queries, keys and values of a head side by side; five heads, so that slopes are interleaved."""
    t = tokens.byte_pairs("bloom", words=("<unk>", "<s>", "</s>", "<pad>"), size=280)
    config = {
        "architectures": ["BloomForCausalLM"], "model_type": "bloom", "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0,
        "bos_token_id": 1, "eos_token_id": 2, "hidden_dropout": 0.0, "hidden_size": 40, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5,
        "n_head": 5, "n_layer": 2, "pad_token_id": 3, "pretraining_tp": 1, "slow_but_exact": False, "vocab_size": t.get_vocab_size(),
    }
    decoder("bloom", transformers().BloomForCausalLM, config, TEXTS, ("transformer", "transformer.h"), t,
            {"query_key_value.weight": 1.6, "dense.weight": 2.5, "dense_4h_to_h.weight": 2.5}, ends=[2], strip="transformer.")


@family
def mpt():
    t = tokens.byte_pairs("mpt", words=("<|endoftext|>",), size=280)
    config = {
        "architectures": ["MPTForCausalLM"], "model_type": "mpt", "attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
        "attn_type": "multihead_attention", "attn_uses_sequence_id": False, "clip_qkv": None, "prefix_lm": False, "qk_ln": False, "softmax_scale": None},
        "d_model": 40, "emb_pdrop": 0, "embedding_fraction": 1.0, "expansion_ratio": 2, "init_device": "cpu", "learned_pos_emb": True, "logit_scale": None,
        "max_seq_len": 128, "n_heads": 4, "n_layers": 2, "no_bias": True, "norm_type": "low_precision_layernorm", "resid_pdrop": 0, "use_cache": False,
        "vocab_size": t.get_vocab_size(),
    }
    hf = transformers()
    stack, gains = ("transformer", "transformer.blocks"), {"Wqkv": 1.5}
    decoder("mpt", hf.MptForCausalLM, config, TEXTS, stack, t, gains, ends=[0])
    narrow = config["attn_config"] | {"clip_qkv": 1.5, "softmax_scale": 0.4}
    decoder("mpt-clip", hf.MptForCausalLM, config | {"attn_config": narrow, "n_heads": 5}, TEXTS, stack, t, gains, ends=[0],
            note="queries, keys and values held within 1.5, a scale of its own, five heads")


@family
def cohere():
    """PaLM's block: attention and a gated MLP from one norm without bias, one key head, no biases, tied output; the logits have a scale, and
    neighbours are turned."""
    t = tokens.byte_pairs("cohere", words=("<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>", "<BOS_TOKEN>", "<EOS_TOKEN>"), size=290)
    config = llama_like("CohereForCausalLM", "cohere", t, hidden_size=40, num_key_value_heads=1, layer_norm_eps=1e-5, logit_scale=0.25, rope_theta=10000.0,
                        attention_bias=False, use_qk_norm=False, bos_token_id=5, eos_token_id=6, pad_token_id=0, num_hidden_layers=2, tie_word_embeddings=True)
    del config["head_dim"], config["rms_norm_eps"]
    decoder("cohere", transformers().CohereForCausalLM, config, TEXTS, STACK, t, SHARP, ends=[0, 6])
