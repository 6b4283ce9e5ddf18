"""Random nodes through onnxruntime on the CPU, for scripts/goldens/onnx_random.mjs to compare with. Needs `onnx` and `onnxruntime`
(1.23.1 and 1.30.0):

    python scripts/goldens/onnx_random.py cases.safetensors [count] [seed]

About one node in four is wrong in one place. The file has the form of those of onnx_cases.py; a case that onnxruntime refuses has its
message for "refused" and no outputs, one that ends its process (onnxruntime divides by a batch of 0) is "crashed".
"""

import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx_cases import write

ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
            "bool": TensorProto.BOOL}
NAMES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "bool": "BOOL"}
ORDER = {
    "GroupQueryAttention": ("query", "key", "value", "past_key", "past_value", "seqlens_k", "total_sequence_length", "cos_cache",
                            "sin_cache", "position_ids", "attention_bias", "head_sink"),
    "MultiHeadAttention": ("query", "key", "value", "bias", "key_padding_mask", "attention_bias", "past_key", "past_value"),
    "RotaryEmbedding": ("input", "position_ids", "cos_cache", "sin_cache"),
    "OnnxRotaryEmbedding": ("input", "cos_cache", "sin_cache", "position_ids"),
    "Attention": ("Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"),
}
OUTPUTS = {"GroupQueryAttention": ["output", "present_key", "present_value"], "MultiHeadAttention": ["output", "present_key", "present_value"],
           "RotaryEmbedding": ["output"], "OnnxRotaryEmbedding": ["output"], "Attention": ["Y", "present_key", "present_value"]}
onnxruntime.set_default_logger_severity(4)


class Random:
    def __init__(self, seed):
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def of(self, *choices):
        return choices[int(self.generator.integers(len(choices)))]

    def upto(self, low, high):
        return int(self.generator.integers(low, high + 1))

    def chance(self, p):
        return bool(self.generator.random() < p)

    def noise(self, *shape):
        return self.generator.uniform(-1, 1, shape).astype(np.float32)

    def ints(self, low, high, *shape):
        return self.generator.integers(low, high + 1, shape)


def bias(r, B, H, L, T):
    array = r.noise(r.of(1, B), r.of(1, H), L, T) * r.of(1, 4)
    if r.chance(0.3):
        array[r.generator.random(array.shape) < 0.3] = r.of(-np.inf, -1e4, np.finfo(np.float32).min)
    return array.astype(np.float32)


def group_query(r):
    G, H = r.of((1, 1), (1, 4), (2, 2), (2, 4), (3, 6))
    D, L = r.of(8, 16, 32), r.of(1, 1, 2, 3, 5)
    kind = r.of("prompt", "prompt", "decode", "decode", "chunk", "shared")
    B = 1 if kind == "chunk" else r.upto(1, 3)
    L = 1 if kind in ("decode", "shared") and B > 1 else L
    P = 0 if kind == "prompt" else r.upto(L, 9)
    if kind == "prompt":
        total = L
        lengths = [r.upto(1, L) for _ in range(B)]
    else:
        lengths = [r.upto(L, P if kind == "shared" else P + L) for _ in range(B)]
        total = max(lengths)
        if total == L and kind != "shared":
            P, total, lengths = P + 1, total + 1, [n + 1 for n in lengths]
    i = {}
    if kind != "shared" and r.chance(0.2):
        i["query"] = r.noise(B, L, (H + 2 * G) * D)
    else:
        rows = 0 if kind == "shared" else L
        i.update(query=r.noise(B, L, H * D), key=r.noise(B, rows, G * D), value=r.noise(B, rows, G * D))
    if kind != "prompt":
        i.update(past_key=r.noise(B, G, P, D), past_value=r.noise(B, G, P, D))
    i.update(seqlens_k=np.array(lengths, np.int32) - 1, total_sequence_length=np.array([total], np.int32))
    a = {"num_heads": H, "kv_num_heads": G}
    if D >= 16 and r.chance(0.5):
        half = r.of(*[n for n in (8, 16) if 2 * n <= D])
        rows = r.upto(total + 3, 30)
        i.update(cos_cache=r.noise(rows, half), sin_cache=r.noise(rows, half))
        a.update(do_rotary=1, rotary_interleaved=r.upto(0, 1))
        if r.chance(0.5):
            i["position_ids"] = r.ints(0, rows - L, B, L).astype(np.int64)
    if r.chance(0.4):
        i["attention_bias"] = bias(r, B, H, L, total)
    if r.chance(0.3):
        i["head_sink"] = r.noise(H)
    for name, p, value in (("scale", 0.3, r.of(0.0, 0.3, 1.5, -0.5)), ("softcap", 0.3, r.of(0.0, 0.5, 5.0)), ("causal", 0.3, r.upto(0, 1)),
                           ("smooth_softmax", 0.3, r.of(-1, 0, 1))):
        if r.chance(p):
            a[name] = value
    if a.get("causal", 1) and r.chance(0.3):
        a["local_window_size"] = r.upto(1, 6)
    return i, a


def wrong_group_query(r, i, a):
    B, L = i["query"].shape[:2]
    total = int(i["total_sequence_length"][0])
    H, G = a["num_heads"], a["kv_num_heads"]
    choices = ["bias", "causal", "window", "total", "seqlens", "sink", "heads", "query"]
    choices += ["past", "value"] if "past_key" in i else []
    choices += ["key", "values"] if "key" in i else []
    choices += ["positions", "cache"] if "cos_cache" in i else []
    what = r.of(*choices)
    if what == "bias":
        i["attention_bias"] = r.noise(*r.of((1, 1, L, total + 1), (B + 1, 1, L, total), (1, H + 1, L, total), (L, total), (1, 1, L + 1, total), (0,)))
    elif what == "causal":
        a["causal"] = r.of(2, -1)
    elif what == "window":
        a.update(causal=0, local_window_size=2)
    elif what == "total":
        i["total_sequence_length"] = r.of(np.array([0], np.int32), np.zeros(0, np.int32), np.array([total, total], np.int32))
    elif what == "seqlens":
        i["seqlens_k"] = r.of(i["seqlens_k"] - 99, i["seqlens_k"] + 99, np.zeros(B + 1, np.int32), np.zeros(0, np.int32))
    elif what == "sink":
        i["head_sink"] = r.noise(*r.of((H + 1,), (0,), (1, H)))
    elif what == "heads":
        a["kv_num_heads"] = r.of(0, G + 7)
    elif what == "query":
        i["query"] = r.noise(*r.of((B, L), (B, L, i["query"].shape[2] + 1), (B + 1, L, i["query"].shape[2])))
    elif what == "past":
        i.pop(r.of("past_key", "past_value"))
    elif what == "value":
        b, g, p, d = i["past_value"].shape
        i[r.of("past_key", "past_value")] = r.noise(*r.of((b, g, p + 1, d), (b + 1, g, p, d), (b, g + 1, p, d), (b, g, p, d + 8), (g, p, d)))
    elif what == "key":
        i.pop(r.of("key", "value"))
    elif what == "values":
        b, l, h = i["value"].shape
        i[r.of("key", "value")] = r.noise(*r.of((b, l + 1, h), (b + 1, l, h), (b, l, h + 8), (b, l, G, h // G)))
    elif what == "positions":
        i["position_ids"] = r.of(np.full((B, L), -1), np.full((B, L), 99), np.zeros((B + 1, L)), np.zeros(L), np.zeros(0)).astype(np.int64)
    elif what == "cache":
        rows, half = i["cos_cache"].shape
        i["sin_cache"] = r.noise(*r.of((rows, half + 8), (rows + 1, half), (half,), (0,)))


def multi_head(r):
    B, L, S, H, D = r.upto(1, 3), r.upto(1, 5), r.upto(1, 6), r.upto(1, 3), r.of(4, 8, 16)
    E = D if r.chance(0.8) else r.of(4, 8)
    past = r.upto(0, 4) if r.chance(0.4) else None
    a, T = {"num_heads": H}, S + (past or 0)
    i = {"query": r.noise(B, L, H * D)}
    if r.chance(0.2):
        i.update(key=r.noise(B, H, S, D), value=r.noise(B, H, S, E))
    else:
        i.update(key=r.noise(B, S, H * D), value=r.noise(B, S, H * E))
    if r.chance(0.3) and i["key"].ndim == 3:
        i["bias"] = r.noise(2 * H * D + H * E)
    if r.chance(0.4):
        i["key_padding_mask"] = r.of(r.ints(1, T, B), r.ints(-2, 2, B, T), r.ints(0, 1, B, L, T)).astype(np.int32)
        if i["key_padding_mask"].ndim > 1:
            i["key_padding_mask"][..., 0] = 1
    if r.chance(0.4):
        i["attention_bias"] = r.noise(r.of(1, B), r.of(1, H), L, T) * 3
    if past is not None:
        i.update(past_key=r.noise(B, H, past, D), past_value=r.noise(B, H, past, E))
    if r.chance(0.3):
        a["scale"] = r.of(0.0, 0.3, -0.5)
    if r.chance(0.4):
        a["unidirectional"] = r.upto(0, 1)
    return i, a


def wrong_multi_head(r, i, a):
    B, L, hidden = i["query"].shape
    H = a["num_heads"]
    S = i["key"].shape[1] if i["key"].ndim == 3 else i["key"].shape[2]
    T = S + (i["past_key"].shape[2] if "past_key" in i else 0)
    what = r.of("bias", "padding", "attention_bias", "past", "alone", "key", "value", "heads", "query")
    if what == "bias":
        i["bias"] = r.noise(*r.of((0,), (3 * hidden + 1,), (1, 3 * hidden)))
    elif what == "padding":
        i["key_padding_mask"] = np.ones(r.of((B, T + 1), (B + 1, T), (1, 1, 1, T), (0,), (B, L + 1, T)), np.int32)
    elif what == "attention_bias":
        i["attention_bias"] = r.noise(*r.of((1, 1, L, T + 1), (1, 1, L + 1, T), (B + 1, 1, L, T), (1, H + 1, L, T), (L, T), (0,)))
    elif what == "past":
        i.update(past_key=r.noise(B, H, 2, hidden // H), past_value=r.noise(*r.of((B, H, 3, hidden // H), (B, H + 1, 2, hidden // H), (B + 1, H, 2, hidden // H))))
    elif what == "alone":
        shape = (B, H, 2, hidden // H)
        i.pop("past_key", 0), i.pop("past_value", 0)
        i[r.of("past_key", "past_value")] = r.noise(*shape)
    elif what == "key":
        i["key"] = r.noise(*r.of((B + 1, S, hidden), (B, S, hidden + H), (B, S)))
    elif what == "value":
        i["value"] = r.noise(*r.of((B + 1, S, hidden), (B, S + 1, hidden), (B, S)))
    elif what == "heads":
        a["num_heads"] = r.of(0, hidden + 1)
    elif what == "query":
        i["query"] = r.noise(*r.of((B + 1, L, hidden), (L, hidden), (B, L, hidden + H)))


def attention(r):
    B, L, S, D, E = r.upto(1, 3), r.upto(1, 5), r.upto(1, 6), r.of(4, 8, 16), r.of(4, 8)
    G, H = r.of((1, 1), (2, 2), (1, 3), (2, 4))
    opset, past = r.of(23, 24), r.upto(1, 4) if r.chance(0.3) else None
    flat = r.chance(0.3)
    i, a, T = {}, {}, S + (past or 0)
    shape = (lambda n, rows, w: (B, rows, n * w)) if flat else (lambda n, rows, w: (B, n, rows, w))
    i.update(Q=r.noise(*shape(H, L, D)), K=r.noise(*shape(G, S, D)), V=r.noise(*shape(G, S, E)))
    if flat:
        a.update(q_num_heads=H, kv_num_heads=G)
    if r.chance(0.5):
        mask = r.of((L, T), (H, L, T), (1, L, T), (B, H, L, T), (1, 1, L, T), (B, 1, L, T))
        i["attn_mask"] = r.generator.random(mask) < 0.7 if r.chance(0.5) else r.noise(*mask) * 3
    if past is not None:
        i.update(past_key=r.noise(B, G, past, D), past_value=r.noise(B, G, past, E))
    elif opset > 23 and r.chance(0.4):
        i["nonpad_kv_seqlen"] = r.ints(0, S, B).astype(np.int64)
    if r.chance(0.4):
        a["is_causal"] = r.upto(0, 1)
    if r.chance(0.3):
        a["scale"] = r.of(0.3, 1.5)
    if r.chance(0.3):
        a["softcap"] = r.of(0.0, 0.5, 3.0)
    return i, a, opset


def wrong_attention(r, i, a):
    flat = i["Q"].ndim == 3
    B = i["Q"].shape[0]
    S = i["K"].shape[1 if flat else 2]
    L = i["Q"].shape[1 if flat else 2]
    T = S + (i["past_key"].shape[2] if "past_key" in i else 0)
    what = r.of("mask", "nonpad", "past", "alone", "k", "v", "heads", "mode")
    if what == "mask":
        i["attn_mask"] = r.noise(*r.of((L, T + 1), (L + 1, T), (B + 7, 1, L, T), (1, 1, 1, L, T), (0,)))
    elif what == "nonpad":
        i.pop("past_key", 0), i.pop("past_value", 0)
        i["nonpad_kv_seqlen"] = r.of(np.full(B, S + 1), np.full(B, -1), np.full(B + 1, 1), np.ones((B, 1)), np.zeros(0)).astype(np.int64)
    elif what == "past":
        i.update(past_key=r.noise(B, 1, 2, 8), past_value=r.noise(B, 1, 3, 8))
    elif what == "alone":
        i.pop("past_key", 0), i.pop("past_value", 0)
        i[r.of("past_key", "past_value")] = r.noise(B, 1, 2, 8)
    elif what == "k":
        i["K"] = r.noise(*r.of((B + 1, *i["K"].shape[1:]), (*i["K"].shape[:-1], i["K"].shape[-1] * 2), i["K"].shape[1:]))
    elif what == "v":
        i["V"] = r.noise(*r.of((B + 1, *i["V"].shape[1:]), i["V"].shape[1:], (*i["V"].shape[:-2], i["V"].shape[-2] + 1, i["V"].shape[-1])))
    elif what == "heads":
        if flat:
            a.pop(r.of("q_num_heads", "kv_num_heads"))
        else:
            a.update(q_num_heads=7, kv_num_heads=7)
    elif what == "mode":
        a["qk_matmul_output_mode"] = 4


def rotary(r, domain):
    B, L, H, D = r.upto(1, 3), r.upto(1, 5), r.upto(1, 3), r.of(4, 8, 16)
    flat = r.chance(0.6)
    dim = r.of(None, None, D // 2)
    half, rows = (dim or D) // 2, r.upto(8, 20)
    i = {"input": r.noise(*((B, L, H * D) if flat else (B, H, L, D)))}
    a = {"interleaved": r.upto(0, 1)} if r.chance(0.6) else {}
    if dim:
        a["rotary_embedding_dim"] = dim
    if dim or (flat and (not domain or r.chance(0.5))):
        a["num_heads"] = H
    if domain:
        i["position_ids"] = (r.ints(0, rows - L, 1) if r.chance(0.4) else r.ints(0, rows - 1, B, L)).astype(np.int64)
        i.update(cos_cache=r.noise(rows, half), sin_cache=r.noise(rows, half))
    elif r.chance(0.4):
        i.update(cos_cache=r.noise(B, L, half), sin_cache=r.noise(B, L, half))
    else:
        i.update(cos_cache=r.noise(rows, half), sin_cache=r.noise(rows, half), position_ids=r.ints(0, rows - 1, B, L).astype(np.int64))
    return i, a


def wrong_rotary(r, i, a, domain):
    shape = i["cos_cache"].shape
    B, L = i["input"].shape[0], i["input"].shape[1 if i["input"].ndim == 3 else 2]
    what = r.of("positions", "cache", "dim", "input", "heads")
    if what == "positions":
        i["position_ids"] = r.of(np.full((B, L), -1), np.full((B, L), 999), np.zeros((B + 1, L)), np.zeros(L + 1), np.zeros(0)).astype(np.int64)
    elif what == "cache":
        i["sin_cache"] = r.noise(*r.of((*shape[:-1], shape[-1] + 1), (shape[-1],), (0,)))
    elif what == "dim":
        if domain and i["input"].ndim == 3:
            a.pop("num_heads", 0)
            a["rotary_embedding_dim"] = 2 * shape[-1]
        else:
            a.update(rotary_embedding_dim=64, num_heads=a.get("num_heads", 1))
    elif what == "input":
        i["input"] = r.noise(*i["input"].shape[1:]) if i["input"].ndim == 3 else r.noise(1, *i["input"].shape)
    elif what == "heads":
        if i["input"].ndim == 3:
            a["num_heads"] = i["input"].shape[2] + 1
        else:
            i["cos_cache"] = i["sin_cache"] = r.noise(2, 2, 2, 2)


def session(operator, opset, inputs, attributes):
    domain = "" if operator in ("Attention", "OnnxRotaryEmbedding") else "com.microsoft"
    names = [key if key in inputs else "" for key in ORDER[operator]]
    while not names[-1]:
        names.pop()
    node = helper.make_node(operator.replace("OnnxRotary", "Rotary"), names, OUTPUTS[operator], domain=domain, **attributes)
    dtype = ELEMENTS[next(iter(inputs.values())).dtype.name]
    graph = helper.make_graph([node], "node", [helper.make_tensor_value_info(k, ELEMENTS[x.dtype.name], [f"{k}{n}" for n in range(x.ndim)]) for k, x in inputs.items()],
                              [helper.make_tensor_value_info(k, dtype, None) for k in OUTPUTS[operator]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def computed(operator, opset, inputs, attributes):
    """The outputs, or the message; in a process of its own, which a node can end."""
    read, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            result = dict(zip(OUTPUTS[operator], session(operator, opset, inputs, attributes).run(OUTPUTS[operator], inputs)))
        except Exception as error:  # onnxruntime has many kinds
            result = str(error)
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data) if data else "crashed"


def main(path, count, seed):
    r, tensors, cases = Random(seed), {}, {}
    for n in range(count):
        operator, opset = r.of("GroupQueryAttention", "GroupQueryAttention", "MultiHeadAttention", "Attention", "RotaryEmbedding",
                               "OnnxRotaryEmbedding"), 23
        if operator == "GroupQueryAttention":
            (inputs, attributes), wrong = group_query(r), wrong_group_query
        elif operator == "MultiHeadAttention":
            (inputs, attributes), wrong = multi_head(r), wrong_multi_head
        elif operator == "Attention":
            (inputs, attributes, opset), wrong = attention(r), wrong_attention
        else:
            domain = operator == "RotaryEmbedding"
            (inputs, attributes), wrong = rotary(r, domain), lambda r, i, a: wrong_rotary(r, i, a, domain)
        if r.chance(0.25):
            wrong(r, inputs, attributes)
        result = computed(operator, opset, inputs, attributes)
        name = f"{n}"
        outputs = result if isinstance(result, dict) else {}
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for key, array in arrays.items():
                tensors[f"{name}/{kind}/{key}"] = (NAMES[array.dtype.name], list(array.shape), np.ascontiguousarray(array).tobytes())
        cases[name] = {"operator": operator, "opset": opset, "attributes": attributes, "inputs": list(inputs), "outputs": list(outputs),
                       **({} if isinstance(result, dict) else {"refused": result[-300:]})}
    write(Path(path), tensors, {"source": f"onnxruntime {onnxruntime.__version__}, CPU, seed {seed}", "cases": json.dumps(cases)})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
