/**
 * Builds single-graph ONNX models as bytes.
 *
 * The schema is the part of onnx.proto3 (IR version 10) that attention models use; field numbers are those of the
 * standard, so the bytes are ordinary ONNX files.
 */
import protobuf from 'protobufjs';

const SCHEMA = `
syntax = "proto3";
package onnx;
message AttributeProto {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated float floats = 7; repeated int64 ints = 8; int32 type = 20;
}
message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  oneof value { Tensor tensor_type = 1; }
}
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  repeated Dimension dim = 1;
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto { int64 ir_version = 1; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; }
`;

const ModelProto = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('onnx.ModelProto');

const ELEMENT_TYPES = new Map([
  [Float32Array, 1],
  [Uint8Array, 2],
  [Int8Array, 3],
  [Int32Array, 6],
  [BigInt64Array, 7],
]);
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

/** A float attribute; plain numbers in a node's attributes are written as integers, arrays as lists of them. */
export const float = (value) => ({ float: value });

const attribute = ([name, value]) => {
  if (Array.isArray(value)) return { name, ints: value, type: ATTRIBUTE_INTS };
  return typeof value === 'number' ? { name, i: value, type: ATTRIBUTE_INT } : { name, f: value.float, type: ATTRIBUTE_FLOAT };
};

const node = ({ op, domain = '', inputs, outputs, attributes = {} }) => ({
  op_type: op,
  domain,
  input: inputs,
  output: outputs,
  attribute: Object.entries(attributes).map(attribute),
});

const valueInfo = (name, { dims, data }) => ({
  name,
  type: {
    tensor_type: {
      elem_type: ELEMENT_TYPES.get(data.constructor),
      shape: { dim: dims.map(dimension) },
    },
  },
});

/** A size that is a name may differ from run to run. */
const dimension = (size) => (typeof size === 'string' ? { dim_param: size } : { dim_value: size });

/** Outputs need a type but no shape: the runtime infers it. */
const untypedShape = (name) => ({ name, type: { tensor_type: { elem_type: ELEMENT_TYPES.get(Float32Array) } } });

const initializer = ([name, { dims, data }]) => ({
  name,
  dims,
  data_type: ELEMENT_TYPES.get(data.constructor),
  raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/**
 * @param graph `{ nodes, inputs, constants, outputs }`: nodes as `{ op, domain, inputs, outputs, attributes }`, inputs and
 *   constants as name → `{ dims, data }`, sizes of inputs as numbers or names, outputs as names of float tensors.
 * @returns the model's bytes
 */
export function encodeModel({ nodes, inputs, constants = {}, outputs }) {
  const model = {
    ir_version: 10,
    opset_import: [
      { domain: '', version: 23 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'case',
      node: nodes.map(node),
      initializer: Object.entries(constants).map(initializer),
      input: Object.entries(inputs).map(([name, tensor]) => valueInfo(name, tensor)),
      output: outputs.map(untypedShape),
    },
  };
  return ModelProto.encode(model).finish();
}
