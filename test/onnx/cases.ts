/** The backend node tests of ONNX, read from test/golden/onnx (scripts/goldens/onnx_cases.py writes them). */
import { readdirSync, readFileSync } from 'node:fs';
import type { OnnxValue } from '../../src/onnx/index.ts';
import { readSafetensors, type SafeTensor } from '../../src/safetensors/index.ts';

export interface OnnxCase {
  readonly name: string;
  readonly operator: 'Attention' | 'RotaryEmbedding' | 'GroupQueryAttention' | 'MultiHeadAttention';
  readonly opset: 1 | 23 | 24 | 25;
  readonly attributes: Record<string, number>;
  readonly inputs: Record<string, OnnxValue>;
  readonly outputs: Record<string, OnnxValue & { readonly type: string }>;
}

type Stated = Pick<OnnxCase, 'operator' | 'opset' | 'attributes'> & { inputs: string[]; outputs: string[] };

/** A copy as the typed array of the dtype. */
function readTensor({ dtype, shape, data }: SafeTensor): OnnxValue & { type: string } {
  const { buffer } = Uint8Array.from(data);
  if (dtype === 'F32') return { type: 'float32', dims: shape, data: new Float32Array(buffer) };
  if (dtype === 'F16') return { type: 'float16', dims: shape, data: new Uint16Array(buffer) };
  if (dtype === 'BF16') return { type: 'bfloat16', dims: shape, data: new Uint16Array(buffer) };
  if (dtype === 'BOOL') return { type: 'bool', dims: shape, data: new Uint8Array(buffer) };
  if (dtype === 'I32') return { type: 'int32', dims: shape, data: new Int32Array(buffer) };
  if (dtype === 'I64') return { type: 'int64', dims: shape, data: new BigInt64Array(buffer) };
  throw new Error(`a tensor of ${dtype}`);
}

export function readCases(): OnnxCase[] {
  const folder = new URL('../golden/onnx/', import.meta.url);
  return readdirSync(folder).flatMap((file) => {
    const { metadata, tensors } = readSafetensors(readFileSync(new URL(file, folder)));
    const cases: Record<string, Stated> = JSON.parse(metadata.cases as string);
    return Object.entries(cases).map(([name, { inputs, outputs, ...rest }]): OnnxCase => {
      const read = (kind: string, names: string[]): Record<string, OnnxValue & { type: string }> =>
        Object.fromEntries(
          names.filter(Boolean).map((tensor) => [tensor, readTensor(tensors.get(`${name}/${kind}/${tensor}`) as SafeTensor)]),
        );
      return { name, ...rest, inputs: read('input', inputs), outputs: read('output', outputs) };
    });
  });
}
