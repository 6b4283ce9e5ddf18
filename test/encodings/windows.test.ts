/** Schemes over two axes against their formulas in f64, with the tables and images of the originals' shapes. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  beit,
  createEngineSync,
  defineEncoding,
  type Encoding,
  levit,
  maxvit,
  type Normalization,
  relPosMlp,
  rotary,
  swin,
  swinV2,
} from '../../src/index.ts';
import { attend } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import type { Inputs, Point, Sizes } from '../reference/attention.ts';
import { turn } from '../reference/rotation.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { cell } from './formulas.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const H = 3;
const at = (list: ArrayLike<number>, n: number): number => list[n] as number;
const sizesOf = (L: number, S = L, B = 2): Sizes => ({ B, H, G: H, L, S, D: 12, E: 12 });

async function check(sizes: Sizes, encoding: Encoding, bias: (at: Point) => number): Promise<void> {
  const inputs = draw(sizes, 1);
  expectAccurate({ inputs, sizes, options: { bias }, ...(await attend(engine, inputs, sizes, { encoding })) });
}

const WINDOWS: readonly [number, number][] = [
  [1, 1],
  [1, 5],
  [4, 4],
  [3, 5],
  [7, 2],
];

describe.each(WINDOWS)('%d rows, %d columns', (h, w) => {
  const N = h * w;
  const P = (2 * h - 1) * (2 * w - 1);
  const row = (i: number, j: number): number => {
    const [[yi, xi], [yj, xj]] = [cell(i, w), cell(j, w)];
    return (yi - yj + h - 1) * (2 * w - 1) + xi - xj + w - 1;
  };

  test('swin', async () => {
    const table = numbers(P * H, 1);
    await check(sizesOf(N), swin({ windowSize: [h, w], table }), (p) => at(table, row(p.i, p.j) * H + p.h));
  });

  test('maxvit', async () => {
    const table = numbers(P * H, 2);
    await check(sizesOf(N), maxvit({ windowSize: [h, w], table }), (p) => at(table, p.h * P + row(p.j, p.i)));
  });

  test('beit', async () => {
    const table = numbers((P + 3) * H, 3);
    await check(sizesOf(N + 1), beit({ windowSize: [h, w], table }), ({ h: head, i, j }) => {
      if (i === 0 || j === 0) return at(table, (P + (i ? 1 : j ? 0 : 2)) * H + head);
      return at(table, row(i - 1, j - 1) * H + head);
    });
  });

  test.each([1, 2, 3])('levit, stride %d', async (stride) => {
    const table = numbers(N * H, 4);
    const queries = Array.from({ length: N }, (_, n) => cell(n, w)).filter(([y, x]) => y % stride === 0 && x % stride === 0);
    // Numbered as the pairs first appear, as the original does it.
    const seen = new Map<string, number>();
    const index = queries.map(([yi, xi]) =>
      Array.from({ length: N }, (_, j) => {
        const [yj, xj] = cell(j, w);
        const pair = `${Math.abs(yi - yj)} ${Math.abs(xi - xj)}`;
        seen.set(pair, seen.get(pair) ?? seen.size);
        return seen.get(pair) as number;
      }),
    );
    const encoding = levit({ resolution: [h, w], attentionBiases: table, stride });
    await check(sizesOf(queries.length, N), encoding, (p) => at(table, p.h * N + at(index[p.i] as number[], p.j)));
  });

  test.each([
    [0, undefined],
    [2, [8, 6]],
  ] as const)('relPosMlp, mode swin, %d tokens before, trained with %j', async (prefixTokens, pretrainedWindowSize) => {
    const width = 7;
    const [weight1, bias1, weight2] = [numbers(2 * width, 15), numbers(width, 16), numbers(H * width, 17)];
    const trained = pretrainedWindowSize ?? [h, w];
    const squeeze = (d: number, n: number): number => (d === 0 ? 0 : (Math.sign(d) * Math.log2(1 + Math.abs((8 * d) / (n - 1)))) / 3);
    const encoding = relPosMlp({
      mode: 'swin',
      windowSize: [h, w],
      ...(pretrainedWindowSize && { pretrainedWindowSize }),
      weight1,
      bias1,
      weight2,
      prefixTokens,
    });
    await check(sizesOf(N + prefixTokens), encoding, (p) => {
      if (p.i < prefixTokens || p.j < prefixTokens) return 0;
      const [[yi, xi], [yj, xj]] = [cell(p.i - prefixTokens, w), cell(p.j - prefixTokens, w)];
      let sum = 0;
      for (let u = 0; u < width; u++) {
        const unit = at(weight1, 2 * u) * squeeze(yi - yj, trained[0]) + at(weight1, 2 * u + 1) * squeeze(xi - xj, trained[1]);
        sum += at(weight2, p.h * width + u) * Math.max(0, unit + at(bias1, u));
      }
      return 16 / (1 + Math.exp(-sum));
    });
  });

  test.each([0, 2])('relPosMlp, %d tokens before', async (prefixTokens) => {
    const width = 7;
    const [weight1, bias1, weight2, bias2] = [numbers(2 * width, 5), numbers(width, 6), numbers(H * width, 7), numbers(H, 8)];
    const squeeze = (d: number): number => Math.sign(d) * Math.log(1 + Math.abs(d));
    const encoding = relPosMlp({ windowSize: [h, w], weight1, bias1, weight2, bias2, prefixTokens });
    await check(sizesOf(N + prefixTokens), encoding, (p) => {
      if (p.i < prefixTokens || p.j < prefixTokens) return 0;
      const [[yi, xi], [yj, xj]] = [cell(p.i - prefixTokens, w), cell(p.j - prefixTokens, w)];
      let sum = at(bias2, p.h);
      for (let u = 0; u < width; u++) {
        const unit = at(weight1, 2 * u) * squeeze(yi - yj) + at(weight1, 2 * u + 1) * squeeze(xi - xj) + at(bias1, u);
        sum += at(weight2, p.h * width + u) * Math.max(0, unit);
      }
      return sum;
    });
  });
});

describe('shifted windows', () => {
  /** What the original's slices paint: three bands to each axis, nine regions, in the windows of an image. */
  function regions([rows, columns]: [number, number], [h, w]: [number, number], [sy, sx]: [number, number]): number[][] {
    const band = (n: number, size: number, window: number, shift: number): number => (n < size - window ? 0 : n < size - shift ? 1 : 2);
    const windows: number[][] = [];
    for (let top = 0; top < rows; top += h) {
      for (let left = 0; left < columns; left += w) {
        windows.push(
          Array.from({ length: h * w }, (_, n) => {
            const [y, x] = cell(n, w);
            return 3 * band(top + y, rows, h, sy) + band(left + x, columns, w, sx);
          }),
        );
      }
    }
    return windows;
  }

  test.each<[[number, number], [number, number], [number, number] | undefined, number]>([
    [[8, 8], [4, 4], undefined, 1],
    [[6, 15], [3, 5], [1, 2], 2],
    [[4, 4], [4, 4], [2, 2], 3],
  ])('image %j, window %j, shift %j, %d images', async (image, window, shift, images) => {
    const [h, w] = window;
    const P = (2 * h - 1) * (2 * w - 1);
    const table = numbers(P * H, 9);
    const painted = regions(image, window, shift ?? [Math.floor(h / 2), Math.floor(w / 2)]);
    const encoding = swin({ windowSize: window, table, shifted: { imageSize: image, ...(shift && { shiftSize: shift }) } });
    await check(sizesOf(h * w, h * w, images * painted.length), encoding, (p) => {
      const region = painted[p.b % painted.length] as number[];
      const [[yi, xi], [yj, xj]] = [cell(p.i, w), cell(p.j, w)];
      const bias = at(table, ((yi - yj + h - 1) * (2 * w - 1) + xi - xj + w - 1) * H + p.h);
      return bias + (region[p.i] === region[p.j] ? 0 : -100);
    });
  });

  test('a batch that is no number of images is refused', async () => {
    const encoding = swin({ windowSize: 2, table: new Float32Array(9 * H), shifted: { imageSize: 4 as never } });
    const sizes = sizesOf(4, 4, 3);
    await expect(attend(engine, draw(sizes, 1), sizes, { encoding })).rejects.toThrow(
      /^swin: "batch" expected a multiple of 4 windows, got B=3: imageSize \[4, 4\] holds 4$/,
    );
  });
});

describe('beit resized', () => {
  /** Bilinear, half-pixel centres, the border repeated: one number of a table of `from` rows and columns. */
  function resized(value: (y: number, x: number) => number, from: [number, number], to: [number, number], y: number, x: number): number {
    const place = (n: number, axis: 0 | 1): [number, number, number] => {
      const p = Math.min(Math.max(((n + 0.5) * from[axis]) / to[axis] - 0.5, 0), from[axis] - 1);
      return [Math.floor(p), Math.min(Math.floor(p) + 1, from[axis] - 1), p - Math.floor(p)];
    };
    const [[y0, y1, fy], [x0, x1, fx]] = [place(y, 0), place(x, 1)];
    return (1 - fy) * ((1 - fx) * value(y0, x0) + fx * value(y0, x1)) + fy * ((1 - fx) * value(y1, x0) + fx * value(y1, x1));
  }

  test.each<[[number, number], [number, number]]>([
    [
      [4, 4],
      [6, 6],
    ],
    [
      [3, 5],
      [4, 3],
    ],
    [
      [2, 6],
      [2, 6],
    ],
  ])('from %j to %j', async (trained, window) => {
    const span = (n: [number, number]): [number, number] => [2 * n[0] - 1, 2 * n[1] - 1];
    const [from, to] = [span(trained), span(window)];
    const before = from[0] * from[1];
    const table = numbers((before + 3) * H, 10);
    const encoding = beit({ windowSize: window, table, pretrainedWindowSize: trained });
    await check(sizesOf(window[0] * window[1] + 1), encoding, ({ h, i, j }) => {
      if (i === 0 || j === 0) return at(table, (before + (i ? 1 : j ? 0 : 2)) * H + h);
      const [[yi, xi], [yj, xj]] = [cell(i - 1, window[1]), cell(j - 1, window[1])];
      const [y, x] = [yi - yj + window[0] - 1, xi - xj + window[1] - 1];
      return resized((a, b) => at(table, (a * from[1] + b) * H + h), from, to, y, x);
    });
  });
});

describe('normalisation', () => {
  const sizes: Sizes = { B: 2, H: 4, G: 2, L: 21, S: 37, D: 22, E: 6 };

  /** The inputs after it, in f64. */
  function normalized({ q, k, v }: Inputs, { kind, epsilon, queryWeight, keyWeight }: Normalization): Inputs {
    const { H: heads, G, L, S, D } = sizes;
    const rows = (x: ArrayLike<number>, count: number, groups: number, weight: Float32Array | undefined): Float64Array =>
      Float64Array.from({ length: x.length }, (_, n) => {
        const first = n - (n % D);
        let squares = 0;
        for (let d = 0; d < D; d++) squares += at(x, first + d) ** 2;
        const size = kind === 'l2' ? Math.max(Math.sqrt(squares), epsilon) : Math.sqrt(squares / D + epsilon);
        const head = Math.floor(n / D / count) % groups;
        return (at(x, n) / size) * (weight ? at(weight, (weight.length > D ? head * D : 0) + (n % D)) : 1);
      });
    return { q: rows(q, L, heads, queryWeight), k: rows(k, S, G, keyWeight), v };
  }

  const CASES: [string, Normalization][] = [
    ['l2', { kind: 'l2', epsilon: 1e-12 }],
    ['l2 of rows shorter than epsilon', { kind: 'l2', epsilon: 50 }],
    ['rms', { kind: 'rms', epsilon: 1e-6 }],
    ['rms with weights', { kind: 'rms', epsilon: 1e-2, queryWeight: numbers(22, 11), keyWeight: numbers(22, 12) }],
    ['rms with weights of the heads', { kind: 'rms', epsilon: 1e-6, queryWeight: numbers(88, 13), keyWeight: numbers(44, 14) }],
  ];

  test.each(CASES)('%s', async (_, normalization) => {
    const encoding = defineEncoding({ name: 'norm', lower: () => ({ normalization }) });
    const inputs = draw(sizes, 4);
    const { out, lse } = await attend(engine, inputs, sizes, { encoding });
    expectAccurate({ inputs: normalized(inputs, normalization), sizes, out, lse });
  });

  test.each(CASES)('%s comes before a rotation', async (_, normalization) => {
    const options = { dim: 22, theta: 100, layout: 'halves' } as const;
    const encoding = [rotary(options), defineEncoding({ name: 'norm', lower: () => ({ normalization }) })];
    const inputs = draw(sizes, 5);
    const { out, lse } = await attend(engine, inputs, sizes, { encoding });
    expectAccurate({ inputs: normalized(inputs, normalization), sizes, options: { rotate: turn(options) }, out, lse });
  });

  test('a layout, a type and a row of zeros change nothing about it', async () => {
    const encoding = defineEncoding({ name: 'norm', lower: () => ({ normalization: { kind: 'l2', epsilon: 1e-12 } }) });
    const inputs = draw(sizes, 6);
    inputs.q.fill(0, 0, 22);
    const expected = await attend(engine, inputs, sizes, { encoding });
    expect((await attend(engine, inputs, sizes, { encoding, layout: 'blhd' })).out).toEqual(expected.out);
    expect(expected.out.every(Number.isFinite)).toBe(true);
  });

  test.each([
    ['weights of another length', { kind: 'rms', epsilon: 1e-6, queryWeight: new Float32Array(21) }],
    ['an epsilon of 0', { kind: 'rms', epsilon: 0 }],
  ] as [string, Normalization][])('%s are refused', async (_, normalization) => {
    const encoding = defineEncoding({ name: 'norm', lower: () => ({ normalization }) });
    await expect(attend(engine, draw(sizes, 7), sizes, { encoding })).rejects.toThrow(RangeError);
  });
});

test('swinV2 with the mask built in gives what it gives with the mask as regions of swin', async () => {
  const mlp = { weight1: numbers(16, 15), bias1: numbers(8, 16), weight2: numbers(8 * H, 17), logitScale: [1, 2, 5] };
  const sizes = sizesOf(16, 16, 4);
  const inputs = draw(sizes, 8);
  const shifted = { imageSize: [8, 8] } as const;
  const zero = new Float32Array(49 * H);
  const built = await attend(engine, inputs, sizes, { encoding: swinV2({ windowSize: 4, ...mlp, shifted }), scale: 1 });
  const pair = [swinV2({ windowSize: 4, ...mlp }), swin({ windowSize: 4, table: zero, shifted })];
  const apart = await attend(engine, inputs, sizes, { encoding: pair, scale: 1 });
  expect(built.out).toEqual(apart.out);
});
