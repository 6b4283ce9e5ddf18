// The programs that the panel gives out: each is checked by the compiler and run by Node with the built package, and must give the panel's numbers.
import { createEngineSync, type Engine } from 'relpos';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programOf } from '../../src/panels/schemes/code.ts';
import { mistakes } from '../../src/panels/schemes/mistakes.ts';
import { picturesOf } from '../../src/panels/schemes/pictures.ts';
import { requestOf } from '../../src/panels/schemes/request.ts';
import { DEFAULTS, type Settings, withFirst } from '../../src/panels/schemes/settings.ts';
import { choose, descriptions } from '../../src/schemes/describe.ts';
import { runPrograms } from './programs.ts';

const small: Settings = { ...DEFAULTS, asked: { H: 4, D: 32, L: 30, S: 40 }, head: 2, query: 21 };

const cases: readonly (readonly [string, Settings])[] = [
  ...descriptions.map(({ name }): [string, Settings] => [name, withFirst(small, choose(name))]),
  ...mistakes.map((one): [string, Settings] => [`mistake ${one.name}`, { ...one.start(small), mistake: one.name }]),
  ['two', { ...small, second: choose('t5'), causal: true, left: 12, softcap: 20 }],
  ['the same twice', { ...withFirst(small, choose('t5')), second: choose('t5', { buckets: 16 }) }],
  ['llama 3', withFirst(small, choose('rotary', { scaling: 'llama3', part: 0.5 }))],
  ['longrope', withFirst(small, choose('rotary', { scaling: 'longrope', trained: 16 }))],
];

let printed: readonly { name: string; query: number; probabilities: number[]; scores: (number | null)[] }[][];
const engine: Engine = createEngineSync();

beforeAll(() => {
  const texts = cases.map(([, settings]) => programOf(requestOf(settings), settings.query, 'http://localhost/'));
  printed = runPrograms(texts) as typeof printed;
}, 120_000);

afterAll(() => engine.dispose());

test.each(cases.map(([name], n) => [name, n] as const))('%s: the program gives what the panel shows', (_, n) => {
  const [, settings] = cases[n] as [string, Settings];
  const request = requestOf(settings);
  const pictures = picturesOf(engine, request);
  const results = printed[n] ?? [];
  expect(results.map(({ name }) => name)).toEqual(request.sides.map(({ title }) => title));
  const { S } = request.sizes;
  results.forEach(({ query, probabilities, scores }, side) => {
    const shown = pictures[side] as (typeof pictures)[0];
    const row = (values: Float32Array): number[] => [...values.subarray(query * S, (query + 1) * S)];
    expect(probabilities).toEqual(row(shown.probabilities));
    row(shown.scores).forEach((score, j) => {
      const own = scores[j];
      if (own === null || own === undefined) expect(shown.probabilities[query * S + j]).toBe(0);
      else expect(Math.abs(own - score)).toBeLessThan(1e-4);
    });
  });
});
