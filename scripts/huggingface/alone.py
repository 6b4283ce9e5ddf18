"""Attention modules on their own, for encoders of images and sound: head width and scale, by default and for other sizes.

    python3 scripts/huggingface/alone.py OUT [FOLDER …]
"""

import json
import os
import signal
import sys
import traceback

from facts import BY_WIDTHS
from golden import Late, late, size
from probe import *  # noqa: F403
from direct import product_of
from probe import CALLS, SEED, Products, classes_of, hollow, modules_of, settle


def attentions(C, module, siblings):
    """Classes of a module that attend and are made from this config."""
    for name, cls in vars(module).items():
        if not (inspect.isclass(cls) and issubclass(cls, nn.Module) and cls.__module__ == module.__name__ and re.search(r"(Attention|Attn)$", name)):
            continue
        if re.search("Cross|Indexer|Pool|Deform", name):
            continue
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        if C.model_type in BY_WIDTHS and parameters and not (re.search("Vision", C.model_type) and re.search("Text", name)):
            yield cls, parameters
            continue
        if not parameters or parameters[0].name != "config":
            continue
        said = parameters[0].annotation
        said = said if isinstance(said, str) else getattr(said, "__name__", str(said))
        if re.search(rf"\b{C.__name__}\b", said) or (said == "_empty" and len(siblings) == 1):
            yield cls, parameters


def observe_alone(cls, parameters, C, given, module):
    config = C(**given)
    config._attn_implementation_internal = "probe"
    width = next(w for w in (getattr(config, key, None) for key in ("hidden_size", "d_model", "embed_dim", "dim")) if isinstance(w, int))
    heads = getattr(config, "num_attention_heads", None)
    known = {"config": config, "embed_dim": width, "hidden_size": width, "num_heads": heads, "num_attention_heads": heads, "attention_type": "global"}
    more = {p.name: known[p.name] if known.get(p.name) is not None else 0 for p in parameters if p.name in ("layer_idx", "layer_id") or p.name in known
            or p.default is inspect.Parameter.empty and p.annotation is int}
    with hollow(module):
        model = cls(**more).eval()
    settle(model)
    names = inspect.signature(model.forward).parameters
    x = torch.ones(6, 4, width)
    inputs = {next(iter(names)): x}
    for name in names:
        if name in ("position_embeddings",):
            D = getattr(config, "head_dim", None) or width // config.num_attention_heads
            inputs[name] = (torch.ones(6, 4, D), torch.zeros(6, 4, D))
        elif name in GIVEN:
            inputs[name] = GIVEN[name](heads)
        elif name == "attention_mask" and re.search("Disentangled", cls.__name__):
            inputs[name] = torch.ones(6, 1, 4, 4, dtype=torch.bool)
        elif name not in inputs and names[name].default is inspect.Parameter.empty and names[name].kind not in (names[name].VAR_KEYWORD, names[name].VAR_POSITIONAL):
            inputs[name] = None
    CALLS.clear()
    SEED[0] = 0
    with torch.no_grad(), Products() as products:
        model(**inputs)
    calls = [c for c in [*CALLS, *(product_of(found, 6) for found in products.found)] if c.module is not None and c.q.shape[-1] == c.k.shape[-1]]
    if not calls:
        raise ValueError("no attention")
    call = calls[0]
    return {"D": call.q.shape[-1], "scale": round(call.scale * size(call.q, 1.0) * size(call.k, 1.0), 6), "module": cls.__name__, "at": {}}


# Inputs without which some modules do not run: all see all, nothing is added.
GIVEN = {
    "alibi": lambda heads: torch.zeros(6 * heads, 1, 4),
    "residual": lambda heads: torch.zeros(6, 4, 1),
    "position_bias": lambda heads: torch.zeros(heads, 4, 4),
}
# Configs that show what the usual ones do not.
MORE = {
    # Where this is false 5.18 divides by ⌊√D⌋.
    "imagegpt": [{"n_embd": 384, "n_head": 8, "reorder_and_upcast_attn": True}, {"n_embd": 128, "n_head": 8}, {"scale_attn_weights": False}],
    "lightglue": [{"descriptor_dim": 384, "num_attention_heads": 8}, {"descriptor_dim": 160, "num_attention_heads": 5}],
    "convbert": [{"head_ratio": 4}, {"num_attention_heads": 6, "head_ratio": 8}],
    # The positions' own terms, which are no part of the scale, stay away.
    "sew-d": [{"relative_attention": False, **more} for more in ({}, {"hidden_size": 384, "num_attention_heads": 8}, {"pos_att_type": ["c2p"]}, {"pos_att_type": []})],
    "deberta-v2": [{"pos_att_type": ["c2p", "p2c"]}, {"pos_att_type": ["c2p"]}],
    "wav2vec2-conformer": [{"position_embeddings_type": None}, {"hidden_size": 384, "num_attention_heads": 8, "position_embeddings_type": None},
                           {"hidden_size": 160, "num_attention_heads": 5, "position_embeddings_type": None}],
}
# And those with which modules do not run, or are as above.
WITHOUT = {"lightglue": {"hidden_size"}, "imagegpt": {"n_embd"}, "wav2vec2-conformer": {"", "hidden_size"}, "sew-d": {"", "hidden_size"}}


def sizes(C):
    called = getattr(C, "attribute_map", {})
    plain = C()
    fields = set(plain.to_dict())
    keys = [called.get(key, key) for key in ("hidden_size", "num_attention_heads")]
    keys = [key if key in fields else {"num_attention_heads": "num_heads", "hidden_size": "embed_dim"}.get(key, key) for key in keys]
    out = [{}]
    if all(key in fields for key in keys):
        out += [dict(zip(keys, (384, 8))), dict(zip(keys, (160, 5)))]
    out += [{key: 48} for key in ("head_dim", "attention_head_dim", "d_kv") if key in fields]
    return out


def main():
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    modules = modules_of("modeling")
    folders = sys.argv[2:]
    signal.signal(signal.SIGALRM, late)
    with open(sys.argv[1], "a") as out:
        for (folder, name), C in configs.items():
            if not C.model_type or (folders and folder not in folders):
                continue
            siblings = [c for (f, _), c in configs.items() if f == folder]
            entry = {"folder": folder, "type": C.model_type, "config": name, "cases": []}
            for (f, _), module in modules.items():
                if f != folder or entry["cases"]:
                    continue
                for cls, parameters in attentions(C, module, siblings):
                    cases = []
                    try:
                        without = WITHOUT.get(C.model_type, ())
                        for given in [*(g for g in sizes(C) if next(iter(g), "") not in without), *MORE.get(C.model_type, [])]:
                            try:
                                signal.alarm(10)
                                kind = observe_alone(cls, parameters, C, given, module)
                                cases.append({"given": given, "model": cls.__name__, "factor": 1.0, "layers": {"of": {"0": 0}, "kinds": [kind]}})
                            finally:
                                signal.alarm(0)
                    except (Exception, Late) as error:
                        at = traceback.extract_tb(error.__traceback__)[-1]
                        entry.setdefault("why", f"{cls.__name__}: {type(error).__name__}: {str(error)[:120]} ({os.path.basename(at.filename)}:{at.lineno})")
                    if cases:
                        entry["cases"] = cases
                        break
            out.write(json.dumps(entry) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
