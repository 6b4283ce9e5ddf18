/** The probabilities themselves; normalisation and smooth softmax as options. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, createEngineSync, documents, rotary, shaw, slidingWindow } from '../../src/index.ts';
import { attend, expectSameBits, upload } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { attention, type Sizes } from '../reference/attention.ts';
import { distance, draw } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 13, S: 40, D: 8, E: 40 };

/** The reference's probabilities: attention to the identity. */
function expected(inputs: ReturnType<typeof draw>, options: Parameters<typeof attention>[2], at: Sizes): Float64Array {
  const v = Float32Array.from({ length: at.B * at.G * at.S * at.S }, (_, n) => (Math.floor(n / at.S) % at.S === n % at.S ? 1 : 0));
  return attention({ ...inputs, v }, { ...at, E: at.S }, options).out;
}

describe('attentionWeights', () => {
  const inputs = draw(sizes, 2);
  const [q, k] = upload(engine, inputs, sizes);

  test('are the softmax', async () => {
    const weights = await engine.attentionWeights(q, k, { causal: true, softcap: 2, sinks: [0, 1, 2, 3] });
    expect(weights.shape).toEqual([2, 4, 13, 40]);
    const truth = expected(inputs, { visible: ({ i, j }) => j <= i + 27, softcap: 2, sinks: [0, 1, 2, 3] }, sizes);
    expect(distance(weights.toArray(), truth)).toBeLessThan(1e-6);
    expectSameBits(engine.attentionWeightsSync(q, k, { causal: true, softcap: 2, sinks: [0, 1, 2, 3] }).toArray(), weights.toArray());
  });

  test('times v are the attention', async () => {
    const options: AttentionOptions = { causal: true, encoding: [rotary({ dim: 8, theta: 10, layout: 'pairs' }), alibi({ heads: 4 })] };
    const weights = (await engine.attentionWeights(q, k, options)).toArray();
    const { out } = await attend(engine, inputs, sizes, options);
    const sums = Float64Array.from({ length: out.length }, (_, n) => {
      const [r, e] = [Math.floor(n / 40), n % 40];
      const head = Math.floor(r / 13 / 4) * 2 + Math.floor((Math.floor(r / 13) % 4) / 2);
      return Array.from({ length: 40 }, (_, j) => (weights[r * 40 + j] as number) * (inputs.v[(head * 40 + j) * 40 + e] as number)).reduce(
        (a, x) => a + x,
      );
    });
    expect(distance(out, sums)).toBeLessThan(1e-6);
  });

  test.each(['bhld', 'blhd'] as const)('a window is cut from the whole, %s', async (layout) => {
    const tensors = upload(engine, inputs, sizes, { layout });
    const mask = documents({ keys: Array.from({ length: 40 }, (_, n) => n % 3), queries: Array.from({ length: 13 }, (_, n) => n % 2) });
    const whole = await engine.attentionWeights(tensors[0], tensors[1], { mask, layout });
    const part = await engine.attentionWeights(tensors[0], tensors[1], { mask: [mask], layout, queries: [3, 9], keys: [11, 30] });
    expectSameBits(part.toArray(), whole.slice(null, null, [3, 9], [11, 30]).toArray());
    expect((await engine.attentionWeights(tensors[0], tensors[1], { layout, queries: [3, 3] })).shape).toEqual([2, 4, 0, 40]);
  });

  test('more keys than one head of values is wide', async () => {
    const wide = { B: 1, H: 1, G: 1, L: 3, S: 1100, D: 4, E: 1 };
    const long = draw(wide, 8);
    const [a, b] = upload(engine, long, wide);
    const weights = (await engine.attentionWeights(a, b, { mask: slidingWindow({ left: 900 }) })).toArray();
    const truth = expected(long, { visible: ({ i, j }) => j >= i + 1097 - 900 }, wide);
    expect(distance(weights, truth)).toBeLessThan(1e-8);
  });

  test('without what an encoding adds to v', async () => {
    const tables = { left: 3, right: 3, keys: numbers(7 * 8, 4) };
    const [plain, valued] = [shaw(tables), shaw({ ...tables, values: numbers(7 * 8, 5) })];
    const [a, b] = [await engine.attentionWeights(q, k, { encoding: plain }), await engine.attentionWeights(q, k, { encoding: [valued] })];
    expectSameBits(a.toArray(), b.toArray());
  });

  test('leave no memory in use', async () => {
    const before = engine.memoryUsage().used;
    const weights = await engine.attentionWeights(q, k);
    weights.dispose();
    expect(() => engine.attentionWeightsSync(q, k, { scale: Number.NaN })).toThrow('"scale"');
    await expect(engine.attentionWeights(q, k, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
    expect(engine.memoryUsage().used).toBe(before);
  });

  test('too many of them, and wrong windows', () => {
    const big = engine.tensor([1, 1, 5000, 1]);
    expect(() => engine.attentionWeightsSync(big, big)).toThrow(
      'expected a window of at most 2^24 = 16777216 probabilities, got [1, 1, 5000, 5000], 25000000',
    );
    expect(() => engine.attentionWeightsSync(big, big, { queries: [0, 5001] })).toThrow(RangeError);
    expect(() => engine.attentionWeightsSync(big, big, { keys: 3 as never })).toThrow(TypeError);
    expect(() => engine.attentionWeightsSync(big, big, { out: big } as object)).toThrow('has no "out"');
    big.dispose();
  });
});

describe('qkNorm', () => {
  const at = { B: 2, H: 4, G: 2, L: 9, S: 30, D: 8, E: 6 };
  const inputs = draw(at, 6);
  const [wq, wk] = [numbers(4 * 8, 21), numbers(2 * 8, 22)];

  /** Rows divided by their size, times the weights of their head. */
  function normalized(
    x: Float32Array,
    rows: number,
    heads: number,
    weights: Float32Array | undefined,
    size: (sum: number) => number,
  ): Float64Array {
    const D = 8;
    const out = new Float64Array(x.length);
    for (let r = 0; r < x.length / D; r++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += (x[r * D + d] as number) ** 2;
      const head = Math.floor(r / rows) % heads;
      const w = (d: number): number => (weights ? (weights[(weights.length > D ? head * D : 0) + d] as number) : 1);
      for (let d = 0; d < D; d++) out[r * D + d] = ((x[r * D + d] as number) / size(sum)) * w(d);
    }
    return out;
  }

  test.each([
    ['rms', undefined, undefined],
    ['rms', wq, wk],
    ['rms', wq.slice(0, 8), wk.slice(0, 8)],
    ['l2', undefined, wk],
  ] as const)('%s, queries × %s, keys × %s', async (kind, queryWeight, keyWeight) => {
    const size = (sum: number): number => (kind === 'rms' ? Math.sqrt(sum / 8 + 1e-3) : Math.max(Math.sqrt(sum), 1e-3));
    const qkNorm = {
      kind,
      epsilon: 1e-3,
      ...(queryWeight && { queryWeight }),
      ...(keyWeight && { keyWeight: engine.tensor([keyWeight.length], keyWeight) }),
    };
    const turn = ({ q, k, v }: typeof inputs): Parameters<typeof attention>[0] => {
      return { q: normalized(q, 9, 4, queryWeight, size), k: normalized(k, 30, 2, keyWeight, size), v };
    };
    const truth = attention(turn(inputs), at);
    // The error of a naive f32 evaluation, over a few draws.
    const errors = [1, 2, 3, 4, 5].map((seed) => {
      const { q, k, v } = turn(draw(at, seed));
      return distance(
        attention({ q, k, v }, at).out,
        attention({ q: Float32Array.from(q), k: Float32Array.from(k), v }, at, {}, Math.fround).out,
      );
    });
    const { out } = await attend(engine, inputs, at, { qkNorm });
    expect(distance(out, truth.out)).toBeLessThan(2 * Math.max(...errors));
  });

  test('wrong ones', () => {
    const [q, k, v] = upload(engine, inputs, at);
    const call = (options: unknown) => () => engine.attentionSync(q, k, v, options as AttentionOptions);
    expect(call({ qkNorm: { kind: 'layer' } })).toThrow(`"qkNorm.kind" expected 'rms' or 'l2', got "layer"`);
    expect(call({ qkNorm: { kind: 'rms', epsilon: 0 } })).toThrow('"qkNorm.epsilon"');
    expect(call({ qkNorm: { kind: 'rms', queryWeight: [1, 2] } })).toThrow(
      '"qkNorm.queryWeight" expected [D=8] or [4, D=8] numbers, got 2',
    );
    expect(call({ qkNorm: {} })).toThrow(TypeError);
  });
});

describe('smooth softmax', () => {
  test('is a sink of 0: four equal keys have a fifth each', () => {
    const q = engine.tensor([1, 1, 1, 4]);
    const k = engine.tensor([1, 1, 4, 4]);
    const weights = engine.attentionWeightsSync(q, k, { sinks: 'smooth' }).toArray();
    expect([...weights]).toEqual(Array(4).fill(Math.fround(0.2)));
    const sixths = engine.attentionWeightsSync(q, k, { sinks: [Math.log(2)] }).toArray();
    expect(distance(sixths, Array(4).fill(1 / 6))).toBeLessThan(1e-7);
  });

  test('any other word is none', () => {
    const q = engine.tensor([1, 1, 1, 4]);
    expect(() => engine.attentionSync(q, q, q, { sinks: 'soft' as 'smooth' })).toThrow(TypeError);
  });
});
