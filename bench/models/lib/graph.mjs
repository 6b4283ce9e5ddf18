/** Collects the nodes and constants of a model's graph, with linear layers in one of three kinds of weights. */
import { BLOCK, int4, int8, transposed, uint8 } from './quantize.mjs';

export const MICROSOFT = 'com.microsoft';

const scalar = (data) => ({ data, dims: [] });

export class Graph {
  /** @param kind `'f32'`, `'int8'` (dynamic quantisation) or `'q4'` (MatMulNBits) */
  constructor(kind) {
    this.kind = kind;
    this.nodes = [];
    this.constants = {};
  }

  /** A constant. @returns its name */
  constant(name, data, dims = [data.length]) {
    this.constants[name] = { data, dims };
    return name;
  }

  /** A node of one output, or of those named. @returns the first */
  node(op, inputs, outputs, attributes = {}, domain = '') {
    const names = [outputs].flat();
    this.nodes.push({ op, inputs, outputs: names, attributes, domain });
    return names[0];
  }

  microsoft(op, inputs, outputs, attributes = {}) {
    return this.node(op, inputs, outputs, attributes, MICROSOFT);
  }

  /**
   * x · Wᵀ, with the bias where the operator takes one and it is given; a bias that is left is added by a node of its own.
   *
   * @param weight `{ shape: [out, width], data }`
   */
  linear(x, { shape: [out, width], data }, name, bias) {
    if (this.kind === 'q4') {
      const { packed, scales } = int4(data);
      const inputs = [
        x,
        this.constant(`${name}.packed`, packed, [out, width / BLOCK, BLOCK / 2]),
        this.constant(`${name}.scales`, scales),
        ...(bias ? ['', '', this.constant(`${name}.bias`, bias)] : []),
      ];
      return this.microsoft('MatMulNBits', inputs, name, { K: width, N: out, bits: 4, block_size: BLOCK, accuracy_level: 4 });
    }
    if (this.kind === 'int8') {
      const { scale, data: bytes } = int8(data);
      const inputs = [
        x,
        this.constant(`${name}.bytes`, transposed(bytes, out, width), [width, out]),
        this.#scalar(`${name}.scale`, Float32Array.of(scale)),
        this.#scalar(`${name}.zero`, Int8Array.of(0)),
        ...(bias ? [this.constant(`${name}.bias`, bias)] : []),
      ];
      return this.microsoft('DynamicQuantizeMatMul', inputs, name);
    }
    const product = this.node(
      'MatMul',
      [x, this.constant(`${name}.weight`, transposed(data, out, width), [width, out])],
      bias ? `${name}.product` : name,
    );
    return bias ? this.node('Add', [product, this.constant(`${name}.bias`, bias)], name) : product;
  }

  /** Bytes, scale and zero point of a table, as constants: `[bytes, scale, zero]`. */
  table(name, { shape, data }) {
    const { scale, zero, data: bytes } = uint8(data);
    return [
      this.constant(`${name}.bytes`, bytes, shape),
      this.#scalar(`${name}.scale`, Float32Array.of(scale)),
      this.#scalar(`${name}.zero`, Uint8Array.of(zero)),
    ];
  }

  /** The rows of a table that `ids` names; bytes where weights are quantised. */
  rows(table, name) {
    if (this.kind === 'f32') return this.node('Gather', [this.constant(`${name}.table`, table.data, table.shape), 'ids'], name);
    const [bytes, scale, zero] = this.table(`${name}.table`, table);
    return this.node('DequantizeLinear', [this.node('Gather', [bytes, 'ids'], `${name}.rows`), scale, zero], name);
  }

  #scalar(name, data) {
    this.constants[name] = scalar(data);
    return name;
  }
}

/** Matrices or vectors one below the other. */
export function joined(...parts) {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const [, ...rest] = parts[0].shape;
  return { shape: [parts.reduce((sum, { shape: [rows] }) => sum + rows, 0), ...rest], data };
}
