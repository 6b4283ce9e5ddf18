/** T5's buckets: the lists of the originals, and every offset to 4000 against whole-number thresholds. */
import { afterAll, describe, expect, test } from 'vitest';
import { t5Bucket } from '../../src/encodings/t5.ts';
import { type Arithmetic, createEngineSync, defineEncoding } from '../../src/index.ts';
import { bucketTable } from './formulas.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** The engine's own functions, as a scheme sees them. */
function arithmetic(): Arithmetic {
  let found: Arithmetic | undefined;
  const spy = defineEncoding({
    name: 'spy',
    lower({ math }) {
      found = math;
      return {};
    },
  });
  const one = engine.tensor([1, 1, 1, 4]);
  engine.attentionSync(one, one, one, { encoding: spy });
  return found as Arithmetic;
}

const math = arithmetic();
const REACH = 4000;

test.each([
  [-7, 7],
  [-8, 8],
  [-12, 9],
  [-16, 10],
  [-64, 14],
  [-91, 15],
  [1, 17],
  [8, 24],
  [64, 30],
  [128, 31],
])('both ways, 32 buckets to 128: offset %d has bucket %d', (offset, bucket) => {
  expect(t5Bucket(offset, 32, 128, true, math)).toBe(bucket);
});

test.each([
  [-15, 15],
  [-16, 16],
  [-19, 17],
  [-31, 21],
  [-32, 21],
  [-64, 26],
  [-113, 31],
  [0, 0],
  [1, 0],
  [500, 0],
])('one way, 32 buckets to 128: offset %d has bucket %d', (offset, bucket) => {
  expect(t5Bucket(offset, 32, 128, false, math)).toBe(bucket);
});

/** Buckets and distance of models; then some with thresholds on whole numbers, where a logarithm a little too small would miss them. */
const MODELS = [
  [32, 128],
  [32, 100],
  [320, 800],
  [64, 256],
  [512, 2048],
  [24, 40],
  [20, 30],
  [12, 20],
  [8, 10],
];
const WHOLE = [
  [9, 128],
  [18, 128],
  [7, 30000],
  [8, 324],
  [16, 648],
  [40, 1000],
  [40, 100000],
  [20, 10000],
  [12, 2187],
  [4, 2],
  [4, 1000],
  [5, 7],
  [33, 4096],
  [256, 4000],
];

describe.each([true, false])('bidirectional %s', (bidirectional) => {
  test.each([...MODELS, ...WHOLE])('%d buckets to %d: every offset', (buckets, maxDistance) => {
    const expected = bucketTable(buckets as number, maxDistance as number, bidirectional, REACH);
    const wrong: [number, number][] = [];
    for (let offset = -REACH; offset <= REACH; offset++) {
      const bucket = t5Bucket(offset, buckets as number, maxDistance as number, bidirectional, math);
      if (bucket !== expected(offset)) wrong.push([offset, bucket]);
    }
    expect(wrong).toEqual([]);
  });
});
