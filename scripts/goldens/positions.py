"""Positions of text with images and videos, by the models' own builders: test/golden/positions.json."""

import importlib
import json
from types import SimpleNamespace

import torch
from common import ROOT, hf

TEXT = lambda n: {"text": n}


def tokens_of(run, merge):
    if "text" in run:
        return run["text"]
    t, h, w = run["grid"]
    return t // run.get("temporalMerge", 1) * (h // merge) * (w // merge)


# rows of runs; a run with "video" is one to the model, too
ROWS = {
    "image": [[TEXT(5), {"grid": [1, 4, 8]}, TEXT(3)]],
    "images": [[{"grid": [1, 8, 4]}, TEXT(1), {"grid": [1, 2, 2]}, TEXT(6), {"grid": [1, 6, 6]}], [TEXT(4)],
               [TEXT(2), {"grid": [1, 2, 12]}, TEXT(9)]],
    "frames": [[TEXT(2), {"grid": [1, 4, 6], "video": 3}, TEXT(2), {"grid": [1, 4, 6], "video": 0}, TEXT(2), {"grid": [1, 4, 6], "video": 0},
                TEXT(4)]],
    "video": [[TEXT(3), {"grid": [4, 4, 6], "video": 1}, TEXT(2)], [{"grid": [1, 4, 4]}, TEXT(2), {"grid": [6, 2, 4], "video": 1}]],
}

CASES = [
    ("qwen2_vl", "Qwen2VLModel", "image", {}), ("qwen2_vl", "Qwen2VLModel", "images", {}), ("qwen2_vl", "Qwen2VLModel", "video", {}),
    ("qwen2_5_vl", "Qwen2_5_VLModel", "video", {"seconds": [0.5, 0.3]}), ("qwen2_5_vl", "Qwen2_5_VLModel", "images", {}),
    ("qwen3_vl", "Qwen3VLModel", "images", {}), ("qwen3_vl", "Qwen3VLModel", "frames", {}), ("qwen3_5", "Qwen3_5Model", "frames", {}),
    ("glm4v", "Glm4vModel", "frames", {}), ("paddleocr_vl", "PaddleOCRVLModel", "images", {}),
    ("ernie4_5_vl_moe", "Ernie4_5_VLMoeModel", "video", {"temporal": 2}),
]
PER_SECOND = 4


def positions_of(module, name, kind, more, padding):
    cls = getattr(importlib.import_module(f"transformers.models.{module}.modeling_{module}"), name)
    merge = 2
    config = SimpleNamespace(vision_config=SimpleNamespace(
        spatial_merge_size=merge, tokens_per_second=PER_SECOND, temporal_merge_size=more.get("temporal", 1)))
    model = SimpleNamespace(config=config)
    model.get_vision_position_ids = lambda *a, **k: cls.get_vision_position_ids(model, *a, **k)
    rows, types, images, videos, seconds = [], [], [], [], iter(more.get("seconds", []))
    for row in ROWS[kind]:
        mine, of = [], []
        for run in row:
            run = dict(run)
            video = run.pop("video", None)
            if video is not None:
                if "temporal" in more:
                    run["temporalMerge"] = more["temporal"]
                if "seconds" in more:
                    run["interval"] = PER_SECOND * next(seconds)
                if video:  # as the processor counts them: with timestamps, all the frames of a video are one entry
                    videos.append([video if kind == "frames" else run["grid"][0], *run["grid"][1:]])
            elif "grid" in run:
                images.append(run["grid"])
            mine.append(run)
            of += [0 if "text" in run else 2 if video is not None else 1] * tokens_of(run, merge)
        rows.append(mine)
        types.append(of)
    length = max(map(len, types))
    full = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for b, of in enumerate(types):
        at = slice(length - len(of), length) if padding == "left" else slice(0, len(of))
        full[b, at], mask[b, at] = torch.tensor(of), 1
    grids = [torch.tensor(g) if g else None for g in (images, videos)]
    if "seconds" in more:
        more = {"second_per_grid_ts": torch.tensor(more["seconds"])}
    else:
        more = {}
    # the types serve as tokens: only their number matters
    positions, deltas = cls.get_rope_index(model, full, full, *grids, attention_mask=mask, **more)
    return {"source": hf(f"{name}.get_rope_index"), "builder": "mropePositions",
            "options": {"rows": rows, "spatialMerge": merge, "padding": padding},
            "positions": positions.flatten().tolist(), "deltas": deltas.flatten().tolist()}


def hunyuan(rows, merge, axes):
    from transformers.models.hunyuan_vl.modeling_hunyuan_vl import HunYuanVLModel as cls

    config = SimpleNamespace(text_config=SimpleNamespace(rope_parameters={"mrope_section": [1] * axes}),
                             vision_config=SimpleNamespace(spatial_merge_size=merge))
    model = SimpleNamespace(config=config)
    model.get_vision_position_ids = lambda *a, **k: cls.get_vision_position_ids(model, *a, **k)
    of, grids = [], []
    for run in rows:
        if "text" in run:
            of += [0] * run["text"]
        else:
            grids.append(run["grid"])
            of += [1] * (run["grid"][1] // merge * (run["grid"][2] // merge + 1))
    of = torch.tensor([of])
    positions, deltas = cls.get_rope_index(model, of, of, torch.tensor(grids))
    return {"source": hf("HunYuanVLModel.get_rope_index"), "builder": "hunyuanPositions",
            "options": {"rows": [rows], "spatialMerge": merge, "axes": axes},
            "positions": positions.flatten().tolist(), "deltas": deltas.flatten().tolist()}


def vision(grids, merge, temporal):
    from transformers.vision_utils import get_vision_position_ids

    at = get_vision_position_ids(torch.tensor(grids), merge, include_temporal=temporal)
    return {"source": hf("vision_utils.get_vision_position_ids"), "builder": "visionPositions",
            "options": {"grids": grids, "spatialMerge": merge, "temporal": temporal}, "positions": at.T.flatten().tolist()}


def positions():
    made = [positions_of(*case, padding) for case in CASES for padding in ("left", "right")]
    made += [hunyuan([TEXT(6), {"grid": [1, 4, 6]}, TEXT(3), {"grid": [1, 2, 8]}, TEXT(4)], 2, axes) for axes in (3, 4)]
    made += [vision([[1, 4, 6], [2, 2, 8]], merge, temporal) for merge in (1, 2) for temporal in (False, True)]
    path = ROOT / "test" / "golden" / "positions.json"
    path.write_text("[\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in made) + "\n]\n")
    print(f"positions.json: {len(made)} cases, {path.stat().st_size / 1024:.1f} KB")


ALL = {"positions": positions}
