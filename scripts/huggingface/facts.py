"""From config classes and from what `golden.py` saw, the table of model types in src/huggingface/models.ts."""

import base64
import collections
import copy
import dataclasses
import inspect
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
from golden import pattern
from probe import PreTrainedConfig, classes_of, modules_of, transformers

GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden" / "huggingface.json"
OUT = Path(__file__).resolve().parents[2] / "src" / "huggingface" / "models.ts"
PLAIN_THETA = 10000


def made(C, **given):
    try:
        return C(**copy.deepcopy(given))
    except Exception:
        return None


def rope(C, **given):
    return getattr(made(C, **given), "rope_parameters", None)


def places(value, wanted, path=()):
    """Under which labels a value stands in rope parameters."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in places(inner, wanted, (*path, key))]
    return [path[:-1]] if value == wanted else []


def is_nested(parameters):
    return bool(parameters) and all(isinstance(value, dict) for value in parameters.values())


# ------------------------------------------------------------------------------------------------ what golden.py saw


def turned_as(D, at, factor=1.0):
    """Layout, width and start that explain outcomes { position: [D] }, and the sense; None: not turned. Raises if nothing explains them."""
    v = pattern(D)
    ys = [np.array(y) / 8192 for _, y in sorted(at.items(), key=lambda item: int(item[0]))]
    if all(np.abs(y - v).max() < 2e-3 for y in ys):
        return None
    for width in range(2, D + 1, 2):
        for start in {0, D - width}:
            for layout in ("halves", "pairs"):
                i = np.arange(width // 2)
                a, b = (start + i, start + i + width // 2) if layout == "halves" else (start + 2 * i, start + 2 * i + 1)
                inside = np.zeros(D, bool)
                inside[a] = inside[b] = True
                if all(np.abs(y - v)[~inside].max(initial=0) < 2e-3 and
                       np.abs(y[a] ** 2 + y[b] ** 2 - v[a] ** 2 - v[b] ** 2).max() < 4e-3 for y in ys):
                    first = ys[0]
                    angle = math.atan2(first[b[0]] * v[a[0]] - first[a[0]] * v[b[0]], first[a[0]] * v[a[0]] + first[b[0]] * v[b[0]])
                    return {"layout": layout, "width": width, "start": "end" if start else 0, "sense": "-" if angle < 0 else "+"}
    raise ValueError("no rotation")


class Saw:
    """The cases of a config class."""

    def __init__(self, entry):
        self.needed = {"num_hidden_layers", *entry.get("needed", [])}
        self.cases = [case for case in entry.get("cases", []) if "layers" in case and not case.get("axes")]

    def find(self, **given):
        for case in self.cases:
            rest = {key: value for key, value in case["given"].items() if key not in self.needed or key in given}
            if rest == given:
                return case
        return None

    def having(self, *keys):
        return next((case for case in self.cases if set(keys) <= set(case["given"])), None)

    @property
    def first(self):
        return self.cases[0] if self.cases else None


def kinds(case):
    return [case["layers"]["kinds"][n] for n in dict.fromkeys(case["layers"]["of"].values())]


def rotation(case):
    for kind in kinds(case):
        found = turned_as(kind["D"], kind["at"])
        if found:
            return found | {"D": kind["D"]}
    return None


# --------------------------------------------------------------------------------------------------- one type's facts


def number(value):
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def widths(C, saw, fields, defaults):
    called = getattr(C, "attribute_map", {})
    facts = {}
    hidden, heads = called.get("hidden_size", "hidden_size"), called.get("num_attention_heads", "num_attention_heads")
    plain = made(C)

    def default(key):
        value = getattr(plain, key, None)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    names = lambda own, usual: own if own == usual else f"{own}/{usual}"
    h, n = default(hidden), default(heads)
    D = kinds(saw.first)[0]["D"] if saw.first else None
    if {"qk_nope_head_dim", "qk_rope_head_dim"} <= fields and (D is None or D == default("qk_nope_head_dim") + default("qk_rope_head_dim")):
        alias = ",head_dim" if called.get("head_dim") == "qk_rope_head_dim" else ""
        return {"latent": f"{default('qk_nope_head_dim')}+{default('qk_rope_head_dim')}{alias}"}
    if h and n:
        facts["hidden"], facts["heads"] = f"{names(hidden, 'hidden_size')}:{h}", f"{names(heads, 'num_attention_heads')}:{n}"
    changed = saw.having(hidden)
    seen = {kind["D"] for kind in kinds(changed)} if changed else set()
    quotient = changed is not None and 48 in seen or (changed is None and h and n and D in (None, h // n))
    doubled = changed is not None and kinds(changed)[0]["D"] == 96
    own = saw.find(head_dim=48)
    key = called.get("head_dim", "head_dim")
    for name in ("head_dim", "d_kv", "attention_head_dim", "kv_channels", "d_head", "dim_head", "attention_head_size"):
        if name in fields:
            key = called.get(name, name)
            break
    else:
        key = None
    if doubled:
        return facts | {"times": "2"}
    if own is not None and kinds(own)[0]["D"] == 48 or (own is None and key and not (quotient and key == "head_dim" and defaults.get(key) is None and saw.first is None)):
        key = key or "head_dim"
        value = defaults.get(key)
        if value is None or quotient and saw.first:
            facts["head"] = key
        else:
            facts = {"head": f"{key}:{value}"}
    if "head" not in facts and quotient and own is not None and kinds(own)[0]["D"] == 48:
        facts["head"] = "head_dim"
    if D is not None and not quotient and "head" not in facts:
        # Of several counts of heads the config has changed another one.
        elsewhere = changed and n and "heads" in MORE.get(C.model_type, {}) and seen == {changed["given"][hidden] // n}
        if not elsewhere and "head_dim" not in saw.needed:
            raise ValueError(f"a head of {D} channels follows from no key")
        if not elsewhere:
            facts["head"] = "head_dim"
    return facts


def bases(C, saw, plain):
    """Defaults of the rope parameters, and under which keys they stand beside them."""
    facts = {}
    standard = copy.deepcopy(getattr(plain, "rope_parameters", None)) or {}
    labels = list(standard) if is_nested(standard) else None
    dict_theta = rope(C, rope_parameters={"rope_type": "linear", "factor": 2.0}) or {}
    if labels:
        facts["rope"] = json.dumps({label: {k: v for k, v in p.items() if k not in ("rope_theta",) and (k, v) != ("rope_type", "default")}
                                    for label, p in standard.items()}, separators=(",", ":"))
        thetas = {label: p["rope_theta"] for label, p in standard.items() if p.get("rope_theta") is not None}
        facts["theta"] = ",".join(f"{label}:{number(theta)}" for label, theta in thetas.items())
        keys = {}
        for key in ("rope_theta", "global_rope_theta", "local_rope_theta", "rope_local_base_freq", "compress_rope_theta"):
            for path in places(rope(C, **{key: 54321.0}), 54321.0):
                keys[path[0] if path else ""] = key
        facts["thetaKey"] = ",".join(f"{label}:{key}" for label, key in sorted(keys.items())) or "-:"
        scaled = [path[0] for path in places(rope(C, rope_scaling={"rope_type": "linear", "factor": 3.0}), 3.0) if path]
        if scaled:
            facts["scaled"] = ",".join(sorted(scaled))
        parts = {label: p["partial_rotary_factor"] for label, p in standard.items() if "partial_rotary_factor" in p}
        if not places(rope(C, partial_rotary_factor=0.375), 0.375):
            facts["partKey"] = ""
        return facts
    theta = dict_theta.get("rope_theta") or getattr(C, "default_theta", PLAIN_THETA)
    if isinstance(theta, dict):
        theta = PLAIN_THETA
    if theta != PLAIN_THETA:
        facts["theta"] = number(theta)
    for key in ("rope_theta", "rotary_emb_base"):
        if places(rope(C, **{key: 54321.0}), 54321.0) or places(rope(C, rope_scaling={"rope_type": "linear", "factor": 3.0}, **{key: 54321.0}), 54321.0):
            if key != "rope_theta":
                facts["thetaKey"] = key
            break
    for key in ("partial_rotary_factor", "rotary_pct"):
        if places(rope(C, **{key: 0.375}), 0.375):
            if key != "partial_rotary_factor":
                facts["partKey"] = key
            break
    else:
        if standard.get("partial_rotary_factor") is not None or saw_partial(saw):
            facts["partKey"] = ""
    part = standard.get("partial_rotary_factor")
    alone = part not in (None, 1, 1.0) and "partial_rotary_factor" not in dict_theta and rope(C, rope_scaling={"rope_type": "linear", "factor": 3.0}) and \
        "partial_rotary_factor" not in rope(C, rope_scaling={"rope_type": "linear", "factor": 3.0})
    whole = {key: value for key, value in standard.items() if key not in ("rope_theta", "partial_rotary_factor")}
    if whole.get("rope_type", "default") not in ("default", "axial"):
        whole.pop("type", None)
        whole.pop("max_position_embeddings", None)
        kept = places(rope(C, rope_theta=54321.0), 54321.0) == []
        if kept:
            whole["rope_theta"] = standard["rope_theta"]
        facts["rope"] = json.dumps(whole, separators=(",", ":"))
    elif not places(rope(C, rope_theta=54321.0), 54321.0) and "thetaKey" not in facts and standard:
        facts["rope"] = json.dumps({"rope_theta": standard["rope_theta"]}, separators=(",", ":"))
    if alone:  # only where the config has no parameters at all
        facts["rope"] = json.dumps({**json.loads(facts.get("rope", "{}")), "partial_rotary_factor": part}, separators=(",", ":"))
    elif part not in (None, 1, 1.0):
        facts["part"] = number(part)
    return facts


def saw_partial(saw):
    return False


def pairing(C, saw, source, fields):
    if not saw.first:
        return {}
    found = rotation(saw.first)
    if found is None:
        for case in saw.cases:
            found = rotation(case)
            if found:
                break
    if found is None:
        return {}
    facts = {"layout": found["layout"]}
    if re.search(r"d // 2, 2\).transpose\(4, 3\)|apply_rotary_pos_emb_interleave", source):
        facts["layout"] = "mixed"
    if found["start"] == "end":
        facts["start"] = "end"
    if found["sense"] == "-":
        facts["sense"] = "-"
    half = saw.find(rope_parameters={"rope_type": "default", "rope_theta": 7000.0, "partial_rotary_factor": 0.5})
    whole = rotation(saw.first)
    if half is not None and whole:
        width = (rotation(half) or {"width": 0})["width"]
        if width == half["layers"]["kinds"][0]["D"] // 2:
            facts["partly"] = ""
    if whole and whole["width"] <= 0.9 * whole["D"] - (0.15 * whole["D"] if whole["layout"] == "pairs" else 0) and "qk_nope_head_dim" not in fields:
        facts["partly"] = ""
    return facts


def scale(C, saw, fields, widths_of):
    if not saw.first:
        return {}
    kind = kinds(saw.first)[0]
    D, s = kind["D"], kind["scale"]
    near = lambda a, b: abs(a - b) < 2e-4 * abs(b)
    plain = made(C)
    for key in ("attention_multiplier", "scaling_attention"):
        case = saw.having(key)
        if case and near(kinds(case)[0]["scale"], case["given"][key]):
            value = getattr(plain, key)
            own = dataclass_defaults(C).get(key)
            return {"scale": f"key:{key}:{'' if own is None else number(own)}"}
    case = saw.find(query_pre_attn_scalar=100)
    if case and near(kinds(case)[0]["scale"], 0.1):
        own = dataclass_defaults(C).get("query_pre_attn_scalar")
        return {"scale": f"scalar:query_pre_attn_scalar:{'' if own is None else number(own)}"}
    if "latent" in widths_of:
        yarn = next((c for c in saw.cases if c["given"].get("rope_scaling", {}).get("type") == "yarn"), None)
        return {"scale": "latent"} if not near(kinds(yarn or saw.first)[0]["scale"], D ** -0.5) else {}
    if near(s, D ** -0.5):
        return {}
    if near(s, 1):
        return {"scale": "one"}
    if near(s, (D / 2) ** -0.5):
        return {"scale": f"times:{2 ** 0.5!r}"}
    if near(s, 1 / D):
        return {"scale": "inverse"}
    if near(s, 1.442695041 * D ** -0.5):
        return {"scale": f"times:{1.442695041!r}"}
    return {"scale": f"?{s}:{D}"}


def dataclass_defaults(C):
    return {f.name: (None if f.default is dataclasses.MISSING else f.default) for f in dataclasses.fields(C)}


# Rules by layer that the classes' code states; every layer of every golden case holds them against the classes.
LAYERS = {
    **dict.fromkeys(("gemma3_text", "t5gemma2_text", "t5gemma2_decoder"), "last,full_attention,sliding_attention,6,sliding_window_pattern"),
    "gemma3n_text": "last,full_attention,sliding_attention,5",
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text", "diffusion_gemma_text"), "end,full_attention,sliding_attention,6"),
    "neomme": "end,full_attention,sliding_attention,6",
    "afmoe": "last,full_attention,sliding_attention,4,global_attn_every_n_layers",
    **dict.fromkeys(("cohere2", "exaone4", "exaone_moe"), "last,full_attention,sliding_attention,4,sliding_window_pattern"),
    "cohere2_moe": "prefix,full_attention,sliding_attention,4,sliding_window_pattern",
    "olmo3": "last,full_attention,sliding_attention,4",
    **dict.fromkeys(("modernbert", "modernbert-decoder"), "first,full_attention,sliding_attention,3,global_attn_every_n_layers"),
    "mimo_v2_flash": "mimo,full_attention,sliding_attention,6",
    "muse_glimmer_text": "back,full_attention,sliding_attention,4",
    "zaya": "all,hybrid",
    **dict.fromkeys(("laguna", "mellum", "step3p5"), "all,full_attention"),
    "deepseek_v4": "ratio,heavily_compressed_attention,compressed_sparse_attention,2",
}
OFF = {
    **dict.fromkeys(("afmoe", "cohere2", "cohere2_moe"), "full"),
    **dict.fromkeys(("exaone4", "exaone_moe"), "window"),
    **dict.fromkeys(("llama4_text", "smollm3"), "listed"),
    **dict.fromkeys(("granite_swa", "granitemoe_swa", "muse_glimmer_text"), "theta"),
}
MORE = {
    "granite_swa": {"perLayer": ""}, "granitemoe_swa": {"perLayer": ""},
    "granitemoehybrid": {"only": "position_embedding_type:rope"}, "esm": {"only": "position_embedding_type:rotary", "ignores": "rope_scaling,rope_parameters"},
    "zamba2": {"head": "attention_head_dim/head_dim", "times": "2", "only": "use_mem_rope:true"},
    "timesfm": {"scale": f"times:{1.4426950408889634!r}"}, "timesfm2_5": {"normed": "", "scale": f"times:{1.4426950408889634!r}"},
    "neomme": {"partly": ""}, "nanochat": {"normed": ""}, "longcat_flash": {"scale": "latent"}, "muse_glimmer_text": {"scale": "product:qk_scale_factor:3.87"},
    "llama4_text": {"query": "tempered", "normed": "use_qk_norm"}, "ministral3": {"query": "beta"}, "mistral4": {"query": "beta"},
    "phi3": {"su": ""}, "phi4_multimodal": {"su": ""}, "phimoe": {"extra": "short_mscale,long_mscale"},
    **dict.fromkeys(("hunyuan_v1_dense", "hunyuan_v1_moe", "hunyuan_vl_text"), {"extra": "alpha,xdrope_section", "normed": ""}),
    "deepseek_v4": {"rot": "qk_rope_head_dim", "rope": '{"main":{},"compress":{}}', "part": "0.125", "partKey": "partial_rotary_factor"},
    "cohere2_moe": {"ignores": "rope_scaling"},
    "gptj": {"rot": "rotary_dim:64"}, "codegen": {"rot": "rotary_dim:64"}, "minimax_m2": {"rot": "rotary_dim"},
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text"), {"wide": "512", "last": "full_attention"}),
    "diffusion_gemma_text": {"wide": "512", "last": "full_attention", "partly": ""},
    "gpt2": {"scale": "switch:scale_attn_weights:layers"}, "gpt_bigcode": {"scale": "switch:scale_attn_weights"},
    "decision_transformer": {"scale": "switch:scale_attn_weights:layers"}, "imagegpt": {"scale": "switch:scale_attn_weights:layers"},
    "deberta": {"scale": "terms:pos_att_type"}, "deberta-v2": {"scale": "terms:pos_att_type:c2p,p2c"}, "sew-d": {"scale": "terms:pos_att_type:c2p,p2c:p2c,c2p"},
    "seamless_m4t": {"heads": "encoder_attention_heads/num_attention_heads:16",
                     "elsewhere": "hidden,position_embeddings_type,rotary,relative,speech_encoder_attention_heads:16"},
    "seamless_m4t_v2": {"heads": "encoder_attention_heads/num_attention_heads:16"},
    "wav2vec2-bert": {"elsewhere": "hidden,position_embeddings_type,rotary,relative_key"},
    "wav2vec2-conformer": {"elsewhere": "hidden,position_embeddings_type,rotary,relative"},
    "qwen2_5_omni_dit": {"first": ""}, "cohere_compass_text": {"nested": "", "mrope": "turns:22,22,20", "layers": "all,full_attention", "thetaKey": "-:"},
    "lightglue": {"hidden": "descriptor_dim/hidden_size:256", "elsewhere": "weights"},
    "convbert": {"ratio": "head_ratio:2"}, "zamba": {"head": "attention_head_dim"},
    "clvp_encoder": {"elsewhere": "values,use_rotary_embedding,true,true,projection_dim:768"},
    "mpt": {"scale": "nested:softmax_scale"}, "jetmoe": {"head": "kv_channels/head_dim:128"}, "step3p5": {"partly": "", "rope": '{"full_attention":{},"sliding_attention":{}}', "theta": "10000", "thetaKey": "rope_theta"},
    "dbrx": {"inner": "attn_config"}, "glm_image_text": {"head": "head_dim"},
}


# How the rotary module of each vision tower deals pairs out to rows and columns; a tower whose tokens come in squares says so in its code.
VISION = {
    **dict.fromkeys((
        "cohere_compass_vision exaone4_5_vision glm4v_vision glm4v_moe_vision glm5_next_vision glm_ocr_vision mlcd_vision_model "
        "ernie4_5_vl_moe_vision muse_glimmer_vision paddleocr_vl_vision qwen2_5_omni_vision_encoder qwen2_5_vl_vision qwen2_vl_vision "
        "qwen3_5_vision qwen3_5_moe_vision qwen3_omni_moe_vision_encoder qwen3_vl_vision qwen3_vl_moe_vision qwen4_exp_vision step3p5_vision "
        "video_llama_3_vision").split(), ("halves", "blocks")),
    "pixtral": ("halves", "split"), "kimi_k25_vision": ("halves", "swapped"), "minimax_m3_vl_vision": ("halves", "three"),
    **dict.fromkeys(("edgetam_video", "sam2_video", "sam3_tracker_video"), ("pairs", "memory")), "sam3_vit_model": ("pairs", "columns"),
    **dict.fromkeys(("dinov3_vit", "eomt_dinov3", "sapiens2"), ("halves", "centers")),
    "gemma4_vision": ("halves", "apart"), "llama4_vision_model": ("pairs", "counted"), "efficientloftr": ("pairs", "spread"),
    "vjepa2": ("pairs", "twofold"), "esmfold2_atom_encoder": ("halves", "atoms"),
}


# What else the code of some says: `square` the keys by which rows and columns are counted, `spatial` and `residue` pairs and bases.
TOWERS = {
    "gemma4_vision": {"scale": "one"},
    "llama4_vision_model": {"square": "image_size:448,patch_size:14"},
    "vjepa2": {"square": "crop_size:256,patch_size:16", "thetaKey": ""},
    "efficientloftr": {"part": "4"},
    "esmfold2_atom_encoder": {"spatial": "num_spatial_rope_pairs_per_axis:2,spatial_rope_base_frequency:20",
                              "residue": "num_uid_rope_pairs:10,uid_rope_base_frequency:10000"},
}


def tower(C, folder, type_name):
    """Facts of a vision tower."""
    plain = made(C)
    layout, axes = VISION[type_name]
    facts = {"layout": layout, "axes": axes} | TOWERS.get(type_name, {})
    if plain is None:
        return facts
    fields = set(plain.to_dict())
    for fact, names in (("hidden", ("embed_dim", "hidden_size")), ("heads", ("num_heads", "num_attention_heads"))):
        own = [name for name in names if name in fields]
        if own:
            value = getattr(plain, own[0])
            facts[fact] = "/".join(own) + (f":{value}" if isinstance(value, int) else "")
    head = dataclass_defaults(C).get("head_dim")
    if "head_dim" in fields:
        facts["head"] = f"head_dim:{head}" if isinstance(head, int) else "head_dim"
    theta = (getattr(plain, "rope_parameters", None) or {}).get("rope_theta") or getattr(plain, "rope_theta", None) or getattr(C, "default_theta", PLAIN_THETA)
    if theta != PLAIN_THETA:
        facts["theta"] = number(theta)
    source = (Path(sys.modules[C.__module__].__file__).parent / f"modeling_{folder}.py").read_text()
    if "spatial_merge_size" in fields and re.search(r"get_vision_position_ids\(\s*grid_thw,\s*(spatial_merge_size=)?self\.(config\.)?spatial_merge_size", source):
        facts["merge"] = str(plain.spatial_merge_size)
    if axes == "centers" and isinstance(getattr(plain, "num_register_tokens", None), int):
        facts["registers"] = str(plain.num_register_tokens)
    return facts


# Types that cannot be run without inputs of their own; what their code says, read by hand.
BY_HAND = {
    **dict.fromkeys("chameleon dbrx deepseek_ocr2_text dia_encoder dia_decoder esm idefics mimi timesfm2_5 voxtral_realtime_encoder "
                    "glmasr_encoder lasr_encoder persimmon gemma3n_text zamba2 diffusion_gemma_text t5_gemma_module "
                    "bamba falcon recurrent_gemma gte kyutai_speech_to_text gpt_neox_japanese granite4_vision_text granitemoehybrid hunyuan_v1_dense "
                    "hunyuan_v1_moe hunyuan_vl_text lfm2_moe muse_glimmer_assistant qwen3_omni_moe_text qwen3_omni_moe_talker_text "
                    "qwen3_omni_moe_talker_code_predictor qwen3_5_text qwen4_exp_text step3p5 t5gemma2_text t5gemma2_decoder voxtral_realtime_text zaya gpt_oss jetmoe "
                    "minimax ministral nemotron higgs_audio_v2 olmoe paddleocr_vl_text phi4_multimodal".split(), "halves"),
    **dict.fromkeys("qwen2_5_omni_dit llama4_text blt_local_encoder blt_local_decoder moonshine moonshine_streaming roformer glm4v_text".split(), "pairs"),
    **dict.fromkeys("glm4v_moe_text glm_image_text".split(), "halves"),
}


def left_over(rows, configs):
    for (folder, name), C in configs.items():
        t = C.model_type
        plain = made(C)
        if t not in BY_HAND or rows.get(t, {}).get("layout") or plain is None:
            continue
        fields = set(plain.to_dict())
        facts = {"layout": BY_HAND[t]}
        source = "".join(p.read_text() for p in Path(sys.modules[C.__module__].__file__).parent.glob("modeling_*.py"))
        if re.search(r"partial_rotary_factor", source):
            facts["partly"] = ""
        empty = Saw({})
        facts |= widths(C, empty, fields, dataclass_defaults(C))
        if "head" not in facts and "latent" not in facts and 'getattr(config, "head_dim"' in source:
            facts["head"] = "head_dim"
        facts |= bases(C, empty, plain)
        if isinstance(getattr(plain, "max_position_embeddings", None), int):
            facts["max"] = str(plain.max_position_embeddings)
        if "attention_multiplier" in fields:
            facts["scale"] = f"key:attention_multiplier:{number(dataclass_defaults(C)['attention_multiplier'] or 1.0)}"
        if "query_pre_attn_scalar" in fields:
            facts["scale"] = f"scalar:query_pre_attn_scalar:{plain.query_pre_attn_scalar}"
        if t in LAYERS:
            facts["layers"] = LAYERS[t]
        if t in OFF:
            facts["off"] = OFF[t]
        rows[t] = facts | SCALE_BY_HAND.get(t, {}) | MORE.get(t, {})


# How sections of M-RoPE are dealt out, and what they are by default.
MROPE = {
    "cosmos3_edge_text qwen3_omni_moe_text qwen3_omni_moe_talker_text qwen3_vl_text qwen3_vl_moe_text": "interleaved:24,20,20",
    "qwen3_5_text qwen3_5_moe_text qwen4_exp_text": "interleaved:11,11,10",
    "ernie4_5_vl_moe_text": "alternating:22,22,20",
    "glm4v_text glm4v_moe_text glm_image_text glm_ocr_text": "chunked:8,12,12",
    "paddleocr_vl_text qwen2_5_omni_text qwen2_5_vl_text qwen2_vl_text": "chunked:16,24,24",
}
SCALE_BY_HAND = {**dict.fromkeys(("gemma3n_text", "dia_encoder", "dia_decoder", "diffusion_gemma_text"), {"scale": "one"}),
                 "zamba2": {"times": "2", "scale": f"times:{2 ** 0.5!r}"}}


# Types whose attention module is made from widths, not from the config; its `scaling` is read from the module.
BY_WIDTHS = ("whisper siglip_vision_model siglip_text_model siglip2_vision_model siglip2_text_model bloom wav2vec2 hubert unispeech unispeech-sat "
             "data2vec-audio sew mbart m2m_100 marian pegasus opt plbart speech_to_text clvp_encoder").split()


def plain_scale(module, config):
    """Whether an attention module of a transformers file, with heads of 16 channels, scales by a quarter."""
    for name, cls in vars(module).items():
        if not (inspect.isclass(cls) and cls.__module__ == module.__name__ and name.endswith("Attention")):
            continue
        known = inspect.signature(cls.__init__).parameters
        widths = {key: value for key, value in (("embed_dim", 64), ("num_heads", 4), ("config", config), ("layer_idx", 0)) if key in known}
        try:
            made = cls(**widths)
        except Exception:
            continue
        for key in ("scaling", "scale", "inv_norm_factor"):
            if isinstance(getattr(made, key, None), float):
                return abs(getattr(made, key) * made.head_dim**0.5 - 1) < 1e-9
    return False


def by_widths(C, module):
    plain, called = made(C), getattr(C, "attribute_map", {})
    hidden = called.get("hidden_size", "hidden_size")
    heads = called.get("num_attention_heads", "num_attention_heads")
    if not plain_scale(module, plain):
        return None
    names = lambda own, usual: own if own == usual else f"{own}/{usual}"
    return {"hidden": f"{names(hidden, 'hidden_size')}:{getattr(plain, hidden)}",
            "heads": f"{names(heads, 'num_attention_heads')}:{getattr(plain, heads)}"}


def several(C, rows):
    """A config that is several models without being one: in which key the language model is, or between which there is a choice."""
    plain, turning = made(C), {}
    if "text_config" in (getattr(C, "sub_configs", None) or {}):
        return None
    for key in getattr(C, "sub_configs", None) or {}:
        kind = getattr(getattr(plain, key, None), "model_type", "")
        if "layout" in rows.get(rows.get(kind, {}).get("text", kind), {}):
            turning[key] = kind
    if "thinker_config" in turning:  # as `get_text_config` of the class says
        turning = {"thinker_config": turning["thinker_config"]}
    if len(turning) == 1:
        [(key, kind)] = turning.items()
        return {"text": kind, "inside": key}
    return {"parts": ",".join(turning)} if turning else None


def main():
    raw = [json.loads(line) for path in sys.argv[1:] for line in open(path)]
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    saws = {}
    for entry in raw:
        if entry.get("config") and any("layers" in c for c in entry.get("cases", [])):
            saws.setdefault((entry["folder"], entry["config"]), entry)
    rows, problems = {}, []
    for (folder, name), C in configs.items():
        if not C.model_type or C.model_type in rows and (folder, name) not in saws:
            continue
        entry = saws.get((folder, name))
        if entry is None:
            continue
        saw = Saw(entry)
        plain = made(C)
        fields = set(plain.to_dict())
        if {"text_config"} & set(C.sub_configs or {}) or {"encoder", "decoder"} <= set(C.sub_configs or {}):
            continue
        source = "".join(p.read_text() for p in Path(sys.modules[C.__module__].__file__).parent.glob("modeling_*.py"))
        try:
            facts = pairing(C, saw, source, fields)
            w = widths(C, saw, fields, dataclass_defaults(C))
            facts |= w
            if facts.get("layout"):
                facts |= bases(C, saw, plain)
                longest = getattr(plain, "max_position_embeddings", None)
                if isinstance(longest, int):
                    facts["max"] = str(longest)
                if isinstance(getattr(plain, "original_max_position_embeddings", None), int):
                    facts["trained"] = str(plain.original_max_position_embeddings)
                if "{" in facts.get("rope", "") and "mrope_section" in facts["rope"]:
                    pass
            facts |= scale(C, saw, fields, w)
        except Exception as error:
            problems.append((C.model_type, repr(error)))
            continue
        t = C.model_type
        if "?" in facts.get("scale", "") and "scale" not in MORE.get(t, {}):
            problems.append((t, "its scale follows no rule"))
            continue
        if t in LAYERS: facts["layers"] = LAYERS[t]
        if t in OFF: facts["off"] = OFF[t]
        facts |= MORE.get(t, {})
        if "elsewhere" in facts:  # what turns is no operand of attention alone
            facts = {key: value for key, value in facts.items() if key in ("hidden", "heads", "head", "scale", "elsewhere")}
        if "back" in facts.get("layers", "") or "end," in facts.get("layers", ""):
            facts["depth"] = str(plain.num_hidden_layers)
        rows[t] = facts
    for (folder, name), C in configs.items():
        type_name = "esmfold2_atom_encoder" if name == "EsmFold2AtomEncoderConfig" else C.model_type
        if type_name in VISION:
            rows[type_name] = tower(C, folder, type_name)
    left_over(rows, configs)
    for (folder, name), C in configs.items():
        text = getattr(made(C), "text_config", None) if "text_config" in (getattr(C, "sub_configs", None) or {}) else None
        if C.model_type and text is not None and text.model_type in rows and C.model_type not in rows:
            rows[C.model_type] = {"text": text.model_type}
    modules = modules_of("modeling")
    for (folder, name), C in configs.items():
        if C.model_type in BY_WIDTHS and C.model_type not in rows:
            facts = by_widths(C, modules[folder, {"data2vec-audio": "modeling_data2vec_audio"}.get(C.model_type, "modeling_" + folder)])
            if facts is None:
                problems.append((C.model_type, "its attention module says no scale"))
            else:
                rows[C.model_type] = facts | MORE.get(C.model_type, {})
    rows["fuyu"] = {"text": "persimmon"}
    for (folder, name), C in configs.items():
        if C.model_type and C.model_type not in rows:
            rows |= {C.model_type: facts for facts in [several(C, rows)] if facts}
    for name, said in MROPE.items():
        for one in name.split():
            if one in rows:
                rows[one]["mrope"] = said
    write_table(rows)
    write_golden(raw, rows)
    print(len(rows), "types;", *problems, sep="\n")


def written(facts):
    return " ".join(key if value == "" and key != "partKey" else f"{key}={value}" for key, value in facts.items())


def write_table(rows):
    groups = collections.defaultdict(list)
    for name, facts in rows.items():
        groups[written(facts)].append(name)
    lines = [f"{said}|{' '.join(sorted(names))}" for said, names in sorted(groups.items())]
    OUT.write_text(HEAD.replace("VERSION", transformers.__version__) + "\n".join(lines).replace("\\", "\\\\") + "`;\n")


HEAD = """// Written by scripts/huggingface/facts.py from the classes of transformers; do not edit.

/** The version of transformers whose classes the table is from. */
export const TRANSFORMERS = 'VERSION';

/**
 * What the code of each model type knows beside its config: a line is facts|types.
 *
 * - `hidden=KEYS:DEFAULT`, `heads`, `head` (width of a head, if the config has the key), `times` (a head is so many quotients wide), `ratio` (ConvBERT),
 *   `latent=NOPE+ROPE` (DeepSeek's heads), `wide` (head width of full attention)
 * - `layout`: `halves`, `pairs`, `mixed` (pairs are read, halves written); none: the type does not turn. `start=end`, `sense=-`
 * - `partly`: a plain rope may be partial; `part` its default; `rot=KEY:DEFAULT` the width itself
 * - `theta`, `max`, `trained`: defaults of rope_theta, max_position_embeddings, original_max_position_embeddings; `thetaKey`, `partKey`: where
 *   they stand beside the parameters; LABEL:… where they differ by label
 * - `rope`: parameters where the config has none; nested by label if layers differ; `scaled`: labels to which a flat rope_scaling belongs
 * - `layers=KIND,FULL,OTHER,PERIOD,KEY` how layer types follow where the config does not list them; `depth` default number of layers
 * - `last`: the type of the last layer, whatever the config lists
 * - `off`: which layers do not turn; `only=KEY:VALUE` the type turns only then; `perLayer`: layer_rope_theta
 * - `first`: of all heads only the first turns
 * - `nested`: parameters must be there, for each layer type
 * - `inner`: the object in which rope_theta stands
 * - `scale`, `query`: what is done to the scores and to q, see attention-scale.ts
 * - `normed`: a norm after the rotation takes the attention factor away again (if the key is not false); `ignores`: keys that are not read
 * - `extra`: keys of the parameters that this type knows; `su`: "yarn" is LongRoPE; `mrope=ARRANGEMENT:SECTIONS`
 * - `axes`, `merge`, `registers`, `square`, `spatial`, `residue`: vision towers and their like, see vision.ts
 * - `elsewhere=WHAT,KEY,VALUE,DEFAULT,HEADS`: where the key has the value, the model turns what is no operand of attention, see elsewhere.ts
 * - `text`: the type of its text_config, or of what is `inside` another key; `parts`: keys of several models that turn
 */
export const MODELS = `"""


def meaningless(entry, case, rows):
    """Why a config is in no golden: no model has it, transformers takes no notice of a key, or half of its code does. None: it is in."""
    facts, given = rows[entry["type"]], case["given"]
    if any(abs(x) > 32767 for kind in case["layers"]["kinds"] for y in kind["at"].values() for x in y) or case["layers"]["kinds"][0]["scale"] <= 0:
        return "queries of too low a rank"
    keys = set(given) - {"num_hidden_layers"}
    if "parts" in facts or "text" in facts and keys:
        return "keys beside text_config"
    if given.get("head_dim") == 48 and case["layers"]["kinds"][0]["D"] != 48 and "latent" not in facts:
        return "head_dim is not read"
    if entry["type"] in UNFIT and (UNFIT[entry["type"]] == "" or keys & set(UNFIT[entry["type"]].split(","))):
        return "what the probe cannot tell: UNFIT"
    if keys & {"encoder_attention_heads"} and (len(case["layers"]["kinds"]) > 1 or re.search("Decoder", case["layers"]["kinds"][0]["module"])):
        return "two models of different widths"
    flat = given.get("rope_parameters")
    if "scaled" in facts and flat and not is_nested(flat):
        return "flat rope_parameters of a model whose layers differ"
    if "scaled" in facts and "type" in given.get("rope_scaling", {}) and "compress" not in facts["scaled"]:
        return "the older key of a scaling, where layers differ"
    return None


# What the probe cannot tell: a layer norm after the projection takes a direction away from the queries (Persimmon), one after the rotation
# takes the attention factor away again (nanochat); queries are multiplied between two projections (LongCat).
# In NeuCodec and Xcodec2 the attention factor of a rotation by heads scales the scores.
UNFIT = {"neucodec": "rope_scaling", "xcodec2": "rope_scaling", "persimmon": "hidden_size,rope_scaling", "nanochat": "rope_scaling", "llama4_text": "rope_scaling", "paddleocr_vl": "", **dict.fromkeys(("hunyuan_v1_dense", "hunyuan_v1_moe"), "rope_scaling"), "t5gemma2": "", "muse_glimmer": ""}
OWN_POSITIONS = {"csm_depth_decoder_model"}


def write_golden(raw, rows):
    """Cases as the tests read them: vectors once each, in steps of 1/8192 as base64 of int16."""
    vectors, cases = {}, []

    def vector(values):
        key = base64.b64encode(np.array(values, dtype="<i2").tobytes()).decode()
        return vectors.setdefault(key, len(vectors))

    vision = [{"type": entry["type"], **{**case, "at": {token: vector(y) for token, y in case["at"].items()}}}
              for entry in raw for case in entry.get("vision", [])]
    seen, dropped = set(), collections.defaultdict(list)
    for entry in raw:
        for case in entry.get("cases", []):
            name = entry["type"], json.dumps(case["given"]), case.get("axes")
            if "layers" not in case or name in seen or entry["type"] not in rows:
                continue
            seen.add(name)
            why = meaningless(entry, case, rows)
            if why:
                dropped[why].append(entry["type"])
                continue
            facts = rows[entry["type"]]
            turning = rows[facts.get("text", entry["type"])].get("layout")
            of = case["layers"]["of"]
            layers = [int(n) for n in of]
            used = [{"D": k["D"], "scale": k["scale"], "at": {("6" if p == "1000" and entry["type"] in OWN_POSITIONS else p): vector(y) for p, y in k["at"].items()} if turning else {}} for k in case["layers"]["kinds"]]
            cases.append({"type": entry["type"], "given": case["given"], "factor": case["factor"], "module": case["layers"]["kinds"][0]["module"],
                          "layers": [of[str(n)] if str(n) in of else None for n in range(max(layers) + 1)], "kinds": used})
    elsewhere = [{"type": entry["type"], **{**case, "at": {token: vector(y) for token, y in case["at"].items()}}}
                 for entry in raw for case in entry.get("elsewhere", [])]
    GOLDEN.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases, "vision": vision, "elsewhere": elsewhere, "vectors": list(vectors)}, separators=(",", ":")) + "\n")
    run = {(entry["type"], json.dumps(case["given"])) for entry in raw for case in entry.get("cases", []) if "layers" in case}
    failed = [name for name, _ in {(entry["type"], json.dumps(case["given"])): 0 for entry in raw for case in entry.get("cases", [])} if (name, _) not in run]
    print(len(failed), "configs on which transformers itself, or the probe, fails:", ", ".join(f"{t} {n}" for t, n in collections.Counter(failed).items() if t in rows))
    for why, types in dropped.items():
        print(len(types), "left out,", why + ":", ", ".join(f"{t} {n}" for t, n in collections.Counter(types).items()))
    outside = sorted({entry["type"] for entry in raw if entry["type"] and entry["type"] not in rows and any("layers" in c for c in entry.get("cases", []))})
    print(len(outside), "types that are not in the table although something was seen:", *outside)
    print(len(cases), "cases,", len(vision), "of vision towers,", len(elsewhere), "of rotations beside attention,", len(vectors), "vectors,", GOLDEN.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
