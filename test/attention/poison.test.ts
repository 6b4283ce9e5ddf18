/** NaN and infinities behind a mask do nothing; where they are visible, the result is the one canonical NaN. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, bias, type Tensor } from '../../src/index.ts';
import { draw } from '../reference/tolerance.ts';
import { attend, engineOf, expectSameBits, PRECISIONS } from './call.ts';

const sizes = { B: 2, H: 2, G: 2, L: 20, S: 120, D: 12, E: 10 };
const POISON = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38];

/** The inputs with poison in k and v of every key that `hit` picks. */
function poisoned(hit: (b: number, j: number) => boolean, poison: number): ReturnType<typeof draw> {
  const { q, k, v } = draw(sizes, 4);
  const spoil = (data: Float32Array, width: number): Float32Array =>
    data.map((x, n) => {
      const row = Math.floor(n / width);
      return hit(Math.floor(row / sizes.S / sizes.G), row % sizes.S) ? poison : x;
    });
  return { q, k: spoil(k, sizes.D), v: spoil(v, sizes.E) };
}

const HIDDEN: readonly [string, AttentionOptions, (b: number, j: number) => boolean][] = [
  ['causal', { causal: { offset: 40 } }, (_, j) => j > 59],
  ['the left of a window', { window: { left: 30 } }, (_, j) => j < 70],
  ['key lengths', { keyLengths: [117, 50] }, (b, j) => j >= (b ? 50 : 117)],
];

describe.each(PRECISIONS)('%s', (precision) => {
  const engine = engineOf(precision);
  afterAll(() => engine.dispose());

  describe('behind a mask', () => {
    const clean = draw(sizes, 4);
    for (const [name, options, hidden] of HIDDEN) {
      test.each(POISON)(`${name}: %d`, async (poison) => {
        const [spoilt, expected] = [
          await attend(engine, poisoned(hidden, poison), sizes, options),
          await attend(engine, clean, sizes, options),
        ];
        expectSameBits(spoilt.out, expected.out);
        expectSameBits(spoilt.lse, expected.lse);
      });
    }

    test.each(POISON.flatMap((poison) => [[poison, { causal: true }] as const, [poison, { window: { right: 0 } }] as const]))(
      'for some rows of a tile only: %d, %o',
      async (poison, options) => {
        // Key 110 is seen by the queries 10 and later; the others keep their bits.
        const { out } = await attend(
          engine,
          poisoned((_, j) => j === 110, poison),
          sizes,
          options,
        );
        const { out: expected } = await attend(engine, clean, sizes, options);
        const rows = (data: Float32Array, head: number): Float32Array => data.slice(head * 20 * 10, head * 20 * 10 + 10 * 10);
        for (const head of [0, 1, 2, 3]) expectSameBits(rows(out, head), rows(expected, head));
      },
    );
  });

  /** Bits of each output. */
  const bits = (data: Float32Array): number[] => [...new Uint32Array(data.buffer, data.byteOffset, data.length)];
  const CANONICAL = 0x7fc00000;

  describe('in sight', () => {
    // A NaN with its sign and other payload bits set must not come through either.
    const odd = new Float32Array(Uint32Array.of(0xffc12345).buffer)[0] as number;

    test.each([Number.NaN, odd])('a NaN in v spoils its channel alone', async (nan) => {
      const { q, k, v } = draw(sizes, 4);
      v[5 * sizes.E + 3] = nan;
      const { out, lse } = await attend(engine, { q, k, v }, sizes);
      const spoilt = bits(out).flatMap((x, n) => (x === CANONICAL ? [n] : []));
      expect(spoilt).toEqual(Array.from({ length: 20 }, (_, i) => i * 10 + 3));
      expect(lse.some(Number.isNaN)).toBe(false);
    });

    test.each(['q', 'k'] as const)('a NaN in %s spoils its rows', async (name) => {
      const given = draw(sizes, 4);
      given[name][0] = odd;
      const { out, lse } = await attend(engine, given, sizes);
      const rows = name === 'q' ? 1 : 20;
      expect(bits(out.slice(0, rows * 10))).toEqual(Array(rows * 10).fill(CANONICAL));
      expect(bits(lse.slice(0, rows))).toEqual(Array(rows).fill(CANONICAL));
      expect(out.slice(rows * 10).some(Number.isNaN)).toBe(false);
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY])('a bias of %d spoils its row', async (value) => {
      const dense = engine.tensor([1, 1, 20, 120]);
      dense.slice(null, null, 7, 100).set([value]);
      const { out } = await attend(engine, draw(sizes, 4), sizes, { encoding: bias(dense) });
      expect(bits(out.slice(70, 80))).toEqual(Array(10).fill(CANONICAL));
      expect(out.slice(0, 70).some(Number.isNaN)).toBe(false);
      dense.dispose();
    });

    test('a bias of −Infinity hides its key as a mask does', async () => {
      const row = new Float32Array(120).fill(Number.NEGATIVE_INFINITY, 60);
      const dense = engine.tensor([1, 1, 1, 120], row);
      const hidden = await attend(engine, draw(sizes, 4), sizes, { encoding: bias(dense) });
      expectSameBits(hidden.out, (await attend(engine, draw(sizes, 4), sizes, { keyLengths: [60, 60] })).out);
      dense.dispose();
    });

    test.each(['f16', 'bf16'] as const)('an out of %s has the canonical NaN of its own', async (dtype) => {
      const { q, k, v } = draw(sizes, 4);
      q.fill(odd);
      const tensors = [engine.tensor([2, 2, 20, 12], q), engine.tensor([2, 2, 120, 12], k), engine.tensor([2, 2, 120, 10], v)] as const;
      const out = await engine.attention(...tensors, { out: engine.tensor([2, 2, 20, 10], undefined, dtype) });
      expect(new Set(out.view())).toEqual(new Set([dtype === 'f16' ? 0x7e00 : 0x7fc0]));
    });
  });

  test('a score of −Infinity from q·k: 0·v, and a hidden key where the call has a mask tensor, as docs/numerics.md says', () => {
    const [q, k, v] = [[1], [0, -Infinity], [1, Number.NaN]].map((list) => engine.tensor([1, 1, list.length, 1], Float32Array.from(list)));
    const out = (options: AttentionOptions): unknown => engine.attentionSync(q as Tensor, k as Tensor, v as Tensor, options).toArray()[0];
    expect(out({})).toBeNaN();
    expect(out({ mask: engine.tensor([1, 1, 1, 2], Int8Array.of(1, 1), 'i8') })).toBe(1);
    expect(out({ mask: engine.tensor([1, 1, 1, 2]) })).toBe(1);
  });
});
