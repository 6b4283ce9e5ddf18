"""Rotations and scales of every text model of transformers that turns q and k, for its default config and others: test/golden/huggingface.json.

    python3 scripts/huggingface/golden.py [FOLDER …]
"""

import collections
import json
import os
import signal
import sys
import traceback

from probe import *  # noqa: F403
from probe import CALLS, Identity, build, classes_of, modules_of, run, settle

import numpy as np

LAYERS = 8
POSITIONS = [0, 1, 2, 3, 40, 300, 1000]
OUT = Path(__file__).resolve().parents[2] / "test" / "golden" / "huggingface.json"
ROTARY = re.compile("rotary|rope|rotate_half|view_as_complex", re.I)


def pattern(D):
    """The vector that is turned."""
    return ((np.arange(D) * 37) % 64 - 31.5) / 32


def rows(x, at):
    """[N, D], the heads of the batch at a position."""
    return x[:, :, at].reshape(-1, x.shape[-1]).double()


def turned(q, at):
    """[D, D] that takes the query of position 0 to that of position number `at`, and by what residual."""
    a, b = rows(q, 0), rows(q, at)
    R = torch.linalg.lstsq(a, b).solution
    return R, float((a @ R - b).abs().max())


def layer_of(module, order):
    for key in ("layer_idx", "layer_id", "layer_index"):
        if isinstance(getattr(module, key, None), int):
            return getattr(module, key)
    return order


def observe(cls, C, kwargs, module):
    """Each layer's outcome: { D, scale, factor, at: { position: [D] } }."""
    for attention, Identity.pair in (("probe", False), ("probe", True), ("eager", False), ("eager", True)):
        try:
            config = C(**json.loads(json.dumps(kwargs)))
            model = build(cls, config, module, attention)
            settle(model)
            factors = []
            hooks = [m.register_forward_hook(lambda _, __, out: factors.append(out)) for m in model.modules()
                     if re.search("Rotary|Rope|RoPE", type(m).__name__)]
            places = POSITIONS
            try:
                calls, where = run(model, 6, len(places), places)
            except (IndexError, RuntimeError):  # fewer positions than that
                places = list(range(len(places)))
                calls, where = run(model, 6, len(places), places)
            calls = [c for c in calls if own(c)]
            if not calls:
                raise ValueError("no attention")
            need = max(-(-c.q.shape[-1] * 5 // (4 * c.q.shape[1])) for c in calls)
            if need > 6:
                calls = [c for c in run(model, need + need % 2, len(places), places)[0] if own(c)]
            break
        except Exception:
            if attention == "eager" and Identity.pair:
                raise
    where = where or list(range(len(POSITIONS)))
    magnitudes = set()
    for out in factors:
        pairs = list(out.values()) if isinstance(out, dict) else [out]
        for x in pairs:
            if isinstance(x, (tuple, list)) and len(x) == 2 and torch.is_tensor(x[0]):
                magnitudes.add(round(float(torch.sqrt(x[0].double() ** 2 + x[1].double() ** 2).max()), 4))
            elif torch.is_tensor(x) and x.is_complex():
                magnitudes.add(round(float(x.abs().max()), 4))
    if len(magnitudes) > 1:
        magnitudes.discard(1.0)
    factor = max(magnitudes, default=1.0)
    seen, known = {}, []
    for order, call in enumerate(calls):
        layer = layer_of(call.module, order)
        if layer in seen:
            continue
        D, places = call.q.shape[-1], (1, len(where) - 1)
        scale = round(call.scale * size(call.q, factor) * size(call.k, factor), 6)
        for other in known:
            if (other["D"], other["scale"], other["module"]) == (D, scale, type(call.module).__name__) and all(
                    float((rows(call.q, 0) @ R - rows(call.q, i)).abs().max()) < 1e-4 for i, R in zip(places, other["R"])):
                outcome = other
                break
        else:
            outcome = {"D": D, "scale": scale, "module": type(call.module).__name__, "R": [], "at": {}}
            for i in places:
                R, residual = turned(call.q, i)
                if residual > 1e-4:
                    raise ValueError(f"layer {layer} is no linear function of its query: {residual}")
                outcome["R"].append(R)
                outcome["at"][where[i]] = torch.round(torch.tensor(pattern(D)) @ R * 8192).int().tolist()
                far = float((rows(call.k, 0) @ R - rows(call.k, i)).abs().max())
                if far > 1e-3:
                    outcome["kDiffers"] = far
            known.append(outcome)
        seen[layer] = next(n for n, other in enumerate(known) if other is outcome)
    for outcome in known:
        outcome.pop("R")
    return {"of": seen, "kinds": known}, factor, config


def own(call):
    return (call.module is not None and call.q.shape[-2] == call.k.shape[-2] and call.q.shape[-1] == call.k.shape[-1]
            and not re.search("Cross|Indexer|Vision|Audio", type(call.module).__name__))


def size(x, factor):
    """What ±1 has become before it was turned."""
    each = torch.sqrt((rows(x, 0) ** 2).mean(0))
    low, high = float(each.min()), float(each.max())
    still = float((rows(x, 0) - rows(x, -1)).abs().max()) < 1e-6
    if factor == 1 or still:
        return float(torch.sqrt((rows(x, 0) ** 2).mean()))
    if abs(high / low - max(factor, 1 / factor)) < 1e-3:  # only some channels turn
        return low if factor > 1 else high
    return float(torch.sqrt((rows(x, 0) ** 2).mean())) / factor


def made_global(config):
    """A config of which widths that differ by layer may be read all the same."""
    config.allow_global_per_layer_attribute_access = True
    return config


def variants(C):
    """Configs as they stand in a config.json, without the model type."""
    try:
        plain = C()
    except Exception:
        return [{}]
    fields = set(plain.to_dict())
    small = {"num_hidden_layers": LAYERS} if isinstance(getattr(plain, "num_hidden_layers", None), int) and C.__name__ not in WHOLE else {}
    if "head_dim" in fields and getattr(made_global(plain), "head_dim", None) is None and isinstance(getattr(plain, "hidden_size", None), int):
        small["head_dim"] = plain.hidden_size // plain.num_attention_heads
    if "num_key_value_heads" in fields and plain.num_key_value_heads is None and isinstance(getattr(plain, "num_attention_heads", None), int):
        small["num_key_value_heads"] = plain.num_attention_heads
    M = 64
    rope = getattr(plain, "rope_parameters", None)
    out = [{}]
    if rope is not None or "rope_theta" in fields:
        out += [
            {"rope_theta": 54321.0},
            {"rope_scaling": {"rope_type": "linear", "factor": 3.0}, "rope_theta": 3000.0},
            {"rope_scaling": {"type": "dynamic", "factor": 4.0}, "max_position_embeddings": M},
            {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": M, "beta_fast": 8, "mscale": 1.0, "mscale_all_dim": 0.5},
             "max_position_embeddings": 4 * M},
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": M}},
            {"partial_rotary_factor": 0.5, "rope_theta": 20000.0},
            {"rope_parameters": {"rope_type": "default", "rope_theta": 7000.0, "partial_rotary_factor": 0.5}},
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 7000.0, "partial_rotary_factor": 0.5}},
        ]
        labels = sorted(set(getattr(plain, "layer_types", None) or ()) & {"full_attention", "sliding_attention", "chunked_attention"})
        if rope and all(isinstance(x, dict) for x in rope.values()):
            out.append({"rope_parameters": {label: {**params, "rope_theta": 1000.0 * (i + 3)} for i, (label, params) in enumerate(sorted(rope.items()))}})
    out.append({"head_dim": 48})
    called = getattr(C, "attribute_map", {})
    out.append({called.get(key, key): value for key, value in (("hidden_size", 384), ("num_attention_heads", 8), ("num_key_value_heads", 4))
                if called.get(key, key) in fields})
    out.append({called.get(key, key): value for key, value in (("hidden_size", 320), ("num_attention_heads", 5), ("num_key_value_heads", 5),
                                                              ("decoder_attention_heads", 5)) if called.get(key, key) in fields})
    if "decoder_attention_heads" in fields:  # both as wide
        out.append({called.get("hidden_size", "hidden_size"): 384, called.get("num_attention_heads", "num_attention_heads"): 8, "decoder_attention_heads": 8})
    if {"rotary_dim", "n_embd", "n_head"} <= fields:
        out.append({"n_embd": 512, "n_head": 4, "rotary_dim": 32})
    if {"qk_rope_head_dim", "qk_nope_head_dim"} <= fields:
        out.append({"qk_rope_head_dim": 32, "qk_nope_head_dim": 16})
    for key in ("sliding_window_pattern", "full_attention_interval", "global_attn_every_n_layers", "no_rope_layer_interval", "max_window_layers"):
        try:
            if getattr(C(**{key: 3, "num_hidden_layers": 12}), "layer_types", 0) != getattr(C(num_hidden_layers=12), "layer_types", 0) or key in fields:
                out.append({key: 3})
        except Exception:
            pass
    if getattr(plain, "layer_types", None):
        kinds = sorted(set(plain.layer_types))
        if len(kinds) > 1:
            out.append({"layer_types": [kinds[i // 2 % len(kinds)] for i in range(LAYERS)]})
    for key, value in (("attention_multiplier", 0.03), ("query_pre_attn_scalar", 100), ("scale_attn_by_inverse_layer_idx", True), ("position_embedding_type", "nope"),
                       ("rotary_dim", 16), ("rotary_pct", 0.5), ("rotary_emb_base", 500.0), ("rope_local_base_freq", 700.0), ("global_rope_theta", 900.0),
                       ("local_rope_theta", 800.0), ("compress_rope_theta", 600.0), ("no_rope_layers", [0, 1] * (LAYERS // 2)), ("rope_interleave", False),
                       ("layer_rope_theta", [500.0, 0, 900.0, 0] * (LAYERS // 4)), ("use_sliding_window", True), ("sliding_window", None), ("global_head_dim", 96),
                       ("scaling_attention", 0.1), ("attention_dropout", 0.0)):
        if key in fields and key != "attention_dropout":
            out.append({key: value})
    if C.__name__ in LONG:
        pairs = plain.hidden_size // plain.num_attention_heads // 2
        for trained in LONG[C.__name__]:
            scaling = {"type": "longrope", "short_factor": [1 + n / 64 for n in range(pairs)], "long_factor": [2 + n / 8 for n in range(pairs)]}
            if C.__name__ == "PhimoeConfig":
                scaling |= {"short_mscale": 1.25, "long_mscale": 1.5, "original_max_position_embeddings": trained}
                out.append({"rope_scaling": scaling})
            else:
                out.append({"rope_scaling": scaling, "original_max_position_embeddings": trained, "max_position_embeddings": 4 * trained})
    return [{**small, **v} for v in out]


# LongRoPE, within and beyond the trained length. PhiMoE's class keeps to the short factors beyond it, against Microsoft's own code: only within.
LONG = {"Phi3Config": [4096, 64], "PhimoeConfig": [4096]}


WHOLE = {"NemotronHConfig", "Zamba2Config"}


class Late(BaseException):
    pass


def late(*_):
    raise Late("took too long")


def folder_cases(folder, configs, models, modules):
    """For each config class of a folder: model, default and other configs, outcomes or why not."""
    signal.signal(signal.SIGALRM, late)
    results = []
    for (f, name), C in configs.items():
        if f != folder or re.search("Vision|Audio|Vocoder|Codec|VQVAE", name):
            continue
        own_models = [m for (g, _), m in models.items() if getattr(m, "config_class", None) is C and "PreTrained" not in m.__name__]
        own_models.sort(key=lambda m: ("For" in m.__name__, len(m.__name__)))
        entry = {"type": C.model_type, "config": name, "cases": [], "why": "no model class"}
        for m in own_models[:3]:
            for number, kwargs in enumerate(variants(C)):
                try:
                    signal.alarm(8)
                    seen, factors, _ = observe(m, C, kwargs, modules[m.__module__])
                    signal.alarm(0)
                    entry["cases"].append({"given": kwargs, "model": m.__name__, "factor": factors, "layers": seen})
                except BaseException as error:
                    signal.alarm(0)
                    at = traceback.extract_tb(error.__traceback__)[-1]
                    entry["cases"].append({"given": kwargs, "model": m.__name__, "error": f"{type(error).__name__}: {str(error)[:150]}", "at": f"{os.path.basename(at.filename)}:{at.lineno}"})
                    if number == 2 and not any("layers" in case for case in entry["cases"]):
                        break
            if any("layers" in c for c in entry["cases"]):
                entry.pop("why", None)
                entry["cases"] = [c for c in entry["cases"] if c["model"] == m.__name__]
                break
        results.append(entry)
    return results


def main():
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    found = modules_of("modeling")
    models = classes_of(found, PreTrainedModel)
    modules = {m.__name__: m for m in found.values()}
    folders = sys.argv[2:] or sorted({f for (f, _), m in found.items() if ROTARY.search(Path(m.__file__).read_text())})
    out = open(sys.argv[1], "a")
    for folder in folders:
        r, w = os.pipe()
        child = os.fork()
        if not child:
            try:
                text = json.dumps(folder_cases(folder, configs, models, modules))
            except BaseException as error:
                text = json.dumps([{"type": folder, "cases": [], "why": repr(error)}])
            with os.fdopen(w, "w") as pipe:
                pipe.write(text)
            os._exit(0)
        os.close(w)
        with os.fdopen(r) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        for entry in json.loads(text or "[]"):
            out.write(json.dumps({"folder": folder, **entry}) + "\n")
            out.flush()
            good = [c for c in entry["cases"] if "layers" in c]
            print(folder, entry["type"], len(good), "of", len(entry["cases"]), entry.get("why", ""), flush=True)


if __name__ == "__main__":
    main()
