/**
 * Texts that grow beyond the length from which a rotation is another (LongRoPE): what was computed of a shorter one is computed again, so that
 * every way to a text of so many tokens comes to the same scores.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finish } from '../../src/models/generation.ts';
import { type Decoder, loadDecoder, pack } from '../../src/models/index.ts';

const FOLDER = fileURLToPath(new URL('checkpoints/phi3-long', import.meta.url));
/** `original_max_position_embeddings`. */
const TRAINED = 48;

/** By number of tokens at the beginning: those that follow as scores of whole texts say, by transformers 5.18 in f32. */
const FOLLOWING: readonly (readonly [number, readonly number[]])[] = [
  [40, [31, 34, 34, 34, 34, 34, 86, 86, 86, 86, 86, 86]],
  [44, [100, 26, 86, 86, 86, 86, 86, 86, 86, 86, 86, 86]],
  [46, [251, 210, 210, 210, 210, 210, 210, 210, 210, 313, 175, 175]],
  [47, [21, 21, 81, 188, 82, 214, 214, 214, 214, 76, 210, 313]],
  [48, [308, 210, 210, 210, 87, 90, 201, 178, 76, 326, 205, 140]],
  [49, [218, 34, 104, 204, 90, 34, 64, 90, 313, 172, 170, 135]],
];

const idsOf = (count: number): number[] => Array.from({ length: count }, (_, n) => 5 + ((n * 7) % 90));
const largest = (row: Float32Array | undefined): number =>
  (row as Float32Array).reduce((best, x, n, all) => (x > (all[best] as number) ? n : best), 0);

/** Tokens that follow as the scores of whole texts say, until one ends the text. */
async function byLogits(model: Decoder, ids: readonly number[], count: number): Promise<number[]> {
  const all = [...ids];
  for (let n = 0; n < count; n++) {
    const next = largest((await model.logits(all)).at(-1));
    if ([2, 3].includes(next)) break;
    all.push(next);
  }
  return all.slice(ids.length);
}

async function drained(pieces: AsyncGenerator<unknown, Finish | readonly Finish[], void>): Promise<void> {
  for await (const _ of pieces);
}

const folders = mkdtempSync(join(tmpdir(), 'relpos-lengths-'));
afterAll(() => rmSync(folders, { recursive: true }));

describe.each(['as stored', 'packed'])('%s', (kind) => {
  let model: Decoder;
  beforeAll(async () => {
    const packed = join(folders, 'packed');
    if (kind === 'packed') await pack(FOLDER, packed, { threads: 1, weights: 'f32' });
    model = await loadDecoder(kind === 'packed' ? packed : FOLDER, { threads: 1 });
  });
  afterAll(() => model.dispose());

  test.each([40, 44, 46, 47, 48, 49, 50, 60])('a text that begins with %i tokens', async (start) => {
    const expected = await byLogits(model, idsOf(start), 12);
    expect(expected.length).toBeGreaterThan(0);
    using session = await model.session(idsOf(start));
    await drained(session.generate({ maxTokens: 12 }));
    expect(session.tokens.slice(start)).toEqual(expected);
  });

  test.each(FOLLOWING)('what follows %i tokens, as transformers has it', async (start, expected) => {
    using session = await model.session(idsOf(start));
    await drained(session.generate({ maxTokens: expected.length }));
    expect(session.tokens.slice(start)).toEqual(expected);
  });

  test('sessions and forks that cross it in pieces', async () => {
    using session = await model.session(idsOf(TRAINED - 3));
    const seen = new Set<boolean>();
    for (let step = 0; step < 6; step++) {
      using fork = await session.fork();
      for (const one of [session, fork]) {
        const before = one.tokens;
        const expected = await byLogits(model, before, 2);
        await drained(one.generate({ maxTokens: 2 }));
        expect(one.tokens.slice(before.length)).toEqual(expected);
        seen.add(one.tokens.length > TRAINED);
      }
    }
    expect([...seen]).toEqual([false, true]);
  });

  test('a batch, of which each crosses it at a time of its own', async () => {
    const starts = [40, 45, 47, 48, 52];
    const texts = starts.map(() => '');
    for await (const { index, text } of model.generateAll(starts.map(idsOf), { maxTokens: 10 })) texts[index] += text;
    for (const [n, start] of starts.entries()) {
      const tokens = await byLogits(model, idsOf(start), 10);
      const stream = model.tokenizer.decodeStream(idsOf(start));
      expect(texts[n]).toBe(tokens.map((id) => stream.push(id)).join('') + stream.end());
    }
  });

  test('an abort in the step that crosses it, and going on', async () => {
    using session = await model.session(idsOf(TRAINED));
    await drained(session.generate({ maxTokens: 1 }));
    const controller = new AbortController();
    const aborted = drained(session.generate({ maxTokens: 4, signal: controller.signal }));
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    const before = session.tokens;
    const expected = await byLogits(model, before, 4);
    await drained(session.generate({ maxTokens: 4 }));
    expect(session.tokens.slice(before.length)).toEqual(expected);
  });
});

test('a text of several runs turns from its first token on as its whole length says', async () => {
  const files = Object.fromEntries(readdirSync(FOLDER).map((name) => [name, new Uint8Array(readFileSync(join(FOLDER, name)))]));
  const config = JSON.parse(new TextDecoder().decode(files['config.json']));
  // With the attention factor given, all that the trained length decides is which factors a text has.
  const trainedFor = (length: number) => ({
    ...files,
    'config.json': new TextEncoder().encode(
      JSON.stringify({
        ...config,
        original_max_position_embeddings: length,
        rope_scaling: { ...config.rope_scaling, attention_factor: 1.25 },
      }),
    ),
  });
  using early = await loadDecoder(trainedFor(TRAINED), { threads: 1 });
  using late = await loadDecoder(trainedFor(140), { threads: 1 });
  expect(await late.logits(idsOf(150))).toEqual(await early.logits(idsOf(150)));
  expect(await late.logits(idsOf(140))).not.toEqual(await early.logits(idsOf(140)));
  const expected = await byLogits(late, idsOf(138), 6);
  using session = await late.session(idsOf(138));
  await drained(session.generate({ maxTokens: 6 }));
  expect(session.tokens.slice(138)).toEqual(expected);
});
