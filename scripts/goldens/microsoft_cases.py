"""GroupQueryAttention, MultiHeadAttention and RotaryEmbedding of com.microsoft as onnxruntime computes them on the CPU.
Needs `onnx` and `onnxruntime` (made with 1.23.1 and 1.30.0):

    python scripts/goldens/microsoft_cases.py [directory]

The file has the form of those of onnx_cases.py. Outputs of padding queries are set to 0: they mean nothing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx_cases import write

ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64}
NAMES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64"}
tensors, cases = {}, {}


def noise(seed, *shape):
    return np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, shape).astype(np.float32)


def add(name, operator, inputs, order, outputs, attributes, clean=None):
    """Runs one node and keeps what went in and what came out."""
    names = [key if key in inputs else "" for key in order]
    while not names[-1]:
        names.pop()
    node = helper.make_node(operator, names, outputs, domain="com.microsoft", **attributes)
    value = lambda key, array: helper.make_tensor_value_info(key, ELEMENTS[array.dtype.name], array.shape)
    dtype = ELEMENTS[next(iter(inputs.values())).dtype.name]
    graph = helper.make_graph([node], name, [value(k, a) for k, a in inputs.items()],
                              [helper.make_tensor_value_info(k, dtype, None) for k in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = dict(zip(outputs, session.run(outputs, inputs)))
    if clean:
        clean(results)
    for kind, arrays in (("input", inputs), ("output", results)):
        for key, array in arrays.items():
            tensors[f"{name}/{kind}/{key}"] = (NAMES[array.dtype.name], list(array.shape), np.ascontiguousarray(array).tobytes())
    cases[name] = {"operator": operator, "opset": 1, "attributes": attributes, "inputs": [n for n in names if n], "outputs": outputs}


GQA = ("query", "key", "value", "past_key", "past_value", "seqlens_k", "total_sequence_length", "cos_cache", "sin_cache",
       "position_ids", "attention_bias", "head_sink")


def gqa(name, B, L, lengths, total, past=0, packed=False, half=False, extra=None, **attributes):
    H, G, D = 4, 2, 16
    kind = np.float16 if half else np.float32
    inputs = {}
    if packed:
        inputs["query"] = noise(1, B, L, (H + 2 * G) * D).astype(kind)
    else:
        inputs.update(query=noise(1, B, L, H * D), key=noise(2, B, L, G * D), value=noise(3, B, L, G * D))
    if past:
        inputs.update(past_key=noise(4, B, G, past, D), past_value=noise(5, B, G, past, D))
    inputs = {k: a.astype(kind) for k, a in inputs.items()}
    inputs["seqlens_k"] = np.array(lengths, np.int32) - 1
    inputs["total_sequence_length"] = np.array([total], np.int32)
    if attributes.get("do_rotary"):
        angles = np.outer(np.arange(40), 0.3 ** np.arange(D // 2))
        inputs.update(cos_cache=np.cos(angles).astype(kind), sin_cache=np.sin(angles).astype(kind))
    inputs.update(extra or {})
    def clean(results):
        for b, n in enumerate(lengths):
            if L == total:
                results["output"][b, n:] = 0
            for key in ("present_key", "present_value"):
                results[key][b, :, n:] = 0
    add(name, "GroupQueryAttention", inputs, GQA, ["output", "present_key", "present_value"],
        {"num_heads": H, "kv_num_heads": G, **attributes}, clean)


def rotary(name, shape, half, ids, rows=20, **attributes):
    cache = noise(7, rows, half), noise(8, rows, half)
    inputs = {"input": noise(6, *shape), "position_ids": np.array(ids, np.int64), "cos_cache": cache[0], "sin_cache": cache[1]}
    add(name, "RotaryEmbedding", inputs, ("input", "position_ids", "cos_cache", "sin_cache"), ["output"], attributes)


MHA = ("query", "key", "value", "bias", "key_padding_mask", "attention_bias", "past_key", "past_value")


def mha(name, B, L, S, extra=None, **attributes):
    H, D = 4, 16
    inputs = {"query": noise(1, B, L, H * D), "key": noise(2, B, S, H * D), "value": noise(3, B, S, H * D), **(extra or {})}
    outputs = ["output", "present_key", "present_value"] if "past_key" in inputs else ["output"]
    add(name, "MultiHeadAttention", inputs, MHA, outputs, {"num_heads": H, **attributes})


def main(directory):
    gqa("gqa_prompt", 2, 7, [7, 7], 7)
    gqa("gqa_prompt_padded", 2, 7, [7, 4], 7, do_rotary=1)
    gqa("gqa_prompt_packed", 2, 7, [7, 7], 7, packed=True, do_rotary=1, rotary_interleaved=1)
    gqa("gqa_prompt_window", 1, 9, [9], 9, local_window_size=3)
    gqa("gqa_prompt_softcap_scale", 1, 9, [9], 9, softcap=0.5, scale=0.7)
    gqa("gqa_prompt_smooth", 2, 5, [5, 5], 5, smooth_softmax=1)
    gqa("gqa_prompt_sink", 2, 5, [5, 5], 5, extra={"head_sink": np.array([0.5, -1, 2, 0], np.float32)})
    gqa("gqa_prompt_bias", 2, 5, [5, 5], 5, extra={"attention_bias": noise(9, 1, 4, 5, 5)})
    gqa("gqa_prompt_both_ways", 1, 6, [6], 6, causal=0)
    gqa("gqa_prompt_half", 2, 7, [7, 7], 7, half=True, do_rotary=1)
    gqa("gqa_decode", 2, 1, [9, 6], 9, past=8, do_rotary=1)
    gqa("gqa_decode_buffer", 2, 1, [9, 6], 9, past=12, do_rotary=1, local_window_size=4)
    gqa("gqa_decode_positions", 2, 1, [9, 6], 9, past=12, do_rotary=1, extra={"position_ids": np.array([[30], [2]], np.int64)})
    gqa("gqa_chunk", 1, 3, [9], 9, past=6, do_rotary=1)
    gqa("gqa_decode_bias", 2, 1, [9, 6], 9, past=12, extra={"attention_bias": noise(9, 2, 1, 1, 9)})
    rotary("rotary_offset", (2, 5, 32), 4, [3], num_heads=2, rotary_embedding_dim=8)
    rotary("rotary_derived_heads", (2, 5, 32), 4, [3])
    rotary("rotary_positions", (2, 3, 5, 8), 4, [[4, 0, 19, 4, 7], [1, 2, 3, 4, 5]], interleaved=1)
    ints = lambda *x: np.array(x, np.int32)
    mha("mha", 2, 5, 7)
    mha("mha_scale_bias", 2, 5, 5, {"bias": noise(10, 192)}, scale=0.4)
    mha("mha_lengths", 2, 5, 7, {"key_padding_mask": ints(7, 3)})
    mha("mha_flags", 2, 5, 7, {"key_padding_mask": ints([1, 1, 0, 1, 1, 1, 0], [1, 0, 0, 1, 0, 0, 0])})
    mha("mha_flags_per_query", 1, 3, 4, {"key_padding_mask": ints([[1, 1, 0, 1], [1, 0, 0, 0], [0, 1, 0, 1]])})
    mha("mha_attention_bias", 2, 5, 7, {"attention_bias": noise(11, 1, 4, 5, 7)})
    mha("mha_unidirectional", 2, 6, 6, unidirectional=1)
    mha("mha_past", 2, 3, 3, {"past_key": noise(4, 2, 4, 5, 16), "past_value": noise(5, 2, 4, 5, 16)})
    mha("mha_past_unidirectional", 2, 3, 3, {"past_key": noise(4, 2, 4, 5, 16), "past_value": noise(5, 2, 4, 5, 16)}, unidirectional=1)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "microsoft.safetensors"
    write(path, tensors, {"source": f"onnxruntime {onnxruntime.__version__}, CPU", "cases": json.dumps(cases)})
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "test" / "golden" / "onnx"))
