import { createEngineSync, type Engine } from 'relpos';
import { afterAll, describe, expect, test } from 'vitest';
import { picturesOf } from '../../src/panels/schemes/pictures.ts';
import { requestOf } from '../../src/panels/schemes/request.ts';
import { DEFAULTS, type Settings, withFirst } from '../../src/panels/schemes/settings.ts';
import { choose, descriptions } from '../../src/schemes/describe.ts';

const engine: Engine = createEngineSync();
afterAll(() => engine.dispose());

const settingsOf = (name: string, more: Partial<Settings> = {}): Settings => ({
  ...withFirst(DEFAULTS, choose(name)),
  asked: { H: 4, D: 32, L: 50, S: 70 },
  head: 1,
  ...more,
});

const pictures = (settings: Settings) => {
  const request = requestOf(settings);
  return { request, shown: picturesOf(engine, request) };
};

const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, n) => Math.max(most, x === b[n] ? 0 : Math.abs(x - (b[n] as number))), 0);

/** The softmax of each row, in doubles. */
function softmax(scores: Float32Array, columns: number): number[] {
  return Array.from({ length: scores.length / columns }, (_, i) => {
    const row = scores.subarray(i * columns, (i + 1) * columns);
    const most = Math.max(...row);
    const powers = Array.from(row, (s) => Math.exp(s - most));
    const sum = powers.reduce((total, x) => total + x, 0);
    return powers.map((x) => x / sum);
  }).flat();
}

describe.each(descriptions.map(({ name }) => name))('%s', (name) => {
  test.each([
    ['as it begins', {}],
    ['with a causal limit, a window and a softcap', { causal: true, left: 20, softcap: 15 }],
  ])('scores and probabilities are those of one softmax, %s', (_, more) => {
    const { request, shown } = pictures(settingsOf(name, more));
    const [{ scores, probabilities, added, curve }] = shown as [(typeof shown)[0]];
    const { L, S } = request.sizes;
    expect(scores.length).toBe(L * S);
    expect(worst(probabilities, softmax(scores, S))).toBeLessThan(2e-6);
    expect(added.some(Number.isFinite)).toBe(true);
    expect(curve.length).toBe(L + S - 1);
  });
});

test('a score whose probability is zero in f32 is there', () => {
  const settings = settingsOf('alibi', { asked: { H: 1, D: 16, L: 256, S: 256 }, head: 0, inputs: { ...DEFAULTS.inputs, size: 0 } });
  const steep = { ...settings, first: choose('alibi', { maxBias: 1 }) };
  const [{ scores, probabilities }] = pictures(steep).shown as [ReturnType<typeof picturesOf>[0]];
  expect(probabilities[255 * 256]).toBe(0);
  expect(scores[255 * 256]).toBeCloseTo(-127.5, 4);
  expect(scores[100 * 256 + 40]).toBeCloseTo(-30, 4);
  expect(scores[40 * 256 + 100]).toBe(Number.NEGATIVE_INFINITY);
});

test('the bias of ALiBi is its slope times the distance, whatever q and k are', () => {
  const settings = settingsOf('alibi', { causal: false, inputs: { ...DEFAULTS.inputs, spread: 3 } });
  const { request, shown } = pictures(settings);
  const [{ added }] = shown as [ReturnType<typeof picturesOf>[0]];
  const { L, S } = request.sizes;
  const expected = Array.from({ length: L * S }, (_, n) => -(2 ** -4) * Math.abs(Math.floor(n / S) + S - L - (n % S)));
  expect(worst(added, expected)).toBeLessThan(1e-5);
});

test('what rotary adds is the turned product less the plain one', () => {
  const settings = settingsOf('rotary', { inputs: { ...DEFAULTS.inputs, spread: 0 } });
  const { request, shown } = pictures(settings);
  const [{ added }] = shown as [ReturnType<typeof picturesOf>[0]];
  const { D, L, S } = request.sizes;
  // q = k = ones: each pair gives 2·cos(d·f), without turning 2.
  const expected = Array.from({ length: L * S }, (_, n) => {
    const d = Math.floor(n / S) + S - L - (n % S);
    return (
      Array.from({ length: D / 2 }, (_, i) => 2 * (Math.cos(d * 10000 ** ((-2 * i) / D)) - 1)).reduce((sum, x) => sum + x, 0) / Math.sqrt(D)
    );
  });
  expect(worst(added, expected)).toBeLessThan(2e-5);
});
