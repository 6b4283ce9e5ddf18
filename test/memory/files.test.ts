/** Tensors of safetensors files as operands: the bits of the same numbers in the engine's memory, which is as it was when the call is over. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  bias,
  createEngineSync,
  type DType,
  defineEncoding,
  rotary,
  type Tensor,
  type TensorLike,
  wavlm,
} from '../../src/index.ts';
import { Arena } from '../../src/memory/arena.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { taken } from './failing.ts';
import { fileFrom, fileOf } from './files.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [B, H, G, L, S, D, E] = [2, 4, 2, 9, 21, 8, 6] as const;
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);
const made = (shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor =>
  engine.tensor(shape, numbers(sizeOf(shape), seed), dtype);
const halves = rotary({ dim: D, theta: 10000, layout: 'halves' });
const cached = () => engine.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: 64, encoding: halves });

type Results = readonly ArrayLike<number>[];
interface Operation {
  readonly shapes: readonly (readonly number[])[];
  /** Types that some of the operands must have. */
  readonly only?: readonly (DType | undefined)[];
  run(...operands: TensorLike[]): Promise<Results> | Results;
}

const three = [
  [B, H, L, D],
  [B, G, S, D],
  [B, G, S, E],
];
const flat = [
  [30, H, D],
  [40, G, D],
  [40, G, E],
];
const documents = { queryOffsets: [0, 9, 18, 30], keyOffsets: [0, 10, 20, 40] };
const options: AttentionOptions = { encoding: [halves, alibi({ heads: H })], causal: true };
const query = made([B, H, L, D], 1);
const OPERATIONS: Readonly<Record<string, Operation>> = {
  attention: { shapes: three, run: async (q, k, v) => taken(await engine.attention(q as Tensor, k, v, options)) },
  attentionSync: { shapes: three, run: (q, k, v) => taken(engine.attentionSync(q as Tensor, k, v, options)) },
  attentionPartial: {
    shapes: three,
    async run(q, k, v) {
      const { out, lse } = await engine.attentionPartial(q as Tensor, k, v, options);
      return taken(out, lse);
    },
  },
  'attention, packed': {
    shapes: flat,
    run: async (q, k, v) => taken(await engine.attention(q as Tensor, k, v, { ...options, ...documents })),
  },
  'attention with a cache': {
    shapes: three,
    async run(q, k, v) {
      const cache = cached();
      const first = await engine.attention(q as Tensor, k, v, { cache, causal: true });
      const second = await engine.attention(q as Tensor, null, null, { cache });
      cache.dispose();
      return taken(first, second);
    },
  },
  append: {
    shapes: three.slice(1),
    run(k, v) {
      const cache = cached();
      cache.append(k as Tensor, v as Tensor, { lengths: [S, 3] });
      const out = engine.attentionSync(query, null, null, { cache });
      cache.dispose();
      return taken(out);
    },
  },
  attentionWeights: {
    shapes: three.slice(0, 2),
    run: async (q, k) => taken(await engine.attentionWeights(q as Tensor, k as Tensor, options)),
  },
  'attentionWeightsSync, in slices': {
    shapes: [
      [1, 1, 2, 4],
      [1, 1, 1100, 4],
    ],
    run: (q, k) => taken(engine.attentionWeightsSync(q as Tensor, k as Tensor)),
  },
  rotate: { shapes: three.slice(0, 1), run: async (x) => taken(await engine.rotate(x as Tensor, halves, { offset: 5 })) },
  mergeStates: {
    shapes: [
      [B, H, L, E],
      [B, H, L],
      [B, H, L, E],
      [B, H, L],
    ],
    only: [undefined, 'f32', undefined, 'f32'],
    async run(out, lse, out2, lse2) {
      const states = [
        { out, lse },
        { out: out2, lse: lse2 },
      ] as { out: Tensor; lse: Tensor }[];
      const merged = await engine.mergeStates(states, { sinks: [1, 2, 3, 4] });
      return taken(merged.out, merged.lse);
    },
  },
};

/** How often a call asks for memory, that of a cache apart, which an operation makes for itself; and what it throws. */
async function allocations(call: () => unknown): Promise<{ asked: number; error: unknown }> {
  const { allocate } = Arena.prototype;
  let asked = 0;
  Arena.prototype.allocate = function (this: Arena, bytes: number): number {
    if (!new Error().stack?.includes('makeCache')) asked++;
    return allocate.call(this, bytes);
  };
  try {
    await call();
    return { asked, error: undefined };
  } catch (error) {
    return { asked, error };
  } finally {
    Arena.prototype.allocate = allocate;
  }
}

function expectSame(got: Results, expected: Results): void {
  expect(got.length).toBe(expected.length);
  expected.forEach((bits, n) => {
    expectSameBits(got[n] as Float32Array, bits as Float32Array);
  });
}

describe.each(Object.entries(OPERATIONS))('%s', (_, { shapes, only, run }) => {
  test.each(['f32', 'f16', 'bf16'] as const)('%s, all of a file or one of them', async (dtype) => {
    const tensors = shapes.map((shape, n) => made(shape, n + 1, only?.[n] ?? dtype));
    const expected = await run(...tensors);
    engine.releaseTables();
    const { used } = engine.memoryUsage();
    expectSame(await run(...tensors.map(fileOf)), expected);
    for (const which of tensors.keys()) {
      expectSame(await run(...tensors.map((tensor, n) => (n === which ? fileOf(tensor) : tensor))), expected);
    }
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(used);
    for (const tensor of tensors) tensor.dispose();
  });

  test('F64 is read as f32', async () => {
    const tensors = shapes.map((shape, n) => made(shape, n + 1));
    const files = tensors.map((tensor) => fileFrom('F64', tensor.shape, Float64Array.from(tensor.toArray())));
    expectSame(await run(...files), await run(...tensors));
    for (const tensor of tensors) tensor.dispose();
  });

  test('what is no operand is refused by name, and nothing is allocated', async () => {
    const tensors = shapes.map((shape, n) => made(shape, n + 1));
    for (const which of tensors.keys()) {
      const file = fileOf(tensors[which] as Tensor);
      const wrong = [
        { ...file, dtype: 'I32' },
        { ...file, dtype: 'X' },
        { ...file, data: file.data.subarray(4) },
        { ...file, shape: [7, ...file.shape.slice(1)] },
        { ...file, shape: [sizeOf(file.shape)] },
        { ...file, data: [...file.data] },
      ];
      for (const given of wrong) {
        const { asked, error } = await allocations(() =>
          run(...tensors.map((tensor, n) => (n === which ? (given as TensorLike) : tensor))),
        );
        expect(error).toBeInstanceOf(Error);
        expect([TypeError, RangeError]).toContain((error as Error).constructor);
        expect((error as Error).message).toMatch(/^\w+: "(q|k|v|x|states\[\d\]\.(out|lse))/);
        expect(asked).toBe(0);
      }
    }
    for (const tensor of tensors) tensor.dispose();
  });
});

describe('masks', () => {
  const operands = three.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];
  const attend = (mask: unknown): Float32Array => {
    const out = engine.attentionSync(...operands, { mask } as AttentionOptions);
    return (taken(out) as [Float32Array])[0];
  };
  const shapes = [[B, H, L, S], [1, 1, L, S], [L, 1], [S], [1]];

  test.each(shapes.map((shape) => [shape]))('bytes of %j hide where they are 0', (shape) => {
    const bytes = Uint8Array.from(numbers(sizeOf(shape), 7), (x) => (x > 0 ? 1 : 0));
    const expected = attend(engine.tensor(shape, Int8Array.from(bytes), 'i8'));
    const { used } = engine.memoryUsage();
    expectSameBits(attend(fileFrom('BOOL', shape, bytes)), expected);
    expectSameBits(
      attend(
        fileFrom(
          'U8',
          shape,
          bytes.map((x) => 255 * x),
        ),
      ),
      expected,
    );
    expectSameBits(
      attend([
        fileFrom(
          'I8',
          shape,
          Int8Array.from(bytes, (x) => -128 * x),
        ),
      ]),
      expected,
    );
    expect(engine.memoryUsage().used).toBe(used);
  });

  test.each(shapes.map((shape) => [shape]))('numbers of %j are added', (shape) => {
    const values = numbers(sizeOf(shape), 8).map((x) => (x > 0.5 ? -Infinity : x));
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      const tensor = engine.tensor(shape, values, dtype);
      expectSameBits(attend(fileOf(tensor)), attend(tensor));
    }
    expectSameBits(attend(fileFrom('F64', shape, Float64Array.from(values))), attend(engine.tensor(shape, values)));
  });

  test('what is no mask is refused', () => {
    const file = fileFrom('I32', [L, S], new Int32Array(L * S));
    expect(() => attend(file)).toThrow(/^attentionSync: "mask" expected a tensor of i8/);
    expect(() => attend([fileFrom('BOOL', [S, L], new Uint8Array(L * S))])).toThrow(/^attentionSync: "mask\[0\]" expected shape/);
    const packed = flat.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];
    const mask = fileFrom('BOOL', [S], new Uint8Array(S));
    expect(() => engine.attentionSync(...packed, { ...documents, mask })).toThrow(/"mask" expected no tensor/);
  });

  test('an estimate counts the copies', () => {
    const request = { q: [B, H, L, D], k: [B, G, S, D], v: [B, G, S, E] };
    const plain = engine.estimate(request);
    const mask = fileFrom('BOOL', [L, S], new Uint8Array(L * S));
    const copied = engine.estimate(request, { mask, encoding: bias(fileOf(made([1, H, L, S], 9, 'f16'))) });
    const bytes = L * S + 4 * H * L * S;
    expect(copied.scratch - plain.scratch).toBeGreaterThanOrEqual(bytes);
    expect(copied.scratch - plain.scratch).toBeLessThan(bytes + 1024);
    for (const shape of shapes) engine.estimate(request, { mask: fileFrom('BOOL', shape, new Uint8Array(sizeOf(shape))) });
  });
});

describe('encodings', () => {
  const operands = three.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];

  test.each(['f32', 'f16', 'bf16'] as const)('a dense bias of %s, whole and in a shard', (dtype) => {
    const tensor = made([1, H, L, S], 4, dtype);
    const file = fileOf(tensor);
    const own = defineEncoding({ name: 'own', lower: () => ({ biases: [{ kind: 'dense', tensor: file }] }) });
    const run = (encoding: AttentionOptions['encoding'], more: AttentionOptions = {}) =>
      taken(engine.attentionSync(...operands, { ...more, ...(encoding && { encoding }) }));
    const { used } = engine.memoryUsage();
    expectSame(run(bias(file)), run(bias(tensor)));
    expectSame(run(own), run(bias(tensor)));
    expect(engine.memoryUsage().used).toBe(used);
    const [q, k, v] = operands;
    const part = (x: Tensor) => x.slice(null, null, [5, 12]);
    const shard = (encoding: ReturnType<typeof bias>) => {
      const { out, lse } = engine.attentionPartialSync(q, part(k), part(v), { encoding, keyOffset: 5, totalKeys: S });
      return taken(out, lse);
    };
    expectSame(shard(bias(file)), shard(bias(tensor)));
  });

  test('what is no bias is refused when the encoding is made, a shape by the call', () => {
    expect(() => bias(fileFrom('I32', [1], new Int32Array(1)))).toThrow(/^bias: "tensor" expected a tensor of f32, f16 or bf16, got "I32"/);
    expect(() => bias({} as never)).toThrow(/^bias: "tensor" expected a tensor/);
    const narrow = bias(fileOf(made([1, 1, L, S - 1], 3)));
    expect(() => engine.attentionSync(...operands, { encoding: narrow })).toThrow(/"encoding \(bias\)" expected shape/);
  });

  test("the input of wavlm's gates", () => {
    const given = {
      heads: H,
      numBuckets: 32,
      maxDistance: 40,
      table: numbers(32 * H, 1),
      gateWeight: numbers(8 * 3, 2),
      gateBias: numbers(8, 3),
      gateConst: numbers(H, 4),
    };
    const input = made([B, L, 3 * H], 5);
    const run = (x: Tensor | ReturnType<typeof fileOf>) =>
      taken(engine.attentionSync(...operands, { encoding: wavlm({ ...given, input: x }) }));
    expectSame(run(fileOf(input)), run(input));
    expect(() => run({ ...fileOf(input), shape: [L, B, 3 * H] })).toThrow(/"input" expected shape \[2, 9, 12\]/);
  });
});

test('an output is a tensor of the engine', () => {
  const operands = three.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];
  const out = fileOf(made([B, H, L, E], 1)) as unknown as Tensor;
  const message = /: "out" expected a tensor, got/;
  expect(() => engine.attentionSync(...operands, { out })).toThrow(message);
  expect(() => engine.rotateSync(operands[0], halves, { out })).toThrow(message);
  const state = { out: made([B, H, L, E], 1), lse: made([B, H, L], 2) };
  expect(() => engine.mergeStatesSync([state], { out })).toThrow(message);
});

describe('nothing is allocated before all is checked', () => {
  const tensors = three.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];
  const packed = flat.map((shape, n) => made(shape, n + 1)) as [Tensor, Tensor, Tensor];
  const CALLS: Readonly<Record<string, (options: AttentionOptions) => unknown>> = {
    attentionSync: (options) => engine.attentionSync(...tensors, options),
    attentionWeightsSync: (options) => engine.attentionWeightsSync(tensors[0], tensors[1], options),
    'attentionSync, packed': (options) => engine.attentionSync(...packed, { ...documents, ...options }),
  };
  const wide = rotary({ dim: 2 * D, theta: 10, layout: 'halves' });
  const WRONG: Readonly<Record<string, AttentionOptions>> = {
    sinks: { sinks: [1] },
    'an encoding of another width': { encoding: wide },
    'two rotations': { encoding: [halves, halves] },
    'a bias of other heads': { encoding: alibi({ heads: H + 1 }) },
    'a weight of qkNorm': { qkNorm: { kind: 'rms', epsilon: 1e-6, queryWeight: [1] } },
    'scale beyond the softcap': { scale: 2 ** 90, softcap: 2 ** -90 },
  };
  test.each(Object.keys(CALLS).flatMap((call) => Object.keys(WRONG).map((wrong) => [call, wrong] as const)))(
    '%s, %s',
    async (call, wrong) => {
      const { asked, error } = await allocations(() => CALLS[call]?.(WRONG[wrong] as AttentionOptions));
      expect(error).toBeInstanceOf(RangeError);
      expect(asked).toBe(0);
    },
  );
});
