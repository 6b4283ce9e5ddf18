import { createEngineSync, type Engine } from 'relpos';
import { afterAll, expect, test } from 'vitest';
import { registry } from '../../../src/encodings/registry.ts';
import {
  choose,
  descriptionOf,
  descriptions,
  type Param,
  readScheme,
  type SchemeChoice,
  sizesFor,
  writeScheme,
} from '../../src/schemes/describe.ts';
import { encodingOf, scaleOf } from '../../src/schemes/engine.ts';
import { INPUTS, keys, queries, readInputs, writeInputs } from '../../src/schemes/inputs.ts';

const engine: Engine = createEngineSync();
afterAll(() => engine.dispose());

test('every encoding of the library is described, and no other', () => {
  const named = descriptions.map(({ name }) => name).filter((name) => name !== 'none');
  expect(named.toSorted()).toEqual(registry.map(({ name }) => name).toSorted());
});

const ends = (param: Param): readonly (number | string)[] =>
  'words' in param ? param.words.map(([word]) => word) : [param.least, param.most];

/** The choice as it begins, and with every parameter at each of its ends, the others as they begin or with every word chosen. */
function corners(name: string): SchemeChoice[] {
  const first = choose(name);
  const { params } = descriptionOf(first);
  const words = params.flatMap((param) => ('words' in param ? ends(param).map((word) => choose(name, { [param.key]: word })) : []));
  return [first, ...words].flatMap((choice) => [
    choice,
    ...params.flatMap((param) => ends(param).map((value) => choose(name, { ...choice.values, [param.key]: value }))),
  ]);
}

const SIZES = [
  { H: 8, D: 64, L: 40, S: 40 },
  { H: 6, D: 16, L: 20, S: 50 },
  { H: 1, D: 128, L: 4, S: 4 },
];

test.each(descriptions.map(({ name }) => name))('%s runs with every parameter at its ends, and gives what a softmax gives', (name) => {
  for (const asked of SIZES) {
    for (const choice of corners(name)) {
      const sizes = sizesFor(asked, [choice]);
      const { H, D, L, S } = sizes;
      const owned: { dispose(): void }[] = [];
      const encoding = encodingOf(engine, choice, sizes, owned);
      const scale = scaleOf(choice, sizes);
      using q = engine.tensor([1, H, L, D], queries(sizes, INPUTS));
      using k = engine.tensor([1, 1, S, D], keys(sizes, INPUTS));
      using v = engine.tensor([1, 1, S, 1], new Float32Array(S).fill(1));
      using out = engine.attentionSync(q, k, v, {
        causal: descriptionOf(choice).causal ?? false,
        ...(encoding && { encoding }),
        ...(scale !== undefined && { scale }),
      });
      const worst = Math.max(...out.toArray().map((sum) => Math.abs(sum - 1)));
      expect(worst, JSON.stringify([choice, asked])).toBeLessThan(1e-5);
      for (const one of owned) one.dispose();
    }
  }
});

test.each(descriptions.map(({ name }) => name))('%s comes back from the address as it went', (name) => {
  for (const choice of corners(name)) {
    const words = Object.fromEntries(Object.entries(writeScheme(choice, 'a', 'rotary')).filter(([, word]) => word !== undefined));
    expect(readScheme(words as Record<string, string>, 'a', 'rotary')).toEqual(choice);
  }
});

test('a number of an address stands where its slider can', () => {
  const words = { a: 't5', 'a.buckets': '17.3', 'a.maxDistance': '40.5', 'a.fall': '0.333' };
  expect(readScheme(words, 'a', 'rotary')).toEqual(choose('t5', { buckets: 16, maxDistance: 41, fall: 0.33 }));
});

test('what an address says wrongly becomes a default', () => {
  expect(readScheme({ a: 'nothing' }, 'a', 't5')).toEqual(choose('t5'));
  expect(readScheme({ a: 't5', 'a.buckets': '1e9', 'a.directions': 'three', 'a.fall': '' }, 'a', 'rotary')).toEqual(choose('t5'));
  expect(readInputs({ shared: 'x', spread: '-1', size: 'NaN', seed: '2.6' })).toEqual({ ...INPUTS, seed: 3 });
});

test('inputs come back from the address as they went', () => {
  const inputs = { shared: 'slow', spread: 1.5, size: 0.25, seed: 9 } as const;
  expect(readInputs(writeInputs(inputs) as Record<string, string>)).toEqual(inputs);
  expect(writeInputs(INPUTS)).toEqual({});
});

test('windows take the greatest square, with a class token where one scheme has it', () => {
  const asked = { H: 1, D: 16, L: 256, S: 256 };
  expect(sizesFor(asked, [choose('swin')])).toMatchObject({ L: 256, S: 256, side: 16 });
  expect(sizesFor(asked, [choose('rotary'), choose('beit')])).toMatchObject({ L: 226, S: 226, side: 15 });
  expect(sizesFor({ ...asked, L: 100, S: 10 }, [choose('alibi')])).toMatchObject({ L: 100, S: 100 });
});
