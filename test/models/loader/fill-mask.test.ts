/** Words for masks, from a folder with and without its tokenizer's settings, against what transformers' `fill-mask` makes of it. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Encoder, loadEncoder } from '../../../src/models/index.ts';
import { checkpoint } from '../checkpoints.ts';
import type { Json } from './vocabularies.ts';

interface Case {
  readonly text: string;
  /** For each mask the likeliest words, by the original's f64 run. */
  readonly masks: readonly (readonly { id: number; token: string; score: number }[])[];
  /** Of a logit: twice the largest error of the original's own f32 run. */
  readonly within: number;
}

const folderOf = (name: string): string => checkpoint(name).folder;
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

function fillsOf(name: string): Case[] {
  const { cases } = checkpoint(name);
  const fills: Case[] = json(`${folderOf(name)}fills.json`).cases;
  expect(fills.map(({ text }) => text)).toEqual(cases.map(({ text }) => text));
  return fills.map((each, n) => ({ ...each, within: 2 * Math.max(...Object.values(cases[n]?.errors ?? {})) }));
}

/** The encoder of roberta-fill with other settings of its tokenizer, none if null, and another vocabulary. */
function loadWith(settings: Json | null, vocabulary: (file: string) => string = (file) => file): Promise<Encoder> {
  const folder = folderOf('roberta-fill');
  const text = (name: string): string => readFileSync(folder + name, 'utf8');
  const bytes = (given: string): Uint8Array => new TextEncoder().encode(given);
  const files = {
    'config.json': bytes(text('config.json')),
    'model.safetensors': new Uint8Array(readFileSync(`${folder}model.safetensors`)),
    'tokenizer.json': bytes(vocabulary(text('tokenizer.json'))),
    ...(settings && { 'tokenizer_config.json': bytes(JSON.stringify(settings)) }),
  };
  return loadEncoder(files, { weights: 'f32', threads: 1 });
}

const SETTINGS: Json = json(`${folderOf('roberta-fill')}tokenizer_config.json`);

async function expectFills(encoder: Encoder, cases: readonly Case[]): Promise<void> {
  for (const { text, masks, within } of cases) {
    const found = await encoder.fillMask(text);
    expect(found.length, text).toBe(masks.length);
    for (const [n, fills] of masks.entries()) {
      // The original leaves the blank before a word; of a blank alone ours says how the vocabulary writes it.
      const words = fills.map(({ id, token }) => ({ id, token: token.trim() || encoder.tokenizer.tokenOf(id) }));
      expect(
        found[n]?.map(({ id, token }) => ({ id, token })),
        text,
      ).toEqual(words);
      for (const [rank, { score }] of fills.entries()) {
        // Logits z that are off by e at most move a score p by 2·p·(1 − p)·e at most.
        expect(Math.abs((found[n]?.[rank]?.score as number) - score), text).toBeLessThanOrEqual(2 * score * (1 - score) * within);
      }
    }
  }
}

describe.each([
  ['roberta-fill', '<mask>', true],
  ['bert-mask', '[MASK]', false],
])('%s', (name, mask, settings) => {
  const { cases } = checkpoint(name);

  test(`fills ${mask} as the original does, ${settings ? 'which the settings name' : 'which nothing names'}`, async () => {
    expect(existsSync(`${folderOf(name)}tokenizer_config.json`)).toBe(settings);
    using encoder = await loadEncoder(folderOf(name), { weights: 'f32', threads: 1 });
    expect(encoder.tokenizer.special.mask?.token).toBe(mask);
    for (const { text, ids, masks } of cases) {
      const found = [...encoder.tokenizer.encode(text as string).ids];
      expect(found).toEqual(ids);
      expect([...found.keys()].filter((n) => found[n] === encoder.tokenizer.special.mask?.id)).toEqual(masks);
    }
    await expectFills(encoder, fillsOf(name));
  });

  test('says what a text without a mask lacks', async () => {
    using encoder = await loadEncoder(folderOf(name), { weights: 'f32', threads: 1 });
    const wrong = mask === '<mask>' ? 'the [MASK] sat' : 'the <mask> sat';
    for (const text of [wrong, '', 'mask'])
      await expect(encoder.fillMask(text)).rejects.toThrow(`fillMask: "text" expected a text with ${mask} in it, got "${text}"`);
    // It was cut off.
    await expect(encoder.fillMask(`a b c d e f ${mask}`, { maxLength: 5 })).rejects.toThrow(`expected a text with ${mask} in it`);
  });
});

describe('a mask', () => {
  test('has the blanks before it, however many, and none behind it', async () => {
    using encoder = await loadWith(SETTINGS);
    const ids = (text: string): number[] => [...encoder.tokenizer.encode(text).ids];
    expect(ids('a \n  <mask>')).toEqual(ids('a<mask>'));
    expect(ids('a<mask> b')).not.toEqual(ids('a<mask>b'));
    expect(await encoder.fillMask('a \n  <mask> b')).toEqual(await encoder.fillMask('a<mask> b'));
  });

  test('is what the settings name, as a text or an object, whatever it is called', async () => {
    const renamed = (file: string): string => file.replaceAll('<mask>', '«blank»');
    const golden = fillsOf('roberta-fill').map((each) => ({ ...each, text: each.text.replaceAll('<mask>', '«blank»') }));
    for (const mask of ['«blank»', { content: '«blank»', lstrip: true }]) {
      using encoder = await loadWith({ ...SETTINGS, mask_token: mask }, renamed);
      await expectFills(encoder, golden);
      await expect(encoder.fillMask('a <mask>')).rejects.toThrow('expected a text with «blank» in it, got "a <mask>"');
    }
  });

  test('is known by its usual name where older settings leave it to the class of the tokenizer', async () => {
    for (const settings of [null, {}, { model_max_length: 96, tokenizer_class: 'RobertaTokenizer' }]) {
      using encoder = await loadWith(settings);
      await expectFills(encoder, fillsOf('roberta-fill'));
    }
  });

  test('is none where nothing that is in the vocabulary is named', async () => {
    const { mask_token: _, ...rest } = SETTINGS;
    const none = 'fillMask: the checkpoint names no mask token: "mask_token" in tokenizer_config.json does';
    const unusual = (file: string): string => file.replaceAll('<mask>', '«blank»');
    for (const [settings, vocabulary] of [
      [{ ...SETTINGS, mask_token: null }, undefined],
      [{ ...SETTINGS, mask_token: '<other>' }, undefined],
      [{ ...rest, added_tokens_decoder: {} }, undefined],
      [rest, unusual],
    ] as const) {
      using encoder = await loadWith(settings, vocabulary);
      expect(encoder.tokenizer.special.mask).toBeUndefined();
      await expect(encoder.fillMask('a <mask>')).rejects.toThrow(none);
    }
  });

  test('has as many words as are asked for, or as there are', async () => {
    using encoder = await loadWith(SETTINGS);
    const all = await encoder.fillMask('My dear <mask>, <mask>', { count: 1000 });
    expect(all.map(({ length }) => length)).toEqual([300, 300]);
    for (const row of all) expect(row.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 10);
    expect(await encoder.fillMask('My dear <mask>, <mask>', { count: 1 })).toEqual(all.map((row) => row.slice(0, 1)));
  });
});
