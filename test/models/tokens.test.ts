/** What Python's tokenizers make of awkward strings (scripts/goldens/models/strings.py), and what comes of its ids as text again. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { loadTokenizer } from '../../src/models/tokenizer.ts';

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  /** Without the tokens that frame a text. */
  readonly plain: readonly number[];
  /** Without special tokens. */
  readonly decoded: string;
}

const root = new URL('../../', import.meta.url);
const folder = new URL('tokens/', import.meta.url);
const files = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as { tokenizer: string; cases: Case[] },
);

describe.each(files)('$tokenizer', async ({ tokenizer: path, cases }) => {
  const tokenizer = await loadTokenizer(await openCheckpoint({ where: 'loadEncoder' }, 'model', fileURLToPath(new URL(path, root))));

  test('there are 45 strings', () => {
    expect(cases.length).toBe(45);
  });

  test.each(cases.map((each) => ({ ...each, name: JSON.stringify(each.text) })))('$name', ({ text, ids, plain, decoded }) => {
    expect([...tokenizer.encode(text).ids]).toEqual(ids);
    expect([...tokenizer.encode(text, { specialTokens: false }).ids]).toEqual(plain);
    expect(tokenizer.decode(ids)).toBe(decoded);
  });
});
