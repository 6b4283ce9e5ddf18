/** Multi-head attention with its linear maps, against f64: at most twice the error of a naive f32 evaluation. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alibi, createEngine, type Engine, rotary, type Tensor } from '../../src/index.ts';
import { createLayers, type Layers, type MultiHeadAttentionOptions } from '../../src/nn/index.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';
import { attention, type ReferenceOptions, type Round } from '../reference/attention.ts';
import { distance, halfUnit } from '../reference/tolerance.ts';

let engine: Engine;
let nn: Layers;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  nn = await createLayers(engine);
});
afterAll(() => engine.dispose());

/** K inputs of x and M of the memory, N outputs. */
interface Form {
  readonly H: number;
  readonly G: number;
  readonly D: number;
  readonly E: number;
  readonly K: number;
  readonly M: number;
  readonly N: number;
}

type Name = 'query' | 'key' | 'value' | 'output';
type Weights = Readonly<Record<Name, { weight: Float32Array; bias: Float32Array | undefined; outputs: number; inputs: number }>>;

/** Weights of about 1/√inputs; the keys have no bias. */
function weightsOf({ H, G, D, E, K, M, N }: Form, seed = 1): Weights {
  const part = (n: number, outputs: number, inputs: number, biased = true) => ({
    weight: numbers(outputs * inputs, 31 * seed + n).map((x) => (2 * x) / Math.sqrt(inputs)),
    bias: biased ? numbers(outputs, 31 * seed + n + 10) : undefined,
    outputs,
    inputs,
  });
  return { query: part(1, H * D, K), key: part(2, G * D, M, false), value: part(3, G * E, M), output: part(4, N, H * E) };
}

const exact: Round = (x) => x;

/** Rows by a linear map. */
function map(x: ArrayLike<number>, { weight, bias, outputs, inputs }: Weights[Name], round: Round): number[] {
  return Array.from({ length: (x.length / inputs) * outputs }, (_, at) => {
    const [r, n] = [Math.floor(at / outputs), at % outputs];
    let sum = 0;
    for (let k = 0; k < inputs; k++) sum = round(sum + round((x[r * inputs + k] as number) * (weight[n * inputs + k] as number)));
    return bias ? round(sum + (bias[n] as number)) : sum;
  });
}

/** [B, L, heads, width] as [B, heads, L, width], or back. */
function turned(x: readonly number[], outer: number, inner: number, width: number): number[] {
  return Array.from({ length: x.length }, (_, at) => {
    const d = at % width;
    const o = Math.floor(at / width) % outer;
    const i = Math.floor(at / width / outer) % inner;
    const b = Math.floor(at / width / outer / inner);
    return x[((b * outer + o) * inner + i) * width + d] as number;
  });
}

interface Case {
  readonly x: ArrayLike<number>;
  readonly memory?: ArrayLike<number>;
  readonly B: number;
  readonly L: number;
  readonly S: number;
  readonly options?: ReferenceOptions;
}

function reference(form: Form, weights: Weights, { x, memory = x, B, L, S, options }: Case, round = exact): Float64Array {
  const { H, G, D, E } = form;
  const q = turned(map(x, weights.query, round), L, H, D);
  const k = turned(map(memory, weights.key, round), S, G, D);
  const v = turned(map(memory, weights.value, round), S, G, E);
  const { out } = attention({ q, k, v }, { B, H, G, L, S, D, E }, options, round);
  // Back from [B, H, L, E].
  return Float64Array.from(map(turned([...out], H, L, E), weights.output, round));
}

const tensorOf = (shape: number[], data: Float32Array, on = engine): Tensor => on.tensor(shape, data);

function optionsOf(form: Form, weights: Weights, on = engine): MultiHeadAttentionOptions {
  const part = (name: Name) => {
    const { weight, bias, outputs, inputs } = weights[name];
    return { weight: tensorOf([outputs, inputs], weight, on), ...(bias && { bias: tensorOf([outputs], bias, on) }) };
  };
  const { H: heads, G: keyHeads } = form;
  return { heads, keyHeads, query: part('query'), key: part('key'), value: part('value'), output: part('output') };
}

/** The rule on accuracy, with fresh inputs for the naive evaluation. */
function expectAccurate(
  form: Form,
  given: Omit<Case, 'x' | 'memory'> & { cross?: boolean },
  run: (x: Float32Array, memory: Float32Array) => Float32Array,
): void {
  const { B, L, S, cross = false } = given;
  const draw = (seed: number): { x: Float32Array; memory: Float32Array } => ({
    x: numbers(B * L * form.K, 7 * seed),
    memory: numbers(B * S * form.M, 7 * seed + 1),
  });
  const caseOf = (seed: number): Case => {
    const { x, memory } = draw(seed);
    return { ...given, x, ...(cross && { memory }) };
  };
  const weights = weightsOf(form);
  const truth = reference(form, weights, caseOf(1));
  let bound = halfUnit(truth);
  for (let seed = 1; seed < 6; seed++) {
    const naive = reference(form, weights, caseOf(seed), Math.fround);
    bound = Math.max(bound, distance(naive, reference(form, weights, caseOf(seed))));
  }
  const { x, memory } = draw(1);
  expect(distance(run(x, memory), truth)).toBeLessThanOrEqual(2 * bound);
}

const FORMS: Record<string, Form> = {
  'one head': { H: 1, G: 1, D: 8, E: 8, K: 16, M: 16, N: 16 },
  'grouped heads, widths of no round number': { H: 6, G: 2, D: 5, E: 5, K: 20, M: 20, N: 20 },
  'values of another width, other outputs': { H: 4, G: 4, D: 12, E: 7, K: 33, M: 33, N: 9 },
};

describe.each(Object.entries(FORMS))('%s', (_, form) => {
  const { K, N } = form;

  test('self-attention of a batch, causal and not', () => {
    const [B, L] = [2, 11];
    for (const causal of [false, true]) {
      const layer = nn.multiHeadAttention({ ...optionsOf(form, weightsOf(form)), causal });
      const options = causal ? { visible: ({ i, j }: { i: number; j: number }) => j <= i } : {};
      expectAccurate(form, { B, L, S: L, options }, (x) => {
        const y = layer.runSync(tensorOf([B, L, K], x));
        expect(y.shape).toEqual([B, L, N]);
        return y.toArray();
      });
      layer.dispose();
    }
  });

  test('cross-attention', () => {
    const [B, L, S] = [2, 3, 9];
    const layer = nn.multiHeadAttention(optionsOf(form, weightsOf(form)));
    expectAccurate(form, { B, L, S, cross: true }, (x, memory) =>
      layer.runSync(tensorOf([B, L, K], x), { memory: tensorOf([B, S, K], memory) }).toArray(),
    );
    layer.dispose();
  });
});

describe('multi-head attention', () => {
  const form = FORMS['grouped heads, widths of no round number'] as Form;
  const { K, N } = form;
  const weights = weightsOf(form);
  const x = (rows: number, seed = 5): Tensor => tensorOf([1, rows, K], numbers(rows * K, seed));
  const bits = (tensor: Tensor): string => hashBits(tensor.toArray());

  test('a memory with inputs of its own', () => {
    const own = { ...form, M: 13 };
    const layer = nn.multiHeadAttention(optionsOf(own, weightsOf(own)));
    expectAccurate(own, { B: 1, L: 4, S: 6, cross: true }, (given, memory) =>
      layer.runSync(tensorOf([1, 4, K], given), { memory: tensorOf([1, 6, 13], memory) }).toArray(),
    );
    expect(() => layer.runSync(x(4))).toThrow(/"x" expected shape \[..., 13\], got \[1, 4, 20\]/);
  });

  test('is what the layers and attention give one by one, bit for bit, with a rotation, a window and a residual', async () => {
    const encoding = rotary({ dim: 4, theta: 100, layout: 'pairs' });
    const always = { encoding, causal: true, window: { left: 3 }, softcap: 5 };
    const options = optionsOf(form, weights);
    const layer = nn.multiHeadAttention({ ...options, ...always });
    const input = x(10);
    const heads = (name: 'query' | 'key' | 'value', count: number): Tensor => {
      const y = nn.linear(options[name]).runSync(input);
      return engine.tensor([1, 10, count, form.D], y.toArray());
    };
    const attended = engine.attentionSync(heads('query', 6), heads('key', 2), heads('value', 2), { ...always, layout: 'blhd' });
    const residual = x(10, 9);
    const expected = nn.linear(options.output).runSync(engine.tensor([1, 10, 30], attended.toArray()), { residual });
    expect(bits(layer.runSync(input, { residual }))).toBe(bits(expected));
    const stream = x(10, 9);
    expect(await layer.run(input, { residual: stream, out: stream })).toBe(stream);
    expect(bits(stream)).toBe(bits(expected));
  });

  test('packed sequences are each what it is on its own', () => {
    const layer = nn.multiHeadAttention({ ...optionsOf(form, weights), encoding: alibi({ heads: 6 }), causal: true });
    const rows = numbers(12 * K, 8);
    const y = layer.runSync(tensorOf([12, K], rows), { queryOffsets: [0, 5, 5, 12] }).toArray();
    const alone = (from: number, to: number): Float32Array =>
      layer.runSync(tensorOf([to - from, K], rows.slice(from * K, to * K))).toArray();
    expect(y).toEqual(Float32Array.of(...alone(0, 5), ...alone(5, 12)));
    const memory = numbers(7 * K, 9);
    const cross = nn.multiHeadAttention(optionsOf(form, weights));
    const both = cross.runSync(tensorOf([5, K], rows.slice(0, 5 * K)), {
      memory: tensorOf([7, K], memory),
      queryOffsets: [0, 2, 5],
      keyOffsets: [0, 4, 7],
    });
    const second = cross.runSync(tensorOf([3, K], rows.slice(2 * K, 5 * K)), { memory: tensorOf([3, K], memory.slice(4 * K)) });
    expect(both.toArray().subarray(2 * N)).toEqual(second.toArray());
  });

  test('token by token over a cache, the whole again; then without new keys', async () => {
    const encoding = rotary({ dim: 4, theta: 100, layout: 'halves' });
    const layer = nn.multiHeadAttention({ ...optionsOf(form, weights), encoding, causal: true });
    const whole = layer.runSync(x(9)).toArray();
    const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 5, capacity: 16, encoding });
    const rows = numbers(9 * K, 5);
    const found: number[] = [];
    for (const [from, to] of [
      [0, 4],
      [4, 5],
      [5, 6],
      [6, 9],
    ] as const) {
      const part = tensorOf([1, to - from, K], rows.slice(from * K, to * K));
      const y = from % 2 ? layer.runSync(part, { cache }) : await layer.run(part, { cache });
      found.push(...y.toArray());
    }
    expect(cache.length).toBe(9);
    expect(distance(Float32Array.from(found), whole)).toBeLessThan(1e-6);
    const last = tensorOf([1, 1, K], rows.slice(8 * K));
    expect(layer.runSync(last, { cache, memory: null }).toArray()).toEqual(Float32Array.from(found.slice(8 * N)));
    expect(cache.length).toBe(9);
    await expect(layer.run(last, { cache, signal: AbortSignal.abort() })).rejects.toThrow();
    expect(() => layer.runSync(last, { cache, mask: x(1) })).toThrow();
    expect(cache.length).toBe(9);
    layer.runSync(last, { cache });
    expect(cache.length).toBe(10);
  });

  test('weights of every type: halves are what they are, integers near', () => {
    const wide = { H: 4, G: 2, D: 32, E: 32, K: 128, M: 128, N: 128 };
    const options = optionsOf(wide, weightsOf(wide));
    const input = tensorOf([1, 12, 128], numbers(12 * 128, 3));
    const plain = nn.multiHeadAttention(options).runSync(input).toArray();
    const size = Math.sqrt(plain.reduce((sum, y) => sum + y * y, 0));
    for (const [type, most] of [
      ['f32', 0],
      ['f16', 1e-3],
      ['bf16', 1e-2],
      ['i8', 0.03],
      ['i4', 0.3],
    ] as const) {
      const layer = nn.multiHeadAttention({ ...options, type });
      const y = layer.runSync(input).toArray();
      expect(Math.sqrt(y.reduce((sum, v, n) => sum + (v - (plain[n] as number)) ** 2, 0)) / size).toBeLessThanOrEqual(most);
      if (type === 'i8') expect(layer.bytes).toBe((64 + 8 * 128) * (32 + 16));
    }
  });

  test('1, 2, 3 and 5 threads give the same bits', async () => {
    const wide = { H: 6, G: 2, D: 40, E: 40, K: 150, M: 150, N: 150 };
    const hash = async (threads: number): Promise<string> => {
      const own = await createEngine({ threads });
      const layers = await createLayers(own);
      const encoding = rotary({ dim: 40, theta: 100, layout: 'halves' });
      const results: Tensor[] = [];
      for (const type of ['f32', 'i8'] as const) {
        const layer = layers.multiHeadAttention({ ...optionsOf(wide, weightsOf(wide), own), type, encoding, causal: true });
        const input = tensorOf([2, 150, 150], numbers(2 * 150 * 150, 3), own);
        results.push(layer.runSync(input), await layer.run(input, { residual: input }));
      }
      const found = hashBits(...results.map((result) => result.toArray()));
      own.dispose();
      return found;
    };
    const one = await hash(1);
    for (const threads of [2, 3, 5]) expect(await hash(threads)).toBe(one);
  });

  test('no rows, and no keys', () => {
    const layer = nn.multiHeadAttention(optionsOf(form, weights));
    expect(layer.runSync(engine.tensor([2, 0, K])).shape).toEqual([2, 0, N]);
    // Of nothing the output's bias is left.
    const y = layer.runSync(x(2), { memory: engine.tensor([1, 0, K]) }).toArray();
    const bias = weights.output.bias as Float32Array;
    expect(y).toEqual(Float32Array.of(...bias, ...bias));
  });

  test('a row that is not finite leaves those alone that do not see it', () => {
    const layer = nn.multiHeadAttention({ ...optionsOf(form, weights), causal: true });
    const data = numbers(6 * K, 4);
    const clean = layer.runSync(tensorOf([1, 6, K], data)).toArray();
    data[4 * K] = Number.NaN;
    const y = layer.runSync(tensorOf([1, 6, K], data)).toArray();
    expect(y.subarray(0, 4 * N)).toEqual(clean.subarray(0, 4 * N));
    expect(y.subarray(4 * N).every(Number.isNaN)).toBe(true);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'no heads',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), heads: undefined } as never),
      /"heads" expected an integer, got undefined/,
    ],
    [
      'heads that do not divide',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), keyHeads: 4 }),
      /"keyHeads" expected a divisor of heads = 6, got 4/,
    ],
    [
      'no output',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), output: undefined } as never),
      /"output.weight" expected a tensor, got undefined/,
    ],
    [
      'a matrix of another shape',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), output: { weight: x(1) } }),
      /"output.weight" expected shape \[outputs ≥ 1, inputs ≥ 1\], got \[1, 1, 20\]/,
    ],
    [
      'keys of another width',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), key: { weight: engine.tensor([8, 20]) } }),
      /"key.weight" expected shape \[10, 20\], got \[8, 20\]/,
    ],
    [
      'an output of other inputs',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), output: { weight: engine.tensor([20, 20]) } }),
      /"output.weight" expected shape \[20, 30\], got \[20, 20\]/,
    ],
    [
      'a bias of another length',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), query: { weight: engine.tensor([30, 20]), bias: engine.tensor([3]) } }),
      /"query.bias" expected shape \[30\], got \[3\]/,
    ],
    [
      'an option of none',
      () => nn.multiHeadAttention({ ...optionsOf(form, weights), dropout: 0 } as never),
      /multiHeadAttention: "options" has no "dropout"/,
    ],
    ['a softcap of 0', () => nn.multiHeadAttention({ ...optionsOf(form, weights), softcap: 0 }), /multiHeadAttention: "softcap"/],
    [
      'x of another width',
      () => nn.multiHeadAttention(optionsOf(form, weights)).runSync(engine.tensor([1, 2, 21])),
      /runSync: "x" expected shape \[..., 20\], got \[1, 2, 21\]/,
    ],
    [
      'x of one dimension',
      () => nn.multiHeadAttention(optionsOf(form, weights)).runSync(engine.tensor([20])),
      /"x" expected shape \[B, L, n\] or \[T, n\], got \[20\]/,
    ],
    [
      'a memory of another batch',
      () => nn.multiHeadAttention(optionsOf(form, weights)).runSync(x(2), { memory: engine.tensor([2, 2, 20]) }),
      /"memory" expected shape \[1, S, 20\], got \[2, 2, 20\]/,
    ],
    [
      'offsets beside a batch',
      () => nn.multiHeadAttention(optionsOf(form, weights)).runSync(x(2), { queryOffsets: [0, 2] }),
      /"x" expected shape \[T, K\] beside "queryOffsets", got \[1, 2, 20\]/,
    ],
    [
      'an output in the way',
      () => {
        const y = x(2);
        nn.multiHeadAttention(optionsOf(form, weights)).runSync(y, { out: y });
      },
      /"out" expected memory of its own, got an overlap with "x"/,
    ],
  ])('%s is refused', (_, call, message) => {
    expect(call).toThrow(message);
  });

  test('all memory comes back, whatever happens', async () => {
    const own = await createEngine({ threads: 1 });
    const layers = await createLayers(own);
    const options = optionsOf(form, weights, own);
    const input = tensorOf([1, 6, K], numbers(6 * K, 1), own);
    const before = own.memoryUsage().used;
    const layer = layers.multiHeadAttention({ ...options, causal: true });
    layer.runSync(input).dispose();
    (await layer.run(input)).dispose();
    expect(() => layer.runSync(input, { queryOffsets: [0] })).toThrow();
    expect(() => layer.runSync(input, { mask: input })).toThrow();
    await expect(layer.run(input, { signal: AbortSignal.abort() })).rejects.toThrow();
    layer.dispose();
    layer.dispose();
    expect(own.memoryUsage().used).toBe(before);
    expect(() => layer.runSync(input)).toThrow(expect.objectContaining({ code: 'disposed' }));
    own.dispose();
  });
});
