/** Linear layers as they are called: threads, signals, wrong input, memory that runs out, and what is given back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine, RelposError, type Tensor } from '../../src/index.ts';
import { createLayers, type Layers, type LinearOptions } from '../../src/nn/index.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';
import { failEach, type Operation, taken } from '../memory/failing.ts';
import { bits, sums } from './linear-reference.ts';

let engine: Engine;
let nn: Layers;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  nn = await createLayers(engine);
});
afterAll(() => engine.dispose());

const tensor = (shape: readonly number[], seed: number, on = engine): Tensor =>
  on.tensor(
    shape,
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
  );

describe('threads', () => {
  /** A hash of everything, large enough that all threads have tiles. */
  async function hash(threads: number): Promise<string> {
    const on = await createEngine({ threads });
    expect(on.capabilities.threads).toBe(threads);
    const layers = await createLayers(on);
    expect(on.capabilities.threads).toBe(threads);
    const found: Float32Array[] = [];
    for (const type of ['f32', 'f16', 'bf16', 'i8', 'i4'] as const) {
      const [weight, bias] = [tensor([402, 301], 1, on), tensor([402], 2, on)];
      const plain = layers.linear({ weight, bias, type });
      const gated = layers.linear({ weight, bias, type, gated: true, activation: 'silu' });
      for (const rows of [1, 3, 130]) {
        const x = tensor([rows, 301], 3, on);
        found.push(plain.runSync(x).toArray(), (await gated.run(x, { residual: tensor([rows, 201], 4, on) })).toArray());
      }
    }
    on.dispose();
    return hashBits(...found);
  }

  test('1, 2, 3 and 5 give the same bits', async () => {
    const one = await hash(1);
    for (const threads of [2, 3, 5]) expect(await hash(threads)).toBe(one);
  });

  test('an engine is given the kernels once, however many ask at a time, and its other calls go on', async () => {
    const on = await createEngine({ threads: 2 });
    const q = tensor([1, 2, 300, 16], 1, on);
    const under = on.attention(q, q, q);
    const [a, b] = await Promise.all([createLayers(on), createLayers(on)]);
    const [weight, x] = [tensor([3, 5], 1, on), tensor([2, 5], 2, on)];
    expect(a.linear({ weight }).runSync(x).toArray()).toEqual(b.linear({ weight }).runSync(x).toArray());
    expect((await under).toArray()).toEqual(on.attentionSync(q, q, q).toArray());
    on.dispose();
  });
});

describe('signals and ends', () => {
  test('a call that is aborted rejects with the reason and leaves nothing', async () => {
    const layer = nn.linear({ weight: tensor([64, 64], 1) });
    const x = tensor([8, 64], 2);
    const { used } = engine.memoryUsage();
    await expect(layer.run(x, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    const controller = new AbortController();
    const pending = layer.run(x, { signal: controller.signal });
    controller.abort('enough');
    await expect(pending).rejects.toBe('enough');
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('what a running call needs stays until it is over; then all goes back', async () => {
    const { used } = engine.memoryUsage();
    const weight = tensor([70, 90], 1);
    const layer = nn.linear({ weight, bias: tensor([70], 3), type: 'i8' });
    const x = tensor([33, 90], 2);
    const pending = layer.run(x);
    layer.dispose();
    layer.dispose();
    expect(layer.disposed).toBe(true);
    const w = weight.toArray();
    for (const gone of [weight, x]) gone.dispose();
    const y = await pending;
    const bias = numbers(70, 3);
    const expected = sums(numbers(33 * 90, 2), w, 33, 70, 90, 'i8').map((sum, at) => sum + (bias[at % 70] as number));
    expect(bits(y.toArray())).toEqual(bits(expected));
    expect(() => layer.runSync(y)).toThrow(RelposError);
    y.dispose();
    const left = engine.memoryUsage().used - used;
    expect(left).toBe(70 * 4 + 40 + 64); // the bias's own tensor, which nobody ended: 280 bytes up to 64 and a guard
  });

  test('an engine that was disposed', async () => {
    const on = await createEngine({ threads: 1 });
    const layer = (await createLayers(on)).linear({ weight: tensor([2, 2], 1, on) });
    const x = tensor([1, 2], 1, on);
    on.dispose();
    expect(() => layer.runSync(x)).toThrow(/the engine was disposed/);
    await expect(createLayers(on)).rejects.toThrow(/the engine was disposed/);
  });
});

describe('wrong input', () => {
  const x = (): Tensor => tensor([3, 4], 1);
  const layer = (options: Partial<LinearOptions> = {}): ReturnType<Layers['linear']> =>
    nn.linear({ weight: tensor([6, 4], 1), ...options });

  test.each<[string, () => unknown, RegExp]>([
    ['no options', () => nn.linear(undefined as never), /linear: "options" expected an object, got undefined/],
    ['no weight', () => nn.linear({} as never), /linear: "weight" expected a tensor, got undefined/],
    ['an unknown option', () => layer({ activaton: 'relu' } as never), /"options" has no "activaton".*did you mean "activation"/],
    ['an unknown type', () => layer({ type: 'i5' as never }), /"type" expected 'f32' or 'f16' or 'bf16' or 'i8' or 'i4', got "i5"/],
    ['an unknown activation', () => layer({ activation: 'swish' as never }), /"activation" expected 'gelu' or .*, got "swish"/],
    ['a gate that is no flag', () => layer({ gated: 1 as never }), /"gated" expected true or false, got 1/],
    ['a vector', () => nn.linear({ weight: tensor([6], 1) }), /"weight" expected shape \[N ≥ 1, 1 ≤ K ≤ 262144\], got \[6\]/],
    ['no columns', () => nn.linear({ weight: engine.tensor([6, 0]) }), /"weight" expected shape \[N ≥ 1, 1 ≤ K ≤ 262144\], got \[6, 0\]/],
    [
      'rows of a gate that are odd',
      () => nn.linear({ weight: tensor([5, 4], 1), gated: true }),
      /"weight" expected shape \[an even N ≥ 2, 1 ≤ K ≤ 262144\], got \[5, 4\]/,
    ],
    [
      'weights of integers',
      () => nn.linear({ weight: engine.tensor([2, 2], undefined, 'i8') }),
      /"weight" expected a tensor of f32, f16 or bf16/,
    ],
    ['a bias of another length', () => layer({ bias: tensor([4], 1) }), /"bias" expected shape \[6\], got \[4\]/],
    ['a bias of another length, gated', () => layer({ bias: tensor([3], 1), gated: true }), /"bias" expected shape \[6\], got \[3\]/],
    ['rows of another length', () => layer().runSync(tensor([4, 3], 1)), /runSync: "x" expected shape \[..., 4\], got \[4, 3\]/],
    ['no tensor', () => layer().runSync([1, 2, 3, 4] as never), /runSync: "x" expected a tensor, got \[1, 2, 3, 4\]/],
    ['halves', () => layer().runSync(engine.tensor([3, 4], undefined, 'f16')), /"x" expected a tensor of f32, got "f16"/],
    ['columns', () => layer().runSync(tensor([4, 3], 1).permute(1, 0)), /"x" expected rows side by side or at one distance/],
    ['an out of another shape', () => layer().runSync(x(), { out: tensor([3, 5], 1) }), /"out" expected shape \[3, 6\], got \[3, 5\]/],
    [
      'a residual of another shape',
      () => layer().runSync(tensor([2, 3, 4], 1), { residual: tensor([6, 6], 1) }),
      /"residual" expected shape \[2, 3, 6\], got \[6, 6\]/,
    ],
    [
      'a signal',
      () => layer().runSync(x(), { signal: new AbortController().signal } as never),
      /"signal" works with the asynchronous form only/,
    ],
  ])('%s', (_, call, message) => {
    const { used } = engine.memoryUsage();
    expect(call).toThrow(message);
    expect(engine.memoryUsage().used - used).toBeLessThan(2000); // the tensors of the test itself
  });

  test('an out that the call reads', () => {
    const all = tensor([8, 8], 1);
    const square = nn.linear({ weight: tensor([8, 8], 2) });
    const before = all.toArray();
    expect(() => square.runSync(all, { out: all })).toThrow(/"out" expected memory of its own, got an overlap with "x"/);
    const [upper, lower] = [all.slice([0, 5]), all.slice([3, 8])];
    expect(() => square.runSync(tensor([5, 8], 3), { out: upper, residual: lower })).toThrow(/an overlap with "residual"/);
    expect(all.toArray()).toEqual(before);
  });

  test('what is no engine, and tensors of another', async () => {
    await expect(createLayers({} as never)).rejects.toThrow(/createLayers: "engine" expected an engine of createEngine, got/);
    await expect(createLayers(null as never)).rejects.toThrow(TypeError);
    const other = await createEngine({ threads: 1 });
    expect(() => nn.linear({ weight: tensor([2, 4], 1, other) })).toThrow(/"weight" expected a tensor of this engine/);
    expect(() => layer().runSync(tensor([2, 4], 1, other))).toThrow(/"x" expected a tensor of this engine/);
    other.dispose();
  });
});

describe('memory that runs out at each allocation', () => {
  const operations: readonly Operation[] = [
    {
      name: 'a layer',
      async setup(on) {
        const layers = await createLayers(on);
        const [weight, bias] = [tensor([20, 30], 1, on), tensor([20], 2, on)];
        const data = new Uint8Array(weight.toArray().buffer);
        return {
          run() {
            for (const given of [weight, { dtype: 'F32', shape: [20, 30], data } as const]) {
              layers.linear({ weight: given, bias, type: 'i4', gated: true }).dispose();
            }
            return [];
          },
          probe: () => [weight.toArray(), bias.toArray()],
        };
      },
    },
    {
      name: 'a call',
      async setup(on) {
        const layer = (await createLayers(on)).linear({ weight: tensor([20, 30], 1, on), type: 'i8' });
        const [x, residual] = [tensor([7, 30], 2, on), tensor([7, 20], 3, on)];
        return { run: async () => taken(await layer.run(x, { residual })), probe: () => [x.toArray(), residual.toArray()] };
      },
    },
  ];
  test.each(operations)('$name', async (operation) => {
    expect(await failEach(operation)).toBeGreaterThan(2);
  });
});
