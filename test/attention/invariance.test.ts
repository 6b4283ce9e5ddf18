/** The bits of a row depend on its own query, keys and options: not on the rows beside it, the tiles, the threads, or the call's form. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, createEngine, rotary, type Tensor } from '../../src/index.ts';
import { draw } from '../reference/tolerance.ts';
import { attend, expectSameBits, upload } from './call.ts';

const engines = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads })));
const [engine] = engines as [(typeof engines)[0]];
afterAll(() => {
  for (const each of engines) each.dispose();
});

const sizes = { B: 2, H: 6, G: 2, L: 201, S: 201, D: 40, E: 24 };
const inputs = draw(sizes, 8);
const encoding = [rotary({ dim: 32, theta: 10000, layout: 'pairs' }), alibi({ heads: 6 })];

const OPTIONS: readonly [string, AttentionOptions][] = [
  ['nothing', {}],
  ['causal, rotary and alibi', { causal: true, encoding }],
  ['window, softcap and sinks', { window: { left: 70, right: 3 }, softcap: 5, sinks: [1, 2, 3, 4, 5, 6] }],
  ['key lengths', { keyLengths: [201, 77] }],
];

describe('threads', () => {
  test('engines have the threads that were asked for', () => {
    expect(engines.map(({ capabilities }) => capabilities.threads)).toEqual([1, 2, 3, 5]);
  });

  test.each(OPTIONS)('2, 3 and 5 give the bits of 1: %s', async (_, options) => {
    const expected = await attend(engine, inputs, sizes, options);
    for (const other of engines.slice(1)) {
      const { out, lse } = await attend(other, inputs, sizes, options);
      expectSameBits(out, expected.out);
      expectSameBits(lse, expected.lse);
    }
  });

  test('the synchronous form gives the same bits on any number of threads', async () => {
    const { out: expected } = await attend(engine, inputs, sizes, { causal: true, encoding });
    for (const each of engines) {
      expectSameBits(each.attentionSync(...upload(each, inputs, sizes), { causal: true, encoding }).toArray(), expected);
    }
  });

  test('calls that overlap in time do not disturb one another', async () => {
    const threaded = engines[2] as (typeof engines)[0];
    const expected = await Promise.all(OPTIONS.map(async ([, options]) => (await attend(engine, inputs, sizes, options)).out));
    const rounds = Array.from({ length: 12 }, (_, n) => n % OPTIONS.length);
    const got = await Promise.all(rounds.map((n) => attend(threaded, inputs, sizes, OPTIONS[n]?.[1])));
    rounds.forEach((n, at) => {
      expectSameBits((got[at] as { out: Float32Array }).out, expected[n] as Float32Array);
    });
  });
});

describe('tiles', () => {
  const whole = attend(engine, inputs, sizes, { causal: true, encoding });

  test.each([
    [0, 1],
    [5, 6],
    [63, 66],
    [97, 201],
    [199, 201],
  ])('queries %d to %d alone give the bits that they have among all', async (from, to) => {
    const [q, k, v] = upload(engine, inputs, sizes);
    // Keys up to the last query of the part, so that the positions are those of the whole.
    const [keys, values] = [k.slice(null, null, [0, to]), v.slice(null, null, [0, to])];
    const part = await engine.attention(q.slice(null, null, [from, to]), keys, values, { causal: true, encoding });
    const all = engine.tensor([2, 6, 201, 24], (await whole).out);
    expectSameBits(part.toArray(), all.slice(null, null, [from, to]).toArray());
  });

  test.each([1, 2, 3, 5, 6, 7])('%d rows, of which some go one by one, have the bits that they have among 32', async (n) => {
    const wide = { B: 1, H: 2, G: 2, L: 32, S: 401, D: 41, E: 43 };
    const [q, k, v] = upload(engine, draw(wide, 10), wide);
    const all = await engine.attention(q, k, v);
    const part = await engine.attention(q.slice(null, null, [9, 9 + n]), k, v);
    expectSameBits(part.toArray(), all.slice(null, null, [9, 9 + n]).toArray());
  });

  test('keys that a mask hides may as well not be there', async () => {
    const [q, k, v] = upload(engine, inputs, sizes);
    const masked = await engine.attention(q, k, v, { keyLengths: [130, 130] });
    const cut = await engine.attention(q, k.slice(null, null, [0, 130]), v.slice(null, null, [0, 130]));
    expectSameBits(masked.toArray(), cut.toArray());
  });

  test('one head alone gives the bits that it has among all', async () => {
    const [q, k, v] = upload(engine, inputs, sizes) as [Tensor, Tensor, Tensor];
    const all = (await engine.attention(q, k, v)).slice(null, 4);
    expectSameBits((await engine.attention(q.slice(null, 4), k.slice(null, 1), v.slice(null, 1))).toArray(), all.toArray());
  });
});

describe('grouped heads', () => {
  test.each([1, 2, 3])('%d key heads: the bits of repeated heads', async (G) => {
    const grouped = { ...sizes, G, L: 70 };
    const given = draw(grouped, 9);
    const { S, D, E } = sizes;
    const repeat = (data: Float32Array, width: number): Float32Array =>
      Float32Array.from({ length: 2 * 6 * S * width }, (_, n) => {
        const head = Math.floor(n / (S * width));
        const source = Math.floor(head / 6) * G + Math.floor((head % 6) / (6 / G));
        return data[source * S * width + (n % (S * width))] as number;
      });
    const repeated = { q: given.q, k: repeat(given.k, D), v: repeat(given.v, E) };
    const options = { causal: true, encoding };
    const [a, b] = [await attend(engine, given, grouped, options), await attend(engine, repeated, { ...grouped, G: 6 }, options)];
    expectSameBits(a.out, b.out);
    expectSameBits(a.lse, b.lse);
  });
});

test('the same call twice gives the same bits', async () => {
  const options = { causal: true, encoding };
  expectSameBits((await attend(engine, inputs, sizes, options)).out, (await attend(engine, inputs, sizes, options)).out);
});
