/** Layers that go row by row, as they are called: any strides, in place, on any number of threads; wrong input, and what is given back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine, type Tensor } from '../../src/index.ts';
import { createLayers, type Layers } from '../../src/nn/index.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';

let engine: Engine;
let nn: Layers;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  nn = await createLayers(engine);
});
afterAll(() => engine.dispose());

const tensor = (shape: number[], seed: number, on = engine): Tensor =>
  on.tensor(
    shape,
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
  );

describe('norms', () => {
  test('rows of any strides give the bits of rows side by side: slices, heads, columns of a fused projection', async () => {
    const weight = tensor([20], 1);
    const norm = nn.layerNorm({ weight, bias: tensor([20], 2) });
    const x = tensor([3, 4, 20], 3);
    const plain = norm.runSync(x).toArray();
    expect(norm.runSync(engine.tensor([12, 20], x.toArray())).toArray()).toEqual(plain);
    const fused = engine.tensor([3, 7, 60]);
    const cut = fused.slice(null, [2, 6], [20, 40]);
    cut.set(x.toArray());
    expect(norm.runSync(cut).toArray()).toEqual(plain);
    expect((await norm.run(x, { out: cut })).toArray()).toEqual(plain);
    expect(norm.runSync(x, { out: x })).toBe(x);
    expect(x.toArray()).toEqual(plain);
    const left = fused.toArray();
    expect(left.filter((y) => y !== 0).length).toBeLessThanOrEqual(3 * 4 * 20);
  });

  test('weights are the layer’s own, and may be of any type', () => {
    const weight = engine.tensor([8], [1, 2, 3, 4, 5, 6, 7, 8], 'f16');
    const x = tensor([2, 8], 5);
    const norm = nn.rmsNorm({ weight });
    const before = norm.runSync(x).toArray();
    weight.set(new Float32Array(8));
    weight.dispose();
    expect(norm.runSync(x).toArray()).toEqual(before);
    const gemma = nn.rmsNorm({ weight: engine.tensor([8], [0, 1, 2, 3, 4, 5, 6, 7]), offset: 1 });
    expect(gemma.runSync(x).toArray()).toEqual(before);
  });

  test('a residual is added first, and its sum is written back where it came from', () => {
    const [x, residual] = [tensor([5, 7], 1), tensor([5, 7], 2)];
    const sum = x.toArray().map((y, n) => y + (residual.toArray()[n] as number));
    const norm = nn.layerNorm({});
    const expected = norm.runSync(engine.tensor([5, 7], sum)).toArray();
    expect(norm.runSync(x, { residual }).toArray()).toEqual(expected);
    expect(norm.runSync(x, { residual, out: x, sum: residual }).toArray()).toEqual(expected);
    expect(residual.toArray()).toEqual(sum);
  });

  test('without weights rows may be of any length', () => {
    const unit = nn.normalize();
    expect(unit.runSync(engine.tensor([2, 2], [3, 4, 0, 0])).toArray()).toEqual(Float32Array.of(0.6, 0.8, 0, 0));
    expect(unit.runSync(engine.tensor([1], [-5])).toArray()).toEqual(Float32Array.of(-1));
    expect(unit.runSync(engine.tensor([0, 3])).shape).toEqual([0, 3]);
  });
});

describe('embeddings', () => {
  test('tables of f16 and i8, types and positions', async () => {
    const table = engine.tensor([5, 3], numbers(15, 1), 'f16');
    const embedding = nn.embedding({ table, types: tensor([2, 3], 2), positions: tensor([9, 3], 3), scale: 2 });
    const [words, types, places] = [table.toArray(), numbers(6, 2), numbers(27, 3)];
    const expected = (ids: number[], kinds: number[], at: number[]): Float32Array =>
      Float32Array.from(
        ids.flatMap((id, n) =>
          [0, 1, 2].map((d) => {
            const word = Math.fround(2 * (words[3 * id + d] as number));
            return Math.fround(word + (types[3 * (kinds[n] as number) + d] as number)) + (places[3 * (at[n] as number) + d] as number);
          }),
        ),
      );
    table.dispose(); // The layer keeps it.
    expect(embedding.runSync([4, 0, 4]).toArray()).toEqual(expected([4, 0, 4], [0, 0, 0], [0, 1, 2]));
    expect(embedding.runSync([4, 1], { positions: 7 }).toArray()).toEqual(expected([4, 1], [0, 0], [7, 8]));
    const ids = engine.tensor([1, 2], [3, 1], 'i32');
    const out = await embedding.run(ids, { positions: [8, 0], types: [1, 0] });
    expect(out.shape).toEqual([1, 2, 3]);
    expect(out.toArray()).toEqual(expected([3, 1], [1, 0], [8, 0]));
    expect(embedding.runSync([]).shape).toEqual([0, 3]);
    const whole = nn.embedding({ table: engine.tensor([2, 2], [1, -2, 3, 127], 'i8'), scales: [0.5, 2] });
    expect(whole.runSync([1, 0]).toArray()).toEqual(Float32Array.of(6, 254, 0.5, -1));
  });
});

test('pools, probabilities and the largest', async () => {
  const x = engine.tensor([4, 2], [1, 2, 3, 4, 10, 20, 5, 1]);
  expect(
    nn
      .pool()
      .runSync(x, { offsets: [0, 2, 2, 4] })
      .toArray(),
  ).toEqual(Float32Array.of(2, 3, 0, 0, 7.5, 10.5));
  expect(nn.pool({ kind: 'last' }).runSync(x).toArray()).toEqual(Float32Array.of(5, 1));
  expect((await nn.pool({ kind: 'max' }).run(x)).toArray()).toEqual(Float32Array.of(10, 20));
  expect(
    nn
      .softmax()
      .runSync(engine.tensor([1, 2], [7, 7]))
      .toArray(),
  ).toEqual(Float32Array.of(0.5, 0.5));
  const logits = engine.tensor([2, 3], [1, 5, 5, 0, -1, 7]);
  const { values, indices } = await nn.topK({ k: 2 }).run(logits);
  expect([...values.toArray()]).toEqual([5, 5, 7, 0]);
  expect([...indices.toArray()]).toEqual([1, 2, 2, 0]);
  expect([indices.dtype, indices.shape]).toEqual(['i32', [2, 2]]);
  expect(nn.topK({ k: 1 }).runSync(logits).indices.toArray()).toEqual(Float32Array.of(1, 2));
});

describe('threads', () => {
  /** A hash of everything, large enough that all threads have tiles. */
  async function hash(threads: number): Promise<string> {
    const on = await createEngine({ threads });
    expect(on.capabilities.threads).toBe(threads);
    const layers = await createLayers(on);
    const x = tensor([700, 385], 1, on);
    const residual = tensor([700, 385], 2, on);
    const weight = tensor([385], 3, on);
    const results = [
      layers.layerNorm({ weight, bias: weight }).runSync(x, { residual }),
      await layers.rmsNorm({ weight }).run(x),
      await layers.normalize().run(x),
      layers.embedding({ table: x, positions: residual }).runSync(Int32Array.from({ length: 650 }, (_, n) => (n * 7919) % 700)),
      await layers.pool({ kind: 'weightedmean' }).run(x, { offsets: [0, 1, 100, 101, 350, 700] }),
      layers.softmax({ temperature: 0.7 }).runSync(x),
      (await layers.topK({ k: 50 }).run(x)).values,
    ];
    const bits = hashBits(...results.map((result) => result.toArray()));
    on.dispose();
    return bits;
  }

  test('1, 2, 3 and 5 give the same bits', async () => {
    const one = await hash(1);
    for (const threads of [2, 3, 5]) expect(await hash(threads)).toBe(one);
  });
});

describe('wrong input', () => {
  const x = (): Tensor => tensor([3, 4], 1);

  test.each<[string, () => unknown, RegExp]>([
    ['no options', () => nn.embedding(undefined as never), /embedding: "options" expected an object/],
    ['an unknown option', () => nn.layerNorm({ eps: 1 } as never), /layerNorm: "options" has no "eps"/],
    ['a bias of RMS norm', () => nn.rmsNorm({ bias: x() } as never), /rmsNorm: "options" has no "bias"/],
    ['no epsilon', () => nn.layerNorm({ epsilon: 0 }), /layerNorm: "epsilon" expected a finite number > 0, got 0/],
    [
      'an epsilon that hides all rows',
      () => nn.rmsNorm({ epsilon: 1e300 }),
      /"epsilon" expected a number in 2\^-100 … 2\^100, got 1e\+300/,
    ],
    [
      'one that no f32 has',
      () => nn.normalize({ epsilon: 1e-50 }),
      /normalize: "epsilon" expected a number in 2\^-100 … 2\^100, got 1e-50/,
    ],
    ['a matrix of weights', () => nn.rmsNorm({ weight: x() }), /rmsNorm: "weight" expected shape \[n ≥ 1\], got \[3, 4\]/],
    [
      'a bias of another length',
      () => nn.layerNorm({ weight: tensor([4], 1), bias: tensor([5], 1) }),
      /"bias" expected shape \[4\], got \[5\]/,
    ],
    [
      'rows of another length',
      () => nn.rmsNorm({ weight: tensor([5], 1) }).runSync(x()),
      /runSync: "x" expected shape \[..., 5\], got \[3, 4\]/,
    ],
    [
      'rows of another type',
      () => nn.normalize().runSync(engine.tensor([3, 4], undefined, 'f16')),
      /"x" expected a tensor of f32, got "f16"/,
    ],
    ['columns', () => nn.normalize().runSync(x().permute(1, 0)), /"x" expected rows side by side or at one distance, got strides \[1, 4\]/],
    [
      'a residual of another shape',
      () => nn.normalize().runSync(x(), { residual: tensor([2, 4], 1) }),
      /"residual" expected shape \[3, 4\], got \[2, 4\]/,
    ],
    ['a sum of nothing', () => nn.normalize().runSync(x(), { sum: x() }), /runSync: "sum" needs a "residual"/],
    [
      'a signal',
      () => nn.normalize().runSync(x(), { signal: new AbortController().signal } as never),
      /"signal" works with the asynchronous form only/,
    ],
    [
      'a table of i8 without scales',
      () => nn.embedding({ table: engine.tensor([2, 2], undefined, 'i8') }),
      /"table" expected a tensor of f32, f16 or bf16, got i8/,
    ],
    [
      'scales of another length',
      () => nn.embedding({ table: engine.tensor([2, 2], undefined, 'i8'), scales: [1] }),
      /"scales" expected shape \[2\], got \[1\]/,
    ],
    ['an id that is none', () => nn.embedding({ table: x() }).runSync([0, 3]), /runSync: "ids\[1\]" expected an integer in 0 … 2, got 3/],
    ['a negative id', () => nn.embedding({ table: x() }).runSync([-1]), /"ids\[0\]" expected an integer in 0 … 2, got -1/],
    ['types of none', () => nn.embedding({ table: x() }).runSync([0], { types: [0] }), /"types" needs an embedding with types/],
    [
      'positions of none',
      () => nn.embedding({ table: x() }).runSync([0], { positions: 1 }),
      /"positions" needs an embedding with positions/,
    ],
    [
      'a position too many',
      () => nn.embedding({ table: x(), positions: x() }).runSync([0, 1], { positions: 2 }),
      /"positions" expected an integer in 0 … 1, got 2/,
    ],
    [
      'too many positions',
      () => nn.embedding({ table: x(), positions: x() }).runSync([0, 1, 2, 0]),
      /"positions" expected at most 3 rows, got 0: 3 positions for 4 rows/,
    ],
    [
      'offsets that fall',
      () => nn.pool().runSync(x(), { offsets: [0, 2, 1, 3] }),
      /"offsets" expected numbers from 0 to 3, none falling, got \[0, 2, 1, 3\]/,
    ],
    ['offsets that end too early', () => nn.pool().runSync(x(), { offsets: [0, 2] }), /"offsets" expected numbers from 0 to 3/],
    ['a kind of none', () => nn.pool({ kind: 'total' as never }), /pool: "kind" expected 'cls' or/],
    ['k of 0', () => nn.topK({ k: 0 }), /topK: "k" expected an integer ≥ 1, got 0/],
    ['no k', () => nn.topK({} as never), /topK: "k" expected an integer, got undefined/],
    ['k of more than there are', () => nn.topK({ k: 5 }).runSync(x()), /"x" expected rows of at least k = 5, got 4/],
    ['no temperature', () => nn.softmax({ temperature: 0 }), /softmax: "temperature"/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });

  test('an output that meets what is read, and one that meets the sum', () => {
    const [whole, residual] = [tensor([6, 4], 1), tensor([3, 4], 2)];
    const [low, high] = [whole.slice([0, 3]), whole.slice([1, 4])];
    const norm = nn.normalize();
    const before = whole.toArray();
    expect(() => norm.runSync(low, { out: high })).toThrow(/"out" expected memory of its own, got an overlap with "x"/);
    expect(() => norm.runSync(low, { residual, sum: high })).toThrow(/"sum" expected memory of its own, got an overlap with "x"/);
    expect(() => norm.runSync(low, { residual, sum: low, out: low })).toThrow(/"out" expected memory of its own, got an overlap with/);
    expect(() => norm.runSync(low, { residual, out: residual })).toThrow(
      /"out" expected memory of its own, got an overlap with "residual"/,
    );
    const table = tensor([3, 4], 3);
    expect(() => nn.embedding({ table }).runSync([0, 1, 2], { out: table })).toThrow(
      /"out" expected memory of its own, got an overlap with "table"/,
    );
    expect(whole.toArray()).toEqual(before);
  });

  test('layers and tensors that were disposed of, and those of another engine', async () => {
    const norm = nn.normalize();
    norm.dispose();
    norm.dispose();
    expect(() => norm.runSync(x())).toThrow(expect.objectContaining({ code: 'disposed' }));
    const gone = x();
    gone.dispose();
    expect(() => nn.normalize().runSync(gone)).toThrow(expect.objectContaining({ code: 'disposed' }));
    const other = await createEngine({ threads: 1 });
    expect(() => nn.normalize().runSync(other.tensor([3, 4]))).toThrow(/"x" expected a tensor of this engine/);
    other.dispose();
  });

  test('an aborted call rejects with its reason', async () => {
    const reason = new Error('enough');
    await expect(nn.normalize().run(x(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(nn.topK({ k: 1 }).run(x(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

test('all memory comes back', async () => {
  const own = await createEngine({ threads: 1 });
  const layers = await createLayers(own);
  const before = own.memoryUsage().used;
  const weight = tensor([64], 1, own);
  const table = tensor([9, 64], 2, own);
  const all = [
    layers.layerNorm({ weight, bias: weight }),
    layers.rmsNorm({ weight }),
    layers.embedding({ table, positions: table }),
    layers.pool(),
    layers.softmax(),
  ] as const;
  const made = [
    all[0].runSync(table, { residual: table }),
    await all[1].run(table),
    await all[2].run([1, 2, 3]),
    all[3].runSync(table, { offsets: [0, 4, 9] }),
    await all[4].run(table),
  ];
  const top = layers.topK({ k: 3 });
  made.push(...Object.values(top.runSync(table) as unknown as Record<string, Tensor>));
  expect(() => all[2].runSync([9])).toThrow(RangeError);
  expect(() => all[0].runSync(table, { residual: weight })).toThrow(RangeError);
  await expect(all[1].run(table, { signal: AbortSignal.abort() })).rejects.toThrow();
  for (const one of [...all, top, ...made, weight, table]) one.dispose();
  expect(own.memoryUsage().used).toBe(before);
  own.dispose();
});
