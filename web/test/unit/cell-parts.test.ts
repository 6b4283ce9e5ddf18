// Every scheme of the registry: the parts of a score are those of the formula, and add up to the score that the engine computes for the whole.
import * as relpos from 'relpos';
import { afterAll, describe, expect, test } from 'vitest';
import { lengthOf, recipes } from '../../../src/encodings/generated/recipes.ts';
import { registry } from '../../../src/encodings/registry.ts';
import { makeExplainer } from '../../src/panels/cell/explain.ts';
import { problemOf } from '../../src/panels/cell/problem.ts';
import { readSettings } from '../../src/panels/cell/settings.ts';
import type { CallOptions, Explanation, Problem, ScoreParts } from '../../src/panels/cell/types.ts';
import { descriptions } from '../../src/schemes/describe.ts';

const engine = await relpos.createEngine({ threads: 1 });
afterAll(() => engine.dispose());

/** Numbers around 0, the same at every run. */
function seeded(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const H = 4;
const D = 16;
const size = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);

function recipeOf(name: string, options: CallOptions = {}): Problem {
  const recipe = recipes[name];
  if (!recipe) throw new Error(`${name} has no recipe`);
  const L = lengthOf(recipe, 17);
  const makers = {
    engine,
    table: (shape: readonly number[]) => seeded(size(shape), 5),
    weights: (shape: readonly number[]) => seeded(size(shape), 6).map((x) => x / 2),
  };
  const make = (relpos as unknown as Record<string, (...given: unknown[]) => relpos.Encoding>)[name];
  if (!make) throw new Error(`relpos has no ${name}`);
  const encoding = make(recipe.options({ H, L, D }, makers), ...(recipe.arguments ?? []));
  return {
    encodings: [encoding],
    H,
    G: H,
    L,
    S: L,
    D,
    q: seeded(H * L * D, 1),
    k: seeded(H * L * D, 2),
    head: 2,
    options: { ...recipe.attention, ...options },
  };
}

/** The formula with the parts put in, and the size of all that was added: what a rounding of f32 is measured by. */
function addUp({ content, contentBias = 0, terms, capped, sum, context = 0, factors, biases }: ScoreParts): {
  sum: number;
  score: number;
  size: number;
} {
  const added = [content, contentBias, ...terms.map(({ value }) => value)];
  const total = (list: readonly number[]): number => list.reduce((a, x) => a + x, 0);
  const factor = factors.reduce((a, x) => a * x, 1);
  const bias = biases.map(({ value }) => value);
  return {
    sum: total(added),
    score: ((capped ?? sum) + context) * factor + total(bias),
    size: total([...added, context, ...bias].map(Math.abs)) + 1,
  };
}

/** Roundings of f32, each half a unit of the last place: twice what was found over all schemes. */
const ROUNDINGS = { sum: 3, score: 2, dot: 4, probability: 12, halves: 4 };
const bound = (roundings: number, size = 1): number => roundings * 2 ** -24 * size;

function expectClose(what: string, got: number, wanted: number, tolerance: number): void {
  const off = Math.abs(got - wanted);
  expect(off, `${what}: ${got} for ${wanted}, off by ${off}, allowed ${tolerance}`).toBeLessThanOrEqual(tolerance);
}

/** Everything about a cell agrees with everything else about it. */
function expectWhole({ parts, softmax, vectors, hiddenBy, halves, j }: Explanation): void {
  const { sum, score, size } = addUp(parts);
  expectClose('content', parts.content, parts.dot * parts.scale, bound(ROUNDINGS.sum, size));
  expectClose('sum', parts.sum, sum, bound(ROUNDINGS.sum, size));
  for (const term of parts.terms) expectClose('term', term.value, term.scale * term.dot, bound(ROUNDINGS.sum, size));
  const products = vectors.products.reduce((a, x) => a + x, 0);
  // What the product of two vectors is rounded by grows with all that is added, which the sum may be far below.
  const productSize = vectors.products.reduce((a, x) => a + Math.abs(x), 0);
  expectClose('dot', parts.dot, products, bound(ROUNDINGS.dot, productSize));
  const last = softmax.blocks.at(-1);
  if (hiddenBy.length) {
    expect(softmax.probability).toBe(0);
    expect(softmax.scores[j]).toBe(Number.NEGATIVE_INFINITY);
  } else {
    expectClose('score', parts.score, score, bound(ROUNDINGS.score, size));
    expect(softmax.scores[j]).toBe(parts.score);
    const probability = Math.exp(parts.score - softmax.max) / softmax.sum;
    const range = Math.abs(softmax.max) + size;
    expectClose('probability', softmax.probability / probability, 1, bound(ROUNDINGS.probability, range));
  }
  if (softmax.max === Number.NEGATIVE_INFINITY) expect(softmax.lse).toBe(softmax.sink?.logit ?? Number.NEGATIVE_INFINITY);
  else
    expectClose(
      'log-sum-exp',
      softmax.lse,
      softmax.max + Math.log(softmax.sum),
      bound(ROUNDINGS.probability, Math.abs(softmax.max) + size),
    );
  let running = 0;
  for (const { added, rescale, sum: after } of softmax.blocks) {
    running = running * rescale + added;
    expectClose('running sum', after, running, bound(ROUNDINGS.probability, running * (Math.abs(softmax.max) + size)));
  }
  expect(last?.max).toBe(softmax.max);
  if (halves) {
    const weighted = halves.parts.reduce((a, { weight, probability }) => a + weight * probability, 0);
    expectClose('halves', halves.probability, softmax.probability, bound(ROUNDINGS.halves));
    const weights = halves.parts.reduce((a, { weight }) => a + weight, halves.sink ?? 0);
    if (halves.lse !== Number.NEGATIVE_INFINITY) expectClose('weights', weights, 1, bound(ROUNDINGS.probability, Math.abs(halves.lse) + 1));
    expectClose('weighted', halves.probability, weighted, bound(ROUNDINGS.probability, Math.abs(halves.lse) + 1));
  }
}

/** Corners, the diagonal and its neighbours. */
function cellsOf({ L, S }: Problem): readonly (readonly [number, number])[] {
  return [
    [0, 0],
    [L - 1, 0],
    [L >> 1, S >> 2],
    [3, 4],
    [L - 1, S - 1],
  ];
}

function explainAll(problem: Problem): Explanation[] {
  const explainer = makeExplainer(engine, problem);
  try {
    return cellsOf(problem).map(([i, j]) => explainer.explain({ i, j, block: 4 }));
  } finally {
    explainer.dispose();
  }
}

const sinks = [0.5, -1, 1, 2];

describe.each(registry.map(({ name }) => name))('%s', (name) => {
  test.each<[string, CallOptions]>([
    ['as it is', {}],
    ['with a softcap', { softcap: 2 }],
    ['in a window, with sinks', { causal: true, window: { left: 6 }, sinks }],
    ['with a scale of its own', { scale: 0.7 }],
  ])('%s', (_, options) => {
    const problem = recipeOf(name, options);
    const { used } = engine.memoryUsage();
    for (const one of explainAll(problem)) expectWhole(one);
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(used);
  });
});

describe.each(descriptions.map(({ name }) => name))('%s, as the page has it', (name) => {
  test.each([{}, { L: '9', S: '20', causal: 'yes', window: '7', softcap: '4', sink: '1', i: '5', j: '11' }])('%j', (words) => {
    const owned: { dispose(): void }[] = [];
    const settings = readSettings({ a: name, ...words });
    for (const one of explainAll(problemOf(engine, settings, owned))) expectWhole(one);
    for (const one of owned) one.dispose();
  });
});

describe('what is found in a cell', () => {
  test('rotary turns by the place, and the product is that of the turned', () => {
    const problem = recipeOf('rotary');
    const [, , one] = explainAll(problem);
    expect(one?.vectors.qHat).not.toEqual(one?.vectors.q);
    const length = (x: Float32Array | undefined): number => Math.hypot(...(x ?? []));
    expectClose('length', length(one?.vectors.qHat), length(one?.vectors.q), 1e-6);
  });

  test('fewer queries than keys stand at the end of them', () => {
    const whole = recipeOf('rotary', { causal: true });
    const problem = { ...whole, L: 5, q: seeded(H * 5 * D, 3) };
    const list = explainAll(problem);
    for (const one of list) expectWhole(one);
    expect(list.map(({ offset, hiddenBy }) => [offset, hiddenBy])).toEqual([
      [-12, []],
      [-16, []],
      [-10, []],
      [-11, []],
      [0, []],
    ]);
  });

  test('key heads that queries share', () => {
    const whole = recipeOf('alibi');
    const one = explainAll({ ...whole, G: 2, k: seeded(2 * whole.S * D, 3) })[0];
    if (!one) throw new Error('nothing was explained');
    expect(one.keyHead).toBe(1);
    expectWhole(one);
  });

  test('what hides a key is named', () => {
    const explainer = makeExplainer(engine, recipeOf('alibi', { causal: true, window: { left: 2 } }));
    const by = (i: number, j: number): readonly string[] => explainer.explain({ i, j, block: 4 }).hiddenBy;
    expect([by(5, 6), by(5, 2), by(5, 3), by(5, 5)]).toEqual([['causal'], ['window'], [], []]);
    explainer.dispose();
  });

  test('the parts of Transformer-XL: content, u, and rows of the table with w', () => {
    const { parts, vectors } = explainAll(recipeOf('transformerXL'))[2] as Explanation;
    expect(vectors.u).toHaveLength(D);
    expect(parts.contentBias).not.toBe(0);
    expect(parts.terms).toHaveLength(1);
    expect(parts.terms[0]).toMatchObject({ kind: 'query', scale: parts.scale });
    expect(parts.terms[0]?.w).toHaveLength(D);
  });

  test('contextual positions count all visible keys: they cannot be split, and a hidden key has none', () => {
    const list = explainAll(recipeOf('cope'));
    expect(list.map(({ halves }) => halves)).toEqual([undefined, undefined, undefined, undefined, undefined]);
    expect(list.map(({ parts }) => parts.context === undefined)).toEqual([false, false, false, true, false]);
  });

  test('a key of contextual positions that is far below the others has a probability of 0, and of its score nothing is known', () => {
    const whole = recipeOf('cope');
    const explainer = makeExplainer(engine, { ...whole, q: whole.q.map((x) => 400 * x) });
    const { probabilities, scores } = explainer.matrix;
    const row = 10;
    const S = whole.S;
    const zero = [...probabilities.subarray(row * S, row * S + row)].indexOf(0);
    expect(zero).toBeGreaterThanOrEqual(0);
    expect(scores[row * S + zero]).toBeNaN();
    const { softmax, parts, hiddenBy } = explainer.explain({ i: row, j: zero, block: 4 });
    expect({ hiddenBy, score: parts.score, probability: softmax.probability, own: softmax.own }).toEqual({
      hiddenBy: [],
      score: Number.NaN,
      probability: 0,
      own: 0,
    });
    expectClose('log-sum-exp', softmax.lse, softmax.max + Math.log(softmax.sum), bound(ROUNDINGS.probability, Math.abs(softmax.max) + 1));
    explainer.dispose();
  });

  test('what does not fit together is refused and leaves nothing behind', () => {
    const { used } = engine.memoryUsage();
    expect(() => makeExplainer(engine, { ...recipeOf('alibi'), H: 8, G: 8, q: seeded(8 * 17 * D, 1), k: seeded(8 * 17 * D, 2) })).toThrow(
      RangeError,
    );
    expect(engine.memoryUsage().used).toBe(used);
  });
});
