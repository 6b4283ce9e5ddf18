import { gzipSync } from 'node:zlib';
import type { Encoder } from 'relpos/models';
import { describe, expect, test } from 'vitest';
import { embedItems } from '../src/bulk/compute.ts';
import type { Item } from '../src/bulk/corpus.ts';
import { readSettings } from '../src/bulk/settings.ts';
import { decodeTexts, encodeTexts, shardName } from '../src/bulk/texts.ts';
import { decodeVectors, encodeVectors, gather, join as joinVectors } from '../src/bulk/vectors.ts';

const settings = readSettings({ model: 'ab'.repeat(32), weights: 'i8' }, 'test');

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
