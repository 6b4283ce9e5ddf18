// Writes a model of one graph in the ONNX format: the part of onnx.proto3 (IR version 10) that attention takes, by its field numbers.
import protobuf from 'protobufjs/minimal.js';

type Message = (writer: protobuf.Writer) => void;

/** A tensor: f32, i32 by its array. */
export interface OnnxTensor {
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
  readonly dims: readonly number[];
}

/** A node; plain numbers are integer attributes. */
export interface OnnxNode {
  readonly op: string;
  readonly domain?: string;
  /** Empty: that input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number>>;
}

/** A graph: what is fed, what is part of the model, what comes out. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: Readonly<Record<string, OnnxTensor>>;
  readonly constants?: Readonly<Record<string, OnnxTensor>>;
  readonly outputs: readonly string[];
}

const FLOAT = 1;
const INT32 = 6;
const INT_ATTRIBUTE = 2;
const LENGTH = 2;

const typeOf = ({ data }: OnnxTensor): number => (data instanceof Float32Array ? FLOAT : INT32);

const text = (writer: protobuf.Writer, field: number, value: string): void => void writer.uint32((field << 3) | LENGTH).string(value);
const whole = (writer: protobuf.Writer, field: number, value: number): void => void writer.uint32(field << 3).int64(value);
function message(writer: protobuf.Writer, field: number, write: Message): void {
  writer.uint32((field << 3) | LENGTH).fork();
  write(writer);
  writer.ldelim();
}

const attribute =
  (name: string, value: number): Message =>
  (writer) => {
    text(writer, 1, name);
    whole(writer, 3, value);
    whole(writer, 20, INT_ATTRIBUTE);
  };

const node =
  ({ op, domain = '', inputs, outputs, attributes = {} }: OnnxNode): Message =>
  (writer) => {
    for (const name of inputs) text(writer, 1, name);
    for (const name of outputs) text(writer, 2, name);
    text(writer, 4, op);
    for (const [name, value] of Object.entries(attributes)) message(writer, 5, attribute(name, value));
    text(writer, 7, domain);
  };

const initializer =
  (name: string, tensor: OnnxTensor): Message =>
  (writer) => {
    for (const size of tensor.dims) whole(writer, 1, size);
    whole(writer, 2, typeOf(tensor));
    text(writer, 8, name);
    const { buffer, byteOffset, byteLength } = tensor.data;
    writer.uint32((9 << 3) | LENGTH).bytes(new Uint8Array(buffer, byteOffset, byteLength));
  };

const shapeOf =
  (dims: readonly number[]): Message =>
  (writer) => {
    for (const size of dims) message(writer, 1, (dimension) => whole(dimension, 1, size));
  };

/** An input or output: its type, and its shape if that is known. */
const valueInfo =
  (name: string, type: number, dims?: readonly number[]): Message =>
  (writer) => {
    text(writer, 1, name);
    message(writer, 2, (value) =>
      message(value, 1, (tensor) => {
        whole(tensor, 1, type);
        if (dims) message(tensor, 2, shapeOf(dims));
      }),
    );
  };

const opset =
  (domain: string, version: number): Message =>
  (writer) => {
    text(writer, 1, domain);
    whole(writer, 2, version);
  };

const graph =
  ({ nodes, inputs, constants = {}, outputs }: OnnxGraph): Message =>
  (writer) => {
    for (const one of nodes) message(writer, 1, node(one));
    text(writer, 2, 'case');
    for (const [name, tensor] of Object.entries(constants)) message(writer, 5, initializer(name, tensor));
    for (const [name, tensor] of Object.entries(inputs)) message(writer, 11, valueInfo(name, typeOf(tensor), tensor.dims));
    for (const name of outputs) message(writer, 12, valueInfo(name, FLOAT));
  };

/** The model's bytes: opset 23, and onnxruntime's own operators. */
export function encodeModel(given: OnnxGraph): Uint8Array {
  const writer = protobuf.Writer.create();
  whole(writer, 1, 10);
  message(writer, 7, graph(given));
  message(writer, 8, opset('', 23));
  message(writer, 8, opset('com.microsoft', 1));
  return writer.finish();
}
