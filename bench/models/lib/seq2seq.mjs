/** Rows of a model that reads a text and writes another: a text of so many tokens is read, and so many greedy tokens are written. */
import { checkpoint, weightsOf } from './checkpoints.mjs';
import { largest, written } from './decoders.mjs';
import { KIND, onnxSession, ort, tokens } from './onnxruntime.mjs';
import { relposModel } from './relpos.mjs';
import { buildAll, runRow } from './run-row.mjs';
import { biasOf, t5Encoder, t5Step } from './t5-graph.mjs';
import { textOf } from './texts.mjs';
import { tokenizerOf } from './tokenizer.mjs';

/** Greedy tokens that are compared with those of f32. */
const COMPARED = 8;

const GREEDY = { temperature: 0 };

/** The token with which the decoder starts. */
const START = 0;

async function ownEntry(model, folder, variant, { write }) {
  const { model: seq2seq, ...entry } = await relposModel(model, folder, variant);
  const { driver } = seq2seq.parts;
  return {
    ...entry,
    run: async (text) => {
      const count = await written(seq2seq.generate(text, { ...GREEDY, maxTokens: write }));
      if (count !== write) throw new Error(`wrote ${count} tokens, not ${write}`);
    },
    /** Scores of the first token: they have no name in the public interface. */
    async output(text) {
      const sequence = await driver.sequence({ source: { ids: seq2seq.tokenizer.encode(text).ids } });
      const [{ values }] = await driver.extend([sequence], [[START]]);
      const scores = values.slice();
      sequence.dispose();
      return scores;
    },
    async choose(text) {
      let all = '';
      for await (const piece of seq2seq.generate(text, { ...GREEDY, maxTokens: COMPARED })) all += piece;
      return [...seq2seq.tokenizer.encode(all, { specialTokens: false }).ids];
    },
  };
}

async function webEntry(model, weights, tokenizer, type, { read, write }) {
  const { config } = model;
  const { num_heads: heads, d_kv: width } = config;
  const [first, next] = [t5Encoder, t5Step].map((graph) => graph(config, weights, KIND[type]));
  const { session: encoder, ...entry } = await onnxSession(first, { weights: type, variant: 'MultiHeadAttention' });
  const { session: decoder, dispose } = await onnxSession(next, { weights: type });
  const floats = (data, dims) => new ort.Tensor('float32', data, dims);
  const around = floats(biasOf(config, weights, 'encoder', read), [1, heads, read, read]);
  const before = Array.from({ length: write }, (_, n) => floats(biasOf(config, weights, 'decoder', n + 1), [1, heads, 1, n + 1]));
  const empty = floats(new Float32Array(0), [1, heads, 0, width]);
  const go = async (text, count, use) => {
    const seen = await encoder.run({ ids: tokens(tokenizer.encode(text).ids), bias: around });
    let [out, token] = [undefined, START];
    for (let n = 0; n < count; n++) {
      const past = next.caches.map((name) => [`past${name}`, out ? out[`present${name}`] : empty]);
      out = await decoder.run({ ids: tokens([token]), bias: before[n], ...seen, ...Object.fromEntries(past) });
      token = largest(out.logits.data);
      use?.(token);
    }
    return out;
  };
  return {
    ...entry,
    run: (text) => go(text, write),
    output: async (text) => (await go(text, 1)).logits.data,
    async choose(text) {
      const chosen = [];
      await go(text, COMPARED, (token) => chosen.push(token));
      return chosen;
    },
    dispose: async () => {
      await dispose();
      await entry.dispose();
    },
  };
}

function builders(model, folder, row) {
  const weights = weightsOf(folder);
  const tokenizer = tokenizerOf(folder);
  const own = model.weights.flatMap((type) => ['reproducible', 'int16'].map((precision) => ({ weights: type, precision })));
  return [
    ...own.map((variant) => ({
      name: `relpos: ${variant.weights}, ${variant.precision}`,
      build: () => ownEntry(model, folder, variant, row),
    })),
    ...model.weights.map((type) => ({
      name: `onnxruntime-web: ${KIND[type]}`,
      build: () => webEntry(model, weights, tokenizer, type, row),
    })),
  ];
}

/** Compared with relpos in f32; with it onnxruntime-web's f32 graph, too. */
export async function runRows(model, rows, budget, report) {
  const folder = checkpoint(model);
  for (const row of rows) {
    const text = textOf(model, row.read, 5);
    const { entries, skipped } = await buildAll(builders(model, folder, row));
    const plain = entries.find(({ peer, weights }) => peer === 'relpos' && weights === 'f32');
    const reference = (await plain.output(text)).slice();
    const chosen = await plain.choose(text);
    const contenders = [];
    for (const { run, output, choose, ...entry } of entries) {
      const greedy = (await choose(text)).filter((id, n) => id === chosen[n]).length;
      contenders.push({ ...entry, greedy, repeat: 1, run: () => run(text), output: () => output(text) });
    }
    const result = await runRow({ ...row, amount: row.write, unit: 'tokens/s' }, contenders, reference, budget);
    report({ ...result, skipped: [...skipped, ...result.skipped] });
    for (const { dispose } of entries) await dispose();
  }
}
