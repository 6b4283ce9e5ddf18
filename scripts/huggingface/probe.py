"""Runs a model of transformers with everything taken out but its attention, and sees what q and k become and how scores are scaled.

Every linear layer, embedding and convolution is replaced by one whose output is noise that does not depend on the token, so that the query
of position 0 and the query of position p differ by the rotation alone; feed-forward blocks are replaced by the identity. What reaches the
attention function is recorded. So a whole model of default size, with its own choice of layers, is seen in a second without its weights.
"""

import contextlib
import importlib
import inspect
import math
import os
import re
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "goldens"))

import common  # noqa: F401  (a torchvision that does not fit must not stop transformers)
import torch
import transformers
import transformers.models
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

MODELS = Path(transformers.models.__file__).parent


def modules_of(prefix):
    """All modules of transformers whose name starts so, by folder and name."""
    found = {}
    for folder in sorted(MODELS.iterdir()):
        for file in sorted(folder.glob(f"{prefix}_*.py")):
            try:
                found[folder.name, file.stem] = importlib.import_module(f"transformers.models.{folder.name}.{file.stem}")
            except Exception:  # what is not installed (flax, detectron)
                continue
    return found


def classes_of(modules, base):
    return {(folder, name): value for (folder, _), module in modules.items() for name, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__}


# ------------------------------------------------------------------------------------------------ parts taken out

SEED = [0]


def noise(batch, width):
    """[batch, width] of ±1, other signs at each call of a run: norms leave them as they are, so that what is scaled shows."""
    SEED[0] += 1
    return torch.randint(0, 2, (batch, width), generator=torch.Generator().manual_seed(SEED[0])).float() * 2 - 1


class Linear(nn.Module):
    #: True: the output may be written to
    own = False

    def __init__(self, in_features=1, out_features=1, bias=True, *_, **__):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.bias = None

    @property
    def weight(self):
        return torch.zeros(1).expand(self.out_features, self.in_features)

    def forward(self, x, *_, **__):
        batch = x.shape[0] if x.dim() > 2 else 1
        made = noise(batch, self.out_features)
        out = made.view(batch, *[1] * (x.dim() - 2), self.out_features).expand(*x.shape[:-1], self.out_features) if x.dim() > 2 \
            else made.expand(*x.shape[:-1], self.out_features)
        return out.contiguous() if Linear.own else out


class Embedding(nn.Module):
    def __init__(self, num_embeddings=1, embedding_dim=1, padding_idx=None, *_, **__):
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx

    @property
    def weight(self):
        return torch.zeros(1).expand(self.num_embeddings, self.embedding_dim)

    def forward(self, x, *_, **__):
        return torch.ones(1).expand(*x.shape, self.embedding_dim)


class Conv1D(Linear):
    """GPT-2's linear layer: the widths the other way round."""

    def __init__(self, nf, nx):
        super().__init__(nx, nf)


class Identity(nn.Module):
    """In place of a feed-forward block."""

    def __init__(self, *_, **__):
        super().__init__()

    #: whether the block's caller expects a second value
    pair = False

    def forward(self, x=None, *_, hidden_states=None, **__):
        x = hidden_states if x is None else x
        return (x, None) if Identity.pair else x


LINEAR = nn.Linear
TAKEN_OUT = re.compile(r"(MLP|Mlp|Moe|MoE|MoeBlock|Experts|FeedForward|FFN)$|(Moe|MoE|MOE|Sparse\w*)(Block|Layer|Mlp|MLP)$|SparseMoeBlock|Router|Mixer$|GatedDeltaNet$|ShortConv$|RecurrentBlock$|LinearAttention$|DeltaAttention$|LightningAttention$|Mamba\\w*Layer$|GatedDeltaNet2?$")


@contextlib.contextmanager
def hollow(module):
    """While models are built: no weights."""
    saved = [(nn, "Linear", nn.Linear), (nn, "Embedding", nn.Embedding), (PreTrainedModel, "init_weights", PreTrainedModel.init_weights)]
    saved.append((nn.Embedding, "__init__", nn.Embedding.__init__))
    plain = nn.Embedding.__init__

    def small(self, num_embeddings, embedding_dim, padding_idx=None, *args, **kwargs):
        """Of embeddings with a class of their own, some rows."""
        plain(self, min(num_embeddings, 2048), embedding_dim, None, *args, **kwargs)

    nn.Embedding.__init__ = small
    nn.Linear, nn.Embedding, PreTrainedModel.init_weights = Linear, Embedding, lambda self, *_, **__: None
    if hasattr(module, "Conv1D"):
        saved.append((module, "Conv1D", module.Conv1D))
        module.Conv1D = Conv1D
    for name, value in list(vars(module).items()):
        if not (inspect.isclass(value) and issubclass(value, nn.Module)) or issubclass(value, PreTrainedModel):
            continue
        stub = Linear if issubclass(value, LINEAR) else Identity if TAKEN_OUT.search(name) else None
        if stub:
            saved.append((module, name, value))
            setattr(module, name, stub)
    try:
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


# ------------------------------------------------------------------------------------------------ what is recorded


class Seen:
    """One call of attention: q, k [B, H, T, D] as they are multiplied, and by what the product is."""

    def __init__(self, module, q, k, scale, additive=None):
        self.module, self.q, self.k, self.scale = module, q, k, scale


CALLS = []


def probe(module, query, key, value, attention_mask=None, scaling=None, dropout=0.0, **more):
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    CALLS.append(Seen(module, query.detach().clone(), key.detach().clone(), float(scale)))
    out = torch.zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[-1])
    return out, None


ALL_ATTENTION_FUNCTIONS.register("probe", probe)
ALL_MASK_ATTENTION_FUNCTIONS.register("probe", eager_mask)


class Products(TorchFunctionMode):
    """For attention that does not go through the interface: the last product before a softmax, and the softmax's argument."""

    NAMES = ("matmul", "bmm", "einsum", "baddbmm", "__matmul__")

    def __init__(self):
        super().__init__()
        self.last, self.found = None, []

    def __torch_function__(self, func, kinds, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "baddbmm" and "batch1" in kwargs:
            args = (args[0], kwargs["batch1"], kwargs["batch2"])
        if name in self.NAMES and torch.is_tensor(out) and out.dim() >= 3:
            self.last = (name, args, out.clone())
        elif name == "softmax" and self.last is not None and args[0].shape[-1] == self.last[2].shape[-1]:
            self.found.append((self.last, args[0].clone(), caller()))
            self.last = None
        elif name == "scaled_dot_product_attention":
            q, k = args[0], args[1] if len(args) > 1 else kwargs["key"]
            scale = kwargs.get("scale") or q.shape[-1] ** -0.5
            self.found.append((("sdpa", (q, k), None), scale, caller()))
        return out


def caller():
    """The attention module whose forward is running."""
    frame = sys._getframe(2)
    while frame:
        own = frame.f_locals.get("self")
        if isinstance(own, nn.Module) and re.search("Att", type(own).__name__) and not isinstance(own, PreTrainedModel):
            return own
        frame = frame.f_back
    return None


# --------------------------------------------------------------------------------------------------------- a run


def build(cls, config, module, attention="probe"):
    for part in [config, *[getattr(config, key, None) for key in getattr(config, "sub_configs", {})]]:
        if part is not None and not isinstance(part, dict):
            part._attn_implementation_internal = attention
    with hollow(module):
        return cls(config).eval()


def settle(model):
    """Whatever still has weights gets ones, and zeros for biases."""
    for name, p in model.named_parameters():
        if not p.requires_grad:  # a table of sines
            continue
        try:
            # TimesFM multiplies each channel by softplus(w), which is the weights' affair.
            p.data.fill_(0.0 if name.endswith("bias") else math.log(math.e - 1) if name.endswith("scaling") else 1.0)
        except RuntimeError:  # tied to the empty weight of a layer taken out
            p.data = torch.full(p.shape, 0.0 if name.endswith("bias") else 1.0)
    for name, m in model.named_modules():
        weight = getattr(m, "weight", None)
        if "Norm" in type(m).__name__ and isinstance(weight, nn.Parameter) and weight.dim() == 1:
            with contextlib.suppress(Exception):
                if float(m(torch.ones(1, 1, weight.numel())).mean()) > 1.5:  # norms of Gemma multiply by 1 + weight
                    weight.data.zero_()


def run(model, batch=2, tokens=8, positions=None, vocabulary=2):
    """All calls of attention for one pass over some tokens."""
    names = inspect.signature(model.forward).parameters
    ids = torch.zeros(batch, tokens, dtype=torch.long)
    given = {"input_ids": ids} if "input_ids" in names else {"inputs_embeds": torch.ones(batch, tokens, model.config.hidden_size)}
    if positions is not None and "position_ids" in names:
        given["position_ids"] = torch.tensor(positions)[None].expand(batch, -1)
    elif positions is not None:
        positions = None
    if "decoder_input_ids" in names:
        given["decoder_input_ids"] = ids
    if "use_cache" in names:
        given["use_cache"] = False
    CALLS.clear()
    SEED[0] = 0
    with torch.no_grad(), Products() as products:
        model(**given)
    return [*CALLS, *map(product, products.found)], positions


def product(found):
    """A product and the softmax after it, as if it had gone through the interface."""
    (name, args, out), scores, module = found
    if name == "sdpa":
        return Seen(module, args[0], args[1], scores)
    q, k = (args[1], args[2]) if name in ("einsum", "baddbmm") else (args[0], args[1])
    # Scores of position 0 over the batch: what is added to them is the same in each.
    heads = out.shape[1] if out.dim() == 4 else 1
    raw, seen = (x.reshape(2, -1, heads, *x.shape[-2:])[:, 0, :, 0, 0] if x.dim() == 4 else x[:, 0, 0].view(2, -1) for x in (out, scores))
    raw, seen = raw - raw.mean(0), seen - seen.mean(0)
    scale = float((raw * seen).sum() / (raw * raw).sum()) if float((raw * raw).sum()) else 0.0
    k = k.transpose(-1, -2) if name != "einsum" else k
    return Seen(module, q.detach().clone(), k.detach().clone(), scale)
