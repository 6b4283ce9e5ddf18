/** The panel Models without its page: what the address holds, tables of similarity, words, and files that are dropped. */
import { expect, test } from 'vitest';
import { filesOfList, sizeOf, tellApart } from '../../src/panels/models/dropped.ts';
import { DEFAULTS, readSettings, type Settings, writeSettings } from '../../src/panels/models/settings.ts';
import { MOST, nearestOf, sentencesOf, sharesOf } from '../../src/panels/models/similarity.ts';
import { fetchOf } from '../../src/panels/models/sources.ts';
import { goesOn, headOf, largestOf, wordOf } from '../../src/panels/models/tokens.ts';
import { Vectors } from '../../src/panels/models/vectors.ts';

const words = (settings: Settings): Record<string, string> =>
  Object.fromEntries(Object.entries(writeSettings(settings)).filter((one): one is [string, string] => one[1] !== undefined));

test('an address holds all settings, and no default', () => {
  expect(words(DEFAULTS)).toEqual({});
  const other: Settings = {
    part: 'story',
    texts: 'One.\nTwo.',
    text: 'A word.',
    layer: 0,
    head: 2,
    token: 3,
    prompt: 'Now',
    temperature: 0,
    topK: 40,
    topP: 0.5,
    seed: 7,
    end: 'Amen',
    tokens: 50,
  };
  expect(readSettings(words(other))).toEqual(other);
  expect(Object.keys(words(other))).toHaveLength(Object.keys(other).length);
});

test('what an address has wrong is a default, and long texts stay in the page', () => {
  const wrong = { part: 'x', layer: '0', head: '-1', temperature: '9', k: '-1', p: '0', seed: 'a', tokens: '9999', token: '' };
  expect(readSettings(wrong)).toEqual(DEFAULTS);
  // The library refuses temperatures that are next to nothing.
  expect(['1e-300', '0.001', '1.234'].map((temperature) => readSettings({ temperature }).temperature)).toEqual([0, 0, 1.23]);
  expect(words({ ...DEFAULTS, texts: 'a'.repeat(801), text: 'b'.repeat(800) })).toEqual({ text: 'b'.repeat(800) });
});

test('sentences are lines that have something', () => {
  expect(sentencesOf(' One. \n\n\tTwo.\r\n')).toEqual({ texts: ['One.', 'Two.'], left: 0 });
  const many = sentencesOf(Array.from({ length: MOST + 3 }, (_, n) => `${n}`).join('\n'));
  expect([many.texts.length, many.left]).toEqual([MOST, 3]);
});

test('colours span the numbers off the diagonal, and the nearest is another', () => {
  const table = [1, 0.2, 0.6, 0.2, 1, -0.2, 0.6, -0.2, 1];
  const share = sharesOf(table, 3);
  expect([share(-0.2), share(0.2), share(0.6), share(1)].map((x) => Number(x.toFixed(6)))).toEqual([0, 0.5, 1, 1]);
  expect([0, 1, 2].map((row) => nearestOf(table, 3, row))).toEqual([2, 0, 0]);
  expect(nearestOf([1], 1, 0)).toBe(-1);
  expect(sharesOf([1, 0.5, 0.5, 1], 2)(0.5)).toBe(0);
});

test('tokens are words as people read them', () => {
  expect(['▁The', 'Ġcat', '##ing', '▁', '[CLS]', 's'].map(wordOf)).toEqual(['The', 'cat', 'ing', '␣', '[CLS]', 's']);
  const tokens = ['▁sleep', 's', '▁on', '.'];
  expect(tokens.map((token) => goesOn(token, tokens))).toEqual([false, true, false, true]);
  expect(['[CLS]', 'sleep', '##s', '.'].map((token, _, all) => goesOn(token, all))).toEqual([false, false, true, false]);
});

test('a head, and the mean of all heads', () => {
  const both = Float32Array.of(1, 0, 0.5, 0.5, 0, 1, 0.25, 0.75);
  expect([...headOf(both, 2, 2, 1)]).toEqual([0, 1, 0.25, 0.75]);
  expect([...headOf(both, 2, 2, -1)]).toEqual([0.5, 0.5, 0.375, 0.625]);
  expect(largestOf(Float32Array.of(0.1, 0.6, 0.3), 2)).toEqual([1, 2]);
});

test('vectors that are known are not made again, and a failure is not kept', async () => {
  const asked: string[][] = [];
  let fails = false;
  const vectors = new Vectors(async (texts) => {
    if (fails) throw new Error('no');
    asked.push(texts);
    return texts.map((text) => Float32Array.of(text.length));
  });
  const { signal } = new AbortController();
  expect((await vectors.of(['a', 'bb', 'a'], signal)).list.map(([x]) => x)).toEqual([1, 2, 1]);
  fails = true;
  await expect(vectors.of(['a', 'ccc'], signal)).rejects.toThrow('no');
  fails = false;
  expect((await vectors.of(['a', 'ccc'], signal)).fresh).toBe(1);
  // Of very many the oldest go.
  await vectors.of(
    Array.from({ length: 400 }, (_, n) => `text ${n}`),
    signal,
  );
  expect((await vectors.of(['text 399', 'a'], signal)).fresh).toBe(1);
  expect(asked[0]).toEqual(['a', 'bb']);
});

test('no host is asked for files that the page does not have', async () => {
  const fetched = fetchOf('encoder', 'https://example.org/lab/models/encoder/');
  expect((await fetched('https://example.org/lab/models/encoder/tokenizer_config.json')).status).toBe(404);
});

const file = (path: string, text = ''): File => {
  const made = new File([text], path.split('/').at(-1) as string);
  if (path.includes('/')) Object.defineProperty(made, 'webkitRelativePath', { value: path });
  return made;
};
const told = (...paths: string[]) => tellApart(filesOfList(paths.map((path) => file(path))));

test('what is dropped is told apart', () => {
  expect(told('config.json')).toMatchObject({ kind: 'config', name: 'config.json' });
  expect(told('my-config.JSON')).toMatchObject({ kind: 'config' });
  expect(told('model.safetensors')).toMatchObject({ kind: 'tensors', name: 'model.safetensors' });
  expect(told('m.gguf')).toMatchObject({ kind: 'folder', name: 'm.gguf' });
  const folder = told('minilm/config.json', 'minilm/model.safetensors', 'minilm/1_Pooling/config.json');
  expect(folder).toMatchObject({ kind: 'folder', name: 'minilm' });
  expect(folder.kind === 'folder' && [...folder.files.keys()]).toEqual(['config.json', 'model.safetensors', '1_Pooling/config.json']);
  expect(told('config.json', 'model.safetensors')).toMatchObject({ kind: 'folder', name: 'the files given' });
});

test('what is nothing is said in a sentence', () => {
  expect(() => told()).toThrow('Nothing was dropped that is a file.');
  expect(() => told('cat.png')).toThrow('“cat.png” is no config.json, no safetensors or GGUF file and no folder of a model.');
  expect(() => told('m/model.safetensors', 'm/tokenizer.json')).toThrow(
    'The folder “m” has no config.json, so nobody knows what model it is.',
  );
  expect(() => told('m/config.json', 'm/tokenizer.json')).toThrow('The folder “m” has no safetensors file');
  expect(() => told('all/a/config.json', 'all/b/config.json')).toThrow('The folder “all” has several models: choose the folder of one.');
});

test('sizes are short', () => {
  expect([999, 1500, 7855616, 3.2e9].map(sizeOf)).toEqual(['999 B', '1.50 kB', '7.86 MB', '3.20 GB']);
});
