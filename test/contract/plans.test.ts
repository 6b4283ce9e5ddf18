/** What a `lower` of the user's own may return, and all that it may not: refused by the name of the encoding and the part, with nothing changed. */
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import { alibi, createEngineSync, defineEncoding, defineMask } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import type { Any } from './calls.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [B, H, L, S, D] = [1, 2, 3, 4, 4] as const;
const filled = (shape: readonly number[]) =>
  engine.tensor(
    shape,
    Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, n) => Math.sin(n)),
  );
const [q, k] = [filled([B, H, L, D]), filled([B, H, S, D])];
const floats = (n: number) => new Float32Array(n).fill(0.5);
const doubles = (n: number) => new Float64Array(n).fill(0.5);
const integers = (n: number) => new Int32Array(n);
const fill = (out: Float32Array): void => void out.fill(0.5);
const row = (): number => 0;

/** Plans that are right; together they have every field that there is. */
const PLANS: Readonly<Record<string, () => Any>> = {
  normalization: () => ({ normalization: { kind: 'l2', epsilon: 1e-6, queryWeight: floats(D), keyWeight: floats(D) } }),
  rotation: () => ({
    rotation: {
      dim: D,
      start: 0,
      layout: 'halves',
      layoutOut: 'pairs',
      blocks: 1,
      frequencies: doubles(2),
      factor: 1,
      growth: doubles(2),
      center: 0,
      offset: 0,
    },
  }),
  'rotation apart': () => ({
    rotation: {
      dim: D,
      layout: 'halves',
      frequencies: doubles(4),
      heads: H,
      second: doubles(4),
      queryPositions: { values: doubles(L), batched: false },
      keyPositions: { values: doubles(S), batched: false },
    },
  }),
  'rows of its own': () => ({
    rotation: {
      dim: D,
      layout: 'halves',
      frequencies: doubles(2),
      queryPositions: { values: doubles(L), batched: false, table: floats(L * D) },
      keyPositions: { values: doubles(S), batched: false, table: floats(S * D) },
    },
  }),
  scales: () => ({ rowScale: floats(L), queryBias: floats(H * D), contextTable: { table: floats(3 * D), heads: 1, variant: 'v' } }),
  offset: () => ({
    biases: [{ kind: 'offset', heads: 1, fill, variant: 'v', coefficient: 2, gate: floats(B * H * L), queries: [0, L] }],
    factors: [{ heads: 1, fill, variant: 'v' }],
  }),
  index: () => ({
    biases: [{ kind: 'index', heads: H, table: floats(2 * H), index: integers(L * S), coefficient: 2, gate: floats(B * H * L) }],
  }),
  'sum index': () => ({
    biases: [{ kind: 'index', heads: 1, table: floats(2), index: { rows: integers(L), columns: integers(S), map: integers(1) } }],
  }),
  curve: () => ({
    biases: [
      {
        kind: 'curve',
        heads: 1,
        fill,
        variant: 'v',
        factors: floats(L),
        units: floats(4),
        weights: floats(2),
        coefficient: 2,
        gate: floats(B * H * L),
      },
    ],
  }),
  sum: () => ({
    biases: [{ kind: 'sum', batch: 1, heads: 1, rows: doubles(L), columns: doubles(S), coefficient: 2, gate: floats(B * H * L) }],
  }),
  dense: () => ({ biases: [{ kind: 'dense', tensor: filled([1, 1, L, S]) }] }),
  terms: () => ({
    terms: [
      { kind: 'query', table: floats(3 * D), heads: 1, rows: { kind: 'offset', row, variant: 'v' }, bias: floats(H * D), scale: 1 },
      { kind: 'key', table: floats(3 * D), heads: 1, rows: { kind: 'offset', row } },
      { kind: 'query', table: floats(3 * D), heads: 1, rows: { kind: 'index', index: integers(L * S), variant: 'v' } },
    ],
    valueTable: { table: floats(3 * D), heads: 1, rows: { kind: 'offset', row } },
  }),
};

const OPTIONAL = new Set(
  'start layoutOut blocks factor growth center offset second queryPositions keyPositions queryWeight keyWeight rowScale queryBias contextTable variant coefficient gate queries map bias scale factors biases terms valueTable normalization rotation'.split(
    ' ',
  ),
);

type Path = readonly (string | number)[];

/** Every object, list and field of a plan. */
function* pathsOf(value: Any, path: Path = []): Generator<{ path: Path; value: Any }> {
  yield { path, value };
  if (Array.isArray(value) && typeof value[0] !== 'number') for (const [n, each] of value.entries()) yield* pathsOf(each, [...path, n]);
  else if (value?.constructor === Object) for (const [key, each] of Object.entries(value)) yield* pathsOf(each, [...path, key]);
}

/** `biases[0].table` */
const nameOf = (path: Path): string => path.map((key, n) => (typeof key === 'number' ? `[${key}]` : n ? `.${key}` : key)).join('');

/** The plan with another value at a path; undefined takes the key away. */
function changed(plan: Any, [key, ...rest]: Path, value: Any): Any {
  if (key === undefined) return value;
  const copy = Array.isArray(plan) ? [...plan] : { ...plan };
  copy[key] = changed(plan[key], rest, value);
  if (copy[key] === undefined) delete copy[key];
  return copy;
}

const attend = (lower: () => Any, options: Any = {}) =>
  engine.attentionSync(q, k, k, { encoding: defineEncoding({ name: 'mine', lower }), ...options });

/** The call fails and names the encoding and the part; the engine holds what it held. */
function expectRefused(plan: Any, part: string, types: readonly Any[] = [TypeError]): void {
  const before = engine.memoryUsage().used;
  let error: Any;
  try {
    attend(() => plan).dispose();
  } catch (caught) {
    error = caught;
  }
  expect(error, part).toBeInstanceOf(Error);
  expect(types, `${part}: ${error}`).toContain(error.constructor);
  expect(error.message).toContain(`attentionSync: "encoding (mine)${part && ` ${part}`}"`);
  expect(error.message).not.toContain('undefined bytes');
  expect(engine.memoryUsage().used).toBe(before);
}

/** Values of other kinds than the one that is right. */
function* othersOf(value: Any): Generator<Any> {
  yield null;
  yield Symbol('no');
  if (typeof value === 'number') yield* [Number.NaN, '1', [1]];
  else if (typeof value === 'string') yield* [5, {}];
  else if (typeof value === 'boolean') yield* [1, 'true'];
  else if (typeof value === 'function') yield* [5, {}];
  else if (ArrayBuffer.isView(value)) {
    const { length } = value as Any;
    for (const Type of [Float32Array, Float64Array, Int32Array, Uint8Array, Uint32Array])
      if (!(value instanceof Type)) yield new Type(length);
    yield* [Array.from({ length }, () => 0), 'abc', 5];
  } else if (Array.isArray(value)) yield* [{}, 'abc', 5, [null], [1]];
  else yield* [[], 5, 'abc', Promise.resolve({}), new Map()];
}

describe('a plan of the user’s own', () => {
  for (const [name, make] of Object.entries(PLANS)) {
    test(`${name}: right as it is, and every field of another kind is refused`, () => {
      attend(make).dispose();
      const plan = make();
      for (const { path, value } of pathsOf(plan)) {
        const last = path.at(-1);
        if (last === 'tensor') continue;
        const part = nameOf(path);
        for (const other of othersOf(value)) expectRefused(changed(plan, path, other), namedBy(part, other), [TypeError, RangeError]);
        if (value?.constructor === Object) expectRefused(changed(plan, [...path, 'tabel'], 1), part);
        if (last === 'kind' || last === 'layout' || last === 'layoutOut') expectRefused(changed(plan, path, 'x'), part, [RangeError]);
        const optional = typeof last !== 'string' || OPTIONAL.has(last) || /otation.heads$|ositions.table$/.test(part);
        if (!optional) expectRefused(changed(plan, path, undefined), part);
      }
    });
  }

  /** A list with one wrong entry is named by that. */
  function namedBy(part: string, other: Any): string {
    const entries = Array.isArray(other) && /^(biases|terms|factors)$/.test(part) && other.length;
    return entries ? `${part}[0]` : part;
  }

  test.each([
    [async () => ({})],
    [() => 5],
    [() => 'abc'],
    [() => []],
    [() => null],
    [() => undefined],
    [() => new (class Plan {})()],
    [() => Object.create({ biases: [] })],
  ])('%s is no plan, in any call', (lower: () => Any) => {
    const encoding = defineEncoding({ name: 'mine', lower });
    const wrong = /"encoding \(mine\)" expected lower to return a plan/;
    expect(() => engine.attentionSync(q, k, k, { encoding })).toThrow(wrong);
    expect(() => engine.attentionWeightsSync(q, k, { encoding })).toThrow(wrong);
    expect(() => engine.rotateSync(q, encoding)).toThrow(wrong);
    const cached = () => engine.kvCache({ batch: B, heads: H, headDim: D, capacity: 8, encoding }).append(k, k);
    expect(cached).toThrow(wrong);
  });

  const NUMBERS: readonly (readonly [string, string, Path])[] = [
    ['rotation', 'rotation.frequencies', ['rotation', 'frequencies']],
    ['rotation', 'rotation.growth', ['rotation', 'growth']],
    ['rotation apart', 'rotation.second', ['rotation', 'second']],
    ['rotation apart', 'rotation.queryPositions.values', ['rotation', 'queryPositions', 'values']],
    ['rotation apart', 'rotation.keyPositions.values', ['rotation', 'keyPositions', 'values']],
    ['curve', 'biases[0].factors', ['biases', 0, 'factors']],
    ['curve', 'biases[0].units', ['biases', 0, 'units']],
    ['curve', 'biases[0].weights', ['biases', 0, 'weights']],
  ];
  const all = NUMBERS.flatMap((one) => [Number.NaN, Infinity, -Infinity].map((x) => [...one, x] as const));
  test.each(all)('%s: %s must be finite, %s %s', (name, part, path, x) => {
    const plan = PLANS[name]?.();
    const numbers = path.reduce((value, key) => value[key], plan).slice();
    numbers[1] = x;
    expectRefused(changed(plan, path, numbers), `${part}[1]`, [RangeError]);
  });

  test.each([Number.NaN, Infinity, -Infinity])('factors must be finite, not %s at one offset', (x) => {
    const fill = (out: Float32Array, first: number, count: number): void => {
      out.fill(1)[count - first - 1] = x;
    };
    const factors = [{ heads: H, fill }];
    for (const variant of [undefined, 'v']) {
      const plan = { factors: [{ ...factors[0], ...(variant && { variant }) }] };
      expect(() => attend(() => plan)).toThrow(
        new RangeError(`attentionSync: "encoding (mine) factors[0].fill(-1)" expected to write finite numbers, got ${x}`),
      );
    }
  });

  test('the message says what was expected and what came', () => {
    const table = new Float64Array(4);
    expect(() => attend(() => ({ biases: [{ kind: 'index', heads: 1, table, index: integers(L * S) }] }))).toThrow(
      new TypeError('attentionSync: "encoding (mine) biases[0].table" expected a Float32Array, got Float64Array(4)'),
    );
    expect(() => attend(() => ({ bias: [] }))).toThrow(/"encoding \(mine\)" has no "bias"; it knows .*: did you mean "biases"\?/);
  });

  test('arrays of another realm are taken for what they are', () => {
    const table = [0, 1, -1, 2];
    const index = Array.from({ length: L * S }, (_, n) => n % 4);
    const own = attend(() => ({ biases: [{ kind: 'index', heads: 1, table: Float32Array.from(table), index: Int32Array.from(index) }] }));
    const other = runInNewContext(
      '({ biases: [{ kind: "index", heads: 1, table: Float32Array.from(table), index: Int32Array.from(index) }] })',
      {
        table,
        index,
      },
    );
    expectSameBits(attend(() => other).toArray(), own.toArray());
  });
});

describe('rows of a map of the offset', () => {
  const table = floats(3 * D);
  const PARTS: Readonly<Record<string, (row: Any, long: boolean) => Any>> = {
    'terms[0]': (row, long) => ({
      terms: [{ kind: 'query', table: long ? floats(600 * D) : table, heads: 1, rows: { kind: 'offset', row } }],
    }),
    'terms[1]': (row) => ({
      terms: [PARTS['terms[0]']?.(() => 0, false).terms[0], { kind: 'key', table, heads: 1, rows: { kind: 'offset', row } }],
    }),
    valueTable: (row) => ({ valueTable: { table, heads: 1, rows: { kind: 'offset', row } } }),
  };
  const wrong = [1.5, Number.NaN, undefined, '1', Infinity];
  const all = Object.keys(PARTS).flatMap((part) => wrong.flatMap((r) => [false, true].map((long) => [part, r, long] as const)));
  test.each(all)('%s: %s is none (long: %s)', (part, r, long) => {
    const before = engine.memoryUsage().used;
    expect(() => attend(() => PARTS[part]?.(() => r, long))).toThrow(RangeError);
    expect(() => attend(() => PARTS[part]?.(() => r, long))).toThrow(
      /"encoding \(mine\) \S+\.rows\.row\(-?\d+\)" expected to return an integer/,
    );
    expect(engine.memoryUsage().used).toBe(before);
  });

  test.each(Object.keys(PARTS))('%s: rows outside of the table count as zero', (part) => {
    const none = attend(() => ({})).toArray();
    for (const r of [-1, 600, 2 ** 40, -(2 ** 40)]) {
      const plan = part === 'terms[1]' ? { terms: [PARTS[part]?.(() => r, false).terms[1]] } : PARTS[part]?.(() => r, false);
      expect(attend(() => plan).toArray()).toEqual(none);
    }
  });
});

describe('other values that come from users', () => {
  test.each([[() => null], [async () => [[0, 1]]], [() => 5], [() => undefined]])('%s gives no intervals of a mask', (intervals: Any) => {
    const mask = defineMask({ name: 'mine', intervals });
    expect(() => engine.attentionSync(q, k, k, { mask })).toThrow(TypeError);
    expect(() => engine.attentionSync(q, k, k, { mask })).toThrow(
      /"mask \(mine\)" expected intervals to return pairs \[from, to\] for the query at 1, got/,
    );
  });

  test('a class is shown by the name that it has in the source', () => {
    class _Tensor {}
    expect(() => alibi({ heads: new _Tensor() as Any })).toThrow(/got Tensor$/);
  });

  test('a tensor has 32 dimensions at most', () => {
    expect(engine.tensor(Array(32).fill(1)).shape.length).toBe(32);
    for (const rank of [33, 8000, 1e6]) {
      expect(() => engine.tensor(Array(rank).fill(1))).toThrow(
        new RangeError(`tensor: "shape" expected at most 32 dimensions, got ${rank}`),
      );
    }
  });
});
