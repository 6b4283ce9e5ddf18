/** Folders that are broken, cut short, or made to do harm: one error each, and nothing of it stays open. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { nameParts } from '../../../src/models/source.ts';
import { SHARDED, SINGLE } from './files.ts';
import { readAll } from './read.ts';

type Files = Record<string, Uint8Array>;
const folders = mkdtempSync(join(tmpdir(), 'relpos-hostile-'));
afterAll(() => rmSync(folders, { recursive: true }));
let count = 0;

function folderOf(files: Files): string {
  const folder = join(folders, `${count++}`);
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}

const text = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** A file of weights with this header before `body` bytes. */
function weights(header: unknown, body = 64, length?: bigint): Uint8Array {
  const json = text(header);
  const file = new Uint8Array(8 + json.length + body);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const tensor = (shape: unknown, begin: unknown, end: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: [begin, end] });
const whole = tensor([16], 0, 64);

const FILES: readonly (readonly [string, Uint8Array, string])[] = [
  ['an empty file', new Uint8Array(0), "expected at least 8 bytes (the header's length), got 0"],
  ['seven bytes', new Uint8Array(7), "expected at least 8 bytes (the header's length), got 7"],
  ['a header that is longer than the file', weights({ a: whole }, 64, 5000n), 'header of 5000 bytes does not fit the'],
  ['a header of a tebibyte', weights({ a: whole }, 64, 1n << 40n), 'header expected at most 100000000 bytes, got 1099511627776'],
  [
    'a header of all ones',
    weights({ a: whole }, 64, (1n << 64n) - 1n),
    'header expected at most 100000000 bytes, got 18446744073709551615',
  ],
  ['a pickle', text('PK\u0003\u0004 what torch.save writes'), 'header expected at most'],
  ['no header', weights('', 64), 'header expected to begin with "{"'],
  ['a header that is a list', weights('[1, 2]', 64), 'header expected to begin with "{"'],
  ['a header that is no JSON', weights('{"a":', 64), 'header is not valid JSON'],
  ['no tensors', weights({}, 0), 'it has no tensors'],
  ['a name twice', weights(`{"a":${JSON.stringify(whole)},"a":${JSON.stringify(whole)}}`), 'header has the key "a" twice'],
  ['a dtype that there is not', weights({ a: tensor([16], 0, 64, 'F31') }), 'tensor "a" expected dtype one of'],
  ['a shape of another size', weights({ a: tensor([15], 0, 64) }), 'tensor "a" expected 60 bytes (F32 [15]), got 64'],
  ['a negative length', weights({ a: tensor([-16], 0, 64) }), 'tensor "a" expected shape of integers from 0'],
  ['a shape that overflows', weights({ a: tensor([2 ** 31, 2 ** 31], 0, 64) }), 'tensor "a" expected shape of less than 2^53 bits'],
  ['offsets backwards', weights({ a: tensor([16], 64, 0) }), 'tensor "a" expected data_offsets that begin before they end'],
  ['offsets beyond the end', weights({ a: tensor([32], 0, 128) }), 'tensor "a" expected data_offsets within the 64 bytes of data'],
  ['offsets that overlap', weights({ a: tensor([12], 0, 48), b: tensor([8], 32, 64) }), 'tensor "b" begins at byte 32, inside tensor "a"'],
  ['a hole', weights({ a: tensor([8], 0, 32), b: tensor([4], 48, 64) }), 'tensor "b" expected to begin at byte 32, got 48: a hole'],
  ['bytes that belong to nothing', weights({ a: tensor([8], 0, 32) }), 'expected 32 bytes of data, got 64: 32 belong to no tensor'],
  ['a file cut short', (SINGLE['model.safetensors'] as Uint8Array).subarray(0, 900_000), 'expected data_offsets within the'],
];

/** Files and pipes that this process has open. */
const opened = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

async function failure(given: unknown): Promise<Error & { code?: string }> {
  return readAll(given).then(
    () => new Error('it was read'),
    (error: Error) => error,
  );
}

describe('weights', () => {
  test.each(FILES)('%s', async (_, file, message) => {
    const files = { 'config.json': text({}), 'model.safetensors': file };
    const before = opened();
    for (const given of [folderOf(files), files]) {
      const error = await failure(given);
      expect(error).toMatchObject({ name: 'RelposError', code: 'bad-checkpoint' });
      expect(error.message).toMatch(/^loadEncoder: "model.safetensors": /);
      expect(error.message).toContain(message);
      expect(error.message).not.toContain('\n');
    }
    expect(opened()).toBe(before);
  });

  test('a row that is too long to be streamed', async () => {
    const file = weights({ a: tensor([1, 2 ** 26 + 1], 0, 2 ** 26 + 1, 'U8') }, 2 ** 26 + 1);
    expect((await failure({ 'config.json': text({}), 'model.safetensors': file })).message).toContain(
      'tensor "a" has rows of 67108865 bytes, more than can be streamed',
    );
  });

  test('a type whose rows end within a byte', async () => {
    const file = weights({ a: tensor([2, 3], 0, 3, 'F4') }, 3);
    expect((await failure({ 'config.json': text({}), 'model.safetensors': file })).message).toContain(
      'of F4 has rows that end within a byte',
    );
  });

  test('a file that is cut short after it was opened', async () => {
    const folder = folderOf({ ...SINGLE });
    const before = opened();
    const checkpoint = await openCheckpoint({ where: 'loadEncoder' }, 'model', folder);
    const opening = await checkpoint.weights();
    truncateSync(join(folder, 'model.safetensors'), 500_000);
    const read = async (): Promise<void> => {
      for await (const _ of opening.stream(opening.names)) {
      }
    };
    await expect(read()).rejects.toThrow('loadEncoder: "model.safetensors": ends at byte 500000');
    await opening.close();
    expect(opened()).toBe(before);
  });

  test('a folder in its place', async () => {
    const folder = folderOf({ 'config.json': text({}) });
    mkdirSync(join(folder, 'model.safetensors'));
    const error = await failure(folder);
    expect(error).toMatchObject({ code: 'unreadable' });
    expect(error.message).toBe('loadEncoder: "model.safetensors" cannot be read: it is not a regular file');
  });

  test('only weights of another kind', async () => {
    const error = await failure({ 'config.json': text({}), 'pytorch_model.bin': new Uint8Array(4) });
    expect(error.message).toBe(
      'loadEncoder: "model.safetensors": not among the files given; there is pytorch_model.bin (a pickle, which could run code): save the model as safetensors',
    );
  });
});

describe('an index', () => {
  const FIRST = 'model-00001-of-00002.safetensors';
  const cases: readonly (readonly [string, unknown, string])[] = [
    ['a list', [], 'expected an object, got []'],
    ['no map', { metadata: {} }, '"weight_map" expected an object, got undefined'],
    ['an empty map', { weight_map: {} }, '"weight_map" expected 1 to 2000 files, got 0'],
    [
      'a file that is not there',
      { weight_map: { a: 'model-00009-of-00009.safetensors' } },
      'it names the file "model-00009-of-00009.safetensors": ',
    ],
    [
      'a tensor that its file lacks',
      { weight_map: { 'embedding.weight': FIRST, other: FIRST } },
      'has no tensor "other", which model.safetensors.index.json says it has',
    ],
    [
      'a way out',
      { weight_map: { a: '../secret.safetensors' } },
      'expected the name of a file within the checkpoint, got "../secret.safetensors"',
    ],
    ['a way out of Windows', { weight_map: { a: '..\\secret.safetensors' } }, 'expected the name of a file within the checkpoint'],
    ['the root', { weight_map: { a: '/etc/secret.safetensors' } }, 'expected the name of a file within the checkpoint'],
    ['another address', { weight_map: { a: 'https://evil.example/x.safetensors' } }, 'expected the name of a file within the checkpoint'],
    ['a file of another kind', { weight_map: { a: 'config.json' } }, '"a" expected a .safetensors file, got "config.json"'],
    ['a number', { weight_map: { a: 3 } }, 'expected the name of a file within the checkpoint, got 3'],
  ];

  test.each(cases)('%s', async (_, index, message) => {
    const files = { ...SHARDED, 'model.safetensors.index.json': text(index) };
    const before = opened();
    for (const given of [folderOf(files), files]) {
      const error = await failure(given);
      expect(error).toMatchObject({ name: 'RelposError', code: 'bad-checkpoint' });
      expect(error.message).toContain(message);
    }
    expect(opened()).toBe(before);
  });

  test('tensors that the map does not name are left alone', async () => {
    const index = { weight_map: { 'embedding.weight': FIRST, scale: 'model-00002-of-00002.safetensors' } };
    const { tensors } = await readAll({ ...SHARDED, 'model.safetensors.index.json': text(index) });
    expect([...tensors.keys()]).toEqual(['embedding.weight', 'scale']);
  });
});

describe('names', () => {
  test.each(['config.json', '1_Pooling/config.json', 'a/b-c/d.e_f.safetensors', 'über.json', '.hidden'])('%j stays within', (name) => {
    expect(nameParts(name)?.join('/')).toBe(name);
  });
  test.each([
    '',
    '.',
    '..',
    'a/../b',
    'a//b',
    '/a',
    'a/',
    'a\\b',
    'c:x',
    'a\0b',
    'a\nb',
    'a. ',
    'con?',
    'a/./b',
    '...',
    'x'.repeat(2000),
    3,
    undefined,
  ])('%j does not', (name) => {
    expect(nameParts(name)).toBeUndefined();
  });
});

describe('small files', () => {
  const config = (bytes: Uint8Array) => failure({ ...SINGLE, 'config.json': bytes });

  test.each([
    ['no JSON', text('<!doctype html>'), 'it is not valid JSON: it begins with "<!doctype html>"'],
    ['a pointer of Git LFS', text('version https://git-lfs.github.com/spec/v1\n'), 'a pointer of Git LFS: fetch the file itself'],
    ['a list', text([]), 'expected an object, got []'],
    ['no text', Uint8Array.of(0xff, 0xfe, 0), 'it is not valid UTF-8'],
    ['nothing', new Uint8Array(0), 'it is not valid JSON: it begins with ""'],
    ['lists in lists', text('['.repeat(300_000)), 'it nests deeper than 16 levels'],
  ])('%s', async (_, bytes, message) => {
    const error = await config(bytes);
    expect(error).toMatchObject({ name: 'RelposError', code: 'bad-checkpoint' });
    expect(error.message).toMatch(/^loadEncoder: "config.json": /);
    expect(error.message).toContain(message);
  });

  test('one that begins with a byte order mark is read', async () => {
    const checkpoint = await openCheckpoint({ where: 'x' }, 'model', { 'config.json': Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d) });
    expect(checkpoint.config).toEqual({});
  });

  test('a name that leads out of the checkpoint is not looked for', async () => {
    const checkpoint = await openCheckpoint({ where: 'x' }, 'model', SINGLE);
    await expect(checkpoint.text('../x')).rejects.toThrow('x: "../x": expected the name of a file within the checkpoint, got "../x"');
  });
});
