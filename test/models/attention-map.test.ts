/**
 * Where tokens look: the weights of every layer and head of every checkpoint that reads texts against the f64 reference, of windows, of texts longer
 * than a head may be wide; what a call refuses, and that it leaves nothing behind.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { weigh } from '../../src/models/attention-map.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import type { Weighed } from '../../src/models/driver-types.ts';
import type { TokenText } from '../../src/models/encoder.ts';
import { blueprintOf } from '../../src/models/families/index.ts';
import { type AttentionMap, type Encoder, estimate, loadEncoder } from '../../src/models/index.ts';
import { Runner } from '../../src/models/runner.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint, checkpointNames, type ReferenceCase } from './checkpoints.ts';
import { Reference } from './reference.ts';

const where = 'weights';
const engine = await createEngine({ threads: 1 });
const layers = await layerContext(where, engine, OWN_LAYERS);
afterAll(() => engine.dispose());

async function load(name: string): Promise<Runner> {
  const opened = await openCheckpoint({ where }, 'model', checkpoint(name).folder);
  const tensors = await opened.weights();
  try {
    const index = new Map(tensors.names.map((each) => [each, tensors.info(each)]));
    return await Runner.load(layers, blueprintOf(opened.config, index), tensors, { where, weights: 'f32', reader: TextReader });
  } finally {
    await tensors.close();
  }
}

const weighed = (reader: TextReader, text: TokenText, layer: number): Promise<Weighed> =>
  reader.alone('text', text, (encoder) => weigh(encoder, text, layer));

/** By layer the weights of a text, [H, T, S]. */
function weightsOf(name: string, { ids, types }: ReferenceCase, round?: (x: number) => number): Weighed[] {
  const { config, folder } = checkpoint(name);
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  const blueprint = blueprintOf(config, tensors);
  const rows: { readonly head: number; readonly row: number; readonly weights: readonly number[] }[] = [];
  const reference = new Reference(blueprint, tensors, {
    longest: 256,
    ...(round && { round }),
    weighing: (weights, head, row) => rows.push({ weights, head, row }),
  });
  reference.encode(ids as number[], types && { segments: types });
  const tokens = (ids as number[]).length;
  return (blueprint.encoder?.layers ?? []).map(({ attention: { heads } }) => {
    const own = rows.splice(0, heads * tokens);
    const keys = own[0]?.weights.length ?? 0;
    const weights = new Float32Array(heads * tokens * keys);
    for (const { head, row, weights: each } of own) weights.set(each, (head * tokens + row) * keys);
    return { heads, keys, weights };
  });
}

const distance = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, n) => Math.max(most, Math.abs(x - (b[n] as number))), 0);

const isReader = (name: string): boolean => {
  if (name.startsWith('swin')) return false;
  const { config, folder } = checkpoint(name);
  return blueprintOf(config, readSafetensors(readFileSync(`${folder}model.safetensors`)).tensors).encoder !== undefined;
};
const names = checkpointNames.filter(isReader);

describe.each(names)('%s', (name) => {
  test('the weights of all layers are those of the reference', async () => {
    const runner = await load(name);
    try {
      const reader = runner.reader as TextReader;
      for (const one of checkpoint(name).cases) {
        const [truth, naive] = [weightsOf(name, one), weightsOf(name, one, Math.fround)];
        for (const [layer, expected] of truth.entries()) {
          const text = { ids: one.ids as number[], segments: one.types };
          const { heads, keys, weights } = await weighed(reader, text, layer);
          expect([heads, keys, weights.length]).toEqual([expected.heads, expected.keys, expected.weights.length]);
          const own = naive[layer] as Weighed;
          // The naive errors of weights that are nearly 1 may be lucky: no less than four units in the last place of 1.
          expect(distance(weights, expected.weights)).toBeLessThanOrEqual(Math.max(2 * distance(own.weights, expected.weights), 2 ** -21));
        }
      }
    } finally {
      runner.dispose();
    }
  });
});

test('there are readers of every kind of position', () => {
  for (const kind of [
    'bert',
    'deberta-v3',
    'jina-v2',
    'modernbert-mask',
    'mpnet',
    'nomic-bert',
    't5',
    'longt5-global',
    'xlnet',
    'embeddinggemma',
  ]) {
    expect(names).toContain(kind);
  }
});

const TEXT = 'The cat sleeps on the roof.';

/** A ModernBERT of windows for texts of 2048 tokens, and one of some 1200. */
function longer(): { readonly files: Record<string, Uint8Array<ArrayBuffer>>; readonly text: string } {
  const { folder } = checkpoint('modernbert-mask');
  const file = (name: string) => new Uint8Array(readFileSync(`${folder}${name}`));
  const config = { ...JSON.parse(readFileSync(`${folder}config.json`, 'utf8')), max_position_embeddings: 2048 };
  return {
    files: {
      'config.json': new TextEncoder().encode(JSON.stringify(config)),
      'tokenizer.json': file('tokenizer.json'),
      'model.safetensors': file('model.safetensors'),
    },
    text: Array.from({ length: 400 }, (_, n) => 'the cat sleeps on a roof'.split(' ')[n % 6]).join(' '),
  };
}

async function using<T>(name: string, use: (encoder: Encoder) => Promise<T>): Promise<T> {
  const encoder = await loadEncoder(checkpoint(name).folder, { threads: 1 });
  try {
    return await use(encoder);
  } finally {
    encoder.dispose();
  }
}

describe('attention', () => {
  test('a text has its tokens, and rows that sum to 1', () =>
    using('bert', async (encoder) => {
      const { tokens, heads, length, probabilities } = await encoder.attention(TEXT, { layer: 1 });
      expect(tokens).toHaveLength(length);
      expect([tokens[0], tokens.at(-1)]).toEqual(['[CLS]', '[SEP]']);
      expect(tokens.map((token) => encoder.tokenizer.idOf(token))).toEqual([...encoder.tokenizer.encode(TEXT).ids]);
      expect(probabilities).toHaveLength(heads * length * length);
      for (let row = 0; row < heads * length; row++) {
        const sum = probabilities.subarray(row * length, (row + 1) * length).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
      }
    }));

  test('it changes nothing of other calls, before or beside it', () =>
    using('bert', async (encoder) => {
      const alone = await encoder.embed(TEXT);
      const map = await encoder.attention(TEXT, { layer: 0 });
      const [embedded, again, other] = await Promise.all([
        encoder.embed(TEXT),
        encoder.attention(TEXT, { layer: 0 }),
        encoder.attention('Another text.', { layer: 1 }),
      ]);
      expect(embedded).toEqual(alone);
      expect(again).toEqual(map);
      expect(other.length).not.toBe(map.length);
    }));

  test('a window hides what is farther, in a text of more tokens than a head may be wide', async () => {
    const { files, text } = longer();
    const encoder = await loadEncoder(files, { threads: 1, context: 2048 });
    try {
      const { layers: all = [] } = encoder.blueprint.encoder ?? {};
      const layer = all.findIndex(({ attention }) => attention.window?.left !== undefined);
      const left = all[layer]?.attention.window?.left as number;
      const { heads, length, probabilities } = await encoder.attention(text, { layer });
      expect(length).toBeGreaterThan(1024);
      const spans: number[][] = [];
      let worst = 0;
      for (let row = 0; row < heads * length; row++) {
        const weights = probabilities.subarray(row * length, (row + 1) * length);
        spans.push([weights.findIndex((x) => x > 0), weights.findLastIndex((x) => x > 0)]);
        worst = Math.max(worst, Math.abs(weights.reduce((a, b) => a + b, 0) - 1));
      }
      const seen = (i: number): number[] => [Math.max(0, i - left), Math.min(length - 1, i + left)];
      expect(spans).toEqual(Array.from({ length: heads * length }, (_, row) => seen(row % length)));
      expect(worst).toBeLessThan(1e-6);
    } finally {
      encoder.dispose();
    }
  });

  test('a result for which there is no memory is refused, and the model goes on', async () => {
    const { files, text } = longer();
    const { total } = await estimate(files, { threads: 1, context: 2048 });
    const encoder = await loadEncoder(files, { threads: 1, context: 2048, maxMemory: total + 2 ** 20 });
    try {
      const before = await encoder.embed(TEXT);
      await expect(encoder.attention(text, { layer: 0 })).rejects.toMatchObject({ code: 'out-of-memory' });
      expect(await encoder.embed(TEXT)).toEqual(before);
      expect((await encoder.attention(TEXT, { layer: 0 })).length).toBeGreaterThan(2);
    } finally {
      encoder.dispose();
    }
  });

  test.each(['reproducible', 'int16', 'relaxed'] as const)('two threads give what one gives, %s', async (precision) => {
    const { folder } = checkpoint('deberta-v3');
    const maps = [];
    for (const threads of [1, 2]) {
      const encoder = await loadEncoder(folder, { threads, precision });
      maps.push(await encoder.attention(`${TEXT} ${TEXT} ${TEXT}`, { layer: 1 }));
      encoder.dispose();
    }
    expect(maps[1]).toEqual(maps[0]);
    const [{ length, probabilities }] = maps as [AttentionMap];
    const sums = Array.from({ length: probabilities.length / length }, (_, row) =>
      probabilities.subarray(row * length, (row + 1) * length).reduce((a, b) => a + b, 0),
    );
    for (const sum of sums) expect(Math.abs(sum - 1)).toBeLessThan(precision === 'int16' ? 2 ** -14 : 1e-6);
  });

  test('a text without tokens has no weights', async () => {
    const runner = await load('bert');
    expect((await weighed(runner.reader as TextReader, { ids: [] }, 0)).weights).toHaveLength(0);
    runner.dispose();
  });

  test('what is wrong is said, and changes nothing', () =>
    using('bert', async (encoder) => {
      const layer = 0;
      const long = Array.from({ length: encoder.maxLength + 1 }, () => 'a').join(' ');
      const last = (encoder.blueprint.encoder?.layers.length ?? 0) - 1;
      const ask = (text: unknown, options?: unknown) => encoder.attention(text as string, options as { layer: number });
      await expect(ask(1, { layer })).rejects.toThrow(new TypeError('attention: "text" expected a string, got 1'));
      await expect(ask(TEXT)).rejects.toThrow(TypeError);
      await expect(ask(TEXT, {})).rejects.toThrow(new TypeError(`attention: "layer" expected an integer in 0 … ${last}, got undefined`));
      await expect(ask(TEXT, { layer: '0' })).rejects.toThrow(TypeError);
      for (const wrong of [-1, last + 1, 0.5, Number.NaN]) {
        await expect(ask(TEXT, { layer: wrong })).rejects.toThrow(`attention: "layer" expected an integer in 0 … ${last}, got ${wrong}`);
      }
      await expect(ask(TEXT, { layer, head: 1 })).rejects.toThrow('"head"');
      await expect(ask(TEXT, { layer, signal: 1 })).rejects.toThrow(TypeError);
      await expect(ask(long, { layer })).rejects.toThrow(
        new RangeError(`attention: "text" expected at most ${encoder.maxLength} tokens, got ${encoder.maxLength + 3}`),
      );
      const reason = new Error('enough');
      await expect(ask(TEXT, { layer, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect((await ask(TEXT, { layer })).length).toBeGreaterThan(2);
    }));

  test('a model that was ended gives none', async () => {
    const encoder = await loadEncoder(checkpoint('bert').folder, { threads: 1 });
    encoder.dispose();
    await expect(encoder.attention(TEXT, { layer: 0 })).rejects.toThrow('attention: the encoder was disposed');
  });

  test('the memory is as it was', async () => {
    const encoder = await loadEncoder(checkpoint('deberta-v3').folder, { engine });
    // Tables that are asked for again are kept.
    for (let time = 0; time < 3; time++) await encoder.attention(TEXT, { layer: 1 });
    const before = engine.memoryUsage();
    await encoder.attention(TEXT, { layer: 1 });
    await encoder.attention(TEXT, { layer: 0 });
    expect(engine.memoryUsage()).toEqual(before);
    encoder.dispose();
  });
});
