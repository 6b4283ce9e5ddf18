/** A bias of −Infinity hides its key as a mask does: whatever stands in the key, the gate or the other biases, nothing of it is seen. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, bias, defineEncoding, type Encoding, type Tensor } from '../../src/index.ts';
import { draw } from '../reference/tolerance.ts';
import { attend, engineOf, expectSameBits, PRECISIONS } from './call.ts';

const sizes = { B: 2, H: 2, G: 2, L: 21, S: 203, D: 12, E: 10 };
const { B, H, L, S } = sizes;
/** Query i does not see the keys that stand more than 30 before it, and no query the first SPOILT. */
const isHidden = (i: number, j: number): boolean => j - i - (S - L) < -30;
const SPOILT = S - L - 30;
const clean = draw(sizes, 4);
const POISON = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

const pairs = <T>(of: (i: number, j: number) => T): T[] => Array.from({ length: L * S }, (_, n) => of(Math.floor(n / S), n % S));
const scheme = (part: object): Encoding => defineEncoding({ name: 'hiding', lower: () => ({ biases: [part as never] }) });

const offset = scheme({
  kind: 'offset',
  heads: 1,
  fill: (out: Float32Array, first: number, count: number) => {
    for (let n = 0; n < count; n++) out[n] = first + n < -30 ? Number.NEGATIVE_INFINITY : 0;
  },
});
const gated = (encoding: Encoding, gate: number): Encoding =>
  defineEncoding({
    name: 'gated',
    lower: (context) => {
      const { biases = [] } = encoding.lower(context);
      return { biases: biases.map((each) => ({ ...each, gate: new Float32Array(B * H * L).fill(gate) }) as never) };
    },
  });
const table = Float32Array.of(0, Number.NEGATIVE_INFINITY);
const index = { kind: 'index', heads: 1, table };
const perPair = scheme({ ...index, index: Int32Array.from(pairs((i, j) => Number(isHidden(i, j)))) });
/** rows[i] + columns[j] is the distance from the first offset there is. */
const standing = {
  rows: Int32Array.from({ length: L }, (_, i) => L - 1 - i),
  columns: Int32Array.from({ length: S }, (_, j) => j),
};
const far = L - 1 + S - L - 30;
const sum = scheme({
  ...index,
  table: Float32Array.from({ length: L + S }, (_, n) => (n < far ? Number.NEGATIVE_INFINITY : 0)),
  index: standing,
});
const mapped = scheme({ ...index, index: { ...standing, map: Int32Array.from({ length: L + S }, (_, n) => Number(n < far)) } });
describe.each(PRECISIONS)('%s', (precision) => {
  const engine = engineOf(precision);
  afterAll(() => engine.dispose());
  const numbers = engine.tensor(
    [1, 1, L, S],
    pairs((i, j) => (isHidden(i, j) ? Number.NEGATIVE_INFINITY : 0)),
  );
  const bytes = engine.tensor([L, S], Int8Array.from(pairs((i, j) => Number(!isHidden(i, j)))), 'i8');

  /** The right numbers: the same keys hidden by a mask of bytes, with nothing amiss anywhere. */
  const expected = attend(engine, clean, sizes, { mask: bytes });

  const WAYS: readonly [string, AttentionOptions][] = [
    ['an offset bias', { encoding: offset }],
    ['an offset bias with a gate of 0', { encoding: gated(offset, 0) }],
    ['an index bias', { encoding: perPair }],
    ['an index bias with a gate of 0', { encoding: gated(perPair, 0) }],
    ['a sum of indices', { encoding: sum }],
    ['a sum of indices through a map', { encoding: mapped }],
    ['a sum through a map with a gate of 0', { encoding: gated(mapped, 0) }],
    ['a dense bias', { encoding: bias(numbers) }],
    ['a mask of numbers', { mask: numbers }],
    ['a mask of bytes', { mask: bytes }],
  ];

  describe.each(WAYS)('%s', (_, options) => {
    test('hides as a mask does', async () => {
      const got = await attend(engine, clean, sizes, options);
      expectSameBits(got.out, (await expected).out);
      expectSameBits(got.lse, (await expected).lse);
    });

    test.each(POISON)('hides a key and a value of %d', async (poison) => {
      const spoil = (data: Float32Array, width: number): Float32Array =>
        data.map((x, n) => (Math.floor(n / width) % S < SPOILT ? poison : x));
      const got = await attend(engine, { ...clean, k: spoil(clean.k, sizes.D), v: spoil(clean.v, sizes.E) }, sizes, options);
      expectSameBits(got.out, (await expected).out);
      expectSameBits(got.lse, (await expected).lse);
    });

    test.each(POISON.slice(0, 2))('hides a key that biases before and after it make %d', async (poison) => {
      const hostile: Tensor = engine.tensor(
        [1, 1, L, S],
        pairs((i, j) => (isHidden(i, j) ? poison : 0)),
      );
      const list = (given: AttentionOptions['encoding']): Encoding[] => (given === undefined ? [] : [given as Encoding]);
      const encoding = [bias(hostile), ...list(options.encoding), bias(hostile)];
      const got = await attend(engine, clean, sizes, { ...options, encoding });
      expectSameBits(got.out, (await expected).out);
      expectSameBits(got.lse, (await expected).lse);
      // A mask of numbers comes after all encodings.
      const masks = options.mask === undefined ? [] : [options.mask as Tensor];
      const late = await attend(engine, clean, sizes, { ...options, mask: [...masks, hostile] });
      expectSameBits(late.out, (await expected).out);
      hostile.dispose();
    });
  });

  test('a NaN in sight in a table or a gate is one in the row, and in no other', async () => {
    const spoilt = table.slice().fill(Number.NaN, 0, 1);
    const onlyRow3 = Int32Array.from(pairs((i, j) => Number(!(i === 3 && j === 200))));
    const entry = { ...index, table: Float32Array.of(spoilt[0] as number, 0), index: onlyRow3 };
    const { out } = await attend(engine, clean, sizes, { encoding: scheme(entry) });
    const rows = Array.from({ length: B * H * L }, (_, r) => out.subarray(r * sizes.E, (r + 1) * sizes.E));
    expect(rows.flatMap((row, r) => (row.every(Number.isNaN) ? [r] : []))).toEqual([0, 1, 2, 3].map((head) => head * L + 3));
    expect(rows.filter((row) => row.some(Number.isNaN)).length).toBe(4);
  });

  test.each(POISON)('one key hidden from one row, beside rows of NaN, with a value of %d', async (poison) => {
    const one = engine.tensor(
      [1, 1, L, S],
      pairs((i, j) => (i === 6 && j === 100 ? Number.NEGATIVE_INFINITY : 0)),
    );
    const at = (data: Float32Array, width: number, rows: number, hit: (row: number) => boolean, x: number): Float32Array =>
      data.map((y, n) => (hit(Math.floor(n / width) % rows) ? x : y));
    const q = at(clean.q, sizes.D, L, (i) => i === 5 || i === 7, Number.NaN);
    const v = at(clean.v, sizes.E, S, (j) => j === 100, poison);
    const rowOf = ({ out }: { out: Float32Array }): Float32Array => out.slice(6 * sizes.E, 7 * sizes.E);
    const got = await attend(engine, { ...clean, q, v }, sizes, { encoding: bias(one) });
    expectSameBits(rowOf(got), rowOf(await attend(engine, clean, sizes, { encoding: bias(one) })));
    expect(got.out.slice(5 * sizes.E, 6 * sizes.E).every(Number.isNaN)).toBe(true);
    one.dispose();
  });
});
