"""Encoders of text."""

import json

import tokens
import torch
from checkpoint import encoder
from common import float64
from tables import plain_sqrt

SHORT = "Is a single man in want of a wife?"
LONG = "My dear Mr. Bennet, have you heard that Netherfield Park is let at last? He replied that he had not."
PAIR = ("How old are you?", "What is your age, my dear?")


SHARP = {"query": 1.8, "key": 1.8}  # attention far from uniform
ALL = []


def family(make):
    ALL.append(make)
    return make


def transformers():
    import transformers

    return transformers


def fills(c, texts, count=5):
    """fills.json: the likeliest tokens for each mask by transformers' own way from the folder to them, with the scores of its float64 run."""
    hf = transformers()
    words = hf.AutoTokenizer.from_pretrained(c.folder)
    runs = []
    for model, context in ((c.model, torch.no_grad), (c.double, float64)):
        fill = hf.pipeline("fill-mask", model=model, tokenizer=words, device="cpu", top_k=count + 1)
        with context():
            found = [fill(text) for text in texts]
        runs.append([[each] if isinstance(each[0], dict) else each for each in found])
    cases, error, lead = [], 0.0, 1.0
    for text, *both in zip(texts, *runs):
        assert words(text)["input_ids"] == c.encode(text).ids, text
        masks = []
        for single, double in zip(*both):
            assert [x["token"] for x in single] == [x["token"] for x in double], text
            error = max(error, *(abs(x["score"] - y["score"]) for x, y in zip(single, double)))
            lead = min(lead, *(x["score"] - y["score"] for x, y in zip(double, double[1:])))
            masks.append([{"id": x["token"], "token": x["token_str"], "score": x["score"]} for x in double[:count]])
        cases.append({"text": text, "masks": masks})
    assert lead > 20 * error, (lead, error)
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (c.folder / "fills.json").write_text(f'{{ "source": "transformers {hf.__version__} fill-mask"' + ',\n "cases": [\n' + lines + "\n ]\n}\n")
    print(f"{c.folder.name} fills: error {error:.1e}, lead {lead:.1e}")


@family
def bert():
    """Three checkpoints: a plain model with its pooler, as sentence encoders are; one that fills masks, its output tied to the embeddings;
    one that classifies pairs."""
    t = tokens.word_piece("bert")
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": t.get_vocab_size(), "hidden_size": 36, "num_hidden_layers": 3,
        "num_attention_heads": 3, "intermediate_size": 76, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 80, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "position_embedding_type": "absolute", "classifier_dropout": None,
    }
    gains = SHARP
    hf = transformers()
    encoder("bert", hf.BertModel, config, [SHORT, LONG, PAIR], ("encoder", "encoder.layer"), t, gains, types=True)
    texts = ["Is a [MASK] man in want of a wife?", LONG.replace("Park", "[MASK]").replace("replied", "[MASK]")]
    c = encoder("bert-mask", hf.BertForMaskedLM, config | {"architectures": ["BertForMaskedLM"], "num_hidden_layers": 2}, texts,
                ("bert.encoder", "bert.encoder.layer"), t, gains, types=True, mask=t.token_to_id("[MASK]"), seed=2)
    fills(c, texts)  # without settings, as released: the class knows what masks are called
    labels = {"id2label": {"0": "no", "1": "yes", "2": "perhaps"}, "label2id": {"no": 0, "yes": 1, "perhaps": 2}}
    encoder("bert-classify", hf.BertForSequenceClassification,
            config | labels | {"architectures": ["BertForSequenceClassification"], "num_hidden_layers": 2, "hidden_act": "gelu_new"},
            [SHORT, LONG, PAIR], ("bert.encoder", "bert.encoder.layer"), t, gains, types=True, seed=3)


def masked(text, mask, *words):
    for word in words:
        assert word in text
        text = text.replace(word, mask)
    return text


LABELS = {"id2label": {"0": "no", "1": "yes", "2": "perhaps"}, "label2id": {"no": 0, "yes": 1, "perhaps": 2}}


@family
def roberta():
    """Positions start at pad + 1; the head that fills masks is tied and has a bias of its own; the classifier is dense, tanh, dense on <s>."""
    words = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    t = tokens.byte_pairs("roberta-mask", size=300, words=words, kind="roberta")
    config = {
        "architectures": ["RobertaForMaskedLM"], "model_type": "roberta", "vocab_size": t.get_vocab_size(), "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 72, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 98, "type_vocab_size": 1, "initializer_range": 0.02, "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0,
        "eos_token_id": 2,
    }
    hf = transformers()
    stack = ("roberta.encoder", "roberta.encoder.layer")
    texts = [masked(SHORT, "<mask>", "single"), masked(LONG, "<mask>", "Park", "replied")]
    encoder("roberta-mask", hf.RobertaForMaskedLM, config, texts, stack, t, SHARP, mask=t.token_to_id("<mask>"))
    encoder("roberta-classify", hf.RobertaForSequenceClassification, config | LABELS | {"architectures": ["RobertaForSequenceClassification"]},
            [SHORT, LONG, PAIR], stack, t, SHARP, seed=2)
    # With the settings of its tokenizer as released: the mask is an object there, and takes the blanks before it.
    t = tokens.byte_pairs("roberta-fill", size=300, words=words, kind="roberta", left=("<mask>",))
    texts += ["My dear<mask>", "<mask>  <mask>, you \n <mask> wife<mask>!"]
    c = encoder("roberta-fill", hf.RobertaForMaskedLM, config, texts, stack, t, SHARP, mask=t.token_to_id("<mask>"), seed=5,
                note="fills.json has what transformers' fill-mask makes of it")
    roles = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    flags = {"normalized": False, "rstrip": False, "single_word": False}
    settings = {role: {"__type": "AddedToken", "content": word, "lstrip": word == "<mask>", **flags} for role, word in roles.items()}
    settings |= {"add_prefix_space": False, "errors": "replace", "model_max_length": 96, "tokenizer_class": "RobertaTokenizer", "trim_offsets": True}
    (c.folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    fills(c, texts)


@family
def xlm_roberta():
    """As the multilingual sentence encoders (E5, BGE-M3) and rerankers: pieces, one score for a pair."""
    t = tokens.pieces("xlm-roberta", size=230, words=("<s>", "<pad>", "</s>", "<unk>", "<mask>"), single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>")
    config = {
        "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "vocab_size": t.get_vocab_size(), "hidden_size": 40, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 68, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 82, "type_vocab_size": 1, "initializer_range": 0.02, "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0,
        "eos_token_id": 2, "position_embedding_type": "absolute", "output_past": True, "use_cache": True,
    }
    hf = transformers()
    encoder("xlm-roberta", hf.XLMRobertaModel, config, [SHORT, LONG, "Où est la gare? 日本語"], ("encoder", "encoder.layer"), t, SHARP, seed=3)
    encoder("xlm-roberta-score", hf.XLMRobertaForSequenceClassification,
            config | {"architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
            [PAIR, (SHORT, LONG)], ("roberta.encoder", "roberta.encoder.layer"), t, SHARP, seed=4)


@family
def distilbert():
    """No types, no pooler; one head fills masks (vocab_transform), one classifies (pre_classifier, ReLU)."""
    t = tokens.word_piece("distilbert-mask")
    config = {
        "architectures": ["DistilBertForMaskedLM"], "model_type": "distilbert", "vocab_size": t.get_vocab_size(), "dim": 36, "hidden_dim": 70, "n_layers": 2,
        "n_heads": 3, "activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1, "max_position_embeddings": 80, "initializer_range": 0.02,
        "sinusoidal_pos_embds": False, "tie_weights_": True, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2,
    }
    hf = transformers()
    gains = {"q_lin": 1.8, "k_lin": 1.8}
    stack = ("distilbert.transformer", "distilbert.transformer.layer")
    encoder("distilbert-mask", hf.DistilBertForMaskedLM, config, [masked(SHORT, "[MASK]", "single"), masked(LONG, "[MASK]", "Park", "replied")], stack, t,
            gains, mask=t.token_to_id("[MASK]"))
    encoder("distilbert-classify", hf.DistilBertForSequenceClassification, config | LABELS | {"architectures": ["DistilBertForSequenceClassification"]},
            [SHORT, LONG], stack, t, gains, seed=2)


@family
def mpnet():
    """One table of relative positions, 32 buckets to distance 128, for all layers; positions start at pad + 1 as well."""
    t = tokens.word_piece("mpnet", words=("<s>", "<pad>", "</s>", "[UNK]", "<mask>"), begin="<s>", end="</s>", twice=True)
    config = {
        "architectures": ["MPNetModel"], "model_type": "mpnet", "vocab_size": t.get_vocab_size(), "hidden_size": 36, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 70, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 82, "relative_attention_num_buckets": 32, "initializer_range": 0.02, "layer_norm_eps": 1e-5, "pad_token_id": 1,
        "bos_token_id": 0, "eos_token_id": 2,
    }
    hf = transformers()
    gains = {"attn.q.": 1.8, "attn.k.": 1.8}
    encoder("mpnet", hf.MPNetModel, config, [SHORT, LONG, PAIR], ("encoder", "encoder.layer"), t, gains)
    encoder("mpnet-mask", hf.MPNetForMaskedLM, config | {"architectures": ["MPNetForMaskedLM"]},
            [masked(SHORT, "<mask>", "single"), masked(LONG, "<mask>", "Park", "replied")], ("mpnet.encoder", "mpnet.encoder.layer"), t, gains,
            mask=t.token_to_id("<mask>"), seed=2)


def deberta_v2_and_3():
    """Version 3 (xsmall and up), and version 2 with the convolution after the first layer (xlarge). Log buckets of distances; keys and queries
    of positions from the weights of the content's; tables normed."""
    t = tokens.pieces("deberta-v3", size=230, words=("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"), unknown="[UNK]", single="[CLS] $A [SEP]",
                      pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
    config = {
        "architectures": ["DebertaV2Model"], "model_type": "deberta-v2", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "hidden_size": 36, "initializer_range": 0.02, "intermediate_size": 70, "max_position_embeddings": 64, "relative_attention": True,
        "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-7,
        "max_relative_positions": -1, "position_biased_input": False, "num_attention_heads": 3, "num_hidden_layers": 3, "type_vocab_size": 0,
        "vocab_size": t.get_vocab_size(), "pad_token_id": 0,
    }
    hf = transformers()
    gains = {"query_proj": 1.8, "key_proj": 1.8}
    encoder("deberta-v3", hf.DebertaV2Model, config, [SHORT, LONG, PAIR], ("encoder", "encoder.layer"), t, gains)
    encoder("deberta-v3-classify", hf.DebertaV2ForSequenceClassification,
            config | LABELS | {"architectures": ["DebertaV2ForSequenceClassification"], "num_hidden_layers": 2, "pooler_dropout": 0, "pooler_hidden_act": "gelu",
                               "pooler_hidden_size": 36}, [SHORT, PAIR], ("deberta.encoder", "deberta.encoder.layer"), t, gains, seed=2)
    encoder("deberta-v3-mask", hf.DebertaV2ForMaskedLM, config | {"architectures": ["DebertaV2ForMaskedLM"], "num_hidden_layers": 2},
            [masked(SHORT, "[MASK]", "single"), masked(LONG, "[MASK]", "Park", "replied")], ("deberta.encoder", "deberta.encoder.layer"), t, gains,
            mask=t.token_to_id("[MASK]"), seed=3)
    encoder("deberta-v2-conv", hf.DebertaV2Model,
            config | {"conv_kernel_size": 3, "conv_act": "gelu", "position_buckets": 6, "max_position_embeddings": 48}, [SHORT, LONG],
            ("encoder", "encoder.layer"), t, gains, seed=4, note="layers.0 is what stands after the convolution")
    encoder("deberta-v2-plain", hf.DebertaV2Model,
            config | {"share_att_key": False, "pos_att_type": "c2p", "position_buckets": -1, "norm_rel_ebd": "none", "position_biased_input": True,
                      "type_vocab_size": 2, "max_position_embeddings": 72, "num_hidden_layers": 2}, [SHORT, LONG, PAIR], ("encoder", "encoder.layer"), t, gains,
            seed=5, types=True, note="own key weights for positions, one term, absolute positions at the start, segments, no buckets")


@family
def deberta():
    from transformers.models.deberta_v2 import modeling_deberta_v2

    with plain_sqrt(modeling_deberta_v2):
        deberta_v2_and_3()


@family
def modernbert():
    """No biases, norms without bias, the first layer without the norm before its attention; every third layer global, the others a window."""
    words = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    t = tokens.byte_pairs("modernbert-mask", size=290, words=words, kind="cls")
    config = {
        "architectures": ["ModernBertForMaskedLM"], "model_type": "modernbert", "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0, "classifier_pooling": "mean", "cls_token_id": 1,
        "decoder_bias": True, "embedding_dropout": 0.0, "eos_token_id": 2, "global_attn_every_n_layers": 3, "global_rope_theta": 1600.0,
        "hidden_activation": "gelu", "hidden_size": 32, "intermediate_size": 44, "layer_norm_eps": 1e-5, "local_attention": 8, "local_rope_theta": 100.0,
        "max_position_embeddings": 128, "mlp_bias": False, "norm_bias": False, "norm_eps": 1e-5, "num_attention_heads": 2, "num_hidden_layers": 4,
        "pad_token_id": 3, "sep_token_id": 2, "vocab_size": t.get_vocab_size(),
    }
    hf = transformers()
    gains = {"Wqkv": 1.5}
    encoder("modernbert-mask", hf.ModernBertForMaskedLM, config, [masked(SHORT, "[MASK]", "single"), masked(LONG, "[MASK]", "Park", "replied")],
            ("model", "model.layers"), t, gains, mask=t.token_to_id("[MASK]"))
    encoder("modernbert-classify", hf.ModernBertForSequenceClassification,
            config | LABELS | {"architectures": ["ModernBertForSequenceClassification"], "num_hidden_layers": 3}, [SHORT, LONG], ("model", "model.layers"), t,
            gains, seed=2)
    # As transformers 5 writes a config; with biases; one window that is odd.
    for key in ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "layer_norm_eps"):
        del config[key]
    config |= {"num_hidden_layers": 3, "layer_types": ["full_attention", "sliding_attention", "full_attention"], "local_attention": 7, "attention_bias": True,
               "mlp_bias": True, "norm_bias": True, "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1600.0},
                                                                       "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}
    encoder("modernbert-biases", hf.ModernBertModel, config | {"architectures": ["ModernBertModel"]}, [SHORT, LONG], ("", "layers"), t, gains, seed=3,
            note="a config of transformers 5; layers.1 sees 3 positions to each side")


@family
def nomic_bert():
    """config.json as nomic-embed-text has it; the original's own code (trust_remote_code) is transformers' nomic_bert today, which reads other
    keys: they are given to it here."""
    t = tokens.word_piece("nomic-bert")
    config = {
        "activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0, "causal": False, "embd_pdrop": 0.0,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-12, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "model_type": "nomic_bert", "n_embd": 36,
        "n_head": 3, "n_inner": 52, "n_layer": 2, "n_positions": 128, "parallel_block": False, "prenorm": False, "qkv_proj_bias": False, "resid_pdrop": 0.0,
        "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "type_vocab_size": 2, "use_rms_norm": False, "vocab_size": t.get_vocab_size(),
    }
    hf = transformers()
    own = hf.NomicBertConfig(vocab_size=t.get_vocab_size(), hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=52,
                             hidden_act="silu", max_position_embeddings=128, type_vocab_size=2, layer_norm_eps=1e-12,
                             rope_parameters={"rope_type": "default", "rope_theta": 1000.0})
    encoder("nomic-bert", hf.NomicBertModel, config, [SHORT, LONG], ("", "layers"), t, {"q_proj": 1.8, "k_proj": 1.8}, types=True, own_config=own)


@family
def xlnet():
    """Relative positions of both directions, segments told apart by same or other, mark at the end."""
    t = tokens.pieces("xlnet", size=220, words=("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"), single="$A:0 <sep>:0 <cls>:2",
                      pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2")
    config = {
        "architectures": ["XLNetLMHeadModel"], "model_type": "xlnet", "attn_type": "bi", "bi_data": False, "clamp_len": -1, "d_head": 12, "d_inner": 70,
        "d_model": 36, "dropout": 0.1, "end_n_top": 5, "ff_activation": "gelu", "initializer_range": 0.02, "layer_norm_eps": 1e-12, "mem_len": None,
        "n_head": 3, "n_layer": 3, "pad_token_id": 5, "reuse_len": None, "same_length": False, "start_n_top": 5, "summary_activation": "tanh",
        "summary_last_dropout": 0.1, "summary_type": "last", "summary_use_proj": True, "untie_r": True, "vocab_size": t.get_vocab_size(), "bos_token_id": 1,
        "eos_token_id": 2,
    }
    hf = transformers()
    gains = {"r_w_bias": 2.0, "r_r_bias": 2.0, "r_s_bias": 2.0, "rel_attn.q": 1.5, "rel_attn.k": 1.5, "rel_attn.r": 1.3, "seg_embed": 2.0}
    encoder("xlnet", hf.XLNetModel, config | {"architectures": ["XLNetModel"]}, [SHORT, LONG, PAIR], ("", "layer"), t, gains, types=True)
    encoder("xlnet-classify", hf.XLNetForSequenceClassification, config | LABELS | {"architectures": ["XLNetForSequenceClassification"], "n_layer": 2},
            [SHORT, PAIR], ("transformer", "transformer.layer"), t, gains, types=True, seed=2)
