/** f16 and bf16: every pattern to f32, and f32 to the nearest, ties to even. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, type DType } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

interface Format {
  readonly dtype: DType;
  /** Bits of the fraction. */
  readonly fraction: number;
  /** Exponent of the smallest normal number. */
  readonly least: number;
  readonly infinity: number;
  readonly nan: number;
}

const FORMATS: readonly Format[] = [
  { dtype: 'f16', fraction: 10, least: -14, infinity: 0x7c00, nan: 0x7e00 },
  { dtype: 'bf16', fraction: 7, least: -126, infinity: 0x7f80, nan: 0x7fc0 },
];

/** What a pattern means, from the definition of the format. */
function decode(bits: number, { fraction, least, infinity }: Format): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const size = bits & 0x7fff;
  if (size > infinity) return Number.NaN;
  if (size === infinity) return sign * Number.POSITIVE_INFINITY;
  const exponent = size >> fraction;
  const mantissa = size & (2 ** fraction - 1);
  if (exponent === 0) return sign * mantissa * 2 ** (least - fraction);
  return sign * (1 + mantissa / 2 ** fraction) * 2 ** (exponent - 1 + least);
}

/** The pattern nearest to a number, the even one of two. Patterns of one sign are in the order of their values. */
function encode(x: number, format: Format): number {
  if (Number.isNaN(x)) return format.nan;
  const sign = Object.is(Math.sign(x), -0) || x < 0 ? 0x8000 : 0;
  const size = Math.abs(x);
  let low = 0;
  let high: number = format.infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (decode(middle, format) <= size) low = middle;
    else high = middle;
  }
  if (size === Number.POSITIVE_INFINITY) return sign | format.infinity;
  // Beyond the largest number, the next step would be where infinity stands.
  const above = high === format.infinity ? 2 ** (format.dtype === 'f16' ? 16 : 128) : decode(high, format);
  const [down, up] = [size - decode(low, format), above - size];
  return sign | (down < up || (down === up && low % 2 === 0) ? low : high);
}

const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** Stores numbers and returns the patterns; `strided` takes the other way through the kernels. */
function stored(values: Float32Array, dtype: DType, strided: boolean): Uint16Array {
  if (!strided) return engine.tensor([values.length], values, dtype).view().slice() as Uint16Array;
  const wide = engine.tensor([values.length, 2], undefined, dtype);
  wide.slice(null, 0).set(values);
  return (wide.view() as Uint16Array).filter((_, n) => n % 2 === 0);
}

describe.each(FORMATS)('$dtype', (format) => {
  const { dtype } = format;
  const expected = Float32Array.from(all, (bits) => decode(bits, format));

  test.each(['whole', 'strided'])('all 65536 patterns to f32, %s', (how) => {
    const whole = engine.tensor([65536], all, dtype);
    const wide = engine.tensor([65536, 2], undefined, dtype);
    wide.slice(null, 0).set(all);
    const got = how === 'whole' ? whole.toArray() : wide.slice(null, 0).toArray();
    expect(got.findIndex((x, bits) => !Object.is(x, expected[bits]))).toBe(-1);
  });

  test.each([false, true])('every pattern comes back as it was (strided: %o), NaN as the one NaN', (strided) => {
    const back = stored(expected, dtype, strided);
    const wrong = back.findIndex((bits, n) => (Number.isNaN(expected[n]) ? (bits & 0x7fff) !== format.nan : bits !== n));
    expect(wrong).toBe(-1);
    // Whatever else it carries.
    const loaded = new Float32Array(Uint32Array.of(0x7fffffff, 0xffffffff, 0x7fc00001, 0xffff8000).buffer);
    expect([...stored(loaded, dtype, strided)].map((bits) => bits & 0x7fff)).toEqual([0, 1, 2, 3].map(() => format.nan));
  });

  test.each([false, true])('f32 to the nearest, ties to even (strided: %o)', (strided) => {
    // Between neighbours: the middle, which is exact in f32, and the f32 numbers next to it.
    const finite = expected.slice(0, format.infinity);
    const middles = finite.slice(1).map((x, n) => (x + (finite[n] as number)) / 2);
    const nudged = (by: number): Float32Array => new Float32Array(new Int32Array(middles.slice().buffer).map((bits) => bits + by).buffer);
    const random = numbers(20_000, 1).map((x, n) => x * 2 ** ((n % 300) - 160));
    const edges = [65504, 65519.99, 65520, 65536, 1e30, 3.3895314e38, 3.3961775e38, 3.4028234e38, Number.POSITIVE_INFINITY];
    const tiny = [2 ** -25, 2 ** -24, 2 ** -26, 2 ** -134, 2 ** -133, 2 ** -149, 0];
    const positive = [...middles, ...nudged(1), ...nudged(-1), ...random, ...edges, ...tiny];
    const values = Float32Array.from([...positive, ...positive.map((x) => -x)]);
    const got = stored(values, dtype, strided);
    const wrong = got.findIndex((bits, n) => bits !== encode(values[n] as number, format));
    expect(wrong < 0 ? 'all right' : `${values[wrong]} became ${got[wrong]}, not ${encode(values[wrong] as number, format)}`).toBe(
      'all right',
    );
  });
});

test('i8 and i32 are kept, and read as f32', () => {
  const bytes = Int8Array.from({ length: 256 }, (_, n) => n - 128);
  expect(engine.tensor([256], bytes, 'i8').view()).toEqual(bytes);
  expect(engine.tensor([16, 16], bytes, 'i8').slice(null, [3, 5]).toArray().slice(0, 3)).toEqual(Float32Array.of(-125, -124, -109));
  const words = Int32Array.of(-(2 ** 31), -1, 0, 2 ** 24 + 1, 2 ** 31 - 1);
  expect(engine.tensor([5], words, 'i32').view()).toEqual(words);
  expect(engine.tensor([5], words, 'i32').toArray()).toEqual(Float32Array.from(words));
});
