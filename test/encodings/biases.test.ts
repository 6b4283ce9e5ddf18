/** Schemes that add to the scores, against their formulas in f64: awkward sizes, grouped heads, decoding steps, shards of the keys. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  alibi,
  cpmAnt,
  createEngineSync,
  defineEncoding,
  type Encoding,
  fire,
  kerple,
  layoutLMv3,
  mpnet,
  sandwich,
  t5,
  wavlm,
} from '../../src/index.ts';
import { attend, upload } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { attention, type Point, type Sizes } from '../reference/attention.ts';
import { distance, draw, expectAccurate, halfUnit } from '../reference/tolerance.ts';
import { bucketTable } from './formulas.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const H = 4;
/** The whole, a step of three, and one of one; the longest has several key blocks. */
const SIZES: readonly Sizes[] = [
  { B: 2, H, G: 2, L: 19, S: 19, D: 20, E: 12 },
  { B: 2, H, G: 4, L: 3, S: 47, D: 24, E: 8 },
  { B: 1, H, G: 1, L: 1, S: 210, D: 16, E: 5 },
  { B: 1, H, G: 2, L: 131, S: 131, D: 8, E: 8 },
];

/** A scheme for one call, and its bias there as a formula; `p` is the query's position. */
interface Case {
  readonly encoding: Encoding;
  readonly bias: (at: Point & { readonly p: number }) => number;
}

/** Whole numbers in 0 … below − 1. */
const whole = (count: number, below: number, seed: number): Int32Array =>
  Int32Array.from(numbers(count, seed), (x) => Math.floor(((x + 1) / 2) * below));
const at = (list: ArrayLike<number>, n: number): number => list[n] as number;

const CASES: Record<string, (sizes: Sizes) => Case> = {
  alibi: () => {
    const slopes = [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8];
    return { encoding: alibi({ heads: H }), bias: ({ h, p, j }) => -at(slopes, h) * Math.abs(p - j) };
  },
  'alibi, another largest bias': () => {
    const slopes = [2 ** -1, 2 ** -2, 2 ** -3, 2 ** -4];
    return { encoding: alibi({ heads: H, maxBias: 4 }), bias: ({ h, p, j }) => -at(slopes, h) * Math.abs(p - j) };
  },
  'alibi, own slopes': () => {
    const slopes = numbers(H, 1);
    return { encoding: alibi({ heads: H, slopes }), bias: ({ h, p, j }) => -at(slopes, h) * Math.abs(p - j) };
  },
  mpnet: () => {
    const table = numbers(32 * H, 2);
    const bucket = bucketTable(32, 128, true, 300);
    return { encoding: mpnet({ heads: H, table }), bias: ({ h, p, j }) => at(table, bucket(j - p) * H + h) };
  },
  't5 over whole coordinates': ({ B, S }) => {
    const table = numbers(16 * H, 3);
    const positions = whole(B * S, 60, 4);
    const bucket = bucketTable(16, 40, true, 100);
    return {
      encoding: t5({ heads: H, buckets: 16, maxDistance: 40, bidirectional: true, table, positions }),
      bias: ({ b, h, p, j }) => at(table, bucket(at(positions, b * S + j) - at(positions, b * S + p)) * H + h),
    };
  },
  't5 over the middles of boxes': ({ S }) => {
    const table = numbers(32 * H, 5);
    // Eighths, so that a hundred times a difference is exact in f64 and often whole.
    const positions = Float32Array.from(whole(S, 16, 6), (x) => x / 8);
    const bucket = bucketTable(32, 100, true, 400);
    return {
      encoding: t5({ heads: H, buckets: 32, maxDistance: 100, bidirectional: true, table, positions, scalingFactor: 100 }),
      bias: ({ h, p, j }) => at(table, bucket(Math.trunc(100 * (at(positions, j) - at(positions, p)))) * H + h),
    };
  },
  't5 over any coordinates, one way': ({ B, S }) => {
    const table = numbers(32 * H, 7);
    const positions = Float64Array.from(numbers(B * S, 8));
    const bucket = bucketTable(32, 128, false, 400);
    return {
      encoding: t5({ heads: H, buckets: 32, maxDistance: 128, bidirectional: false, table, positions, scalingFactor: 37 }),
      bias: ({ b, h, p, j }) => at(table, bucket(Math.trunc(37 * at(positions, b * S + j) - 37 * at(positions, b * S + p))) * H + h),
    };
  },
  layoutLMv3: ({ B, S, D }) => {
    const [line, x, y] = [numbers(32 * H, 9), numbers(64 * H, 10), numbers(64 * H, 11)];
    const bbox = whole(B * S * 4, 1001, 12);
    const positions = whole(B * S, S, 13);
    const near = bucketTable(32, 128, true, 1000);
    const far = bucketTable(64, 256, true, 1000);
    const tables = { relPosBias: line, relPosXBias: x, relPosYBias: y };
    return {
      encoding: layoutLMv3({ heads: H, relPosBins: 32, maxRelPos: 128, rel2dPosBins: 64, maxRel2dPos: 256, ...tables, bbox, positions }),
      bias: ({ b, h, p, j }) => {
        const side = (n: number, column: number): number => at(bbox, (b * S + n) * 4 + column);
        const sum =
          at(line, near(at(positions, b * S + j) - at(positions, b * S + p)) * H + h) +
          at(x, far(side(j, 0) - side(p, 0)) * H + h) +
          at(y, far(side(j, 3) - side(p, 3)) * H + h);
        return sum / Math.sqrt(D);
      },
    };
  },
  'layoutLMv3, as LayoutLMv2, by token': ({ S }) => {
    const [line, x, y] = [numbers(8 * H, 14), numbers(16 * H, 15), numbers(16 * H, 16)];
    const bbox = whole(S * 4, 300, 17);
    const near = bucketTable(8, 10, true, 400);
    const far = bucketTable(16, 50, true, 400);
    const tables = { relPosBias: line, relPosXBias: x, relPosYBias: y };
    return {
      encoding: layoutLMv3({ heads: H, relPosBins: 8, maxRelPos: 10, rel2dPosBins: 16, maxRel2dPos: 50, ...tables, bbox, divided: false }),
      bias: ({ h, p, j }) =>
        at(line, near(j - p) * H + h) +
        at(x, far(at(bbox, 4 * j) - at(bbox, 4 * p)) * H + h) +
        at(y, far(at(bbox, 4 * j + 3) - at(bbox, 4 * p + 3)) * H + h),
    };
  },
  cpmAnt: ({ B, S }) => {
    const [buckets, types] = [24, 5];
    const table = numbers((buckets + types * types) * H, 18);
    const segments = whole(B * S, types - 1, 19).map((x) => x + 1);
    const bucket = bucketTable(buckets, 40, true, 300);
    return {
      encoding: cpmAnt({
        heads: H,
        positionBiasNumBuckets: buckets,
        positionBiasMaxDistance: 40,
        segmentTypes: types,
        table,
        segments,
      }),
      bias: ({ b, h, p, j }) => {
        const [s, t] = [at(segments, b * S + p), at(segments, b * S + j)];
        return at(table, (s === t ? bucket(j - p) : buckets + s * types + t) * H + h);
      },
    };
  },
  wavlm: ({ B, L }) => {
    const width = 6;
    const [input, weight, bias, constant] = [numbers(B * L * H * width, 20), numbers(8 * width, 21), numbers(8, 22), numbers(H, 23)];
    const table = numbers(20 * H, 24);
    const bucket = bucketTable(20, 30, true, 300);
    const gate = (b: number, h: number, i: number): number => {
      const [a, r] = [0, 4].map((first) => {
        let sum = 0;
        for (let n = first; n < first + 4; n++) {
          sum += at(bias, n);
          for (let c = 0; c < width; c++) sum += at(input, ((b * L + i) * H + h) * width + c) * at(weight, n * width + c);
        }
        return 1 / (1 + Math.exp(-sum));
      }) as [number, number];
      return a * (r * at(constant, h) - 1) + 2;
    };
    return {
      encoding: wavlm({ heads: H, numBuckets: 20, maxDistance: 30, table, input, gateWeight: weight, gateBias: bias, gateConst: constant }),
      bias: ({ b, h, i, p, j }) => gate(b, h, i) * at(table, bucket(j - p) * H + h),
    };
  },
  'kerple, log': () => {
    const [p, a] = [
      [0.3, 1.7, -4, 0.9],
      [0.2, 0.001, 0.7, 3],
    ];
    const kept = (list: number[], h: number): number => Math.max(at(list, h), 0.01);
    return {
      encoding: kerple({ heads: H, kind: 'log', biasP: p, biasA: a }),
      bias: (point) => -kept(p, point.h) * Math.log(1 + kept(a, point.h) * Math.abs(point.p - point.j)),
    };
  },
  'kerple, power': () => {
    const [p, a] = [
      [0.3, 1.7, -4, 2.5],
      [0.2, 0.001, 0.7, 0.03],
    ];
    const power = (h: number): number => Math.min(Math.max(at(p, h), 0.01), 2);
    return {
      encoding: kerple({ heads: H, kind: 'power', biasP: p, biasA: a }),
      bias: (point) => -Math.max(at(a, point.h), 0.01) * Math.abs(point.p - point.j) ** power(point.h),
    };
  },
  sandwich: () => ({
    encoding: sandwich({ heads: H, width: 12, theta: 500 }),
    bias: ({ h, p, j }) => {
      const sum = [1, 2, 3, 4, 5, 6].reduce((total, t) => total + Math.cos((p - j) / 500 ** ((2 * t) / 12)), 0);
      return (sum - 6) / ((8 * (h + 1)) / H);
    },
  }),
  'fire, below the threshold': () => fireCase(1000),
  'fire, across the threshold': () => fireCase(11.5),
};

function fireCase(threshold: number): Case {
  const width = 9;
  const [weight1, bias1, weight2, bias2] = [numbers(width, 25), numbers(width, 26), numbers(H * width, 27), numbers(H, 28)];
  const psi = (x: number): number => Math.log(1 + Math.abs(0.3 * x));
  return {
    encoding: fire({ weight1, bias1, weight2, bias2, c: 0.3, threshold }),
    bias: ({ h, p, j }) => {
      const x = psi(p - j) / (psi(Math.max(threshold, p)) + 1e-6);
      let sum = at(bias2, h);
      for (let u = 0; u < width; u++) sum += at(weight2, h * width + u) * Math.max(0, at(weight1, u) * x + at(bias1, u));
      return sum;
    },
  };
}

describe.each(Object.keys(CASES))('%s', (name) => {
  const of = (sizes: Sizes): { encoding: Encoding; bias: (at: Point) => number } => {
    const { encoding, bias } = (CASES[name] as (sizes: Sizes) => Case)(sizes);
    return { encoding, bias: (point) => bias({ ...point, p: point.i + sizes.S - sizes.L }) };
  };

  test.each(SIZES)('B $B, G $G, L $L, S $S', async (sizes) => {
    const { encoding, bias } = of(sizes);
    const inputs = draw(sizes, 1);
    const result = await attend(engine, inputs, sizes, { encoding });
    expectAccurate({ inputs, sizes, options: { bias }, ...result });
  });

  test('two shards of the keys have the scores of the whole', async () => {
    const sizes: Sizes = { B: 2, H, G: 2, L: 19, S: 31, D: 20, E: 20 };
    const { encoding, bias } = of(sizes);
    const inputs = draw(sizes, 2);
    const { lse } = attention(inputs, sizes, { bias });
    const [q, k, v] = upload(engine, inputs, sizes);
    const cut = 13;
    const parts = [
      [0, cut],
      [cut, sizes.S],
    ].map(([from, to]) => {
      const range: [number, number] = [from as number, to as number];
      const keys = [k, v].map((tensor) => tensor.slice(null, null, range));
      return engine.attentionPartial(q, keys[0] as typeof k, keys[1] as typeof v, { encoding, keyOffset: range[0], totalKeys: sizes.S });
    });
    const [left, right] = (await Promise.all(parts)).map((part) => part.lse.toArray()) as [Float32Array, Float32Array];
    const joined = Float64Array.from(left, (x, n) => Math.log(Math.exp(x) + Math.exp(at(right, n))));
    // Each shard's own rounding, and the one that wrote it down.
    expect(distance(joined, lse)).toBeLessThanOrEqual(16 * halfUnit(lse));
  });
});

describe('coefficients and sums', () => {
  const sizes: Sizes = { B: 2, H, G: 4, L: 5, S: 23, D: 16, E: 16 };
  const inputs = draw(sizes, 3);

  test('a sum without a map, one row of codes for all of the batch and one of their own', async () => {
    const table = numbers(H * 40, 30);
    const rows = whole(5, 10, 31);
    const columns = whole(2 * 23, 30, 32);
    const gate = numbers(2 * H * 5, 33);
    const encoding = defineEncoding({
      name: 'sum',
      lower: () => ({ biases: [{ kind: 'index', heads: H, table, index: { rows, columns }, coefficient: -2.5, gate }] }),
    });
    const bias = ({ b, h, i, j }: Point): number =>
      -2.5 * at(gate, (b * H + h) * 5 + i) * at(table, h * 40 + at(rows, i) + at(columns, b * 23 + j));
    expectAccurate({ inputs, sizes, options: { bias }, ...(await attend(engine, inputs, sizes, { encoding })) });
  });

  test('a sum has the bits of the same index spelt out', async () => {
    const table = numbers(7, 34);
    const [rows, columns, map] = [whole(5, 10, 35), whole(23, 30, 36), whole(40, 7, 37)];
    const index = Int32Array.from({ length: 5 * 23 }, (_, n) => at(map, at(rows, Math.floor(n / 23)) + at(columns, n % 23)));
    const run = (given: Int32Array | { rows: Int32Array; columns: Int32Array; map: Int32Array }): ReturnType<typeof attend> => {
      const encoding = defineEncoding({ name: 'sum', lower: () => ({ biases: [{ kind: 'index', heads: 1, table, index: given }] }) });
      return attend(engine, inputs, sizes, { encoding });
    };
    expect((await run({ rows, columns, map })).out).toEqual((await run(index)).out);
  });

  test.each([
    ['a sum below 0', { rows: new Int32Array(5).fill(-1), columns: new Int32Array(23) }, 'rows\\[i\\] \\+ columns\\[j\\] in 0 … 6'],
    ['a sum past the table', { rows: new Int32Array(5).fill(4), columns: new Int32Array(23).fill(3) }, 'in 0 … 6'],
    ['a sum past the map', { rows: new Int32Array(5), columns: new Int32Array(23).fill(2), map: new Int32Array(2) }, 'in 0 … 1'],
    ['a map past the table', { rows: new Int32Array(5), columns: new Int32Array(23), map: Int32Array.of(7) }, 'indices in 0 … 6'],
    ['rows of another length', { rows: new Int32Array(4), columns: new Int32Array(23) }, 'rows of'],
    ['columns of another length', { rows: new Int32Array(5), columns: new Int32Array(24) }, 'columns of'],
  ])('%s is refused', async (_, index, message) => {
    const table = new Float32Array(7);
    const encoding = defineEncoding({ name: 'sum', lower: () => ({ biases: [{ kind: 'index', heads: 1, table, index }] }) });
    await expect(attend(engine, inputs, sizes, { encoding })).rejects.toThrow(new RegExp(message));
  });
});

test('no scheme over a long sequence takes memory that grows with L · S', () => {
  const S = 2048;
  const heads = 2;
  const table = (rows: number): Float32Array => new Float32Array(rows * heads);
  const tables = { relPosBias: table(32), relPosXBias: table(64), relPosYBias: table(64) };
  const sizes = { relPosBins: 32, maxRelPos: 128, rel2dPosBins: 64, maxRel2dPos: 256 };
  const mlp = { weight1: new Float32Array(32), bias1: new Float32Array(32), weight2: table(32), bias2: table(1) };
  const encodings = [
    t5({ heads, buckets: 32, maxDistance: 100, bidirectional: true, table: table(32), positions: numbers(S, 1), scalingFactor: 100 }),
    layoutLMv3({ heads, ...sizes, ...tables, bbox: whole(4 * S, 1001, 2), positions: whole(S, S, 3) }),
    cpmAnt({
      heads,
      positionBiasNumBuckets: 512,
      positionBiasMaxDistance: 2048,
      segmentTypes: 8,
      table: table(512 + 64),
      segments: whole(S, 8, 4),
    }),
    fire({ ...mlp, c: 0.1, threshold: 512 }),
  ];
  for (const encoding of encodings) {
    const own = createEngineSync();
    const x = own.tensor([1, heads, S, 4]);
    own.attentionSync(x, x, x, { encoding });
    // What grew is the arena, by its high-water mark; a matrix of pairs would be 16 MB.
    expect(own.memoryUsage().reserved, encoding.name).toBeLessThan(8 * 2 ** 20);
    own.dispose();
  }
});

test('a number of −Infinity at offsets that a call does not meet changes nothing of it, whoever asked for them before', async () => {
  const engine = createEngineSync({ threads: 1 });
  const table = new Float32Array(32);
  table[31] = -Infinity; // far keys alone
  const encoding = t5({ heads: 1, buckets: 32, maxDistance: 1200, bidirectional: false, table });
  // A visible key whose q·k is −Infinity: whether it counts as hidden hangs on whether the call has anything that hides.
  const run = (S: number): number => {
    const [keys, values] = [new Float32Array(4 * S), new Float32Array(4 * S).fill(1)];
    keys[4 * (S - 2)] = -3e38;
    values[4 * (S - 2)] = Infinity;
    const q = engine.tensor([1, 1, 1, 4], [1e30, 0, 0, 0]);
    const [k, v] = [engine.tensor([1, 1, S, 4], keys), engine.tensor([1, 1, S, 4], values)];
    const [found] = engine.attentionSync(q, k, v, { causal: true, encoding, scale: 1 }).toArray();
    for (const tensor of [q, k, v]) tensor.dispose();
    return found as number;
  };
  const alone = run(600);
  for (let n = 0; n < 3; n++) run(1300);
  expect(run(600)).toBe(alone);
  engine.releaseTables();
  expect(run(600)).toBe(alone);
  engine.dispose();
});
