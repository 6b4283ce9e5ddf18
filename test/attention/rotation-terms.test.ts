/** Rotations whose heads, or whose pairs' two channels, have frequencies of their own, or that are in blocks, against the formula. */
import { afterAll, describe, expect, it } from 'vitest';
import { createEngineSync, defineEncoding, type Encoding, type Positions, type Rotation } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { expectSameBits } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [B, H, G, L, S, D] = [2, 6, 3, 5, 9, 23] as const;
const [AXES, START] = [2, 1] as const;
const LAYOUTS = ['halves', 'pairs'] as const;

interface Terms {
  readonly dim: number;
  readonly heads: number;
  readonly second: boolean;
  readonly axes: number;
  readonly blocks?: number;
}

/** Distinct frequencies, [heads][axes][R/2]. */
const list = ({ dim, heads, axes }: Terms, seed: number): Float64Array => Float64Array.from(numbers((heads * axes * dim) / 2, seed));
const places = (rows: number, seed: number): Positions => ({
  batched: true,
  values: Float64Array.from(numbers(B * AXES * rows, seed), (x) => Math.round(20 * x)),
});

/** Row `i` of batch row b and head h of x, turned by the formula. */
function turned(x: Float32Array, rotation: Rotation, at: (axis: number) => number, own: number): Float64Array {
  const { dim, start = 0, layout, layoutOut = layout, frequencies, second = frequencies, heads = 1, blocks = 1 } = rotation;
  const half = dim / 2;
  const axes = frequencies.length / half / heads;
  const angle = (of: Float64Array, i: number): number => {
    let sum = 0;
    for (let a = 0; a < axes; a++) sum += at(a) * (of[(own * axes + a) * half + i] as number);
    return sum;
  };
  const out = Float64Array.from(x);
  const each = half / blocks;
  const places = (kind: 'halves' | 'pairs', i: number): [number, number] => {
    const first = start + 2 * each * Math.floor(i / each);
    return kind === 'halves' ? [first + (i % each), first + (i % each) + each] : [first + 2 * (i % each), first + 2 * (i % each) + 1];
  };
  for (let i = 0; i < half; i++) {
    const [from, to] = [places(layout, i), places(layoutOut, i)];
    const [u, v] = [x[from[0]] as number, x[from[1]] as number];
    const [phi, psi] = [angle(frequencies, i), angle(second, i)];
    out[to[0]] = u * Math.cos(phi) - v * Math.sin(phi);
    out[to[1]] = u * Math.sin(psi) + v * Math.cos(psi);
  }
  return out;
}

const CASES = [[4], [10], [22], [4, 2], [20, 2], [18, 3]].flatMap(([dim = 0, blocks = 1]) =>
  [
    ...(blocks > 1 ? [{ heads: 1, second: false, blocks }] : []),
    { heads: G, second: false, blocks },
    { heads: 1, second: true, blocks },
    { heads: G, second: true, blocks },
  ].flatMap((one) => LAYOUTS.flatMap((layout) => LAYOUTS.map((layoutOut) => ({ dim, ...one, layout, layoutOut })))),
);

describe.each(CASES)('dim $dim in $blocks, heads $heads, second $second, $layout to $layoutOut', ({ layout, layoutOut, ...terms }) => {
  const whole = { ...terms, axes: AXES };
  const rotation: Rotation = {
    dim: terms.dim,
    start: START,
    layout,
    layoutOut,
    heads: terms.heads,
    ...(terms.blocks > 1 && { blocks: terms.blocks }),
    frequencies: list(whole, 1),
    ...(terms.second && { second: list(whole, 2) }),
    queryPositions: places(L, 3),
    keyPositions: places(S, 4),
  };
  const encoding: Encoding = defineEncoding({ name: 'own', lower: () => ({ rotation }) });
  const [q, k, v] = [numbers(B * H * L * D, 5), numbers(B * G * S * D, 6), numbers(B * G * S * D, 7)];

  it('turns rows as the formula does', () => {
    const x = engine.tensor([B, H, L, D], q);
    const out = engine.rotateSync(x, encoding).toArray();
    const { values } = rotation.queryPositions as Positions;
    for (let row = 0; row < B * H * L; row++) {
      const [b, h, i] = [Math.floor(row / H / L), Math.floor(row / L) % H, row % L];
      const own = terms.heads > 1 ? Math.floor(h / (H / G)) : 0;
      const at = (a: number): number => values[(b * AXES + a) * L + i] as number;
      const expected = turned(q.subarray(row * D, (row + 1) * D), rotation, at, own);
      for (let d = 0; d < D; d++) expect(Math.abs((out[row * D + d] as number) - (expected[d] as number))).toBeLessThanOrEqual(3e-7);
    }
    x.dispose();
  });

  it('turns queries as their key heads in attention, bit for bit as before it', () => {
    const tensors = [engine.tensor([B, H, L, D], q), engine.tensor([B, G, S, D], k), engine.tensor([B, G, S, D], v)] as const;
    const together = engine.attentionSync(...tensors, { encoding }).toArray();
    const before = engine.attentionSync(
      engine.rotateSync(tensors[0], encoding),
      engine.rotateSync(tensors[1], encoding, { role: 'key' }),
      tensors[2],
    );
    expectSameBits(together, before.toArray());
  });
});

const PLACES = [20, 32, 48].flatMap((width) =>
  [1, G, H].flatMap((heads) => LAYOUTS.flatMap((layout) => LAYOUTS.map((layoutOut) => ({ width, heads, layout, layoutOut })))),
);

describe.each(PLACES)('rows of $width channels, heads $heads, $layout to $layoutOut', ({ width, heads, layout, layoutOut }) => {
  const rows = 71;
  const rotation: Rotation = {
    dim: width,
    layout,
    layoutOut,
    heads,
    frequencies: Float64Array.from(numbers((heads * width) / 2, 1)),
    queryPositions: { batched: true, values: Float64Array.from(numbers(B * rows, 3), (x) => Math.round(20 * x)) },
  };
  const encoding: Encoding = defineEncoding({ name: 'own', lower: () => ({ rotation }) });
  const data = numbers(B * H * rows * width, 5);
  const make = () => engine.tensor([B, H, rows, width], data);
  const expected = engine.rotateSync(make(), encoding).toArray();

  it('turn as the formula does', () => {
    const { values } = rotation.queryPositions as Positions;
    for (let row = 0; row < B * H * rows; row++) {
      const [b, h, i] = [Math.floor(row / H / rows), Math.floor(row / rows) % H, row % rows];
      const x = data.subarray(row * width, (row + 1) * width);
      const right = turned(x, rotation, () => values[b * rows + i] as number, Math.floor(h / (H / heads)));
      for (let d = 0; d < width; d++)
        expect(Math.abs((expected[row * width + d] as number) - (right[d] as number))).toBeLessThanOrEqual(3e-7);
    }
  });

  it('have the same bits in place, with heads beside one another, and both', () => {
    const x = make();
    expectSameBits(engine.rotateSync(x, encoding, { out: x }).toArray(), expected);
    const y = engine.tensor([B, rows, H, width], make().permute(0, 2, 1, 3).toArray());
    expectSameBits(engine.rotateSync(y, encoding, { layout: 'blhd' }).permute(0, 2, 1, 3).toArray(), expected);
    expectSameBits(engine.rotateSync(y, encoding, { layout: 'blhd', out: y }).permute(0, 2, 1, 3).toArray(), expected);
  });
});

describe('standard positions', () => {
  const terms = { dim: 12, heads: G, second: true, axes: 1 };
  const own = (more: Partial<Rotation> = {}): Encoding => {
    const rotation = {
      dim: 12,
      layout: 'halves',
      heads: G,
      frequencies: list(terms, 8),
      second: list(terms, 9),
      offset: 3,
      ...more,
    } as const;
    return defineEncoding({ name: 'own', lower: () => ({ rotation }) });
  };
  const [q, k, v] = [numbers(B * H * L * D, 5), numbers(B * G * S * D, 6), numbers(B * G * S * D, 7)];
  const upload = () => [engine.tensor([B, H, L, D], q), engine.tensor([B, G, S, D], k), engine.tensor([B, G, S, D], v)] as const;

  it('are the rows of the call', () => {
    const [Q, K, V] = upload();
    const rows = (first: number, count: number): number[] => Array.from({ length: count }, (_, n) => first + n);
    const before = engine.attentionSync(
      engine.rotateSync(Q, own(), { positions: rows(S - L, L) }),
      engine.rotateSync(K, own(), { positions: rows(0, S), role: 'key' }),
      V,
    );
    expectSameBits(engine.attentionSync(Q, K, V, { encoding: own() }).toArray(), before.toArray());
    expectSameBits(engine.rotateSync(K, own(), { offset: 7 }).toArray(), engine.rotateSync(K, own(), { positions: rows(7, S) }).toArray());
  });

  it('are those of a cache that rotates when read', () => {
    const [Q, K, V] = upload();
    const expected = engine.attentionSync(Q.slice(null, null, [L - 1, L]), K, V, { encoding: own() }).toArray();
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: 16 });
    cache.append(K.slice(null, null, [0, S - 1]), V.slice(null, null, [0, S - 1]));
    const last = [K, V].map((tensor) => tensor.slice(null, null, [S - 1, S])) as [typeof K, typeof V];
    expectSameBits(engine.attentionSync(Q.slice(null, null, [L - 1, L]), ...last, { encoding: own(), cache }).toArray(), expected);
    cache.dispose();
  });

  it('are refused where the plan cannot hold them', () => {
    const [Q, K, V] = upload();
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: 16, encoding: own() });
    expect(() => cache.append(K, V)).toThrow(/"encoding" expected a rotation at standard positions, of all heads alike/);
    cache.dispose();
    expect(() => engine.rotateSync(Q, own(), { inverse: true })).toThrow(/"inverse" expected false, got true: the channels of a pair/);
    expect(() => engine.rotateSync(V.slice(null, [0, 2]), own())).toThrow(/"x" expected a multiple of 3 heads.*got 2/);
    expect(() => engine.attentionSync(Q, Q, Q, { encoding: own() })).toThrow(/expected frequencies of 1 head or G=6, got 3/);
    const short = new Float64Array(6);
    expect(() => engine.rotateSync(Q, own({ second: short }))).toThrow(/second frequencies of the frequencies' shape/);
    expect(() => engine.rotateSync(Q, own({ frequencies: new Float64Array(7) }))).toThrow(/\[heads=3\]\[axes\]\[dim\/2\] frequencies/);
  });
});
