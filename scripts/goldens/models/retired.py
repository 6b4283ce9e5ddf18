"""Transformer-XL, which left transformers with version 5. Its layers, embeddings and softmax are taken from the source of 4.57.6, as `older.py`
in the folder above says; how a model strings them together is written down here.

    pip install --no-deps --target <folder> transformers==4.57.6
    RELPOS_TRANSFORMERS_4=<folder> python scripts/goldens/models/make.py transformer_xl

Without the variable these checkpoints are left alone."""

from types import SimpleNamespace

import older
import torch
import tokens
from checkpoint import decoder
from encoders import LONG, SHORT
from own import Own
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

SOURCE = "deprecated/transfo_xl/modeling_transfo_xl.py"


def parts():
    names = ["PositionalEmbedding", "PositionwiseFF", "RelPartialLearnableMultiHeadAttn", "RelPartialLearnableDecoderLayer", "AdaptiveEmbedding"]
    (softmax,) = older.classes("deprecated/transfo_xl/modeling_transfo_xl_utilities.py", ["ProjectedAdaptiveLogSoftmax"])
    return *older.classes(SOURCE, names), softmax


class Body(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        positions, _, _, layer, embedding, _ = parts()
        self.c = c
        self.word_emb = embedding(c.vocab_size, c.d_embed, c.d_model, c.cutoffs, div_val=c.div_val)
        self.layers = torch.nn.ModuleList(
            layer(c.n_head, c.d_model, c.d_head, c.d_inner, 0.0, dropatt=0.0, pre_lnorm=c.pre_lnorm, layer_norm_epsilon=c.layer_norm_epsilon)
            for _ in range(c.n_layer))
        self.pos_emb = positions(c.d_model)
        self.pos_emb._non_persistent_buffers_set.add("inv_freq")

    def forward(self, input_ids):
        """The first segment of a text. Version 4 puts mem_len rows of zeros before it, which are seen."""
        c, x = self.c, self.word_emb(input_ids.T.contiguous())
        length, memory = len(x), c.mem_len
        before = x.new_zeros(memory, 1, c.d_model) if memory else None
        every = torch.ones(length, memory + length, dtype=torch.bool)
        hidden = every.triu(1 + memory)
        if c.same_length:  # each row sees mem_len keys before itself
            hidden = hidden | every.tril(0)
        at = torch.arange(memory + length - 1, -1, -1).to(x.dtype)
        r = self.pos_emb(at.clamp(max=c.clamp_len) if c.clamp_len > 0 else at)
        for layer in self.layers:
            x = layer(x, r, dec_attn_mask=hidden[:, :, None], mems=before)[0]
        return BaseModelOutput(last_hidden_state=x.transpose(0, 1).contiguous())


class TransformerXL(Own):
    source = "transformers 4.57.6 TransfoXLLMHeadModel"

    def __init__(self, c):
        super().__init__()
        self.transformer = Body(c)
        self.crit = parts()[-1](c.vocab_size, c.d_embed, c.d_model, c.cutoffs, div_val=c.div_val)
        for own, theirs in zip(self.crit.out_layers, self.transformer.word_emb.emb_layers):
            own.weight = theirs.weight
        for i, tied in enumerate([False] + [c.proj_share_all_but_first] * len(c.cutoffs)):
            if tied and c.div_val != 1:
                self.crit.out_projs[i] = self.transformer.word_emb.emb_projs[i]

    def forward(self, input_ids, use_cache=None):
        x = self.transformer(input_ids).last_hidden_state
        return CausalLMOutput(logits=self.crit(x).reshape(1, -1, self.transformer.c.vocab_size))


def transformer_xl():
    t = tokens.byte_pairs("transformer-xl", words=("<unk>", "<eos>"), size=280)
    config = {
        "architectures": ["TransfoXLLMHeadModel"], "model_type": "transfo-xl", "adaptive": True, "attn_type": 0, "clamp_len": 25, "cutoffs": [90, 170],
        "d_embed": 32, "d_head": 12, "d_inner": 56, "d_model": 32, "div_val": 2, "dropatt": 0.0, "dropout": 0.1, "eos_token_id": 1, "init": "normal",
        "init_range": 0.01, "init_std": 0.02, "layer_norm_epsilon": 1e-5, "mem_len": 0, "n_head": 3, "n_layer": 3, "pre_lnorm": False,
        "proj_init_std": 0.01, "proj_share_all_but_first": True, "same_length": False, "tie_weight": True, "untie_r": True, "vocab_size": t.get_vocab_size(),
        "sample_softmax": -1,
    }
    # Layers that outweigh the embeddings, which are tied to the output.
    gains = {"emb_layers": 0.1, "qkv_net": 1.6, "r_net": 1.3, "r_w_bias": 2.0, "r_r_bias": 2.0, "o_net": 1.5, "CoreNet": 1.5}
    also = {"transformer.pos_emb.inv_freq": 1 / (10000 ** (torch.arange(0, 32, 2.0) / 32))}

    def make(name, note, **more):
        own = config | more
        decoder(name, TransformerXL, own, [SHORT, LONG], ("transformer", "transformer.layers"), t, gains, ends=[1], also=also, note=note,
                own_config=SimpleNamespace(**own))

    make("transformer-xl", "no memory; distances are clamped at 25; three clusters of tokens, widths 32, 16 and 8; logits are log-probabilities")
    make("transformer-xl-memory", "16 rows of zeros stand before a text and are seen; each row sees 16 before itself; distances are clamped at 12; one cluster",
         mem_len=16, same_length=True, clamp_len=12, cutoffs=[], div_val=1, n_layer=2, pre_lnorm=True)


ALL = [transformer_xl] if older.FOLDER else []
