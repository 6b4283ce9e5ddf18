"""What sentence-transformers has beside a model: layers behind the pooling; a decoder that embeds. Needs `pip install sentence-transformers`."""

import json

import numpy as np
import torch
import tokens
from checkpoint import decoder, encoder, forward, seed_all
from common import array, float64, save
from decoders import llama_like
from encoders import LONG, SHARP, SHORT, transformers
from safetensors.torch import save_file

ALL = []
TEXTS = [SHORT, LONG]


def family(make):
    ALL.append(make)
    return make


def written(folder, path, files):
    (folder / path).mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / path / name).write_text(json.dumps(value, indent=1) + "\n")


def modules(folder, *kinds):
    """modules.json: paths and what is in them."""
    listed = [{"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"} for n, (path, kind) in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(listed, indent=1) + "\n")


@family
def bert_dense():
    """The mean of the rows, tanh of a layer with bias that makes 20 of 36, a layer without bias or activation that makes 24 of them, length 1."""
    from sentence_transformers import __version__
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

    t = tokens.word_piece("bert-dense")
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": t.get_vocab_size(), "hidden_size": 36, "num_hidden_layers": 1,
        "num_attention_heads": 3, "intermediate_size": 76, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 80, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "position_embedding_type": "absolute", "classifier_dropout": None,
    }
    c = encoder("bert-dense", transformers().BertModel, config, TEXTS, ("encoder", "encoder.layer"), t, SHARP, types=True, seed=7,
                note="vectors.safetensors has what follows the pooling")
    forms = {
        "2_Dense": {"in_features": 36, "out_features": 20, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"},
        "3_Dense": {"in_features": 20, "out_features": 24, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"},
    }
    layers = [
        Dense(36, 20, activation_function=torch.nn.Tanh()),
        Dense(20, 24, bias=False, activation_function=torch.nn.Identity()),
    ]
    modules(c.folder, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Dense", "Dense"), ("4_Normalize", "Normalize"))
    written(c.folder, "1_Pooling", {"config.json": {"word_embedding_dimension": 36, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
                                                    "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}})
    for seed, (layer, (path, form)) in enumerate(zip(layers, forms.items())):
        seed_all(layer, 70 + seed, {})
        written(c.folder, path, {"config.json": form})
        save_file({name: x.half() for name, x in layer.state_dict().items()}, c.folder / path / "model.safetensors", metadata={"format": "pt"})
        (c.folder / path / "model.safetensors").chmod(0o644)
    pooling = Pooling(36, pooling_mode="mean")
    vectors, errors = {}, []
    for n, text in enumerate(TEXTS):
        encoding = c.encode(text)
        mask = torch.ones(1, len(encoding.ids), dtype=torch.long)
        inputs = {"input_ids": torch.tensor([encoding.ids]), "attention_mask": mask, "token_type_ids": torch.tensor([encoding.type_ids])}
        both = []
        for model, kind in ((c.model, torch.float32), (c.double, torch.float64)):
            seen, _ = forward(model, [("", "encoder", "encoder.layer")], inputs)
            with float64() if kind == torch.float64 else torch.no_grad():
                features = pooling({"token_embeddings": seen["hidden"][None], "attention_mask": mask})
                for layer in layers:
                    features = layer.to(kind)(features)
                plain = features["sentence_embedding"][0].detach()
                both.append((plain, Normalize()(features)["sentence_embedding"][0].detach()))
        for name, x, y in zip(("plain", "normalized"), *both):
            vectors[f"{n}.{name}"] = array(y, np.float64).astype(np.float32)
            errors.append(float((x.double() - y).abs().max()))
    says = {"source": f"sentence-transformers {__version__}", "error": f"{max(errors):.2g}"}
    save(c.folder / "vectors.safetensors", vectors, says)
    print(f"bert-dense vectors: error {max(errors):.1e}")


@family
def qwen3_embedding():
    """A decoder that embeds (Qwen3-Embedding, E5-mistral): the row of the last token, which the tokenizer appends, of length 1; an instruction
    before what is searched with. Weights are named as released, without the prefix of the language model."""
    from sentence_transformers import SentenceTransformer, __version__
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    name, end = "qwen3-embedding", "<|endoftext|>"
    t = tokens.template(tokens.byte_pairs(name, words=(end, "<|im_start|>", "<|im_end|>")), f"$A {end}", f"$A:0 $B:1 {end}:1")
    config = llama_like("Qwen3ForCausalLM", "qwen3", t, attention_bias=False, rope_scaling=None, use_sliding_window=False, sliding_window=None, max_window_layers=2,
                        rope_theta=1000000, bos_token_id=0, eos_token_id=0, num_hidden_layers=2, tie_word_embeddings=True)
    c = decoder(name, transformers().Qwen3ForCausalLM, config, TEXTS, ("model", "model.layers"), t, {"q_norm": 2.0, "k_norm": 2.0}, ends=[0, 2], strip="model.",
                note="vectors.safetensors has what sentence-transformers makes of it")
    modules(c.folder, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    ways = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    written(c.folder, "1_Pooling", {"config.json": {"word_embedding_dimension": 36, **{f"pooling_mode_{way}": way == "lasttoken" for way in ways}, "include_prompt": True}})
    ask = "Instruct: Find what answers the question\nQuery:"
    written(c.folder, "", {"config_sentence_transformers.json": {"prompts": {"query": ask, "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
                           "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": end, "eos_token": end, "model_max_length": 131072}})
    pooling, vectors, errors = Pooling(36, pooling_mode="lasttoken"), {}, []
    asked = [("plain", ""), ("query", ask)]
    for n, text in enumerate(TEXTS):
        for kind, before in asked:
            inputs = {"input_ids": torch.tensor([c.encode(before + text).ids])}
            both = []
            for model, number in ((c.model, torch.float32), (c.double, torch.float64)):
                seen, _ = forward(model, [("", "model", "model.layers")], inputs)
                with float64() if number == torch.float64 else torch.no_grad():
                    features = pooling({"token_embeddings": seen["hidden"][None], "attention_mask": torch.ones_like(inputs["input_ids"])})
                    both.append(Normalize()(features)["sentence_embedding"][0].detach())
            vectors[f"{n}.{kind}"] = array(both[1], np.float64).astype(np.float32)
            errors.append(float((both[0].double() - both[1]).abs().max()))
    # Rows of a model whose config says that they see both ways (gte-Qwen2).
    rows = []
    for model in (c.model, c.double):
        model.config.is_causal = False
        rows.append(forward(model, [("", "model", "model.layers")], {"input_ids": torch.tensor([c.encode(SHORT).ids])})[0]["hidden"])
    vectors["0.both"] = array(rows[1], np.float64).astype(np.float32)
    both = float((rows[0].double() - rows[1]).abs().max())
    # The folder as it is, both texts in a batch, the shorter one padded.
    whole = SentenceTransformer(str(c.folder), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
    for kind, _ in asked:
        found = whole.encode(TEXTS, prompt_name=None if kind == "plain" else kind)
        for n, vector in enumerate(found):
            assert np.abs(vector - vectors[f"{n}.{kind}"]).max() < 5 * max(errors), (kind, n, np.abs(vector - vectors[f"{n}.{kind}"]).max())
    save(c.folder / "vectors.safetensors", vectors, {"source": f"sentence-transformers {__version__}", "error": f"{max(errors):.2g}", "both": f"{both:.2g}"})
    print(f"{name} vectors: error {max(errors):.1e}, of rows that see both ways {both:.1e}")
