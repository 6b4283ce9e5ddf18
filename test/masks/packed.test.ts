/** Packed sequences: each document is a call of its own, bit for bit. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  chunked,
  createEngine,
  createEngineSync,
  type DType,
  type Engine,
  rotary,
  shaw,
  type Tensor,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [H, G, D, E] = [4, 2, 16, 12];
/** 0, n₀, n₀ + n₁, … */
function offsets(lengths: readonly number[]): number[] {
  const list = [0];
  for (const n of lengths) list.push((list.at(-1) as number) + n);
  return list;
}
const ragged = (on: Engine, rows: number, heads: number, width: number, seed: number, dtype: DType = 'f32'): Tensor =>
  on.tensor([rows, heads, width], numbers(rows * heads * width, seed), dtype);

/** Rows of [T, heads, width] as a tensor [1, n, heads, width] of its own. */
const rowsOf = (x: Tensor, from: number, to: number): Tensor => {
  const part = x.slice([from, to]);
  return engine.tensor([1, to - from, x.shape[1] as number, x.shape[2] as number], part.toArray(), x.dtype === 'f16' ? 'f16' : 'f32');
};

const join = (parts: readonly Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));

async function expectSeparate(
  queries: readonly number[],
  keys: readonly number[],
  options: AttentionOptions = {},
  dtype: DType = 'f32',
): Promise<void> {
  const [queryOffsets, keyOffsets] = [offsets(queries), offsets(keys)];
  const [T, U] = [queryOffsets.at(-1) as number, keyOffsets.at(-1) as number];
  const [q, k, v] = [ragged(engine, T, H, D, 1, dtype), ragged(engine, U, G, D, 2, dtype), ragged(engine, U, G, E, 3, dtype)];
  const packed = await engine.attentionPartial(q, k, v, { ...options, queryOffsets, keyOffsets });
  const alone = queries.map((_, n) => {
    const [a, b] = [queryOffsets.slice(n, n + 2), keyOffsets.slice(n, n + 2)] as [[number, number], [number, number]];
    return engine.attentionPartialSync(rowsOf(q, ...a), rowsOf(k, ...b), rowsOf(v, ...b), { ...options, layout: 'blhd' });
  });
  expect(packed.out.shape).toEqual([T, H, E]);
  expect(packed.lse.shape).toEqual([H, T]);
  expectSameBits(packed.out.toArray(), join(alone.map(({ out }) => out.toArray())));
  const heads = Array.from({ length: H }, (_, h) => alone.map(({ lse }) => lse.slice(null, h).toArray()));
  expectSameBits(packed.lse.toArray(), join(heads.flat()));
}

const OPTIONS: readonly [string, AttentionOptions][] = [
  ['nothing', {}],
  ['causal', { causal: true }],
  ['causal from the top left', { causal: { offset: 0 } }],
  ['a window and a softcap', { window: { left: 9, right: 2 }, softcap: 3 }],
  ['rotary', { causal: true, encoding: rotary({ dim: 16, theta: 100, layout: 'halves' }) }],
  ['alibi and sinks', { causal: true, encoding: alibi({ heads: H }), sinks: [0, 1, -1, 2] }],
  ['shaw', { encoding: shaw({ left: 4, right: 4, keys: numbers(9 * D, 5), values: numbers(9 * E, 6) }) }],
  ['a mask', { mask: chunked({ size: 7 }), qkNorm: { kind: 'rms' } }],
];

describe('equal separate calls bit for bit', () => {
  test.each(OPTIONS)('%s', async (_, options) => {
    await expectSeparate([5, 1, 140, 0, 33, 7], [5, 1, 140, 0, 33, 7], options);
    await expectSeparate([5, 1, 14, 2, 3, 0], [7, 100, 3, 0, 33, 4], options);
  });

  test.each(OPTIONS)('of one length, and of as many queries or keys alone: %s', async (_, options) => {
    await expectSeparate([6, 3, 6, 6, 3], [6, 3, 6, 6, 3], options);
    await expectSeparate([5, 5, 5, 4], [7, 40, 7, 7], options);
  });

  test('a document of several steps among those of one', async () => {
    await expectSeparate([3, 200, 3], [5, 4000, 5], { causal: true });
  });

  test('f16', async () => {
    await expectSeparate([5, 60, 1, 5], [5, 60, 1, 5], { causal: true }, 'f16');
  });

  test('one document, and none', async () => {
    await expectSeparate([40], [40], { causal: true });
    await expectSeparate([0], [0]);
    const none = engine.tensor([0, H, D]);
    const out = await engine.attention(none, none, none, { queryOffsets: [0] });
    expect(out.shape).toEqual([0, H, D]);
  });

  test('several threads, many documents', async () => {
    const several = await createEngine({ threads: 2 });
    const lengths = Array.from({ length: 120 }, (_, n) => (n * 37) % 50);
    const queryOffsets = Int32Array.from(offsets(lengths));
    const T = queryOffsets.at(-1) as number;
    const encoding = rotary({ dim: 16, theta: 100, layout: 'pairs' });
    const run = async (on: Engine): Promise<Float32Array> => {
      const [q, k] = [ragged(on, T, H, D, 1), ragged(on, T, G, D, 2)];
      const out = await on.attention(q, k, k, { queryOffsets, causal: true, encoding });
      return out.toArray();
    };
    expectSameBits(await run(several), await run(engine));
    several.dispose();
  });
});

describe('around the call', () => {
  const [q, k] = [ragged(engine, 30, H, D, 1), ragged(engine, 30, G, D, 2)];
  const queryOffsets = [0, 10, 30];

  test('out, a signal and the memory', async () => {
    const out = engine.tensor([30, H, D], undefined, 'f16');
    const plain = await engine.attention(q, k, k, { queryOffsets });
    const given = await engine.attention(q, k, k, { queryOffsets, out, signal: new AbortController().signal });
    expect(given).toBe(out);
    expectSameBits(out.view() as Uint16Array, engine.tensor([30, H, D], plain.toArray(), 'f16').view() as Uint16Array);
    const before = engine.memoryUsage();
    await engine.attention(q, k, k, { queryOffsets, out });
    expect(engine.memoryUsage()).toEqual(before);
    const stopped = engine.attention(q, k, k, { queryOffsets, out, signal: AbortSignal.abort(new Error('stop')) });
    await expect(stopped).rejects.toThrow('stop');
    expect(engine.memoryUsage()).toEqual(before);
  });

  test('views of a larger tensor are read in place', async () => {
    const all = ragged(engine, 30, H + 2 * G, D, 9);
    const part = (from: number, to: number): Tensor => all.slice(null, [from, to]);
    const copy = (x: Tensor): Tensor => engine.tensor(x.shape, x.toArray());
    const views = [part(0, H), part(H, H + G), part(H + G, H + 2 * G)] as const;
    const options = { queryOffsets, causal: true };
    const [a, b] = [
      await engine.attention(...views, options),
      await engine.attention(copy(views[0]), copy(views[1]), copy(views[2]), options),
    ];
    expectSameBits(a.toArray(), b.toArray());
  });

  test.each<[string, AttentionOptions, RegExp]>([
    ['offsets that do not end at T', { queryOffsets: [0, 10, 29] }, /"queryOffsets" expected integers that rise from 0 to 30/],
    ['offsets that fall', { queryOffsets: [0, 20, 10, 30] }, /"queryOffsets"/],
    ['lists of unlike length', { queryOffsets, keyOffsets: [0, 30] }, /"keyOffsets" expected 3 numbers/],
    ['keyOffsets alone', { keyOffsets: [0, 30] }, /"queryOffsets" expected cumulative lengths/],
    ['a layout', { queryOffsets, layout: 'blhd' }, /"layout" expected nothing beside "queryOffsets"/],
    ['key lengths', { queryOffsets, keyLengths: [1] }, /"keyLengths" expected nothing/],
    ['a mask tensor', { queryOffsets, mask: engine.tensor([30], undefined, 'i8') }, /"mask" expected no tensor/],
  ])('%s', (_, options, message) => {
    expect(() => engine.attentionSync(q, k, k, options)).toThrow(message);
  });

  test('tensors of 4 dimensions', () => {
    const x = engine.tensor([1, 30, 4, 8]);
    expect(() => engine.attentionSync(x, x, x, { queryOffsets })).toThrow('"q" expected shape [T, H, D]');
  });
});
