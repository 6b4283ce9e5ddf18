// The programs that the panel gives out: each is checked by the compiler, runs, and prints what the panel shows.
import { fileURLToPath } from 'node:url';
import { loadDecoder, loadEncoder } from 'relpos/models';
import { beforeAll, expect, test } from 'vitest';
import { attentionProgram, generationOf, similarityProgram, storyProgram } from '../../src/panels/models/code.ts';
import { DEFAULTS } from '../../src/panels/models/settings.ts';
import { sentencesOf } from '../../src/panels/models/similarity.ts';
import { headOf } from '../../src/panels/models/tokens.ts';
import { runPrograms } from './programs.ts';

const path = (name: string): string => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const bert = path('test/models/checkpoints/bert');
const story = path('examples/models/story-llama');
const quoted = { ...DEFAULTS, texts: 'It is "so".\nIs it? \\ No.', text: 'The "cat"\u2028sleeps.', layer: 1, head: 2, token: 3 };
const written = { ...DEFAULTS, end: 'the', temperature: 1, topK: 20, tokens: 40 };

let printed: unknown[][] = [];
beforeAll(() => {
  printed = runPrograms([
    similarityProgram(quoted, bert),
    attentionProgram(quoted, bert),
    attentionProgram({ ...quoted, head: -1, token: 999 }, bert),
    storyProgram(written, story),
  ]);
}, 120_000);

test('cosines, and where words look', async () => {
  const encoder = await loadEncoder(bert, { threads: 1 });
  try {
    expect(printed[0]).toEqual(await encoder.similarity(sentencesOf(quoted.texts).texts));
    const { tokens, heads, length, probabilities } = await encoder.attention(quoted.text, { layer: 1 });
    const rowOf = (head: number, token: number): unknown[] => {
      const row = headOf(probabilities, heads, length, head).subarray(token * length, (token + 1) * length);
      return tokens.map((word, j) => [word, row[j]]);
    };
    expect(printed[1]).toEqual(rowOf(2, 3));
    expect(printed[2]).toEqual(rowOf(-1, length - 1));
  } finally {
    encoder.dispose();
  }
});

test('a story', async () => {
  const decoder = await loadDecoder(story, { threads: 1 });
  try {
    let text = written.prompt;
    for await (const piece of decoder.generate(text, generationOf(written))) text += piece;
    expect(printed[3]).toEqual([text]);
    expect(text.length).toBeGreaterThan(written.prompt.length);
  } finally {
    decoder.dispose();
  }
});
