import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { orAborted } from '../src/abort.ts';
import type { ShardWork } from '../src/bulk/computer.ts';
import { openCorpus } from '../src/bulk/corpus.ts';
import { embedCorpus } from '../src/bulk/embed-corpus.ts';
import { OutFolder } from '../src/bulk/out-folder.ts';
import { readSettings } from '../src/bulk/settings.ts';
import { encodeVectors, gather } from '../src/bulk/vectors.ts';
import { folderStore } from '../src/store/folder-store.ts';
import { deposit, redeem } from '../src/store/store.ts';
import { contents, removeAll, temporary } from './kit/files.ts';

afterAll(removeAll);

const settings = readSettings({ model: 'ab'.repeat(32), weights: 'i8' }, 'test');

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
