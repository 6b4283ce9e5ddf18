/** Tables between calls: never stale, flat in memory whichever way a sequence grows, given back when there is need, and kept for a model's layers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import {
  alibi,
  conformer,
  createEngineSync,
  deberta,
  defineEncoding,
  type Encoding,
  type Engine,
  musicTransformer,
  rotary,
  shaw,
  sinusoidal,
  transformerXL,
} from '../../src/index.ts';
import { Contents } from '../../src/plan/contents.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engines: Engine[] = [];
const fresh = (maxMemory?: number): Engine => {
  const engine = createEngineSync(maxMemory === undefined ? {} : { maxMemory });
  engines.push(engine);
  return engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

/** Attention of q, k, v of the same numbers; nothing is left but tables. */
function run(
  engine: Engine,
  encoding: Encoding | Encoding[],
  { H = 2, L = 5, S = L, D = 16 }: { H?: number; L?: number; S?: number; D?: number },
  more = {},
): Float32Array {
  const [q, k] = [engine.tensor([1, H, L, D], numbers(H * L * D, 1)), engine.tensor([1, H, S, D], numbers(H * S * D, 2))];
  const out = engine.attentionSync(q, k, k, { encoding, ...more });
  const values = out.toArray();
  for (const tensor of [q, k, out]) tensor.dispose();
  return values;
}

/** Fills a bias by the offset and the head. */
const by =
  (f: (offset: number, h: number) => number) =>
  (out: Float32Array, first: number, count: number): void => {
    for (let i = 0; i < out.length; i++) out[i] = f(first + (i % count), Math.floor(i / count));
  };

describe('never stale', () => {
  // Each depends on the sizes of its call, and none says so.
  const byHeads = defineEncoding({
    name: 'by heads',
    lower: ({ shape: { H } }) => ({
      biases: [
        {
          kind: 'offset',
          heads: H,
          fill: by((offset, h) => (offset * (1 + h)) / H / 10),
        },
      ],
    }),
  });
  const byKeys = defineEncoding({
    name: 'by keys',
    lower: ({ shape: { S } }) => ({
      biases: [{ kind: 'offset', heads: 1, fill: by((offset) => offset / S) }],
    }),
  });
  const rows = defineEncoding({
    name: 'rows',
    lower: ({ shape: { S, D } }) => ({
      terms: [
        {
          kind: 'query',
          table: Float32Array.from({ length: 3 * D }, (_, n) => (n % 7) / S),
          heads: 1,
          rows: { kind: 'offset', row: (offset) => (offset + S) % 3 },
        },
      ],
    }),
  });
  const named = defineEncoding({
    name: 'named',
    lower: ({ shape: { S } }) => ({
      biases: [{ kind: 'offset', heads: 1, variant: `${S}`, fill: by((offset) => offset / S) }],
    }),
  });

  test.each([byHeads, byKeys, rows, named, musicTransformer({ table: numbers(64 * 16, 3) })])('$name', (encoding) => {
    const engine = fresh();
    for (const sizes of [{ H: 2 }, { H: 8 }, { L: 3, S: 40 }, { L: 3, S: 64 }, { D: 8 }, { D: 16 }, { H: 8, D: 32 }, {}]) {
      expectSameBits(run(engine, encoding, sizes), run(fresh(), encoding, sizes));
    }
  });

  // H·D is the same, so that every table fits all of the calls.
  const halved = numbers(64 * 16, 7);
  const vector = numbers(16, 8);
  const both = ['c2p', 'p2c'] as const;
  test.each<[string, () => Encoding]>([
    ['transformerXL', () => transformerXL({ u: vector, v: vector, r: halved })],
    ['conformer', () => conformer({ posBiasU: vector, posBiasV: vector, r: halved.subarray(16) })],
    ['deberta', () => deberta({ maxRelativePositions: 64, positionBuckets: 32, posAttType: both, posKey: halved, posQuery: halved })],
    ['deberta without buckets', () => deberta({ maxRelativePositions: 32, posAttType: both, posKey: halved, posQuery: halved })],
    ['musicTransformer', () => musicTransformer({ table: halved })],
    ['sinusoidal', () => sinusoidal({ maxDistance: 9 })],
  ])('what an encoding prepares is of the sizes of its call: %s', (_, make) => {
    const engine = fresh();
    const encoding = make();
    for (const sizes of [
      { H: 2, D: 8 },
      { H: 4, D: 4 },
      { H: 4, D: 4, L: 9 },
      { H: 1, D: 16 },
      { H: 2, D: 8 },
    ]) {
      expectSameBits(run(engine, encoding, sizes), run(fresh(), make(), sizes));
    }
  });

  test('a bias by the number of heads is what its formula says', () => {
    const engine = fresh();
    run(engine, byHeads, { H: 2 });
    // One query of zeros over two keys: weights are the softmax of the biases 0 and −(h + 1)/80 alone.
    const q = engine.tensor([1, 8, 1, 4]);
    const v = engine.tensor(
      [1, 8, 2, 4],
      Float32Array.from({ length: 64 }, (_, n) => (Math.floor(n / 4) % 2 ? 0 : 1)),
    );
    const out = engine.attentionSync(q, engine.tensor([1, 8, 2, 4]), v, { encoding: byHeads }).toArray();
    for (let h = 0; h < 8; h++) expect(out[4 * h]).toBeCloseTo(1 / (1 + Math.exp((h + 1) / 80)), 6);
  });

  test('a rotation that writes its frequencies into one array for every call', () => {
    const scratch = new Float64Array(8);
    const write = (list: Float64Array, S: number): Float64Array => {
      for (let n = 0; n < 8; n++) list[n] = n === 7 ? 1 / S : 0.1 * n;
      return list;
    };
    const reusing = (list: Float64Array): Encoding =>
      defineEncoding({
        name: 'reusing',
        lower: ({ shape: { S } }) => ({
          rotation: { dim: 16, layout: 'halves', frequencies: write(list, S) },
        }),
      });
    const engine = fresh();
    const encoding = reusing(scratch);
    for (const S of [40, 64, 40, 41]) {
      expectSameBits(run(engine, encoding, { L: 3, S }), run(fresh(), reusing(new Float64Array(8)), { L: 3, S }));
    }
  });

  test('contents are numbered by every number in them', () => {
    const contents = new Contents();
    const lists = [[], [1], [1, 2], [2, 2], [1, 3], [0], [-0], [Number.NaN], [1, 2, 3]].map((list) => Float64Array.from(list));
    const numbered = lists.map((list) => contents.numberOf(list));
    expect(new Set(numbered).size).toBe(lists.length);
    expect(lists.map((list) => contents.numberOf(list.slice()))).toEqual(numbered);
    for (let n = 0; n < 300; n++) contents.numberOf(Float64Array.of(10 + n));
    expect(numbered).not.toContain(contents.numberOf(Float64Array.of(1, 2)));
  });

  test('what has no variant is not kept, and what has one is', () => {
    const engine = fresh();
    const before = engine.memoryUsage().used;
    for (const encoding of [byHeads, byKeys, rows]) run(engine, encoding, {});
    expect(engine.memoryUsage().used).toBe(before);
    run(engine, named, {});
    expect(engine.memoryUsage().used).toBeGreaterThan(before);
  });
});

describe('flat', () => {
  test('ALiBi from an empty cache: as many numbers as keys, not two to the power of the steps', () => {
    const engine = fresh();
    const cache = engine.kvCache({ batch: 1, heads: 8, headDim: 64, capacity: 300 });
    const encoding = alibi({ heads: 8 });
    const before = engine.memoryUsage().used;
    for (let n = 0; n < 300; n++) {
      const row = engine.tensor([1, 8, 1, 64]);
      engine.attentionSync(row, row, row, { cache, causal: true, encoding }).dispose();
      row.dispose();
    }
    // 300 offsets of 8 heads, with borders at multiples of 64 on both sides.
    expect(engine.memoryUsage().used - before).toBeLessThanOrEqual(4 * 8 * (320 + 64) + 128);
  });

  test.each<[string, Encoding]>([
    ['alibi', alibi({ heads: 2 })],
    ['shaw', shaw({ left: 40, right: 40, keys: numbers(81 * 8, 4), queries: numbers(81 * 8, 5) })],
    ['rotary', rotary({ dim: 8, theta: 100, layout: 'halves' })],
  ])('an encoder that grows by one to 600: %s', (_, encoding) => {
    const engine = fresh();
    const once = fresh();
    const empty = once.memoryUsage().used;
    run(once, encoding, { L: 600, D: 8 });
    const whole = once.memoryUsage().used - empty;
    const before = engine.memoryUsage().used;
    for (let L = 1; L <= 600; L++) {
      run(engine, encoding, { L, D: 8 });
      expect(engine.memoryUsage().used - before).toBeLessThanOrEqual(1.5 * whole + 8192);
    }
  });

  test.each([64, 100])('24 shards of %d keys, the last first: all are kept, and none is computed twice', (size) => {
    const engine = fresh();
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
    const q = engine.tensor([1, 2, 1, 16]);
    const k = engine.tensor([1, 2, size, 16]);
    const round = (): number => {
      for (let n = 23; n >= 0; n--) {
        const options = { encoding, causal: true, keyOffset: n * size, totalKeys: 24 * size };
        const { out, lse } = engine.attentionPartialSync(q, k, k, options);
        out.dispose();
        lse.dispose();
      }
      return engine.memoryUsage().used;
    };
    const before = engine.memoryUsage().used;
    const first = round();
    // Rows of 64 bytes: those of all keys, and a border of at most 64 rows on each side of every shard.
    expect(first - before).toBeLessThanOrEqual(64 * 24 * (size + 128) + 24 * 128);
    expect(round()).toBe(first);
    expect(round()).toBe(first);
  });

  test('40 layers of DeBERTa in turn', () => {
    const engine = fresh();
    const table = numbers(64 * 2 * 16, 6);
    const layers = Array.from({ length: 40 }, () =>
      deberta({ maxRelativePositions: 64, positionBuckets: 32, posAttType: ['c2p', 'p2c'], posKey: table, posQuery: table }),
    );
    const seen = Array.from({ length: 4 }, () => {
      for (const encoding of layers) run(engine, encoding, { L: 70 });
      return engine.memoryUsage().used;
    });
    // The second pass is the first in which a table is asked for again.
    expect(new Set(seen.slice(1)).size).toBe(1);
    // Nothing was dropped meanwhile: each layer has two tables of 70 + 70 − 1 offsets at least, two heads of 16 floats.
    expect(engine.releaseTables()).toBeGreaterThanOrEqual(40 * 2 * 139 * 2 * 16 * 4);
  });

  /** A bias that counts how many numbers were computed for it. */
  const counting = (filled: { numbers: number }): Encoding =>
    defineEncoding({
      name: 'counting',
      lower: () => ({
        biases: [
          {
            kind: 'offset',
            heads: 2,
            variant: '',
            fill: (out, first, count) => {
              filled.numbers += out.length;
              by((offset, h) => (offset - h) / 100)(out, first, count);
            },
          },
        ],
      }),
    });

  test('40 encodings in turn are computed in the first two passes and in no other', () => {
    const engine = fresh();
    const filled = { numbers: 0 };
    const layers = Array.from({ length: 40 }, () => counting(filled));
    const computed = Array.from({ length: 6 }, () => {
      const before = filled.numbers;
      for (const encoding of layers) run(engine, encoding, { L: 70 });
      return filled.numbers - before;
    });
    const pass = computed[0] as number;
    expect(pass).toBeGreaterThanOrEqual(40 * 2 * 139);
    expect(computed).toEqual([pass, pass, 0, 0, 0, 0]);
  });

  test('encodings made anew for every call leave the tables of one call', () => {
    const engine = fresh();
    const kept = alibi({ heads: 2 });
    const filled = { numbers: 0 };
    const seen = Array.from({ length: 50 }, () => {
      run(engine, [kept, counting(filled)], { L: 70 });
      return engine.memoryUsage().used;
    });
    expect(new Set(seen).size).toBe(1);
    run(engine, kept, { L: 70 });
    // [2][192] of the one that is kept, whose borders are at multiples of 64.
    expect(engine.releaseTables()).toBeLessThanOrEqual(4 * 2 * 256);
  });

  test('encodings made anew for every input, which the layers share, are dropped when long idle', () => {
    const engine = fresh();
    const filled = { numbers: 0 };
    let most = 0;
    const { used } = engine.memoryUsage();
    for (let input = 0; input < 600; input++) {
      const encoding = counting(filled);
      for (let layer = 0; layer < 6; layer++) run(engine, encoding, { L: 5 });
      most = Math.max(most, engine.memoryUsage().used - used);
    }
    // 1024 calls are 171 inputs: [2][128] numbers each, and the arena's 64 bytes.
    expect(most).toBeLessThanOrEqual(173 * (4 * 2 * 128 + 128));
    expect(filled.numbers).toBeLessThanOrEqual(600 * 2 * 128);
  });

  test('calls that are under way at once keep what they use', async () => {
    const engine = fresh();
    const q = engine.tensor([1, 2, 300, 16], numbers(9600, 1));
    const filled = { numbers: 0 };
    const { used } = engine.memoryUsage();
    const outs = await Promise.all(Array.from({ length: 8 }, () => engine.attention(q, q, q, { encoding: counting(filled) })));
    const [first] = outs as [(typeof outs)[0]];
    for (const out of outs) expectSameBits(out.toArray(), first.toArray());
    for (const out of outs) out.dispose();
    // Those of the last call alone.
    expect(engine.memoryUsage().used - used).toBeLessThanOrEqual(4 * 2 * 768 + 128);
  });

  test.each(['on-append', 'on-read'] as const)('a window far along the sequence, rotated %s', (rotate) => {
    const engine = fresh();
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
    const cache = engine.kvCache({ batch: 1, heads: 1, headDim: 16, capacity: 2200, window: { left: 128 }, encoding, rotate });
    const rows = engine.tensor([1, 1, 1000, 16]);
    const seen = Array.from({ length: 60 }, () => {
      engine.attentionSync(rows, rows, rows, { cache, causal: true }).dispose();
      return engine.memoryUsage().used;
    });
    expect(new Set(seen.slice(2)).size).toBe(1);
    expect(engine.releaseTables()).toBeLessThan(64 * 2 * 2200);
  });

  test('batch rows far apart do not share a table that spans the gap', () => {
    const engine = fresh();
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
    const cache = engine.kvCache({ batch: 2, heads: 1, headDim: 16, capacity: 5000, encoding, window: { left: 50 } });
    const rows = engine.tensor([1, 1, 4900, 16]);
    cache.append(rows, rows, { rows: [1] });
    engine.releaseTables();
    const one = engine.tensor([2, 1, 1, 16]);
    for (let n = 0; n < 80; n++) engine.attentionSync(one, one, one, { cache, causal: true }).dispose();
    expect(engine.releaseTables()).toBeLessThan(64 * 1000);
  });
});

describe('given back', () => {
  test('idle tables make room before memory runs out', () => {
    const engine = fresh(16 * 2 ** 20);
    for (let n = 0; n < 12; n++) {
      const x = engine.tensor([1, 1, 4000, 64]);
      const encoding = rotary({ dim: 64, theta: 10000 + n, layout: 'halves' });
      // What only one call has asked for would go with the next.
      for (let twice = 0; twice < 2; twice++) engine.rotateSync(x, encoding).dispose();
      x.dispose();
    }
    // A quarter of the memory is theirs while nobody needs it, and none of it when somebody does.
    expect(engine.memoryUsage().used).toBeGreaterThan(2 * 2 ** 20);
    expect(engine.memoryUsage().used).toBeLessThan(4.1 * 2 ** 20);
    for (const bytes of [8, 15]) engine.tensor([bytes * 2 ** 18]).dispose();
    expect(engine.memoryUsage().limit).toBe(16 * 2 ** 20);
    expect(() => engine.tensor([2 ** 22])).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
  });

  test('by a call, but for those that a call under way needs', async () => {
    const engine = fresh();
    const encoding = [rotary({ dim: 16, theta: 10000, layout: 'halves' }), alibi({ heads: 2 })];
    const { used } = engine.memoryUsage();
    const q = engine.tensor([1, 2, 300, 16], numbers(9600, 1));
    const expected = engine.attentionSync(q, q, q, { encoding });
    const held = engine.memoryUsage().used - used;
    const call = engine.attention(q, q, q, { encoding });
    expect(engine.releaseTables()).toBe(0);
    const out = await call;
    expectSameBits(out.toArray(), expected.toArray());
    const freed = engine.releaseTables();
    expect(freed).toBeGreaterThan(0);
    expect(freed).toBeLessThan(held);
    expect(engine.releaseTables()).toBe(0);
    const again = engine.attentionSync(q, q, q, { encoding });
    expectSameBits(again.toArray(), expected.toArray());
    engine.releaseTables();
    for (const tensor of [q, out, expected, again]) tensor.dispose();
    expect(engine.memoryUsage().used).toBe(used);
    engine.dispose();
    expect(() => engine.releaseTables()).toThrow(expect.objectContaining({ code: 'disposed' }));
  });
});

describe('caches of more bytes than a 32-bit number has', () => {
  const large = { batch: 1, heads: 64, headDim: 512, capacity: 65536, pageSize: 65536 } as const;

  test('are refused by size, and estimated', () => {
    const engine = fresh();
    const { used } = engine.memoryUsage();
    // 64 heads · 65536 keys · 512 floats, keys and values.
    const bytes = 2 * 64 * 65536 * 512 * 4;
    expect(() => engine.kvCache(large)).toThrow(`kvCache: "capacity" expected a cache of at most 4 GiB, got 65536, ${bytes} bytes`);
    expect(() => engine.kvCache({ ...large, headDim: 256, dtype: 'bf16' })).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    expect(engine.memoryUsage().used).toBe(used);
    expect(engine.estimate({ cache: large }).cache).toBeGreaterThanOrEqual(bytes);
    expect(engine.estimate({ cache: { ...large, headDim: 128 } }).cache).toBeGreaterThanOrEqual(bytes / 4);
  });

  test('no shift makes bytes or keys anywhere near them', () => {
    const root = fileURLToPath(new URL('../../src', import.meta.url));
    for (const folder of ['kvcache', 'memory', 'plan', 'attention', 'masks', 'partial']) {
      for (const name of readdirSync(join(root, folder))) {
        // Checksums and hashes are of bits; powers of two are made of their exponents.
        if (!name.endsWith('.ts') || ['crc.ts', 'selftest.ts', 'power-of-two.ts'].includes(name)) continue;
        const code = readFileSync(join(root, folder, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
        expect(code, `${folder}/${name}`).not.toMatch(/<<|>>(?![>;,)\s([=])|\|\s*0\b/);
      }
    }
  });
});
