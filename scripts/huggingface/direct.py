"""Rotary classes and attention modules on their own, for text types whose whole model needs inputs that `golden.py` does not have.

    python3 scripts/huggingface/direct.py OUT [TYPE …]

The rotary class is made from the config, its cosine and sine at some positions go to the attention module, of which linear layers are
taken out, and what reaches the attention function is recorded as in `golden.py`. A type whose attention does more than that (adapters,
norms over all heads) has its entry in `WITH`.
"""

import copy
import json
import signal
import sys
import traceback

from golden import LAYERS, POSITIONS, Late, late, own, pattern, rows, size, turned, variants
from probe import *  # noqa: F403
from probe import CALLS, SEED, PreTrainedConfig, Products, classes_of, hollow, modules_of, product, settle

OTHER = re.compile(r"Vision|Audio|Cross|Sam|Fold|Flash\w*2|DiT|ToMe|Indexer|Lightning|Linear|Merged|Code2Wav|Qformer|Conformer|Perceiver", re.I)

# Names of the rotary class and of the attention module where the folder has several.
WITH = {
    "qwen3_omni_moe_text": ("Qwen3OmniMoeThinkerTextRotaryEmbedding", "Qwen3OmniMoeThinkerTextAttention"),
    "qwen3_omni_moe_talker_text": ("Qwen3OmniMoeTalkerRotaryEmbedding", "Qwen3OmniMoeThinkerTextAttention"),
    "qwen3_omni_moe_talker_code_predictor": ("Qwen3OmniMoeRotaryEmbedding", "Qwen3OmniMoeTalkerCodePredictorAttention"),
    "voxtral_realtime_text": ("VoxtralRealtimeRotaryEmbedding", "VoxtralRealtimeTextAttention"),
    "voxtral_realtime_encoder": ("VoxtralRealtimeRotaryEmbedding", "VoxtralRealtimeAttention"),
    "diffusion_gemma_text": ("DiffusionGemmaTextRotaryEmbedding", "DiffusionGemmaDecoderTextAttention"),
    "esm": ("EsmRotaryEmbedding", "EsmSelfAttention"),
    "dia_encoder": ("DiaRotaryEmbedding", "DiaSelfAttention"),
    "dia_decoder": ("DiaRotaryEmbedding", "DiaSelfAttention"),
    "lasr_encoder": ("LasrEncoderRotaryEmbedding", "LasrEncoderAttention"),
    "moonshine_streaming": ("MoonshineStreamingRotaryEmbedding", "MoonshineStreamingAttention"),
    "t5gemma2_decoder": ("T5Gemma2RotaryEmbedding", "T5Gemma2SelfAttention"),
    "granite4_vision_text": ("Granite4VisionTextRotaryEmbedding", "Granite4VisionTextAttention"),
    "higgs_audio_v2": ("HiggsAudioV2RotaryEmbedding", "HiggsAudioV2Attention"),
    "longcat_flash": ("LongcatFlashRotaryEmbedding", "LongcatFlashMLA"),
    "deepseek_ocr2_encoder": ("DeepseekOcr2VisionRotaryEmbedding", "DeepseekOcr2VisionAttention"),
    "pe_audio_encoder": ("PeAudioEncoderRotaryEmbedding", "PeAudioEncoderAttention"),
    "pe_audio_video_encoder": ("PeAudioVideoEncoderRotaryEmbedding", "PeAudioVideoEncoderAttention"),
    "pe_video_encoder": ("PeVideoEncoderRotaryEmbedding", "PeVideoEncoderAttention"),
    "nemotron3_diarization_audio": ("Nemotron3DiarizationRotaryEmbedding", "Nemotron3DiarizationAttention"),
    "qwen2_5_omni_dit": ("Qwen2_5OmniDiTRotaryEmbedding", "DiTAttention"),
    "roformer": ("RoFormerSinusoidalPositionalEmbedding", "RoFormerSelfAttention"),
}


# Keys without which the classes cannot be made.
NEEDED = {
    "qwen4_exp_text": {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 512, "indexer_budget": 64, "indexer_compress_ratio": 8},
    "dbrx": {"attn_config": {"kv_n_heads": 8, "clip_qkv": 8, "rope_theta": 10000.0}},
    "esm": {"position_embedding_type": "rotary"},
    "granitemoehybrid": {"position_embedding_type": "rope"},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "zamba2": {"use_mem_rope": True},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    # Their classes' own widths do not fit their sections of M-RoPE.
    "glm4v_text": {"partial_rotary_factor": 0.5},
    "glm_image_text": {"partial_rotary_factor": 0.5},
    "glm4v_moe_text": {"head_dim": 128},
    "qwen3_omni_moe_text": {"head_dim": 128},
}
# Whose parameters are there for each layer type alone.
BY_LAYER = {"cohere_compass_text": [
    {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0, "mrope_section": [20, 20, 24]}}},
    {"rope_parameters": {"full_attention": None, "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}},
     "layer_types": ["sliding_attention", "full_attention"] * 4, "num_hidden_layers": 8},
    {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}}},
]}
# Their positions are the numbers of the heads, the same at every token; moshi_depth is made without rotation.
BY_HEAD = {"neucodec", "xcodec2"}
WITHOUT = {"moshi_depth", "timesfm"}

# A norm after the rotation takes its attention factor away again.
NORMED = {"timesfm2_5", "hunyuan_vl_text"}

# And such keys within the parameters.
WITHIN = {"hunyuan_vl_text": {"mrope_section": [16, 16, 16, 16]}}


def completed(type_name, given):
    given = {**NEEDED.get(type_name, {}), **given}
    more = WITHIN.get(type_name)
    if more:
        key = next((key for key in ("rope_parameters", "rope_scaling") if key in given), "rope_parameters")
        given[key] = {**given.get(key, {"rope_type": "default", "rope_theta": given.get("rope_theta", 10000.0)}), **more}
    return given

# Their query is multiplied between two projections, which is the weights' affair: the scale is what is handed to the attention function.
MULTIPLIED = {"longcat_flash"}

#: positions of time, rows and columns, and of a fourth axis
AXES = [[0, 3, 20], [0, 5, 9], [0, 2, 31], [0, 7, 4]]


def one_of(module, name, wanted):
    if name is not None:
        return getattr(module, name)
    found = [cls for key, cls in vars(module).items() if inspect.isclass(cls) and issubclass(cls, nn.Module)
             and cls.__module__ == module.__name__ and re.search(wanted, key) and not OTHER.search(key)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} classes {wanted}: {[cls.__name__ for cls in found]}")
    return found[0]


def parts(type_name, module):
    rotary, attention = WITH.get(type_name, (None, None))
    if type_name in WITHOUT:
        return None, one_of(module, attention, r"(Attention)$")
    return one_of(module, rotary, "Rotary"), one_of(module, attention, r"(Attention)$")


def attention_of(cls, config, layer, module):
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    given = {}
    for p in parameters[1:]:
        if p.name in ("layer_idx", "layer_id"):
            given[p.name] = layer
        elif p.name == "is_causal":
            given[p.name] = True
        elif p.name == "config":
            given[p.name] = config
        elif p.name == "num_fwd_mem_blocks":
            given[p.name] = len(config.hybrid_layer_ids)
        elif p.name == "layer_type":
            given[p.name] = (getattr(config, "layer_types", None) or [None] * 64)[layer]
        elif p.name == "num_attention_heads":
            given[p.name] = getattr(config, "decoder_num_attention_heads", None) or config.num_attention_heads
        elif p.name == "num_key_value_heads":
            given[p.name] = getattr(config, "decoder_num_key_value_heads", None) or getattr(config, "num_key_value_heads", config.num_attention_heads)
        elif p.name == "hidden_size":
            given[p.name] = config.hidden_size
        elif p.name == "num_heads":
            given[p.name] = config.num_attention_heads
        elif p.name == "use_rope":
            given[p.name] = getattr(config, "model_type", "") not in WITHOUT
        elif p.name == "is_local":
            given[p.name] = False
        elif p.default is inspect.Parameter.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            given[p.name] = 0
    first = config if parameters[0].name in ("config", "args") or parameters[0].annotation is not int else None
    with hollow(module):
        made = cls(first, **given).eval() if first is not None else cls(**({parameters[0].name: config.hidden_size} | given)).eval()
    settle(made)
    replace(made, config)
    return made


class Same(nn.Module):
    def forward(self, x, *_, **__):
        return x


class Projected(nn.Module):
    """Zaya's projection mixes neighbours; in its place noise that does not depend on the token."""

    def __init__(self, config):
        super().__init__()
        self.shapes = [(n, config.head_dim) for n in (config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads)]

    def forward(self, x, *_, **__):
        return [noise(x.shape[0], n * D).view(x.shape[0], 1, n, D).expand(-1, x.shape[1], -1, -1) for n, D in self.shapes]


class Selected(nn.Module):
    """In place of an indexer: all keys."""

    def forward(self, x, *_, **__):
        return torch.zeros(x.shape[0], 1, x.shape[1], x.shape[1])


class Experts(nn.Module):
    """JetMoE's queries come of experts; in their place noise."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def map(self, x):
        return noise(x.shape[0], self.width)[:, None].expand(-1, x.shape[1], -1).contiguous(), None, None


def replace(attention, config):
    if type(attention).__name__ == "JetMoeAttention":
        attention.experts = Experts(config.num_attention_heads * config.kv_channels)
    for name, child in attention.named_children():
        if isinstance(child, nn.LayerNorm) and re.search("norm", name):  # takes a direction away, before the rotation
            setattr(attention, name, Same())


def label_of(config, layer):
    kinds = getattr(config, "layer_types", None)
    return kinds[layer] if kinds else None


def angles(rotary, config, layer, positions, axes=0):
    """What the rotary class gives, in the form that the model hands to its layers; positions [T], or [axes][T]."""
    ids = torch.tensor(positions)[:, None] if axes else torch.tensor(positions)[None]
    names = inspect.signature(rotary.forward).parameters
    x = torch.zeros(1, ids.shape[-1], 8)
    if type(rotary).__name__.startswith("RoFormer"):
        return rotary(None, position_ids=ids)[:, None]
    if "layer_type" in names:
        kind = label_of(config, layer)
        known = getattr(rotary, "layer_types", None)
        return rotary(x, ids, kind if known is None or kind in known else next(iter(known)))
    return rotary(x, ids)


def made_rotary(cls, config):
    if cls.__name__.startswith("RoFormer"):
        made = cls(config.max_position_embeddings, config.hidden_size // config.num_attention_heads)
        made.weight.data = made.create_weight()
        return made
    return cls(config)


def run_attention(attention, config, width, batch, embeddings, positions):
    names = inspect.signature(attention.forward).parameters
    T = len(positions)
    given = {}
    for name, p in names.items():
        if name in ("hidden_states", "x", "hidden_state", "query", "layer_input"):
            given[name] = torch.ones(batch, T, width)
        elif name in ("position_embeddings", "position_embedding", "rotary_emb", "embeddings", "sinusoidal_pos"):
            given[name] = embeddings
        elif name == "position_ids":
            given[name] = torch.tensor(positions)[None]
        elif name == "shared_kv_states":
            given[name] = {}
        elif name == "context_hidden_states":
            given[name] = torch.ones(batch, 0, width)
        elif name == "layer_idx":
            given[name] = config.hybrid_layer_ids[0]
        elif name == "attention_mask":
            given[name] = None if type(attention).__name__ == "ZayaAttention" else torch.zeros(batch, 1, T, T)
        elif p.default is inspect.Parameter.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            given[name] = None
    CALLS.clear()
    SEED[0] = 0
    with torch.no_grad(), Products() as products:
        try:
            attention(**given)
        except Exception:
            if not CALLS and not products.found:  # what comes after the scores does not matter
                raise
    calls = [c for c in [*CALLS, *(product_of(found, batch) for found in products.found)] if c.q.shape[-1] == c.k.shape[-1] and c.q.shape[-2] == c.k.shape[-2]]
    if not calls:
        raise ValueError("no attention")
    return calls[0]


def product_of(found, batch):
    """A product, with heads apart from the batch."""
    seen = product(found) if found[0][1][0].dim() == 4 or found[0][0] == "sdpa" else product_of_three(found)
    for key in ("q", "k"):
        x = getattr(seen, key)
        if x.dim() == 3:
            setattr(seen, key, x.view(batch, -1, *x.shape[-2:]))
    return seen


def product_of_three(found):
    """GPT-NeoX Japanese: [B·H, T, D], and the factor within the product."""
    (name, args, out), scores, module = found
    q, k = (args[1], args[2]) if name == "baddbmm" else (args[0], args[1])
    plain, given = (q @ k).flatten(), scores.flatten()  # nothing is added to them
    most = int(plain.abs().argmax())
    scale = float(given[most] / plain[most])
    return Seen(module, q.detach().clone(), k.transpose(-1, -2).detach().clone(), scale)


def wide(config):
    return next(w for w in (getattr(config, key, None) for key in ("hidden_size", "d_model", "embed_dim", "dim")) if isinstance(w, int))


def layers_of(config):
    count = getattr(config, "num_hidden_layers", None) or getattr(config, "num_layers", None) or LAYERS
    kinds = getattr(config, "layer_types", None)
    return range(min(count, LAYERS)) if kinds and len(set(kinds)) > 1 else range(1)


def attends(config, layer):
    kinds = getattr(config, "layer_types", None)
    return not kinds or layer >= len(kinds) or not re.search("mamba|conv|linear|recurrent", str(kinds[layer]))


def plain_positions(rotary, config, layer):
    """Sections of M-RoPE want a row of positions for each axis; how many."""
    for axes in (0, 3, 4):
        try:
            angles(rotary, config, layer, [[0]] * axes or [0], axes)
            return axes
        except (IndexError, RuntimeError, ValueError):
            continue
        except AttributeError:  # a layer without rotation
            return 0
    raise ValueError("no positions that it takes")


def observe_direct(type_name, C, given, module, axes_apart=False):
    config = C(**copy.deepcopy(given))
    config._attn_implementation_internal = "probe"
    rotary_class, attention_class = parts(type_name, module)
    layers = [n for n in layers_of(config) if attends(config, n)] or [first_attending(config)]
    seen, known, factor, axes = {}, [], 1.0, 0
    rotary = made_rotary(rotary_class, config) if rotary_class else None
    for layer in layers:
        attention = attention_of(attention_class, config, layer, module)
        still = (getattr(config, "rope_parameters", None) or {}).get(label_of(config, layer), "") is None
        axes = max(axes, plain_positions(rotary, config, layer) if rotary and not still else 0)
        if axes_apart and axes == 0:
            return None
        where = list(zip(*AXES[:axes])) if axes_apart else POSITIONS
        ids = list(range(config.num_attention_heads)) if type_name in BY_HEAD else POSITIONS
        turns = rotary and getattr(config, "position_embedding_type", "rope") in ("rope", "rotary", "absolute")
        turns = turns and not still and (getattr(config, "layer_rope_theta", None) or [1.0] * (layer + 1))[layer]
        embeddings = angles(rotary, config, layer, AXES[:axes] if axes_apart else [ids] * axes or ids, axes) if turns else None
        if isinstance(embeddings, tuple) or torch.is_tensor(embeddings) and embeddings.is_complex():
            cos, sin = embeddings if isinstance(embeddings, tuple) else (embeddings.real, embeddings.imag)
            factor = max(factor, round(float(torch.sqrt(cos.double() ** 2 + sin.double() ** 2).max()), 4))
        if type_name in NORMED:
            factor = 1.0
        width = wide(config) * (2 if type_name == "zamba2" else 1)
        call = run_attention(attention, config, width, 2, embeddings, where)
        D = call.q.shape[-1]
        need = -(-D * 5 // (4 * call.q.shape[1]))
        call = run_attention(attention, config, width, need + need % 2, embeddings, where)
        scale = round(call.scale * (1 if type_name in MULTIPLIED else size(call.q, factor) * size(call.k, factor)), 6)
        at = {}
        for i in (1, len(where) - 1):
            R, residual = turned(call.q, i)
            if residual > 1e-4:
                raise ValueError(f"layer {layer} is no linear function of its query: {residual}")
            key = where[i] if not axes_apart else ",".join(map(str, where[i]))
            at[key] = torch.round(torch.tensor(pattern(D)) @ R * 8192).int().tolist()
        outcome = {"D": D, "scale": scale, "module": type(attention).__name__, "at": at}
        if outcome not in known:
            known.append(outcome)
        seen[layer] = known.index(outcome)
    return {"of": seen, "kinds": known}, factor


def first_attending(config):
    return next((n for n, kind in enumerate(config.layer_types) if attends(config, n)), 0)


def sections(C):
    """Other sections of M-RoPE than the default."""
    if C.model_type in BY_LAYER:
        return BY_LAYER[C.model_type]
    standard = (getattr(C(), "rope_parameters", None) or {}).get("mrope_section")
    if not standard or len(standard) != 3:
        return []
    a, b, c = standard
    return [{"rope_scaling": {"type": "mrope", "mrope_section": [a - 2, b + 1, c + 1]}, "rope_theta": 3000.0}]


def cases_of(type_name, C, module):
    cases = []
    usual = [{}, *BY_LAYER[type_name]] if type_name in BY_LAYER else variants(C)
    for given, apart in [*((v, False) for v in usual), *((v, True) for v in [{}, *sections(C)])]:
        given = completed(type_name, given)
        try:
            signal.alarm(20)
            found = observe_direct(type_name, C, given, module, apart)
            if found is not None:
                cases.append({"given": given, "model": C.__name__, "factor": found[1], "layers": found[0]} | ({"axes": True} if apart else {}))
        except (Exception, Late) as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            cases.append({"given": given, "error": f"{type(error).__name__}: {str(error)[:150]}", "at": f"{Path(at.filename).name}:{at.lineno}"})
        finally:
            signal.alarm(0)
    return cases


def main():
    signal.signal(signal.SIGALRM, late)
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    modules = modules_of("modeling")
    wanted = sys.argv[2:]
    with open(sys.argv[1], "a") as out:
        for (folder, name), C in configs.items():
            if not C.model_type or C.model_type not in wanted:
                continue
            module = modules[folder, "modeling_" + folder]
            needed = sorted(NEEDED.get(C.model_type, {}))
            entry = {"folder": folder, "type": C.model_type, "config": name, "needed": needed, "cases": cases_of(C.model_type, C, module)}
            out.write(json.dumps(entry) + "\n")
            out.flush()
            good = [c for c in entry["cases"] if "layers" in c]
            why = next((f"{c['error']} ({c['at']})" for c in entry["cases"] if "error" in c), "")
            print(folder, entry["type"], len(good), "of", len(entry["cases"]), why, flush=True)


if __name__ == "__main__":
    main()
