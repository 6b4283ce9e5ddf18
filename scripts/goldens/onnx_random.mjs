// Compares the built library with onnxruntime on the random nodes of onnx_random.py, and counts:
//
//     npm run build && node scripts/goldens/onnx_random.mjs cases.safetensors
//
// Prints every node on which the two differ, and ends with 1 if there is one that KNOWN does not explain.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createEngineSync } from '../../dist/index.js';
import * as operators from '../../dist/onnx/index.js';
import { readSafetensors } from '../../dist/safetensors/index.js';

/** Of the largest value: onnxruntime computes in f32 too. */
const TOLERANCE = 4e-6;

const ARRAYS = { F32: Float32Array, I32: Int32Array, I64: BigInt64Array, BOOL: Uint8Array };

/** How each operator is called. */
const CALLS = {
  Attention: ({ inputs, attributes, opset }, engine) => {
    // It gives all three whether or not there is a past.
    return operators.onnxAttention(engine, inputs, attributes, opset, ['Y', 'present_key', 'present_value']);
  },
  GroupQueryAttention: ({ inputs, attributes }, engine) => operators.groupQueryAttention(engine, inputs, attributes),
  MultiHeadAttention: ({ inputs, attributes }, engine) => operators.multiHeadAttention(engine, inputs, attributes),
  RotaryEmbedding: async ({ inputs, attributes }, engine) => ({ output: await operators.rotaryEmbedding(engine, inputs, attributes) }),
  OnnxRotaryEmbedding: async ({ inputs: { input: X, ...rest }, attributes }, engine) => {
    return { output: await operators.onnxRotaryEmbedding(engine, { X, ...rest }, attributes) };
  },
};

const given = (tensor) => tensor !== undefined;
const rowsOf = ({ dims }) => dims[dims.length === 4 ? 2 : 1];

/** What we do otherwise on purpose: [in words, whether it is this]. */
const KNOWN = [
  [
    'onnxruntime lets one causal query after a past see every key',
    ({ operator, inputs, attributes }, what) =>
      operator === 'Attention' && what === 'differs' && attributes.is_causal === 1 && given(inputs.past_key) && rowsOf(inputs.Q) === 1,
  ],
  [
    'rows that a bias hides whole are 0 here; there 0, a mean or NaN, by the path taken',
    ({ operator, inputs }, what, _text, zeros) =>
      operator === 'GroupQueryAttention' && what === 'differs' && given(inputs.attention_bias) && zeros,
  ],
  [
    'values may be wider or narrower than keys here, with a past or 4 dimensions too',
    ({ operator }, what, text) => operator === 'MultiHeadAttention' && what === 'onnxruntime refuses' && /value/.test(text),
  ],
  [
    'the two caches are of one shape here',
    ({ inputs }, what, text) => what === 'we refuse' && given(inputs.sin_cache) && /"sin_cache" expected the shape of cos_cache/.test(text),
  ],
  [
    'unidirectional hides later keys of the last query here too, where S > L',
    ({ operator, inputs, attributes }, what) =>
      operator === 'MultiHeadAttention' &&
      what === 'differs' &&
      attributes.unidirectional === 1 &&
      rowsOf(inputs.key) > rowsOf(inputs.query),
  ],
  [
    'an output mode that is none is refused here, even where nobody asks for the output',
    ({ operator, attributes }, what) => operator === 'Attention' && what === 'we refuse' && attributes.qk_matmul_output_mode === 4,
  ],
];

const { metadata, tensors } = readSafetensors(readFileSync(process.argv[2]));
const engine = createEngineSync();
const counts = new Map();
let unexplained = 0;

const plain = ({ dtype, shape, data }) => ({ dims: shape, data: new ARRAYS[dtype](Uint8Array.from(data).buffer) });

function readCase(name, { inputs, outputs, ...rest }) {
  const read = (kind, names) => Object.fromEntries(names.map((key) => [key, plain(tensors.get(`${name}/${kind}/${key}`))]));
  return { name, ...rest, inputs: read('input', inputs), outputs: read('output', outputs) };
}

/** Rows of the outputs that mean something: padding of GroupQueryAttention does not. */
function counted({ operator, inputs }, key, values, dims) {
  if (operator !== 'GroupQueryAttention') return values;
  const lengths = [...inputs.seqlens_k.data].map((n) => Number(n) + 1);
  const first = inputs.query.dims[1] === inputs.total_sequence_length.data[0];
  const [B, middle, rows, width] = key === 'output' ? [dims[0], 1, dims[1], dims[2]] : dims;
  if (key === 'output' && !first) return values;
  const copy = Float32Array.from(values);
  for (let b = 0; b < B; b++)
    for (let g = 0; g < middle; g++)
      for (let i = lengths[b]; i < rows; i++)
        copy.fill(0, ((b * middle + g) * rows + i) * width, ((b * middle + g) * rows + i + 1) * width);
  return copy;
}

/** The first number that differs, in words, and whether all that differ are 0 here. */
function difference(one, got) {
  for (const [key, expected] of Object.entries(one.outputs)) {
    const found = got[key];
    if (String(found.dims) !== String(expected.dims)) return [`${key}: [${found.dims}] for [${expected.dims}]`, false];
    const [a, b] = [found, expected].map((x) => counted(one, key, x.data, x.dims));
    const size = b.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0) || 1;
    const differs = (x, n) => !(Object.is(x, a[n]) || Math.abs(x - a[n]) <= TOLERANCE * size);
    const at = b.findIndex(differs);
    if (at >= 0) return [`${key}[${at}]: ${a[at]} for ${b[at]}`, b.every((x, n) => a[n] === 0 || !differs(x, n))];
  }
  return undefined;
}

async function outcome(one) {
  let got;
  try {
    got = await CALLS[one.operator](one, engine);
  } catch (error) {
    if (one.refused) return ['both refuse', error.message];
    return ['we refuse', error.message];
  }
  if (one.refused) return ['onnxruntime refuses', one.refused];
  const off = difference(one, got);
  return off ? ['differs', ...off] : ['same', ''];
}

for (const [name, stated] of Object.entries(JSON.parse(metadata.cases))) {
  const one = readCase(name, stated);
  const [what, text, zeros] = await outcome(one);
  const known = what === 'same' || what === 'both refuse' ? undefined : KNOWN.find(([, is]) => is(one, what, text, zeros));
  const kind = `${one.operator}: ${what}${known ? ` (${known[0]})` : ''}`;
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (what === 'both refuse' && process.env.SHOW)
    console.log(`${one.operator} ${text}\n    onnxruntime: ${one.refused.trim().slice(-120)}`);
  if (what === 'same' || what === 'both refuse' || known) continue;
  unexplained++;
  const shapes = Object.entries(one.inputs).map(([key, { dims }]) => `${key} [${dims}]`);
  console.log(`${name} ${one.operator} ${what}: ${text}\n    ${shapes.join(', ')}\n    ${JSON.stringify(one.attributes)}`);
}
engine.dispose();
for (const [kind, count] of [...counts].sort()) console.log(`${String(count).padStart(6)}  ${kind}`);
process.exitCode = unexplained ? 1 : 0;
