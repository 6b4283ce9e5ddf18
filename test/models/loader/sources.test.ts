/** Every kind of place that a checkpoint can lie in gives the same tensors. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { CONFIG, Server, SHARDED, SINGLE, TENSORS } from './files.ts';
import { readAll } from './read.ts';

type Files = Readonly<Record<string, Uint8Array>>;
const folders = mkdtempSync(join(tmpdir(), 'relpos-sources-'));
const servers: Server[] = [];
afterAll(async () => {
  rmSync(folders, { recursive: true });
  for (const server of servers) await server.stop();
});

function folderOf(files: Files, name: string): string {
  const folder = join(folders, name);
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

async function serve(files: Files): Promise<string> {
  const server = new Server(files);
  servers.push(server);
  return server.start();
}

/** Files as a folder input gives them. */
function inputFiles(files: Files, root: string): File[] {
  return Object.entries(files).map(([name, bytes]) => {
    const file = new File([new Uint8Array(bytes)], name.split('/').at(-1) as string);
    Object.defineProperty(file, 'webkitRelativePath', { value: root === '' ? '' : `${root}/${name}` });
    return file;
  });
}

const streamed = (bytes: Uint8Array, step: number): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += step) controller.enqueue(bytes.slice(at, at + step));
      controller.close();
    },
  });

/** A store whose objects are streams of odd sizes, as R2 and S3 give them. */
function store(files: Files) {
  return {
    async get(name: string, range?: { offset: number; length: number }) {
      const file = files[name];
      if (file === undefined) return null;
      const part = range ? file.subarray(range.offset, range.offset + range.length) : file;
      return { size: file.length, etag: 'abc', body: streamed(part, 997) };
    },
  };
}

const KINDS: readonly (readonly [string, (files: Files, name: string) => unknown])[] = [
  ['a path', folderOf],
  ['a path with a slash', (files, name) => `${folderOf(files, name)}/`],
  ['a file URL', (files, name) => pathToFileURL(`${folderOf(files, name)}/`)],
  ['a file URL as text', (files, name) => pathToFileURL(folderOf(files, name)).href],
  ['an address', serve],
  ['a URL', async (files) => new URL(await serve(files))],
  ['an address with a slash and a query', async (files) => `${await serve(files)}/?key=1`],
  ['bytes', (files) => files],
  ['array buffers', (files) => Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, new Uint8Array(bytes).buffer]))],
  ['views at odd offsets', (files) => Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, shifted(bytes)]))],
  ['shared memory', (files) => Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sharedCopy(bytes)]))],
  ['a Map of bytes', (files) => new Map(Object.entries(files))],
  ['blobs', (files) => Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, new Blob([new Uint8Array(bytes)])]))],
  ['a folder input', (files) => inputFiles(files, 'minilm')],
  ['files chosen one by one', (files) => inputFiles(files, '')],
  [
    'a folder input of a folder above',
    (files) => [...inputFiles(files, 'all/minilm'), ...inputFiles({ 'x/config.json': new Uint8Array(1) }, 'all/y')],
  ],
  ['an object store', store],
];

function shifted(bytes: Uint8Array): Uint8Array {
  const room = new Uint8Array(bytes.length + 3);
  room.set(bytes, 3);
  return room.subarray(3);
}

function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

describe.each(KINDS)('%s', (kind, make) => {
  test.each([
    ['one file', SINGLE],
    ['two files', SHARDED],
  ])('%s', async (layout, files) => {
    const { config, tensors, order, progress, pieces } = await readAll(await make(files, `${kind} ${layout}`));
    expect(config).toEqual(CONFIG);
    expect([...tensors.keys()].sort()).toEqual(Object.keys(TENSORS).sort());
    for (const [name, { data }] of Object.entries(TENSORS)) expect(Buffer.compare(tensors.get(name) as Uint8Array, data), name).toBe(0);
    // Wide tensors first, then by name: the order in which the writer put them.
    expect(order).toEqual(['embedding.weight', 'empty', 'layer.weight', 'norm.weight', 'scale']);
    const total = Object.values(TENSORS).reduce((sum, { data }) => sum + data.length, 0);
    expect(progress.at(-1)).toMatchObject({ loaded: total, total });
    expect(progress.every(({ loaded }, n) => n === 0 || loaded >= (progress[n - 1]?.loaded as number))).toBe(true);
    // A mebibyte has 2730 rows of 384 bytes, of which 2728 are whole panels of 8.
    expect(pieces).toEqual([
      ['embedding.weight', 0, 2728, false],
      ['embedding.weight', 2728, 2272, true],
      ['empty', 0, 0, true],
      ['layer.weight', 0, 33, true],
      ['norm.weight', 0, 96, true],
      ['scale', 0, 1, true],
    ]);
  });
});

describe('places', () => {
  let folder: string;
  beforeAll(() => {
    folder = folderOf(SINGLE, 'places');
  });
  const open = (given: unknown) => openCheckpoint({ where: 'loadEncoder' }, 'model', given);

  test('a link to a file is followed, as in the cache of Hugging Face', async () => {
    const linked = join(folders, 'linked');
    mkdirSync(linked);
    for (const name of readdirSync(folder)) symlinkSync(join(folder, name), join(linked, name));
    expect((await readAll(linked)).tensors.size).toBe(5);
  });

  test.each([
    ['nothing', undefined, TypeError, 'loadEncoder: "model" expected a folder, a URL, files or an object with "get", got undefined'],
    ['a number', 3, TypeError, 'loadEncoder: "model" expected a folder, a URL, files or an object with "get", got 3'],
    ['an instance of a class', new Date(), TypeError, 'got Date'],
    ['an empty text', '', RangeError, 'loadEncoder: "model" expected a folder or a URL, got ""'],
    ['another scheme', 'ftp://x.example/', RangeError, 'expected an http: or https: URL, or a folder, got "ftp://x.example/"'],
    ['no such folder', '/nowhere/at/all', RangeError, 'expected a folder, got "/nowhere/at/all": there is no such folder'],
    ['a file', new URL('files.ts', import.meta.url), RangeError, 'it is a file; give the folder that it lies in'],
    [
      'files without a config',
      { 'model.safetensors': new Uint8Array(9) },
      Error,
      'loadEncoder: "config.json" cannot be read: there is none at',
    ],
    ['a list of something else', ['config.json'], TypeError, 'loadEncoder: "model[0]" expected a File, got "config.json"'],
    [
      'bytes that are none',
      { 'config.json': '{}' },
      TypeError,
      'loadEncoder: "model["config.json"]" expected bytes, a Blob or a File, got "{}"',
    ],
  ])('%s is refused', async (_, given, kind, message) => {
    const error = await open(given).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(message);
  });

  test('a folder input with two checkpoints is refused', async () => {
    const two = [...inputFiles({ 'a/config.json': new Uint8Array(2) }, 'm'), ...inputFiles({ 'b/config.json': new Uint8Array(2) }, 'm')];
    await expect(open(two)).rejects.toThrow(
      'loadEncoder: "model" expected one checkpoint, got several: "m/a/config.json", "m/b/config.json"',
    );
  });

  test('a folder input without a config is refused', async () => {
    await expect(open(inputFiles({ 'a.txt': new Uint8Array(2) }, 'm'))).rejects.toThrow(
      'files among which is a config.json, got 1 without one',
    );
  });

  test('small tensors by name', async () => {
    const weights = await (await open(folder)).weights();
    try {
      const { data } = TENSORS['norm.weight'] as { data: Uint8Array };
      expect(new Uint8Array(await weights.read('norm.weight'))).toEqual(new Uint8Array(data));
      expect(weights.info('layer.weight')).toEqual({
        name: 'layer.weight',
        dtype: 'F32',
        shape: [33, 96],
        bytes: 12672,
        file: 'model.safetensors',
      });
      expect(weights.bytesOf(['scale', 'norm.weight'])).toBe(388);
      expect(() => weights.info('norm.wieght')).toThrow(
        'loadEncoder: "model.safetensors": has no tensor "norm.wieght"; did you mean "norm.weight"?',
      );
    } finally {
      await weights.close();
    }
  });

  test('what is asked for twice or in another order comes once, in the order of the file', async () => {
    const { order, tensors } = await readAll(folder, {}, ['scale', 'layer.weight', 'scale']);
    expect(order).toEqual(['layer.weight', 'scale']);
    expect(new Float32Array((tensors.get('scale') as Uint8Array).slice().buffer)).toEqual(Float32Array.of(3));
  });
});
