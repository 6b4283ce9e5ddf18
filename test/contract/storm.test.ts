/** A storm of wrong types: every option and argument, every kind of value. A call either works or throws TypeError or RangeError. */
import { afterAll, describe, expect, test } from 'vitest';
import { OPTION_NAMES } from '../../src/attention/options.ts';
import { createEngineSync, rotary } from '../../src/index.ts';
import { optionNames, SUBJECTS, type Subject } from './calls.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** Values of all kinds, made anew for each use. */
const STORM: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -0,
  () => -1,
  () => 1.5,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => 2 ** 40,
  () => 10n,
  () => '',
  () => 'f32',
  () => Symbol('x'),
  () => [],
  () => [null],
  () => [[1]],
  () => ({}),
  () => ({ length: 4 }),
  () => new Map(),
  () => new Date(0),
  () => () => 1,
  () => new Uint8Array(4),
  () => new BigInt64Array(4),
  () => new ArrayBuffer(8),
  () => new Proxy({}, {}),
  () => Promise.resolve(1),
];

/** All of them, whatever they are today. */
const OPTIONS = OPTION_NAMES;

const q = engine.tensor(
  [1, 2, 3, 4],
  Float32Array.from({ length: 24 }, (_, n) => n / 24),
);
const halves = rotary({ dim: 4, theta: 10000, layout: 'halves' });

// biome-ignore lint/suspicious/noExplicitAny: the tests give what the types forbid.
type Any = any;

/** Outcome of a call: `works`, or the name of the error. */
function outcome(call: () => unknown): string {
  try {
    const result = call() as { dispose?: () => void };
    result?.dispose?.();
    return 'works';
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

const FINE = ['works', 'TypeError', 'RangeError'];

describe('every kind of value as', () => {
  test.each(OPTIONS)('option %s of attention', (name) => {
    const outcomes = STORM.map((make) => outcome(() => engine.attentionSync(q, q, q, { [name]: make() })));
    expect(outcomes.filter((each) => !FINE.includes(each))).toEqual([]);
    // No option takes just anything.
    expect(outcomes.filter((each) => each !== 'works').length).toBeGreaterThan(10);
  });

  test.each(['q', 'k', 'v'])('argument %s of attention', (name) => {
    for (const make of STORM) {
      const [a, b, c] = ['q', 'k', 'v'].map((each) => (each === name ? make() : q)) as Any[];
      expect(outcome(() => engine.attentionSync(a, b, c))).toBe('TypeError');
    }
  });

  test.each(optionNames(SUBJECTS.rotateSync as Subject))('option %s of rotate', (name) => {
    const outcomes = STORM.map((make) => outcome(() => engine.rotateSync(q, halves, { [name]: make() } as Any)));
    expect(outcomes.filter((each) => !FINE.includes(each))).toEqual([]);
    expect(outcomes.filter((each) => each !== 'works').length).toBeGreaterThan(10);
  });

  test('shape, data and dtype of a tensor', () => {
    const outcomes = STORM.flatMap((make) => [
      outcome(() => engine.tensor(make() as Any)),
      outcome(() => engine.tensor([4], make() as Any)),
      outcome(() => engine.tensor([4], [1, 2, 3, 4], make() as Any)),
    ]);
    expect(outcomes.filter((each) => !FINE.includes(each))).toEqual([]);
  });

  test('an option of rotary', () => {
    const outcomes = optionNames(SUBJECTS.rotary as Subject).flatMap((name) =>
      STORM.map((make) => outcome(() => rotary({ dim: 4, theta: 10000, layout: 'halves', [name]: make() } as Any))),
    );
    expect(outcomes.filter((each) => !FINE.includes(each))).toEqual([]);
  });
});

test('options that do not exist are named', () => {
  expect(() => engine.attentionSync(q, q, q, { casual: true } as Any)).toThrow(
    /^attentionSync: "options" has no "casual"; it knows encoding, /,
  );
  expect(() => engine.rotateSync(q, halves, { position: 1 } as Any)).toThrow(
    /^rotateSync: "options" has no "position"; it knows positions, /,
  );
  expect(() => rotary({ dim: 4, base: 10000, layout: 'halves' } as Any)).toThrow(/^rotary: "options" has no "base"; it knows dim, theta, /);
});

test('calls that cannot be stopped name no option that stops them, and say so where one is given', async () => {
  const calls: Record<string, (options: Any) => unknown> = {
    attentionSync: (options) => engine.attentionSync(q, q, q, options),
    attentionPartialSync: (options) => engine.attentionPartialSync(q, q, q, options),
    attentionWeightsSync: (options) => engine.attentionWeightsSync(q, q, options),
    prepare: (options) => engine.prepare(q, q, q, options),
    preparePartial: (options) => engine.preparePartial(q, q, q, options),
  };
  for (const [name, call] of Object.entries(calls)) {
    const refusal = async (options: Any): Promise<string> => {
      const error = await (async () => call(options))().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TypeError);
      return (error as Error).message;
    };
    const known = await refusal({ signals: 1 });
    expect(known).toMatch(new RegExp(`^${name}: "options" has no "signals"; it knows encoding, `));
    expect(known).not.toMatch(/signal\b|onProgress|did you mean/);
    expect(await refusal({ signal: new AbortController().signal })).toMatch(new RegExp(`^${name}: "signal" `));
  }
  await expect(engine.attention(q, q, q, { signals: 1 } as Any)).rejects.toThrow(/, signal, onProgress: did you mean "signal"\?$/);
});

test('after the storm memory is what it was, and the same call gives the same numbers', () => {
  const expected = engine.attentionSync(q, q, q).toArray();
  const { used } = engine.memoryUsage();
  for (const name of OPTIONS) for (const make of STORM) outcome(() => engine.attentionSync(q, q, q, { [name]: make() }));
  const result = engine.attentionSync(q, q, q);
  expect(result.toArray()).toEqual(expected);
  result.dispose();
  expect(engine.memoryUsage().used).toBe(used);
});
