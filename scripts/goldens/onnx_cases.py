"""The backend node tests of ONNX for Attention and RotaryEmbedding, as files: every case's inputs, outputs and
attributes, one file per operator and opset. Needs `onnx` (made with 1.23.1), nothing else:

    python scripts/goldens/onnx_cases.py [directory]

Tensors are named `case/input/Q` and `case/output/Y`; the metadata entry `cases` is JSON: for each case its operator,
opset, attributes, and the names of its inputs and outputs in order ("" for one left out).
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = ("Attention", "RotaryEmbedding")
TYPES = {
    TensorProto.FLOAT: ("F32", np.float32),
    TensorProto.FLOAT16: ("F16", np.uint16),
    TensorProto.BFLOAT16: ("BF16", np.uint16),
    TensorProto.DOUBLE: ("F64", np.float64),
    TensorProto.BOOL: ("BOOL", np.uint8),
    TensorProto.INT32: ("I32", np.int32),
    TensorProto.INT64: ("I64", np.int64),
}


def raw(value, info):
    """Dtype, shape and bytes of a tensor of a case."""
    name, bits = TYPES[info.type.tensor_type.elem_type]
    array = value if isinstance(value, np.ndarray) else numpy_helper.to_array(value)
    return name, list(array.shape), np.ascontiguousarray(array).view(bits).tobytes()


def attribute(value):
    value = helper.get_attribute_value(value)
    return value.decode() if isinstance(value, bytes) else value


def write(path, tensors, metadata):
    header = {"__metadata__": metadata}
    at = 0
    for key, (dtype, shape, data) in tensors.items():
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def main(directory):
    files = {}
    for case in collect_testcases(None):
        graph = case.model.graph
        # The other cases are the same ones with the operator's function body in its place.
        if len(graph.node) != 1 or graph.node[0].op_type not in OPERATORS:
            continue
        node = graph.node[0]
        opset = next(o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx"))
        tensors, cases = files.setdefault(f"{node.op_type.lower()}_{opset}", ({}, {}))
        name = case.name.removeprefix("test_")
        inputs, outputs = case.data_sets[0]
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            assert len(values) == len(infos)
            for value, info in zip(values, infos):
                tensors[f"{name}/{kind}/{info.name}"] = raw(value, info)
        cases[name] = {
            "operator": node.op_type,
            "opset": opset,
            "attributes": {a.name: attribute(a) for a in node.attribute},
            "inputs": list(node.input),
            "outputs": list(node.output),
        }
    directory.mkdir(parents=True, exist_ok=True)
    for name, (tensors, cases) in files.items():
        path = directory / f"{name}.safetensors"
        write(path, tensors, {"source": f"onnx {onnx.__version__} backend node tests", "cases": json.dumps(cases)})
        print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "test" / "golden" / "onnx"))
