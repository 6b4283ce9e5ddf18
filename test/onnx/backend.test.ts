/**
 * Every backend node test of ONNX for Attention and RotaryEmbedding, and onnxruntime's own operators, by name. What they come to is
 * docs/onnx.md, which `npx vitest run test/onnx -u` writes anew.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import {
  groupQueryAttention,
  multiHeadAttention,
  type OnnxOutput,
  type OnnxValue,
  onnxAttention,
  onnxRotaryEmbedding,
  rotaryEmbedding,
} from '../../src/onnx/index.ts';
import { type OnnxCase, readCases } from './cases.ts';
import { numbersOf, relativeError, TOLERANCE } from './compare.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

type Outputs = Record<string, OnnxOutput<OnnxValue>>;

/** Runs a case on the engine. */
async function run({ operator, opset, inputs, attributes, outputs }: OnnxCase): Promise<Outputs> {
  // biome-ignore lint/suspicious/noExplicitAny: the inputs come from files; the operators check them.
  const [given, how] = [inputs as any, attributes as any];
  if (operator === 'Attention')
    return (await onnxAttention(engine, given, how, opset as 23, Object.keys(outputs) as ['Y'])) as unknown as Outputs;
  if (operator === 'GroupQueryAttention') return (await groupQueryAttention(engine, given, how)) as unknown as Outputs;
  if (operator === 'MultiHeadAttention') return (await multiHeadAttention(engine, given, how)) as unknown as Outputs;
  const [name] = Object.keys(outputs) as [string];
  if (opset === 1) return { [name]: await rotaryEmbedding(engine, given, how) } as Outputs;
  const { input: X, ...rest } = given;
  return { [name]: await onnxRotaryEmbedding(engine, { X, ...rest }, how) } as Outputs;
}

interface Result {
  readonly name: string;
  readonly operator: string;
  readonly opset: number;
  readonly type: string;
  readonly outputs: string;
}

const cases = readCases();
const results: Result[] = [];

describe.each(['Attention', 'RotaryEmbedding', 'GroupQueryAttention', 'MultiHeadAttention'])('%s', (operator) => {
  test.each(cases.filter((one) => one.operator === operator).map((one) => [one.name, one] as const))('%s', async (name, one) => {
    const outputs = await run(one);
    let type = '';
    for (const [key, expected] of Object.entries(one.outputs)) {
      const got = outputs[key] as OnnxOutput<OnnxValue>;
      expect([got.type, ...got.dims]).toEqual([expected.type, ...expected.dims]);
      ({ type } = expected);
      const off = relativeError(numbersOf(engine, got), numbersOf(engine, expected));
      expect(off).toBeLessThanOrEqual(TOLERANCE[type] as number);
    }
    results.push({ name, operator, opset: one.opset, type, outputs: Object.keys(one.outputs).join(', ') });
  });
});

function tableOf(list: readonly Result[]): string {
  const rows = list.map(({ name, type, outputs }) => `| \`${name}\` | ${type} | ${outputs} | passes |`);
  return ['| case | type | outputs | |', '|---|---|---|---|', ...rows].join('\n');
}

test('docs/onnx.md tells the results', async () => {
  const of = (operator: string, opset: number): Result[] => results.filter((one) => one.operator === operator && one.opset === opset);
  const section = (operator: string, opset: number): string => {
    const list = of(operator, opset);
    const all = cases.filter((one) => one.operator === operator && one.opset === opset).length;
    const title = opset === 1 ? `com.microsoft ${operator}` : `${operator}, opset ${opset}`;
    return `### ${title}: ${list.length} of ${all}\n\n${tableOf(list)}`;
  };
  const sections = [
    ...[23, 24, 25].map((opset) => section('Attention', opset)),
    section('RotaryEmbedding', 23),
    ...['GroupQueryAttention', 'MultiHeadAttention', 'RotaryEmbedding'].map((operator) => section(operator, 1)),
  ];
  await expect(TEXT.replace('@results', sections.join('\n\n'))).toMatchFileSnapshot('../../docs/onnx.md');
});

const TEXT = `# ONNX

\`relpos/onnx\` has the operators of ONNX and onnxruntime that this library can do, under their own names: inputs, attributes and outputs
are called what the operator calls them.

\`\`\`ts
import { createEngine } from 'relpos';
import { onnxAttention } from 'relpos/onnx';

const engine = await createEngine();
const floats = (...dims: number[]) => ({ data: new Float32Array(dims.reduce((a, n) => a * n)), dims });
const inputs = { Q: floats(1, 8, 1, 64), K: floats(1, 2, 1, 64), V: floats(1, 2, 1, 64), past_key: floats(1, 2, 9, 64), past_value: floats(1, 2, 9, 64) };
const { Y, present_key, present_value } = await onnxAttention(engine, inputs, { is_causal: 1 }, 23);
present_key?.dims; // [1, 2, 10, 64]
engine.dispose();
\`\`\`

Tensors are \`{ data, dims, type? }\`, as onnxruntime-web's are, or tensors of the engine; results are what the first input is. Types are
float32, float16 and bfloat16 (arithmetic is float32), bool masks, int32 and int64.

| function | operator |
|---|---|
| \`onnxAttention(engine, inputs, attributes?, opset?, outputs?)\` | Attention of opsets 23, 24 and 25 (default), with all its inputs, attributes and outputs |
| \`onnxRotaryEmbedding(engine, inputs, attributes?)\` | RotaryEmbedding of opset 23 |
| \`groupQueryAttention(engine, inputs, attributes)\` | com.microsoft GroupQueryAttention |
| \`multiHeadAttention(engine, inputs, attributes)\` | com.microsoft MultiHeadAttention |
| \`rotaryEmbedding(engine, inputs, attributes?)\` | com.microsoft RotaryEmbedding |

Not supported, and named in the error when it is asked for:

- float64 tensors;
- GroupQueryAttention: quantised caches (\`k_scale\`, \`v_scale\`, \`kv_cache_bit_width\`, \`…_quant_type\`), norms of heads, \`qk_output\`,
  \`sliding_window_cache\`. The present is always new tensors, never the past's buffer;
- MultiHeadAttention: packed QKV and KV, \`past_sequence_length\`, \`cache_indirection\`, packed padding lengths. Hidden keys are hidden,
  where onnxruntime adds \`mask_filter_value\`: rows that see nothing are 0 here;
- RotaryEmbedding: \`is_packed_batching\`; \`scale\` is ignored, as onnxruntime does.

\`softmax_precision\` is accepted and changes nothing: the softmax is float32. \`qk_matmul_output\` holds L × S numbers, at most 2^24. In mode
0 it is the raw score, with a softcap too.

## Conformance

All backend node tests of onnx 1.23.1, and cases run through onnxruntime 1.30.0 on the CPU (scripts/goldens/onnx_cases.py and
microsoft_cases.py make the files). An error is the largest difference over the largest value of an output; it must stay within 1e-6 for
float32, and one unit in the last place of the largest value for float16 (2^-10) and bfloat16 (2^-7). The references round each of their
operations to the type, so most of what differs is theirs.

@results
`;
