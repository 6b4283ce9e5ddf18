/** Folders as Hugging Face lays them out, of seeded weights, in a folder that git does not know; made when they are missing. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readSafetensors, writeSafetensors } from '../../../dist/safetensors/index.js';
import { random } from '../../peers/lib/inputs.mjs';

export const CACHE = fileURLToPath(new URL('../cache/', import.meta.url));

/** Is part of a folder's name: raise it when what is written here changes. */
const VERSION = 2;

/** Seeds differ from tensor to tensor and from model to model. */
const seedOf = (text) => [...text].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0), 0x01000193), 0x811c9dc5);

function numbers(model, [name, shape, spread]) {
  const next = random(seedOf(`${model}/${name}`));
  const [middle, deviation] = spread === 'norm' ? [1, 0.1] : [0, spread];
  const width = 2 * Math.sqrt(3) * deviation;
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let n = 0; n < data.length; n++) data[n] = middle + (next() - 0.5) * width;
  return data;
}

/** The upper halves of the numbers, rounded to the nearest, ties to even. */
function bfloat16(data) {
  const bits = new Uint32Array(data.buffer);
  const halves = new Uint16Array(bits.length);
  for (let n = 0; n < bits.length; n++) halves[n] = (bits[n] + 0x7fff + ((bits[n] >>> 16) & 1)) >>> 16;
  return halves;
}

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

/** A vocabulary of as many whole words: `w17` is token 17, but for the special ones. */
const vocabularyOf = ({ config, tokens }) =>
  Object.fromEntries(Array.from({ length: config.vocab_size }, (_, n) => [tokens.special[n] ?? `w${n}`, n]));

function tokenizer(model) {
  const { before, after, special, unknown } = model.tokens;
  const vocab = vocabularyOf(model);
  const frame = (names) => names.map((id) => ({ SpecialToken: { id, type_id: 0 } }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [...frame(before), { Sequence: { id: 'A', type_id: 0 } }, ...frame(after)],
      pair: [
        ...frame(before),
        { Sequence: { id: 'A', type_id: 0 } },
        ...frame(after),
        { Sequence: { id: 'B', type_id: 1 } },
        ...frame(after),
      ],
      special_tokens: Object.fromEntries([...new Set([...before, ...after])].map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }])),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: { type: 'WordPiece', unk_token: unknown, continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
  };
}

function write(folder, model) {
  const { name, config, dtype, tensors, tokens } = model;
  const json = (file, value) => writeFileSync(`${folder}/${file}`, JSON.stringify(value));
  const own = (each) => (dtype === 'BF16' ? bfloat16(numbers(name, each)) : numbers(name, each));
  const file = writeSafetensors(new Map(tensors.map((each) => [each[0], { dtype, shape: each[1], data: bytesOf(own(each)) }])));
  json('config.json', config);
  json('tokenizer.json', tokenizer(model));
  json('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...(tokens.pad && { pad_token: tokens.pad }),
  });
  writeFileSync(`${folder}/model.safetensors`, file);
}

/** Makes something in the cache unless it is there, whole or not at all. @returns its path */
export function cached(name, make) {
  const path = `${CACHE}${name}-${VERSION}`;
  if (existsSync(path)) return path;
  const half = `${path}.${process.pid}.part`;
  mkdirSync(half, { recursive: true });
  try {
    make(half);
    renameSync(half, path);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
  return path;
}

/** The folder of a model of shapes.mjs. */
export const checkpoint = (model) => cached(model.name, (folder) => write(folder, model));

const FLOATS = {
  F32: (data) => new Float32Array(data.slice().buffer),
  BF16: (data) => {
    const [halves, bits] = [new Uint16Array(data.slice().buffer), new Uint32Array(data.length / 2)];
    for (let n = 0; n < halves.length; n++) bits[n] = halves[n] << 16;
    return new Float32Array(bits.buffer);
  },
};

/** The weights of a folder, as f32: `(name) => { shape, data }`. */
export function weightsOf(folder) {
  const { tensors } = readSafetensors(readFileSync(`${folder}/model.safetensors`));
  return (name) => {
    const { dtype, shape, data } = tensors.get(name);
    return { shape, data: FLOATS[dtype](data) };
  };
}
