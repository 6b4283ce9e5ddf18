"""Rotary classes of vision towers and other encoders, with the positions that the model makes of a grid: what becomes of a query at some
tokens, and by what the scores are multiplied.

    python3 scripts/huggingface/towers.py OUT [TYPE …]
"""

import copy
import json
import sys

from facts import VISION
from golden import pattern, size
from probe import *  # noqa: F403
from probe import CALLS, SEED, PreTrainedConfig, Products, classes_of, hollow, modules_of, product, settle
from transformers.vision_utils import get_vision_position_ids

# Classes under an older name.
ALIASES = {"Ernie4_5_VL_MoeVisionConfig"}
MERGED = re.compile(r"get_vision_position_ids\(\s*grid_thw,\s*(?:spatial_merge_size=)?(?:self\.(?:config\.)?spatial_merge_size|merge_sizes)")
# Where the name of the attention module does not tell it from the others.
ATTENTION = {
    "qwen2_5_omni_dit": "DiTAttention",
    "efficientloftr": "EfficientLoFTRAttention", "qwen2_vl_vision": "VisionAttention", "qwen2_5_omni_vision_encoder": "Qwen2_5OmniVisionAttention",
    "step3p5_vision": "Step3p7VisionAttention", "edgetam_video": "EdgeTamVideoRoPESelfAttention", "sam2_video": "Sam2VideoRoPEAttention",
    "sam3_tracker_video": "Sam3TrackerVideoRoPEAttention", "pixtral": "PixtralAttention", "video_llama_3_vision": "VideoLlama3VisionAttention",
}


def rotary_of(module, C):
    found = [cls for name, cls in vars(module).items() if inspect.isclass(cls) and cls.__module__ == module.__name__
             and re.search(r"Rotary|RopePosition", name) and re.search(rf"\b{C.__name__}\b", str(inspect.signature(cls.__init__)))]
    if len(found) != 1:
        raise LookupError(f"{len(found)} rotary classes")
    return found[0]


def cosines(rotary, config, grid, merge, axes):
    """cos, sin [N, D]."""
    if axes == "centers":
        patch = config.patch_size
        return rotary(torch.zeros(1, 3, grid[0] * patch, grid[1] * patch))
    if axes in ("memory", "columns"):
        return rotary(torch.zeros(1, 1, 1), cells(grid)[:, [1, 0]])
    frames = grid if len(grid) == 3 else [1, *grid]
    ids = get_vision_position_ids(torch.tensor([frames]), merge, include_temporal=axes == "three")
    return rotary(torch.zeros(1, 1, 1), ids)


def cells(grid):
    """Rows and columns of the tokens of a grid, [N, 2]."""
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    return torch.stack([rows.flatten(), columns.flatten()], dim=-1)


def applied(module, cos, sin, D):
    """[N, D]: the pattern at every token, turned by the module's own function."""
    N = cos.shape[-2]
    q = torch.tensor(pattern(D), dtype=torch.float32)
    for name in ("apply_rotary_pos_emb_vision", "apply_rotary_pos_emb_2d", "apply_rotary_pos_emb_2d_self_attn", "apply_rotary_pos_emb"):
        apply = getattr(module, name, None)
        if apply is None:
            continue
        # DINOv3's function takes what is more than the patches for tokens before them: never heads for tokens.
        shapes = [((1, 1, N, D), {})] if "num_prefix" in inspect.getsource(apply) else []
        for shape, kwargs in (*shapes, ((N, 1, D), {}), ((1, N, 1, D), {}), ((1, 1, N, D), {}), ((1, 1, N, D), {"unsqueeze_dim": 0})):
            x = q.expand(*shape).clone()
            try:
                out = apply(x, x.clone(), cos, sin, **kwargs)[0]
            except (RuntimeError, TypeError, ValueError, AttributeError):
                continue
            if tuple(out.shape) == shape:
                return out.reshape(N, D)
    raise LookupError("no function that turns")


# ------------------------------------------------------------------------------------- classes that do it their own way


def gemma4(module, config, grid):
    """Columns first, the channels of each axis by themselves."""
    ids = cells(grid)[None, :, [1, 0]]  # as the image processor makes them
    cos, sin = module.Gemma4VisionRotaryEmbedding(config)(torch.zeros(1), ids)
    q = torch.tensor(pattern(config.head_dim)).float().expand(1, ids.shape[1], 1, -1)
    return module.apply_multidimensional_rope(q, cos, sin, ids)[0, :, 0], {"position_embeddings": (cos, sin), "position_ids": ids}


def llama4(module, config, grid):
    """All patches of a square image, and the class token after them."""
    assert grid == [config.image_size // config.patch_size] * 2
    turns = module.Llama4VisionRotaryEmbedding(config)(torch.zeros(1))
    N, D = turns.shape[0], config.hidden_size // config.num_attention_heads
    q = torch.tensor(pattern(D)).float().expand(1, N, 1, D)
    return module.vision_apply_rotary_emb(q, q, turns)[0][0, :, 0], {"freqs_ci": turns}


def efficient_loftr(module, config, grid):
    """The channels of all heads in one, [N, H·D]; tokens are those of the aggregated grid."""
    size, step = config.q_aggregation_kernel_size, config.q_aggregation_stride
    features = torch.zeros(1, 1, *((n - 1) * step + size for n in grid))
    cos, sin = (x.reshape(1, -1, x.shape[-1]) for x in module.EfficientLoFTRRotaryEmbedding(config)(features))
    H = config.num_attention_heads
    q = torch.tensor(pattern(config.hidden_size // H)).float().repeat(H).expand(1, cos.shape[1], 1, -1)
    return module.apply_rotary_pos_emb(q, q, cos, sin, unsqueeze_dim=2)[0][0, :, 0], {"position_embeddings": (cos, sin)}


def vjepa2(module, config, grid):
    """The module counts frames, rows and columns by itself."""
    attention = module.VJEPA2RopeAttention(config, config.hidden_size, config.num_attention_heads)
    assert grid[1:] == [attention.grid_size] * 2
    N, D = math.prod(grid), attention.attention_head_size
    q = torch.tensor(pattern(D)).float().expand(1, 1, N, D)
    return attention.apply_rotary_embeddings(q, attention.get_position_ids(torch.zeros(1, N, 1)))[0, 0], {}


def esmfold2(module, config, grid):
    """Coordinates of atoms, and the number of their residue."""
    assert grid is None
    places = torch.tensor(ATOMS)
    cos, sin = module.EsmFold2RotaryEmbedding(config)(places[:3].T[None], places[3][None], torch.float32)
    q = torch.tensor(pattern(config.head_dim)).float().expand(1, 1, places.shape[1], -1)
    return module.apply_rotary_pos_emb(q, q, cos, sin)[0][0, 0], {"position_embeddings": (cos, sin)}


def dit(module, config, grid):
    """The first head alone. It reads pairs and writes halves, in q and k alike: here they are put back."""
    assert grid is None
    D, H = config.head_dim, config.num_attention_heads
    cos, sin = module.Qwen2_5OmniDiTRotaryEmbedding(config)(torch.zeros(1), torch.tensor([PLACES]))
    x = torch.tensor(pattern(D)).float().expand(1, 1, len(PLACES), D)
    turned, _ = module.apply_rotary_pos_emb(module.deinterleave_head_dim(x), module.deinterleave_head_dim(x), cos, sin)
    back = turned.view(1, 1, -1, 2, D // 2).transpose(-1, -2).reshape(len(PLACES), D)
    return torch.cat([back, x[0, 0].repeat(1, H - 1)], dim=-1), {"position_embeddings": (cos, sin)}


# x, y, z in ångström, and which residue.
ATOMS = [[0.0, 1.53, -2.25, 10.0, -31.5], [0.0, -0.75, 4.5, 0.125, 12.25], [0.0, 3.0, -8.0, 2.5, 0.5], [0.0, 1.0, 1.0, 7.0, 300.0]]
OWN = {"gemma4_vision": gemma4, "llama4_vision_model": llama4, "efficientloftr": efficient_loftr, "vjepa2": vjepa2, "esmfold2_atom_encoder": esmfold2,
       "qwen2_5_omni_dit": dit}
PLACES = [0, 1, 2, 40, 300]
POSITIONS = {"esmfold2_atom_encoder": ATOMS, "qwen2_5_omni_dit": [PLACES]}
# What else to try, with the grid that the config asks for.
CASES = {
    "gemma4_vision": [({}, [4, 6]), ({"rope_parameters": {"rope_type": "axial", "rope_theta": 500.0}}, [3, 5]), ({"head_dim": 48}, [5, 3]),
                      ({"hidden_size": 192, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32}, [1, 7])],
    "llama4_vision_model": [({}, [32, 32]), ({"image_size": 84, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}, [6, 6]),
                            ({"hidden_size": 256, "num_attention_heads": 4, "image_size": 64, "patch_size": 16}, [4, 4])],
    "efficientloftr": [({}, [4, 6]), ({"rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 4.0}}, [3, 5]),
                       ({"hidden_size": 192, "out_features": [64, 64, 128, 192], "num_attention_heads": 4,
                         "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 2.0}}, [5, 2])],
    "vjepa2": [({}, [3, 16, 16]), ({"hidden_size": 192, "num_attention_heads": 4, "crop_size": 64}, [3, 4, 4]),
               ({"hidden_size": 1280, "crop_size": 96, "patch_size": 32}, [5, 3, 3])],
    "qwen2_5_omni_dit": [({}, None), ({"rope_theta": 500.0}, None), ({"head_dim": 48, "num_attention_heads": 4}, None)],
    "esmfold2_atom_encoder": [({}, None), ({"spatial_rope_base_frequency": 50.0, "uid_rope_base_frequency": 300.0}, None),
                              ({"head_dim": 48, "num_spatial_rope_pairs_per_axis": 3, "num_uid_rope_pairs": 8, "hidden_size": 192}, None)],
}


# --------------------------------------------------------------------------------- what turns elsewhere than in attention


def hidden_states(module, config):
    """Hidden states turn before the projections, each head's channels by themselves."""
    attention = next(cls for name, cls in vars(module).items() if re.search("(Bert|Conformer)SelfAttention$", name))
    turns = next(cls for name, cls in vars(module).items() if re.search("RotaryPositionalEmbedding$", name))(config)
    made = attention(config) if "Seamless" not in attention.__name__ else attention(config, use_position_embeddings=True)
    D, H = made.head_size, made.num_heads
    x = torch.tensor(pattern(D)).float().repeat(H).expand(1, PLACES[-1] + 1, -1)
    out = made._apply_rotary_embedding(x, turns(x)).view(-1, H, D)
    assert bool((out == out[:, :1]).all())
    return out[PLACES, 0], PLACES


def clvp(module, config):
    """The first channels of q, k and v."""
    D = config.hidden_size // config.num_attention_heads
    angles = module.ClvpRotaryPositionalEmbedding(config)(torch.zeros(1, PLACES[-1] + 1, 1))
    x = torch.tensor(pattern(D)).float().expand(1, 1, len(PLACES), D)
    R = angles.shape[-1]
    q, k, v = module.apply_rotary_pos_emb(*[x[..., :R]] * 3, angles.cos()[0], angles.sin()[0], torch.tensor([PLACES]))
    assert torch.equal(q, k) and torch.equal(q, v)
    return torch.cat([q, x[..., R:]], dim=-1)[0, 0], PLACES


def music(module, config):
    """Hidden states of sound, by seconds: the number of the window, and the place in it."""
    turns = module.MusicFlamingoRotaryEmbedding(config)
    starts, T = [0.0, 60.0, 1.5], 5
    step = config.audio_frame_step * 4
    stamps = torch.tensor([[start + step * n for n in range(T)] for start in starts])
    cos, sin = turns(stamps, seq_len=T)
    D = config.audio_config.hidden_size
    x = torch.tensor(pattern(D)).float().expand(len(starts), T, D)
    out = module.apply_rotary_time_emb(x, cos, sin).reshape(-1, D)
    return out, [[w // T for w in range(len(starts) * T)], [w % T for w in range(len(starts) * T)], stamps.flatten().tolist()]


ELSEWHERE = {
    "wav2vec2-bert": (hidden_states, [{}, {"rotary_embedding_base": 500}, {"hidden_size": 384, "num_attention_heads": 8}], {"position_embeddings_type": "rotary"}),
    "wav2vec2-conformer": (hidden_states, [{}, {"rotary_embedding_base": 500}, {"hidden_size": 384, "num_attention_heads": 8}], {"position_embeddings_type": "rotary"}),
    "seamless_m4t": (hidden_states, [{}, {"rotary_embedding_base": 500}, {"hidden_size": 384, "speech_encoder_attention_heads": 8}], {"position_embeddings_type": "rotary"}),
    "clvp_encoder": (clvp, [{}, {"hidden_size": 1024, "num_attention_heads": 8, "projection_dim": 1024}, {"projection_dim": 960}], {}),
    "musicflamingo": (music, [{}, {"rope_parameters": {"rope_type": "default", "rope_theta": 600.0, "partial_rotary_factor": 0.1}},
                              {"audio_frame_step": 0.02}], {}),
}


def elsewhere(type_name, C, module):
    observe, variants, always = ELSEWHERE[type_name]
    for given in variants:
        given = {**always, **given}
        out, places = observe(module, C(**copy.deepcopy(given)))
        yield {"given": given, "D": out.shape[1], "places": places,
               "at": {n: torch.round(row.double() * 8192).int().tolist() for n, row in enumerate(out) if n in (1, len(out) // 2, len(out) - 1)}}


# ------------------------------------------------------------------------------------------------------------- the scale


def attention_of(type_name, module, C):
    name = ATTENTION.get(type_name)
    found = [cls for key, cls in vars(module).items() if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls.__module__ == module.__name__
             and re.search(r"Attention$", key) and not re.search("Merg|Flash|Pooler|Adapter", key)
             and (key == name if name else re.search(rf"\b{C.__name__}\b", str(inspect.signature(cls.__init__))))]
    if len(found) != 1:
        raise LookupError(f"{len(found)} attention modules: {[cls.__name__ for cls in found]}")
    return found[0]


def scale_of(type_name, module, C, config, given, tokens, grid, D):
    """By what the attention module multiplies scores; its inputs are tried in the shapes that there are."""
    cls = attention_of(type_name, module, C)
    config._attn_implementation_internal = "probe"
    names = list(inspect.signature(cls.__init__).parameters)[1:]
    made = {"config": config, "layer_idx": 0, "hidden_size": getattr(config, "hidden_size", None), "num_attention_heads": getattr(config, "num_attention_heads", None)}
    if type_name == "esmfold2_atom_encoder":
        made = {"config": module.EsmFold2Config(), "atom_config": config}
        made["config"]._attn_implementation_internal = "probe"
    with hollow(module):
        attention = cls(**{name: made[name] for name in names if name in made}).eval()
    settle(attention)
    width = next(w for w in (getattr(config, key, None) for key in ("memory_attention_hidden_size", "embed_dim", "hidden_size")) if isinstance(w, int))
    why = None
    for shape in ((tokens, width), (1, tokens, width), (1, 1, tokens, width), (1, *(grid or [1, 1])[-2:], width)):
        inputs = {}
        for key, p in inspect.signature(attention.forward).parameters.items():
            if key in ("hidden_states", "x", "query", "key", "value"):
                inputs[key] = torch.ones(shape)
            elif key in given:
                inputs[key] = given[key]
            elif key == "cu_seqlens":
                inputs[key] = torch.tensor([0, tokens], dtype=torch.int32)
            elif p.default is inspect.Parameter.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                inputs[key] = None
        CALLS.clear()
        SEED[0] = 0
        try:
            with torch.no_grad(), Products() as products:
                attention(**inputs)
        except Exception as error:
            why = error
        calls = [c for c in [*CALLS, *map(product, products.found)] if c.q.shape[-1] == D]
        if calls:
            return round(calls[0].scale * size(calls[0].q, 1.0) * size(calls[0].k, 1.0), 6)
    raise ValueError(f"{cls.__name__} made no scores of heads of {D}: {why}")


# --------------------------------------------------------------------------------------------------------------- the cases


def variants(C, merged, axes):
    plain = C()
    fields = set(plain.to_dict())
    grid = [2, 4, 6] if axes == "three" else [4, 6]
    out = [({}, grid)]
    if getattr(plain, "rope_parameters", None):
        out.append(({"rope_parameters": {**plain.rope_parameters, "rope_theta": 500.0}}, grid))
    else:
        out += [({key: 500.0}, grid) for key in ("rope_theta", "memory_attention_rope_theta") if key in fields]
    names = [next((key for key in keys if key in fields), None) for keys in (("embed_dim", "hidden_size"), ("num_heads", "num_attention_heads"))]
    if all(names) and axes != "memory":
        out.append((dict(zip(names, (192, 4))), grid))
    if "head_dim" in fields:
        out.append(({"head_dim": 48}, grid))
    if merged and axes == "three":
        m = plain.spatial_merge_size
        out += [({"spatial_merge_size": 3}, [1, 6, 9]), ({"spatial_merge_size": 1}, [2, 3, 5]), ({}, [3, 2 * m, 5 * m])]
    elif merged:
        out += [({"spatial_merge_size": 3}, [6, 9]), ({"spatial_merge_size": 1}, [3, 5]), ({}, [2 * plain.spatial_merge_size, 5 * plain.spatial_merge_size])]
    else:
        out.append(({}, [1, 3, 5] if axes == "three" else [3, 5]))
    return out


def case(type_name, C, module, given, grid, merged, axes):
    config = C(**copy.deepcopy(given))
    heads = 1
    if type_name in OWN:
        out, inputs = OWN[type_name](module, config, grid)
        heads = config.num_attention_heads if type_name in ("efficientloftr", "qwen2_5_omni_dit") else 1
    else:
        rotary = rotary_of(module, C)(config).eval()  # in training DINOv3 shakes the coordinates
        cos, sin = cosines(rotary, config, grid, config.spatial_merge_size if merged else 1, axes)
        D = cos.shape[-1]
        if axes == "three":
            D = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        out = applied(module, cos, sin, D)
        inputs = {"position_embeddings": (cos, sin)}
    N, D = out.shape[0], out.shape[1] // heads
    scale = scale_of(type_name, module, C, config, inputs, N, grid, D)
    tokens = sorted({1, 2, N // 2, N - 1})
    return {"given": given, "grid": grid} | ({"positions": POSITIONS[type_name]} if grid is None else {}) | ({"heads": heads} if heads > 1 else {}) | {
        "D": D, "scale": scale, "tokens": N, "at": {t: torch.round(out[t].double() * 8192).int().tolist() for t in tokens}}


def main():
    Linear.own = True
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    modules = modules_of("modeling")
    wanted = sys.argv[2:]
    with open(sys.argv[1], "w") as out:
        for (folder, name), C in configs.items():
            type_name = "esmfold2_atom_encoder" if name == "EsmFold2AtomEncoderConfig" else C.model_type
            if type_name in ELSEWHERE and (not wanted or type_name in wanted):
                entry = {"folder": folder, "type": type_name, "elsewhere": list(elsewhere(type_name, C, modules[folder, "modeling_" + folder]))}
                print(type_name, len(entry["elsewhere"]), "beside attention")
                out.write(json.dumps(entry) + "\n")
            if type_name not in VISION and type_name not in OWN or C.__name__ in ALIASES or wanted and type_name not in wanted:
                continue
            module, axes = modules[folder, "modeling_" + folder], VISION.get(type_name, ("", ""))[1]
            source = Path(module.__file__).read_text()
            merged = bool(MERGED.search(source)) and hasattr(C(), "spatial_merge_size")
            entry = {"folder": folder, "type": type_name, "vision": []}
            for given, grid in CASES.get(type_name) or variants(C, merged, axes):
                try:
                    entry["vision"].append(case(type_name, C, module, given, grid, merged, axes))
                except Exception as error:
                    print(type_name, given, type(error).__name__, str(error)[:200])
            print(type_name, len(entry["vision"]), sorted({c["scale"] for c in entry["vision"]}))
            out.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
