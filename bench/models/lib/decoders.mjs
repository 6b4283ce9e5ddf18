/** Rows of decoders: the first token after a prompt, and the tokens after that one; greedy, from token numbers to text or token numbers. */
import { checkpoint, weightsOf } from './checkpoints.mjs';
import { llamaGraph, withIdleSink } from './llama-graph.mjs';
import { KIND, onnxSession, ort, tokens } from './onnxruntime.mjs';
import { relposModel } from './relpos.mjs';
import { buildAll, runRow } from './run-row.mjs';
import { words } from './texts.mjs';

/** Tokens that one run of a row writes: enough that what a run begins with weighs little; fewer where a token takes long. */
const OWN_STEPS = 32;
const WEB_STEPS = 4;

/** Greedy tokens that are compared. */
const GREEDY_TOKENS = 8;

/** Tokens of the prompt whose scores are compared. */
const COMPARED = 24;

const GREEDY = { temperature: 0 };

/** Takes all pieces. @returns how many tokens there were */
export async function written(pieces) {
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value.tokens;
  }
}

export async function ownEntry(model, folder, variant, context) {
  const { model: decoder, ...entry } = await relposModel(model, folder, { ...variant, context });
  return {
    ...entry,
    first: (ids) => ({ repeat: 1, run: () => written(decoder.generate(ids, { ...GREEDY, maxTokens: 1 })) }),
    async next(ids) {
      const session = await decoder.session(ids);
      await written(session.generate({ ...GREEDY, maxTokens: 1 }));
      const run = async () => {
        const copy = await session.fork();
        const count = await written(copy.generate({ ...GREEDY, maxTokens: OWN_STEPS }));
        copy.dispose();
        if (count !== OWN_STEPS) throw new Error(`wrote ${count} tokens, not ${OWN_STEPS}`);
      };
      return { repeat: OWN_STEPS, run, end: () => session.dispose() };
    },
    output: async (ids) => (await decoder.logits(ids.subarray(0, COMPARED))).at(-1),
    async choose(ids, count) {
      const session = await decoder.session(ids);
      await written(session.generate({ ...GREEDY, maxTokens: count }));
      const chosen = session.tokens.slice(ids.length);
      session.dispose();
      return chosen;
    },
  };
}

export function largest(scores) {
  let best = 0;
  for (let n = 1; n < scores.length; n++) if (scores[n] > scores[best]) best = n;
  return best;
}

/** Runs tokens after what is in the caches. @returns the scores after the last one, and the caches for the next step */
const stepsOf = (session, caches, empty) => async (ids, past, before) => {
  const feeds = { ids: tokens(ids), lastKey: tokens([before + ids.length - 1], [1]), total: tokens([before + ids.length], []) };
  for (const name of caches) feeds[`past${name}`] = past ? past[`present${name}`] : empty;
  return session.run(feeds);
};

/** Prompts go through a graph with an idle sink, single tokens through one without: each the faster of the two. */
async function webEntry(model, weights, type) {
  const { num_key_value_heads: keyHeads, num_attention_heads: heads, hidden_size: width } = model.config;
  const graph = llamaGraph(model.config, weights, KIND[type]);
  const { session: one, ...entry } = await onnxSession(graph, { weights: type, variant: 'GroupQueryAttention' });
  const { session: many, dispose } = await onnxSession(withIdleSink(graph, heads), { weights: type });
  const empty = new ort.Tensor('float32', new Float32Array(0), [1, keyHeads, 0, width / heads]);
  const [step, prefill] = [one, many].map((session) => stepsOf(session, graph.caches, empty));
  /** Greedy tokens after those of `out`, whose scores are there. */
  const go = async (first, before, count) => {
    let out = first;
    const chosen = [largest(out.logits.data)];
    while (chosen.length < count) {
      out = await step(chosen.slice(-1), out, before + chosen.length - 1);
      chosen.push(largest(out.logits.data));
    }
    return chosen;
  };
  return {
    ...entry,
    first: (ids) => ({ repeat: 1, run: async () => largest((await prefill(ids, undefined, 0)).logits.data) }),
    async next(ids) {
      const out = await prefill(ids, undefined, 0);
      const first = largest(out.logits.data);
      const run = async () => go(await step([first], out, ids.length), ids.length + 1, WEB_STEPS);
      return { repeat: WEB_STEPS, run, end: () => undefined };
    },
    output: async (ids) => (await step(ids.subarray(0, COMPARED), undefined, 0)).logits.data,
    choose: async (ids, count) => go(await prefill(ids, undefined, 0), ids.length, count),
    dispose: async () => {
      await dispose();
      await entry.dispose();
    },
  };
}

const OWN = ['i8', 'i4', 'f32'].flatMap((weights) => ['reproducible', 'int16'].map((precision) => ({ weights, precision })));
const WEB = ['i8', 'i4', 'f32'];

/** wllama keeps its models in a browser's storage; where there is none it says so. */
async function wllama() {
  const { Wllama } = await import('@wllama/wllama');
  const path = new URL('../node_modules/@wllama/wllama/esm/wasm/wllama.wasm', import.meta.url);
  await new Wllama({ default: path.href }).loadModel([new Blob([])]);
  throw new Error('it runs here, and has no row yet');
}

/** Every way that serves the weights that a model is measured with. */
function builders(model, folder, context) {
  const weights = weightsOf(folder);
  return [
    ...OWN.filter((variant) => model.weights.includes(variant.weights)).map((variant) => ({
      name: `relpos: ${variant.weights}, ${variant.precision}`,
      build: () => ownEntry(model, folder, variant, context),
    })),
    ...WEB.filter((type) => model.weights.includes(type)).map((type) => ({
      name: `onnxruntime-web: ${KIND[type]}`,
      build: () => webEntry(model, weights, type),
    })),
    { name: 'wllama', build: wllama },
  ];
}

/** What f32 makes of the prompt: scores, and greedy tokens. Of relpos; where onnxruntime-web runs in f32 too, the two are compared with each other. */
async function referenceOf(model, folder, ids, context) {
  const entry = await ownEntry(model, folder, { weights: 'f32', precision: 'reproducible' }, context);
  const reference = { scores: (await entry.output(ids)).slice(), tokens: await entry.choose(ids, GREEDY_TOKENS) };
  entry.dispose();
  return reference;
}

export async function runRows(model, rows, budget, report) {
  const folder = checkpoint(model);
  const { prompt } = rows[0];
  const context = prompt + OWN_STEPS + 2;
  const ids = words(prompt, model.config.vocab_size, 3);
  const reference = await referenceOf(model, folder, ids, context);
  const { entries, skipped } = await buildAll(builders(model, folder, context));
  for (const entry of entries) {
    const chosen = await entry.choose(ids, GREEDY_TOKENS);
    entry.greedy = chosen.filter((id, n) => id === reference.tokens[n]).length;
  }
  for (const row of rows) {
    const contenders = [];
    for (const entry of entries) {
      const own = row.steps ? await entry.next(ids) : entry.first(ids);
      contenders.push({ ...entry, ...own, output: () => entry.output(ids) });
    }
    const result = await runRow({ ...row, amount: row.steps ? 1 : prompt, unit: 'tokens/s' }, contenders, reference.scores, budget);
    for (const { end } of contenders) end?.();
    report({ ...result, skipped: [...skipped, ...result.skipped] });
  }
  for (const { dispose } of entries) await dispose();
}
