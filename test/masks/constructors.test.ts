/** Every constructor against its formula. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  and,
  causalMask,
  chunked,
  createEngineSync,
  defineMask,
  documents,
  keyPadding,
  type Mask,
  neighbourhood,
  not,
  or,
  prefixLM,
  slidingWindow,
} from '../../src/index.ts';
import { expectMask, type Sees } from './support.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 37, S: 37, D: 12, E: 10 };
const short = { ...sizes, L: 9, S: 230 };
const ids = Array.from({ length: 37 }, (_, n) => [0, 0, 3, 3, 3, 1, 0][n % 7] ?? 0);
const two = [...ids, ...ids.map((id) => (id + 1) % 3)];
const within = (x: number, low: number, high: number): boolean => low <= x && x <= high;

const CASES: readonly [string, Mask, Sees][] = [
  ['causalMask', causalMask(), ({ p, j }) => j <= p],
  ['causalMask with an offset', causalMask({ offset: -3 }), ({ i, j }) => j <= i - 3],
  ['slidingWindow', slidingWindow({ left: 5, right: 2 }), ({ p, j }) => within(j, p - 5, p + 2)],
  ['slidingWindow of one side', slidingWindow({ left: 4 }), ({ p, j }) => j >= p - 4],
  ['prefixLM', prefixLM({ lengths: [5, 0] }), ({ b, p, j }) => j < (b ? 0 : 5) || j <= p],
  ['prefixLM of one length', prefixLM({ lengths: 8 }), ({ p, j }) => j < 8 || j <= p],
  ['documents', documents({ keys: ids }), ({ p, j }) => ids[p] === ids[j]],
  ['documents per batch row', documents({ keys: two }), ({ b, p, j }) => two[b * 37 + p] === two[b * 37 + j]],
  ['documents, queries of their own', documents({ keys: ids, queries: two }), ({ b, i, j }) => two[b * 37 + i] === ids[j]],
  ['documents nobody has', documents({ keys: ids, queries: Array(37).fill(9) }), () => false],
  ['keyPadding', keyPadding({ lengths: [30, 0] }), ({ b, j }) => j < (b ? 0 : 30)],
  ['keyPadding on the left', keyPadding({ lengths: [30, 4], side: 'left' }), ({ b, j }) => j >= 37 - (b ? 4 : 30)],
  ['keyPadding of queries too', keyPadding({ lengths: 30, queryLengths: [3, 37] }), ({ b, i, j }) => j < 30 && i < (b ? 37 : 3)],
  [
    'keyPadding of queries on the left too',
    keyPadding({ lengths: 30, queryLengths: [3, 37], side: 'left' }),
    ({ b, i, j }) => j >= 7 && i >= (b ? 0 : 34),
  ],
  ['chunked', chunked({ size: 8 }), ({ p, j }) => Math.floor(p / 8) === Math.floor(j / 8)],
  [
    'chunked with a left context',
    chunked({ size: 8, leftContext: 11 }),
    ({ p, j }) => within(j, Math.floor(p / 8) * 8 - 11, Math.floor(p / 8) * 8 + 7),
  ],
  ['chunked with all to the left', chunked({ size: 8, leftContext: Infinity }), ({ p, j }) => j <= Math.floor(p / 8) * 8 + 7],
  [
    // transformers' chunked_overlay: (kv − left_padding[b]) // size == (q − left_padding[b]) // size
    'chunked with a start per batch row',
    chunked({ size: 8, starts: [0, 13] }),
    ({ b, p, j }) => Math.floor((p - 13 * b) / 8) === Math.floor((j - 13 * b) / 8),
  ],
  [
    'chunked with one start and a left context',
    chunked({ size: 5, starts: 3, leftContext: 5 }),
    ({ p, j }) => [0, 1].includes(Math.floor((p - 3) / 5) - Math.floor((j - 3) / 5)),
  ],
  [
    'defineMask',
    defineMask({
      name: 'streaming',
      intervals: (p) => [
        [p - 2, p + 1],
        [0, 4],
        [-9, 1],
        [1, 2],
      ],
    }),
    ({ p, j }) => j < 4 || within(j, p - 2, p),
  ],
  [
    'defineMask per batch row',
    defineMask({ name: 'odd', batched: true, intervals: (_, { batch, keys }) => [[batch ? 3 : keys - 3, Infinity]] }),
    ({ b, j }) => j >= (b ? 3 : 34),
  ],
  ['defineMask of nothing', defineMask({ name: 'none', intervals: () => [] }), () => false],
  ['and', and(causalMask(), documents({ keys: ids })), ({ p, j }) => j <= p && ids[p] === ids[j]],
  [
    'or',
    or(chunked({ size: 5 }), slidingWindow({ left: 1, right: 1 })),
    ({ p, j }) => Math.abs(p - j) < 2 || Math.floor(p / 5) === Math.floor(j / 5),
  ],
  ['not', not(documents({ keys: two })), ({ b, p, j }) => two[b * 37 + p] !== two[b * 37 + j]],
  ['not of everything', not(slidingWindow({})), () => false],
];

describe('against the formula', () => {
  test.each(CASES)('%s', async (_, mask, sees) => {
    await expectMask(engine, mask, sees, sizes);
  });

  test('fewer queries than keys stand at the end', async () => {
    await expectMask(
      engine,
      and(causalMask(), chunked({ size: 100 })),
      ({ p, j }) => j <= p && Math.floor(j / 100) === Math.floor(p / 100),
      short,
    );
    const many = Array.from({ length: 230 }, (_, n) => Math.floor(n / 13) % 4);
    await expectMask(engine, documents({ keys: many }), ({ p, j }) => many[p] === many[j], short);
  });

  test('more queries than keys: the first ones stand before key 0', async () => {
    const tall = { ...sizes, L: 40, S: 20 };
    await expectMask(engine, slidingWindow({ left: 3, right: 1 }), ({ p, j }) => within(j, p - 3, p + 1), tall);
    await expectMask(engine, chunked({ size: 6 }), ({ p, j }) => Math.floor(p / 6) === Math.floor(j / 6), tall);
  });

  test('a mask is bound by causal, window and keyLengths too', async () => {
    const options = { causal: true, window: { left: 20 }, keyLengths: [37, 12] };
    const sees: Sees = ({ b, p, j }) => ids[p] !== ids[j] && within(j, p - 20, p) && j < (b ? 12 : 37);
    await expectMask(engine, not(documents({ keys: ids })), sees, sizes, options);
  });
});

describe('neighbourhood', () => {
  const grid = { ...sizes, L: 42, S: 42 };
  const at = (p: number): [number, number] => [Math.floor(p / 7), p % 7];

  test.each([
    [2, 1],
    [0, 0],
    [1, 9],
    [6, 6],
  ])('radius %d, %d', async (up, side) => {
    const sees: Sees = ({ p, j }) => Math.abs(at(p)[0] - at(j)[0]) <= up && Math.abs(at(p)[1] - at(j)[1]) <= side;
    await expectMask(engine, neighbourhood({ grid: [6, 7], radius: [up, side] }), sees, grid);
  });

  test('shifted at the border: as many keys for every query', async () => {
    const centre = (x: number, n: number): number => Math.min(Math.max(x, 1), n - 2);
    const near = (x: number, y: number, n: number): boolean => Math.abs(centre(x, n) - y) <= 1;
    const sees: Sees = ({ p, j }) => near(at(p)[0], at(j)[0], 6) && near(at(p)[1], at(j)[1], 7);
    await expectMask(engine, neighbourhood({ grid: [6, 7], radius: 1, border: 'shift' }), sees, grid);
  });

  test('positions beyond the grid see nothing and are seen by none', async () => {
    const sees: Sees = ({ p, j }) =>
      p < 36 && j < 36 && Math.abs(Math.floor(p / 6) - Math.floor(j / 6)) <= 1 && Math.abs((p % 6) - (j % 6)) <= 1;
    await expectMask(engine, neighbourhood({ grid: 6, radius: 1 }), sees, grid);
  });
});

describe('wrong arguments', () => {
  const q = engine.tensor([2, 4, 37, 12]);
  const call = (mask: unknown) => () => engine.attentionSync(q, q, q, { mask: mask as Mask });

  test.each<[string, () => unknown, RegExp]>([
    ['a size of 0', () => chunked({ size: 0 }), /chunked: "size" expected an integer/],
    [
      'a negative left context',
      () => chunked({ size: 4, leftContext: -1 }),
      /chunked: "leftContext" expected an integer in 0 … 1073741824, got -1/,
    ],
    ['a negative start', () => chunked({ size: 4, starts: [0, -1] }), /chunked: "starts\[1\]" expected an integer/],
    ['a start too few', call(chunked({ size: 4, starts: [1] })), /mask \(chunked\) starts" expected B=2 starts, got 1/],
    ['a negative side', () => slidingWindow({ left: -1 }), /slidingWindow: "left"/],
    ['a misspelt option', () => slidingWindow({ lft: 1 } as object), /has no "lft"/],
    ['no lengths', () => prefixLM({} as { lengths: number }), /prefixLM: "lengths"/],
    ['a length too few', call(prefixLM({ lengths: [1] })), /mask \(prefixLM\) lengths" expected B=2 lengths, got 1/],
    ['ids that do not fit', call(documents({ keys: [1, 2] })), /documents\) keys" expected \[S=37\] or \[B=2, S=37\] numbers, got 2/],
    ['an id that is no integer', () => documents({ keys: [0.5] }), /documents: "keys\[0\]"/],
    ['an interval that is none', call(defineMask({ name: 'x', intervals: () => [[0.5, 2]] })), /mask \(x\)" expected intervals/],
    ['a mask that is none', call('causal'), /"mask" expected a mask such as causalMask\(\), a tensor/],
    ['one of several', call([causalMask(), null]), /"mask\[1\]"/],
    ['and of nothing', () => and(), /and: "masks" expected at least one mask/],
    ['not of a tensor', () => not(q as unknown as Mask), /not: "masks\[0\]" expected a mask/],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });

  test('queries beyond the keys need ids of their own', () => {
    const tall = engine.tensor([1, 1, 5, 8]);
    const k = engine.tensor([1, 1, 3, 8]);
    expect(() => engine.attentionSync(tall, k, k, { mask: documents({ keys: [0, 0, 0] }) })).toThrow(/queries" expected to be given/);
  });
});
