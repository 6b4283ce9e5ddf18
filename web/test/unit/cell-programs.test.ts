// The programs that the panel gives out: each is checked by the compiler and run by Node with the built package, and must give the panel's numbers.
import { createEngineSync } from 'relpos';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programOf } from '../../src/panels/cell/code.ts';
import { makeExplainer } from '../../src/panels/cell/explain.ts';
import { problemOf } from '../../src/panels/cell/problem.ts';
import { readSettings, type Settings } from '../../src/panels/cell/settings.ts';
import type { Explanation } from '../../src/panels/cell/types.ts';
import { descriptions } from '../../src/schemes/describe.ts';
import { runPrograms } from './programs.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const cases: readonly (readonly [string, Settings])[] = [
  ...descriptions.map(({ name }): [string, Settings] => [name, readSettings({ a: name, halves: '1', L: '12', S: '17', i: '9', j: '3' })]),
  [
    'everything',
    readSettings({ a: 'transformerXL', halves: '1', causal: 'yes', window: '12', softcap: '3', sink: '0.5', head: '3', i: '8', j: '5' }),
  ],
  ['a hidden key', readSettings({ a: 'alibi', causal: 'yes', i: '3', j: '9' })],
];

/** What a program prints. */
interface Printed {
  readonly head: number;
  readonly i: number;
  readonly j: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly score: number | null;
  readonly lse: number;
  readonly probability: number;
}

const addresses = 'http://localhost/';
let shown: readonly Explanation[];
let printed: readonly (readonly unknown[])[];

beforeAll(() => {
  shown = cases.map(([, settings]) => {
    const owned: { dispose(): void }[] = [];
    const { i, j, block } = settings;
    const explainer = makeExplainer(engine, problemOf(engine, settings, owned));
    const cell = explainer.explain({ i, j, block });
    explainer.dispose();
    for (const one of owned) one.dispose();
    return cell;
  });
  const texts = cases.map(([, settings], n) =>
    programOf({ asked: settings, cell: shown[n] as Explanation, halves: settings.halves, address: addresses }),
  );
  printed = runPrograms(texts);
}, 120_000);

const sumOf = (list: readonly { readonly value: number }[]): number => list.reduce((a, { value }) => a + value, 0);

describe.each(cases.map(([name], n) => [name, n] as const))('%s', (_, n) => {
  test('the program gives what the panel shows', () => {
    const [, { i, j, head }] = cases[n] as [string, Settings];
    const { parts, softmax, halves } = shown[n] as Explanation;
    const [first, second] = printed[n] as [Printed, { merged: number; lse: number } | undefined];
    expect(first).toMatchObject({ head, i, j, probability: softmax.probability, lse: softmax.lse });
    if (softmax.probability === 0) expect(first.score).toBeNull();
    else expect(Math.abs((first.score as number) - parts.score)).toBeLessThan(1e-5);
    const ofKind = (kind: 'query' | 'key'): number | undefined => {
      const terms = parts.terms.filter((term) => term.kind === kind);
      return terms.length ? sumOf(terms) : undefined;
    };
    const wanted = {
      content: parts.content,
      contentBias: parts.contentBias,
      queryTerms: ofKind('query'),
      keyTerms: ofKind('key'),
      bias: parts.biases.length ? sumOf(parts.biases) : undefined,
      softcap: parts.capped,
    };
    const there = Object.entries(wanted).filter(([, value]) => value !== undefined) as [string, number][];
    expect(Object.keys(first.parts).sort()).toEqual(there.map(([name]) => name).sort());
    for (const [name, value] of there) expect(Math.abs((first.parts[name] as number) - value), name).toBeLessThan(1e-5);
    expect(second === undefined).toBe(halves === undefined || !(cases[n] as [string, Settings])[1].halves);
    if (second) expect(second).toEqual({ merged: halves?.probability, lse: halves?.lse });
  });
});
