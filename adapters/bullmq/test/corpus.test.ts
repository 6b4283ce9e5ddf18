// Reading a corpus, and cutting it into shards.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Item, openCorpus } from '../src/bulk/corpus.ts';
import { cutShards } from '../src/bulk/cut.ts';
import { decodeTexts, encodeTexts } from '../src/bulk/texts.ts';
import { removeAll, temporary } from './kit/files.ts';

afterAll(removeAll);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function read(name: string, bytes: Uint8Array | string, options = {}): Promise<Item[]> {
  const path = join(temporary(), name);
  writeFileSync(path, bytes);
  return all((await openCorpus(path, options)).items);
}

describe('a corpus', () => {
  test('each line is a text; there is none after the last newline', async () => {
    expect(await read('a.txt', 'one\ntwo\r\n\nthree')).toEqual(['one', 'two', '', 'three']);
    expect(await read('a.txt', 'one\n')).toEqual(['one']);
    expect(await read('a.txt', '')).toEqual([]);
    expect(await read('a.txt', '\n')).toEqual(['']);
  });
  test('JSON lines, with what is wrong in its place', async () => {
    const lines = ['{"text":"one"}', '{"text":5}', '{', '[]', '"x"', '{"other":"two"}', '', '{"__proto__":{"text":"no"}}', 'null'];
    const reasons = (await read('a.jsonl', lines.join('\n'))).map((item) => (typeof item === 'string' ? item : item.reason));
    expect(reasons).toEqual(
      [
        'one',
        '"text" expected a string, got 5',
        'the line is not JSON',
        '"text" expected a string, got nothing',
        'the line is no object of JSON',
        '"text" expected a string, got nothing',
        '"text" expected a string, got nothing',
        'the line is no object of JSON',
      ].toSpliced(6, 0, 'the line is not JSON'),
    );
    expect(await read('a.ndjson', '{"body":"one"}', { field: 'body' })).toEqual(['one']);
  });
  test('gzip by its first bytes, whatever the name', async () => {
    expect(await read('a.jsonl.gz', gzipSync('{"text":"one"}\n{"text":"two"}\n'))).toEqual(['one', 'two']);
    expect(await read('a.txt', gzipSync('one\ntwo'))).toEqual(['one', 'two']);
    await expect(read('a.txt.gz', gzipSync('x'.repeat(1000)).subarray(0, 20))).rejects.toThrow(
      /corpus: .* is damaged, or ends before its gzip does: unexpected end of file/,
    );
    await expect(read('a.txt.gz', Buffer.concat([gzipSync('one'), Buffer.from('more')]))).rejects.toThrow(/is damaged/);
    expect(await read('a.txt.gz', Buffer.concat([gzipSync('one\n'), gzipSync('two')]))).toEqual(['one', 'two']);
    await expect(read('a.txt.gz', gzipSync(gzipSync('one')))).rejects.toThrow(/got gzip within gzip/);
  });
  test('what Windows writes, and what JSON escapes', async () => {
    expect(await read('a.txt', '\ufeffone\r\ntwo\r\n')).toEqual(['one', 'two']);
    expect(await read('a.jsonl', '\ufeff{"text":"a\\ud800b"}\r\n{"text":"\\u0000"}')).toEqual(['a\ud800b', '\0']);
  });
  test('ends where it waits for more', async () => {
    const path = join(temporary(), 'pipe');
    execFileSync('mkfifo', [path]);
    // Open for both, so that neither end waits for the other.
    const writer = await open(path, 'r+');
    const corpus = await openCorpus(path);
    const items = corpus.items[Symbol.asyncIterator]();
    await writer.write('one\n');
    expect(await items.next()).toEqual({ done: false, value: 'one' });
    const next = items.next();
    corpus.stop(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await writer.close();
  });
  test('lines that are too long, or no UTF-8, keep their rows', async () => {
    expect(await read('a.txt', `a\n${'b'.repeat(11)}\n${'c'.repeat(10)}`, { longest: 10 })).toEqual([
      'a',
      { reason: 'the line is too long' },
      'c'.repeat(10),
    ]);
    expect(await read('a.txt', Uint8Array.of(97, 10, 0xff, 10, 98))).toEqual(['a', { reason: 'the line is not UTF-8' }, 'b']);
  });
  test('a file that is not there', async () => {
    await expect(openCorpus(join(temporary(), 'none.txt'))).rejects.toThrow(/corpus: expected a file, got ".*none.txt": there is none/);
    await expect(openCorpus(temporary())).rejects.toThrow(/corpus: expected a file, got the folder/);
  });
});

describe('cutting', () => {
  const cut = async (texts: readonly Item[], tokens: number): Promise<number[]> => {
    const source = async function* () {
      yield* texts;
    };
    return (await all(cutShards(source(), tokens))).map(({ items }) => items.length);
  };
  test('by tokens, and one that is too long by itself is a shard', async () => {
    expect(await cut(['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(4000), 'd'], 24)).toEqual([2, 1, 1]);
    expect(await cut([], 10)).toEqual([]);
    expect(await cut([{ reason: 'x' }, { reason: 'y' }], 10)).toEqual([2]);
  });
  test('by bytes where tokens are no bound', async () => {
    const long = Array.from({ length: 40 }, (_, n) => `${n}`.padEnd(2 ** 20));
    const source = async function* () {
      yield* long;
    };
    const shards = await all(cutShards(source(), 2 ** 30, 8));
    expect(shards.map(({ items }) => items.length)).toEqual([32, 8]);
    // The worst of JSON, six bytes for one, is still unpacked.
    const worst = Array.from({ length: 32 }, () => '\0'.repeat(2 ** 20));
    expect((await decodeTexts(await encodeTexts(worst))).length).toBe(32);
  });
  test('all texts are there once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string()), fc.integer({ min: 1, max: 50 }), async (texts, tokens) => {
        const source = async function* () {
          yield* texts;
        };
        const shards = await all(cutShards(source(), tokens));
        expect(shards.flatMap(({ items }) => items)).toEqual(texts);
        let first = 0;
        for (const shard of shards) {
          expect(shard.first).toBe(first);
          expect(shard.items.length).toBeGreaterThan(0);
          first += shard.items.length;
        }
      }),
    );
  });
});
