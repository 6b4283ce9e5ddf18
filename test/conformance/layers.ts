/** The layers of relpos/nn whose output bits every runtime must give: every kernel, every type of weights, what is not finite. */
import type { Layers, MultiHeadAttentionOptions } from '../../src/nn/index.ts';
import type { Engine, Outputs, Package, Tensor } from './call.ts';
import { numbers } from './numbers.ts';

export type MakeLayers = (engine: Engine) => Promise<Layers>;

/** A case of layers. Most are large enough for all threads to take part. */
export type LayerCase = (nn: Layers, engine: Engine, relpos: Package) => Outputs;

const [ROWS, WIDTH] = [300, 385] as const;

const tensor = (engine: Engine, shape: readonly number[], seed: number, size = 1): Tensor =>
  engine.tensor(
    shape,
    numbers(
      shape.reduce((a, n) => a * n, 1),
      seed,
    ).map((x) => x * size),
  );

const rows = (engine: Engine): Tensor => tensor(engine, [ROWS, WIDTH], 1, 6);

const linear =
  (options: Omit<Parameters<Layers['linear']>[0], 'weight'>): LayerCase =>
  (nn, engine) => {
    const [weight, bias] = [tensor(engine, [120, WIDTH], 2, 0.2), tensor(engine, [120], 3)];
    const layer = nn.linear({ weight, bias, ...options });
    return [layer.runSync(rows(engine)), layer.runSync(tensor(engine, [1, WIDTH], 4))];
  };

const heads =
  (type: 'f32' | 'i8'): LayerCase =>
  (nn, engine, { rotary }) => {
    const part = (outputs: number, inputs: number, seed: number) => ({
      weight: tensor(engine, [outputs, inputs], seed, 0.1),
      bias: tensor(engine, [outputs], seed + 1),
    });
    const options: MultiHeadAttentionOptions = {
      heads: 6,
      keyHeads: 2,
      query: part(120, WIDTH, 10),
      key: part(40, WIDTH, 12),
      value: part(40, WIDTH, 14),
      output: part(WIDTH, 120, 16),
      type,
      encoding: rotary({ dim: 20, theta: 10000, layout: 'halves' }),
      causal: true,
    };
    return [nn.multiHeadAttention(options).runSync(tensor(engine, [2, 150, WIDTH], 20))];
  };

const activations = ['gelu', 'gelu_new', 'quick_gelu', 'silu', 'relu', 'relu2', 'tanh', 'sigmoid'] as const;

export const layerCases: Readonly<Record<string, LayerCase>> = {
  ...Object.fromEntries(activations.map((activation) => [`linear, ${activation}`, linear({ activation })])),
  ...Object.fromEntries((['f16', 'bf16', 'i8', 'i4'] as const).map((type) => [`linear of ${type}`, linear({ type })])),
  'linear of i8, gated': linear({ type: 'i8', gated: true, activation: 'silu' }),
  'linear of i8, not finite': (nn, engine) => {
    const x = rows(engine);
    (x.view() as Float32Array).set([Number.NaN, Infinity], 3 * WIDTH);
    return [nn.linear({ weight: tensor(engine, [120, WIDTH], 2, 0.2), type: 'i8' }).runSync(x)];
  },
  'layer norm': (nn, engine) => {
    const weight = tensor(engine, [WIDTH], 2);
    const [x, residual] = [rows(engine), tensor(engine, [ROWS, WIDTH], 3)];
    return [nn.layerNorm({ weight, bias: weight }).runSync(x, { residual, sum: residual }), residual];
  },
  'RMS norm': (nn, engine) => [nn.rmsNorm({ weight: tensor(engine, [WIDTH], 2), offset: 1 }).runSync(rows(engine))],
  'rows of length 1': (nn, engine) => [nn.normalize().runSync(rows(engine))],
  'a norm, not finite': (nn, engine) => {
    const x = rows(engine);
    (x.view() as Float32Array).set([Number.NaN], 3 * WIDTH);
    return [nn.layerNorm().runSync(x), nn.rmsNorm().runSync(x)];
  },
  embedding: (nn, engine) => {
    const table = rows(engine);
    return [
      nn.embedding({ table, types: table, positions: table, scale: 3 }).runSync([5, 299, 17, 5], { types: [0, 1, 1, 0], positions: 9 }),
    ];
  },
  pooling: (nn, engine) =>
    (['cls', 'last', 'mean', 'max', 'mean_sqrt_len', 'weightedmean'] as const).map((kind) =>
      nn.pool({ kind }).runSync(rows(engine), { offsets: [0, 7, 7, 150, ROWS] }),
    ),
  softmax: (nn, engine) => [nn.softmax({ temperature: 0.7 }).runSync(rows(engine)), nn.softmax({ log: true }).runSync(rows(engine))],
  'the largest': (nn, engine) => Object.values(nn.topK({ k: 40 }).runSync(rows(engine))) as Tensor[],
  'multi-head attention': heads('f32'),
  'multi-head attention of i8': heads('i8'),
};
