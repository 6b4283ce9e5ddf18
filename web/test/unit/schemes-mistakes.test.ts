// What the sentences of the mistakes say is so in the numbers, and the panel's settings come back from the address.
import { createEngineSync, type Engine } from 'relpos';
import { afterAll, expect, test } from 'vitest';
import { findMistake, fitting, mistakes, readFitting } from '../../src/panels/schemes/mistakes.ts';
import { type Pictures, picturesOf } from '../../src/panels/schemes/pictures.ts';
import { obstacle, requestOf } from '../../src/panels/schemes/request.ts';
import { DEFAULTS, readSettings, type Settings, withFirst, withSizes, writeSettings } from '../../src/panels/schemes/settings.ts';
import { choose } from '../../src/schemes/describe.ts';

const engine: Engine = createEngineSync();
afterAll(() => engine.dispose());

/** The settings that a mistake begins with, tokens that are all the same, and its pictures. */
function made(name: string, from: Settings = DEFAULTS): { settings: Settings; right: Pictures; wrong: Pictures } {
  const begun = (findMistake(name) as (typeof mistakes)[0]).start(from);
  const settings = { ...begun, mistake: name, inputs: { ...begun.inputs, spread: 0 } };
  const [right, wrong] = picturesOf(engine, requestOf(settings)) as [Pictures, Pictures];
  return { settings, right, wrong };
}

/** The mean score at a distance. */
const at = ({ curve }: Pictures, { asked }: Settings, distance: number): number => curve[asked.L - 1 + distance] as number;

test('halves: wrong, the score falls several times as fast, and at distance 0 it is the same', () => {
  const { settings, right, wrong } = made('halves');
  const fall = (one: Pictures): number => at(one, settings, 0) - at(one, settings, 20);
  expect(at(wrong, settings, 0)).toBeCloseTo(at(right, settings, 0), 3);
  expect(fall(wrong)).toBeGreaterThan(3 * fall(right));
});

test('causal: wrong, the first query sees one key, and nobody sees the newest ones', () => {
  const { settings, right, wrong } = made('causal');
  const { L, S } = settings.asked;
  expect(S).toBeGreaterThan(L);
  const seen = ({ scores }: Pictures, i: number): number => scores.subarray(i * S, (i + 1) * S).filter(Number.isFinite).length;
  expect([seen(right, 0), seen(right, L - 1)]).toEqual([S - L + 1, S]);
  expect([seen(wrong, 0), seen(wrong, L - 1)]).toEqual([1, L]);
});

test('bucket: wrong, the diagonal loses its own number and the farthest keys have the first of the other direction', () => {
  const { settings, right, wrong } = made('bucket', { ...DEFAULTS, asked: { H: 4, D: 16, L: 200, S: 200 } });
  const { S } = settings.asked;
  const [own, other] = [right.added, wrong.added];
  expect(other[0]).toBeCloseTo(own[S] as number, 6); // distance 0 reads what is one token back
  expect(other[190 * S]).toBeGreaterThan((own[190 * S] as number) + 3);
  expect(Math.abs(other[190 * S] as number)).toBeLessThan(0.5);
});

test('slopes: wrong, the last of 6 heads falls by 1/256 a token, right by 1/8', () => {
  const { settings, right, wrong } = made('slopes');
  expect(settings.head).toBe(5);
  const slope = ({ added }: Pictures): number => -(added[100 * settings.asked.S] as number) / 100;
  expect(slope(right)).toBeCloseTo(1 / 8, 6);
  expect(slope(wrong)).toBeCloseTo(1 / 256, 6);
});

test('scaling: wrong, the curve is pressed together by the factor', () => {
  const { settings, right, wrong } = made('scaling');
  for (const distance of [0, 3, 10, 30]) expect(at(wrong, settings, distance)).toBeCloseTo(at(right, settings, 4 * distance), 4);
});

test('a mistake of a scheme ends when another scheme is chosen', () => {
  const { settings } = made('bucket');
  expect(withFirst(settings, choose('rotary')).mistake).toBe('none');
  expect(withFirst(settings, choose('t5', { buckets: 16 })).mistake).toBe('bucket');
});

test('a mistake ends where its words are no longer true', () => {
  const begun = (name: string): Settings => made(name).settings;
  const ends = (settings: Settings): boolean => fitting(settings).mistake === 'none';
  for (const { name } of mistakes) expect(ends(begun(name))).toBe(false);
  expect(ends({ ...begun('causal'), causal: false })).toBe(true);
  expect(ends({ ...begun('bucket'), first: choose('t5', { directions: 'one' }) })).toBe(true);
  expect(ends({ ...begun('scaling'), first: choose('rotary', { scaling: 'yarn' }) })).toBe(true);
  expect(ends({ ...begun('halves'), first: choose('rotary', { layout: 'pairs' }) })).toBe(true);
  expect(ends({ ...begun('slopes'), first: choose('alibi', { maxBias: 4 }) })).toBe(true);
});

test.each(mistakes)('an address that names no scheme shows $name; one that names another scheme shows that', ({ name }) => {
  const shown = readFitting({ mistake: name, L: '24', S: '48' });
  expect(shown.mistake).toBe(name);
  expect(shown.asked).toMatchObject({ L: 24, S: 48 });
  expect(requestOf(shown).sides.map(({ title }) => title)).toEqual(['right', 'wrong']);
  const other = readFitting({ mistake: name, a: 'swin', L: '24' });
  expect([other.first.name, other.mistake]).toEqual(['swin', 'none']);
  expect(picturesOf(engine, requestOf(other)).length).toBe(1);
});

test('where a mistake changes nothing, that is said, and so it is', () => {
  const cases: Settings[] = [
    withSizes(made('slopes').settings, { H: 8 }),
    withSizes(made('slopes').settings, { H: 1 }),
    withSizes(made('causal').settings, { L: 64, S: 64 }),
    { ...made('scaling').settings, first: choose('rotary', { scaling: 'linear', factor: 1 }) },
    { ...made('halves').settings, inputs: { ...made('halves').settings.inputs, shared: 'ones' } },
  ];
  for (const settings of cases) {
    const mistake = findMistake(settings.mistake);
    expect(mistake?.fits(settings)).toBe(true);
    expect(mistake?.same?.(settings)).toMatch(/same/);
    const [right, wrong] = picturesOf(engine, requestOf(settings)) as [Pictures, Pictures];
    const apart = right.probabilities.reduce((most, x, n) => Math.max(most, Math.abs(x - (wrong.probabilities[n] as number))), 0);
    expect(apart, settings.mistake).toBeLessThan(1e-6);
  }
  for (const { name, same } of mistakes) expect(same?.(made(name).settings)).toBeUndefined();
});

test('settings come back from the address as they went', () => {
  const all: Settings[] = [
    DEFAULTS,
    ...mistakes.map((one) => ({ ...one.start(DEFAULTS), mistake: one.name })),
    {
      first: choose('kerple', { kind: 'power', p: 0.5 }),
      second: choose('swin', { fall: 0.1 }),
      view: 'difference',
      mistake: 'none',
      asked: { H: 3, D: 48, L: 77, S: 99 },
      head: 2,
      causal: false,
      left: 12,
      softcap: 30,
      inputs: { shared: 'seeded', spread: 1, size: 2, seed: 7 },
      query: 11,
      key: 31,
    },
  ];
  for (const settings of all) {
    const words = Object.entries(writeSettings(settings)).filter(([, word]) => word !== undefined);
    const address = Object.fromEntries(words) as Record<string, string>;
    expect(readSettings(address)).toEqual(settings);
    expect(readFitting(address)).toEqual(settings);
  }
});

test('sizes keep one another: no fewer keys than queries, head and query within', () => {
  const settings = { ...DEFAULTS, asked: { H: 8, D: 64, L: 100, S: 100 }, head: 7, query: 99 };
  expect(withSizes(settings, { L: 50 })).toMatchObject({ asked: { L: 50, S: 50 }, query: 49 });
  expect(withSizes(settings, { S: 120 })).toMatchObject({ asked: { L: 100, S: 120 }, query: 99 });
  expect(withSizes(settings, { S: 20 })).toMatchObject({ asked: { L: 20, S: 20 }, query: 19 });
  expect(withSizes({ ...settings, asked: { ...settings.asked, S: 120 } }, { L: 110 })).toMatchObject({ asked: { L: 110, S: 120 } });
  expect(withSizes(settings, { H: 2 })).toMatchObject({ asked: { H: 2 }, head: 1 });
});

test('windows with and without a class token have no size in common, and that is said', () => {
  const settings = { ...withFirst(DEFAULTS, choose('swin')), second: choose('beit') };
  expect(obstacle(settings)).toContain('class token');
  expect(requestOf(settings).sides.length).toBe(1);
  expect(obstacle({ ...settings, second: choose('rotary') })).toBeUndefined();
  expect(requestOf({ ...settings, second: choose('rotary') }).sides.length).toBe(2);
});
