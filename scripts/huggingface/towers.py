"""Rotary classes of vision towers, with the positions that the tower makes of a grid: what becomes of a query at some tokens.

    python3 scripts/huggingface/towers.py OUT [TYPE …]
"""

import copy
import json
import sys

from facts import VISION
from golden import pattern
from probe import *  # noqa: F403
from probe import PreTrainedConfig, classes_of, modules_of
from transformers.vision_utils import get_vision_position_ids

# Classes under an older name.
ALIASES = {"Ernie4_5_VL_MoeVisionConfig"}
MERGED = re.compile(r"get_vision_position_ids\(\s*grid_thw,\s*(?:spatial_merge_size=)?(?:self\.(?:config\.)?spatial_merge_size|merge_sizes)")


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
        rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
        return rotary(torch.zeros(1, 1, 1), torch.stack([columns.flatten(), rows.flatten()], dim=-1))
    frames = grid if len(grid) == 3 else [1, *grid]
    ids = get_vision_position_ids(torch.tensor([frames]), merge, include_temporal=axes == "three")
    return rotary(torch.zeros(1, 1, 1), ids)


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


def case(C, module, given, grid, merged, axes):
    config = C(**copy.deepcopy(given))
    rotary = rotary_of(module, C)(config).eval()  # in training DINOv3 shakes the coordinates
    merge = config.spatial_merge_size if merged else 1
    cos, sin = cosines(rotary, config, grid, merge, axes)
    D = cos.shape[-1]
    if axes == "three":
        D = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    out = applied(module, cos, sin, D)
    N = out.shape[0]
    tokens = sorted({1, 2, N // 2, N - 1})
    return {"given": given, "grid": grid, "D": D, "tokens": N, "at": {t: torch.round(out[t].double() * 8192).int().tolist() for t in tokens}}


def main():
    configs = classes_of(modules_of("configuration"), PreTrainedConfig)
    modules = modules_of("modeling")
    wanted = sys.argv[2:]
    with open(sys.argv[1], "w") as out:
        for (folder, _), C in configs.items():
            if C.model_type not in VISION or C.__name__ in ALIASES or wanted and C.model_type not in wanted:
                continue
            module, axes = modules[folder, "modeling_" + folder], VISION[C.model_type][1]
            source = Path(module.__file__).read_text()
            merged = bool(MERGED.search(source)) and hasattr(C(), "spatial_merge_size")
            entry = {"folder": folder, "type": C.model_type, "vision": []}
            for given, grid in variants(C, merged, axes):
                try:
                    entry["vision"].append(case(C, module, given, grid, merged, axes))
                except Exception as error:
                    print(C.model_type, given, type(error).__name__, str(error)[:120])
            print(C.model_type, len(entry["vision"]))
            out.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
