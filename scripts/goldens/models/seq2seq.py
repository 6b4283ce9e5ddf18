"""Encoders with decoders: T5 as first released, with gated layers and an output of its own (T5 1.1, Flan-T5), mT5, LongT5."""

import tokens
from checkpoint import seq2seq
from encoders import LONG, SHORT, transformers

STACKS = [("encoder.", "encoder", "encoder.block"), ("decoder.", "decoder", "decoder.block")]
# T5 doesn't scale its scores: the queries' weights are smaller instead.
# What the decoder says must depend on what it said: a strong look at itself, a weaker one at the encoder.
GAINS = {"SelfAttention.q.": 0.45, "EncDecAttention.q.": 0.45, "SelfAttention.k.": 1.3, "relative_attention_bias": 1.0, "SelfAttention.o.": 2.5,
         "EncDecAttention.o.": 0.4, "DenseReluDense.wo": 1.5, "lm_head": 1.0}
ALL = []


def family(make):
    ALL.append(make)
    return make


def config(t, kind, **more):
    return {
        "architectures": [kind], "model_type": "t5", "vocab_size": t.get_vocab_size(), "d_model": 32, "d_kv": 10, "d_ff": 44, "num_layers": 2,
        "num_decoder_layers": 3, "num_heads": 3, "relative_attention_num_buckets": 12, "relative_attention_max_distance": 24, "dropout_rate": 0.1,
        "layer_norm_epsilon": 1e-6, "initializer_factor": 1.0, "feed_forward_proj": "relu", "is_encoder_decoder": True, "decoder_start_token_id": 0,
        "pad_token_id": 0, "eos_token_id": 1, "use_cache": True,
    } | more


@family
def t5():
    t = tokens.pieces("t5")
    hf = transformers()
    name = "T5ForConditionalGeneration"
    seq2seq("t5", hf.T5ForConditionalGeneration, config(t, name), [SHORT, LONG], STACKS, t, GAINS, ends=[0, 1],
            note="tied embeddings: the decoder's output is scaled by d_model^-0.5 before them")
    seq2seq("flan-t5", hf.T5ForConditionalGeneration, config(t, name, feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=2),
            [SHORT, LONG], STACKS, t, GAINS, ends=[0, 1], untie=True, note="T5 1.1 and Flan-T5: gated with tanh's GELU, an output of its own")


@family
def mt5():
    t = tokens.pieces("mt5")
    name = "MT5ForConditionalGeneration"
    seq2seq("mt5", transformers().MT5ForConditionalGeneration,
            config(t, name, model_type="mt5", feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=2, tokenizer_class="T5Tokenizer"),
            [SHORT, LONG], STACKS, t, GAINS, ends=[0, 1], untie=True)


@family
def longt5():
    t = tokens.pieces("longt5-local")
    name = "LongT5ForConditionalGeneration"
    more = dict(model_type="longt5", feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=2, local_radius=5, global_block_size=4)
    gains = GAINS | {"LocalSelfAttention.q.": 0.45, "LocalSelfAttention.k.": 1.3, "GlobalSelfAttention.q.": 0.45, "GlobalSelfAttention.k.": 1.3}
    seq2seq("longt5-local", transformers().LongT5ForConditionalGeneration, config(t, name, encoder_attention_type="local", **more), [SHORT, LONG], STACKS,
            t, gains, ends=[0, 1], untie=True, note="the encoder sees 5 tokens to each side")
    seq2seq("longt5-global", transformers().LongT5ForConditionalGeneration, config(t, name, encoder_attention_type="transient-global", **more), [SHORT, LONG],
            STACKS, t, gains, ends=[0, 1], untie=True, note="the encoder sees 5 tokens to each side and the sums of blocks of 4 tokens")
