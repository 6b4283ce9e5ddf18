/** Trained models, one a position scheme, on text that they have not seen: attention with each scheme loses what PyTorch's loses, far beyond the trained length too. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { alibi, createEngine, type Encoding, rotary, shaw, sinusoids, type Tensor, t5 } from '../../src/index.ts';
import { createLayers } from '../../src/nn/index.ts';
import { readSafetensors, type SafeTensor } from '../../src/safetensors/index.ts';

const [WIDTH, HEADS, HEAD, LAYERS, TRAINED, BLOCK] = [64, 4, 16, 3, 64, 32];
/** Bytes of a call: windows are batched. */
const BATCH = 4096;
/** Windows as long as those of the training, and 16 times longer; those between: web/test/unit/length-models.test.ts. */
const WINDOWS = [64, 1024];

type Weights = (name: string) => SafeTensor;

const theta = 10_000;
const turning = { dim: HEAD, theta, layout: 'halves' } as const;

/** The encoding of a layer, for windows of `n`. */
const SCHEMES: Readonly<Record<string, (weights: Weights, layer: number, n: number) => Encoding | undefined>> = {
  none: () => undefined,
  sinusoidal: () => undefined,
  shaw: (weights, layer) => shaw({ left: 16, right: 16, keys: weights(`${layer}.attention.relative`) }),
  t5: (weights) => t5({ heads: HEADS, buckets: 32, maxDistance: 64, bidirectional: false, table: weights('bias') }),
  alibi: () => alibi({ heads: HEADS }),
  rotary: () => rotary(turning),
  'rotary-linear': (_, __, n) => rotary({ ...turning, scaling: { type: 'linear', factor: n / TRAINED } }),
  'rotary-ntk': (_, __, n) => rotary({ ...turning, theta: theta * (n / TRAINED) ** (HEAD / (HEAD - 2)) }),
  'rotary-yarn': (_, __, n) =>
    rotary({ ...turning, scaling: { type: 'yarn', factor: n / TRAINED, originalMaxPositionEmbeddings: TRAINED } }),
};

interface Known {
  readonly file: string;
  readonly loss: Readonly<Record<string, number>>;
  readonly lossBy32Positions: Readonly<Record<string, readonly number[]>>;
}

const folder = new URL('../../examples/models/positions/', import.meta.url);
const text = readFileSync(new URL('text.txt', folder));
const { schemes: known }: { schemes: Record<string, Known> } = JSON.parse(readFileSync(new URL('losses.json', folder), 'utf8'));

const engine = await createEngine({ threads: 1 });
const nn = await createLayers(engine);
afterAll(() => engine.dispose());

/** The logarithms of the probabilities of the next byte, f32 [windows, n, 256], of windows one after another. */
function modelOf(scheme: string, file: string, n: number): (bytes: Uint8Array) => Promise<Tensor> {
  const { tensors } = readSafetensors(readFileSync(new URL(file, folder)));
  const weights: Weights = (name) => tensors.get(name) as SafeTensor;
  const norm = (name: string) => nn.rmsNorm({ weight: weights(name), epsilon: 1e-5 });
  const linear = (name: string, activation?: 'gelu') =>
    nn.linear({ weight: weights(name), type: 'f32', ...(activation && { activation }) });
  const table = sinusoids(engine.math, n, WIDTH, { layout: 'halves' });
  const added = scheme === 'sinusoidal' ? { positions: engine.tensor([n, WIDTH], table) } : {};
  const embed = nn.embedding({ table: weights('embed'), scale: Math.sqrt(WIDTH), ...added });
  const layers = Array.from({ length: LAYERS }, (_, at) => ({
    before: norm(`${at}.attention.norm`),
    projections: ['query', 'key', 'value'].map((name) => linear(`${at}.attention.${name}`)),
    encoding: SCHEMES[scheme]?.(weights, at, n),
    out: linear(`${at}.attention.out`),
    between: norm(`${at}.mlp.norm`),
    up: linear(`${at}.mlp.up`, 'gelu'),
    down: linear(`${at}.mlp.down`),
  }));
  const [last, head, softmax] = [norm('norm'), linear('embed'), nn.softmax({ log: true })];
  return async (bytes) => {
    const windows = bytes.length / n;
    const heads = (of: Tensor): Tensor => of.restride([windows, n, HEADS, HEAD], [n * WIDTH, WIDTH, HEAD, 1]);
    const ids = engine.tensor([windows, n], Int32Array.from(bytes), 'i32');
    const x = await embed.run(ids, 'positions' in added ? { positions: Int32Array.from(bytes, (_, at) => at % n) } : {});
    const made = [ids, x];
    const keep = (tensor: Tensor): Tensor => {
      made.push(tensor);
      return tensor;
    };
    for (const { before, projections, encoding, out, between, up, down } of layers) {
      const h = keep(await before.run(x));
      const [q, k, v] = (await Promise.all(projections.map((one) => one.run(h)))).map((tensor) => keep(heads(keep(tensor))));
      const attended = await engine.attention(q as Tensor, k as Tensor, v as Tensor, {
        layout: 'blhd',
        causal: true,
        ...(encoding && { encoding }),
      });
      const flat = keep(keep(attended).restride([windows, n, WIDTH], [n * WIDTH, WIDTH, 1]));
      await out.run(flat, { residual: x, out: x });
      await down.run(keep(await up.run(keep(await between.run(x)))), { residual: x, out: x });
    }
    const logits = await head.run(keep(await last.run(x)));
    for (const tensor of made) tensor.dispose();
    return softmax.run(logits, { out: logits });
  };
}

/** Losses of the bytes of all whole windows. */
async function lossesOf(scheme: string, file: string, n: number): Promise<Float64Array> {
  const model = modelOf(scheme, file, n);
  const count = Math.floor((text.length - 1) / n) * n;
  const losses = new Float64Array(count);
  for (let start = 0; start < count; start += BATCH) {
    const bytes = text.subarray(start, Math.min(start + BATCH, count));
    const logs = await model(bytes);
    const numbers = logs.view();
    for (let at = 0; at < bytes.length; at++) losses[start + at] = -(numbers[256 * at + (text[start + at + 1] as number)] as number);
    logs.dispose();
  }
  return losses;
}

const mean = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, x) => sum + x, 0) / list.length;

test('every row of the losses has a scheme', () => {
  expect(Object.keys(known)).toEqual(Object.keys(SCHEMES));
});

test.each(Object.entries(known).flatMap(([scheme, row]) => WINDOWS.map((n) => [scheme, n, row] as const)))(
  '%s loses what PyTorch does in windows of %i',
  async (scheme, n, { file, loss, lossBy32Positions }) => {
    const losses = await lossesOf(scheme, file, n);
    const by = lossBy32Positions[n] as readonly number[];
    const places = by.map((_, place) => mean(losses.filter((_, at) => Math.floor((at % n) / BLOCK) === place)));
    // PyTorch's are rounded to four digits, by place to three.
    expect(Math.abs(mean(losses) - (loss[n] as number))).toBeLessThan(0.00005 + 0.00002);
    for (const [place, wanted] of by.entries())
      expect(Math.abs((places[place] as number) - wanted), `place ${BLOCK * place}`).toBeLessThan(0.0005 + 0.00005);
  },
);
