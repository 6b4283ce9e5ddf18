// The parts that need no queue: reading a corpus, cutting, files of vectors, models by their checksum, the store.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Encoder } from 'relpos/models';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { orAborted } from '../src/abort.ts';
import { embedItems } from '../src/bulk/compute.ts';
import type { ShardWork } from '../src/bulk/computer.ts';
import { type Item, openCorpus } from '../src/bulk/corpus.ts';
import { cutShards } from '../src/bulk/cut.ts';
import { embedCorpus } from '../src/bulk/embed-corpus.ts';
import { readAnswer, readJob } from '../src/bulk/job.ts';
import { fetchModel, MANIFEST, manifestOf, readManifest } from '../src/bulk/model.ts';
import { OutFolder } from '../src/bulk/out-folder.ts';
import { readSettings } from '../src/bulk/settings.ts';
import { decodeTexts, encodeTexts, shardName } from '../src/bulk/texts.ts';
import { decodeVectors, encodeVectors, gather, join as joinVectors } from '../src/bulk/vectors.ts';
import { redisOptions, showAddress } from '../src/redis.ts';
import { folderStore } from '../src/store/folder-store.ts';
import { deposit, redeem } from '../src/store/store.ts';
import { contents, MODEL, removeAll, temporary } from './kit/files.ts';

afterAll(removeAll);

const settings = readSettings({ model: 'ab'.repeat(32), weights: 'i8' }, 'test');

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

describe('texts on their way', () => {
  const items: Item[] = ['one', '', '\ud800', { reason: 'why' }];
  test('come back as they were', async () => {
    expect(await decodeTexts(await encodeTexts(items))).toEqual(items);
  });
  test('name their shard, with the settings', () => {
    const names = [items, ['one'], [{ reason: 'one' }]].flatMap((list) => [
      shardName(list, settings),
      shardName(list, { ...settings, pooling: 'cls' }),
    ]);
    expect(new Set(names).size).toBe(6);
    expect(shardName(items, readSettings({ weights: 'i8', model: 'ab'.repeat(32) }, 'test'))).toBe(shardName(items, settings));
  });
  test('hostile ones are refused', async () => {
    for (const [bytes, why] of [
      [Uint8Array.of(1, 2, 3), /expected gzip/],
      [gzipSync('{'), /expected JSON/],
      [gzipSync('{}'), /expected a list/],
      [gzipSync('[]'), /expected a list of 1 to/],
      [gzipSync('[5]'), /texts\[0\]: expected a string or a reason, got 5/],
      [gzipSync('["a",{"reason":"x","more":1}]'), /texts\[1\]/],
      [gzipSync(Buffer.alloc(300 * 2 ** 20, 32)), /expected gzip of 268435456 bytes at most/],
    ] as const) {
      await expect(decodeTexts(bytes)).rejects.toThrow(why);
    }
  });
});

describe('files of vectors', () => {
  const name = 'cd'.repeat(32);
  const vectors = gather([Float32Array.of(1, 2), { reason: 'why' }, Float32Array.of(3, 4)], 2);
  const bytes = encodeVectors(name, vectors);
  test('come back as they were', () => {
    expect(decodeVectors(bytes, name, 3)).toEqual(vectors);
    const none = gather([{ reason: 'a' }], 0);
    expect(decodeVectors(encodeVectors(name, none), name, 1)).toEqual(none);
  });
  test('halves make the whole, whichever of them has no vector', () => {
    const parts = [gather([{ reason: 'why' }], 0), gather([Float32Array.of(1, 2)], 2)];
    expect(joinVectors(parts)).toEqual(gather([{ reason: 'why' }, Float32Array.of(1, 2)], 2));
  });
  test('any changed byte is noticed', () => {
    for (let n = 0; n < bytes.length; n++) {
      const wrong = bytes.slice();
      wrong[n] = (wrong[n] as number) ^ 1;
      let read: unknown;
      try {
        read = decodeVectors(wrong, name, 3);
      } catch {
        continue;
      }
      // What may change unseen is a letter of a reason.
      expect(read, `byte ${n}`).toEqual({ ...vectors, setAside: [{ row: 1, reason: expect.stringMatching(/^.{3}$/) }] });
    }
  });
  test('another shard, another count, another format', () => {
    expect(() => decodeVectors(bytes, 'ef'.repeat(32), 3)).toThrow(/expected the shard efef/);
    expect(() => decodeVectors(bytes, name, 4)).toThrow(/expected embeddings of 4 rows of F32, got F32 \[3,2\]/);
    expect(() => decodeVectors(bytes.slice(0, -1), name, 3)).toThrow();
  });
});

describe('a text that cannot be embedded', () => {
  /** Fails for texts with "bad" in them, and counts its calls. */
  const fragile = (): { encoder: Encoder; calls: () => number } => {
    let calls = 0;
    const embed = async (given: string | readonly string[]): Promise<unknown> => {
      calls++;
      if (typeof given === 'string') return Float32Array.of(0);
      const wrong = given.find((text) => text.includes('bad'));
      if (wrong !== undefined) throw new RangeError(`embed: ${wrong}`);
      return given.map((text) => Float32Array.of(text.length));
    };
    return { encoder: { embed } as unknown as Encoder, calls: () => calls };
  };
  test('is set aside with the reason, the others have their vectors', async () => {
    const { encoder, calls } = fragile();
    const items: Item[] = Array.from({ length: 64 }, (_, n) => 'x'.repeat(n));
    items[9] = 'bad one';
    items[40] = { reason: 'no text' };
    const { rows, width, data, setAside } = await embedItems(encoder, items, settings);
    expect([rows, width, setAside]).toEqual([
      64,
      1,
      [
        { row: 9, reason: 'embed: bad one' },
        { row: 40, reason: 'no text' },
      ],
    ]);
    expect([...data]).toEqual(Array.from({ length: 64 }, (_, n) => (n === 9 || n === 40 ? 0 : n)));
    expect(calls()).toBeLessThan(16);
  });
  test('a shard of nothing else knows how wide it is', async () => {
    expect(await embedItems(fragile().encoder, [{ reason: 'a' }, 'bad'], settings)).toMatchObject({
      rows: 2,
      width: 1,
      setAside: [{ row: 0 }, { row: 1 }],
    });
  });
  test('options that no text can have are no fault of a text', async () => {
    const wrong = { embed: () => Promise.reject(new RangeError('embed: "prompt" expected one of query, got "other"')) };
    await expect(embedItems(wrong as unknown as Encoder, ['one', 'two'], { ...settings, prompt: 'other' })).rejects.toThrow(/"prompt"/);
  });
  test('a model that is gone is no fault of a text', async () => {
    const gone = { embed: () => Promise.reject(Object.assign(new Error('embed: the encoder was disposed'), { code: 'disposed' })) };
    await expect(embedItems(gone as unknown as Encoder, ['a'], settings)).rejects.toThrow(/disposed/);
  });
});

describe('models by their checksum', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  /** Serves a folder; `change` may change what is sent. */
  const serve = async (
    folder: string,
    change: (path: string, bytes: Buffer) => Buffer | undefined = (_, bytes) => bytes,
  ): Promise<string> => {
    server = createServer((request, response) => {
      const path = (request.url ?? '').slice(1);
      let bytes: Buffer | undefined;
      try {
        bytes = change(path, readFileSync(join(folder, path)));
      } catch {}
      if (bytes) response.end(bytes);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  };
  /** A copy of the model with its manifest beside it. */
  const published = async (): Promise<{ folder: string; digest: string }> => {
    const folder = temporary();
    for (const name of readdirSync(MODEL)) copyFileSync(join(MODEL, name), join(folder, name));
    const { text, digest } = await manifestOf(folder);
    writeFileSync(join(folder, MANIFEST), text);
    return { folder, digest };
  };
  test('a folder has the same one wherever it lies, and another one when a byte differs', async () => {
    const { folder, digest } = await published();
    expect((await manifestOf(MODEL)).digest).toBe(digest);
    expect((await manifestOf(folder)).digest).toBe(digest);
    writeFileSync(join(folder, 'config.json'), `${readFileSync(join(folder, 'config.json'), 'utf8')} `);
    expect((await manifestOf(folder)).digest).not.toBe(digest);
    await expect(manifestOf(temporary())).rejects.toThrow(/config.json/);
  });
  test('is fetched, looked at, kept, and not fetched twice', async () => {
    const { folder, digest } = await published();
    const asked: string[] = [];
    const address = await serve(folder, (path, bytes) => {
      asked.push(path);
      return bytes;
    });
    const cache = temporary();
    const found = await fetchModel(address, digest, cache);
    expect(found.folder).toBe(join(cache, digest));
    expect((await manifestOf(found.folder)).digest).toBe(digest);
    const first = asked.splice(0).length;
    expect(first).toBeGreaterThan(3);
    await fetchModel(address, digest, cache);
    expect(asked).toEqual([]);
    // What was damaged since comes again, alone.
    writeFileSync(join(found.folder, 'config.json'), '{}');
    await fetchModel(address, digest, cache);
    expect(asked).toEqual(['config.json']);
  });
  test('nothing else is taken', async () => {
    const { folder, digest } = await published();
    const cache = temporary();
    const refused = async (change: Parameters<typeof serve>[1], why: RegExp): Promise<void> => {
      const address = await serve(folder, change);
      await expect(fetchModel(address, digest, cache)).rejects.toThrow(why);
      server?.closeAllConnections();
      server?.close();
    };
    await refused((path, bytes) => (path === MANIFEST ? Buffer.from(`${bytes} `) : bytes), /expected the checksum/);
    await refused((path, bytes) => (path === 'model.safetensors' ? bytes.subarray(1) : bytes), /expected \d+ bytes, got \d+/);
    await refused(
      (path, bytes) => (path === 'model.safetensors' ? Buffer.concat([bytes, bytes]) : bytes),
      /expected \d+ bytes at most, got \d+/,
    );
    await refused(
      (path, bytes) => (path === 'tokenizer.json' ? Buffer.alloc(bytes.length) : bytes),
      /has another checksum than the manifest says/,
    );
    await refused((path, bytes) => (path === 'tokenizer.json' ? undefined : bytes), /404/);
    expect(Object.keys(contents(cache)).filter((path) => path.endsWith('.part') || path.endsWith('tokenizer.json'))).toEqual([]);
    await expect(fetchModel('http://127.0.0.1:1', 'short', cache)).rejects.toThrow(/needs its checksum/);
  });
  test('a manifest without end, and a server that is not there', async () => {
    server = createServer((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expect(fetchModel(`http://127.0.0.1:${port}`, 'ab'.repeat(32), temporary())).rejects.toThrow(
      /expected 1048576 bytes at most, got more/,
    );
    await expect(fetchModel('http://127.0.0.1:1', 'ab'.repeat(32), temporary())).rejects.toThrow(
      /^http:\/\/127.0.0.1:1\/\S+ cannot be reached: .+/,
    );
  });
  test('a manifest cannot name files elsewhere', () => {
    for (const path of ['../config.json', '/etc/passwd.json', 'a/b/c.json', 'run.sh', '..\\x.json', MANIFEST]) {
      const text = JSON.stringify({ version: 1, files: [{ path, bytes: 1, sha256: 'ab'.repeat(32) }] });
      expect(() => readManifest(text), path).toThrow(/"path" expected a file of a model/);
    }
  });
});

describe('the store', () => {
  const owner = 'c0ffee00-0000-4000-8000-000000000000';
  test('gives back what a claim stands for, and nothing else', async () => {
    const folder = temporary();
    const store = folderStore(folder);
    await store.begin(owner);
    const claim = await deposit(store, 'texts', Uint8Array.of(1, 2, 3), owner);
    expect([...(await redeem(store, claim))]).toEqual([1, 2, 3]);
    await expect(redeem(store, { ...claim, bytes: 2 })).rejects.toThrow(/expected 2 bytes at most, got 3/);
    await expect(redeem(store, { ...claim, bytes: 4 })).rejects.toThrow(/expected 4 bytes, got 3/);
    writeFileSync(join(folder, owner, claim.name), Uint8Array.of(1, 2, 4));
    await expect(redeem(store, claim)).rejects.toThrow(/another checksum/);
    await store.delete(claim.name);
    await store.delete(claim.name);
    await expect(redeem(store, claim)).rejects.toThrow(/is not in the store/);
    for (const name of ['texts-without-an-owner', `../texts-${owner}`, `a/${owner}`, '']) {
      await expect(store.get(name, 10), name).rejects.toThrow(/end with an owner's UUID/);
      await expect(store.delete(name), name).rejects.toThrow(/end with an owner's UUID/);
    }
  });
  test('keeps nothing for what is over', async () => {
    const folder = temporary();
    const store = folderStore(folder);
    await expect(deposit(store, 'texts', Uint8Array.of(1), owner)).rejects.toThrow(/what it was for is over/);
    await store.begin(owner);
    await deposit(store, 'texts', Uint8Array.of(1), owner);
    await store.sweep(owner);
    await store.sweep(owner);
    await expect(deposit(store, 'texts', Uint8Array.of(1), owner)).rejects.toThrow(/what it was for is over/);
    expect(contents(folder)).toEqual({});
  });
});

describe('the folder of results', () => {
  test('is one process’s at a time, and a dead one’s no more', async () => {
    const out = temporary();
    const first = await OutFolder.open(out, settings, 100);
    await first.close();
    writeFileSync(join(out, '.lock'), `${(await import('node:os')).hostname()} 1`);
    await expect(OutFolder.open(out, settings, 100)).rejects.toThrow(/process 1 of .* is at/);
    writeFileSync(join(out, '.lock'), `${(await import('node:os')).hostname()} 4194305`);
    mkdirSync(join(out, 'shards'), { recursive: true });
    for (const name of ['shards/half.part', 'index.json.5.0.part']) writeFileSync(join(out, name), 'x');
    const second = await OutFolder.open(out, settings, 100);
    expect(second.run).toBe(first.run);
    expect(readdirSync(join(out, 'shards'))).toEqual([]);
    expect(readdirSync(out)).not.toContain('index.json.5.0.part');
    await expect(OutFolder.open(out, settings, 100)).rejects.toThrow(/process \d+ of .* is at/);
    await second.close();
    // Its process ended before it wrote who it was.
    writeFileSync(join(out, '.lock'), '');
    await (await OutFolder.open(out, settings, 100)).close();
    writeFileSync(join(out, '.lock'), 'elsewhere 5');
    await expect(OutFolder.open(out, settings, 100)).rejects.toThrow(/process 5 of elsewhere is at/);
    expect(
      readdirSync(out)
        .filter((name) => name.startsWith('.'))
        .sort(),
    ).toEqual(['.lock', '.run']);
  });
  test('keeps the name of a run until all that the run left elsewhere is gone', async () => {
    const texts = join(temporary(), 'a.txt');
    writeFileSync(texts, 'one\n');
    const out = temporary();
    const attempt = async (finish: () => Promise<void>): Promise<string> => {
      const folder = await OutFolder.open(out, settings, 100);
      const compute = async ({ name, items }: ShardWork): Promise<Uint8Array> =>
        encodeVectors(
          name,
          gather(
            items.map(() => Float32Array.of(1)),
            1,
          ),
        );
      const computer = { ahead: 1, compute, finish, close: async () => {} };
      try {
        const { signal } = new AbortController();
        await embedCorpus({ corpus: await openCorpus(texts), out: folder, computer, settings, tokens: 100, signal });
      } catch {
      } finally {
        await folder.close();
      }
      return folder.run;
    };
    const first = await attempt(() => Promise.reject(new Error('killed')));
    expect(readdirSync(out)).toContain('index.json');
    expect(await attempt(async () => {})).toBe(first);
    expect(readdirSync(out)).not.toContain('.run');
    expect(await attempt(async () => {})).not.toBe(first);
  });
  test('has no index of shards that somebody took away', async () => {
    const folder = await OutFolder.open(temporary(), settings, 100);
    const entry = { file: `shards/${'cd'.repeat(32)}.safetensors`, first: 0, rows: 1, sha256: 'ab'.repeat(32) };
    await expect(folder.finish([entry], 1, [])).rejects.toThrow(/1 shards are gone again/);
    await folder.close();
  });
  test('ends at a stop, whatever the computer waits for', async () => {
    const texts = join(temporary(), 'a.txt');
    writeFileSync(texts, 'one\n');
    const folder = await OutFolder.open(temporary(), settings, 100);
    const never = new Promise<never>(() => {});
    const computer = {
      ahead: 1,
      compute: (_: ShardWork, signal: AbortSignal) => orAborted(never, signal),
      finish: async () => {},
      close: async () => {},
    };
    const run = embedCorpus({
      corpus: await openCorpus(texts),
      out: folder,
      computer,
      settings,
      tokens: 100,
      signal: AbortSignal.timeout(50),
    });
    await expect(run).rejects.toThrow(/timeout/);
    await folder.close();
  });
});

describe('addresses of Redis', () => {
  test('become options', () => {
    expect(redisOptions({ url: 'redis://10.0.0.1' })).toMatchObject({ host: '10.0.0.1', port: 6379, db: 0 });
    expect(redisOptions({ url: 'rediss://me:p%40ss@[::1]:7000/3' })).toMatchObject({
      host: '::1',
      port: 7000,
      username: 'me',
      password: 'p@ss',
      db: 3,
      tls: {},
    });
    expect(showAddress({ url: 'redis://me:secret@host:1/2' })).toBe('redis://host:1/2');
  });
  test('wrong ones are refused without their password', () => {
    for (const url of ['http://x:secret@y', 'redis://:secret%zz@h', 'secret', 'redis://h/secret', 'redis://:secret@h:99999999']) {
      expect(() => redisOptions({ url }), url).toThrow(/^redis: "url" expected/);
      try {
        redisOptions({ url });
      } catch (error) {
        if (url.includes('@')) expect((error as Error).message).not.toContain('secret');
      }
    }
  });
});

describe('what travels', () => {
  const sum = createHash('sha256').update('x').digest('hex');
  const job = {
    version: 1,
    run: 'c0ffee00-0000-4000-8000-000000000000',
    shard: sum,
    texts: { name: 'a', bytes: 1, sha256: sum },
    count: 1,
    settings,
  };
  test('is read as it was written', () => {
    expect(readJob(JSON.parse(JSON.stringify(job)))).toEqual(job);
    const answer = { version: 1, shard: sum, vectors: job.texts, setAside: 0 };
    expect(readAnswer(answer)).toEqual(answer);
  });
  test('whatever else comes is an error with one line, and nothing worse', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...Object.keys(job)), (value, key) => {
        for (const read of [() => readJob({ ...job, [key]: value }), () => readJob(value), () => readAnswer(value)]) {
          try {
            read();
          } catch (error) {
            expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
            expect((error as Error).message).not.toContain('\n');
          }
        }
      }),
    );
  });
});
