/** Tables that calls share are extended, kept and dropped without a trace in the results. */
import { afterEach, describe, expect, test } from 'vitest';
import { alibi, createEngine, createEngineSync, defineEncoding, type Encoding, type Engine, rotary, t5 } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { draw } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const MAKERS: readonly [string, (n: number) => Encoding][] = [
  ['rotary', (n) => rotary({ dim: 16, theta: 10000 + n, layout: 'halves' })],
  ['alibi', () => alibi({ heads: 2 })],
  ['t5', (n) => t5({ heads: 2, buckets: 16, maxDistance: 50, bidirectional: true, table: numbers(32, n) })],
];

const engines: Engine[] = [];
const fresh = (): Engine => {
  const engine = createEngineSync();
  engines.push(engine);
  return engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

const sizesOf = (L: number, S: number): Parameters<typeof draw>[0] => ({ B: 1, H: 2, G: 1, L, S, D: 16, E: 8 });
const run = async (engine: Engine, encoding: Encoding | readonly Encoding[], L: number, S: number): Promise<Float32Array> =>
  (await attend(engine, draw(sizesOf(L, S), L + S), sizesOf(L, S), { encoding, causal: true })).out;

describe.each(MAKERS)('%s', (_, make) => {
  test('growing, shrinking and growing again: the bits of a fresh engine', async () => {
    const encoding = make(0);
    const engine = fresh();
    const walk: [number, number][] = [
      [1, 1],
      [1, 60],
      [1, 64],
      [1, 65],
      [200, 200],
      [3, 7],
      [150, 20],
      [300, 40],
      [1, 700],
      [513, 700],
      [2, 2],
    ];
    for (const [L, S] of walk) expectSameBits(await run(engine, encoding, L, S), await run(fresh(), make(0), L, S));
  });

  test('forty encodings, used again in another order: the bits of a fresh engine', async () => {
    const encodings = Array.from({ length: 40 }, (_, n) => make(n));
    const engine = fresh();
    const expected = await Promise.all(encodings.map((encoding) => run(fresh(), encoding, 20, 30)));
    for (const encoding of encodings) await run(engine, encoding, 10, 20);
    for (const n of [39, 0, 20, 1, 38, 5, 5, 0])
      expectSameBits(await run(engine, encodings[n] as Encoding, 20, 30), expected[n] as Float32Array);
  });

  test('memory stays bounded however many encodings come', async () => {
    const engine = fresh();
    for (let n = 0; n < 600; n++) await run(engine, make(n), 5, 5);
    const { used } = engine.memoryUsage();
    for (let n = 600; n < 1200; n++) await run(engine, make(n), 5, 5);
    expect(engine.memoryUsage().used).toBeLessThanOrEqual(used);
  });

  test('calls at the same time, of growing length, on two threads: the bits of calls one by one', async () => {
    const threaded = await createEngine({ threads: 2 });
    engines.push(threaded);
    const encoding = make(0);
    const lengths = [10, 300, 64, 500, 65, 1, 400];
    const expected = await Promise.all(lengths.map((L) => run(fresh(), make(0), L, L)));
    const got = await Promise.all(lengths.map((L) => run(threaded, encoding, L, L)));
    got.forEach((out, n) => {
      expectSameBits(out, expected[n] as Float32Array);
    });
  });
});

/** A bias of `numbers(offset)` by the offset. */
const byOffset = (...parts: readonly ((offset: number) => number)[]): Encoding =>
  defineEncoding({
    name: 'by offset',
    lower: () => ({
      biases: parts.map((part) => ({
        kind: 'offset',
        heads: 1,
        variant: '',
        fill: (out: Float32Array, first: number, count: number) => {
          for (let n = 0; n < count; n++) out[n] = part(first + n);
        },
      })),
    }),
  });

test('parts of one kind in one plan have tables of their own, kept or not', async () => {
  const [one, other] = [(d: number) => Math.abs(d) / 8, (d: number) => -(d * d) / 256];
  const engine = fresh();
  const both = byOffset(one, other);
  for (const L of [20, 40]) {
    const apart = [byOffset(one), byOffset(other)];
    expectSameBits(await run(engine, both, L, L), await run(fresh(), apart, L, L));
  }
});

test('rotations that differ in the factor alone have tables of their own', () => {
  const scaling = { type: 'yarn', factor: 4, originalMaxPositionEmbeddings: 32 } as const;
  const engine = fresh();
  const x = engine.tensor([1, 1, 40, 16], numbers(640, 5));
  const turned = (attentionFactor: number): Float32Array =>
    engine.rotateSync(x, rotary({ dim: 16, theta: 10000, layout: 'pairs', scaling: { ...scaling, attentionFactor } })).toArray();
  // Twice each cosine and sine, exactly.
  const once = turned(1);
  expectSameBits(
    turned(2),
    once.map((y) => 2 * y),
  );
});

test('a table of relative positions is packed anew for heads of another width', async () => {
  const rows = { kind: 'offset', variant: '', row: (offset: number) => Math.max(0, Math.min(3, offset + 3)) } as const;
  const make = (): Encoding =>
    defineEncoding({ name: 'rows', lower: () => ({ terms: [{ kind: 'key', heads: 1, table: numbers(64, 9), rows }] }) });
  const engine = fresh();
  const encoding = make();
  for (const D of [8, 16, 8]) {
    const sizes = { B: 1, H: 2, G: 1, L: 20, S: 20, D, E: 8 };
    const inputs = draw(sizes, D);
    expectSameBits(
      (await attend(engine, inputs, sizes, { encoding })).out,
      (await attend(fresh(), inputs, sizes, { encoding: make() })).out,
    );
  }
});

test('a table that hides goes on to hide when it has grown where it does not', async () => {
  const sizes = { B: 1, H: 2, G: 1, L: 4, S: 200, D: 16, E: 8 };
  const hiding = byOffset((d) => (d < -30 ? Number.NEGATIVE_INFINITY : 0));
  const inputs = draw(sizes, 3);
  // Queries at 196 see no key before 166.
  const k = inputs.k.map((x, n) => (n < 166 * 16 ? Number.NaN : x));
  const far = { encoding: hiding, queryOffset: 196 };
  const engine = fresh();
  const expected = await attend(fresh(), inputs, sizes, { queryOffset: 196, window: { left: 30 } });
  // Asked for twice it is kept.
  for (let n = 0; n < 2; n++) expectSameBits((await attend(engine, { ...inputs, k }, sizes, far)).out, expected.out);
  // The same table, now with the offsets up to 99 too.
  await attend(engine, inputs, sizes, { encoding: hiding, queryOffset: 100 });
  expectSameBits((await attend(engine, { ...inputs, k }, sizes, far)).out, expected.out);
});

test('an aborted call leaves no half-filled table behind', async () => {
  const engine = fresh();
  const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
  const sizes = sizesOf(600, 600);
  const { q, k, v } = draw(sizes, 1);
  const tensors = [engine.tensor([1, 2, 600, 16], q), engine.tensor([1, 1, 600, 16], k), engine.tensor([1, 1, 600, 8], v)] as const;
  const call = engine.attention(...tensors, { encoding, signal: AbortSignal.abort(new Error('enough')) });
  await expect(call).rejects.toThrow('enough');
  expectSameBits(await run(engine, encoding, 600, 600), await run(fresh(), encoding, 600, 600));
});
