/** Linear layers against their definition, bit by bit: every type of weights, sizes that fit no tile, strides, epilogues, odd numbers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine, type Tensor } from '../../src/index.ts';
import { createLayers, type Layers, type WeightType } from '../../src/nn/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { ACTIVATIONS } from './formulas.ts';
import { bits, keptRow, sums } from './linear-reference.ts';

const TYPES = ['f32', 'f16', 'bf16', 'i8', 'i4'] as const;
const ROWS = [1, 2, 3, 4, 5, 7, 64, 65];
const OUTPUTS = [1, 7, 8, 9, 31, 33, 100];
const INPUTS = [1, 3, 4, 5, 31, 32, 33, 100, 384, 1000];
const f32 = Math.fround;

let engine: Engine;
let nn: Layers;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  nn = await createLayers(engine);
});
afterAll(() => engine.dispose());

/** Numbers as a type holds them, by the engine's own conversion. */
function stored(data: Float32Array, type: WeightType): Float32Array {
  if (type !== 'f16' && type !== 'bf16') return data;
  const tensor = engine.tensor([data.length], data, type);
  const out = tensor.toArray();
  tensor.dispose();
  return out;
}

/** A layer of random weights, and these as it was given them. */
function layerOf(type: WeightType, N: number, K: number, seed: number): { layer: ReturnType<Layers['linear']>; w: Float32Array } {
  const w = stored(
    numbers(N * K, seed).map((x) => x / 8),
    type,
  );
  const weight = engine.tensor([N, K], w);
  const layer = nn.linear({ weight, type });
  weight.dispose();
  return { layer, w };
}

describe('i8: products that are added by sixes', () => {
  // Numbers whose integers come to 258 of one sign, the most there is, beside rows of 63: 127 · 258 is two less than 16 bits hold.
  test.each([12, 16, 20, 24, 36, 61])('at the end of 16 bits, K = %d', (K) => {
    const [M, N] = [13, 16];
    const of = (k: number, n: number): number => {
      const first = k % 4 < 2;
      const sign = n & 1 ? -1 : 1;
      const size = (k % 4) % 2 ? 41.5 : 43.5;
      // One lane at its most, the other at its least, or both at the same.
      return sign * (first || n & 2 ? 1 : -1) * size;
    };
    const w = Float32Array.from({ length: N * K }, (_, at) => of(at % K, Math.floor(at / K)));
    const x = Float32Array.from({ length: M * K }, (_, at) => (Math.floor(at / K) % 3 === 2 ? -1 : 1));
    const layer = nn.linear({ weight: engine.tensor([N, K], w), type: 'i8' });
    const kept = keptRow(w.subarray(0, K), 'i8');
    expect(kept.slice(0, 12).reduce((sum, x) => sum + Math.max(0, x), 0)).toBe(258);
    for (const rows of [1, 4, 5, M]) {
      const y = layer.runSync(engine.tensor([rows, K], x.subarray(0, rows * K)));
      expect(bits(y.toArray())).toEqual(bits(sums(x.subarray(0, rows * K), w, rows, N, K, 'i8')));
    }
  });
});

describe.each(TYPES)('%s', (type) => {
  test.each(INPUTS)('K = %d: every N and M gives the bits of the definition', (K) => {
    const M = Math.max(...ROWS);
    const x = numbers(M * K, 1000 + K);
    for (const N of OUTPUTS) {
      const { layer, w } = layerOf(type, N, K, 10 * N + K);
      const expected = bits(sums(x, w, M, N, K, type));
      for (const rows of ROWS) {
        const y = layer.runSync(engine.tensor([rows, K], x.subarray(0, rows * K)));
        expect(y.shape).toEqual([rows, N]);
        expect(bits(y.toArray())).toEqual(expected.slice(0, rows * N));
        y.dispose();
      }
      layer.dispose();
    }
  });

  test('it is as exact as f32 can be, for the weights that are kept', () => {
    const [M, N, K] = [9, 40, 700];
    const x = numbers(M * K, 5);
    const { layer, w } = layerOf(type, N, K, 6);
    const y = layer.runSync(engine.tensor([M, K], x)).toArray();
    // Integers of x: half a step of 63, or 127, at most; f32: what K roundings come to in a naive evaluation.
    const steps = type === 'i8' ? 1 / 126 : type === 'i4' ? 1 / 254 : 0;
    for (let m = 0; m < M; m++) {
      const row = x.subarray(m * K, m * K + K);
      const top = Math.max(...row.map(Math.abs));
      for (let n = 0; n < N; n++) {
        const kept = keptRow(w.subarray(n * K, n * K + K), type);
        let exact = 0;
        let size = 0;
        row.forEach((value, k) => {
          exact += value * (kept[k] as number);
          size += Math.abs(kept[k] as number);
        });
        const allowed = steps * top * size + 2 * K * 2 ** -24 * size * top;
        expect(Math.abs((y[m * N + n] as number) - exact)).toBeLessThan(allowed);
      }
    }
    layer.dispose();
  });

  test('a weight that is stored [K, N], or whose rows lie apart, gives the same bits', () => {
    const [M, N, K] = [5, 21, 37];
    const x = engine.tensor([M, K], numbers(M * K, 1));
    const w = numbers(N * K, 2);
    const expected = bits(
      nn
        .linear({ weight: engine.tensor([N, K], w), type })
        .runSync(x)
        .toArray(),
    );
    const across = Float32Array.from({ length: N * K }, (_, at) => w[(at % N) * K + Math.floor(at / N)] as number);
    const transposed = nn.linear({ weight: engine.tensor([K, N], across), type, transposed: true });
    expect(bits(transposed.runSync(x).toArray())).toEqual(expected);
    const wide = Float32Array.from({ length: N * 50 }, (_, at) =>
      at % 50 < K ? (w[Math.floor(at / 50) * K + (at % 50)] as number) : Number.NaN,
    );
    const apart = nn.linear({ weight: engine.tensor([N, 50], wide).slice(null, [0, K]), type });
    expect(bits(apart.runSync(x).toArray())).toEqual(expected);
  });

  test.each([
    ['f16', 'f16'],
    ['bf16', 'bf16'],
    ['a file', 'f32'],
  ] as const)('weights of %s', (from, dtype) => {
    const [M, N, K] = [3, 17, 40];
    const x = engine.tensor([M, K], numbers(M * K, 1));
    const tensor = engine.tensor([N, K], numbers(N * K, 2), dtype);
    const file = { dtype: 'F32', shape: [N, K], data: new Uint8Array(tensor.toArray().buffer) } as const;
    const w = stored(tensor.toArray(), type);
    const layer = nn.linear({ weight: from === 'a file' ? file : tensor, type });
    expect(bits(layer.runSync(x).toArray())).toEqual(bits(sums(x.toArray(), w, M, N, K, type)));
  });

  test('rows that are not finite are NaN, and no other is touched', () => {
    const [M, N, K] = [9, 20, 45];
    const { layer, w } = layerOf(type, N, K, 3);
    const x = numbers(M * K, 4);
    x[2 * K + 44] = Number.NaN;
    x[5 * K] = Number.POSITIVE_INFINITY;
    x[8 * K + 7] = Number.NEGATIVE_INFINITY;
    x[8 * K + 9] = Number.POSITIVE_INFINITY; // Their sum is a NaN, whose sign is the host's choice.
    const y = layer.runSync(engine.tensor([M, K], x)).toArray();
    // A NaN of the host's making has a sign of its choice, ours is the canonical one.
    const expected = sums(x, w, M, N, K, type).map((sum) => (Number.isNaN(sum) ? Number.NaN : sum));
    expect(bits(y)).toEqual(bits(expected));
    for (const m of [2, ...(type === 'i8' || type === 'i4' ? [5, 8] : [])])
      expect(bits(y.subarray(m * N, m * N + N))).toEqual(Array(N).fill(0x7fc00000));
    for (const m of [0, 1, 3, 4, 6, 7]) expect(y.subarray(m * N, m * N + N).every(Number.isFinite)).toBe(true);
    for (const m of [2, 5, 8]) {
      const alone = layer.runSync(engine.tensor([1, K], x.subarray(m * K, m * K + K))).toArray();
      expect(bits(alone)).toEqual(bits(expected.subarray(m * N, m * N + N)));
    }
  });

  test.each([
    ['as large as they come', 3.4028234e38, 1],
    ['large times small', 2 ** 100, 2 ** -99],
    ['small times large', 2 ** -99, 2 ** 100],
    ['at the least size', 2 ** -100, 1],
    ['below the least size', 2 ** -100.5, 1],
    ['subnormal', 2 ** -140, 2 ** -3],
    ['weights at the least size', 1, 2 ** -97],
    ['weights below it', 1, 2 ** -104],
    ['zero', 0, 1],
    ['weights of zero', 1, 0],
  ])('numbers %s', (_, size, weights) => {
    if (type === 'f16' && weights !== 1 && weights !== 0) weights = 2 ** -20;
    const [M, N, K] = [6, 10, 33];
    const x = numbers(M * K, 1).map((v) => v * size);
    const w = stored(
      numbers(N * K, 2).map((v) => v * weights),
      type,
    );
    const layer = nn.linear({ weight: engine.tensor([N, K], w), type });
    const expected = sums(x, w, M, N, K, type);
    const y = layer.runSync(engine.tensor([M, K], x)).toArray();
    expect(bits(y)).toEqual(bits(expected));
    expect(bits(layer.runSync(engine.tensor([1, K], x.subarray(0, K))).toArray())).toEqual(bits(expected.subarray(0, N)));
  });

  test('weights that are not finite are NaN in their channel, or with a float in their products', () => {
    const [M, N, K] = [4, 10, 40];
    const w = stored(numbers(N * K, 2), type);
    w[3 * K + 39] = Number.NaN;
    w[9 * K + 2] = Number.NEGATIVE_INFINITY; // in another panel than the NaN
    const x = numbers(M * K, 1);
    const layer = nn.linear({ weight: engine.tensor([N, K], w), type });
    const y = layer.runSync(engine.tensor([M, K], x)).toArray();
    expect(bits(y)).toEqual(bits(sums(x, w, M, N, K, type)));
    expect([...y].map(Number.isFinite)).toEqual(Array.from(y, (_, at) => at % N !== 3 && at % N !== 9));
    const alone = layer.runSync(engine.tensor([1, K], x.subarray(0, K))).toArray();
    expect(bits(alone)).toEqual(bits(y.subarray(0, N)));
  });
});

describe('what follows the sum', () => {
  const [M, K] = [11, 29];
  const cases = TYPES.flatMap((type) => [false, true].flatMap((gated) => [9, 16].map((N) => ({ type, gated, N }))));

  test.each(cases)('$type, gated: $gated, N = $N: bias, activations, residual in place or not', ({ type, gated, N }) => {
    const C = gated ? 2 * N : N;
    const w = stored(numbers(C * K, 2), type);
    const [x, b, r] = [numbers(M * K, 1), numbers(C, 3), numbers(M * N, 4)] as const;
    const [weight, bias] = [engine.tensor([C, K], w), engine.tensor([C], b)];
    const products = sums(x, w, M, C, K, type);
    for (const activation of [undefined, ...Object.keys(ACTIVATIONS).filter((name) => name !== 'none')] as const) {
      for (const biased of [false, true]) {
        const layer = nn.linear({ weight, type, gated, ...(activation && { activation: activation as 'relu' }), ...(biased && { bias }) });
        for (const rows of [M, 1]) {
          const added = (n: number): number => f32((products[n] as number) + (biased ? (b[n % C] as number) : 0));
          const act = ACTIVATIONS[activation ?? 'none'] as (x: number) => number;
          const exact = Array.from({ length: rows * N }, (_, at) => {
            const n = Math.floor(at / N) * C + (at % N);
            return act(added(n)) * (gated ? added(n + N) : 1);
          });
          const tensor = engine.tensor([rows, K], x.subarray(0, rows * K));
          const plain = layer.runSync(tensor).toArray();
          // Of what comes of integers gelu is coarser (activations.test.ts).
          const least = activation === 'gelu' && (type === 'i8' || type === 'i4') ? 2.3e-6 : 6e-8;
          plain.forEach((y, at) => {
            const other = gated ? Math.abs(added(Math.floor(at / N) * C + (at % N) + N)) : 1;
            expect(Math.abs(y - (exact[at] as number))).toBeLessThanOrEqual(Math.abs(exact[at] as number) * 6e-7 + least * other);
          });
          const sum = Float32Array.from(plain, (y, at) => f32(y + (r[at] as number)));
          const residual = engine.tensor([rows, N], r.subarray(0, rows * N));
          expect(bits(layer.runSync(tensor, { residual }).toArray())).toEqual(bits(sum));
          expect(bits(residual.toArray())).toEqual(bits(r.subarray(0, rows * N)));
          expect(layer.runSync(tensor, { residual, out: residual })).toBe(residual);
          expect(bits(residual.toArray())).toEqual(bits(sum));
          residual.dispose();
          tensor.dispose();
        }
        layer.dispose();
      }
    }
  });
});

describe('rows and their places', () => {
  /** Rows in a wider tensor, with `fill` around them. */
  const within = (data: Float32Array, rows: number, n: number, fill: number): { all: Tensor; part: Tensor } => {
    const all = engine.tensor([rows + 2, n + 5], new Float32Array((rows + 2) * (n + 5)).fill(fill));
    const part = all.slice([1, rows + 1], [2, n + 2]);
    part.set(data);
    return { all, part };
  };

  test.each(TYPES)('%s: strides of x, out and residual; nothing beside them is written, nothing read of what lies around', (type) => {
    for (const [M, N, K] of [
      [1, 13, 35],
      [6, 8, 32],
      [7, 30, 33],
    ] as const) {
      const { layer, w } = layerOf(type, N, K, 8);
      const [x, r] = [numbers(M * K, 1), numbers(M * N, 2)];
      const given = within(x, M, K, Number.NaN);
      const beside = within(r, M, N, Number.NaN);
      const out = within(new Float32Array(M * N), M, N, 77);
      expect(layer.runSync(given.part, { out: out.part, residual: beside.part })).toBe(out.part);
      const expected = sums(x, w, M, N, K, type).map((y, at) => y + (r[at] as number));
      expect(bits(out.part.toArray())).toEqual(bits(expected));
      out.part.set(new Float32Array(M * N).fill(77));
      expect(out.all.toArray().every((y) => y === 77)).toBe(true);
      expect(bits(given.part.toArray())).toEqual(bits(x));
    }
  });

  test('leading dimensions are rows; no row is none', () => {
    const { layer, w } = layerOf('f32', 6, 10, 8);
    const x = numbers(24 * 10, 1);
    const y = layer.runSync(engine.tensor([2, 3, 4, 10], x));
    expect(y.shape).toEqual([2, 3, 4, 6]);
    expect(bits(y.toArray())).toEqual(bits(sums(x, w, 24, 6, 10, 'f32')));
    expect(layer.runSync(engine.tensor([10], x.subarray(0, 10))).shape).toEqual([6]);
    expect(layer.runSync(engine.tensor([0, 10])).shape).toEqual([0, 6]);
    expect(layer.runSync(engine.tensor([3, 1, 10], x.subarray(0, 30)).permute(1, 0, 2)).shape).toEqual([1, 3, 6]);
  });

  test('a width of one, a column of a wider tensor', () => {
    const { layer, w } = layerOf('i8', 9, 1, 8);
    const x = numbers(5, 1);
    const wide = engine.tensor([5, 3], new Float32Array(15).fill(Number.NaN));
    wide.slice(null, [1, 2]).set(x);
    expect(bits(layer.runSync(wide.slice(null, [1, 2])).toArray())).toEqual(bits(sums(x, w, 5, 9, 1, 'i8')));
  });
});
