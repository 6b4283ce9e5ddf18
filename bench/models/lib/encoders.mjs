/** Rows of encoders: a text, or a batch of short ones, to vectors of length 1. Every contender begins with the text and has the same tokenizer. */
import { bertGraph } from './bert-graph.mjs';
import { checkpoint, weightsOf } from './checkpoints.mjs';
import { debertaGraph, placesOf } from './deberta-graph.mjs';
import { KIND, onnxSession, ort } from './onnxruntime.mjs';
import { relposModel, VARIANTS } from './relpos.mjs';
import { buildAll, runRow } from './run-row.mjs';
import { shortTexts, textOf } from './texts.mjs';
import { tokenizerOf } from './tokenizer.mjs';

const flat = (rows) => {
  const all = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
};

/** relpos in one of its variants. `run` resolves to the vectors, `hidden` to the last hidden state of the first text. */
export async function ownEntry(model, folder, variant) {
  const { model: encoder, ...entry } = await relposModel(model, folder, variant);
  return {
    ...entry,
    repeat: 1,
    with: (texts) => ({
      run: async () => flat(await encoder.embed(texts)),
      hidden: async () => flat((await encoder.hidden(texts[0])).rows),
    }),
  };
}

/** Texts as the rows of a tensor, filled up with zeros. */
function padded(texts) {
  const longest = Math.max(...texts.map(({ length }) => length));
  const [ids, mask] = [new Int32Array(texts.length * longest), new Int32Array(texts.length * longest)];
  for (const [n, own] of texts.entries()) {
    ids.set(own, n * longest);
    mask.fill(1, n * longest, n * longest + own.length);
  }
  const dims = [texts.length, longest];
  const tensor = (data) => new ort.Tensor('int32', data, dims);
  return { ids: tensor(ids), types: tensor(new Int32Array(ids.length)), mask: tensor(mask) };
}

/** By model type: the ways that a graph computes attention, by the weights; the graph; and what is fed beside token numbers. */
const GRAPHS = {
  bert: {
    ways: {
      f32: { whole: 'Attention', apart: 'MultiHeadAttention' },
      i8: { whole: 'QAttention', apart: 'MultiHeadAttention' },
      i4: { apart: 'MultiHeadAttention' },
    },
    graph: bertGraph,
    feeds: (_, { mask, ...feeds }, masked) => (masked ? { ...feeds, mask } : feeds),
  },
  'deberta-v2': {
    ways: { f32: { apart: 'MatMul and GatherElements' }, i8: { apart: 'MatMul and GatherElements' } },
    graph: debertaGraph,
    feeds: (config, { ids }) => ({ ids, ...pairsOf(config, ids.dims[1]) }),
  },
};

/** The places of pairs hang on the length alone: made once. */
const known = new Map();
function pairsOf(config, tokens) {
  if (!known.has(tokens)) {
    const tensor = (data) => new ort.Tensor('int64', data, [1, config.num_attention_heads, tokens, tokens]);
    const { byQuery, byKey } = placesOf(config, tokens);
    known.set(tokens, { byQuery: tensor(byQuery), byKey: tensor(byKey) });
  }
  return known.get(tokens);
}

/** onnxruntime-web over one graph; a batch goes through a graph with a mask. */
async function webEntry({ config }, weights, tokenizer, { weights: type, attention, masked }) {
  const { ways, graph, feeds } = GRAPHS[config.model_type];
  const made = graph(config, weights, { kind: KIND[type], attention, masked });
  const { session, ...entry } = await onnxSession(made, { weights: type, variant: ways[type][attention] });
  const feedsOf = (texts) => feeds(config, padded(texts.map((text) => tokenizer.encode(text).ids)), masked);
  return {
    ...entry,
    repeat: 1,
    with: (texts) => ({
      run: async () => (await session.run(feedsOf(texts), ['vector'])).vector.data,
      hidden: async () => (await session.run(feedsOf([texts[0]]), ['hidden'])).hidden.data,
    }),
  };
}

const webVariants = ({ config, weights }, masked) =>
  weights.flatMap((type) => Object.keys(GRAPHS[config.model_type].ways[type]).map((attention) => ({ weights: type, attention, masked })));

/** Other packages, which are compared over one text of BERT's layers; each is loaded when its turn comes. */
function otherBuilders(model, folder, weights, tokenizer) {
  if (model.config.model_type !== 'bert') return [];
  const native = async (type) => (await import('./transformers.mjs')).transformersEntry(model, folder, weights, type);
  return [
    { name: 'tfjs-backend-wasm', build: async () => (await import('./tfjs.mjs')).tfjsEntry(model, weights, tokenizer) },
    { name: 'transformers.js: int8', build: () => native('i8') },
    { name: 'transformers.js: f32', build: () => native('f32') },
  ];
}

/** Ways to make every entry of an encoder, in the order in which they take turns. */
function builders(model, folder, masked) {
  const tokenizer = tokenizerOf(folder);
  const weights = weightsOf(folder);
  return [
    ...VARIANTS.filter(({ weights: type }) => model.weights.includes(type)).map((variant) => ({
      name: `relpos: ${variant.weights}, ${variant.precision}`,
      build: () => ownEntry(model, folder, variant),
    })),
    ...webVariants(model, masked).map((variant) => ({
      name: `onnxruntime-web: ${KIND[variant.weights]}, ${variant.attention}`,
      build: () => webEntry(model, weights, tokenizer, variant),
    })),
    ...(masked ? [] : otherBuilders(model, folder, weights, tokenizer)),
  ];
}

/** The hidden state of one text, or the vectors of a batch, as f32 has them elsewhere: of the first graph in f32. */
const isReference = ({ peer, weights }) => peer === 'onnxruntime-web' && weights === 'f32';

/** Rows of one text go through graphs without a mask, a batch through graphs with one. */
export async function runRows(model, rows, budget, report) {
  const folder = checkpoint(model);
  for (const masked of [false, true]) {
    const own = rows.filter(({ batch }) => Boolean(batch) === masked);
    if (own.length === 0) continue;
    const { entries, skipped } = await buildAll(builders(model, folder, masked));
    for (const row of own) {
      const texts = row.batch ? shortTexts(model) : [textOf(model, row.tokens)];
      const contenders = entries.map(({ with: bind, ...entry }) => {
        const { run, hidden } = bind(texts);
        return { ...entry, run, output: masked ? run : hidden };
      });
      const reference = (await contenders.find(isReference).output()).slice();
      const result = await runRow(row, contenders, reference, budget);
      report({ ...result, skipped: [...skipped, ...result.skipped] });
    }
    for (const { dispose } of entries) await dispose();
  }
}
