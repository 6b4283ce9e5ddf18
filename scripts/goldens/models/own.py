"""Modules of our own, for a model that transformers has no code of: jina v2 comes with its code on the hub."""

import math
from types import SimpleNamespace

import torch
import tokens
from checkpoint import encoder
from encoders import LONG, PAIR, SHORT
from safetensors.torch import load_file, save_file
from transformers.modeling_outputs import BaseModelOutputWithPooling


ALL = []


class Own(torch.nn.Module):
    """What the checkpoints ask of a model: to be written and to be read."""

    def save_pretrained(self, folder):
        own = {name: x.contiguous() for name, x in self.state_dict().items()}
        first = {x.data_ptr(): name for name, x in reversed(own.items())}  # a tied tensor once
        save_file({name: x for name, x in own.items() if first[x.data_ptr()] == name}, f"{folder}/model.safetensors", metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, folder, config, **_):
        model = cls(config)
        read = {name: x.float() for name, x in load_file(folder / "model.safetensors").items()}
        missing, _ = model.load_state_dict(read, strict=False)
        tied = {id(x): name for name, x in model.state_dict(keep_vars=True).items() if name in read}
        assert all(id(model.state_dict(keep_vars=True)[name]) in tied for name in missing), missing
        return model


def named(**modules):
    return torch.nn.ModuleDict(modules)


class JinaLayer(torch.nn.Module):
    """BERT's layer with ALiBi to both sides, -slope |j - i| after the scale, and a gated MLP: the first half of gated_layers through GELU
    times the second, then wo; the sum with what came in is normed, after attention and after the MLP."""

    def __init__(self, c):
        super().__init__()
        d, inner = c.hidden_size, c.intermediate_size
        linear, norm = torch.nn.Linear, torch.nn.LayerNorm
        own = named(query=linear(d, d), key=linear(d, d), value=linear(d, d))
        self.attention = named(self=own, output=named(dense=linear(d, d), LayerNorm=norm(d, eps=c.layer_norm_eps)))
        self.mlp = named(gated_layers=linear(d, 2 * inner, bias=False), wo=linear(inner, d), layernorm=norm(d, eps=c.layer_norm_eps))
        self.heads = c.num_attention_heads

    def forward(self, x, bias):
        own, output = self.attention["self"], self.attention["output"]
        q, k, v = (own[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = output["LayerNorm"](output["dense"](mixed) + x)
        gate, up = self.mlp["gated_layers"](x).chunk(2, dim=-1)
        return self.mlp["layernorm"](self.mlp["wo"](torch.nn.functional.gelu(gate) * up) + x)


def slopes(heads):
    """2^(-8 n / heads) for a power of two; else those of the next smaller one, and then every other one of twice as many."""
    whole = 2 ** int(math.log2(heads))
    return [2 ** (-8 * (n + 1) / whole) for n in range(whole)] + [2 ** (-8 * (n + 1) / (2 * whole)) for n in range(0, 2 * (heads - whole), 2)]


class JinaBert(Own):
    source = "a module of our own, after the architecture of jina-embeddings-v2 (ALiBi as Press et al., GEGLU as Shazeer)"

    def __init__(self, c):
        super().__init__()
        d = c.hidden_size
        self.embeddings = named(word_embeddings=torch.nn.Embedding(c.vocab_size, d), token_type_embeddings=torch.nn.Embedding(c.type_vocab_size, d),
                                LayerNorm=torch.nn.LayerNorm(d, eps=c.layer_norm_eps))
        self.encoder = named(layer=torch.nn.ModuleList(JinaLayer(c) for _ in range(c.num_hidden_layers)))
        self.pooler = named(dense=torch.nn.Linear(d, d))
        self.heads = c.num_attention_heads

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        e = self.embeddings
        x = e["LayerNorm"](e["word_embeddings"](input_ids) + e["token_type_embeddings"](token_type_ids))
        at = torch.arange(input_ids.shape[1])
        bias = -torch.tensor(slopes(self.heads), dtype=x.dtype)[:, None, None] * (at[None, :] - at[:, None]).abs()
        for layer in self.encoder["layer"]:
            x = layer(x, bias)
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=torch.tanh(self.pooler["dense"](x[:, 0])))


def jina_v2():
    t = tokens.word_piece("jina-v2")
    config = {
        "model_max_length": 128, "architectures": ["JinaBertForMaskedLM"], "attention_probs_dropout_prob": 0.0, "classifier_dropout": None,
        "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 40, "initializer_range": 0.02,
        "intermediate_size": 52, "layer_norm_eps": 1e-12, "max_position_embeddings": 128, "model_type": "bert", "num_attention_heads": 5,
        "num_hidden_layers": 2, "pad_token_id": 0, "position_embedding_type": "alibi", "torch_dtype": "float16", "type_vocab_size": 2, "use_cache": True,
        "vocab_size": t.get_vocab_size(), "feed_forward_type": "geglu", "emb_pooler": "mean", "attn_implementation": "torch",
    }
    encoder("jina-v2", JinaBert, config, [SHORT, LONG, PAIR], ("", "encoder.layer"), t, {"query": 1.8, "key": 1.8}, types=True,
            own_config=SimpleNamespace(**config))


ALL.append(jina_v2)
